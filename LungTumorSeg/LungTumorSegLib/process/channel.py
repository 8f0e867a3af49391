"""Communication between a run and the program or person that started it.

Results go to the real stdout, events are JSON lines, and the line ``cancel`` on stdin cancels. C++ libraries print to
file descriptor
1. Therefore the real stdout is set aside at the start, and descriptor 1 is redirected to stderr. Readers must
  nevertheless skip lines that are not JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
from typing import IO, Any, Protocol

from ..core.errors import MachineLimit
from ..core.events import Cancelled, Progress
from ..core.texts import bounded, printable
from .streams import say
from .terminal import ProgressDisplay

CANCEL_WORD = b"cancel"


class Channel(Protocol):
    """The destination of progress, the result and an error of a run."""

    def progress(self, progress: Progress) -> None:
        """Report progress.

        Raises:
            Cancelled: If the run has been cancelled.
        """
        ...

    def item(self, data: dict[str, Any], text: str) -> None:
        """Report one of several parts of the result, as data for programs and as a line for people; "" is no line."""
        ...

    def result(self, data: dict[str, Any], text: str) -> None:
        """Report the result, as data for programs and as text for people."""
        ...

    def error(self, code: int, message: str) -> None:
        """Report an error with its exit code and a message of one sentence."""
        ...

    def cancel(self) -> None:
        """Cancel the run: the next call of ``progress`` raises Cancelled."""
        ...


def set_stdout_aside() -> IO[str]:
    """Return the real stdout as a text stream; afterwards, file descriptor 1 is stderr."""
    sys.stdout.flush()
    # A path may contain bytes that are not valid text.
    aside = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    os.dup2(2, 1)
    return aside


class TerminalChannel:
    """A channel for people: the result is text on stdout, and progress appears on a display."""

    def __init__(self, stdout: IO[str], display: ProgressDisplay | None = None, *, quiet: bool = False) -> None:
        """Connect the channel to its streams.

        Args:
            stdout: The stream for the result.
            display: Shows progress; None shows none.
            quiet: Whether to suppress both result and progress.
        """
        self._stdout, self._display, self._quiet = stdout, display, quiet
        self._cancelled = threading.Event()

    def progress(self, progress: Progress) -> None:
        """Show progress.

        Raises:
            Cancelled: If the run has been cancelled.
        """
        if self._cancelled.is_set():
            raise Cancelled
        if self._display is not None and not self._quiet:
            self._display.update(progress)

    def item(self, data: dict[str, Any], text: str) -> None:
        """Print the line of a part of the result."""
        if not text:
            return
        if self._display is not None:
            self._display.hide()
        if not self._quiet:
            say(self._stdout, printable(text) + "\n")

    def result(self, data: dict[str, Any], text: str) -> None:
        """Print the text of the result."""
        self._close_display()
        if not self._quiet:
            _print(self._stdout, printable(text, keep="\n") + "\n")

    def error(self, code: int, message: str) -> None:
        """Print the message on stderr."""
        self._close_display()
        _tell_error(message)

    def cancel(self) -> None:
        """Cancel the run at the next progress."""
        self._cancelled.set()

    def _close_display(self) -> None:
        if self._display is not None:
            self._display.close()


class JsonLinesChannel:
    """A channel for programs: one JSON object per line on stdout.

    The line ``cancel`` on stdin cancels the run at the next progress.

    Attributes:
        requests: The JSON objects that stdin holds, one per line; an empty one for a line that holds something else;
            None after the line ``cancel`` or the end of stdin.
    """

    def __init__(self, stdout: IO[str], *, cancel_on_eof: bool = False) -> None:
        """Start to watch stdin.

        Args:
            stdout: The stream for the events.
            cancel_on_eof: Whether the end of stdin, or the loss of the reader of stdout, cancels too. A child process
                that must not outlive its parent needs this.
        """
        self._stdout, self._cancel_on_eof = stdout, cancel_on_eof
        self._cancelled = threading.Event()
        self.requests: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._watch_stdin, daemon=True).start()

    def progress(self, progress: Progress) -> None:
        """Write a progress event.

        Raises:
            Cancelled: If the run has been cancelled.
        """
        if self._cancelled.is_set():
            raise Cancelled
        heard = self._write(
            {"event": "progress", "stage": progress.stage, "done": progress.done, "total": progress.total}
        )
        if self._cancel_on_eof and not heard:
            raise Cancelled

    def item(self, data: dict[str, Any], text: str) -> None:
        """Write an item event."""
        self._write({"event": "item", **data})

    def result(self, data: dict[str, Any], text: str) -> None:
        """Write a result event."""
        self._write({"event": "result", **data})

    def error(self, code: int, message: str) -> None:
        """Write an error event, and the message on stderr."""
        with contextlib.suppress(MachineLimit):  # stderr still gets the message
            self._write({"event": "error", "code": code, "message": bounded(message)})
        _tell_error(message)

    def cancel(self) -> None:
        """Cancel the run at the next progress."""
        self._cancelled.set()

    def _write(self, data: dict[str, Any]) -> bool:
        return _print(self._stdout, json.dumps(data) + "\n")

    def _watch_stdin(self) -> None:
        """Take requests from stdin until its line ``cancel``, or until its end.

        The descriptor is read directly: a thread that waits in Python's buffered stdin would abort the interpreter at
        exit.
        """
        pending, cancelled = b"", self._cancel_on_eof
        with contextlib.suppress(OSError):  # stdin did not exist from the start
            while block := os.read(0, 1024):
                *lines, pending = (pending + block).split(b"\n")
                words = [word for line in lines if (word := line.strip())]
                for word in words:
                    if word != CANCEL_WORD:
                        self.requests.put(_request_in(word))
                if CANCEL_WORD in words:
                    cancelled = True
                    break
        if cancelled:
            self._cancelled.set()
        self.requests.put(None)


def _request_in(line: bytes) -> dict[str, Any]:
    """Return the JSON object in a line; an empty one if the line holds something else."""
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):  # includes bytes that are not UTF-8
        return {}
    return request if isinstance(request, dict) else {}


def _print(stdout: IO[str], text: str) -> bool:
    """Write to stdout; see ``say``.

    Raises:
        MachineLimit: If writing fails although somebody listens. The message does not blame the output folder.
    """
    try:
        return say(stdout, text)
    except OSError as error:
        raise MachineLimit(
            f"Standard output could not be written ({error.strerror}); free some disk space there or redirect it to "
            "another file."
        ) from error


def _tell_error(message: str) -> None:
    """Write the message as the last line of stderr."""
    with contextlib.suppress(OSError):  # stderr may be a file on a full disk; the exit code still reports the error
        say(sys.stderr, bounded(printable(message)) + "\n")
