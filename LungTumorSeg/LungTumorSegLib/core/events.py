"""Progress out of a computation and cancellation into it, without knowing who listens.

A long computation takes a ``ProgressCallback`` and calls it between steps. It shows nothing itself. A callback that raises
``Cancelled`` ends the computation there: raising is the one way to cancel, so nothing has to be polled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class Cancelled(Exception):
    """The user asked to stop; nothing has been written (exit code 130)."""


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` steps of the stage named ``stage`` are finished."""

    stage: str
    done: int
    total: int


ProgressCallback = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """The callback for callers who do not listen."""
