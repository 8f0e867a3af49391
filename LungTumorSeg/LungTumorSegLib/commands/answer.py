"""The command ``answer``: a process that outlines what a program clicks on."""

from __future__ import annotations

import argparse

from ..options import OPTION
from ..process.channel import Channel
from .arguments import CT_HELP, add_series, path_argument, usual_values
from .command import Command


def run(options: argparse.Namespace, channel: Channel) -> None:
    """Answer requests until stdin closes."""
    from ..process.answering import run

    run(options, channel)


def _add_arguments(answer: argparse.ArgumentParser) -> None:
    answer.add_argument("input", metavar="INPUT", type=path_argument, help=CT_HELP)
    add_series(answer)
    OPTION["model"].add_to(answer, usual_values()["model"])
    answer.set_defaults(events="jsonl", cancel_on_eof=True)


COMMAND = Command(
    "answer",
    run,
    "keep a CT in memory and outline what lies at the places that a program writes to stdin as JSON lines",
    ("ct.nii.gz",),
    (_add_arguments,),
)
