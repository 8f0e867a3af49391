"""Search a folder for DICOM files by their first bytes, without importing pydicom, which takes a third of a second."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..core.errors import UnusableInput
from ..core.texts import listed, shown
from .dicom_start import begins_as_dicom, leads_to_regular_file, start_of
from .file_suffixes import ARCHIVE_SUFFIXES, IMAGE_SUFFIXES, has_suffix

DICOM_SUFFIXES = (".dcm", ".dicom", ".dic", ".ima")

INCOMPLETE_SUFFIXES = (".part", ".partial", ".crdownload", ".download", ".tmp")
"""What follows the name of a slice whose copy is incomplete."""

PACKED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zip", *INCOMPLETE_SUFFIXES)
"""What follows the name of a slice that is packed, or whose copy is incomplete."""

PACKED_MARKS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PK\3\4")
"""First bytes of files that gzip, bzip2, xz, Zstandard and ZIP have packed."""

PROTECTED, PACKED = "protected against reading", "compressed and must be unpacked"
"""Why files are not read, as messages put it."""

INSTEAD = (
    (IMAGE_SUFFIXES, "an image file", "image files", "choose a single file instead of the folder"),
    (ARCHIVE_SUFFIXES, "an archive", "archives", "unpack it first, or choose another folder"),
)
"""What may lie in a folder instead of DICOM files, and what to do."""

SLICES = ("1 file that looks like a slice", "files that look like slices")
"""What messages call one file that is not read, and several of them."""


def check_holds_dicom(folder: Path) -> None:
    """Check that a folder, or a subfolder, holds a DICOM file. The search ends with the first one.

    Raises:
        UnusableInput: If none is found.
    """
    unread: list[Path] = []
    others = []
    for path, start in starts_of(folder, unread):
        if begins_as_dicom(start):
            return
        others.append(path)
    raise no_dicom(folder, unread + [path for path in others if is_named_as_slice(path)], others)


def no_dicom(path: Path, unread: list[Path], others: list[Path]) -> UnusableInput:
    """Return the error about a path at which no DICOM file can be read.

    Args:
        path: The path that was searched.
        unread: Files that look like slices but cannot be read.
        others: Files that are not DICOM, of which archives and image files are named.
    """
    if unread:
        return UnusableInput(
            f"{shown(path)} contains no readable CT slices: {unread_sentence(unread)}; {_remedy(unread)}."
        )
    for suffixes, one, many, remedy in INSTEAD:
        found = [each.name for each in others if has_suffix(each.name, suffixes) and not is_hidden(each)]
        if found:
            what = one if len(found) == 1 else many
            return UnusableInput(
                f"{shown(path)} contains no DICOM files, but {what} ({listed(found, most=3, longest=60)}); {remedy}."
            )
    return UnusableInput(f"{shown(path)} contains no DICOM files; choose a DICOM folder or an image file.")


def _remedy(unread: list[Path]) -> str:
    reasons = {_why_unread(each) for each in unread}
    if reasons == {PROTECTED}:
        return "check the permissions"
    return "unpack them first" if reasons == {PACKED} else "copy or export the series again"


def starts_of(path: Path, unread: list[Path]) -> Iterator[tuple[Path, bytes]]:
    """Yield each regular file at or below ``path``, with its first bytes.

    Args:
        path: A file, or a folder to search.
        unread: Receives the folders and files that cannot be opened.
    """
    for each in [path] if path.is_file() else regular_files(path, unread):
        try:
            start = start_of(each)
        except OSError:
            unread.append(each)
        else:
            yield each, start


def regular_files(folder: Path, unread: list[Path]) -> Iterator[Path]:
    """Yield the regular files below ``folder``, sorted by name within each folder.

    A linked folder is entered once, and never if it contains ``folder``. Broken links are ignored.

    Args:
        folder: The folder to search.
        unread: Receives the folders and files that cannot be opened.
    """

    def refused(error: OSError) -> None:
        unread.append(Path(error.filename))

    root = Path(os.path.realpath(folder))
    entered = {str(root), *map(str, root.parents)}
    for where, names, files in os.walk(folder, followlinks=True, onerror=refused):
        targets = {name: os.path.realpath(os.path.join(where, name)) for name in sorted(names)}
        names[:] = []
        for name, target in targets.items():
            if target not in entered:
                entered.add(target)
                names.append(name)
        for name in sorted(files):
            path = Path(where, name)
            try:
                if leads_to_regular_file(path):
                    yield path
            except OSError:
                unread.append(path)


def is_named_as_slice(path: Path) -> bool:
    """Return whether a file has the suffix of a slice, also if it is packed or incomplete, and is not hidden."""
    return not is_hidden(path) and unpacked_name(path).suffix.lower() in DICOM_SUFFIXES


def unpacked_name(path: Path) -> Path:
    """Return the path without the suffix of a packed or incomplete file."""
    return path.with_suffix("") if path.suffix.lower() in PACKED_SUFFIXES else path


def is_hidden(path: Path) -> bool:
    """Return whether a file is hidden; those that macOS adds begin with ``._``."""
    return path.name.startswith(".")


def unread_sentence(unread: list[Path]) -> str:
    """Return how many files and folders cannot be read, with the names of the first ones, for each reason."""
    reasons: dict[tuple[bool, str], list[Path]] = {}
    for each in unread:
        reasons.setdefault((each.is_dir(), _why_unread(each)), []).append(each)
    said = []
    for (are_folders, reason), paths in sorted(reasons.items()):
        names = listed([each.name for each in paths], most=3, longest=60)
        one, many = ("1 folder", "folders") if are_folders else SLICES
        what = f"{one} is" if len(paths) == 1 else f"{len(paths)} {many} are"
        said.append(f"{what} {reason} ({names})")
    return "; ".join(said)


def _why_unread(path: Path) -> str:
    """Return why a folder, or a file that looks like a slice, cannot be read."""
    try:
        start = start_of(path)
    except PermissionError:
        return PROTECTED
    except OSError:
        return PROTECTED if path.is_dir() and not os.access(path, os.R_OK | os.X_OK) else "unreadable"
    if any(start.startswith(mark) for mark in PACKED_MARKS):
        return PACKED
    if path.suffix.lower() in INCOMPLETE_SUFFIXES:
        return "incomplete, as its name says" if start else "empty"
    return "truncated or not DICOM" if start else "empty"
