"""The space between the lungs, from the lungs' medial edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from ..core.volume import Array, Volume

REACH_RIGHT_MM, REACH_LEFT_MM = 70.0, 100.0
"""Farthest from the midline that the heart reaches, with room for a large one (its width is at most half the chest's, about 150 mm, two
thirds of it on the left). Where a lung's medial edge lies farther out, it is the recess about the diaphragm's dome."""

STEEPEST = 1.0
"""Columns (in mm) that a medial edge may move a row (in mm): 45 degrees."""


@dataclass(frozen=True, eq=False)
class MedialSpace:
    """Per row of each axial slice, the columns between the lungs: mediastinum and, behind it, what lies beside the spine.

    ``right_edge`` and ``left_edge`` (slice, row) are the columns of the most medial voxel of either lung on the canonical grid of
    ``lungs``, in which columns grow to the patient's left. In a row that a lung does not reach its edge is the slice's midline.
    """

    lungs: Volume
    right_edge: Array
    left_edge: Array

    def holds(self, points_lps: Array) -> Array:
        """Which of the LPS points (n, 3) lie strictly between the lungs; bool (n,)."""
        index = np.rint(self.lungs.lps_to_index(points_lps)).astype(int)
        k, i, j = np.clip(index, 0, np.asarray(self.lungs.shape) - 1).T
        return np.asarray((self.right_edge[k, i] < j) & (j < self.left_edge[k, i]))

    def surface_lps(self) -> Array:
        """Points (n, 3), LPS mm, one a row and lung, of the medial surfaces: where they look to the other side rather than front or back.

        Toward the back the lungs' edges part round the spine and become costal.
        """
        points = []
        for edge in (self.right_edge, self.left_edge):
            slope = np.gradient(edge, axis=1) * self.lungs.spacing[2] / self.lungs.spacing[1]
            k, i = np.nonzero(self._reached(edge) & (np.abs(slope) <= STEEPEST))
            points.append(np.column_stack([k, i, edge[k, i]]))
        return self.lungs.index_to_lps(np.concatenate(points))

    def _reached(self, edge: Array) -> Array:
        k, i = np.indices(edge.shape)
        j = np.clip(np.rint(edge).astype(int), 0, self.lungs.shape[2] - 1)
        return np.asarray(self.lungs.array[k, i, j] & (self.right_edge < self.left_edge))


def medial_space(left_lung: Volume, right_lung: Volume) -> MedialSpace:
    """The space between two lungs (bool, one grid, canonical axes)."""
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
    """The smallest distance between two sets of points, mm; infinite where one is empty."""
    if not len(points_lps) or not len(surface_lps):
        return float("inf")
    return float(cKDTree(surface_lps).query(points_lps)[0].min())
