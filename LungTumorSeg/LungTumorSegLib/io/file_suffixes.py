"""The suffixes of the files that are read, by what they hold; names are compared without regard to case."""

from __future__ import annotations

from collections.abc import Sequence

HEADER_SUFFIXES = (".nhdr", ".mhd")
"""Suffixes of headers whose voxels lie in another file."""

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha", *HEADER_SUFFIXES)
"""Suffixes of image files, longest first, so that the whole suffix of a name is found."""

SEGMENTATION_SUFFIX = ".seg.nrrd"
"""Suffix of Slicer's segmentations."""

LABEL_SUFFIXES = (SEGMENTATION_SUFFIX, *IMAGE_SUFFIXES, ".dcm")
"""Suffixes of segmentation files, longest first."""

ARCHIVE_SUFFIXES = (
    *(f".tar{packing}" for packing in ("", ".gz", ".bz2", ".xz", ".zst")),
    *(".tgz", ".tbz2", ".txz", ".zip", ".7z", ".rar", ".iso"),
)
"""Suffixes of archives, which are not read but may contain CTs."""


def has_suffix(name: str, suffixes: Sequence[str]) -> bool:
    """Return whether a file name ends in one of the suffixes."""
    return name.lower().endswith(tuple(suffixes))


def without_suffix(name: str, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> str:
    """Return a file name without the first of the suffixes in which it ends."""
    suffix = next((each for each in suffixes if name.lower().endswith(each)), "")
    return name[: len(name) - len(suffix)]
