"""Signed distances of simple shapes, soft unions and smooth noise, from which the anatomy is built.

A signed distance is in mm and negative inside. It is exact or nearly so close to the surface, which is all that
painting needs.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from ..core.volume import Array, Point

Coordinates = tuple[Array, Array, Array]
"""x, y and z of points, LPS mm, as arrays that broadcast against each other."""

Rows = tuple[tuple[float, float, float, float], ...]
"""A curved tube: rows (x, y, z, radius), mm, along its center line."""

Field = Array
"""Values at the points of the coarse grid, (z, y, x); usually a signed distance, mm, negative inside."""

TINY = 1e-6
"""Small number that keeps quotients and roots finite."""

FAR_MM = 30.0
"""Distance at which the fields of tubes are cut off, mm, so that only voxels near a tube are evaluated."""


def smooth_min(a: Array, b: Array, blend_mm: float) -> Array:
    """Return the union of two shapes with a rounded seam.

    It is the polynomial smooth minimum of I. Quilez (https://iquilezles.org/articles/smin/).

    Args:
        a: Signed distance of a shape, mm, negative inside, in any shape.
        b: Signed distance of the other shape, mm, broadcastable.
        blend_mm: Width over which the seam is rounded, mm; above 0.

    Returns:
        Signed distance, mm, in the common shape.
    """
    return np.asarray(np.minimum(a, b) - _seam(a, b, blend_mm))


def smooth_max(a: Array, b: Array, blend_mm: float) -> Array:
    """Return the intersection of two shapes with a rounded edge; arguments and result are those of ``smooth_min``."""
    return np.asarray(np.maximum(a, b) + _seam(a, b, blend_mm))


def _seam(a: Array, b: Array, blend_mm: float) -> Array:
    """Return how far a seam of two shapes is rounded, mm; it is computed in place, because the arrays are large."""
    overlap = np.asarray(a - b)
    np.abs(overlap, out=overlap)
    np.subtract(blend_mm, overlap, out=overlap)
    np.maximum(overlap, 0, out=overlap)
    overlap /= blend_mm
    overlap *= overlap
    overlap *= blend_mm / 4
    return overlap


def ellipsoid(at: Coordinates, center: Point, radii: Point) -> Array:
    """Return the nearly exact signed distance of an ellipsoid along the axes: its level divided by its gradient.

    The approximation is that of I. Quilez (https://iquilezles.org/articles/ellipsoids/).

    Args:
        at: The points, mm.
        center: The ellipsoid's center (x, y, z), mm.
        radii: Its semi-axes along x, y and z, mm.

    Returns:
        Signed distances, mm, negative inside, in the points' common shape.
    """
    along = [
        (c - np.float32(c0)) * np.float32(1 / r) for c, c0, r in zip(at[::-1], center[::-1], radii[::-1], strict=True)
    ]
    # z and y first: on an aligned grid their sum is only a plane.
    level = np.sqrt(sum(t * t for t in along) + np.float32(TINY))
    steepness = np.sqrt(
        sum((t * np.float32(1 / r)) ** 2 for t, r in zip(along, radii[::-1], strict=True)) + np.float32(TINY)
    )
    return np.asarray(level * (level - 1) / steepness)


def turned_ellipsoid(at: Coordinates, center: Point, radii: Point, axes: Array) -> Array:
    """Return the nearly exact signed distance of an ellipsoid in any direction.

    Args:
        at: The points, mm.
        center: The ellipsoid's center (x, y, z), mm.
        radii: Its three semi-axes, mm.
        axes: Their directions (x, y, z), the rows of an orthonormal 3 x 3 matrix.

    Returns:
        Signed distances, mm, negative inside, in the points' common shape.
    """
    shifted = [c - c0 for c, c0 in zip(at, center, strict=True)]
    turned = [sum(a * c for a, c in zip(row, shifted, strict=True)) for row in axes]
    return ellipsoid((turned[0], turned[1], turned[2]), (0.0, 0.0, 0.0), radii)


def capsule(at: Coordinates, start: Array, end: Array, radius_start: float, radius_end: float) -> Array:
    """Return the signed distance of a round cone: a segment whose radius changes linearly.

    Args:
        at: The points, mm.
        start: One end of the segment (3,), mm.
        end: The other end (3,), mm.
        radius_start: Radius at ``start``, mm.
        radius_end: Radius at ``end``, mm.

    Returns:
        Signed distances, mm, negative inside, in the points' common shape.
    """
    axis = np.asarray(end, dtype=np.float32) - np.asarray(start, dtype=np.float32)
    length_squared = float(axis @ axis) + TINY
    px, py, pz = (c - np.float32(c0) for c, c0 in zip(at, start, strict=True))
    along = np.asarray(px * axis[0] + py * axis[1] + pz * axis[2])
    along /= np.float32(length_squared)
    clip_to_unit(along)
    distance = np.square(px - along * axis[0])
    distance += np.square(py - along * axis[1])
    distance += np.square(pz - along * axis[2])
    np.sqrt(distance, out=distance)
    along *= radius_end - radius_start
    along += radius_start
    distance -= along
    return np.asarray(distance)


def clip_to_unit(values: Array) -> None:
    """Limit values to 0 to 1, in place, in any shape; for small arrays ``numpy.clip`` takes five times as long."""
    np.maximum(values, 0, out=values)
    np.minimum(values, 1, out=values)


def tube(at: Coordinates, points: npt.ArrayLike, radii: npt.ArrayLike) -> Array:
    """Return the signed distance of a tube: a chain of capsules.

    Args:
        at: The points, mm.
        points: Center line (n, 3), mm.
        radii: One radius, or one per point of the center line, mm.

    Returns:
        Signed distances, mm, negative inside, at most ``FAR_MM``, float32, in the points' common shape.
    """
    distance = np.full(np.broadcast_shapes(*(c.shape for c in at)), FAR_MM, np.float32)
    merge_tube(distance, at, points, radii, 0.0)
    return distance


def merge_tube(
    distance: Array,
    at: Coordinates,
    points: npt.ArrayLike,
    radii: npt.ArrayLike,
    blend_mm: float,
    *,
    farthest_mm: float = FAR_MM,
) -> None:
    """Unite a field with a tube, in place.

    On an aligned grid ``y`` and ``z`` vary along their own axis only (1 and 0), and only nearby voxels are evaluated.

    Args:
        distance: Signed distance (z, y, x), mm, changed in place.
        at: The field's points, mm, broadcastable to the field.
        points: Center line (n, 3), mm.
        radii: One radius, or one per point of the center line, mm.
        blend_mm: Width over which the seam is rounded, mm; 0 gives a sharp seam.
        farthest_mm: Voxels farther than this from the tube's surface may stay unchanged, mm.
    """
    centers = np.asarray(points, dtype=np.float32)
    widths = np.broadcast_to(np.asarray(radii, dtype=np.float32), len(centers))
    spans = [_Span.of(coordinate, axis) for axis, coordinate in enumerate(at[::-1])]
    for i in range(len(centers) - 1):
        reach = farthest_mm + float(max(widths[i], widths[i + 1]))
        low, high = np.minimum(centers[i], centers[i + 1]) - reach, np.maximum(centers[i], centers[i + 1]) + reach
        box = tuple(span.within(a, b) for span, a, b in zip(spans, low[::-1], high[::-1], strict=True))
        near = distance[box]
        if near.size:
            x, y, z = (_part_of(coordinate, box) for coordinate in at)
            part = capsule((x, y, z), centers[i], centers[i + 1], float(widths[i]), float(widths[i + 1]))
            near[...] = smooth_min(near, part, blend_mm) if blend_mm > 0 else np.minimum(near, part)


@dataclass(frozen=True, eq=False)
class _Span:
    """The lowest and the highest value of a coordinate at each index along one axis of a field."""

    lowest: Array
    highest: Array

    @staticmethod
    def of(coordinate: Array, axis: int) -> _Span:
        """Return the span of a coordinate, an array of three dimensions, along one of its axes."""
        others = tuple(a for a in range(3) if a != axis)
        return _Span(coordinate.min(axis=others), coordinate.max(axis=others))

    def within(self, low: float, high: float) -> slice:
        """Return the indices at which any value lies between ``low`` and ``high``."""
        wanted = np.flatnonzero((self.highest >= low) & (self.lowest <= high))
        if len(self.lowest) == 1:
            return slice(None) if len(wanted) else slice(0, 0)
        return slice(wanted[0], wanted[-1] + 1) if len(wanted) else slice(0, 0)


def _part_of(coordinate: Array, box: tuple[slice, ...]) -> Array:
    """Return the part of a coordinate in ``box``; axes along which it does not vary stay whole."""
    return coordinate[tuple(slice(None) if n == 1 else s for n, s in zip(coordinate.shape, box, strict=True))]


def curve(points: npt.ArrayLike, count: int) -> Array:
    """Return points along a smooth curve (Catmull and Rom 1974, "A class of local interpolating splines").

    Args:
        points: Points (n, k) through which the curve runs, such as (x, y, z), mm; at least two.
        count: Number of points to return.

    Returns:
        Points (count, k), in the same unit, which include both ends.
    """
    knots = np.asarray(points, dtype=float)
    padded = np.vstack([2 * knots[0] - knots[1], knots, 2 * knots[-1] - knots[-2]])
    position = np.linspace(0, len(knots) - 1 - 1e-9, count)
    index = position.astype(int)
    t = (position - index)[:, None]
    p0, p1, p2, p3 = (padded[index + k] for k in range(4))
    return np.asarray(
        0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    )


def profile(at: Array, table: npt.ArrayLike) -> Array:
    """Evaluate a smooth function that a table gives; it is constant beyond its ends.

    Args:
        at: Positions, mm, in any shape.
        table: Rows (position, value) in any order; the function runs near them and not exactly through them.

    Returns:
        Values, float32, in the shape of ``at`` and the table's unit.
    """
    fine, smooth = _smoothed(tuple(sorted(map(tuple, np.asarray(table, dtype=float).tolist()))))
    return np.asarray(np.interp(np.clip(at, fine[0], fine[-1]), fine, smooth), dtype=np.float32)


@functools.cache
def _smoothed(table: tuple[tuple[float, float], ...]) -> tuple[Array, Array]:
    """Return finely spaced positions along sorted rows (position, value), and a smooth function there."""
    rows = np.asarray(table)
    fine = np.linspace(rows[0, 0], rows[-1, 0], 400)
    return fine, ndimage.gaussian_filter1d(np.interp(fine, rows[:, 0], rows[:, 1]), 8, mode="nearest")


def as_distance(level: Field, spacing_mm: float) -> Field:
    """Turn a level function into a distance near its zero by dividing by the gradient's length.

    Args:
        level: The function (z, y, x) on an isotropic grid, negative inside.
        spacing_mm: Spacing of the grid, mm.

    Returns:
        Distance (z, y, x), mm, negative inside, float32.
    """
    steepness = np.sqrt(sum(g * g for g in np.gradient(level, spacing_mm)))
    return np.asarray(level / np.maximum(steepness, 0.05), dtype=np.float32)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> Array:
    """Draw correlated Gaussian noise.

    Args:
        rng: Draws it.
        shape: Shape of the array.
        sigma: Standard deviation of the correlating kernel, voxels.

    Returns:
        Noise of unit standard deviation, float32; opposite edges continue each other.
    """
    noise = rng.standard_normal(shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(noise, sigma, mode="wrap", truncate=3)
    return np.asarray(noise / (noise.std() + TINY))
