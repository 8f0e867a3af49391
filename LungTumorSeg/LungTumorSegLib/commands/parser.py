"""The parser of the whole command line, with all commands."""

from __future__ import annotations

import argparse

from .. import NOTICE, __version__
from . import answer, batch, bench, compare, demo, evaluate, isolate, measure, models, phantom, segment, train
from .argument_parser import CommandLineParser, Parser, PrintCompletion
from .arguments import add_common
from .command import Command

SHELLS = ("bash", "zsh", "tcsh")
"""Shells that can complete commands and options."""

COMMANDS = (
    segment.COMMAND,
    answer.COMMAND,
    batch.COMMAND,
    isolate.COMMAND,
    measure.COMMAND,
    compare.COMMAND,
    evaluate.COMMAND,
    phantom.COMMAND,
    demo.COMMAND,
    models.COMMAND,
    train.COMMAND,
    bench.COMMAND,
)
"""All commands in the order of the help."""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; the parsed arguments have the function of the command as ``run``."""
    parser = CommandLineParser(
        prog="lungtumorseg",
        description=f"Find, measure and display lung tumors in chest CT. {NOTICE}",
        epilog="Run 'lungtumorseg COMMAND --help' for the options of a command. Exit codes: 0 success, 2 unusable "
        "input, 3 machine limit (memory, disk, device or package), 130 cancelled.",
    )
    parser.add_argument("--version", action="version", version=f"lungtumorseg {__version__}")
    parser.add_argument(
        "--print-completion",
        choices=SHELLS,
        action=PrintCompletion,
        help="print the script that lets a shell complete commands and options (needs the package shtab)",
    )
    parsers = parser.add_subparsers(required=True, metavar="COMMAND", dest="command", parser_class=Parser)
    for command in COMMANDS:
        own = parsers.add_parser(
            command.name, help=command.about, description=_sentence(command), epilog=_epilog(command)
        )
        own.set_defaults(run=command.run, resumes=command.resumes)
        for add in (*command.arguments, add_common):
            add(own)
    return parser


def _sentence(command: Command) -> str:
    return f"{command.about[:1].upper()}{command.about[1:]}."


def _epilog(command: Command) -> str:
    lines = "\n".join(f"  lungtumorseg {command.name} {example}".rstrip() for example in command.examples)
    return f"examples:\n{lines}"
