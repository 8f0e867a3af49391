"""Whether a folder can hold the results of a run: its name, its permissions, and the room on its disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from ..core.errors import MachineLimit, UnusableInput
from ..core.texts import shown
from ..io.regular_files import check_encodable

LEAST_FREE_BYTES = 16 * 2**20
"""Free disk space, in bytes, without which no run begins; the smallest result takes some MB."""


def check_output_folder(path: str | os.PathLike[str]) -> None:
    """Check that ``path`` can become a folder for output files; nothing is created.

    Raises:
        UnusableInput: If it cannot.
        MachineLimit: If the disk is full.
    """
    check_encodable(path)
    try:
        folder = Path(path).absolute()
    except FileNotFoundError as error:
        raise UnusableInput(
            f"The output folder {shown(path)} cannot be written (the current folder was deleted); give its full path."
        ) from error
    existing = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
    if existing.is_symlink() and not existing.exists():
        problem = f"{existing} is a link to a folder that does not exist"
    elif not existing.is_dir():
        problem = f"{existing} is a file"
    else:
        problem = naming_problem(folder) or _writing_problem(existing)
    if problem:
        raise UnusableInput(f"The output folder {shown(path)} cannot be written ({problem}); choose another one.")
    check_room(existing, LEAST_FREE_BYTES)


def naming_problem(path: Path) -> str:
    """Return why no file or folder can have this name, for example because it is too long; "" if one can."""
    try:
        path.lstat()
    except FileNotFoundError:
        return ""
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _writing_problem(folder: Path) -> str:
    """Return why no file can be written into ``folder``; "" if writing is possible."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def check_room(folder: Path, needed_bytes: int) -> None:
    """Check the free space on the disk of ``folder``, or of its nearest existing parent.

    Raises:
        MachineLimit: If there are fewer than ``needed_bytes``.
    """
    disk = shutil.disk_usage(nearest_folder(folder))
    if disk.total > 0 and disk.free < needed_bytes:
        raise MachineLimit(
            f"The disk of {folder} has {disk.free // 2**20} MB of free space, but the results need at least "
            f"{-(-needed_bytes // 2**20)} MB; free some disk space or choose another output folder."
        )


def nearest_folder(folder: Path) -> Path:
    """Return ``folder`` if it exists, or else its nearest parent that does."""
    return next(each for each in (folder.absolute(), *folder.absolute().parents) if each.is_dir())
