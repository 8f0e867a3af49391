"""The segments of a segmentation under edit: after each edit, only the masks that changed are rebuilt.

Slicer stores segments as label values in layers. The caller passes a copy of each layer that was touched, and this
module compares the copies. A segment whose voxels are unchanged keeps the same ``Crop`` object, so that the code
that measures it can detect this with ``is``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..core.boxes import Box, box_of_changes, box_of_label, overlap, relative_box, shift_index, slices_of, unite_boxes
from ..core.crops import Crop, crop_at, start_on
from ..core.volume import Array, Grid, Volume
from .snapshot import Layer


@dataclass(frozen=True, eq=False)
class _Seen:
    """A layer as it was at the last update.

    Attributes:
        source: The copy that the caller passed.
        array: Its labels (slice, row, column) with canonical axes, within ``box``.
        box: The box of the CT's canonical grid that ``array`` fills.
        values: The label value of each segment, by segment id.
    """

    source: Volume
    array: Array
    box: Box
    values: Mapping[str, int]

    def within(self, box: Box) -> Array:
        """Return the labels in a box of the grid, 0 outside the layer."""
        if box == self.box:
            return self.array
        labels = np.zeros(np.subtract(box[1], box[0]), self.array.dtype)
        inner = overlap(box, self.box)
        if inner is not None:
            labels[slices_of(relative_box(inner, box))] = self.array[slices_of(relative_box(inner, self.box))]
        return labels


class SegmentMasks:
    """The masks of all segments on the CT's grid with canonical axes.

    Attributes:
        order: The axis order that turns the CT's grid into the canonical one.
        grid: The canonical grid.
    """

    def __init__(self, ct: Grid) -> None:
        self.order = ct.canonical_axes()
        self.grid = self.order.apply_to_grid(ct)
        self._seen: list[_Seen] = []
        self._crops: dict[str, Crop | None] = {}

    def update(self, layers: Sequence[Layer]) -> dict[str, Crop | None]:
        """Return the mask of each segment after an edit.

        Args:
            layers: The layers, in the same order at each call. A layer with the same ``labels`` object as at the last
                call is skipped.

        Returns:
            Masks by segment id, None for an empty segment. A segment in which no voxel changed keeps its object.

        Raises:
            UnusableInput: A layer does not lie on the voxels of the CT.
        """
        seen = []
        crops: dict[str, Crop | None] = {}
        for index, layer in enumerate(layers):
            before = self._seen[index] if index < len(self._seen) else None
            unchanged = before is not None and before.source is layer.labels
            array, box = (before.array, before.box) if before and unchanged else self._placed(layer.labels)
            now = _Seen(layer.labels, array, box, dict(layer.values))
            crops |= self._crops_of(before, now)
            seen.append(now)
        self._seen, self._crops = seen, crops
        return crops

    def _crops_of(self, before: _Seen | None, now: _Seen) -> dict[str, Crop | None]:
        """Return the masks of the segments in one layer, reusing those that did not change."""
        changed = None if before is None or before.array is now.array else _changes(before, now)
        touched = set() if before is None or changed is None else _values_at_changes(before, now, changed)
        crops = {}
        for segment_id, value in now.values.items():
            old = self._crops.get(segment_id)
            if before is None or before.values.get(segment_id) != value:  # the segment is new or moved to another layer
                found = self._cut(now, value, now.box)
            elif value in touched and changed is not None:
                found = self._cut(now, value, changed if old is None else unite_boxes(old.box, changed))
            else:
                found = old
            crops[segment_id] = old if same_voxels(old, found) else found
        return crops

    def _cut(self, layer: _Seen, value: int, region: Box) -> Crop | None:
        """Cut out the voxels of ``value``, all of which lie in ``region``."""
        inner = overlap(region, layer.box)
        labels = None if inner is None else layer.array[slices_of(relative_box(inner, layer.box))]
        found = None if labels is None else box_of_label(labels, value)
        if inner is None or labels is None or found is None:
            return None
        box = shift_index(found[0], inner[0]), shift_index(found[1], inner[0])
        return crop_at(labels[slices_of(found)] == value, box, self.grid)

    def _placed(self, labels: Volume) -> tuple[Array, Box]:
        """Return a layer with canonical axes and its box on the grid.

        Slicer may pad a layer beyond the CT. These voxels are empty and are dropped.
        """
        # From the layer's own axes, because Slicer reverses the slices of a left-handed CT on loading.
        part = labels.canonical_axes().apply(labels)
        start = start_on(part, self.grid, "The segmentation")
        box = start, shift_index(start, part.shape)
        inner = overlap(box, ((0, 0, 0), self.grid.shape))
        if inner is None:
            return np.zeros((0, 0, 0), np.uint8), ((0, 0, 0), (0, 0, 0))
        return part.array[slices_of(relative_box(inner, box))], inner


def _changes(before: _Seen, now: _Seen) -> Box | None:
    """Return the smallest box with all voxels in which two layers differ, None if they are equal."""
    box = unite_boxes(before.box, now.box)
    found = box_of_changes(before.within(box), now.within(box))
    return None if found is None else (shift_index(found[0], box[0]), shift_index(found[1], box[0]))


def _values_at_changes(before: _Seen, now: _Seen, box: Box) -> set[int]:
    """Return the label values that occur, before or after the edit, where two layers differ within a box."""
    old, new = before.within(box), now.within(box)
    differs = old != new
    return {int(value) for array in (old, new) for value in np.unique(array[differs])}


def same_voxels(a: Crop | None, b: Crop | None) -> bool:
    """Return whether two masks on one grid are equal, where None is an empty mask."""
    if a is None or b is None:
        return a is b
    return a is b or (a.box == b.box and np.array_equal(a.mask.array, b.mask.array))
