"""The grid on which a phantom is painted.

Large organs are smooth, so their signed distances are computed on a coarse grid (``CoarseGrid``) and interpolated.
Small structures (vessels, bones, lesions) are evaluated on the voxels of their bounding box. Both become soft coverage:
1 inside, 0 outside and linear over one voxel at the surface. A detector that averages over a voxel sees the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from ..core.boxes import Slices
from ..core.volume import Array, Grid, as_shape
from .options import BODY_GRID_MM
from .shapes import Coordinates, Field, clip_to_unit

ALIGNED_TOLERANCE = 1e-6
"""Direction cosines that differ from 0 and 1 by less than this count as exactly axial."""

BOX_MARGIN_MM = 4.0
"""Distance by which a shape's bounding box extends beyond its surface, mm: more than any soft edge."""


@dataclass(frozen=True, eq=False)
class CoarseGrid:
    """An isotropic LPS grid on which fields are arrays (z, y, x).

    Attributes:
        low: The lowest corner (x, y, z), LPS mm.
        size: Number of grid points along (z, y, x).
        spacing_mm: Distance between neighboring grid points, mm.
    """

    low: Array
    size: tuple[int, int, int]
    spacing_mm: float = BODY_GRID_MM

    @staticmethod
    def around(low: Array, high: Array, spacing_mm: float = BODY_GRID_MM) -> CoarseGrid:
        """Return the grid that covers a box.

        Args:
            low: The box's lowest corner (x, y, z), LPS mm.
            high: The box's highest corner (x, y, z), LPS mm.
            spacing_mm: Distance between neighboring grid points, mm.
        """
        size = np.ceil((high - low) / spacing_mm).astype(int) + 1
        return CoarseGrid(low, as_shape(size[::-1]), spacing_mm)

    def axes(self) -> Coordinates:
        """Return x, y and z of the grid points, LPS mm, as float32 arrays that broadcast to (z, y, x)."""
        x, y, z = (self.low[i] + self.spacing_mm * np.arange(self.size[2 - i]) for i in range(3))
        return (
            x[None, None, :].astype(np.float32),
            y[None, :, None].astype(np.float32),
            z[:, None, None].astype(np.float32),
        )

    def at(self, level: Field, points_lps: Array) -> Array:
        """Interpolate a field linearly at points; beyond the grid, it continues with its edge values.

        Args:
            level: The field (z, y, x).
            points_lps: The points (n, 3), LPS mm.

        Returns:
            The values (n,), in the field's unit.
        """
        index = ((np.asarray(points_lps) - self.low) / self.spacing_mm).T[::-1]
        return np.asarray(ndimage.map_coordinates(level, index, order=1, mode="nearest"))


@dataclass(eq=False)
class Canvas:
    """A CT that is being painted.

    Attributes:
        grid: The voxel grid. It need not be aligned with LPS, but painting is fastest if it is.
        coarse: The grid of the large organs' fields.
        hu: The HU (slice, row, column), float32; every paint method changes them in place.
        edge_mm: Width of a soft edge, mm: one voxel in the plane.
        aligned: True if the grid's axes are axial.
    """

    grid: Grid
    coarse: CoarseGrid
    hu: Array
    edge_mm: float = field(init=False)
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
    def everything(self) -> Slices:
        """The box that contains the whole grid."""
        return slice(0, self.grid.shape[0]), slice(0, self.grid.shape[1]), slice(0, self.grid.shape[2])

    def boxes(self, low: Array, high: Array, margin_mm: Array | float = BOX_MARGIN_MM) -> list[Slices | None]:
        """Return the voxels inside each of several LPS boxes.

        Args:
            low: Lowest corners (n, 3) of the boxes, LPS mm.
            high: Highest corners (n, 3) of the boxes, LPS mm.
            margin_mm: Distance by which each box is widened on every side, mm: one number, or one per box.

        Returns:
            Slices (slice, row, column) for each LPS box, or None where no voxel lies inside.
        """
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

    def box(self, low: Array, high: Array, margin_mm: float = BOX_MARGIN_MM) -> Slices | None:
        """Return the voxels inside one LPS box.

        Args:
            low: The box's lowest corner (x, y, z), LPS mm.
            high: The box's highest corner (x, y, z), LPS mm.
            margin_mm: Distance by which the box is widened on every side, mm.

        Returns:
            Slices (slice, row, column), or None if no voxel lies inside.
        """
        return self.boxes(np.asarray(low, dtype=float)[None], np.asarray(high, dtype=float)[None], margin_mm)[0]

    def points(self, box: Slices) -> Coordinates:
        """Return x, y and z of the voxel centers in ``box``, LPS mm, float32.

        They broadcast to the box (slice, row, column). On an aligned grid, each of them varies along one axis only.
        """
        if self.aligned:
            z, y, x = (axis[part] for axis, part in zip(self._axes, box, strict=True))
            return x[None, None, :], y[None, :, None], z[:, None, None]
        affine = self.grid.affine
        k, j, i = np.meshgrid(*(np.arange(part.start, part.stop) for part in box), indexing="ij", sparse=True)
        x, y, z = (affine[a, 0] * k + affine[a, 1] * j + affine[a, 2] * i + affine[a, 3] for a in range(3))
        return x.astype(np.float32), y.astype(np.float32), z.astype(np.float32)

    def box_of(self, level: Field, below_mm: float = 0.0) -> Slices | None:
        """Return the voxels around the part of a field that lies below a value.

        Args:
            level: The field (z, y, x), mm.
            below_mm: The value, mm; 0 is the surface of a signed distance.

        Returns:
            Slices (slice, row, column), or None if there are no such voxels.
        """
        inside = level < below_mm + self.coarse.spacing_mm
        spans = [np.flatnonzero(inside.any(axis=tuple(set(range(3)) - {axis}))) for axis in (2, 1, 0)]
        if any(len(span) == 0 for span in spans):
            return None
        low = self.coarse.low + self.coarse.spacing_mm * np.array([span[0] for span in spans])
        high = self.coarse.low + self.coarse.spacing_mm * np.array([span[-1] for span in spans])
        return self.box(low, high)

    def sample(self, level: Field, box: Slices) -> Array:
        """Interpolate a field linearly at voxel centers; beyond the coarse grid, it continues with its edge values.

        Args:
            level: The field (z, y, x).
            box: The voxels.

        Returns:
            The values (slice, row, column) in the box, float32, in the field's unit.
        """
        points = self.points(box)
        index = [
            (p - np.float32(low)) / np.float32(self.coarse.spacing_mm)
            for p, low in zip(points, self.coarse.low, strict=True)
        ][::-1]
        if not self.aligned:
            return np.asarray(ndimage.map_coordinates(level, index, order=1, mode="nearest", output=np.float32))
        values = level
        for axis in (2, 1, 0):  # the last axis is the slowest to gather, so it goes first, while the array is small
            values = _interpolate(values, index[axis].ravel(), axis)
        return values

    def paint(self, box: Slices, distance: Array, hu: Array | float, edge_mm: float | None = None) -> None:
        """Blend ``hu`` in where ``distance`` is negative.

        Args:
            box: The voxels to paint.
            distance: Signed distance to the surface at these voxels (slice, row, column), mm.
            hu: HU: one value, or one per voxel of the box.
            edge_mm: Width of the soft edge, mm; the default is the canvas's ``edge_mm``.
        """
        blend(self.hu[box], coverage(distance, edge_mm or self.edge_mm), hu)

    def paint_field(self, level: Field, hu: float, edge_mm: float | None = None) -> None:
        """Paint the inside of a field in one HU.

        Args:
            level: Signed distance (z, y, x), mm, negative inside.
            hu: HU of the inside.
            edge_mm: Width of the soft edge, mm; the default is the canvas's ``edge_mm``.
        """
        box = self.box_of(level)
        if box is not None:
            self.paint(box, self.sample(level, box), hu, edge_mm)


def coverage(distance: Array, edge_mm: float) -> Array:
    """Return the share of a voxel that lies inside a surface.

    Args:
        distance: Signed distance of the voxel's center to the surface, mm, in any shape.
        edge_mm: Width over which the share falls linearly from 1 to 0, mm.

    Returns:
        The share, 0 to 1, in the shape of ``distance``.
    """
    share = np.asarray(distance * np.float32(-1 / edge_mm))
    share += np.float32(0.5)
    clip_to_unit(share)
    return share


def blend(hu: Array, share: Array, target: Array | float) -> None:
    """Move HU toward a target, in place.

    Args:
        hu: HU, float32, in any shape; they are changed.
        share: How far to move, 0 (not at all) to 1 (onto the target), broadcastable to ``hu``.
        target: HU: one value, or one per voxel.
    """
    change = target - hu
    change *= share
    hu += change


def _interpolate(values: Array, index: Array, axis: int) -> Array:
    """Interpolate an array (z, y, x) linearly along ``axis`` at fractional indices (n,).

    It proceeds plane by plane, to keep the data in the cache.
    """
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
