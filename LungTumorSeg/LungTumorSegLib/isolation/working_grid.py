"""The coarse grid of about 2 mm on which the lungs are isolated, and the way back to the CT's own voxels.

Morphology with radii of 4 to 20 mm gains nothing from voxels of 0.7 mm, on which it takes thirty times as long. Every
step in this folder therefore uses block means. Only the last step of each mask uses the CT's own voxels again, one
coarse voxel on each side of the border.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import numpy as np
from scipy import ndimage

from ..core.boxes import bounding_box, slices_of
from ..core.volume import Array, Mask, Volume
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


def planes(mask: Array, volume: Volume) -> Iterator[tuple[slice, Array]]:
    """Transfer a coarse mask to ``volume``'s own grid, one coarse slice at a time.

    Work on one plane stays in the processor's cache, where masks of the whole volume would take most of the time.

    Yields:
        The slices of the volume that the coarse slice covers, and the mask in each of them, bool (rows, columns).
    """
    over_slices, over_rows, over_columns = block_factors(volume)
    slices, rows, columns = volume.shape
    for index, plane in enumerate(mask):
        here = slice(index * over_slices, min((index + 1) * over_slices, slices))
        yield here, plane.repeat(over_rows, axis=0)[:rows].repeat(over_columns, axis=1)[:, :columns]


def remove(fine: Array, coarse: Array, volume: Volume) -> None:
    """Remove a coarse mask from a mask on ``volume``'s own grid, in place."""
    for here, plane in planes(coarse, volume):
        if plane.any():
            fine[here] &= ~plane


def refine(mask: Mask, volume: Volume, low: float, high: float) -> Mask:
    """Transfer a coarse mask to ``volume``'s own grid, with a border along the voxels with ``low`` <= HU < ``high``.

    Coarse voxels inside the border stay unchanged. Those at the border and those that touch it are decided voxel by
    voxel.
    """
    touching = ndimage.generate_binary_structure(3, 1)
    inner = ndimage.binary_erosion(mask, touching, border_value=1)
    outer = ndimage.binary_dilation(mask, touching)
    refined = np.zeros(volume.shape, bool)
    for (here, inside), (_, around) in zip(planes(inner, volume), planes(outer, volume), strict=True):
        box = bounding_box(around[None])
        if box is not None:
            _, rows, columns = slices_of(box)
            hu = volume.array[here, rows, columns]
            border = (hu >= low) & (hu < high) & around[rows, columns]
            refined[here, rows, columns] = border | inside[rows, columns]
    return refined
