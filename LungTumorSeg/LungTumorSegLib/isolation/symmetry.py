"""The isolation mask: lungs, their mirror image about the spine axis and what lies between, with a margin: steps 4 and 5 of lung isolation."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from ..ct import AIR_HU, Array, CTVolume, Volume
from .morphology import dilate
from .spine import SpineAxis

MARGIN_MM = 5.0
"""Radius of the final dilation: 5 pixels of the published pipeline's slices, 512 x 512 over a field of 500 mm, so 0.977 mm each."""


def find_isolation_mask(left: Volume, right: Volume, axis: SpineAxis, body: Volume) -> Volume:
    """The region in which tumors are looked for, a bool mask on the grid of the given masks (axial LPS)."""
    lungs = left.array | right.array
    region = lungs | mirrored(lungs, axis.columns(left))
    region |= hulls(left.array) | hulls(right.array)
    return left.with_array(dilate(region, MARGIN_MM, left.spacing, planar=True) & body.array)


def mirrored(mask: Array, columns: Array) -> Array:
    """``mask``, bool (slices, rows, columns), reflected in each slice about that slice's column of ``columns``, which may have fractions."""
    reflected = np.zeros_like(mask)
    width = mask.shape[2]
    for index, center in enumerate(columns):
        source = np.rint(2 * center - np.arange(width)).astype(int)
        inside = (source >= 0) & (source < width)
        reflected[index][:, inside] = mask[index][:, source[inside]]
    return reflected


def hulls(mask: Array) -> Array:
    """The convex hull of ``mask`` in each axial slice, through voxel centers."""
    filled = mask.copy()
    for plane in filled:
        rows = np.flatnonzero(plane.any(axis=1))
        if len(rows) < 2:
            continue
        # In each row only the outermost voxels can be corners of the hull.
        ends = np.array([(row, column) for row in rows for column in np.flatnonzero(plane[row])[[0, -1]]])
        if np.ptp(ends[:, 1]) == 0:
            plane[rows[0] : rows[-1] + 1, ends[0, 1]] = True
            continue
        try:
            corners = ends[ConvexHull(ends).vertices]
        except QhullError:  # all on one slanted line
            continue
        box = np.indices((int(rows[-1] - rows[0]) + 1, plane.shape[1]))
        box[0] += rows[0]
        inside = np.ones(box.shape[1:], bool)
        for (row, column), (next_row, next_column) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            inside &= (next_row - row) * (box[1] - column) - (next_column - column) * (box[0] - row) >= 0
        plane[rows[0] : rows[-1] + 1] |= inside
    return filled


def isolate(ct: CTVolume, mask: Volume) -> CTVolume:
    """``ct`` with every voxel outside ``mask`` (bool, same grid) set to ``AIR_HU``."""
    return CTVolume(np.where(mask.array, ct.array, ct.array.dtype.type(AIR_HU)), ct.affine, ct.warnings, ct.resampled)
