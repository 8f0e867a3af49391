"""What every command of the command line states about itself."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass

from ..process.channel import Channel


@dataclass(frozen=True)
class Command:
    """A command of the command line.

    A ``run`` function imports what it needs only when it runs, so that help and wrong arguments are answered at once,
    and commands without a network work where torch is not installed.

    Attributes:
        name: The word on the command line.
        run: Run the command with the parsed arguments, and report progress and result to the channel.
        about: What the command does, for the help; without capital letter and full stop.
        examples: Arguments of typical calls.
        arguments: Functions that add arguments to the parser of the command.
        resumes: Whether the same command continues what was interrupted, so that it may be ended at any moment.
    """

    name: str
    run: Callable[[argparse.Namespace, Channel], None]
    about: str
    examples: tuple[str, ...]
    arguments: tuple[Callable[[argparse.ArgumentParser], None], ...] = ()
    resumes: bool = False
