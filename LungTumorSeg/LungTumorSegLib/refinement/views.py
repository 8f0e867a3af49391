"""What the second network sees of one candidate: a fine view around it, and a coarse view of the anatomy.

The fine view is a cube whose side follows the size of the candidate: a liberal box of twice its extent (Ray 2016,
TS-FCN, who resized it to 100 x 100 pixels). The coarse view is a cube of fixed side, so that heart, aorta and
diaphragm look alike in every CT.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..core.boxes import Slices
from ..core.resampling import resample_separable
from ..core.volume import AIR_HU, Array, Float32Array, Float64Array, Mask, Point, Volume, as_point, as_shape

FINE_VOXELS = 40
"""Voxels of the fine view along each axis."""

COARSE_VOXELS, COARSE_MM = 32, 192.0
"""Voxels of the coarse view along each axis, and its side, mm."""

SIDE_PER_EXTENT = 2.0
"""Side of the fine view, divided by the longest side of the candidate's bounding box."""

SIDE_RANGE_MM = (28.0, 144.0)
"""Smallest and largest side of the fine view, mm: voxels of 0.7 to 3.6 mm."""

WIDE_HU, SOFT_HU = (-1000.0, 400.0), (-160.0, 240.0)
"""HU ranges that become 0 to 1: a lung window, and a soft tissue window in which tumor and vessels differ."""

AERATED_HU = -500.0
"""HU below which a voxel of the lungs is aerated."""

ANATOMY_MM = 3.0
"""Voxels of the volumes from which the coarse view is sampled, mm."""


def side_for_extent(extent_mm: float) -> float:
    """Return the side of the fine view, mm, for a candidate whose bounding box has the longest side ``extent_mm``."""
    return float(np.clip(SIDE_PER_EXTENT * extent_mm, *SIDE_RANGE_MM))


@dataclass(frozen=True, eq=False)
class Cube:
    """A cube of voxels with edges parallel to the axes of a canonical volume.

    Attributes:
        center: Its center, LPS mm.
        side_mm: Its side, mm.
        voxels: Number of voxels along each axis.
    """

    center: Point
    side_mm: float
    voxels: int = FINE_VOXELS

    @property
    def voxel_mm(self) -> float:
        """Side of a voxel, mm."""
        return self.side_mm / self.voxels

    def to_lps(self, index: npt.ArrayLike, of: Volume) -> Point:
        """Return the position, LPS mm, of a voxel (slice, row, column) of the cube along the axes of ``of``."""
        off_mm = (np.asarray(index, dtype=float) - (self.voxels - 1) / 2) * self.voxel_mm
        return as_point(np.asarray(self.center) + of.direction @ off_mm)

    def sample(self, array: Array, of: Volume, *, outside: float = 0.0) -> Float32Array:
        """Resample an array that lies on the grid of ``of`` to the cube.

        Args:
            array: Values (slice, row, column) on the grid of ``of``.
            of: A volume with canonical axes.
            outside: Value outside the array.

        Returns:
            The values (voxels, voxels, voxels), float32, in the order of the axes of ``of``.
        """
        step = self._step(of)
        first = np.asarray(of.lps_to_index(self.center)) - step * (self.voxels - 1) / 2
        return resample_separable(
            array,
            start=as_point(first),
            step=as_point(step),
            size=(self.voxels,) * 3,
            outside=outside,
        )

    def carry_back(self, values: Float32Array, to: Volume) -> tuple[Float32Array, Slices]:
        """Interpolate values of the cube linearly on the voxels of ``to`` that lie in it.

        Args:
            values: The values (voxels, voxels, voxels).
            to: A volume with canonical axes.

        Returns:
            The values, float32, and the slices of the array of ``to`` at which they lie.
        """
        step = self._step(to)
        first = np.asarray(to.lps_to_index(self.center)) - step * (self.voxels - 1) / 2
        low = np.clip(np.ceil(first - step / 2), 0, to.shape).astype(int)
        high = np.clip(np.floor(first + step * (self.voxels - 0.5)) + 1, low, to.shape).astype(int)
        start, by, size = (low - first) / step, 1 / step, high - low
        back = resample_separable(
            values,
            start=as_point(start),
            step=as_point(by),
            size=as_shape(size),
        )
        return back, (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))

    def _step(self, volume: Volume) -> Float64Array:
        return np.asarray(self.side_mm / self.voxels / np.asarray(volume.spacing))


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A CT reduced to voxels of 3 mm, from which the coarse views of all its candidates are sampled.

    Attributes:
        hu: HU, float32, with canonical axes.
        aerated: Share of aerated lung in each voxel, 0 to 1, float32, on the same grid.
    """

    hu: Volume
    aerated: Volume

    @classmethod
    def of(cls, ct: Volume, lungs: Mask) -> Anatomy:
        """Reduce a CT.

        Args:
            ct: The CT (HU) with canonical axes.
            lungs: Both lungs (bool) on the same grid.
        """
        step = tuple(max(1.0, ANATOMY_MM / s) for s in ct.spacing)
        size = tuple(int(np.ceil((n - 1) / s)) + 1 for n, s in zip(ct.shape, step, strict=True))
        affine = ct.affine_from((0, 0, 0), step)

        def reduced(array: Array, outside: float = 0.0) -> Float32Array:
            return resample_separable(
                array,
                start=(0.0, 0.0, 0.0),
                step=(step[0], step[1], step[2]),
                size=(size[0], size[1], size[2]),
                outside=outside,
            )

        hu = reduced(ct.array, AIR_HU)
        return cls(Volume(hu, affine), Volume(reduced(lungs & (ct.array < AERATED_HU)), affine))


def fine_view(cube: Cube, ct: Volume) -> Float32Array:
    """Return the fine view of a CT, float32 (2, 40, 40, 40): lung window and soft tissue window, each from 0 to 1."""
    return windows(cube.sample(ct.array, ct, outside=AIR_HU))


def coarse_view(center: Point, anatomy: Anatomy) -> Float32Array:
    """Return the coarse view, float32 (3, 32, 32, 32): lung window, soft tissue window and aerated lung, 0 to 1."""
    cube = Cube(center, COARSE_MM, COARSE_VOXELS)
    hu = cube.sample(anatomy.hu.array, anatomy.hu, outside=AIR_HU)
    return np.concatenate([windows(hu), cube.sample(anatomy.aerated.array, anatomy.aerated)[None]])


def windows(hu: Float32Array) -> Float32Array:
    """Return HU (slice, row, column) as two channels, each from 0 to 1."""
    return np.stack([np.clip((hu - low) / (high - low), 0, 1) for low, high in (WIDE_HU, SOFT_HU)]).astype(np.float32)
