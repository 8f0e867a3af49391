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

CANCEL_WORD = b"cancel"


class Channel(Protocol):
    """Where progress, the result and an error go."""

    def progress(self, progress: Progress) -> None: ...
    def result(self, data: dict[str, Any], text: str) -> None: ...
    def error(self, code: int, message: str) -> None: ...


def set_stdout_aside() -> IO[str]:
    """The real stdout as a text stream; from now on file descriptor 1 is stderr."""
    sys.stdout.flush()
    # A path may hold bytes that are no text.
    aside = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    os.dup2(2, 1)
    return aside


class TerminalChannel:
    """For a person: the result as text on stdout, stages on stderr while it is a terminal."""

    def __init__(self, stdout: IO[str]) -> None:
        self._stdout = stdout

    def progress(self, progress: Progress) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{progress.stage}: {progress.done} of {progress.total}\033[K")
            sys.stderr.write("\n" if progress.done >= progress.total else "")
            sys.stderr.flush()

    def result(self, data: dict[str, Any], text: str) -> None:
        self._stdout.write(text + "\n")

    def error(self, code: int, message: str) -> None:
        sys.stderr.write(message + "\n")
        sys.stderr.flush()


class JsonLinesChannel:
    """For a program: one JSON object a stdout line; the line ``cancel`` on stdin cancels at the next progress.

    ``cancel_on_eof``: so does the end of stdin, for a child that must not outlive its parent.
    """

    def __init__(self, stdout: IO[str], *, cancel_on_eof: bool = False) -> None:
        self._stdout, self._cancel_on_eof = stdout, cancel_on_eof
        self._cancelled = threading.Event()
        threading.Thread(target=self._watch_stdin, daemon=True).start()

    def progress(self, progress: Progress) -> None:
        if self._cancelled.is_set():
            raise Cancelled
        self._write({"event": "progress", "stage": progress.stage, "done": progress.done, "total": progress.total})

    def result(self, data: dict[str, Any], text: str) -> None:
        self._write({"event": "result", **data})

    def error(self, code: int, message: str) -> None:
        with contextlib.suppress(Cancelled):  # nobody listens, which the exit code need not repeat
            self._write({"event": "error", "code": code, "message": message})
        sys.stderr.write(message + "\n")
        sys.stderr.flush()

    def _write(self, data: dict[str, Any]) -> None:
        try:
            self._stdout.write(json.dumps(data) + "\n")
        except BrokenPipeError as error:  # nobody listens any more
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stdout.fileno())  # else Python complains of what is still buffered when it ends
            os.close(nowhere)
            raise Cancelled from error

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
