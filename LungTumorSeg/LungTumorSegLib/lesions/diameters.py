"""Axial diameters of a lesion as a radiologist measures them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.spatial.distance import pdist, squareform

from ..core.volume import Array, Volume

TIE_MM = 1e-6
"""Diameters closer than this are equal; of equal long axes the one with the longer short axis counts, whatever the axes' order."""

ROUND, CORNER = 1.5, 2.0
"""How the area of a lesion's tip grows with depth: to the power of 3/2 where it is round, as a disc's, of 2 in a corner."""

TIP_DEPTH, ROUND_SHARE, CORNER_SHARE, LEAST_CORNER = 6.0, 0.25, 0.16, 3.5
"""A tip is looked at as deep as 6 pixels, but no deeper than a quarter of the shape's length and width; for a corner than a sixth, at
least 3.5 pixels, since farther on a slender box's other corner begins. Chosen on discs, ellipses and boxes, see the tests."""

DIRECTIONS, LEAST_REFINED = 9, 6.0
"""So many directions about the line through the farthest pixels are looked at, in shapes of at least so many pixels."""

CHORD_WIDTH, CHORD_TIP = 3.0, 1.0
"""A chord across a lesion is the mean over 3 pixels along it: of many chords between slanted sides the longest is one that ends on steps of
the outline, half a pixel too long. One that is within a pixel as long as the lesion is wide ends in tips instead, or on a round outline."""

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
    voxels (``_tip``), so that discs and boxes come out right alike; a single voxel has its own size. The short axis is never longer
    than the long one, as the ways in which both are rounded to pixels would have it of discs.

    A mask knows where a side along rows or columns lies to half a pixel only. So boxes of 20.8 x 19.2 and of 20 x 20 pixels may have one
    mask, and short axes of 26.1 and 28.3 pixels, for another side turns the diagonal and with it the line across: of such boxes the long
    axis misses the truth by up to 1.3 pixels, the short axis by up to 2.4, and both that of the box that the pixels fill by 0.6.
    """
    spacing = np.asarray(mask.spacing[1:])
    near = 2 * float(np.linalg.norm(spacing))  # more than refining changes
    pairs = [(k, pair) for k, slice_ in enumerate(mask.array) if slice_.any() for pair in _farthest(slice_, spacing)]
    least_mm = max(_length(pair) for _, pair in pairs) - near
    lines = [(k, _refined(mask.array[k], pair, spacing)) for k, pair in pairs if _length(pair) >= least_mm]
    longest_mm = max(_length(line) for _, line in lines)
    candidates = [
        (k, line, _widest_across(mask.array[k], line, spacing))
        for k, line in lines
        if _length(line) > longest_mm - TIE_MM
    ]
    k, long, short = max(candidates, key=lambda candidate: round(_length(candidate[2]) / TIE_MM))
    return AxialDiameters(_ruler(mask, k, long / spacing), _ruler(mask, k, short / spacing))


def _length(ends: Array) -> float:
    return float(np.linalg.norm(ends[1] - ends[0]))


def _ruler(mask: Volume, axial_slice: int, ends: Array) -> Ruler:
    start, end = mask.index_to_lps(np.column_stack([np.full(2, axial_slice), ends])).tolist()
    return Ruler((start[0], start[1], start[2]), (end[0], end[1], end[2]))


def _farthest(slice_: Array, spacing: Array) -> list[Array]:
    """The two pixel centers (2 ends, 2: row, column; mm) of a slice that are farthest apart; several pairs where they are equally far."""
    rows = np.flatnonzero(slice_.any(axis=1))
    first, last = slice_[rows].argmax(axis=1), slice_.shape[1] - 1 - slice_[rows, ::-1].argmax(axis=1)
    ends = np.concatenate([np.column_stack([rows, first]), np.column_stack([rows, last])]) * spacing
    distance = squareform(pdist(ends))
    i, j = np.triu_indices(len(ends), k=1 if len(ends) > 1 else 0)
    farthest = distance[i, j] >= distance.max() - TIE_MM
    return list(np.stack([ends[i[farthest]], ends[j[farthest]]], axis=1))


def _refined(slice_: Array, pair: Array, spacing: Array) -> Array:
    """The longest line (2, 2; mm) across a slice, near the line through its farthest pixel centers.

    Which centers of a rounded shape lie farthest apart is decided by a fraction of a pixel, and so its direction would be off by
    degrees. There the extent is taken for a parabola over the directions in which a line of this length seems a pixel shorter at most.
    """
    pixels = np.argwhere(slice_) * spacing
    length, pixel = _length(pair), float(np.sqrt(np.prod(spacing)))
    along = (pair[1] - pair[0]) / length if length > TIE_MM else np.diag(spacing)[np.argmax(spacing)] / spacing.max()
    start, end = _tip(pixels, -along, spacing), _tip(pixels, along, spacing)
    if length >= LEAST_REFINED * pixel and start.is_round and end.is_round:
        widest = float(np.arccos(1 - pixel / length))
        angles = np.linspace(-widest, widest, DIRECTIONS)
        parabola = np.polyfit(angles, [_extent(pixels, _turned(along, angle), spacing) for angle in angles], 2)
        best = -parabola[1] / (2 * parabola[0])
        if parabola[0] < 0 and abs(best) <= widest:
            middle, half = pair.mean(axis=0), np.polyval(parabola, best) / 2 * _turned(along, best)
            return np.stack([middle - half, middle + half])
    return np.stack([pair[0] - along * start.reach_mm, pair[1] + along * end.reach_mm])


def _turned(along: Array, angle: float) -> Array:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c * along[0] - s * along[1], s * along[0] + c * along[1]])


@dataclass(frozen=True)
class _Tip:
    """How far the tip of a shape lies beyond its outermost pixel center, and whether it is round rather than a corner."""

    reach_mm: float
    is_round: bool


def _tip(pixels: Array, along: Array, spacing: Array) -> _Tip:
    """The tip of a shape in a direction, by all its pixel centers (n, 2; mm).

    The area within a depth g of the tip grows as g ** p; so the p-th root of the number of centers that lie no deeper is a straight
    line over depth, and it is 0 at the tip. Of the exponents the one with the straighter line counts. A tip that is broad and
    therefore sampled often reaches hardly beyond its outermost center, a sharp one does; none farther than half a pixel's width.
    """
    half_width = float(np.abs(along) @ spacing) / 2
    pixel = float(np.sqrt(np.prod(spacing)))
    positions = pixels @ along
    depth = positions.max() - positions
    smaller = min(float(depth.max()), float(np.ptp(pixels @ _turned(along, np.pi / 2))))
    depth, count = _distinct(depth)
    round_depth = min(TIP_DEPTH * pixel, ROUND_SHARE * smaller)
    corner_depth = min(round_depth, max(LEAST_CORNER * pixel, CORNER_SHARE * smaller))
    in_round, in_corner = (
        int(np.count_nonzero(depth <= max(2 * half_width, limit) + TIE_MM)) for limit in (round_depth, corner_depth)
    )
    if in_corner < 2:
        return _Tip(half_width, False)
    number = np.cumsum(count) - count / 2  # the center itself counts half
    round_tip, missed = _straight_line(depth[:in_round], number[:in_round] ** (1 / ROUND), count[:in_round])
    corner, missed_corner = _straight_line(depth[:in_corner], number[:in_corner] ** (1 / CORNER), count[:in_corner])
    fits_round = missed_corner >= missed - TIE_MM
    return _Tip(min(max(round_tip if fits_round else corner, 0.0), half_width), fits_round and in_round > 2)


def _distinct(values: Array) -> tuple[Array, Array]:
    """Values in rising order, those closer than ``TIE_MM`` as one, and how many each stands for."""
    ordered = np.sort(values)
    first = np.flatnonzero(np.diff(ordered, prepend=-np.inf) > TIE_MM)
    return ordered[first], np.diff(first, append=len(ordered)).astype(float)


def _straight_line(x: Array, y: Array, weight: Array) -> tuple[float, float]:
    """How far below 0 a line through the points (x, y) is 0, and the mean square by which they miss it, in units of x."""
    mean_x, mean_y = np.average(x, weights=weight), np.average(y, weights=weight)
    slope = float((weight * (x - mean_x) * (y - mean_y)).sum() / (weight * (x - mean_x) ** 2).sum())
    missed = np.average((y - mean_y - slope * (x - mean_x)) ** 2, weights=weight)
    return float(mean_y / slope - mean_x), float(missed / slope**2)


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
    pixel = float(np.sqrt(np.prod(spacing)))
    whole = _extent(np.argwhere(slice_) * spacing, across, spacing)
    best = int(np.argmax(high - low))
    at, chord = float(positions[best]), whole
    if (high - low)[best] < whole - CHORD_TIP * pixel:
        at, chord = _longest_mean(positions, high - low, CHORD_WIDTH * pixel)
    middle = at * along + np.interp(at, positions, (high + low) / 2) * across
    half = min(chord, whole, _length(long_axis)) / 2  # no line in the slice is longer than the longest
    return np.asarray([middle - half * across, middle + half * across])


def _longest_mean(positions: Array, lengths: Array, window: float) -> tuple[float, float]:
    """Where the mean over ``window`` of a piecewise linear function is largest, and that mean; windows that begin, end or lie about a knot.

    ``positions`` (mm) rise; outside them there is nothing.
    """
    window = min(window, float(positions[-1] - positions[0]))
    centers = np.concatenate([positions, positions - window / 2, positions + window / 2])
    centers = np.unique(np.clip(centers, positions[0] + window / 2, positions[-1] - window / 2))
    total = np.concatenate([[0.0], np.cumsum(np.diff(positions) * (lengths[1:] + lengths[:-1]) / 2)])

    def integral(to: Array) -> Array:
        i = np.clip(np.searchsorted(positions, to, side="right") - 1, 0, len(positions) - 1)
        return np.asarray(total[i] + (to - positions[i]) * (lengths[i] + np.interp(to, positions, lengths)) / 2)

    means = (integral(centers + window / 2) - integral(centers - window / 2)) / window
    best = int(np.argmax(means))
    return float(centers[best]), float(means[best])


def _extent(pixels: Array, along: Array, spacing: Array) -> float:
    """Length (mm) of a shape's shadow on a line, a pixel's at least: no line across it is longer, whatever the outline's steps say."""
    length = (
        float(np.ptp(pixels @ along)) + _tip(pixels, along, spacing).reach_mm + _tip(pixels, -along, spacing).reach_mm
    )
    return max(length, float(np.abs(along) @ spacing))
