"""The checksum of the files of a CT, by which a batch knows whether it has segmented the CT before."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Set
from pathlib import Path

from ..core.errors import UnusableInput
from ..core.events import Cancelled
from ..core.messages import unreadable
from ..io.dicom_folder import regular_files
from ..io.file_suffixes import HEADER_SUFFIXES, has_suffix
from ..io.headers import parse_header
from ..io.regular_files import existing_mode
from ..results.mark import MARK_FILE, fingerprint, read_mark
from .items import Item
from .records import RECORDS_FOLDER

Stopped = Callable[[], bool]
"""Returns whether the work must end soon."""


def input_checksum(item: Item, stopped: Stopped) -> str:
    """Return the SHA-256 of the content of an item's files, whatever their names and order.

    Args:
        item: The CT.
        stopped: Asked between files.

    Raises:
        UnusableInput: If a file is missing or cannot be read.
        Cancelled: If ``stopped`` returned True.
    """
    existing_mode(item.path)
    checksums = []
    for path in item.files or _files_of(item.path):
        if stopped():
            raise Cancelled
        try:
            checksums.append(fingerprint(path.resolve()))
        except OSError as error:
            raise UnusableInput(unreadable(path, error)) from error
    return hashlib.sha256("\n".join(sorted(checksums)).encode()).hexdigest()


def _files_of(path: Path) -> list[Path]:
    """Return the files on which the content of a CT depends.

    These are all files of a folder except those that LungTumorSeg wrote: results may lie in a subfolder of the CT.
    """
    if path.is_dir():
        files = [each for each in regular_files(path, []) if RECORDS_FOLDER not in each.relative_to(path).parts]
        own = {folder: _own_names(folder) for folder in {each.parent for each in files}}
        return sorted(each for each in files if each.name not in own[each.parent])
    detached = [parse_header(path).place.path] if has_suffix(path.name, HEADER_SUFFIXES) else []
    return [path, *(each for each in detached if each != path)]


def _own_names(folder: Path) -> Set[str]:
    """Return the names of the files in a folder that LungTumorSeg wrote, and of its mark."""
    mark = read_mark(folder)
    return {*mark.files, MARK_FILE} if mark else set()
