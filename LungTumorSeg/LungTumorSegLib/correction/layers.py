"""The segments of a segmentation that is being edited: after each edit the masks that changed, and only they, are made anew.

Slicer keeps segments as label values in layers. A layer that was touched is handed over as a copy; the copies are compared here, and a
segment whose voxels are the same keeps its very ``LesionCrop`` object, so that whoever measures it can tell by ``is``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..boxes import Box, bounding_box, box_of_changes, box_of_label, slices_of, united
from ..ct import GRID_TOLERANCE_MM, Array, Grid, Volume
from ..errors import UnusableInput
from ..lesions.components import LesionCrop
from .snapshot import Layer


@dataclass(frozen=True, eq=False)
class _Seen:
    """A layer as it was last time: its copy, the same on the whole canonical grid, its segments."""

    source: Volume
    array: Array
    values: Mapping[str, int]


class SegmentMasks:
    """The masks of all segments on the CT's grid with canonical axes (``grid``)."""

    def __init__(self, ct: Grid) -> None:
        self.order = ct.canonical_axes()
        self.grid = self.order.apply_to_grid(ct)
        self._seen: list[_Seen] = []
        self._crops: dict[str, LesionCrop | None] = {}

    def update(self, layers: Sequence[Layer]) -> dict[str, LesionCrop | None]:
        """The mask of each segment by id, None for an empty one; the same objects as last time where no voxel changed.

        Layers come in the same order each time; one that holds the same ``labels`` object as last time is not looked at.
        Raises UnusableInput where a layer does not lie on the CT's voxels.
        """
        seen = []
        crops: dict[str, LesionCrop | None] = {}
        for index, layer in enumerate(layers):
            before = self._seen[index] if index < len(self._seen) else None
            unchanged = before is not None and before.source is layer.labels
            now = _Seen(layer.labels, before.array if before and unchanged else self._placed(layer.labels), dict(layer.values))
            crops |= self._crops_of(before, now)
            seen.append(now)
        self._seen, self._crops = seen, crops
        return crops

    def _crops_of(self, before: _Seen | None, now: _Seen) -> dict[str, LesionCrop | None]:
        changed = None if before is None or before.array is now.array else box_of_changes(before.array, now.array)
        touched = set() if before is None or changed is None else _values_at_changes(before.array, now.array, changed)
        crops = {}
        for segment_id, value in now.values.items():
            old = self._crops.get(segment_id)
            if before is None or before.values.get(segment_id) != value:  # new, or moved to another layer
                found = self._cut(now.array, value, box_of_label(now.array, value))
            elif value in touched and changed is not None:
                found = self._cut(now.array, value, changed if old is None else united(old.box, changed))
            else:
                found = old
            crops[segment_id] = old if same_voxels(old, found) else found
        return crops

    def _cut(self, array: Array, value: int, region: Box | None) -> LesionCrop | None:
        """The voxels of ``value``, all of which lie in ``region``."""
        if region is None:
            return None
        mask = array[slices_of(region)] == value
        inner = bounding_box(mask)
        if inner is None:
            return None
        start, stop = ((region[0][0] + p[0], region[0][1] + p[1], region[0][2] + p[2]) for p in inner)
        affine = self.grid.affine.copy()
        affine[:3, 3] = self.grid.index_to_lps(start)
        return LesionCrop(Volume(np.ascontiguousarray(mask[slices_of(inner)]), affine), (start, stop))

    def _placed(self, labels: Volume) -> Array:
        """A layer on the whole grid, 0 beyond it; what Slicer padded around the CT is empty and left out."""
        part = self.order.apply(labels)
        start = np.rint(self.grid.lps_to_index(part.origin)).astype(int)
        stop = start + part.shape
        whole = np.zeros(self.grid.shape, part.array.dtype)
        first, last = np.maximum(start, 0), np.minimum(stop, self.grid.shape)
        corner = self.grid.index_to_lps(stop - 1)
        if max(np.abs(self.grid.index_to_lps(start) - part.origin).max(),
               np.abs(corner - part.index_to_lps(np.subtract(part.shape, 1))).max()) > GRID_TOLERANCE_MM:
            raise UnusableInput("The segmentation does not lie on the CT's voxels; set its source geometry to this CT first.")
        if (first < last).all():
            inside = tuple(slice(a - o, b - o) for a, b, o in zip(first, last, start, strict=True))
            whole[tuple(slice(a, b) for a, b in zip(first, last, strict=True))] = part.array[inside]
        return whole


def _values_at_changes(before: Array, now: Array, box: Box) -> set[int]:
    old, new = before[slices_of(box)], now[slices_of(box)]
    differs = old != new
    return {int(value) for array in (old, new) for value in np.unique(array[differs])}


def same_voxels(a: LesionCrop | None, b: LesionCrop | None) -> bool:
    """Whether two masks on one grid are equal; None is an empty one."""
    if a is None or b is None:
        return a is b
    return a is b or (a.box == b.box and np.array_equal(a.mask.array, b.mask.array))
