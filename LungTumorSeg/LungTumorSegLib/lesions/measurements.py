"""Measures of one lesion from its mask and the CT, in mm, mL and HU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist, squareform

from ..ct import Array, Volume
from .components import LesionCrop

TIE_MM = 1e-6
"""Diameters closer than this are equal; of equal long axes the one with the longer short axis counts, whatever the axes' order."""

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
    doi:10.1016/j.ejca.2008.10.026): long axis in the plane of acquisition. Ends lie on the outline, which runs midway
    between the centers of neighboring lesion and other voxels; so a single voxel has its own size as diameter. As under a radiologist's
    ruler, a line may leave a lesion of concave outline and enter it again.
    """
    spacing = np.asarray(mask.spacing[1:])
    outlines = [(k, _outline(slice_) * spacing) for k, slice_ in enumerate(mask.array) if slice_.any()]
    farthest = [_farthest(outline) for _, outline in outlines]
    longest_mm = max(length for length, _ in farthest)
    candidates = [
        (k, pair, _widest_across(outline, pair))
        for (k, outline), (length, pairs) in zip(outlines, farthest, strict=True)
        if length > longest_mm - TIE_MM
        for pair in pairs
    ]
    k, long, short = max(candidates, key=lambda c: round(_length(c[2]) / TIE_MM))
    return AxialDiameters(_ruler(mask, k, long / spacing), _ruler(mask, k, short / spacing))


def _length(ends: Array) -> float:
    return float(np.linalg.norm(ends[1] - ends[0]))


def _ruler(mask: Volume, axial_slice: int, ends: Array) -> Ruler:
    start, end = mask.index_to_lps(np.column_stack([np.full(2, axial_slice), ends])).tolist()
    return Ruler((start[0], start[1], start[2]), (end[0], end[1], end[2]))


def _outline(slice_: Array) -> Array:
    """Segments (n, 2 ends, 2: row, column; voxels) of the line between the true and the false pixels of a slice (marching squares)."""
    padded = np.pad(slice_, 1)
    a, b, c, d = padded[:-1, :-1], padded[:-1, 1:], padded[1:, 1:], padded[1:, :-1]
    crossed = (a != b, b != c, c != d, d != a)
    middle = np.array([(-1.0, -0.5), (-0.5, 0.0), (0.0, -0.5), (-0.5, -1.0)])
    segments = []
    for i in range(4):
        for j in range(i + 1, 4):
            cells = np.argwhere(crossed[i] & crossed[j])
            segments.append(np.stack([cells + middle[i], cells + middle[j]], axis=1))
    return np.concatenate(segments)


def _farthest(segments: Array) -> tuple[float, Array]:
    """The largest distance between outline points (mm), and every pair of points (n, 2, 2) that is so far apart."""
    points = segments.reshape(-1, 2)
    points = points[ConvexHull(points).vertices]
    distance = squareform(pdist(points))
    longest = float(distance.max())
    first, second = np.nonzero(np.triu(distance >= longest - TIE_MM))
    return longest, np.stack([points[first], points[second]], axis=1)


def _widest_across(segments: Array, long_axis: Array) -> Array:
    """Ends (2, 2) of the longest line perpendicular to ``long_axis`` (2, 2) between points of the outline."""
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
    return np.asarray([positions[best] * along + low[best] * across, positions[best] * along + high[best] * across])


def centroid_lps(mask: Volume) -> Point:
    """The mean position of the true voxels, LPS mm."""
    x, y, z = mask.index_to_lps(np.argwhere(mask.array).mean(axis=0)).tolist()
    return x, y, z


def confidence(lesion: LesionCrop, probability: Volume, disagreement: Volume | None) -> float:
    """How sure the network is of a lesion, 0 ... 1: the mean over its voxels of probability minus disagreement, where that is above 0.

    The disagreement is the standard deviation of the answers whose mean is the probability; so this is what is left one standard
    deviation below the mean answer. It is no probability of malignancy.
    """
    inside = lesion.mask.array
    sure = lesion.cut(probability).array[inside].astype(np.float64)
    if disagreement is not None:
        sure -= lesion.cut(disagreement).array[inside]
    return float(np.clip(sure, 0.0, 1.0).mean())
