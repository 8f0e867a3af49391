"""The coarse grid of about 2 mm on which the lungs are isolated, and the way back to the CT's own voxels.

Morphology with radii of 4 to 20 mm gains nothing from voxels of 0.7 mm, on which it takes thirty times as long. Every
step in this folder therefore uses block means. Only the last step of each mask uses the CT's own voxels again, one
coarse voxel on each side of the border.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import numpy as np

from ..core.boxes import Slices, bounding_box, slices_of, widen_box
from ..core.threads import run_both
from ..core.volume import HU, Mask, Volume
from .morphology import ROUNDING, grow_by_one

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
    affine = volume.affine_from([(f - 1) / 2 for f in factors], factors)

    def part(firsts: range) -> list[HU]:
        return [_coarse_slice(volume.array[first : first + factors[0]], factors[1:]) for first in firsts]

    firsts = range(0, volume.shape[0], factors[0])
    halves = run_both(lambda: part(firsts[: len(firsts) // 2]), lambda: part(firsts[len(firsts) // 2 :]))
    return Volume(np.stack([*halves[0], *halves[1]]), affine)


def _coarse_slice(slab: HU, factors: tuple[int, int]) -> HU:
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


def planes(mask: Mask, volume: Volume) -> Iterator[tuple[slice, Mask]]:
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


def remove(fine: Mask, coarse: Mask, volume: Volume) -> None:
    """Remove a coarse mask from a mask on ``volume``'s own grid, in place; both are (slices, rows, columns)."""
    for here, plane in planes(coarse, volume):
        if plane.any():
            fine[here] &= ~plane


def refine(mask: Mask, volume: Volume, low: float, high: float) -> Mask:
    """Transfer a coarse mask to ``volume``'s own grid, with a border along the voxels with ``low`` <= HU < ``high``.

    Coarse voxels inside the border stay unchanged. Those at the border and those that touch it are decided voxel by
    voxel.

    Args:
        mask: The mask (bool) on the grid of ``coarsen(volume)``.
        volume: The CT (HU).
        low: Lowest HU of a voxel at the border; minus infinity for no limit.
        high: HU that a voxel at the border does not reach; infinity for no limit.

    Returns:
        The mask (bool) on the grid of ``volume``.
    """
    refined = np.zeros(volume.shape, bool)
    whole = bounding_box(mask)
    if whole is None:
        return refined
    near = slices_of(widen_box(whole, (1, 1, 1), mask.shape))
    inner, outer = np.zeros_like(mask), np.zeros_like(mask)
    inner[near], outer[near] = ~grow_by_one(~mask[near]), grow_by_one(mask[near])
    for index in range(*near[0].indices(len(mask))):
        box = bounding_box(outer[index : index + 1])
        if box is not None:
            _, rows, columns = slices_of(box)
            (here, inside), (_, around) = (_enlarged(each, index, rows, columns, volume) for each in (inner, outer))
            hu = volume.array[here]
            border = around if low == -np.inf else around & (hu >= low)
            border = border if high == np.inf else border & (hu < high)
            refined[here] = border | inside
    return refined


def _enlarged(mask: Mask, index: int, rows: slice, columns: slice, volume: Volume) -> tuple[Slices, Mask]:
    """Transfer a part of a slice of a coarse mask to ``volume``'s own grid.

    Returns:
        The voxels of the volume that the part covers, and the mask (bool) in each of their slices.
    """
    parts = (slice(index, index + 1), rows, columns)
    start, stop = zip(
        *(
            (part.start * factor, min(part.stop * factor, size))
            for part, factor, size in zip(parts, block_factors(volume), volume.shape, strict=True)
        ),
        strict=True,
    )
    _, over_rows, over_columns = block_factors(volume)
    plane = mask[index, rows, columns].repeat(over_rows, axis=0).repeat(over_columns, axis=1)
    k, i, j = (slice(a, b) for a, b in zip(start, stop, strict=True))
    return (k, i, j), plane[: stop[1] - start[1], : stop[2] - start[2]]
