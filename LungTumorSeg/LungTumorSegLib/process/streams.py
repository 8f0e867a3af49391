"""Handle the standard streams of a command, which may be missing or end early, and the signals that ask it to stop."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import IO

from ..core.texts import bounded, printable

NOBODY_LISTENS = {errno.EPIPE, errno.EBADF, errno.EIO}
"""Error codes of a stream without a reader: a closed pipe, a closed descriptor, or a terminal that has disconnected."""

ENDING_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""Signals that ask a command to end; not every system has all of them."""

GRACE_SECONDS = 3.0
"""Seconds that a command has to end by itself after it was asked to; one stack takes less than a second."""


def open_standard_streams() -> None:
    """Replace each closed standard stream with the null device, so that no file of ours gets its descriptor."""
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
    """Write ``text`` and flush the stream.

    Returns:
        False if the stream no longer has a reader. Later writes to it are then discarded without an error, even at the
        end of the process.

    Raises:
        OSError: If writing fails for another reason, such as a full disk.
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
    """Flush the standard streams.

    Otherwise the interpreter would turn a failure at its end into an exit code of its own.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            with contextlib.suppress(OSError):  # no stream is left to report it to
                say(stream, "")


@contextmanager
def ended_by_signals(cancel: Callable[[], None]) -> Iterator[None]:
    """Turn the first signal that asks to end into a call of ``cancel`` and a KeyboardInterrupt.

    While a module is being imported, only ``cancel`` is called: an exception that interrupts the loading of compiled
    code can crash the process. Later signals are ignored, so that they do not disturb the cleanup. Signals that the
    parent process set to be ignored (``nohup``) stay ignored. Outside the main thread nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner, heeded = os.getpid(), heeded_signals()
    before = {number: signal.getsignal(number) for number in heeded}

    def end(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a forked worker ends in the default way
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        for each in heeded:
            signal.signal(each, signal.SIG_IGN)
        cancel()  # if the exception is lost, as in a destructor, the next progress call ends the run
        if not _imports(frame):
            raise KeyboardInterrupt

    for number in heeded:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, before[number])


@contextmanager
def ended_soon(end: Callable[[], None]) -> Iterator[None]:
    """Call ``end`` in another thread if the block goes on for ``GRACE_SECONDS`` after a signal that asks to end.

    Python runs its signal handlers between two instructions of the main thread. A long call of compiled code delays
    them: a step of a training, for example, may take a minute on a busy machine. The descriptor of
    ``signal.set_wakeup_fd`` is written when the signal arrives. Outside the main thread nothing changes.

    Args:
        end: Ends the process; it is called while the main thread is in the middle of its work.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived, announced = socket.socketpair()
    announced.setblocking(False)
    left = threading.Event()

    def watch() -> None:
        while numbers := arrived.recv(1024):
            if not _ending_signals().isdisjoint(numbers):
                if not left.wait(GRACE_SECONDS):
                    end()
                return

    before = signal.set_wakeup_fd(announced.fileno(), warn_on_full_buffer=False)
    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        left.set()
        signal.set_wakeup_fd(before)
        announced.close()
        watching.join()
        arrived.close()


def heeded_signals() -> list[int]:
    """Return the signals that ask this process to end, without those that its parent process set to be ignored."""
    return [number for number in _ending_signals() if signal.getsignal(number) not in (signal.SIG_IGN, None)]


def _ending_signals() -> set[int]:
    return {getattr(signal, name) for name in ENDING_SIGNALS if hasattr(signal, name)}


def _imports(frame: FrameType | None) -> bool:
    """Return whether a frame, or what called it, belongs to the import of a module."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def log_safely(level: int) -> None:
    """Send log records and warnings of all libraries to stderr.

    They are made printable and bounded, because they quote values from files. A warning that repeats is shown once,
    because libraries repeat it for each of hundreds of DICOM slices.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(level)  # the loggers of libraries (pydicom) have levels of their own
    handler.setFormatter(_SafeFormatter("%(name)s: %(message)s"))
    handler.addFilter(_NewWarnings())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)


class _SafeFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return bounded(printable(super().format(record), keep="\n\t"), 10_000)


class _NewWarnings(logging.Filter):
    """Passes each warning without a traceback once, and everything else."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: set[tuple[str, str]] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno != logging.WARNING or record.exc_info:
            return True
        warning = record.name, record.getMessage()
        is_new = warning not in self._shown
        self._shown.add(warning)
        return is_new


def _silence(stream: IO[str]) -> None:
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor, as in tests
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
