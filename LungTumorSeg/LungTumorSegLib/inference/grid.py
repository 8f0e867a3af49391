"""Working grid: the part of a CT that the network receives, and the exact way back.

The grid is parallel to the canonical CT's grid, has the spacing that the model's manifest states, and is cropped to the
isolation mask. Every voxel outside the mask is air, so cropping removes nothing that the network could find.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.boxes import Box
from ..core.computed import ComputedVolume
from ..core.resampling import resample_separable
from ..core.volume import AIR_HU, Array, CTVolume, Grid, Mask, Volume
from .stack_length import STACK_SLICES

IN_PLANE_MULTIPLE = 8
"""The networks need heights and widths that are multiples of 8, because they pool three times by 2 x 2."""

MARGIN_VOXELS = 4
"""Number of working-grid voxels of air on every side of the mask.

In the slice plane, they keep the zero padding away from the lungs. Along the slices, they ensure that the first and
last slice with lung lie in two stacks at any stride up to half a stack.
"""

ROUNDING = 1e-4
"""Working-grid voxels by which an extent may exceed a whole number: rounding of headers, such as that of a NIfTI file
and of a DICOM series of the same CT, must not move the grid by half a voxel."""

LEADING_VOXELS = (0, IN_PLANE_MULTIPLE, 0)
"""Number of additional working-grid voxels of air before the margin, per axis (slice, row, column).

The additional rows lie in front of the chest. The networks' ConvLSTM starts at the first row, and its state must settle
before it reaches the lungs; otherwise, the probabilities depend on where the grid was cropped. With these rows, the
masks of a phantom agree with those of its uncropped grid at Dice 0.995 instead of 0.969.
"""


@dataclass(frozen=True, eq=False)
class WorkingGrid:
    """The image that the network receives, and how to return to the CT's grid.

    Attributes:
        image: Intensities, float32, from 0 (air) to 1. Rows and columns are multiples of 8.
        region: The isolation mask on the same grid.
        ct: The canonical grid of the CT.
        start: The fractional CT index (slice, row, column) of the working voxel (0, 0, 0).
        step: The number of CT voxels per working voxel (slice, row, column).
    """

    image: Volume
    region: Volume
    ct: Grid
    start: tuple[float, float, float]
    step: tuple[float, float, float]

    def carry_back(self, array: Array) -> ComputedVolume:
        """Interpolate a map on this grid linearly onto the CT's grid.

        Args:
            array: The map (slice, row, column), of the shape of ``image``.

        Returns:
            The map on the CT's grid, float32; 0 outside this grid. It is interpolated where its voxels are read.

        Raises:
            ValueError: The map has another shape than this grid.
        """
        if array.shape != self.image.shape:
            raise ValueError(f"A map of shape {array.shape} does not fit the working grid {self.image.shape}.")
        start = (-self.start[0] / self.step[0], -self.start[1] / self.step[1], -self.start[2] / self.step[2])
        step = (1 / self.step[0], 1 / self.step[1], 1 / self.step[2])

        def part(box: Box) -> Array:
            size = (box[1][0] - box[0][0], box[1][1] - box[0][1], box[1][2] - box[0][2])
            return resample_separable(array, start=start, step=step, size=size, first=box[0])

        return ComputedVolume(self.ct, part)

    def nearest_slices(self) -> Array:
        """Return the index of the nearest working slice for every CT slice.

        Returns:
            An int array of shape (CT slices,); -1 where no working slice is near.
        """
        position = np.rint((np.arange(self.ct.shape[0]) - self.start[0]) / self.step[0]).astype(int)
        return np.where((position >= 0) & (position < self.image.shape[0]), position, -1)


def make_working_grid(
    isolated: CTVolume, mask: Volume, *, spacing_mm: tuple[float, float, float], intensity_range_hu: tuple[float, float]
) -> WorkingGrid:
    """Build the working grid of an isolated CT.

    Args:
        isolated: The isolated CT (HU), in canonical axial order.
        mask: The isolation mask (bool) on the same grid.
        spacing_mm: The spacing of the working grid (slice, row, column), mm.
        intensity_range_hu: The HU values that become 0 and 1; values outside are clipped.

    Returns:
        The working grid.

    Raises:
        ValueError: The mask is empty, or the CT is not in canonical axial LPS order.
    """
    if isolated.canonical_axes() != Grid((1, 1, 1), np.eye(4)[[2, 1, 0, 3]]).canonical_axes():
        raise ValueError("The working grid needs a CT in canonical axial order.")
    if not mask.array.any():
        raise ValueError("The isolation mask is empty; choose a CT of the chest.")
    given = isolated.spacing
    step = (spacing_mm[0] / given[0], spacing_mm[1] / given[1], spacing_mm[2] / given[2])
    (first_slice, slices), (first_row, rows), (first_column, columns) = (
        _extent(mask.array, axis, step[axis]) for axis in range(3)
    )
    first, size = (first_slice, first_row, first_column), (slices, rows, columns)
    hu = resample_separable(isolated.array, start=first, step=step, size=size, outside=AIR_HU)
    low, high = intensity_range_hu
    region = resample_separable(mask.array, start=first, step=step, size=size) > 0
    affine = isolated.affine_from(first, step)
    image = np.clip((hu - low) / (high - low), 0.0, 1.0).astype(np.float32)
    return WorkingGrid(Volume(image, affine), Volume(region, affine), isolated.grid, first, step)


def _extent(mask: Mask, axis: int, step: float) -> tuple[float, int]:
    """Return the position of the first sample (CT index) and the number of samples along an axis.

    The samples cover the extent of the mask and the margins, are extended to a permitted size, and begin with the
    leading voxels.
    """
    inside = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
    low, high = inside[0] - 0.5, inside[-1] + 0.5  # from voxel centers to voxel edges
    size = int(np.ceil((high - low) / step - ROUNDING)) + 2 * MARGIN_VOXELS
    size = max(size, STACK_SLICES) if axis == 0 else -(-size // IN_PLANE_MULTIPLE) * IN_PLANE_MULTIPLE
    first = (low + high) / 2 - step * (size - 1) / 2 - step * LEADING_VOXELS[axis]
    return float(first), size + LEADING_VOXELS[axis]
