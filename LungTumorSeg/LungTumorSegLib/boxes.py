"""Boxes of voxels: most work is done in the small box that holds what matters."""

from __future__ import annotations

import numpy as np

from .ct import Array, Volume

Box = tuple[tuple[int, int, int], tuple[int, int, int]]
"""First and last-plus-one (slice, row, column) index of a crop."""


def bounding_box(mask: Array) -> Box | None:
    """The smallest box (start, stop) that holds every true voxel of ``mask`` (slice, row, column); None where none is true."""
    rows_columns = np.any(mask, axis=0)
    along = [np.flatnonzero(a) for a in (np.any(mask, axis=(1, 2)), np.any(rows_columns, axis=1), np.any(rows_columns, axis=0))]
    if not len(along[0]):
        return None
    first, last = [int(a[0]) for a in along], [int(a[-1]) + 1 for a in along]
    return (first[0], first[1], first[2]), (last[0], last[1], last[2])


def slices_of(box: Box) -> tuple[slice, slice, slice]:
    """The box as an index into an array."""
    (a, b, c), (d, e, f) = box
    return slice(a, d), slice(b, e), slice(c, f)


def grown(box: Box, by_mm: float, within: Volume) -> Box:
    """The box with at least ``by_mm`` more on each side, as far as the volume reaches."""
    steps = [int(np.ceil(by_mm / s)) for s in within.spacing]
    start = [max(0, a - n) for a, n in zip(box[0], steps, strict=True)]
    stop = [min(size, b + n) for b, n, size in zip(box[1], steps, within.shape, strict=True)]
    return (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])


def put(mask: Array, box: Box, around: Box) -> Array:
    """``mask`` (bool), which fills ``box``, in an array that fills ``around``; false elsewhere."""
    whole = np.zeros([b - a for a, b in zip(*around, strict=True)], dtype=bool)
    whole[tuple(slice(a - o, b - o) for a, b, o in zip(*box, around[0], strict=True))] = mask
    return whole
