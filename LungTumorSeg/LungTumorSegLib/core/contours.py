"""Fill closed planar contours: polygons become pixels, and axial planes become a mask."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from .volume import Array, Mask, Volume

FLATNESS_SLICES = 0.5
"""Largest distance, in slices, of a point from the mean slice of its contour; a contour beyond it is not axial."""

SAME_PLANE_SLICES = 0.05
"""Largest distance, in slices, between contours of the same plane; it allows for rounded positions."""

SAME_OUTLINE_PIXELS = 0.5
"""Largest distance, in pixels, of the points of two contours from each other's edges if both are the same outline."""

INSIDE_SHARE = 0.9
"""Share of the pixels of a contour inside larger ones from which on it is a hole; below it, they are joined."""

BEYOND_PIXELS = 1.0
"""Distance, in pixels, from the outermost pixel centers up to which a contour counts as inside the CT."""

LARGEST_GAP = 1.5
"""Largest gap between planes, in usual distances, that is filled; a larger gap divides a region in two."""


@dataclass(frozen=True, eq=False)
class FilledPlanes:
    """A region that was filled from contours in axial planes.

    Attributes:
        mask: The Boolean mask.
        between_mm: The usual distance between planes, or None if no slices were filled between them.
        open_mm: The largest gap that stays empty, or None if no gap does.
        joined: Whether contours of a plane overlap, and none of them is the hole of the other.
        beyond_mm: How far the contours reach beyond the grid, where nothing was filled; 0 if all lie inside.
    """

    mask: Volume
    between_mm: float | None
    open_mm: float | None
    joined: bool
    beyond_mm: float


def fill_planes(contours: Iterable[Array], grid: Volume, *, even_odd: bool = False) -> FilledPlanes:
    """Fill closed contours in axial planes.

    A contour inside another one of its plane is a hole, and one inside that an island. Contours side by side are parts,
    also if they overlap. A contour that is stated twice, with whatever points, counts once. A slice uses the nearest
    plane within half a slice. A plane midway between two slices belongs to the upper one.

    If there are at least three planes and their usual distance exceeds that of the slices, the slices between two
    planes are interpolated by the distance to the outline (Raya and Udupa 1990, doi:10.1109/42.52980). The first and
    the last plane then extend half that distance outward, because every contour represents its surroundings. A gap of
    more than 1.5 usual distances divides a region in two. What lies beyond the grid is left out.

    Args:
        contours: Closed contours, each (n, 3) in LPS mm, in an axial plane of ``grid``.
        grid: The grid to fill.
        even_odd: Whether a voxel belongs to the region if its center lies inside an odd number of contours, also where
            contours overlap (CLOSEDPLANAR_XOR; DICOM PS3.3 C.8.8.6.3).

    Raises:
        ValueError: If a contour is not axial.
    """
    (planes, beyond_mm), shape = _planes(contours, grid), (grid.shape[1], grid.shape[2])
    filled, joined = {}, False
    for level in sorted(planes):
        filled[level], overlap = (
            (fill_polygons(planes[level], shape), False) if even_odd else _filled_plane(planes[level], shape)
        )
        joined = joined or overlap
    levels = np.array(list(filled))
    gaps = np.diff(levels)
    usual = max(1.0, float(np.median(gaps))) if len(gaps) > 1 else 1.0
    thin = usual > 1 + SAME_PLANE_SLICES
    mask = np.zeros(grid.shape, dtype=bool)
    for k in range(grid.shape[0]):
        found = _slice_at(k, filled, levels, usual if thin else None, grid)
        if found is not None:
            mask[k] = found
    left_open, slice_mm = gaps[gaps > LARGEST_GAP * usual], grid.spacing[0]
    return FilledPlanes(
        grid.with_array(mask),
        usual * slice_mm if thin else None,
        float(left_open.max()) * slice_mm if len(left_open) else None,
        joined,
        beyond_mm,
    )


def _filled_plane(polygons: Sequence[Array], shape: tuple[int, int]) -> tuple[Mask, bool]:
    """Fill the contours of one plane, the larger ones first: parts are added, and holes are taken away.

    Returns:
        The Boolean image, and whether two contours overlap although neither is a hole of the other.
    """
    if len(polygons) == 1:
        return fill_polygons(polygons, shape), False
    parts = sorted((fill_polygons([polygon], shape) for polygon in polygons), key=np.count_nonzero, reverse=True)
    region, overlap = np.zeros(shape, dtype=bool), False
    for part in parts:
        enough, inside = INSIDE_SHARE * np.count_nonzero(part), np.count_nonzero(part & region)
        region = region & ~part if inside >= enough else region | part
        overlap = overlap or bool(0 < inside < enough)
    return region, overlap


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


def _slice_at(k: int, filled: dict[float, Mask], levels: Array, usual: float | None, grid: Volume) -> Mask | None:
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


def _planes(contours: Iterable[Array], grid: Volume) -> tuple[dict[float, list[Array]], float]:
    """Return the contours as polygons (n, 2: row, column) by the slice position of their plane.

    Planes closer than 0.05 slices are merged. The second value is how far the contours reach beyond the grid, mm.
    """
    planes: dict[float, list[Array]] = defaultdict(list)
    beyond_mm = 0.0
    for contour in contours:
        index = grid.lps_to_index(contour)
        level = float(index[:, 0].mean())
        if np.abs(index[:, 0] - level).max() > FLATNESS_SLICES:
            raise ValueError("a contour is not axial")
        polygon = index[:, 1:]
        beyond_mm = max(beyond_mm, _beyond_mm(level, polygon, grid))
        known = next((plane for plane in planes if abs(plane - level) <= SAME_PLANE_SLICES), level)
        if not any(_is_copy(polygon, other) for other in planes[known]):
            planes[known].append(polygon)
    return planes, beyond_mm


def _beyond_mm(level: float, polygon: Array, grid: Volume) -> float:
    """Return how far a contour reaches beyond the outermost slices and pixels of a grid, mm; 0 if it does not."""
    last = np.array(grid.shape) - 1
    low, high = np.array([level, *polygon.min(axis=0)]), np.array([level, *polygon.max(axis=0)])
    outside = np.maximum(-low, high - last)
    is_beyond = outside > np.array([0.5, BEYOND_PIXELS, BEYOND_PIXELS])
    return float((outside * grid.spacing)[is_beyond].max(initial=0.0))


def _is_copy(one: Array, other: Array) -> bool:
    """Return whether two polygons (n, 2) are the same outline: no point of either is far from the edges of the other.

    Their points may differ in number, first point and direction.
    """
    corners = (np.stack([polygon.min(axis=0), polygon.max(axis=0)]) for polygon in (one, other))
    if np.abs(next(corners) - next(corners)).max() > SAME_OUTLINE_PIXELS:
        return False
    return max(_farthest(one, other), _farthest(other, one)) <= SAME_OUTLINE_PIXELS


def _farthest(points: Array, polygon: Array) -> float:
    """Return the largest distance of points (n, 2) from the edges of a polygon (m, 2)."""
    edges = np.roll(polygon, -1, axis=0) - polygon
    to_points = points[:, np.newaxis] - polygon
    length = np.maximum((edges**2).sum(axis=1), np.finfo(float).tiny)  # a repeated point is an edge without length
    along = np.clip((to_points * edges).sum(axis=2) / length, 0, 1)
    distance = np.linalg.norm(to_points - along[..., np.newaxis] * edges, axis=2)
    return float(distance.min(axis=1).max())


def _between(below: Mask, above: Mask, share: float, grid: Volume) -> Mask:
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


def fill_polygons(polygons: Sequence[Array], shape: tuple[int, int]) -> Mask:
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
