"""Lesion labels from a file: a label map, or the lesion segments of a segmentation file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..core.errors import UnusableInput
from ..core.volume import Array, Volume
from ..io.images import read_volume
from ..io.seg_nrrd import MAX_LABELS, read_segmentation
from ..lesions.selection import is_lesion

SEGMENTATION_SUFFIX = ".seg.nrrd"
LABEL_SUFFIXES = (SEGMENTATION_SUFFIX, ".nii.gz", ".nii", ".nrrd", ".mha")
"""Longest first, so that a name loses all of its suffix."""


def read_lesion_labels(path: Path) -> Volume:
    """One label a lesion, uint16, 0 elsewhere, in the file's own order of axes.

    A label map keeps its labels. Lesion segments of a .seg.nrrd get 1 ... n, the largest first; a voxel of two belongs to the smaller,
    which would be hidden else. Raises UnusableInput if the file cannot be read or holds anything but labels.
    """
    if not path.name.endswith(SEGMENTATION_SUFFIX):
        volume = read_volume(path)
        return volume.with_array(_checked_labels(volume.array, path))
    segments = read_segmentation(path)
    grid = segments[0].mask if segments else read_volume(path)
    labels = np.zeros(grid.shape, np.uint16)
    lesions = [segment.mask.array for segment in segments if is_lesion(segment)]
    for number, mask in enumerate(sorted(lesions, key=lambda mask: -int(np.count_nonzero(mask))), start=1):
        labels[mask] = number
    return grid.with_array(labels)


def name_without_suffix(path: Path) -> str:
    """The file's name without its whole suffix; a folder's name as it is."""
    suffix = next((s for s in LABEL_SUFFIXES if path.name.endswith(s)), "") if path.is_file() else ""
    return path.name.removesuffix(suffix)


def _checked_labels(array: Array, path: Path) -> Array:
    found = np.unique(array[array != 0])
    if len(found) > MAX_LABELS or (found < 0).any() or (found != np.rint(found)).any():
        raise UnusableInput(
            f"The values of {path} are not labels (whole, positive, at most {MAX_LABELS} of them); give a label map."
        )
    return array.astype(np.uint16)
