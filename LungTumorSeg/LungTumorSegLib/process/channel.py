"""How a run talks to whoever started it: results on the real stdout, events as JSON lines, ``cancel`` on stdin.

C++ libraries print to file descriptor 1, so the real stdout is set aside at start and descriptor 1 points to stderr. Readers skip
lines that are not JSON all the same.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from typing import IO, Any, Protocol

from ..core.events import Cancelled, Progress
from ..core.texts import bounded, printable
from .streams import say
from .terminal import ProgressDisplay

CANCEL_WORD = b"cancel"


class Channel(Protocol):
    """Where progress, the result and an error go; after ``cancel`` the next progress raises Cancelled."""

    def progress(self, progress: Progress) -> None: ...
    def result(self, data: dict[str, Any], text: str) -> None: ...
    def error(self, code: int, message: str) -> None: ...
    def cancel(self) -> None: ...


def set_stdout_aside() -> IO[str]:
    """Return the real stdout as a text stream; from now on file descriptor 1 is stderr."""
    sys.stdout.flush()
    # A path may hold bytes that are no text.
    aside = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    os.dup2(2, 1)
    return aside


class TerminalChannel:
    """For a person: the result as text on stdout, how far the command is on ``display``; ``quiet`` leaves out both."""

    def __init__(self, stdout: IO[str], display: ProgressDisplay | None = None, *, quiet: bool = False) -> None:
        self._stdout, self._display, self._quiet = stdout, display, quiet
        self._cancelled = threading.Event()

    def progress(self, progress: Progress) -> None:
        if self._cancelled.is_set():
            raise Cancelled
        if self._display is not None and not self._quiet:
            self._display.update(progress)

    def result(self, data: dict[str, Any], text: str) -> None:
        self._close_display()
        if not self._quiet:
            say(self._stdout, printable(text, keep="\n") + "\n")

    def error(self, code: int, message: str) -> None:
        self._close_display()
        _tell_error(message)

    def cancel(self) -> None:
        self._cancelled.set()

    def _close_display(self) -> None:
        if self._display is not None:
            self._display.close()


class JsonLinesChannel:
    """For a program: one JSON object per stdout line; the line ``cancel`` on stdin cancels at the next progress.

    ``cancel_on_eof``, for a child that must not outlive its parent: so does the end of stdin, or of whoever reads stdout.
    """

    def __init__(self, stdout: IO[str], *, cancel_on_eof: bool = False) -> None:
        self._stdout, self._cancel_on_eof = stdout, cancel_on_eof
        self._cancelled = threading.Event()
        threading.Thread(target=self._watch_stdin, daemon=True).start()

    def progress(self, progress: Progress) -> None:
        if self._cancelled.is_set():
            raise Cancelled
        heard = self._write(
            {"event": "progress", "stage": progress.stage, "done": progress.done, "total": progress.total}
        )
        if self._cancel_on_eof and not heard:
            raise Cancelled

    def result(self, data: dict[str, Any], text: str) -> None:
        self._write({"event": "result", **data})

    def error(self, code: int, message: str) -> None:
        self._write({"event": "error", "code": code, "message": bounded(message)})
        _tell_error(message)

    def cancel(self) -> None:
        self._cancelled.set()

    def _write(self, data: dict[str, Any]) -> bool:
        return say(self._stdout, json.dumps(data) + "\n")

    def _watch_stdin(self) -> None:
        """Reads the descriptor itself: a thread that waits in Python's buffered stdin would abort the interpreter's exit."""
        pending = b""
        with contextlib.suppress(OSError):  # there was no stdin from the start
            while block := os.read(0, 1024):
                *lines, pending = (pending + block).split(b"\n")
                if any(line.strip() == CANCEL_WORD for line in lines):
                    self._cancelled.set()
                    return
        if self._cancel_on_eof:
            self._cancelled.set()


def _tell_error(message: str) -> None:
    """Write the message as the last line of stderr."""
    with contextlib.suppress(OSError):  # a full disk, where stderr is a file; the exit code says enough
        say(sys.stderr, bounded(printable(message)) + "\n")
