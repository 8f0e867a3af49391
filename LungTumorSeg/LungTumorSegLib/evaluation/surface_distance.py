"""Distances between the surfaces of two masks, in mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from ..core.volume import Array

PERCENTILE = 95
"""HD95: the largest distances are often one stray voxel (Taha and Hanbury 2015, doi:10.1186/s12880-015-0068-x)."""


@dataclass(frozen=True)
class SurfaceDistances:
    """``hd95_mm``: the larger of the two directed 95th percentiles. ``mean_mm``: mean over the surface voxels of both masks."""

    hd95_mm: float
    mean_mm: float


def surface_distances(
    prediction: Array, reference: Array, *, spacing_mm: tuple[float, float, float]
) -> SurfaceDistances | None:
    """From each surface voxel of one mask (bool; slice, row, column) to the nearest of the other, both ways; None where a mask is empty.

    A voxel is on the surface if one of its six neighbors is not in the mask; beyond the image's border nothing is.
    """
    if not prediction.any() or not reference.any():
        return None
    p, r = _surface_mm(prediction, spacing_mm), _surface_mm(reference, spacing_mm)
    there, back = KDTree(r).query(p)[0], KDTree(p).query(r)[0]
    hd95_mm = max(float(np.percentile(there, PERCENTILE)), float(np.percentile(back, PERCENTILE)))
    return SurfaceDistances(hd95_mm, float(np.concatenate([there, back]).mean()))


def _surface_mm(mask: Array, spacing_mm: tuple[float, float, float]) -> Array:
    """Centers of the surface voxels, (n, 3) in mm along (slice, row, column)."""
    return np.asarray(np.argwhere(mask & ~ndimage.binary_erosion(mask)) * np.asarray(spacing_mm))
