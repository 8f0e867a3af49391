"""The size of a body, by which the lengths of lung isolation shrink for children.

All lengths in this folder were chosen for adults. In a body of half the size they would close and open twice as much,
and the coarse grid would be twice as coarse.
"""

from __future__ import annotations

import numpy as np

from ..core.volume import Volume
from .body import find_body
from .working_grid import coarsen

SIZES_MM, UNITS = (0.0, 210.0, 240.0), (0.0, 0.7, 1.0)
"""Sizes of a body (mm) and the factors for lengths that belong to them; linear in between.

The size is the geometric mean of width and depth. Adults used for development measure 245 to 327 mm, with a mean of
285 mm; their factor is 1. Below 210 mm, lengths are proportional to the size, as if an adult measured 300 mm.
"""

CUT_SHARE = 0.1
"""Share of the slices, on either side, in which a body may touch the border of the image and still be measured."""

SMALLEST_UNIT = 0.3
"""Smallest factor: a smaller body (a newborn measures 110 mm) is cut off by the field of view, or is not a body."""


def width_and_depth_mm(body: Volume) -> tuple[float, float]:
    """Return the median width and depth of a body (bool, axial LPS) over its slices, mm; 0 if it is empty."""
    present = body.array.any(axis=(1, 2))
    if not present.any():
        return 0.0, 0.0
    depth_mm, width_mm = (
        float(np.median(body.array[present].any(axis=axis).sum(axis=1))) * body.spacing[3 - axis] for axis in (2, 1)
    )
    return width_mm, depth_mm


def size_mm(body: Volume) -> float:
    """Return the geometric mean of the median width and depth of a body (bool, axial LPS) in mm; 0 if it is empty."""
    width_mm, depth_mm = width_and_depth_mm(body)
    return float(np.sqrt(width_mm * depth_mm))


def unit_of(body: Volume) -> float:
    """Return the factor by which lengths are multiplied for a body (bool, axial LPS): 1 for adults, less for children.

    A body that the image cuts off at a side is larger than it looks and gets 1.
    """
    cut = body.array[:, :, [0, -1]].any(axis=1).mean() if body.array.any() else 1.0
    if cut > CUT_SHARE:
        return 1.0
    return max(SMALLEST_UNIT, float(np.interp(size_mm(body), SIZES_MM, UNITS)))


def as_adult(ct: Volume) -> tuple[Volume, Volume, Volume, float]:
    """Magnify the CT of a child to the size of an adult, and find the body.

    Args:
        ct: The CT (HU, axial LPS).

    Returns:
        The CT with its lengths divided by the unit, the same on the coarse grid, the body (bool) on that grid, and the
        unit: 1 for adults, less for children.
    """
    coarse = coarsen(ct)
    body = find_body(coarse)
    unit = unit_of(body)
    if unit < 1:
        ct = magnify_volume(ct, 1 / unit)
        coarse = coarsen(ct)
        body = find_body(coarse)
    return ct, coarse, body, unit


def magnify_volume(volume: Volume, by: float) -> Volume:
    """Return the same voxels with all lengths multiplied, about the origin of LPS."""
    affine = volume.affine.copy()
    affine[:3] *= by
    return Volume(volume.array, affine)


def magnify_point(point: tuple[float, float, float], by: float) -> tuple[float, float, float]:
    """Return a point (LPS mm) with all lengths multiplied, about the origin of LPS."""
    return point[0] * by, point[1] * by, point[2] * by
