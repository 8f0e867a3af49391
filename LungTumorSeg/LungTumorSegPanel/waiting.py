"""The module's only way to wait for a child process: Qt's timer or, in a script without an event loop, short sleeps."""

import time
from typing import Any, Protocol, TypeVar

from .timers import makeTimer

POLL_MILLISECONDS = 100
"""How often a run is looked at: often enough for a smooth progress bar."""

TURN_SECONDS = 0.02
"""How long each look gives Python away. Slicer's event loop keeps the interpreter while it is idle, so that threads, which export the CT
and read the results, would stand still. Shorter turns make loading a result last ten times as long."""


class Waitable(Protocol):
    """A run of a child process: it advances by ``poll`` and, once ``finished``, has a ``result`` or an ``error``."""

    finished: bool
    result: Any
    error: Exception | None

    def poll(self) -> None:
        """Take note of what has happened."""

    def close(self) -> None:
        """End it at once."""


Run = TypeVar("Run", bound=Waitable)


def watched(run: Run) -> Run:
    """Look at the run from Qt's event loop until it has finished; return it at once."""

    def look() -> None:
        run.poll()
        if run.finished:
            timer.stop()
        else:
            time.sleep(TURN_SECONDS)

    timer = makeTimer(POLL_MILLISECONDS, look)
    timer.start()
    return run


def result_of(run: Waitable) -> Any:
    """Wait for the run's end, without an event loop, and return its result or raise its error."""
    try:
        while not run.finished:
            run.poll()
            time.sleep(POLL_MILLISECONDS / 1000)
    finally:
        run.close()
    if run.error is not None:
        raise run.error
    return run.result
