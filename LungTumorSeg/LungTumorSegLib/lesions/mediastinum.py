"""The space between the lungs, derived from the medial edges of the lungs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ..core.volume import Array, Mask, Volume

REACH_RIGHT_MM, REACH_LEFT_MM = 70.0, 100.0
"""Farthest distance from the midline that the heart reaches to the right and to the left, mm.

The values leave room for a large heart. Its width is at most half that of the chest, about 150 mm, of which two thirds
lie on the left. If the medial edge of a lung lies farther out, it belongs to the recess around the dome of the
diaphragm.
"""

STEEPEST = 1.0
"""Largest shift of a medial edge along the columns (mm) per row (mm): 45 degrees."""


@dataclass(frozen=True, eq=False)
class MedialSpace:
    """The columns between the lungs in each row of each axial slice.

    They contain the mediastinum and, behind it, the tissue beside the spine. In a row that a lung does not reach, its
    edge is the midline of the slice.

    Attributes:
        lungs: Both lungs (bool) on the canonical grid, in which columns increase toward the patient's left.
        right_edge: The column of the most medial voxel of the right lung, shape (slices, rows).
        left_edge: The column of the most medial voxel of the left lung, shape (slices, rows).
    """

    lungs: Volume
    right_edge: Array
    left_edge: Array

    def holds(self, points_lps: Array) -> Mask:
        """Return which of the LPS points (n, 3) lie strictly between the lungs, bool (n,)."""
        index = np.rint(self.lungs.lps_to_index(points_lps)).astype(int)
        k, i, j = np.clip(index, 0, np.asarray(self.lungs.shape) - 1).T
        return np.asarray((self.right_edge[k, i] < j) & (j < self.left_edge[k, i]))

    def surface_lps(self) -> Array:
        """Return points of the medial surfaces of the lungs.

        Only the parts that face the other side are included, not those that face front or back. Toward the back, the
        edges of the lungs diverge around the spine and become costal.

        Returns:
            Points (n, 3), LPS mm, one per row and lung.
        """
        points = []
        for edge in (self.right_edge, self.left_edge):
            slope = np.gradient(edge, axis=1) * self.lungs.spacing[2] / self.lungs.spacing[1]
            k, i = np.nonzero(self._reached(edge) & (np.abs(slope) <= STEEPEST))
            points.append(np.column_stack([k, i, edge[k, i]]))
        return self.lungs.index_to_lps(np.concatenate(points))

    def _reached(self, edge: Array) -> Mask:
        """Return in which rows of which slices an edge lies on a lung, bool (slices, rows)."""
        k, i = np.indices(edge.shape)
        j = np.clip(np.rint(edge).astype(int), 0, self.lungs.shape[2] - 1)
        return np.asarray(self.lungs.array[k, i, j] & (self.right_edge < self.left_edge))


def medial_space(left_lung: Volume, right_lung: Volume) -> MedialSpace:
    """Determine the space between two lungs (bool, one grid, canonical axes)."""
    columns = left_lung.shape[2]
    has_right, has_left = right_lung.array.any(axis=2), left_lung.array.any(axis=2)
    right = columns - 1.0 - right_lung.array[:, :, ::-1].argmax(axis=2)
    left = left_lung.array.argmax(axis=2).astype(float)
    both = has_right & has_left & (right < left)
    middle = np.where(both, (right + left) / 2, np.nan)
    overall = float(np.nanmedian(middle)) if both.any() else (columns - 1) / 2
    has_right &= (overall - right) * right_lung.spacing[2] <= REACH_RIGHT_MM
    has_left &= (left - overall) * left_lung.spacing[2] <= REACH_LEFT_MM
    rows = both.sum(axis=1)
    midline = np.where(rows > 0, np.nansum(middle, axis=1) / np.maximum(rows, 1), overall)[:, None]
    union = left_lung.with_array(left_lung.array | right_lung.array)
    return MedialSpace(union, np.where(has_right, right, midline), np.where(has_left, left, midline))


def distance_to_surface_mm(points_lps: Array, surface_lps: Array) -> float:
    """Return the smallest distance between two sets of points (n, 3), mm; infinite if one is empty."""
    if not len(points_lps) or not len(surface_lps):
        return float("inf")
    return float(cKDTree(surface_lps).query(points_lps)[0].min())
