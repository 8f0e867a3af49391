"""Label maps: images whose voxels are whole numbers, each of which is a segment or a lesion."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..core.boxes import boxes_of_labels, slices_of
from ..core.crops import SparseMask, crop_at, crop_of
from ..core.errors import UnusableInput
from ..core.selection import is_lesion
from ..core.terminology import UNSPECIFIED
from ..core.volume import Array, Grid, Volume
from .images import read_volume
from .segment import UNSPECIFIED_COLORS, Segment

MAX_LABELS = 256
"""More than any atlas of the whole body has; an image with more values is a CT or a map, not a label map."""

SEGMENTATION_SUFFIX = ".seg.nrrd"
LABEL_SUFFIXES = (SEGMENTATION_SUFFIX, ".nii.gz", ".nii", ".nrrd", ".mha", ".dcm")
"""Longest first, so that a name loses all of its suffix."""

LARGEST_LABEL = int(np.iinfo(np.uint16).max)
"""Labels are kept up to this number; where a file has larger ones they are numbered 1, 2, 3 ... in their order."""


def label_segments(array: Array, affine: Array, path: Path) -> list[Segment]:
    """The labels of a label map (slice, row, column), ascending, each as the segment "Segment n".

    Raises:
        UnusableInput: If values are not whole, below zero or too many to be labels.
    """
    _check_finite(array, path)
    boxes = boxes_of_labels(array)
    if any(label < 0 or label != int(label) for label in boxes) or len(boxes) > MAX_LABELS:
        raise _not_labels(path)
    grid = Grid(_shape(array), affine)
    return [
        Segment(
            f"Segment {int(label)}",
            SparseMask(crop_at(array[slices_of(box)] == label, box, grid), grid),
            UNSPECIFIED_COLORS[number % len(UNSPECIFIED_COLORS)],
            UNSPECIFIED,
        )
        for number, (label, box) in enumerate(boxes.items())
    ]


def read_lesion_labels(path: Path, grid: Volume | None = None) -> Volume:
    """One label per lesion, uint16, 0 elsewhere, in the file's own order of axes.

    A label map keeps its labels. Lesion segments of a segmentation get 1 ... n, the largest first; a voxel of two belongs to the
    smaller, which would be hidden otherwise.

    Args:
        path: A label map, a .seg.nrrd, or DICOM: a segmentation or a structure set.
        grid: The grid on which a structure set is filled; other files have their own.

    Raises:
        UnusableInput: If the file cannot be read or holds anything but labels.
    """
    from .seg_nrrd import is_dicom, read_segmentation  # which reads label maps too

    if not path.name.endswith(SEGMENTATION_SUFFIX) and not is_dicom(path):
        volume = read_volume(path)
        return volume.with_array(_as_uint16(volume.array, path))
    segments = read_segmentation(path, grid)
    if not segments:
        empty = read_volume(path)
        return empty.with_array(np.zeros(empty.shape, np.uint16))
    whole = segments[0].mask.grid
    labels = np.zeros(whole.shape, np.uint16)
    crops = [crop for segment in segments if is_lesion(segment) and (crop := crop_of(segment.mask)) is not None]
    for number, crop in enumerate(sorted(crops, key=lambda crop: -np.count_nonzero(crop.mask.array)), start=1):
        labels[crop.slices][crop.mask.array] = number
    return Volume(labels, whole.affine)


def name_without_suffix(path: Path) -> str:
    """The file's name without its whole suffix; a folder's name as it is."""
    suffix = next((s for s in LABEL_SUFFIXES if path.name.endswith(s)), "") if path.is_file() else ""
    return path.name.removesuffix(suffix)


def _as_uint16(array: Array, path: Path) -> Array:
    _check_finite(array, path)
    found = np.unique(array[array != 0])
    if len(found) > MAX_LABELS or (found < 0).any() or (found != np.rint(found)).any():
        raise _not_labels(path)
    if not len(found) or found[-1] <= LARGEST_LABEL:
        return array.astype(np.uint16)
    numbers = (np.searchsorted(found, plane) + 1 for plane in array)
    return np.stack(
        [np.where(plane != 0, number, 0).astype(np.uint16) for plane, number in zip(array, numbers, strict=True)]
    )


def _check_finite(array: Array, path: Path) -> None:
    """Raise UnusableInput where a value is not a number, which compares with nothing."""
    if array.dtype.kind == "f" and not all(np.isfinite(plane).all() for plane in array):
        raise _not_labels(path)


def _not_labels(path: Path) -> UnusableInput:
    return UnusableInput(
        f"The values of {path} are not labels (whole, positive, at most {MAX_LABELS} of them); give a label map."
    )


def _shape(array: Array) -> tuple[int, int, int]:
    slices, rows, columns = array.shape
    return slices, rows, columns
