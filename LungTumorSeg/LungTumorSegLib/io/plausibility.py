"""Check whether an image is a plausible chest CT; all readers share these checks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..core.errors import UnusableInput
from ..core.messages import not_finite
from ..core.volume import AIR_HU, Array, Grid

MIN_SLICES = 8
"""Smallest number of axial slices: the depth of one stack of the networks."""

MIN_SPACING_MM, MAX_SPACING_MM = 0.1, 20.0
"""Range of plausible voxel spacing in mm.

Clinical CT lies between 0.2 mm (ultra-high resolution) and 10 mm (thick slices). A value outside the range means a
wrong unit or an empty field.
"""

AIR_HU_RANGE = (-1100, -500)
"""HU range of air and aerated lung.

No substance is less dense: lower values mark voxels that were not scanned, and say nothing about the scale.
"""

WATER_HU_RANGE = (-200, 200)
"""HU range near water: fat, blood, muscle and most contrast agent."""

MIN_AIR_SHARE = 0.01
"""Smallest share of air among scanned voxels; whole chests have more than 0.3."""

MIN_WATER_SHARE = 0.03
"""Smallest share of water among scanned voxels.

Whole chests have 0.19 or more, and at most 0.011 if HU are shifted by -1024.
"""

MAX_TISSUE_HU, MAX_DENSE_SHARE = 3071, 0.01
"""Highest HU of a 12-bit CT, and largest share of scanned voxels above it.

Only metal is denser, and even large implants fill less. A larger share is padding that the header does not state, or
signed values that it declares unsigned; both hide the outline of the body, and lungs and sides come out wrong.
"""

MOST_LABELS = 100
"""Highest value of an image from 0 that is taken for a segmentation or a map, and not for a CT of another scale."""

PADDING_MAX_HU, PADDING_MIN_SHARE = -1000, 0.05
"""Highest value, and smallest share of the voxels, of a lowest value that counts as padding.

Such a value is padding, or air that was clipped to one value; neither says anything about the scale. The share applies
also to exact zeros, if they fill all eight corners of the volume: air around a patient is never 0.
"""

ALIKE, ALIKE_SLICES = 3.0, 5.0
"""Largest difference of true neighbors in a slice, and in adjacent slices, divided by that of voxels side by side.

Smooth images that are no CT, such as ramps, exceed it: there, any voxels differ by as much as they are apart.
"""

LEAST_ROWS = 64
"""Fewest rows of a CT: if they are taken for slices, there are as many slices."""

EXCHANGED_RATIO = 0.7
"""Ratio of the differences of neighbors along exchanged and along stated axes below which the sizes are exchanged.

On twelve CTs with all orders of their axes, none of the 72 right headers is refused, and 230 of the 234 wrong ones with
exchanged sizes are. Slices that are blank are left out.
"""

NO_AIR_HU = -900
"""HU above which a voxel is no air, whose differences say nothing."""

SAMPLED_VOXELS = 200_000
"""Number of pairs of voxels whose differences are compared; smaller images, far below any CT, are not judged."""

MAX_HU = np.iinfo(np.int16).max
"""Largest HU; whole HU are stored as int16, and higher values (no implant is that dense) are clipped to this one."""


def check_slice_count(slices: int, path: Path) -> None:
    """Check the number of axial slices.

    Raises:
        UnusableInput: If there are fewer than ``MIN_SLICES``.
    """
    if slices < MIN_SLICES:
        raise UnusableInput(
            f"{path} has too few axial slices ({slices}; at least {MIN_SLICES} are needed); choose the whole chest CT."
        )


def check_grid(grid: Grid, path: Path) -> None:
    """Check the grid of a CT.

    Raises:
        UnusableInput: If the grid is flat, its spacing is implausible for a CT, or there are too few axial slices.
    """
    if min(grid.shape) == 1:
        raise UnusableInput(
            f"{path} is not a 3D image (its size is {' x '.join(map(str, grid.shape[::-1]))}); choose a single 3D "
            "volume."
        )
    spacing = grid.spacing
    if min(spacing) < MIN_SPACING_MM or max(spacing) > MAX_SPACING_MM:
        found = " x ".join(f"{mm:g}" for mm in spacing)
        raise UnusableInput(
            f"The voxel spacing of {path}, {found} mm, is impossible for a CT ({MIN_SPACING_MM} to {MAX_SPACING_MM:g} "
            "mm); export it again with the correct spacing."
        )
    check_slice_count(grid.shape[grid.canonical_axes().permutation[0]], path)


def check_intensities(array: Array, path: Path) -> None:
    """Check that voxel values can be the HU of a chest.

    A single dark voxel, or the padding around the scanned circle, does not make stored values pass as HU.

    Args:
        array: Values (slice, row, column).
        path: The file, for error messages.

    Raises:
        UnusableInput: If values are not finite, if all are equal, if too few lie near air or near water, if too many
            are denser than tissue, or if the stated sizes are exchanged.
    """
    lowest, highest = float(array.min()), float(array.max())
    if not np.isfinite([lowest, highest]).all():
        raise UnusableInput(not_finite(path))
    if lowest == highest:
        raise UnusableInput(f"Every voxel of {path} has the value {lowest:g}; choose an image with content.")
    air, water, dense = _shares(array, lowest)
    if air < MIN_AIR_SHARE or water < MIN_WATER_SHARE:
        if lowest == 0 and highest <= MOST_LABELS:
            raise UnusableInput(
                f"The values of {path} run from 0 to {highest:g}, as those of a segmentation, a probability map or a "
                "normalized image, and are not HU; choose the CT itself, in HU."
            )
        raise UnusableInput(
            f"The values of {path} run from {lowest:g} to {highest:g}, which is not a chest CT in HU ({air:.1%} of "
            f"them lie near air at -1000, {water:.1%} near water at 0); export it again in Hounsfield units."
        )
    if dense > MAX_DENSE_SHARE:
        raise UnusableInput(
            f"{dense:.1%} of the values of {path} exceed {MAX_TISSUE_HU} HU (up to {highest:g}), and no tissue is "
            "that dense: "
            "they are padding that the header does not state, or its number format is wrong; export it again from "
            "its source."
        )
    if _sizes_exchanged(array):
        raise UnusableInput(
            f"The voxels of {path} continue across rows or slices of another size than the stated "
            f"{' x '.join(map(str, array.shape[::-1]))}, so its sizes are exchanged; export it again from its source."
        )


def _sizes_exchanged(array: Array) -> bool:
    """Return whether voxels resemble their neighbors if, and only if, two of the three sizes are exchanged.

    Args:
        array: Values (slice, row, column).
    """
    if not array.flags.c_contiguous or array.size < SAMPLED_VOXELS:
        return False
    slices, rows, columns = array.shape
    with_content = np.array([plane.min() < plane.max() for plane in array])
    flat = (array if with_content.all() else array[with_content]).reshape(-1)
    adjacent = _difference(flat, 1)
    if adjacent == 1:
        return False  # there is no noise, so this is no image of a scanner
    in_planes = [(columns, other, ALIKE) for other in (slices, rows)]
    of_planes = [(rows * columns, slices * other, ALIKE_SLICES) for other in (rows, columns) if slices >= LEAST_ROWS]
    for stated, other, alike in (*in_planes, *of_planes):
        apart = _difference(flat, other)
        if other != stated and apart < EXCHANGED_RATIO * _difference(flat, stated) and apart <= alike * adjacent:
            return True
    return False


def _difference(flat: Array, stride: int) -> float:
    """Return the median difference, HU, of voxels that are ``stride`` apart in storage order, of which one is no air.

    The median hardly depends on edges and metal.
    """
    step = max(1, (len(flat) - stride) // SAMPLED_VOXELS) | 1
    here, there = flat[: len(flat) - stride : step], flat[stride::step]
    low, high = AIR_HU, WATER_HU_RANGE[1]
    apart = np.abs(np.clip(here, low, high) - np.clip(there, low, high).astype(np.float32))[here > NO_AIR_HU]
    return float(np.median(apart)) + 1 if len(apart) else 1.0  # + 1: noise of a synthetic CT is 0


def _shares(array: Array, lowest: float) -> tuple[float, float, float]:
    """Return the shares of air, of water and of values denser than tissue among the voxels that are not padding."""
    in_frame = not array[np.ix_((0, -1), (0, -1), (0, -1))].any()
    padding = air = water = dense = at_lowest = at_zero = 0
    for plane in array:  # slice by slice: a mask of the whole volume would need as much memory again
        padding += int(np.count_nonzero(plane < AIR_HU_RANGE[0]))
        air += int(np.count_nonzero((plane >= AIR_HU_RANGE[0]) & (plane <= AIR_HU_RANGE[1])))
        water += int(np.count_nonzero((plane >= WATER_HU_RANGE[0]) & (plane <= WATER_HU_RANGE[1])))
        dense += int(np.count_nonzero(plane > MAX_TISSUE_HU))
        at_lowest += int(np.count_nonzero(plane == lowest))
        at_zero += int(np.count_nonzero(plane == 0)) if in_frame else 0
    if AIR_HU_RANGE[0] <= lowest <= PADDING_MAX_HU and at_lowest >= PADDING_MIN_SHARE * array.size:
        air -= at_lowest
        padding += at_lowest
    if at_zero >= PADDING_MIN_SHARE * array.size:
        water -= at_zero
        padding += at_zero
    scanned = max(array.size - padding, 1)
    return air / scanned, water / scanned, dense / scanned
