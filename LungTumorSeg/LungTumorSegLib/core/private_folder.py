"""Folders that a process holds while it works in them, so that others wait, and can tell what a killed process has left behind.

The system lets go of a folder when its holder ends, however it ends. Where a file system knows no locks, nobody waits and nothing is
taken for left behind.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STALE_SECONDS = 60.0
"""A folder is held at once after it was made; one that nobody holds after this long was left behind."""

WAIT_SECONDS = 0.01
"""Between two tries to hold a folder that another process holds for some milliseconds."""

HELD_FILE = ".held"
"""On Windows, which cannot lock a folder, a file in it that the system deletes together with its holder."""


@contextmanager
def private_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """A fresh folder in ``parent`` for this user alone, held until it is deleted at the end of the block."""
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    descriptor = _hold(folder)
    try:
        yield folder
    finally:
        _empty(folder)  # before it is let go: nobody may take half of it for left behind
        _let_go(descriptor)
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            logging.getLogger(__name__).warning("The folder %s could not be deleted.", folder)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Waits until no other process holds ``folder``, and holds it for the block."""
    while True:
        try:
            descriptor = _hold(folder)
        except BlockingIOError:
            time.sleep(WAIT_SECONDS)
        else:
            break
    try:
        yield
    finally:
        _let_go(descriptor)


def left_behind(parent: Path, prefix: str) -> Iterator[Path]:
    """The folders that killed processes left in ``parent``, each held until the next is asked for; the caller deletes them."""
    for folder in sorted(parent.glob(f"{prefix}*")):
        with contextlib.suppress(OSError):  # held, not ours, or just deleted
            if folder.is_symlink() or time.time() - folder.stat().st_mtime < STALE_SECONDS:
                continue
            descriptor = _hold(folder)
            if descriptor is not None:
                try:
                    yield folder
                finally:
                    _let_go(descriptor)


def _empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != HELD_FILE:
                path.unlink()


def _hold(folder: Path) -> int | None:
    """What ``_let_go`` needs; None where the file system knows no locks. Raises BlockingIOError where another process holds it."""
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
