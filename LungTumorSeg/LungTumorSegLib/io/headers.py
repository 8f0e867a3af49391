"""Recognize the format of an image file by its content, never by its name, and read its header."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.errors import SeveralPhases, UnusableInput
from .image_header import ImageHeader
from .metaimage_header import is_metaimage, parse_metaimage
from .nifti_header import HEADER_BYTES, is_nifti, parse_nifti
from .nrrd_header import parse_nrrd
from .regular_files import open_regular
from .voxels import check_voxels, first_bytes

START_BYTES = 4096
"""Number of bytes at the start of a file that suffice to recognize every format."""

OTHER_FORMATS = {
    b"PK\3\4": "a ZIP archive; unpack it first",
    b"7z\xbc\xaf": "a 7-Zip archive; unpack it first",
    b"\x89PNG": "a PNG picture; choose the CT or the segmentation itself",
    b"\xff\xd8\xff": "a JPEG picture; choose the CT or the segmentation itself",
    b"%PDF": "a PDF document; choose the CT or the segmentation itself",
    b"version https://git-lfs": "a Git LFS pointer; download the file itself (git lfs pull)",
    b"<!DOCTYPE html": "a web page that was saved instead of the image; download the image again",
    b"<html": "a web page that was saved instead of the image; download the image again",
    b"\x89HDF": "an HDF5 file (MINC or another); convert it to NIfTI",
}
"""Formats that users give by mistake: the first bytes, and the rest of the error message."""


def read_header(path: Path, *, phase: int | None = None) -> ImageHeader:
    """Read and check the header of a NIfTI, NRRD or MetaImage file; no voxels are read.

    Args:
        path: The file.
        phase: Which phase of a 4D image to read, counted from 0; None for a 3D image.

    Raises:
        SeveralPhases: If the image is 4D, and no phase is given.
        UnusableInput: If the file cannot be opened, has another format, or its header states something unusable.
    """
    header = parse_header(path)
    check_phase(phase, ("",) * header.phases if header.phases > 1 else (), path)
    return header if phase is None else header.of_phase(phase)


def check_phase(phase: int | None, phases: Sequence[str], path: Path) -> None:
    """Check that a phase is given if, and only if, an image is 4D.

    Args:
        phase: The phase that the user chose, or None.
        phases: What tells the phases of the image apart; empty if it is 3D.
        path: The image.

    Raises:
        SeveralPhases: If the image is 4D, and no phase is given.
        UnusableInput: If there is no such phase.
    """
    if phase is None and not phases:
        return
    if not phases:
        raise UnusableInput(f"{path} is a 3D image, which has no phases; omit --phase.")
    choice = f"choose one with --phase, from 0 to {len(phases) - 1}"
    if phase is None:
        raise SeveralPhases(path, phases, choice)
    if not 0 <= phase < len(phases):
        raise UnusableInput(f"{path} has no phase {phase}; {choice}.")


def parse_header(path: Path) -> ImageHeader:
    """Return the header of a NIfTI, NRRD or MetaImage file, which may be 4D.

    Args:
        path: The file, which is recognized by its content.

    Raises:
        UnusableInput: It has another format, or its header cannot be used.
    """
    with open_regular(path) as file:
        start = file.read(START_BYTES)
        file.seek(0)
        if start.startswith(b"NRRD"):
            return parse_nrrd(file, path)
        if is_metaimage(start):
            return parse_metaimage(file, path)
    gzipped = start.startswith(b"\x1f\x8b")
    content = first_bytes(path, START_BYTES) if gzipped else start
    if is_nifti(content):
        return parse_nifti(content[:HEADER_BYTES], path, gzipped=gzipped)
    raise UnusableInput(_other_format(path, start, gzipped=gzipped))


def detached_voxels(path: Path) -> Path | None:
    """Return the file that holds the voxels of an image if it is not the image's own; None for anything else."""
    try:
        voxels = parse_header(path).place.path
    except UnusableInput:
        return None
    return None if voxels == path else voxels


def check_image_file(path: Path) -> None:
    """Check that ``path`` is an intact NIfTI, NRRD or MetaImage file that states its spacing and axes.

    All voxels are read, and unpacked to verify their checksum, but not kept.

    Raises:
        UnusableInput: If it is not.
    """
    check_voxels(parse_header(path), path)


def _other_format(path: Path, start: bytes, *, gzipped: bool) -> str:
    """Return the error message for a file of another format."""
    if not start:
        return f"{path} is empty (0 bytes); copy or export it again."
    if start[128:132] == b"DICM":
        return f"{path} is a DICOM file, which cannot be used here; choose a NIfTI, NRRD or MetaImage file."
    for mark, name in OTHER_FORMATS.items():
        if start.startswith(mark):
            return f"{path} is {name}."
    if gzipped:
        return (
            f"{path} is a gzip file that contains no NIfTI; unpack it, or choose a DICOM, NIfTI, NRRD or MetaImage "
            "file."
        )
    return (
        f"{path} is not a DICOM, NIfTI (.nii, .nii.gz), NRRD or MetaImage (.mha, .mhd) file; convert it to one of "
        "these formats."
    )
