"""Commands of ``lungtumorseg`` in the process of a test."""

from __future__ import annotations

import io

from LungTumorSegLib.commands.parser import build_parser
from LungTumorSegLib.process.channel import TerminalChannel


def run_command(*arguments: object) -> str:
    """Run a command as ``lungtumorseg`` does, and return what it says; errors reach the caller as exceptions."""
    options = build_parser().parse_args([str(argument) for argument in arguments])
    said = io.StringIO()
    options.run(options, TerminalChannel(said))
    return said.getvalue()
