"""Boxes of voxels: most work is done in the small box that holds what matters."""

from __future__ import annotations

import numpy as np

from .ct import Array

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
