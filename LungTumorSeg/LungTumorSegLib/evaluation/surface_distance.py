"""Distances between the surfaces of two masks, in mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from ..core.volume import Array, Mask

PERCENTILE = 95
"""Percentile of the surface distance (HD95), because a single stray voxel often determines the maximum.

References:
    Taha and Hanbury 2015, doi:10.1186/s12880-015-0068-x.
"""


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between the surfaces of two masks.

    Attributes:
        hd95_mm: The larger of the two directed 95th percentiles, mm.
        mean_mm: The mean over the surface voxels of both masks, mm.
    """

    hd95_mm: float
    mean_mm: float


def surface_distances(
    prediction: Mask, reference: Mask, *, spacing_mm: tuple[float, float, float]
) -> SurfaceDistances | None:
    """Measure the distance from each surface voxel of one mask to the nearest of the other, in both directions.

    A voxel belongs to the surface if one of its six neighbors is outside the mask. Everything beyond the border of the
    image is outside.

    Args:
        prediction: A mask, bool (slice, row, column).
        reference: The other mask, of the same shape.
        spacing_mm: The spacing (slice, row, column), mm.

    Returns:
        The distances, or None if a mask is empty.
    """
    if not prediction.any() or not reference.any():
        return None
    p, r = _surface_mm(prediction, spacing_mm), _surface_mm(reference, spacing_mm)
    there, back = KDTree(r).query(p)[0], KDTree(p).query(r)[0]
    hd95_mm = max(float(np.percentile(there, PERCENTILE)), float(np.percentile(back, PERCENTILE)))
    return SurfaceDistances(hd95_mm, float(np.concatenate([there, back]).mean()))


def _surface_mm(mask: Mask, spacing_mm: tuple[float, float, float]) -> Array:
    """Return the centers of the surface voxels, shape (n, 3), in mm along (slice, row, column)."""
    return np.asarray(np.argwhere(mask & ~ndimage.binary_erosion(mask)) * np.asarray(spacing_mm))
