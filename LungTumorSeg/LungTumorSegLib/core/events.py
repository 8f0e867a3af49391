"""Progress reports from a computation, and cancellation of it.

A long computation takes a ``ProgressCallback`` and calls it between steps; the computation itself displays nothing. A
callback that raises ``Cancelled`` ends the computation at that point. This is the only way to cancel, so no code has to
poll a flag.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class Cancelled(Exception):
    """The user asked to stop; no incomplete result has been written (exit code 130)."""


@dataclass(frozen=True)
class Progress:
    """Progress within one stage of a computation.

    Attributes:
        stage: Name of the stage.
        done: Number of finished steps.
        total: Number of steps in the stage.
    """

    stage: str
    done: int
    total: int


ProgressCallback = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """Ignore a progress report; the callback for callers that do not display progress."""
