"""Check the matrix that maps voxel indices to points."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

ORTHOGONALITY_TOLERANCE = 1e-3
"""Largest deviation from 0 of the axes' dot products.

A single-precision NIfTI header stays two orders of magnitude below it.
"""


def valid_affine(affine: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return a read-only copy of an affine, 4 x 4 from (slice, row, column) index to LPS mm.

    Raises:
        ValueError: If it is not finite, has a spacing of zero, or its axes are not orthogonal.
    """
    matrix = np.array(affine, dtype=float)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or matrix[3].tolist() != [0, 0, 0, 1]:
        raise ValueError("The affine must be a finite 4 x 4 matrix with last row 0 0 0 1.")
    axes = matrix[:3, :3]
    lengths = np.sqrt((axes * axes).sum(axis=0))  # as np.linalg.norm, in half the time
    if not lengths.all():
        raise ValueError("The affine must have a spacing above zero along every axis.")
    directions = axes / lengths
    if np.abs(directions.T @ directions - np.identity(3)).max() > ORTHOGONALITY_TOLERANCE:
        raise ValueError("The affine's axes must be orthogonal; resample a sheared or tilted volume first.")
    matrix.flags.writeable = False
    return matrix
