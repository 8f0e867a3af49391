"""Write a file or a folder completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import MachineLimit
from .messages import unwritable
from .private_folder import private_folder, remove_left_behind

UNFINISHED_PREFIX = ".unfinished-"


@contextmanager
def complete_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path to write to, and move the file to ``path`` at the end of the block.

    The file is deleted if the block fails. It keeps its name, because libraries choose the format by the suffix, and
    lies in a private folder beside ``path``. Folders that killed processes left there are removed.

    Raises:
        MachineLimit: If the disk refuses the file.
    """
    path = Path(path)
    try:
        remove_left_behind(path.parent, UNFINISHED_PREFIX)
        with private_folder(path.parent, UNFINISHED_PREFIX) as private:
            yield private / path.name
            os.replace(private / path.name, path)
    except OSError as error:
        raise MachineLimit(unwritable(path, error)) from error


@contextmanager
def complete_folder(folder: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield a temporary folder to write to, which becomes ``folder`` at the end of the block.

    It is deleted if the block fails. It lies in a private folder beside ``folder``, whose parents are created. Folders
    that killed processes left there are removed.

    Args:
        folder: The folder to write; unless ``replace`` is True, it does not exist or is empty.
        replace: Replace the folder if it exists.

    Yields:
        The temporary folder.
    """
    prefix = f".{folder.name}-"
    folder.parent.mkdir(parents=True, exist_ok=True)
    remove_left_behind(folder.parent, prefix)
    with private_folder(folder.parent, prefix) as private:
        unfinished = private / folder.name
        unfinished.mkdir()
        yield unfinished
        if replace and folder.exists():
            folder.rename(private / "old")
        unfinished.rename(folder)
