"""The command ``batch``: segment many CTs."""

from __future__ import annotations

import argparse
from functools import partial

from ..process.channel import Channel
from .arguments import add_output, add_passed_on, add_segment_options, path_argument, positive_number
from .command import Command
from .extras import result_extras
from .segment import check_backend


def run(options: argparse.Namespace, channel: Channel) -> None:
    """Segment all CTs of a table or folder."""
    from ..cohort.batch import Batch, run_batch

    result_extras(options)  # This refuses what every run would refuse.
    if options.scheduler is None:  # The workers of a cluster have packages of their own.
        check_backend(options)
    run_batch(Batch.of(options), channel)


def _add_arguments(batch: argparse.ArgumentParser) -> None:
    batch.add_argument(
        "input",
        metavar="TABLE.csv|FOLDER",
        type=path_argument,
        help="a table with the column path, and if known patient, date, phase, series and case; or a folder that is "
        "searched for CTs",
    )
    add_output(batch)
    places = batch.add_mutually_exclusive_group()
    places.add_argument(
        "--workers",
        metavar="N",
        type=positive_number,
        help="number of CTs to segment at the same time (default: as many as memory and processor cores allow)",
    )
    places.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="address of a Dask scheduler, whose workers segment the CTs and see the same files (default: none)",
    )
    add_passed_on(batch, partial(add_segment_options, of_one_ct=False))
    batch.set_defaults(case=None, patient=None)


COMMAND = Command(
    "batch",
    run,
    "segment all CTs of a table or folder; a second run continues where the first one ended",
    ("cts -o cohort", "table.csv -o cohort --workers 2", "table.csv -o cohort --scheduler tcp://host:8786"),
    (_add_arguments,),
)
