"""Which voxels points lie in."""

from __future__ import annotations

import numpy as np

from .volume import Array, Geometry, Mask, Point, Volume


def voxel_at(point: Point, grid: Geometry) -> Array:
    """Return the index (3,) of the voxel of a grid that is nearest to a point, LPS mm."""
    return np.asarray(np.clip(np.rint(grid.lps_to_index(point)).astype(int), 0, np.asarray(grid.shape) - 1))


def lies_in(mask: Volume, points_lps: Array) -> Mask:
    """Return which of the points (n, 3), LPS mm, lie in a true voxel of a mask; bool (n,), false outside its grid."""
    index = np.rint(mask.lps_to_index(points_lps)).astype(int)
    on_grid = np.asarray(((index >= 0) & (index < mask.shape)).all(axis=1))
    k, i, j = np.where(on_grid[:, None], index, 0).T
    return np.asarray(on_grid & mask.array[k, i, j])
