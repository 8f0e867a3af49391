"""Axial diameters of a lesion as a radiologist measures them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.spatial.distance import pdist, squareform

from ..core.volume import Array, Mask, Point, Volume, as_point

TIE_MM = 1e-6
"""Difference below which two diameters count as equal, mm.

Among equal long axes, the one with the longer short axis is used, so that the result does not depend on the order of
the axes.
"""

ROUND, CORNER = 1.5, 2.0
"""Exponents with which the area of a lesion's tip grows with depth.

The exponent is 3/2 for a round tip, like that of a disk, and 2 for a corner.
"""

TIP_DEPTH, ROUND_SHARE, CORNER_SHARE, LEAST_CORNER = 6.0, 0.25, 0.16, 3.5
"""Depth to which the tip of a shape is examined.

A round tip is examined to a depth of 6 pixels, but at most a quarter of the shape's length and width. A corner is
examined to a depth of at most 0.16 of them, but at least 3.5 pixels, and never deeper than a round tip; beyond, the
opposite corner of a slender box begins. The values were chosen on disks, ellipses and boxes; see the tests.
"""

DIRECTIONS, LEAST_REFINED = 9, 6.0
"""Number of directions examined around the line through the farthest pixels, and smallest length of a shape for this.

The length is in pixels.
"""

CHORD_WIDTH, CHORD_TIP = 3.0, 1.0
"""Width over which chords are averaged, and tolerance for chords that end in tips, both in pixels.

A chord across a lesion is the mean over 3 pixels along the long axis. Without the mean, the longest of many chords
between slanted sides ends on steps of the outline and is half a pixel too long. If the longest chord is at most 1 pixel
shorter than the whole width of the lesion, it ends in tips or on a round outline instead, and the whole width is used.
"""


@dataclass(frozen=True)
class Ruler:
    """A straight measurement between two LPS points, as a ruler markup shows it.

    Attributes:
        start_lps: One end, LPS mm.
        end_lps: The other end, LPS mm.
    """

    start_lps: Point
    end_lps: Point

    @property
    def length_mm(self) -> float:
        """Distance between the ends, mm."""
        return float(np.linalg.norm(np.subtract(self.end_lps, self.start_lps)))


@dataclass(frozen=True)
class AxialDiameters:
    """The long axis and the perpendicular short axis, both in the same axial slice."""

    long_axis: Ruler
    short_axis: Ruler


def axial_diameters(mask: Volume) -> AxialDiameters:
    """Measure the longest in-plane diameter of a lesion and the longest diameter perpendicular to it.

    The long axis is the longest over all axial slices, and the short axis lies in the same slice. As with a
    radiologist's ruler, a line may leave a lesion of concave outline and enter it again.

    The ends lie where the tips of the lesion are expected beyond the centers of its outermost pixels (``_tip``), so
    that the diameters of disks and of boxes are both correct. A single voxel has its own size. The short axis is never
    longer than the long one; without this rule, the rounding of both to pixels could reverse them on disks.

    A mask determines the position of a side along rows or columns only to half a pixel. Boxes of 20.8 x 19.2 and of 20
    x 20 pixels may therefore have the same mask. Their short axes are 26.1 and 28.3 pixels, because another side turns
    the diagonal and with it the line across. For such boxes, the error of the long axis is up to 1.3 pixels and that of
    the short axis up to 2.4 pixels. Relative to the box that the pixels fill, both errors are at most 0.6 pixels.

    Args:
        mask: The lesion (bool, at least one true voxel) with canonical axes: slices from feet to head.

    Returns:
        Both diameters.

    References:
        RECIST 1.1, Eisenhauer 2009, doi:10.1016/j.ejca.2008.10.026: the long axis lies in the plane of acquisition.
    """
    spacing = np.asarray(mask.spacing[1:])
    near = 2 * float(np.linalg.norm(spacing))  # refinement changes a length by less than this
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
    """Return the distance (mm) between two ends (2, 2; mm)."""
    return float(np.linalg.norm(ends[1] - ends[0]))


def _ruler(mask: Volume, axial_slice: int, ends: Array) -> Ruler:
    """Convert two ends (2, 2: row, column; pixels) in a slice to a ruler."""
    start, end = mask.index_to_lps(np.column_stack([np.full(2, axial_slice), ends])).tolist()
    return Ruler(as_point(start), as_point(end))


def _farthest(slice_: Mask, spacing: Array) -> list[Array]:
    """Find the two pixel centers of a slice that are farthest apart.

    Returns:
        Pairs (2 ends, 2: row, column; mm); several if their distances are equal.
    """
    rows = np.flatnonzero(slice_.any(axis=1))
    first, last = slice_[rows].argmax(axis=1), slice_.shape[1] - 1 - slice_[rows, ::-1].argmax(axis=1)
    ends = np.concatenate([np.column_stack([rows, first]), np.column_stack([rows, last])]) * spacing
    distance = squareform(pdist(ends))
    i, j = np.triu_indices(len(ends), k=1 if len(ends) > 1 else 0)
    farthest = distance[i, j] >= distance.max() - TIE_MM
    return list(np.stack([ends[i[farthest]], ends[j[farthest]]], axis=1))


def _refined(slice_: Mask, pair: Array, spacing: Array) -> Array:
    """Find the longest line (2, 2; mm) across a slice near the line through its farthest pixel centers.

    In a round shape, a fraction of a pixel decides which centers lie farthest apart, so the direction of their line may
    be wrong by several degrees. For such shapes, a parabola is fitted to the extent over all directions in which a line
    of this length appears at most one pixel shorter.
    """
    pixels = np.argwhere(slice_) * spacing
    length, pixel = _length(pair), float(np.sqrt(np.prod(spacing)))
    along = (pair[1] - pair[0]) / length if length > TIE_MM else np.diag(spacing)[np.argmax(spacing)] / spacing.max()
    _, start, end = _span(pixels, along, spacing)
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
    """Rotate a direction (row, column) by an angle in radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c * along[0] - s * along[1], s * along[0] + c * along[1]])


@dataclass(frozen=True)
class _Tip:
    """The tip of a shape in one direction.

    Attributes:
        reach_mm: Distance of the tip from the outermost pixel center, mm.
        is_round: Whether the tip is round rather than a corner.
    """

    reach_mm: float
    is_round: bool


def _span(pixels: Array, along: Array, spacing: Array) -> tuple[float, _Tip, _Tip]:
    """Return how far apart the outermost pixel centers (n, 2; mm) of a shape lie in a direction, mm, and its two tips.

    The first tip lies where the direction comes from, the second one where it leads to.
    """
    positions, width = pixels @ along, float(np.ptp(pixels @ _turned(along, np.pi / 2)))
    low, high = positions.min(), positions.max()
    half_width = float(np.abs(along) @ spacing) / 2
    pixel, smaller = float(np.sqrt(np.prod(spacing))), min(float(high - low), width)
    start, end = (_tip(depth, half_width, pixel, smaller) for depth in (positions - low, high - positions))
    return float(high - low), start, end


def _tip(depth: Array, half_width: float, pixel: float, smaller: float) -> _Tip:
    """Estimate the tip of a shape in a direction from the depth of all its pixel centers below the outermost one.

    The area within a depth g of the tip grows as g ** p. The p-th root of the number of centers that lie no deeper is
    therefore a straight line over depth, and it is 0 at the tip. Of the two exponents, the one with the better fit is
    used. A broad tip contains many centers and reaches only slightly beyond the outermost one; a sharp tip reaches
    farther. No tip reaches farther than half a pixel's width.

    Args:
        depth: The depths (n), mm.
        half_width: Half the width of a pixel in this direction, mm.
        pixel: The size of a pixel, mm.
        smaller: The smaller of the shape's extents along and across the direction, mm.
    """
    round_depth = min(TIP_DEPTH * pixel, ROUND_SHARE * smaller)
    corner_depth = min(round_depth, max(LEAST_CORNER * pixel, CORNER_SHARE * smaller))
    round_depth, corner_depth = (max(2 * half_width, limit) + TIE_MM for limit in (round_depth, corner_depth))
    depth, count = _distinct(depth[depth <= round_depth + TIE_MM])
    in_round, in_corner = (int(np.count_nonzero(depth <= limit)) for limit in (round_depth, corner_depth))
    if in_corner < 2:
        return _Tip(half_width, False)
    number = np.cumsum(count) - count / 2  # the pixel at this depth counts half
    round_tip, missed = _straight_line(depth[:in_round], number[:in_round] ** (1 / ROUND), count[:in_round])
    corner, missed_corner = _straight_line(depth[:in_corner], number[:in_corner] ** (1 / CORNER), count[:in_corner])
    fits_round = missed_corner >= missed - TIE_MM
    return _Tip(min(max(round_tip if fits_round else corner, 0.0), half_width), fits_round and in_round > 2)


def _distinct(values: Array) -> tuple[Array, Array]:
    """Return sorted values, with those closer than ``TIE_MM`` merged, and the number of values that each represents."""
    ordered = np.sort(values)
    first = np.concatenate([[0], np.flatnonzero(ordered[1:] - ordered[:-1] > TIE_MM) + 1])
    return ordered[first], np.diff(first, append=len(ordered)).astype(float)


def _straight_line(x: Array, y: Array, weight: Array) -> tuple[float, float]:
    """Fit a straight line to points (x, y).

    Returns:
        The distance below x = 0 at which the line is 0, and the mean squared error in units of x.
    """
    total = weight.sum()
    mean_x, mean_y = (x * weight).sum() / total, (y * weight).sum() / total
    from_x, from_y = x - mean_x, y - mean_y
    slope = float((weight * from_x * from_y).sum() / (weight * from_x**2).sum())
    missed = ((from_y - slope * from_x) ** 2 * weight).sum() / total
    return float(mean_y / slope - mean_x), float(missed / slope**2)


def outline(slice_: Mask) -> Array:
    """Trace the boundary between the true and the false pixels of a slice (marching squares).

    Returns:
        Line segments (n, 2 ends, 2: row, column; pixels).
    """
    padded = np.pad(slice_, 1)
    a, b, c, d = padded[:-1, :-1], padded[:-1, 1:], padded[1:, 1:], padded[1:, :-1]
    crossed = (a != b, b != c, c != d, d != a)
    middle = np.array([(-1.0, -0.5), (-0.5, 0.0), (0.0, -0.5), (-0.5, -1.0)])
    segments = []
    for i, j in combinations(range(4), 2):
        cells = np.argwhere(crossed[i] & crossed[j])
        segments.append(np.stack([cells + middle[i], cells + middle[j]], axis=1))
    return np.concatenate(segments)


def _widest_across(slice_: Mask, long_axis: Array, spacing: Array) -> Array:
    """Find the longest line perpendicular to ``long_axis`` (2, 2; mm) between points of the outline.

    Returns:
        Its ends (2, 2; mm).
    """
    segments = outline(slice_) * spacing
    along = (long_axis[1] - long_axis[0]) / _length(long_axis)
    across = np.array([-along[1], along[0]])
    t, w = segments @ along, segments @ across
    positions = np.unique(t)
    slope = t[:, 1] - t[:, 0]
    sloped = np.abs(slope) > TIE_MM  # the neighbors of a segment across the axis contain its ends
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
    half = min(chord, whole, _length(long_axis)) / 2  # no line in the slice is longer than the long axis
    return np.asarray([middle - half * across, middle + half * across])


def _longest_mean(positions: Array, lengths: Array, window: float) -> tuple[float, float]:
    """Find the window in which the mean of a piecewise linear function is largest.

    Windows that begin, end or are centered at a knot are examined. The function is undefined outside ``positions``.

    Args:
        positions: The knots in ascending order, mm.
        lengths: The values of the function at the knots, mm.
        window: The width of the window, mm.

    Returns:
        The center of the window and the mean in it.
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
    """Return the length (mm) of a shape's projection onto a line, at least that of one pixel.

    No line across the shape in this direction is longer, whatever the steps of the outline suggest.
    """
    apart, start, end = _span(pixels, along, spacing)
    length = apart + end.reach_mm + start.reach_mm
    return max(length, float(np.abs(along) @ spacing))
