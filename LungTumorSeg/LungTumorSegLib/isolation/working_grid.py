"""The coarse grid of about 2 mm on which the lungs are isolated, and the way back to the CT's own voxels.

Morphology with radii of 4 to 20 mm gains nothing from voxels of 0.7 mm, on which it takes thirty times as long. Every
step in this folder therefore uses block means. Only the last step of each mask uses the CT's own voxels again, one
coarse voxel on each side of the border.
"""

from __future__ import annotations

from math import ceil

import numpy as np
from scipy import ndimage

from ..core.volume import Array, Volume
from .morphology import ROUNDING

FINEST_MM = 1.6
"""Smallest size of a coarse voxel along any axis, mm.

The size is at most twice this if the CT allows it, so that walls of 5 mm remain visible.
"""


def block_factors(volume: Volume) -> tuple[int, int, int]:
    """Return how many voxels along (slice, row, column) form one coarse voxel; 1 if the spacing is 1.6 mm or more."""
    factors = [ceil(FINEST_MM / spacing - ROUNDING) for spacing in volume.spacing]
    return factors[0], factors[1], factors[2]


def coarsen(volume: Volume) -> Volume:
    """Average a volume over blocks of ``block_factors``, as int16.

    In an incomplete last block, the border voxel is repeated.
    """
    factors = block_factors(volume)
    affine = volume.affine.copy()
    affine[:3, 3] = volume.index_to_lps([(f - 1) / 2 for f in factors])
    affine[:3, :3] *= factors
    slices = [
        _coarse_slice(volume.array[first : first + factors[0]], factors[1:])
        for first in range(0, volume.shape[0], factors[0])
    ]
    return Volume(np.stack(slices), affine)


def _coarse_slice(slab: Array, factors: tuple[int, int]) -> Array:
    """Return one coarse slice, int16, of the CT slices (slices, rows, columns) that it covers."""
    plane = slab.sum(axis=0, dtype=np.float32) if len(slab) > 1 else slab[0]
    missing = [(0, -size % factor) for size, factor in zip(plane.shape, factors, strict=True)]
    plane = np.pad(plane, missing, mode="edge")
    total = sum(
        plane[row :: factors[0], column :: factors[1]].astype(np.float32)
        for row in range(factors[0])
        for column in range(factors[1])
    )
    return np.asarray(np.rint(total / (len(slab) * factors[0] * factors[1])), dtype=np.int16)


def enlarge(mask: Array, volume: Volume) -> Array:
    """Transfer a coarse mask to ``volume``'s own grid by repeating each coarse voxel over its block."""
    for axis, factor in enumerate(block_factors(volume)):
        if factor > 1:
            mask = np.repeat(mask, factor, axis=axis)
    slices, rows, columns = volume.shape
    return np.ascontiguousarray(mask[:slices, :rows, :columns])


def refine(mask: Array, volume: Volume, low: float, high: float) -> Array:
    """Transfer a coarse mask to ``volume``'s own grid, with a border along the voxels with ``low`` <= HU < ``high``.

    Coarse voxels inside the border stay unchanged. Those at the border and those that touch it are decided voxel by
    voxel.
    """
    touching = ndimage.generate_binary_structure(3, 1)
    inside = enlarge(ndimage.binary_erosion(mask, touching, border_value=1), volume)
    around = enlarge(ndimage.binary_dilation(mask, touching), volume)
    around &= volume.array >= low
    around &= volume.array < high
    inside |= around
    return inside
