"""Folders that a process locks while it works in them.

Other processes wait for the lock, and can recognize what a killed process left behind. A private folder is recognized
by the note file inside it, never by its name alone. The operating system releases the lock when the process ends, even
after a crash. On a file system without locks, no process waits and no folder counts as left behind.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import MachineLimit
from .events import Progress, ProgressCallback, ignore_progress

KEY_BYTES = 8
"""Number of random bytes in a folder's name."""

TRIES = 5
"""Number of attempts to create a folder.

An attempt fails if another process removes the still empty folder because it seems to be left behind.
"""

WAIT_SECONDS = 0.01
"""Seconds between two attempts to lock a folder that another process holds."""

TELL_SECONDS = 0.5
"""Seconds between two progress reports while waiting; a cancellation is noticed in the same interval."""

MOST_TOLD_SECONDS = 86400
"""Largest number of seconds that a progress report states as the longest wait."""

LONGEST_WAIT_SECONDS = 60.0
"""Longest wait for a lock, in seconds.

A process holds a folder while it moves files into place, which takes milliseconds. A process that holds it longer is
stuck.
"""

WAITING = "waiting for another run"
"""The stage that is reported while another process holds the folder."""

HELD_FILE = ".held"
"""File that acts as the lock on Windows, which cannot lock a folder.

The system deletes the file when the process that holds it ends.
"""

OWNER_FILE = ".lungtumorseg-private"
OWNER_NOTE = b"A run of LungTumorSeg works in this folder and deletes it at its end.\n"
"""Content of the note file.

The note is written after the folder is locked. A folder that has the note but no lock was therefore left behind.
"""


@contextmanager
def private_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Create a folder in ``parent`` for the current user only, and lock it for the duration of the block.

    The folder and its content are deleted at the end of the block.

    Args:
        parent: An existing folder.
        prefix: Start of the folder's name; random characters follow.

    Yields:
        The path of the folder.
    """
    folder, descriptor = _make(parent, prefix)
    with contextlib.ExitStack() as cleaning:
        for _ in range(2):  # if a signal that asks to end interrupts a deletion, it is repeated
            cleaning.callback(shutil.rmtree, folder, ignore_errors=True)
        cleaning.callback(_let_go, descriptor)
        for _ in range(2):  # before the lock is released, so that no process finds a half-deleted folder
            cleaning.callback(_empty, folder)
        yield folder
    if os.path.lexists(folder):
        logging.getLogger(__name__).warning("The folder %s could not be deleted.", folder)


@contextmanager
def hold_folder(
    folder: Path, on_progress: ProgressCallback = ignore_progress, *, longest_wait: float = LONGEST_WAIT_SECONDS
) -> Iterator[int | None]:
    """Wait until no other process holds ``folder``, then lock it for the duration of the block.

    Args:
        folder: An existing folder.
        on_progress: Called while waiting; it may raise Cancelled.
        longest_wait: Longest wait in seconds.

    Yields:
        The descriptor of the lock. A child process that inherits it holds the folder too, until both have ended. None
        if the file system has no locks.

    Raises:
        MachineLimit: If another process holds the folder for longer than ``longest_wait``.
    """
    descriptor = _wait_for(folder, on_progress, longest_wait)
    try:
        yield descriptor
    finally:
        _let_go(descriptor)


def left_behind(parent: Path, prefix: str) -> Iterator[Path]:
    """Yield the folders that killed processes left in ``parent``.

    Each folder stays locked until the caller requests the next one. The caller deletes it.
    """
    found: list[Path] = []
    with contextlib.suppress(OSError):  # a user without read permission has left nothing there
        found = sorted(path for path in parent.iterdir() if path.name.startswith(prefix))
    for folder in found:
        with contextlib.suppress(OSError):  # the folder is locked, or was just deleted
            if folder.is_symlink() or not (_has_note(folder) or _is_bare(folder, prefix)):
                continue
            descriptor = _hold(folder)
            if descriptor is not None:
                try:
                    yield folder
                finally:
                    _let_go(descriptor)


def remove_left_behind(parent: Path, prefix: str) -> None:
    """Delete the folders that killed processes left in ``parent``."""
    for folder in left_behind(parent, prefix):
        _empty(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(folder: Path, on_progress: ProgressCallback, longest_wait: float) -> int | None:
    began = told = time.monotonic()
    while True:
        try:
            return _hold(folder)
        except BlockingIOError as error:
            now = time.monotonic()
            if now - began > longest_wait:
                raise MachineLimit(
                    f"Another run has been writing to {folder} for more than {longest_wait:.0f} s; stop that run or "
                    "choose another output folder."
                ) from error
            if now - told > TELL_SECONDS:
                told = now
                on_progress(Progress(WAITING, int(now - began), int(min(longest_wait, MOST_TOLD_SECONDS))))
            time.sleep(WAIT_SECONDS)


def _make(parent: Path, prefix: str) -> tuple[Path, int | None]:
    """Create a folder and lock it.

    While the folder is still empty, a process that cleans up may remove it; then another one is created.
    """
    for _ in range(TRIES):
        folder = parent / f"{prefix}{secrets.token_hex(KEY_BYTES)}"
        try:
            folder.mkdir(mode=0o700)
            with contextlib.suppress(FileNotFoundError):
                return folder, _claim(folder)
        except KeyboardInterrupt:  # a signal that asks to end
            shutil.rmtree(folder, ignore_errors=True)
            raise
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(parent))


def _claim(folder: Path) -> int | None:
    """Lock a new folder and write the note file into it; delete the folder if either fails."""
    descriptor = None
    try:
        descriptor = _hold(folder)
        (folder / OWNER_FILE).write_bytes(OWNER_NOTE)
    except BaseException:
        _let_go(descriptor)
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return descriptor


def _is_bare(folder: Path, prefix: str) -> bool:
    """Return whether a folder has a name that only this module creates, and holds at most a part of the note file.

    Its owner was killed before the note file was complete, or after it was deleted.
    """
    key = folder.name.removeprefix(prefix)
    if re.fullmatch(rf"[0-9a-f]{{{2 * KEY_BYTES}}}", key) is None:
        return False
    found = list(folder.iterdir())
    return not found or (found == [folder / OWNER_FILE] and OWNER_NOTE.startswith(found[0].read_bytes()))


def _has_note(folder: Path) -> bool:
    note = folder / OWNER_FILE
    return note.is_file() and not note.is_symlink() and note.read_bytes() == OWNER_NOTE


def _empty(folder: Path) -> None:
    """Delete the content of a folder except the lock and the note file.

    The note file is deleted last, so that the remains of an interrupted deletion can still be recognized.
    """
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in (HELD_FILE, OWNER_FILE):
                path.unlink()


def _hold(folder: Path) -> int | None:
    """Lock a folder and return the descriptor that ``_let_go`` needs; None if the file system has no locks.

    Raises:
        BlockingIOError: If another process holds the folder.
    """
    if sys.platform == "win32":
        try:
            return os.open(folder / HELD_FILE, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_TEMPORARY)
        except (FileExistsError, PermissionError) as error:
            raise BlockingIOError(f"{folder} is held.") from error
    import fcntl  # Windows has no such module

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return descriptor


def _let_go(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)
