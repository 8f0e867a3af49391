"""The standard streams and the signals of a command, which may be missing, end early, or ask it to stop."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import IO

from ..core.texts import bounded, printable

NOBODY_LISTENS = {errno.EPIPE, errno.EBADF, errno.EIO}
"""Error codes of a stream whose reader has gone: a closed pipe, a closed descriptor, a terminal that was hung up."""

ENDING_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""Signals that ask a command to end; not every system has each."""


def open_standard_streams() -> None:
    """Open the null device in place of each standard stream that is closed, so that no file of ours takes its number."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != descriptor:
                os.dup2(opened, descriptor)
                os.close(opened)
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", closefd=False))


def say(stream: IO[str], text: str) -> bool:
    """Write ``text`` at once.

    Returns:
        False where nobody listens any more; what is written there later goes nowhere, and the end of the process does not complain.

    Raises:
        OSError: Where writing fails for another reason, such as a full disk.
    """
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        _silence(stream)
        if error.errno not in NOBODY_LISTENS:
            raise
        return False
    return True


def settle_streams() -> None:
    """Write out what is left in the standard streams; the interpreter's end would turn a failure into an exit code of its own."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            with contextlib.suppress(OSError):  # there is nobody left to tell
                say(stream, "")


@contextmanager
def ended_by_signals(cancel: Callable[[], None]) -> Iterator[None]:
    """Turn the first signal that asks to end into a call of ``cancel`` and a KeyboardInterrupt; later ones do not disturb the tidying up.

    Signals that the parent has set to be ignored (``nohup``) stay ignored. Outside the main thread nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()
    known = [getattr(signal, name) for name in ENDING_SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in known}
    heeded = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]

    def end(number: int, _: FrameType | None) -> None:
        if os.getpid() != owner:  # a forked worker ends as the system has it
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        for each in heeded:
            signal.signal(each, signal.SIG_IGN)
        cancel()  # where the exception is lost, as in a destructor, the next progress ends the run
        raise KeyboardInterrupt

    for number in heeded:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, before[number])


def log_safely(level: int) -> None:
    """Send log records and warnings of all libraries to stderr, printable and bounded: they quote values from files."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_SafeFormatter("%(name)s: %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)


class _SafeFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return bounded(printable(super().format(record), keep="\n\t"), 10_000)


def _silence(stream: IO[str]) -> None:
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor, as tests have it
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
