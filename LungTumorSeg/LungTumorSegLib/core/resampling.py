"""Antialiased linear resampling along a volume's own axes.

Each axis has one small weight matrix, so resampling a volume takes three matrix products. Few weights of a row differ
from 0, so the products within a slice skip the others.
"""

from __future__ import annotations

import numpy as np

from .volume import Array, Float32Array

EDGE_VOXELS = 0.5
"""Extent of a voxel beyond its center, in voxels; farther outside there is nothing to interpolate."""


def resample_separable(
    array: Array,
    *,
    start: tuple[float, float, float],
    step: tuple[float, float, float],
    size: tuple[int, int, int],
    outside: float = 0.0,
    first: tuple[int, int, int] = (0, 0, 0),
) -> Float32Array:
    """Resample an array linearly at regularly spaced indices.

    Along each axis, output voxel k lies at the input index ``start + step * k``. If the step is at most one voxel, this
    is linear interpolation. For larger steps the triangle kernel is as wide as the step, so that it averages the voxels
    between the samples instead of aliasing them (the antialiased linear kernel of image libraries). Only one slice at a
    time is converted to float, so an int16 volume is never copied as a whole.

    Args:
        array: Input array (slice, row, column).
        start: Input index of the first output voxel along (slice, row, column).
        step: Distance between output voxels along (slice, row, column), in input voxels.
        size: Shape of the output (slices, rows, columns).
        outside: Value of the output at positions outside the input; ``AIR_HU`` continues a CT with air.
        first: Index of the first output voxel to compute, so that a part equals the same part of the whole output.

    Returns:
        A float32 array of shape ``size``.
    """
    from scipy.sparse import csr_matrix  # imported here, because not all who import this module resample

    over_slices, over_rows, over_columns = (
        _weights(*along) for along in zip(array.shape, start, step, first, size, strict=True)
    )
    needed = np.flatnonzero(over_slices.any(axis=0))  # skip the slices that no output slice uses
    rows = _span(over_rows)
    planes = np.zeros((len(needed), size[1], size[2]), np.float32)
    of_rows, of_columns = csr_matrix(over_rows[:, rows]), csr_matrix(over_columns)
    for plane, k in zip(planes, needed, strict=True):
        along_rows = of_rows @ (array[k, rows].astype(np.float32) - np.float32(outside))
        plane[:] = (of_columns @ np.ascontiguousarray(along_rows.T)).T
    flat = over_slices[:, needed] @ planes.reshape(len(needed), size[1] * size[2])  # none if all lie outside
    resampled = np.asarray(flat.reshape(size), np.float32)
    if outside:
        resampled += np.float32(outside)
    return resampled


def _span(weights: Float32Array) -> slice:
    """Return the smallest range of input voxels that holds all weights (output, input) above 0."""
    used = np.flatnonzero(weights.any(axis=0))
    return slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 0)


def _weights(n: int, start: float, step: float, first: int, size: int) -> Float32Array:
    """Return the (size, n) matrix of triangle weights.

    Rows sum to 1 inside the axis of ``n`` voxels and are 0 outside it.
    """
    centers = start + step * np.arange(first, first + size)
    weights = np.maximum(0.0, 1.0 - np.abs(centers[:, None] - np.arange(n)) / max(1.0, step))
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    weights[(centers < -EDGE_VOXELS) | (centers > n - 1 + EDGE_VOXELS)] = 0.0
    return np.asarray(weights, np.float32)
