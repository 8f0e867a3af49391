"""Is this a chest CT? The checks that every reader shares."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..core.errors import UnusableInput
from ..core.volume import Array, Grid

MIN_SLICES = 8
"""Fewest axial slices: the depth of one stack of the networks."""

MIN_SPACING_MM, MAX_SPACING_MM = 0.1, 20.0
"""Clinical CT lies between 0.2 mm (ultra-high resolution) and 10 mm (thick slices); what is beyond is a wrong unit or an empty field."""

LUNG_MAX_HU = -500
"""Upper end of the attenuation of aerated lung; a chest CT without a single voxel below it is not in HU."""

MAX_HU = np.iinfo(np.int16).max
"""Whole HU are kept as int16; higher ones (no implant is that dense) are cut to this value."""


def check_slice_count(slices: int, path: Path) -> None:
    """Raise UnusableInput for fewer than ``MIN_SLICES`` axial slices."""
    if slices < MIN_SLICES:
        raise UnusableInput(
            f"{path} has too few axial slices ({slices}, and at least {MIN_SLICES} are needed); give the whole chest CT."
        )


def check_grid(grid: Grid, path: Path) -> None:
    """Raise UnusableInput if the grid is flat, its spacing cannot be a CT's or there are too few axial slices."""
    if min(grid.shape) == 1:
        raise UnusableInput(
            f"{path} is not a 3D image (its size is {' x '.join(map(str, grid.shape[::-1]))}); give a single 3D volume."
        )
    spacing = grid.spacing
    if min(spacing) < MIN_SPACING_MM or max(spacing) > MAX_SPACING_MM:
        found = " x ".join(f"{mm:g}" for mm in spacing)
        raise UnusableInput(
            f"The voxel spacing of {path}, {found} mm, cannot be a CT's ({MIN_SPACING_MM} to {MAX_SPACING_MM:g} mm); "
            "export it again with its spacing."
        )
    check_slice_count(grid.shape[grid.canonical_axes().permutation[0]], path)


def check_intensities(array: Array, path: Path) -> None:
    """Raise UnusableInput if the voxels are not finite, all equal, or cannot be the HU of a chest (nothing as dark as lung)."""
    lowest, highest = float(array.min()), float(array.max())
    if not np.isfinite([lowest, highest]).all():
        raise UnusableInput(
            f"{path} contains values that are not numbers (NaN or infinite); export it again from its source."
        )
    if lowest == highest:
        raise UnusableInput(f"Every voxel of {path} has the value {lowest:g}; give an image with content.")
    if lowest > LUNG_MAX_HU:
        raise UnusableInput(
            f"The values of {path} run from {lowest:g} to {highest:g}, which is not a chest CT in HU (air is near -1000); "
            "export it again in Hounsfield units."
        )
