"""Fill closed planar contours: polygons become pixels, and axial planes become a mask."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from scipy import ndimage

from .volume import Array, Volume

FLATNESS_SLICES = 0.5
"""Largest distance, in slices, of a point from the mean slice of its contour; a contour beyond it is not axial."""

SAME_PLANE_SLICES = 0.05
"""Largest distance, in slices, between contours of the same plane; it allows for rounded positions."""

SAME_POINT_DECIMALS = 3
"""Decimals of a row or column to which the points of two contours agree if one is a copy of the other."""

BEYOND_PIXELS = 1.0
"""Distance, in pixels, from the outermost pixel centers up to which a contour may lie beyond the CT."""

LARGEST_GAP = 1.5
"""Largest gap between planes, in usual distances, that is filled; a larger gap divides a region in two."""


def fill_contours(contours: Iterable[Array], grid: Volume) -> Volume:
    """Fill closed contours as ``fill_planes`` does, and return only the Boolean mask."""
    return fill_planes(contours, grid)[0]


def fill_planes(contours: Iterable[Array], grid: Volume) -> tuple[Volume, float | None, float | None]:
    """Fill closed contours in axial planes.

    A voxel belongs to the region of a plane if its center lies inside an odd number of that plane's contours: nested
    contours are holes, and contours side by side are parts. A contour that is stated twice counts once. A slice uses
    the nearest plane within half a slice. A plane midway between two slices belongs to the upper one.

    If there are at least three planes and their usual distance exceeds that of the slices, the slices between two
    planes are interpolated by the distance to the outline (Raya and Udupa 1990, doi:10.1109/42.52980). The first and
    the last plane then extend half that distance outward, because every contour represents its surroundings. A gap of
    more than 1.5 usual distances divides a region in two.

    Args:
        contours: Closed contours, each (n, 3) in LPS mm, in an axial plane of ``grid``.
        grid: The grid to fill.

    Returns:
        The Boolean mask; the usual distance between planes in mm, or None if no slices were filled between them; and
        the largest gap in mm that stays empty, or None if no gap does.

    Raises:
        ValueError: If a contour is not axial or lies outside the CT.
    """
    planes = _planes(contours, grid)
    filled = {level: fill_polygons(planes[level], (grid.shape[1], grid.shape[2])) for level in sorted(planes)}
    levels = np.array(list(filled))
    gaps = np.diff(levels)
    usual = max(1.0, float(np.median(gaps))) if len(gaps) > 1 else 1.0
    thin = usual > 1 + SAME_PLANE_SLICES
    mask = np.zeros(grid.shape, dtype=bool)
    for k in range(grid.shape[0]):
        found = _slice_at(k, filled, levels, usual if thin else None, grid)
        if found is not None:
            mask[k] = found
    left_open = gaps[gaps > LARGEST_GAP * usual]
    slice_mm = grid.spacing[0]
    return (
        grid.with_array(mask),
        usual * slice_mm if thin else None,
        float(left_open.max()) * slice_mm if len(left_open) else None,
    )


def distance_from_slices(contours: Iterable[Array], grid: Volume) -> float:
    """Return how far the planes of contours lie from the slices that they fill, at most, in slices (0 to 0.5).

    It is 0 for contours that were drawn on the slices of ``grid``. Where planes are denser than slices, the nearest
    plane counts.

    Args:
        contours: Contours that ``fill_planes`` accepts.
        grid: The grid that they fill.
    """
    levels = np.unique([float(grid.lps_to_index(contour)[:, 0].mean()) for contour in contours])
    between = np.abs(np.arange(grid.shape[0])[:, np.newaxis] - levels).min(axis=1)
    filled = between[between <= 0.5]
    return float(filled.max()) if len(filled) else 0.5


def _slice_at(k: int, filled: dict[float, Array], levels: Array, usual: float | None, grid: Volume) -> Array | None:
    """Return the region in slice ``k``, or None if no plane reaches it.

    Args:
        k: The slice.
        filled: The regions of the planes by their levels (slices).
        levels: The levels, ascending.
        usual: The usual distance between planes, slices; None if no slices are filled between planes.
        grid: The grid.
    """
    nearest = levels[np.abs(levels + SAME_PLANE_SLICES - k).argmin()]
    if abs(nearest + SAME_PLANE_SLICES - k) <= 0.5:
        return filled[nearest]
    if usual is None:
        return None
    above = int(np.searchsorted(levels, k))
    if 0 < above < len(levels) and levels[above] - levels[above - 1] <= LARGEST_GAP * usual:
        low, high = levels[above - 1 : above + 1]
        return _between(filled[low], filled[high], (k - low) / (high - low), grid)
    return filled[nearest] if abs(nearest - k) < usual / 2 else None


def _planes(contours: Iterable[Array], grid: Volume) -> dict[float, list[Array]]:
    """Return the contours as polygons (n, 2: row, column) by the slice position of their plane.

    Planes closer than 0.05 slices are merged.
    """
    planes: dict[float, list[Array]] = defaultdict(list)
    for contour in contours:
        index = grid.lps_to_index(contour)
        level = float(index[:, 0].mean())
        if np.abs(index[:, 0] - level).max() > FLATNESS_SLICES:
            raise ValueError("a contour is not axial")
        if not -0.5 <= level < grid.shape[0] - 0.5:
            raise ValueError("a contour lies above or below the CT")
        polygon = index[:, 1:]
        if polygon.min() < -BEYOND_PIXELS or (polygon > np.array(grid.shape[1:]) - 1 + BEYOND_PIXELS).any():
            raise ValueError("a contour reaches beyond the sides of the CT")
        known = next((plane for plane in planes if abs(plane - level) <= SAME_PLANE_SLICES), level)
        if not any(_is_copy(polygon, other) for other in planes[known]):
            planes[known].append(polygon)
    return planes


def _is_copy(one: Array, other: Array) -> bool:
    """Return whether two polygons have the same points, whichever comes first and in whichever direction."""
    points = ({*map(tuple, np.round(polygon, SAME_POINT_DECIMALS).tolist())} for polygon in (one, other))
    return next(points) == next(points)


def _between(below: Array, above: Array, share: float, grid: Volume) -> Array:
    """Return the interpolated Boolean slice at a share of the way between two slices.

    A pixel is true if the interpolated signed distance to the outline is inside.
    """
    distances = []
    for plane in (below, above):
        spacing = grid.spacing[1:]
        inside = ndimage.distance_transform_edt(plane, sampling=spacing)
        outside = ndimage.distance_transform_edt(~plane, sampling=spacing)
        distances.append(inside - outside)
    return np.asarray((1 - share) * distances[0] + share * distances[1] > 0)


def fill_polygons(polygons: Sequence[Array], shape: tuple[int, int]) -> Array:
    """Return the Boolean image (row, column) of the pixels inside closed polygons.

    A pixel is true if its center lies inside an odd number of polygons (even-odd rule along each row: pixels to the
    right of an edge change sides). Centers on a left or upper edge are inside, those on a right or lower edge outside,
    so that polygons with a common edge neither overlap nor leave a gap.

    Args:
        polygons: Vertices of each polygon, (n, 2), as fractional (row, column).
        shape: Number of (rows, columns).
    """
    rows, columns = shape
    changes = np.zeros((rows, columns + 1), dtype=np.int32)
    for polygon in polygons:
        for (row, column), (next_row, next_column) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            first, last = sorted((row, next_row))
            crossed = np.arange(max(0, int(np.ceil(first))), min(rows, int(np.ceil(last))))
            if len(crossed):
                at = column + (crossed - row) * (next_column - column) / (next_row - row)
                changes[crossed, np.clip(np.ceil(at), 0, columns).astype(int)] += 1
    return np.asarray(np.cumsum(changes, axis=1)[:, :columns] % 2 == 1)
