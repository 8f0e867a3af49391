"""Where a lung borders on diaphragm, mediastinum and chest wall: the places of large masses."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..core.volume import Array, Mask

DIAPHRAGM, MEDIASTINUM, CHEST_WALL = "diaphragm", "mediastinum", "chest wall"

CLEAR = 0.7
"""Least share of the way out of the lung that points to a wall (the cosine of 45 degrees); other places have none."""


def wall_sites(lungs: Mask, sites: Array, spacing_mm: tuple[float, float, float]) -> dict[str, Array]:
    """Sort positions in the lungs by the wall that lies nearest.

    The wall is named by the direction of the shortest way out of the lung: down to the diaphragm, toward the other lung
    to the mediastinum, and to the front, the back or the side to the chest wall.

    Args:
        lungs: Both lungs, bool (slice, row, column) in canonical axial order: up, to the back, to the left.
        sites: Positions (n, 3) in the lungs.
        spacing_mm: Spacing along (slice, row, column), mm.

    Returns:
        The positions by wall; each may be empty.
    """
    if not len(sites):
        return dict.fromkeys((DIAPHRAGM, MEDIASTINUM, CHEST_WALL), sites)
    nearest = ndimage.distance_transform_edt(lungs, sampling=spacing_mm, return_distances=False, return_indices=True)
    there = np.stack([axis[tuple(sites.T)] for axis in nearest], axis=1)
    way = (there - sites) * np.asarray(spacing_mm)
    way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-6)
    middle = np.flatnonzero(lungs.any(axis=(0, 1))).mean()
    inward = way[:, 2] * np.sign(middle - sites[:, 2])
    down, medial = way[:, 0] < -CLEAR, inward > CLEAR
    outer = (np.abs(way[:, 1]) > CLEAR) | (inward < -CLEAR)
    return {DIAPHRAGM: sites[down], MEDIASTINUM: sites[medial & ~down], CHEST_WALL: sites[outer & ~down & ~medial]}
