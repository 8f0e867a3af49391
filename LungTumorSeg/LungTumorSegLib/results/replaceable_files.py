"""Which files of an output folder give way to those of a run, and which are in its way.

A file may be replaced if the folder's mark (see ``mark``) proves that LungTumorSeg wrote it and that it has not changed
since, or if ``overwrite`` allows it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import UnusableInput
from ..core.texts import listed, shown
from ..io.dicom_start import is_dicom_file
from .mark import (
    MARK_FILE,
    Mark,
    exists,
    fingerprint,
    is_regular,
)

SHARED_FILES = frozenset({"ct.nrrd"})
"""Files that several commands write with the same content: the CT on a regular grid."""

WRITTEN_CLASSES = frozenset({
    "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.481.3",
})  # fmt: skip
"""SOP classes of the DICOM files that a run writes: Segmentation, Comprehensive 3D SR and RT Structure Set."""


@dataclass(frozen=True)
class Output:
    """The output folder of a run, and the files in it that may be replaced.

    Attributes:
        folder: The output folder; it is created if necessary.
        group: Group of the files. Files of an earlier run of the same group that this run does not write again are
            removed.
        inputs: Files and folders that the run reads; none of them is ever replaced or removed, nor are the files that
            are read along with them (see ``files_read_with``).
        overwrite: Whether files may be replaced that LungTumorSeg did not write, or that have changed since.
        keep: Names of files of the group that stay even if this run does not write them again.
    """

    folder: Path
    group: str
    inputs: Sequence[Path] = ()
    overwrite: bool = False
    keep: Collection[str] = frozenset()


def files_giving_way(output: Output, names: Collection[str], mark: Mark | None) -> dict[str, str]:
    """Return the files in the folder that files with these names would replace, with their checksums.

    Raises:
        UnusableInput: If one of them may not be replaced; nothing has been touched then.
    """
    folder, proven = output.folder.absolute(), mark or Mark()
    inputs = [*output.inputs, *(also for each in output.inputs for also in files_read_with(each))]
    ours = {name for name in proven.names_of(output.group) if is_regular(folder / name)}
    obsolete = {name for name in ours - {*names, *output.keep} if not _is_input(folder / name, inputs)}
    gives_way: dict[str, str] = {}
    refused: list[str] = []
    of_others: list[str] = []
    for name in sorted({*names, *obsolete, MARK_FILE}):
        path = folder / name
        if not exists(path):
            continue
        if not is_regular(path) and not path.is_symlink():
            raise UnusableInput(
                f"{output.folder / name} is not a regular file, but the run must write a result with that name; "
                "rename it, or choose another output folder."
            )
        if _is_input(path, inputs):
            raise UnusableInput(
                f"{output.folder / name} is an input of this run, but the run must write a result with that name; "
                "choose another output folder."
            )
        is_mark = name == MARK_FILE and mark is not None
        if not (is_mark or output.overwrite or (_is_of_group(name, output.group, proven) and proven.proves(path))):
            (of_others if proven.proves(path) else refused).append(name)
        gives_way[name] = fingerprint(path)
    if refused:
        raise UnusableInput(
            f"{listed(refused)} in {shown(output.folder)} would be replaced, but LungTumorSeg did not write it, or it "
            "was changed after LungTumorSeg wrote it; move it, choose another output folder, or allow it with "
            "--overwrite."
        )
    if of_others:
        raise UnusableInput(
            f"{listed(of_others)} in {shown(output.folder)} would be replaced, but another command of LungTumorSeg "
            "wrote it; choose another output folder, or allow it with --overwrite."
        )
    return gives_way


def files_read_with(path: Path) -> list[Path]:
    """Return the files that are read along with an image: its detached voxels, and the names beside a label map."""
    if not path.is_file():
        return []
    from ..io.headers import detached_voxels  # imports numpy, so only if needed
    from ..io.label_names import names_file, read_label_names

    found = [detached_voxels(path)]
    with contextlib.suppress(UnusableInput):  # the reader of the names reports why they cannot be read
        found.append(names_file(path) if read_label_names(path) else None)
    return [each for each in found if each is not None]


def _is_of_group(name: str, group: str, mark: Mark) -> bool:
    file = mark.files.get(name)
    return file is not None and (file.group == group or name in SHARED_FILES)


def _is_input(path: Path, inputs: Sequence[Path]) -> bool:
    """Return whether ``path``, which exists, is one of ``inputs`` or a slice in a DICOM folder among them."""
    for each in inputs:
        with contextlib.suppress(OSError):
            if path.samefile(each):
                return True
            if each.is_dir() and each.resolve() in path.resolve().parents and _may_be_slice(path):
                return True
    return False


def may_be_resampled(source: Path) -> bool:
    """Return whether a CT is DICOM.

    Only DICOM slices may have to be resampled to a regular grid, which adds a file with the resampled CT.
    """
    return source.is_dir() or (source.is_file() and _is_dicom(source))


def _may_be_slice(path: Path) -> bool:
    """Return whether a file is DICOM, except for the kinds that a run writes."""
    if not _is_dicom(path):
        return False
    from ..io.dicom_reading import stated_class  # imports pydicom, so only if needed

    return stated_class(path) not in WRITTEN_CLASSES


def _is_dicom(path: Path) -> bool:
    try:
        return is_dicom_file(path)
    except (OSError, UnusableInput):  # the reader of the file reports why it cannot be read
        return False
