"""Where a lesion sits."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import ndimage

from ..ct import Array, Volume
from .components import LesionCrop

Side = Literal["Left", "Right"]

NEAREST_LUNG_GRID_MM = 5.0
"""Spacing, about, of the grid on which distances to the lungs are taken where a lesion lies mostly outside both; coarse, since only
the nearer lung is asked for."""


def _every(volume: Volume, steps: tuple[int, int, int]) -> Volume:
    """Every n-th voxel along each axis; the first one stays."""
    affine = volume.affine.copy()
    affine[:3, :3] = affine[:3, :3] * steps
    return Volume(volume.array[:: steps[0], :: steps[1], :: steps[2]], affine)


class Sides:
    """Names the lung to which a lesion belongs. Distances are computed only once a lesion asks for them.

    ``left_lung`` and ``right_lung`` (bool) lie on one grid and are the patient's own left and right, whatever the axes' order.
    """

    def __init__(self, left_lung: Volume, right_lung: Volume) -> None:
        self._left, self._right = left_lung, right_lung
        self._distances: tuple[Volume, Volume] | None = None

    def of(self, lesion: LesionCrop) -> Side | None:
        """The side: each voxel votes for the lung that holds it or else is nearest to it; most votes win.

        An exact tie goes to the right lung, the larger one. None where there is no lung at all.
        """
        mask = lesion.mask.array
        left = int(np.count_nonzero(lesion.cut(self._left).array[mask]))
        right = int(np.count_nonzero(lesion.cut(self._right).array[mask]))
        half = np.count_nonzero(mask) / 2
        if left > half or right >= half:
            return "Left" if left > half else "Right"
        distances = self._nearest(lesion.mask)
        if distances is None:
            return None
        return "Left" if np.count_nonzero(distances[0] < distances[1]) > half else "Right"

    def _nearest(self, mask: Volume) -> tuple[Array, Array] | None:
        """Distance (mm) of each lesion voxel from the left and the right lung."""
        if self._distances is None:
            steps = [max(1, round(NEAREST_LUNG_GRID_MM / s)) for s in self._left.spacing]
            coarse = [_every(lung, (steps[0], steps[1], steps[2])) for lung in (self._left, self._right)]
            if not any(lung.array.any() for lung in coarse):
                return None
            left, right = (lung.with_array(_distance_mm(lung)) for lung in coarse)
            self._distances = left, right
        points = mask.index_to_lps(np.argwhere(mask.array))
        grid = self._distances[0]
        index = np.clip(np.rint(grid.lps_to_index(points)).astype(int), 0, np.asarray(grid.shape) - 1)
        left_mm, right_mm = (d.array[tuple(index.T)] for d in self._distances)
        return left_mm, right_mm


def _distance_mm(lung: Volume) -> Array:
    if not lung.array.any():
        return np.full(lung.shape, np.inf)
    return np.asarray(ndimage.distance_transform_edt(~lung.array, sampling=lung.spacing))
