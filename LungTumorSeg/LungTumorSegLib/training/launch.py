"""Which of the processes that ``torchrun`` started this one is, and who of them tells the user what; without torch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..core.errors import UnusableInput
from .settings import WrongConfig

TORCHRUN = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""Environment variables by which ``torchrun`` tells a process its place."""


def launched() -> bool:
    """Return whether ``torchrun`` started this process together with others."""
    return all(name in os.environ for name in TORCHRUN) and int(os.environ["WORLD_SIZE"]) > 1


def processes() -> int:
    """Return the number of processes of this training."""
    return int(os.environ["WORLD_SIZE"]) if launched() else 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return int(os.environ["RANK"]) if launched() else 0


@contextmanager
def mistakes_told_once() -> Iterator[None]:
    """Let the first process alone tell the user of a mistake in the configuration, which all processes find.

    Raises:
        UnusableInput: The configuration is wrong; the message is empty in all processes but the first.
    """
    try:
        yield
    except WrongConfig as error:
        if rank():
            raise UnusableInput("") from error
        raise
