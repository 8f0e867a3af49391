"""Volumes that never travel without their geometry.

Arrays are indexed (slice, row, column). The affine maps such an index to a point (x, y, z) in LPS millimetres: x grows to the
patient's left, y to the back, z to the head (DICOM PS3.3 C.7.6.2.1.1). Everything else (spacing, direction, origin) is derived
from the affine, so nothing is stored twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from .errors import UnusableInput

AIR_HU = -1024
"""HU of air everywhere in this package: the lowest value of 12-bit CT; padding below it (-2000, -3024) is raised to it."""

ORTHOGONALITY_TOLERANCE = 1e-3
"""Largest deviation of the axes' dot products from 0; a single-precision NIfTI header stays two orders below it."""

GRID_TOLERANCE_MM = 1e-3
"""Two grids are the same if no voxel of one lies farther than this from its partner (a NIfTI round trip's error)."""

Array = npt.NDArray[Any]


class Geometry:
    """What follows from a shape and an affine. Inherited by ``Grid`` (no voxels) and ``Volume`` (with voxels)."""

    affine: Array

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of (slices, rows, columns)."""
        raise NotImplementedError  # both subclasses have a shape of their own

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance of neighboring voxel centers along (slice, row, column), mm."""
        lengths = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(lengths[0]), float(lengths[1]), float(lengths[2])

    @property
    def direction(self) -> Array:
        """3 x 3; its columns are the unit vectors of the slice, row and column axes in LPS."""
        return np.asarray(self.affine[:3, :3] / np.asarray(self.spacing))

    @property
    def origin(self) -> Array:
        """LPS position (x, y, z) of the center of voxel (0, 0, 0), mm."""
        return np.array(self.affine[:3, 3])

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel, mL."""
        return float(np.prod(self.spacing)) / 1000.0

    @property
    def grid(self) -> Grid:
        """The same geometry without voxels."""
        return Grid(self.shape, self.affine)

    def index_to_lps(self, index: npt.ArrayLike) -> Array:
        """LPS points (x, y, z) in mm, shape (..., 3), of (slice, row, column) indices, shape (..., 3); fractions allowed."""
        return np.asarray(np.asarray(index, dtype=float) @ self.affine[:3, :3].T + self.affine[:3, 3])

    def lps_to_index(self, points: npt.ArrayLike) -> Array:
        """Fractional (slice, row, column) indices, shape (..., 3), of LPS points (x, y, z) in mm, shape (..., 3)."""
        return np.asarray((np.asarray(points, dtype=float) - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T)

    def same_grid(self, other: Geometry, *, tolerance_mm: float = GRID_TOLERANCE_MM) -> bool:
        """True if shapes are equal and no corner voxel of one grid lies farther than ``tolerance_mm`` from the other's."""
        if self.shape != other.shape:
            return False
        last = np.asarray(self.shape) - 1
        corners = np.array(np.meshgrid(*[(0, n) for n in last], indexing="ij")).reshape(3, -1).T
        distance = np.linalg.norm(self.index_to_lps(corners) - other.index_to_lps(corners), axis=1)
        return bool(distance.max() <= tolerance_mm)

    def canonical_axes(self) -> AxisOrder:
        """The flips and permutation that bring this grid nearest to axial LPS: slices to the head, rows back, columns left."""
        toward = self.direction[::-1]  # rows now z, y, x: what the canonical slice, row and column axes point along
        best = max(permutations(range(3)), key=lambda p: sum(abs(toward[i, p[i]]) for i in range(3)))
        flips = (bool(toward[0, best[0]] < 0), bool(toward[1, best[1]] < 0), bool(toward[2, best[2]] < 0))
        return AxisOrder((best[0], best[1], best[2]), flips)


def _checked_affine(affine: npt.ArrayLike) -> Array:
    matrix = np.array(affine, dtype=float)
    if matrix.shape != (4, 4) or not np.isfinite(matrix).all() or not np.array_equal(matrix[3], [0, 0, 0, 1]):
        raise ValueError("The affine must be a finite 4 x 4 matrix with last row 0 0 0 1.")
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if (lengths == 0).any():
        raise ValueError("The affine must have a spacing above zero along every axis.")
    directions = matrix[:3, :3] / lengths
    if np.abs(directions.T @ directions - np.eye(3)).max() > ORTHOGONALITY_TOLERANCE:
        raise ValueError("The affine's axes must be orthogonal; resample a sheared or tilted volume first.")
    matrix.flags.writeable = False
    return matrix


@dataclass(frozen=True, eq=False)
class Grid(Geometry):
    """Where voxels lie: ``size`` (slices, rows, columns) and the affine from index to LPS mm. Raises ValueError on bad geometry."""

    size: tuple[int, int, int]
    affine: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "affine", _checked_affine(self.affine))
        if len(self.size) != 3 or min(self.size) < 1:
            raise ValueError("A grid must have three axes of at least one voxel.")

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.size


@dataclass(frozen=True, eq=False)
class Volume(Geometry):
    """Voxels and where they lie: ``array`` (slice, row, column) and the affine from that index to LPS mm.

    Valid once built: three axes, a finite orthogonal affine (ValueError otherwise). The array is not copied.
    """

    array: Array
    affine: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "affine", _checked_affine(self.affine))
        if self.array.ndim != 3 or min(self.array.shape) < 1:
            raise ValueError(f"A volume must have three axes of at least one voxel, not shape {self.array.shape}.")

    @property
    def shape(self) -> tuple[int, int, int]:
        slices, rows, columns = self.array.shape
        return slices, rows, columns

    def with_array(self, array: Array) -> Volume:
        """A volume of other voxels (a mask, a map) on this volume's grid; raises ValueError if the shape differs."""
        if array.shape != self.array.shape:
            raise ValueError(f"An array of shape {array.shape} does not fit a grid of shape {self.array.shape}.")
        return Volume(array, self.affine)

    def replaced(self, array: Array, affine: Array) -> Self:
        """The same kind of volume with other voxels elsewhere."""
        return replace(self, array=array, affine=affine)

    def crop(self, start: tuple[int, int, int], stop: tuple[int, int, int]) -> Volume:
        """The voxels from ``start`` up to, not including, ``stop`` (slice, row, column), with the affine moved along."""
        box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        affine = self.affine.copy()
        affine[:3, 3] = self.index_to_lps(start)
        return Volume(self.array[box], affine)


@dataclass(frozen=True, eq=False)
class CTVolume(Volume):
    """A CT: finite HU as int16 or float32, nothing below ``AIR_HU`` (lower values are raised to it).

    ``warnings`` says in sentences what the reader had to substitute; ``resampled`` is true where the grid is not the file's own.
    Raises UnusableInput where values are not finite, ValueError on bad geometry.
    """

    warnings: tuple[str, ...] = field(default=())
    resampled: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        array = self.array
        if array.dtype != np.int16 and array.dtype != np.float32:
            array = array.astype(np.float32)
        lowest = array.min()
        if not np.isfinite(lowest) or not np.isfinite(array.max()):
            raise UnusableInput(
                "The CT contains values that are not numbers (NaN or infinite); export it again from its source."
            )
        if lowest < AIR_HU:
            array = np.maximum(array, array.dtype.type(AIR_HU))
        object.__setattr__(self, "array", array)


AnyVolume = TypeVar("AnyVolume", bound=Volume)


@dataclass(frozen=True)
class AxisOrder:
    """A permutation of axes, then flips; lossless both ways.

    New axis i is old axis ``permutation[i]``, reversed where ``flips[i]``.
    """

    permutation: tuple[int, int, int]
    flips: tuple[bool, bool, bool]

    def apply(self, volume: AnyVolume) -> AnyVolume:
        """``volume`` with its axes permuted and flipped, each voxel at its old place in space."""
        array = np.transpose(volume.array, self.permutation)
        array = np.flip(array, tuple(axis for axis in range(3) if self.flips[axis]))
        return volume.replaced(np.ascontiguousarray(array), self.apply_to_grid(volume.grid).affine)

    def apply_to_grid(self, grid: Grid) -> Grid:
        """``grid`` with its axes permuted and flipped, as ``apply`` does it with a volume's."""
        size = (grid.shape[self.permutation[0]], grid.shape[self.permutation[1]], grid.shape[self.permutation[2]])
        affine = grid.affine[:, (*self.permutation, 3)].copy()
        for axis in (axis for axis in range(3) if self.flips[axis]):
            affine[:3, 3] += affine[:3, axis] * (size[axis] - 1)
            affine[:3, axis] *= -1
        return Grid(size, affine)

    def undo(self, volume: AnyVolume) -> AnyVolume:
        """The inverse of ``apply``."""
        return self.inverse().apply(volume)

    def inverse(self) -> AxisOrder:
        """The order whose ``apply`` is this one's ``undo``."""
        p = self.permutation
        back = (p.index(0), p.index(1), p.index(2))
        return AxisOrder(back, (self.flips[back[0]], self.flips[back[1]], self.flips[back[2]]))
