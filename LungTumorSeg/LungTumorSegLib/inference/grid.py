"""The working grid: what the network sees of a CT, and the exact way back.

The grid is parallel to the canonical CT's, has the spacing that the model's manifest names, and is cropped to the isolation mask.
Outside the mask every voxel is air, so what is cropped away holds nothing a network could find.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.resampling import resample_separable
from ..core.volume import AIR_HU, Array, CTVolume, Grid, Volume
from .stacks import STACK_SLICES

IN_PLANE_MULTIPLE = 8
"""Three 2 x 2 poolings (sff-networks: H and W are multiples of 8)."""

MARGIN_VOXELS = 4
"""Working-grid voxels of air kept on every side of the mask. In plane they keep zero padding away from the lungs; along the slices
they let the first and last slice of lung lie in two stacks at any stride up to half a stack."""

LEADING_VOXELS = (0, IN_PLANE_MULTIPLE, 0)
"""Working-grid voxels of air before the margin, by axis: rows in front of the chest. The networks' ConvLSTM runs from the first row on,
and its state has to settle before it reaches the lungs, or the answer depends on where the grid was cropped (masks of a phantom agree with
those of its whole grid at Dice 0.995 instead of 0.969)."""


@dataclass(frozen=True, eq=False)
class WorkingGrid:
    """What the network sees: ``image`` float32, 0 (air) to 1, and ``region``, the isolation mask, on one grid of multiples of 8.

    ``start`` is the (fractional) canonical CT index of voxel (0, 0, 0), ``step`` the CT voxels to one working voxel; ``ct`` is the
    grid to come back to.
    """

    image: Volume
    region: Volume
    ct: Grid
    start: tuple[float, float, float]
    step: tuple[float, float, float]

    def carry_back(self, array: Array) -> Volume:
        """A map on this grid (slice, row, column), interpolated linearly onto the CT's grid, float32; 0 where this grid does not reach."""
        if array.shape != self.image.shape:
            raise ValueError(f"A map of shape {array.shape} does not fit the working grid {self.image.shape}.")
        start = (-self.start[0] / self.step[0], -self.start[1] / self.step[1], -self.start[2] / self.step[2])
        step = (1 / self.step[0], 1 / self.step[1], 1 / self.step[2])
        return Volume(resample_separable(array, start=start, step=step, size=self.ct.shape), self.ct.affine)

    def nearest_slices(self) -> Array:
        """For every CT slice the index of the nearest working slice, -1 where none is near (int, one a CT slice)."""
        position = np.rint((np.arange(self.ct.shape[0]) - self.start[0]) / self.step[0]).astype(int)
        return np.where((position >= 0) & (position < self.image.shape[0]), position, -1)


def make_working_grid(
    isolated: CTVolume, mask: Volume, *, spacing_mm: tuple[float, float, float], intensity_range_hu: tuple[float, float]
) -> WorkingGrid:
    """The working grid of a canonical, isolated CT and its isolation mask (bool, same grid).

    ``spacing_mm`` is (slice, row, column); HU of ``intensity_range_hu`` become 0 to 1, clipped. Raises ValueError for an empty mask or
    a CT that is not in canonical axial LPS order.
    """
    if isolated.canonical_axes() != Grid((1, 1, 1), np.eye(4)[[2, 1, 0, 3]]).canonical_axes():
        raise ValueError("The working grid is made from a CT in canonical axial order.")
    if not mask.array.any():
        raise ValueError("The isolation mask is empty; there is nothing to look at.")
    given = isolated.spacing
    step = (spacing_mm[0] / given[0], spacing_mm[1] / given[1], spacing_mm[2] / given[2])
    (first_slice, slices), (first_row, rows), (first_column, columns) = (
        _extent(mask.array, axis, step[axis]) for axis in range(3)
    )
    first, size = (first_slice, first_row, first_column), (slices, rows, columns)
    hu = resample_separable(isolated.array, start=first, step=step, size=size, offset=-AIR_HU) + AIR_HU
    low, high = intensity_range_hu
    region = resample_separable(mask.array, start=first, step=step, size=size) > 0
    affine = isolated.affine.copy()
    affine[:3, :3] *= step
    affine[:3, 3] = isolated.index_to_lps(first)
    image = np.clip((hu - low) / (high - low), 0.0, 1.0).astype(np.float32)
    return WorkingGrid(Volume(image, affine), Volume(region, affine), isolated.grid, first, step)


def _extent(mask: Array, axis: int, step: float) -> tuple[float, int]:
    """First sample position (CT index) and number of samples along ``axis``: the mask's extent, margins, a permitted size, the lead."""
    inside = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
    low, high = inside[0] - 0.5, inside[-1] + 0.5  # voxel edges
    size = int(np.ceil((high - low) / step)) + 2 * MARGIN_VOXELS
    size = max(size, STACK_SLICES) if axis == 0 else -(-size // IN_PLANE_MULTIPLE) * IN_PLANE_MULTIPLE
    first = (low + high) / 2 - step * (size - 1) / 2 - step * LEADING_VOXELS[axis]
    return float(first), size + LEADING_VOXELS[axis]
