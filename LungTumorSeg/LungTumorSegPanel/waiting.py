"""Waiting for a child process: with Qt's timer or, in a script without an event loop, with short sleeps."""

import time
from typing import Any, Protocol, TypeVar

from slicer.i18n import tr as _

from .timers import makeTimer

POLL_MILLISECONDS = 100
"""Interval at which a run is polled, short enough for a smooth progress bar."""

TURN_SECONDS = 0.02
"""How long each poll yields the Python interpreter to other threads.

Slicer's event loop holds the interpreter while it is idle, so the threads that export the CT and read the results would
stop. With a shorter time, loading a result takes ten times as long."""


class Waitable(Protocol):
    """A run of a child process: ``poll`` advances it; once ``finished``, ``result`` or ``error`` is set."""

    finished: bool
    result: Any
    error: Exception | None

    def poll(self) -> None:
        """Process what has happened since the last call."""

    def close(self) -> None:
        """Stop the run at once."""


Run = TypeVar("Run", bound=Waitable)


def watch_run(run: Run) -> Run:
    """Poll the run from Qt's event loop until it has finished; return it at once."""

    def look() -> None:
        run.poll()
        if run.finished:
            timer.stop()
        else:
            time.sleep(TURN_SECONDS)

    timer = makeTimer(POLL_MILLISECONDS, look)
    timer.start()
    return run


def cancelledText() -> str:
    """Return what the panel says after the user has cancelled a run."""
    return _("Cancelled.")


def result_of(run: Waitable) -> Any:
    """Wait for the end of the run without an event loop; return its result or raise its error."""
    try:
        while not run.finished:
            run.poll()
            time.sleep(POLL_MILLISECONDS / 1000)
    finally:
        run.close()
    if run.error is not None:
        raise run.error
    return run.result
