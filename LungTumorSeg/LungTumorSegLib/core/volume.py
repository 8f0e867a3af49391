"""Volumes that always carry their geometry.

Arrays are indexed (slice, row, column). The affine maps such an index to a point (x, y, z) in LPS mm: x increases
toward the patient's left, y toward the back, z toward the head (DICOM PS3.3 C.7.6.2.1.1). Spacing, direction and origin
are derived from the affine, so nothing is stored twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import permutations
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from .affines import valid_affine
from .errors import UnusableInput
from .messages import not_finite

AIR_HU = -1024
"""HU of air everywhere in this package: the lowest value of a 12-bit CT.

Padding below it (-2000, -3024) is raised to it.
"""

GRID_TOLERANCE_MM = 1e-3
"""Largest distance, in mm, between corresponding voxels of two grids that count as the same.

A round trip through NIfTI causes errors of this size.
"""

Array = npt.NDArray[Any]

Mask = npt.NDArray[np.bool_]
"""True inside of a structure; (slice, row, column) where it is 3D."""

Float32Array = npt.NDArray[np.float32]
"""Numbers in single precision: what images and networks compute with."""

Float64Array = npt.NDArray[np.float64]
"""Numbers in double precision: points, spacings and statistics."""

HU = npt.NDArray[np.int16 | np.float32]
"""Hounsfield units of a CT."""

Probability = Float32Array
"""Tumor probabilities, 0 to 1."""

Point = tuple[float, float, float]
"""A point (x, y, z), LPS mm."""


def as_point(values: Iterable[float]) -> Point:
    """Return three numbers, such as a row of an array, as a tuple of floats."""
    a, b, c = map(float, values)
    return a, b, c


def as_shape(values: Iterable[int]) -> tuple[int, int, int]:
    """Return three whole numbers, such as a row of an array, as a tuple of ints."""
    a, b, c = map(int, values)
    return a, b, c


class Geometry:
    """Properties that follow from a shape and an affine.

    ``Grid`` (without voxels) and ``Volume`` (with voxels) inherit it.
    """

    affine: Array

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return the number of (slices, rows, columns)."""
        raise NotImplementedError  # each subclass defines its own shape

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Return the distance between neighboring voxel centers along (slice, row, column), in mm."""
        return as_point(np.linalg.norm(self.affine[:3, :3], axis=0))

    @property
    def direction(self) -> Array:
        """Return the 3 x 3 matrix whose columns are the unit vectors of the slice, row and column axes in LPS."""
        return np.asarray(self.affine[:3, :3] / np.asarray(self.spacing))

    @property
    def origin(self) -> Array:
        """Return the LPS position (x, y, z), in mm, of the center of voxel (0, 0, 0)."""
        return np.array(self.affine[:3, 3])

    @property
    def voxel_volume_ml(self) -> float:
        """Return the volume of one voxel in mL."""
        return float(np.prod(self.spacing)) / 1000.0

    @property
    def corners(self) -> Array:
        """Return the indices (8, 3) of the corner voxels, the first one first."""
        last = np.asarray(self.shape) - 1
        return np.array(np.meshgrid(*[(0, n) for n in last], indexing="ij")).reshape(3, -1).T

    @property
    def grid(self) -> Grid:
        """Return the same geometry without voxels."""
        return Grid(self.shape, self.affine)

    def index_to_lps(self, index: npt.ArrayLike) -> Array:
        """Convert indices to points.

        Args:
            index: (slice, row, column) indices, shape (..., 3); fractions are allowed.

        Returns:
            LPS points (x, y, z) in mm, shape (..., 3).
        """
        return np.asarray(np.asarray(index, dtype=float) @ self.affine[:3, :3].T + self.affine[:3, 3])

    def lps_to_index(self, points: npt.ArrayLike) -> Array:
        """Convert points to fractional indices.

        Args:
            points: LPS points (x, y, z) in mm, shape (..., 3).

        Returns:
            (slice, row, column) indices, shape (..., 3).
        """
        return np.asarray((np.asarray(points, dtype=float) - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T)

    def affine_from(self, first: npt.ArrayLike, step: npt.ArrayLike = 1.0) -> Array:
        """Return the affine of a part of this grid, or of a coarser or finer grid along the same axes.

        Args:
            first: The index (slice, row, column) here of voxel (0, 0, 0) there; fractions are allowed.
            step: Number of voxels here per voxel there, one for all axes or one for each.
        """
        affine = self.affine.copy()
        affine[:3, :3] *= step
        affine[:3, 3] = self.index_to_lps(first)
        return affine

    def same_grid(self, other: Geometry, *, tolerance_mm: float = GRID_TOLERANCE_MM) -> bool:
        """Return whether two grids agree in shape and position.

        Args:
            other: The grid to compare with.
            tolerance_mm: Largest distance in mm between corresponding corner voxels.
        """
        if self.shape != other.shape:
            return False
        corners = self.corners
        distance = np.linalg.norm(self.index_to_lps(corners) - other.index_to_lps(corners), axis=1)
        return bool(distance.max() <= tolerance_mm)

    def canonical_axes(self) -> AxisOrder:
        """Return the permutation and flips that bring this grid closest to canonical axial LPS axes.

        Canonical slices run toward the head, rows toward the back and columns toward the patient's left.
        """
        toward = self.direction[::-1]  # rows z, y, x: the directions of the canonical slice, row and column axes
        best = max(permutations(range(3)), key=lambda p: sum(abs(toward[i, p[i]]) for i in range(3)))
        flips = (bool(toward[0, best[0]] < 0), bool(toward[1, best[1]] < 0), bool(toward[2, best[2]] < 0))
        return AxisOrder((best[0], best[1], best[2]), flips)


@dataclass(frozen=True, eq=False)
class Grid(Geometry):
    """Positions of voxels, without their values.

    Attributes:
        size: Number of (slices, rows, columns).
        affine: 4 x 4 matrix from (slice, row, column) index to LPS mm.

    Raises:
        ValueError: If the size has no three positive axes, or the affine is not finite and orthogonal.
    """

    size: tuple[int, int, int]
    affine: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "affine", valid_affine(self.affine))
        if len(self.size) != 3 or min(self.size) < 1:
            raise ValueError("A grid must have three axes of at least one voxel.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return the number of (slices, rows, columns)."""
        return self.size


@dataclass(frozen=True, eq=False)
class Volume(Geometry):
    """Voxels and their positions.

    A constructed volume is valid. The array is not copied.

    Attributes:
        array: Voxels (slice, row, column).
        affine: 4 x 4 matrix from (slice, row, column) index to LPS mm.

    Raises:
        ValueError: If the array does not have three nonempty axes, or the affine is not finite and orthogonal.
    """

    array: Array
    affine: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "affine", valid_affine(self.affine))
        if self.array.ndim != 3 or min(self.array.shape) < 1:
            raise ValueError(f"A volume must have three axes of at least one voxel, not shape {self.array.shape}.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return the number of (slices, rows, columns)."""
        slices, rows, columns = self.array.shape
        return slices, rows, columns

    @property
    def mask_ml(self) -> float:
        """Volume of the true voxels of a mask, mL."""
        return float(np.count_nonzero(self.array)) * self.voxel_volume_ml

    def with_array(self, array: Array) -> Volume:
        """Return a volume of other voxels (a mask or a map) on this volume's grid.

        Raises:
            ValueError: If the shape of the array differs from that of the grid.
        """
        if array.shape != self.shape:
            raise ValueError(f"An array of shape {array.shape} does not fit a grid of shape {self.shape}.")
        return Volume(array, self.affine)

    def replaced(self, array: Array, affine: Array) -> Self:
        """Return the same kind of volume with other voxels and another affine."""
        return replace(self, array=array, affine=affine)

    def reordered(self, order: AxisOrder) -> Self:
        """Return the same volume with its axes in another order; each voxel keeps its position in space."""
        if order.is_identity:
            return self
        array = np.transpose(self.array, order.permutation)
        array = np.flip(array, tuple(axis for axis in range(3) if order.flips[axis]))
        return self.replaced(np.ascontiguousarray(array), order.apply_to_affine(self.affine, self.shape))

    def crop(self, start: tuple[int, int, int], stop: tuple[int, int, int]) -> Volume:
        """Return a part of the volume, with the affine moved accordingly.

        Args:
            start: First index (slice, row, column).
            stop: Last index (slice, row, column), exclusive.
        """
        box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        return Volume(self.array[box], self.affine_from(start))


@dataclass(frozen=True, eq=False)
class CTVolume(Volume):
    """A CT with finite HU as int16 or float32.

    Values below ``AIR_HU`` are raised to it.

    Attributes:
        array: HU (slice, row, column).
        affine: 4 x 4 matrix from (slice, row, column) index to LPS mm.
        warnings: Sentences that say what the reader had to substitute.
        resampled: Whether the grid differs from the one in the file.
        dicom_files: The DICOM slices from which the CT was read, one per position; empty if it was not DICOM.

    Raises:
        UnusableInput: If values are not finite.
        ValueError: If the geometry is invalid.
    """

    warnings: tuple[str, ...] = field(default=())
    resampled: bool = False
    dicom_files: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        array = self.array
        if array.dtype != np.int16 and array.dtype != np.float32:
            array = array.astype(np.float32)
        lowest = array.min()
        if not np.isfinite(lowest) or not np.isfinite(array.max()):
            raise UnusableInput(not_finite("The CT"))
        if lowest < AIR_HU:
            array = np.maximum(array, array.dtype.type(AIR_HU))
        object.__setattr__(self, "array", array)


AnyVolume = TypeVar("AnyVolume", bound=Volume)


@dataclass(frozen=True)
class AxisOrder:
    """A lossless, invertible permutation of axes followed by flips.

    New axis i is old axis ``permutation[i]``, reversed if ``flips[i]`` is true.
    """

    permutation: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    @property
    def is_identity(self) -> bool:
        """Whether this order changes nothing."""
        return self.permutation == (0, 1, 2) and not any(self.flips)

    def apply(self, volume: AnyVolume) -> AnyVolume:
        """Return ``volume`` with its axes permuted and flipped; each voxel keeps its position in space."""
        return volume.reordered(self)

    def apply_to_grid(self, grid: Grid) -> Grid:
        """Return ``grid`` with its axes permuted and flipped, as ``apply`` does with a volume."""
        return Grid(self._new_size(grid.shape), self.apply_to_affine(grid.affine, grid.shape))

    def apply_to_affine(self, affine: Array, shape: tuple[int, int, int]) -> Array:
        """Return the affine that a grid of this affine and shape has afterwards.

        Args:
            affine: 4 x 4 matrix from (slice, row, column) index to LPS mm.
            shape: Number of (slices, rows, columns).
        """
        size = self._new_size(shape)
        moved = affine[:, (*self.permutation, 3)].copy()
        for axis in (axis for axis in range(3) if self.flips[axis]):
            moved[:3, 3] += moved[:3, axis] * (size[axis] - 1)
            moved[:3, axis] *= -1
        return moved

    def _new_size(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        a, b, c = self.permutation
        return shape[a], shape[b], shape[c]

    def undo(self, volume: AnyVolume) -> AnyVolume:
        """Apply the inverse of ``apply``."""
        return self.inverse().apply(volume)

    def inverse(self) -> AxisOrder:
        """Return the axis order that undoes this one."""
        p = self.permutation
        back = (p.index(0), p.index(1), p.index(2))
        return AxisOrder(back, (self.flips[back[0]], self.flips[back[1]], self.flips[back[2]]))
