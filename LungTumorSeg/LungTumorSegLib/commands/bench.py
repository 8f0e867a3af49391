"""The command ``bench``: compare networks."""

from __future__ import annotations

import argparse

from ..core.events import ignore_progress
from ..process.channel import Channel
from .arguments import path_argument, positive_number
from .command import Command


def run(options: argparse.Namespace, channel: Channel) -> None:
    """Compare networks, or search for the best settings of one."""
    from ..training.bench.config import read_bench_config
    from ..training.launch import mistakes_told_once

    with mistakes_told_once():
        read_bench_config(options.config)  # Refuse a wrong configuration before slow packages are imported.
        if options.tune:
            _tune(options, channel)
        else:
            _compare(options, channel)


def _tune(options: argparse.Namespace, channel: Channel) -> None:
    """Search for the best settings of a network."""
    from ..training.bench.tuning import run_tuning

    tuned = run_tuning(options.config, options.tune, channel.progress)
    best = ", ".join(f"{key}: {value:.3g}" for key, value in tuned.settings.items())
    text = f"Best of {tuned.trials} trials: {best} (score {tuned.score:.3f}). All trials: {tuned.table}."
    channel.result({"settings": tuned.settings, "score": tuned.score, "table": str(tuned.table.resolve())}, text)


def _compare(options: argparse.Namespace, channel: Channel) -> None:
    """Train and compare networks; of several processes, the first one reports the result."""
    from ..training.bench.runs import run_bench
    from ..training.launch import rank

    page = run_bench(options.config, ignore_progress if rank() else channel.progress)
    if rank() == 0:
        channel.result({"page": str(page.resolve())}, f"Tables, curves and overlays written to {page}.")


def _add_arguments(bench: argparse.ArgumentParser) -> None:
    bench.add_argument(
        "config",
        metavar="CONFIG",
        type=path_argument,
        help="a YAML file such as ablation.yaml in the folder training/bench",
    )
    bench.add_argument(
        "--tune",
        metavar="N",
        type=positive_number,
        help="search for the best values of the settings in the section tune with N trials, instead of comparing",
    )


COMMAND = Command(
    "bench",
    run,
    "train and compare several networks by cross-validation",
    ("bench.yaml",),
    (_add_arguments,),
    resumes=True,
)
