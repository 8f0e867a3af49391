"""How the work of a child process ended: an exit code with one sentence, or an exception."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import CANCELLED, MACHINE, UNUSABLE, MachineLimit, UnusableInput
from ..core.events import Cancelled
from ..core.messages import CANCELLED_MESSAGE, MEMORY_REMEDY
from ..results.reader import RunFiles
from .child import Event

UNEXPECTED = 1
"""Code of an outcome that is a bug, in this program or in the system."""


@dataclass(frozen=True)
class Outcome:
    """How the work of a child process ended.

    Attributes:
        code: The exit code of the command line.
        message: One sentence; "" if the code is 0.
        results: The files of a segmentation; None unless the code is 0.
    """

    code: int
    message: str = ""
    results: RunFiles | None = None


def failure_of(code: int, event: Event, stderr_lines: Sequence[str]) -> Outcome:
    """Return the outcome of a child process that ended without a result.

    Args:
        code: Its exit code; negative if a signal ended it.
        event: Its last event except progress; empty if there was none.
        stderr_lines: The last lines of its stderr.
    """
    if code == CANCELLED:
        return Outcome(CANCELLED, CANCELLED_MESSAGE)
    if event.get("event") == "error":
        return Outcome(int(event["code"]), str(event["message"]))
    last_line = stderr_lines[-1] if stderr_lines else "no message"
    if code in (UNUSABLE, MACHINE):
        return Outcome(code, last_line)
    logging.getLogger(__name__).error("The run ended with code %s:\n%s", code, "\n".join(stderr_lines))
    if code == -9:  # SIGKILL: this program did not send it, so the system most likely ran out of memory
        reason = "The operating system stopped the run, most likely because memory ran out"
        return Outcome(MACHINE, f"{reason}; {MEMORY_REMEDY}.")
    return Outcome(UNEXPECTED, f"The run ended unexpectedly (code {code}: {last_line}); see the log for details.")


def outcome_of(error: Exception, what: str, folder: Path) -> Outcome:
    """Return the outcome of work that an exception ended.

    Args:
        error: The exception.
        what: What failed, as a clause such as "The run failed".
        folder: Named by the message if the exception names no file.
    """
    if isinstance(error, Cancelled):
        return Outcome(CANCELLED, CANCELLED_MESSAGE)
    if isinstance(error, MachineLimit):
        return Outcome(MACHINE, str(error))
    if isinstance(error, OSError):
        reason = f"{error.strerror or error} ({error.filename or folder})"
        return Outcome(MACHINE, f"{what}: {reason}; free some disk space there and try again.")
    logging.getLogger(__name__).error("%s.", what, exc_info=error)
    return Outcome(UNEXPECTED, f"{what}: {error}")


def error_of(outcome: Outcome) -> Exception:
    """Return the exception for an outcome without a result."""
    if outcome.code in (0, CANCELLED):
        return Cancelled(outcome.message or CANCELLED_MESSAGE)
    return UnusableInput(outcome.message) if outcome.code == UNUSABLE else MachineLimit(outcome.message)
