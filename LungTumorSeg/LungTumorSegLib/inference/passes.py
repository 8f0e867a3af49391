"""Which stacks, and which windows of them, the network computes in a first pass and in a closer look.

Most of a chest is not suspicious. A first pass covers every slice with one stack, cropped to the region that is
searched; the other stacks and the mirror images, which make the result more stable, are computed only around the
voxels that the first pass suspects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.boxes import Box, bounding_box, unite_boxes, widen_box
from ..core.volume import Mask
from .grid import IN_PLANE_MULTIPLE, MARGIN_VOXELS, WorkingGrid
from .stack_length import STACK_SLICES
from .stacks import stack_starts

MARGIN_TILES = 2
"""Number of tiles (of 8 x 8 voxels) around the suspected ones, on each side."""

RIM_VOXELS = 8
"""Width of the border of a window whose probabilities do not count: the convolutions' zero padding is too near."""

NEIGHBORS = np.ones((3, 3), bool)
"""Tiles that share a side or a corner belong to one window."""


@dataclass(frozen=True)
class Part:
    """What the network computes at once: a stack, or a window of a stack.

    Attributes:
        box: Where it lies in the working grid. It has 8 slices; rows and columns are multiples of 8.
        mirrored: Whether the network receives the mirror image.
        rim: Width in voxels of its border whose probabilities do not count; a side at the border of the grid has none.
    """

    box: Box
    mirrored: bool = False
    rim: int = 0

    @property
    def start(self) -> int:
        """Index of the first slice."""
        return self.box[0][0]

    @property
    def size(self) -> tuple[int, int]:
        """Number of rows and columns."""
        (_, i0, j0), (_, i1, j1) = self.box
        return i1 - i0, j1 - j0

    @property
    def area(self) -> int:
        """Number of voxels in the slice plane, to which the computing time is about proportional."""
        return _area(self.box)

    def trusted(self, shape: Sequence[int]) -> Box:
        """Return the box without its rim, in a grid of ``shape``."""
        (k0, i0, j0), (k1, i1, j1) = self.box
        return (
            (k0, i0 + self.rim * (i0 > 0), j0 + self.rim * (j0 > 0)),
            (k1, i1 - self.rim * (i1 < shape[1]), j1 - self.rim * (j1 < shape[2])),
        )


def all_stacks(grid: WorkingGrid, stride: int, *, mirror: bool) -> list[Part]:
    """Return all stacks with lung in ascending order, each followed by its mirror image if ``mirror`` is set.

    Raises:
        UnusableInput: The stride is outside 1 to 8.
    """
    slices, rows, columns = grid.image.shape
    return [
        Part(((start, 0, 0), (start + STACK_SLICES, rows, columns)), mirrored)
        for start in stack_starts(slices, stride)
        if grid.region.array[start : start + STACK_SLICES].any()
        for mirrored in ((False, True) if mirror else (False,))
    ]


def first_pass(stacks: Sequence[Part]) -> list[Part]:
    """Return as few of the stacks as cover the same slices, without mirror images."""
    plain = [part for part in stacks if not part.mirrored]
    chosen: list[Part] = []
    covered = 0
    for part, following in zip(plain, [*plain[1:], None], strict=True):
        if following is None or following.start > covered:
            chosen.append(part)
            covered = part.box[1][0]
    return chosen


def crop_stack(part: Part, grid: WorkingGrid) -> Part:
    """Return a stack without the rows and columns that lie beyond the region of its slices and a margin of air.

    It has no rim: as at the border of the grid, only air lies beyond.
    """
    first, last = part.start, part.box[1][0]
    held = bounding_box(grid.region.array[first:last])
    if held is None:
        return part
    (_, i0, j0), (_, i1, j1) = widen_box(held, (0, MARGIN_VOXELS, MARGIN_VOXELS), (last - first, *grid.image.shape[1:]))
    side = IN_PLANE_MULTIPLE  # the size of the grid is a multiple of it too
    low, high = (first, i0 - i0 % side, j0 - j0 % side), (last, i1 + -i1 % side, j1 + -j1 % side)
    return Part((low, high), part.mirrored)


def windows_of(part: Part, suspected: Mask, *, croppable: bool) -> list[Part]:
    """Return the windows of a stack that hold all suspected voxels with a margin.

    The plane is divided into tiles of 8 x 8 voxels. Neighboring tiles share a window, and windows are joined where the
    joint window is not larger than both together. If all windows together are not smaller than the plane, the stack
    itself is the only one.

    Args:
        part: The stack.
        suspected: Boolean array (slice, row, column) of the stack.
        croppable: Whether the network may receive a part of the plane; if not, the window is the whole plane.
    """
    side, (slices, rows, columns) = IN_PLANE_MULTIPLE, suspected.shape
    tiles = suspected.any(axis=0).reshape(rows // side, side, columns // side, side).any(axis=(1, 3))
    if not croppable:
        return [part] if tiles.any() else []
    boxes: list[Box] = []
    for i, j in ndimage.find_objects(ndimage.label(tiles, NEIGHBORS)[0]):
        tight: Box = (0, side * i.start, side * j.start), (slices, side * i.stop, side * j.stop)
        boxes = _joined(boxes, widen_box(tight, (0, MARGIN_TILES * side, MARGIN_TILES * side), suspected.shape))
    if sum(map(_area, boxes)) >= part.area:
        return [part]
    first, last = part.start, part.box[1][0]
    return [Part(((first, *low[1:]), (last, *high[1:])), part.mirrored, RIM_VOXELS) for low, high in boxes]


def _joined(boxes: list[Box], new: Box) -> list[Box]:
    for other in boxes:
        both = unite_boxes(other, new)
        if _area(both) <= _area(other) + _area(new):
            return _joined([box for box in boxes if box is not other], both)
    return [*boxes, new]


def _area(box: Box) -> int:
    return (box[1][1] - box[0][1]) * (box[1][2] - box[0][2])
