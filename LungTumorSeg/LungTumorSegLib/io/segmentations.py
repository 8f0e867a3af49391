"""Read a segmentation of any format: recognize it, choose its reader, and number its lesions."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..core.argument_types import expect_segmentation_path
from ..core.crops import crop_of
from ..core.errors import UnusableInput
from ..core.selection import is_lesion, selection_doubts
from ..core.volume import Volume
from .dicom_start import is_dicom_file
from .file_suffixes import SEGMENTATION_SUFFIX, has_suffix
from .headers import parse_header
from .images import StoredImage, read_stored_image, read_volume
from .label_maps import as_labels, label_segments
from .label_names import read_label_names
from .regular_files import existing_mode
from .seg_nrrd import header_names_segments, named_segments
from .segment import Segment

RESULT_FILES = ("segmentation.seg.nrrd", "segmentation.dcm")
"""Names of the segmentation in a folder that ``segment`` or ``measure`` wrote, the preferred one first."""

NAMED_FILES = 5
"""Largest number of files that a message names."""

NO_LESION = "The segmentation contains no lesion; check that it is the right file."


def read_segmentation(path: str | os.PathLike[str], ct: Volume | None = None) -> list[Segment]:
    """Read the segments of a .seg.nrrd, a label map, or a DICOM segmentation or structure set.

    In a plain label map, each label n > 0 becomes "Segment n". Masks lie on the grid of the file; each stores only its
    bounding box. Slicer may have cropped that grid, or enlarged it where a user painted, so it can differ from the grid
    of the CT.

    Args:
        path: A file, or a folder that holds a result of ``segment`` or a single DICOM segmentation or structure set.
        ct: The CT, on whose grid the contours of a structure set are filled.

    Raises:
        UnusableInput: If the file is missing, damaged or not 3D, or holds anything but labels; if a structure set comes
            without a CT.
    """
    expect_segmentation_path(path)
    path = segmentation_file(Path(path))
    if is_dicom_file(path):
        from .dicom_masks import read_dicom_masks  # importing pydicom and highdicom takes a second

        return read_dicom_masks(path, ct)
    image = read_stored_image(path, allow_layers=True)
    if header_names_segments(image.metadata):
        return _with_doubts(named_segments(image, path), image)
    if image.array.ndim > 3:
        raise UnusableInput(
            f"{path} contains several values per voxel, such as phases or colors, but names no segments; choose a "
            "segmentation or a 3D label map."
        )
    return _with_doubts(label_segments(image.array, image.affine, path), image)


def read_lesion_labels(
    path: Path, grid: Volume | None = None, warn: Callable[[str], None] = lambda sentence: None
) -> Volume:
    """Read lesions as a label map: one label per lesion (uint16), 0 elsewhere, in the file's own axis order.

    A label map without names keeps its labels. The lesion segments of a segmentation are numbered 1 ... n, largest
    first. A voxel of two lesions belongs to the smaller one, which would otherwise be hidden.

    Args:
        path: A label map, a .seg.nrrd, or a DICOM segmentation or structure set.
        grid: The grid on which a structure set is filled; other files have their own.
        warn: Receives the sentences of ``selection_doubts``, and one if the file has no lesion.

    Raises:
        UnusableInput: If the file cannot be read or holds anything but labels.
    """
    if not names_segments(path) and not read_label_names(path):
        volume = read_volume(path)
        labels = as_labels(volume.array, path)
        if not labels.any():
            warn(NO_LESION)
        return volume.with_array(labels)
    segments = read_segmentation(path, grid)
    for sentence in selection_doubts(segments):
        warn(sentence)
    if not segments:
        if is_dicom_file(path):
            raise UnusableInput(f"{path} contains no segments; choose another segmentation.")
        empty = read_volume(path)
        return empty.with_array(np.zeros(empty.shape, np.uint16))
    whole = segments[0].mask.grid
    labels = np.zeros(whole.shape, np.uint16)
    crops = [crop for segment in segments if is_lesion(segment) and (crop := crop_of(segment.mask)) is not None]
    if not crops:
        warn(NO_LESION)
    for number, crop in enumerate(sorted(crops, key=lambda crop: -np.count_nonzero(crop.mask.array)), start=1):
        labels[crop.slices][crop.mask.array] = number
    return Volume(labels, whole.affine)


def names_segments(path: Path) -> bool:
    """Return whether a file is a segmentation that names its segments, judged by its header and not by its name.

    A .seg.nrrd counts even if it names none.
    """
    if has_suffix(path.name, [SEGMENTATION_SUFFIX]) or is_dicom_file(path):
        return True
    return header_names_segments(parse_header(path).metadata)


def segmentation_file(path: Path) -> Path:
    """Return the file that holds the segmentation: ``path`` itself, or the file in the folder ``path``.

    In a folder, this is segmentation.seg.nrrd, otherwise segmentation.dcm, otherwise its only DICOM segmentation or
    structure set.

    Raises:
        UnusableInput: If the path does not exist, or the folder holds no or several segmentations.
    """
    if not stat.S_ISDIR(existing_mode(path)):
        return path
    for name in RESULT_FILES:
        if (path / name).is_file():
            return path / name
    from .dicom_masks import dicom_masks_in  # importing pydicom and highdicom takes a second

    found = dicom_masks_in(path)
    if len(found) != 1:
        names = f": {', '.join(str(file.relative_to(path)) for file in found[:NAMED_FILES])}" if found else ""
        raise UnusableInput(
            f"The folder {path} contains {len(found) or 'no'} segmentations ({RESULT_FILES[0]}, DICOM SEG or "
            f"RTSTRUCT){names}; choose the file itself."
        )
    return found[0]


def _with_doubts(segments: list[Segment], image: StoredImage) -> list[Segment]:
    """Add what is doubtful about the geometry of a segmentation to the warnings of its segments."""
    doubts = tuple(f"The segmentation may lie elsewhere. {each}" for each in image.warnings)
    return [replace(each, warnings=(*each.warnings, *doubts)) for each in segments] if doubts else segments
