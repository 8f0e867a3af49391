"""Folders that a process holds while it works in them, so that others wait, and can tell what a killed process has left behind.

A private folder is known by the note inside it, never by its name alone. The operating system releases the lock on a folder when the
process ends, even after a crash. Where a file system knows no locks, nobody waits and nothing is taken for left behind.
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
"""Random bytes in a folder's name."""

TRIES = 5
"""To make a folder, where another process takes the empty one for left behind."""

WAIT_SECONDS = 0.01
"""Between two tries to hold a folder that another process holds for some milliseconds."""

TELL_SECONDS = 0.5
"""Between two reports of progress while waiting; a cancellation is noticed as often."""

LONGEST_WAIT_SECONDS = 60.0
"""A folder is held while files move into place, which takes milliseconds; who holds it longer is stuck."""

WAITING = "waiting for another run"
"""The stage that is reported while another process holds the folder."""

HELD_FILE = ".held"
"""On Windows, which cannot lock a folder, a file in it that the system deletes together with its holder."""

OWNER_FILE = ".lungtumorseg-private"
OWNER_NOTE = b"A run of LungTumorSeg works in this folder and deletes it at its end.\n"
"""Content of the note; it is written once the folder is held, so that a folder with it that nobody holds was left behind."""


@contextmanager
def private_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a folder in ``parent`` for this user alone; it is held, and deleted with all in it at the end of the block."""
    folder, descriptor = _make(parent, prefix)
    try:
        yield folder
    finally:
        _empty(folder)  # before it is let go: nobody may take half of it for left behind
        _let_go(descriptor)
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            logging.getLogger(__name__).warning("The folder %s could not be deleted.", folder)


@contextmanager
def held(
    folder: Path, on_progress: ProgressCallback = ignore_progress, *, longest_wait: float = LONGEST_WAIT_SECONDS
) -> Iterator[None]:
    """Wait until no other process holds ``folder``, and hold it for the block.

    Args:
        folder: An existing folder.
        on_progress: Called while waiting; it may raise Cancelled.
        longest_wait: Seconds.

    Raises:
        MachineLimit: If another process holds the folder for longer than ``longest_wait``.
    """
    descriptor = _wait_for(folder, on_progress, longest_wait)
    try:
        yield
    finally:
        _let_go(descriptor)


def left_behind(parent: Path, prefix: str) -> Iterator[Path]:
    """Find the folders that killed processes left in ``parent``, each held until the next is asked for; the caller deletes them."""
    found: list[Path] = []
    with contextlib.suppress(OSError):  # who may not look into a folder has left nothing there
        found = sorted(path for path in parent.iterdir() if path.name.startswith(prefix))
    for folder in found:
        with contextlib.suppress(OSError):  # held, or just deleted
            if folder.is_symlink() or not (_has_note(folder) or _is_bare(folder, prefix)):
                continue
            descriptor = _hold(folder)
            if descriptor is not None:
                try:
                    yield folder
                finally:
                    _let_go(descriptor)


def remove_left_behind(parent: Path, prefix: str) -> None:
    """Delete what killed processes left in ``parent``."""
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
                    f"Another run has been writing to {folder} for more than {longest_wait:.0f} s; end it, or choose "
                    "another output folder."
                ) from error
            if now - told > TELL_SECONDS:
                told = now
                on_progress(Progress(WAITING, int(now - began), int(longest_wait)))
            time.sleep(WAIT_SECONDS)


def _make(parent: Path, prefix: str) -> tuple[Path, int | None]:
    """Make a folder and claim it; who clears up may take it for left behind while it is still empty."""
    for _ in range(TRIES):
        folder = parent / f"{prefix}{secrets.token_hex(KEY_BYTES)}"
        folder.mkdir(mode=0o700)
        with contextlib.suppress(FileNotFoundError):
            return folder, _claim(folder)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(parent))


def _claim(folder: Path) -> int | None:
    """Hold a new folder and put the note into it; delete it where that fails."""
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
    """Tell whether a folder of a name as only we give it is empty: its owner was killed before the note was in it, or after."""
    key = folder.name.removeprefix(prefix)
    return re.fullmatch(rf"[0-9a-f]{{{2 * KEY_BYTES}}}", key) is not None and not any(folder.iterdir())


def _has_note(folder: Path) -> bool:
    note = folder / OWNER_FILE
    return note.is_file() and not note.is_symlink() and note.read_bytes() == OWNER_NOTE


def _empty(folder: Path) -> None:
    """Delete all but the note, which goes last: what is left of a deletion that was killed stays known as ours."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name not in (HELD_FILE, OWNER_FILE):
                path.unlink()


def _hold(folder: Path) -> int | None:
    """Return what ``_let_go`` needs; None where the file system knows no locks. Raises BlockingIOError where another process holds it."""
    if sys.platform == "win32":
        try:
            return os.open(folder / HELD_FILE, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_TEMPORARY)
        except (FileExistsError, PermissionError) as error:
            raise BlockingIOError(f"{folder} is held.") from error
    import fcntl

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
