"""Axial diameters of a lesion as a radiologist measures them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.spatial.distance import pdist, squareform

from ..ct import Array, Volume

TIE_MM = 1e-6
"""Diameters closer than this are equal; of equal long axes the one with the longer short axis counts, whatever the axes' order."""

TIP_EXPONENT = 1.6
"""How the area of a lesion's tip grows with depth: between 3/2 (round, as a disc's) and 2 (a corner); chosen on
discs, ellipses and boxes, see the tests."""

Point = tuple[float, float, float]


@dataclass(frozen=True)
class Ruler:
    """A straight measure between two LPS points, as a ruler markup shows it."""

    start_lps: Point
    end_lps: Point

    @property
    def length_mm(self) -> float:
        """Distance of the end points."""
        return float(np.linalg.norm(np.subtract(self.end_lps, self.start_lps)))


@dataclass(frozen=True)
class AxialDiameters:
    """Long axis and the perpendicular short axis, both in one axial slice."""

    long_axis: Ruler
    short_axis: Ruler


def axial_diameters(mask: Volume) -> AxialDiameters:
    """The longest in-plane diameter over all axial slices of a lesion, and the longest diameter perpendicular to it in that slice.

    ``mask`` (bool, at least one true voxel) has canonical axes: slices from feet to head. RECIST 1.1 (Eisenhauer 2009,
    doi:10.1016/j.ejca.2008.10.026): long axis in the plane of acquisition. As under a radiologist's ruler, a line may leave a lesion
    of concave outline and enter it again. The ends lie where the tips of the lesion are to be expected beyond the centers of its last
    voxels (``_reach``), so that discs and boxes come out right alike; a single voxel has its own size.
    """
    spacing = np.asarray(mask.spacing[1:])
    lines = [(k, line) for k, slice_ in enumerate(mask.array) if slice_.any() for line in _farthest(slice_, spacing)]
    longest_mm = max(_length(line) for _, line in lines)
    candidates = [(k, line, _widest_across(mask.array[k], line, spacing)) for k, line in lines if _length(line) > longest_mm - TIE_MM]
    k, long, short = max(candidates, key=lambda candidate: round(_length(candidate[2]) / TIE_MM))
    return AxialDiameters(_ruler(mask, k, long / spacing), _ruler(mask, k, short / spacing))


def _length(ends: Array) -> float:
    return float(np.linalg.norm(ends[1] - ends[0]))


def _ruler(mask: Volume, axial_slice: int, ends: Array) -> Ruler:
    start, end = mask.index_to_lps(np.column_stack([np.full(2, axial_slice), ends])).tolist()
    return Ruler((start[0], start[1], start[2]), (end[0], end[1], end[2]))


def _farthest(slice_: Array, spacing: Array) -> list[Array]:
    """The longest line (2 ends, 2: row, column; mm) across the true pixels of a slice; several where they are equally long."""
    rows = np.flatnonzero(slice_.any(axis=1))
    first, last = slice_[rows].argmax(axis=1), slice_.shape[1] - 1 - slice_[rows, ::-1].argmax(axis=1)
    ends = np.concatenate([np.column_stack([rows, first]), np.column_stack([rows, last])]) * spacing
    distance = squareform(pdist(ends))
    pairs = np.argwhere(np.triu(distance >= distance.max() - TIE_MM))
    pixels = np.argwhere(slice_) * spacing
    lines = []
    for i, j in pairs:
        along = ends[j] - ends[i] if distance[i, j] > 0 else np.diag(spacing)[np.argmax(spacing)]
        along = along / np.linalg.norm(along)
        before, after = _reach(pixels @ -along, along, spacing), _reach(pixels @ along, along, spacing)
        lines.append(np.stack([ends[i] - along * before, ends[j] + along * after]))
    return lines


def _reach(positions: Array, along: Array, spacing: Array) -> float:
    """How far (mm) the tip of a shape lies beyond its outermost pixel center, by the ``positions`` (mm) of all centers along a line.

    The area within a depth g of the tip grows as g ** TIP_EXPONENT. The outermost center is to be expected where it holds half a
    pixel, and n pixels lie within one pixel's width behind it: solved for g. A tip that is broad and therefore sampled often
    reaches hardly beyond its outermost center, a sharp one does; none farther than half a pixel's width.
    """
    width = float(np.abs(along) @ spacing)
    count = int(np.count_nonzero(positions > positions.max() - width + TIE_MM))
    tip: float = width / ((2 * count) ** (1 / TIP_EXPONENT) - 1)
    return min(width / 2, tip)


def outline(slice_: Array) -> Array:
    """Segments (n, 2 ends, 2: row, column; pixels) of the line between the true and the false pixels of a slice (marching squares)."""
    padded = np.pad(slice_, 1)
    a, b, c, d = padded[:-1, :-1], padded[:-1, 1:], padded[1:, 1:], padded[1:, :-1]
    crossed = (a != b, b != c, c != d, d != a)
    middle = np.array([(-1.0, -0.5), (-0.5, 0.0), (0.0, -0.5), (-0.5, -1.0)])
    segments = []
    for i, j in combinations(range(4), 2):
        cells = np.argwhere(crossed[i] & crossed[j])
        segments.append(np.stack([cells + middle[i], cells + middle[j]], axis=1))
    return np.concatenate(segments)


def _widest_across(slice_: Array, long_axis: Array, spacing: Array) -> Array:
    """Ends (2, 2; mm) of the longest line perpendicular to ``long_axis`` (2, 2; mm) between points of the outline."""
    segments = outline(slice_) * spacing
    along = (long_axis[1] - long_axis[0]) / _length(long_axis)
    across = np.array([-along[1], along[0]])
    t, w = segments @ along, segments @ across
    positions = np.unique(t)
    slope = t[:, 1] - t[:, 0]
    sloped = np.abs(slope) > TIE_MM  # a segment across the axis ends where its neighbors end: they carry its points
    t, w, slope = t[sloped], w[sloped], slope[sloped]
    fraction = (positions[:, None] - t[:, 0]) / slope
    reached = (fraction > -TIE_MM) & (fraction < 1 + TIE_MM)
    width = w[:, 0] + fraction * (w[:, 1] - w[:, 0])
    low, high = np.where(reached, width, np.inf).min(axis=1), np.where(reached, width, -np.inf).max(axis=1)
    best = int(np.argmax(high - low))
    middle = positions[best] * along + (high[best] + low[best]) / 2 * across
    half = min(high[best] - low[best], _extent(np.argwhere(slice_) * spacing, across, spacing)) / 2
    return np.asarray([middle - half * across, middle + half * across])


def _extent(pixels: Array, along: Array, spacing: Array) -> float:
    """Length (mm) of a shape's shadow on a line, a pixel's at least: no line across it is longer, whatever the outline's steps say."""
    positions = pixels @ along
    length = float(np.ptp(positions)) + _reach(positions, along, spacing) + _reach(-positions, along, spacing)
    return max(length, float(np.abs(along) @ spacing))
