"""Label maps: images with whole-number voxels, each number a segment or a lesion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..core.boxes import boxes_of_labels, slices_of
from ..core.crops import SparseMask, crop_at
from ..core.errors import UnusableInput
from ..core.terminology import UNSPECIFIED
from ..core.volume import Array, Grid
from .file_suffixes import LABEL_SUFFIXES, without_suffix
from .label_names import Label, read_label_names
from .segment import UNSPECIFIED_COLORS, Segment

MAX_LABELS = 256
"""Largest number of labels, more than any whole-body atlas has.

An image with more values is a CT or a map, not a label map.
"""

LARGEST_LABEL = int(np.iinfo(np.uint16).max)
"""Largest label that is kept; if a file has larger ones, its labels are renumbered 1, 2, 3 ... in ascending order."""


def label_segments(array: Array, affine: Array, path: Path) -> list[Segment]:
    """Return the labels of a label map in ascending order, each as a segment named "Segment n".

    If a file beside the label map states names (see ``label_names``), the segments get these.

    Args:
        array: Labels (slice, row, column).
        affine: 4 x 4 matrix from index to LPS mm.
        path: The file.

    Raises:
        UnusableInput: If values are not whole, are negative, or are too many to be labels; if the names are damaged.
    """
    _check_finite(array, path)
    boxes = boxes_of_labels(array)
    if any(label < 0 or label != int(label) for label in boxes) or len(boxes) > MAX_LABELS:
        raise _not_labels(path)
    grid = Grid(_shape(array), affine)
    names = read_label_names(path)
    return [
        _segment(int(label), number, SparseMask(crop_at(array[slices_of(box)] == label, box, grid), grid), names)
        for number, (label, box) in enumerate(boxes.items())
    ]


def _segment(label: int, number: int, mask: SparseMask, names: Mapping[int, Label]) -> Segment:
    if label in names:
        named = names[label]
        return Segment(named.name, mask, named.color, named.terminology, named.id)
    color = UNSPECIFIED_COLORS[number % len(UNSPECIFIED_COLORS)]
    return Segment(f"Segment {label}", mask, color, UNSPECIFIED)


def name_without_suffix(path: Path) -> str:
    """Return a file's name without its whole suffix; the name of a folder is returned unchanged."""
    return without_suffix(path.name, LABEL_SUFFIXES) if path.is_file() else path.name


def as_labels(array: Array, path: Path) -> npt.NDArray[np.uint16]:
    """Return the voxels of an image as labels, each unchanged if it is at most ``LARGEST_LABEL``.

    Args:
        array: The values (slice, row, column).
        path: The file, for messages.

    Raises:
        UnusableInput: If values are not whole, are negative, or are too many to be labels.
    """
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
    """Raise UnusableInput if a value is NaN or infinite."""
    if array.dtype.kind == "f" and not all(np.isfinite(plane).all() for plane in array):
        raise _not_labels(path)


def _not_labels(path: Path) -> UnusableInput:
    return UnusableInput(
        f"The values of {path} are not labels (whole, positive, at most {MAX_LABELS} of them); choose a label map."
    )


def _shape(array: Array) -> tuple[int, int, int]:
    slices, rows, columns = array.shape
    return slices, rows, columns
