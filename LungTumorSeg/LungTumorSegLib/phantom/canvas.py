"""The grid that a phantom is painted on.

Large organs are smooth, so their signed distances are computed on a coarse grid (``CoarseGrid``) and interpolated; small things
(vessels, bones, lesions) are evaluated on the voxels of their bounding box. Both end as soft coverage: 1 inside, 0 outside and
linear over one voxel at the surface, which is what a detector that averages over a voxel sees.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from ..core.volume import Grid
from .shapes import Array

Box = tuple[slice, slice, slice]

COARSE_SPACING_MM = 4.0
"""Linear interpolation of a distance on this grid errs by spacing² / (8 R): 0.1 mm at a curvature radius R of 20 mm."""

ALIGNED_TOLERANCE = 1e-6
"""Direction cosines this near to 0 and 1 count as exactly axial."""

BOX_MARGIN_MM = 4.0
"""How far beyond a surface a shape's bounding box reaches: more than any soft edge."""


@dataclass(frozen=True, eq=False)
class CoarseGrid:
    """An isotropic LPS grid; fields on it are arrays (z, y, x) with the lowest corner at ``low`` (x, y, z), mm."""

    low: Array
    size: tuple[int, int, int]
    spacing_mm: float = COARSE_SPACING_MM

    @staticmethod
    def around(low: Array, high: Array) -> CoarseGrid:
        """The grid that covers the box from ``low`` to ``high`` (x, y, z), mm."""
        size = np.ceil((high - low) / COARSE_SPACING_MM).astype(int) + 1
        return CoarseGrid(low, (int(size[2]), int(size[1]), int(size[0])))

    def axes(self) -> tuple[Array, Array, Array]:
        """x, y, z of the grid points, mm, shaped to broadcast to (z, y, x)."""
        x, y, z = (self.low[i] + self.spacing_mm * np.arange(self.size[2 - i]) for i in range(3))
        return (
            x[None, None, :].astype(np.float32),
            y[None, :, None].astype(np.float32),
            z[:, None, None].astype(np.float32),
        )

    def at(self, level: Array, points_lps: Array) -> Array:
        """Field values (n,) at ``points_lps`` (n, 3)."""
        index = ((np.asarray(points_lps) - self.low) / self.spacing_mm).T[::-1]
        return np.asarray(ndimage.map_coordinates(level, index, order=1, mode="nearest"))


@dataclass(eq=False)
class Canvas:
    """HU being painted on ``grid``, which need not be aligned with LPS, though it is fastest so."""

    grid: Grid
    coarse: CoarseGrid
    hu: Array
    edge_mm: float = field(init=False)
    """Width of a soft edge: one voxel in the plane."""
    aligned: bool = field(init=False)
    _axes: tuple[Array, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.edge_mm = float(np.mean(self.grid.spacing[1:]))
        self.aligned = bool(np.abs(self.grid.direction[::-1] - np.eye(3)).max() < ALIGNED_TOLERANCE)
        affine, shape = self.grid.affine, self.grid.shape
        self._axes = tuple(
            (affine[2 - i, i] * np.arange(shape[i]) + affine[2 - i, 3]).astype(np.float32) for i in range(3)
        )

    @property
    def everything(self) -> Box:
        """The box that holds the whole grid."""
        return slice(0, self.grid.shape[0]), slice(0, self.grid.shape[1]), slice(0, self.grid.shape[2])

    def boxes(self, low: Array, high: Array, margin_mm: Array | float = BOX_MARGIN_MM) -> list[Box | None]:
        """For each LPS box from ``low`` to ``high`` (n, 3), widened by ``margin_mm``, its voxels; None where there are none."""
        margin = np.broadcast_to(margin_mm, len(low))[:, None]
        ends = np.stack([low - margin, high + margin])
        corners = np.stack(
            [
                np.stack([ends[i, :, 0], ends[j, :, 1], ends[k, :, 2]], axis=-1)
                for i in (0, 1)
                for j in (0, 1)
                for k in (0, 1)
            ]
        )
        index = self.grid.lps_to_index(corners)
        start = np.clip(np.floor(index.min(axis=0)).astype(int), 0, self.grid.shape)
        stop = np.clip(np.ceil(index.max(axis=0)).astype(int) + 1, 0, self.grid.shape)
        empty = (start >= stop).any(axis=1)
        return [
            None if none else (slice(a[0], b[0]), slice(a[1], b[1]), slice(a[2], b[2]))
            for none, a, b in zip(empty.tolist(), start.tolist(), stop.tolist(), strict=True)
        ]

    def box(self, low: Array, high: Array, margin_mm: float = BOX_MARGIN_MM) -> Box | None:
        """The voxels of one LPS box from ``low`` to ``high`` (3,), widened by ``margin_mm``; None if there are none."""
        return self.boxes(np.asarray(low, dtype=float)[None], np.asarray(high, dtype=float)[None], margin_mm)[0]

    def points(self, box: Box) -> tuple[Array, Array, Array]:
        """x, y, z of the voxel centers in ``box``, mm, float32; one-dimensional and broadcasting where the grid is aligned."""
        if self.aligned:
            z, y, x = (axis[part] for axis, part in zip(self._axes, box, strict=True))
            return x[None, None, :], y[None, :, None], z[:, None, None]
        affine = self.grid.affine
        k, j, i = np.meshgrid(*(np.arange(part.start, part.stop) for part in box), indexing="ij", sparse=True)
        x, y, z = (affine[a, 0] * k + affine[a, 1] * j + affine[a, 2] * i + affine[a, 3] for a in range(3))
        return x.astype(np.float32), y.astype(np.float32), z.astype(np.float32)

    def box_of(self, level: Array, below_mm: float = 0.0) -> Box | None:
        """The voxels around the part of a coarse field that lies below ``below_mm``; None if there is none."""
        inside = level < below_mm + self.coarse.spacing_mm
        spans = [np.flatnonzero(inside.any(axis=tuple(set(range(3)) - {axis}))) for axis in (2, 1, 0)]
        if any(len(span) == 0 for span in spans):
            return None
        low = self.coarse.low + self.coarse.spacing_mm * np.array([span[0] for span in spans])
        high = self.coarse.low + self.coarse.spacing_mm * np.array([span[-1] for span in spans])
        return self.box(low, high)

    def sample(self, level: Array, box: Box) -> Array:
        """A coarse field at the voxel centers of ``box``, by linear interpolation, constant beyond the coarse grid; float32."""
        points = self.points(box)
        index = [
            (p - np.float32(low)) / np.float32(self.coarse.spacing_mm)
            for p, low in zip(points, self.coarse.low, strict=True)
        ][::-1]
        if not self.aligned:
            return np.asarray(ndimage.map_coordinates(level, index, order=1, mode="nearest", output=np.float32))
        values = level
        for axis in (2, 1, 0):  # the last axis is the slowest to gather, so it comes while the array is small
            values = _interpolate(values, index[axis].ravel(), axis)
        return values

    def paint(self, box: Box, distance: Array, hu: Array | float, edge_mm: float | None = None) -> None:
        """Blend ``hu`` in where ``distance`` (over ``box``, mm) is negative, softly over ``edge_mm``."""
        blend(self.hu[box], coverage(distance, edge_mm or self.edge_mm), hu)

    def paint_field(self, level: Array, hu: Array | float, edge_mm: float | None = None) -> None:
        """Paint a coarse field in one HU."""
        box = self.box_of(level)
        if box is not None:
            self.paint(box, self.sample(level, box), hu, edge_mm)


def coverage(distance: Array, edge_mm: float) -> Array:
    """Share of a voxel inside a surface at signed ``distance``: linear over ``edge_mm``."""
    share = np.asarray(distance * np.float32(-1 / edge_mm))
    share += np.float32(0.5)
    np.clip(share, 0, 1, out=share)
    return share


def blend(hu: Array, share: Array, target: Array | float) -> None:
    """Move ``hu`` in place toward ``target`` by ``share`` (0 to 1)."""
    change = target - hu
    change *= share
    hu += change


def _interpolate(values: Array, index: Array, axis: int) -> Array:
    """Linear interpolation along ``axis`` at fractional ``index``, plane by plane, so that it runs in the cache."""
    index = np.clip(index, 0, values.shape[axis] - 1)
    below = np.minimum(index.astype(int), values.shape[axis] - 2)
    share = (index - below).astype(np.float32)
    if axis == 2:
        lower, upper = np.take(values, below, axis=2), np.take(values, below + 1, axis=2)
        return np.asarray(lower + share * (upper - lower))
    shape = list(values.shape)
    shape[axis] = len(index)
    result = np.empty(shape, np.float32)
    source, target = np.moveaxis(values, axis, 0), np.moveaxis(result, axis, 0)
    for i, (k, s) in enumerate(zip(below, share, strict=True)):
        np.subtract(source[k + 1], source[k], out=target[i])
        target[i] *= s
        target[i] += source[k]
    return result
