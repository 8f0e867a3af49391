"""Resampling along a volume's own axes, linear and free of aliasing: one small matrix an axis, so a volume costs three products."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .volume import Array

EDGE_VOXELS = 0.5
"""A voxel reaches half a spacing beyond its center; farther out there is nothing to interpolate."""


def resample_separable(
    array: Array,
    *,
    start: tuple[float, float, float],
    step: tuple[float, float, float],
    size: tuple[int, int, int],
    offset: float = 0.0,
) -> npt.NDArray[np.float32]:
    """``array`` (slice, row, column) read at the indices ``start + step * k`` of each axis, shape ``size``, float32.

    Where the step is at most one voxel this is linear interpolation; where it is larger the triangle kernel is as wide as the step,
    so that what lies between the samples is averaged instead of aliased (the antialiased linear kernel of image libraries).
    ``offset`` is added to the input first, and positions outside the volume give 0: with ``offset=-AIR_HU`` outside is air.
    One slice at a time is converted to float, so an int16 volume is never copied whole.
    """
    over_slices, over_rows, over_columns = (
        _weights(n, first, by, count) for n, first, by, count in zip(array.shape, start, step, size, strict=True)
    )
    needed = np.flatnonzero(over_slices.any(axis=0))  # slices that no output slice reads are not touched
    planes = np.zeros((len(needed), size[1], size[2]), np.float32)
    for plane, k in zip(planes, needed, strict=True):
        plane[:] = over_rows @ (array[k].astype(np.float32) + np.float32(offset)) @ over_columns.T
    flat = over_slices[:, needed] @ planes.reshape(len(needed), -1)
    return np.asarray(flat.reshape(size), np.float32)


def _weights(n: int, start: float, step: float, size: int) -> npt.NDArray[np.float32]:
    """(size, n) rows of triangle weights that sum to 1 inside the axis of ``n`` voxels and are 0 outside it."""
    centers = start + step * np.arange(size)
    weights = np.maximum(0.0, 1.0 - np.abs(centers[:, None] - np.arange(n)) / max(1.0, step))
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    weights[(centers < -EDGE_VOXELS) | (centers > n - 1 + EDGE_VOXELS)] = 0.0
    return np.asarray(weights, np.float32)
