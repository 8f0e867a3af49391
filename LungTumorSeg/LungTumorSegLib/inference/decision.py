"""The two-step threshold: which slices hold a tumor, then which voxels (Najeeb & Bhuiyan 2022).

The gate is read on the working grid, where the network answered; the voxels are decided on the CT's own grid, so that the outline
is as fine as the CT.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..core.volume import Array, Volume
from ..options import Thresholds as Thresholds
from .grid import WorkingGrid


def kept_slices(probability: Array, gate: float) -> npt.NDArray[np.bool_]:
    """One bool a slice of ``probability`` (slice, row, column): does its maximum exceed ``gate``?"""
    return np.asarray(probability.max(axis=(1, 2)) > gate)


def decide(grid: WorkingGrid, probability: Array, probability_on_ct: Volume, thresholds: Thresholds) -> Volume:
    """The tumor mask (bool) on the CT's grid.

    ``probability`` lies on the working grid, ``probability_on_ct`` is the same map carried back. A CT slice is kept if the nearest
    working slice is kept.
    """
    nearest = grid.nearest_slices()
    kept = kept_slices(probability, thresholds.gate)[nearest] & (nearest >= 0)
    tumor = probability_on_ct.array > np.float32(thresholds.voxel)
    tumor[~kept] = False
    return probability_on_ct.with_array(tumor)
