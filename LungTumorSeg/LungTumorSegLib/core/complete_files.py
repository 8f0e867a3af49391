"""Write a file completely or not at all."""

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
