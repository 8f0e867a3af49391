"""Two-step threshold: first decide which slices hold a tumor, then which voxels (Najeeb and Bhuiyan 2022).

The slice threshold applies to the working grid, on which the network computed its probabilities. The voxel threshold
applies to the CT's own grid, so that the outline is as fine as the CT.
"""

from __future__ import annotations

import numpy as np

from ..core.computed import slabs
from ..core.volume import Mask, Probability, Volume
from ..options import Thresholds
from .prediction import Prediction


def kept_slices(probability: Probability, gate: float) -> Mask:
    """Mark the slices whose maximum probability exceeds the slice threshold.

    Args:
        probability: Tumor probability (slice, row, column), 0 to 1.
        gate: The slice threshold, 0 to 1.

    Returns:
        One bool per slice.
    """
    return np.asarray(probability.max(axis=(1, 2)) > gate)


def decide_on_working_grid(probability: Probability, thresholds: Thresholds) -> Mask:
    """Compute the tumor mask on the working grid itself, as trainings do.

    Args:
        probability: Tumor probability (slice, row, column), 0 to 1.
        thresholds: The slice threshold and the voxel threshold.

    Returns:
        The mask (slice, row, column).
    """
    return np.asarray((probability > thresholds.voxel) & kept_slices(probability, thresholds.gate)[:, None, None])


def decide(prediction: Prediction, thresholds: Thresholds) -> Volume:
    """Compute the tumor mask on the CT's grid.

    A CT slice is kept if the nearest working slice is kept.

    Args:
        prediction: What the network predicts.
        thresholds: The slice threshold and the voxel threshold.

    Returns:
        The mask (bool) on the CT's grid.
    """
    nearest, on_ct = prediction.grid.nearest_slices(), prediction.probability
    kept = kept_slices(prediction.mean, thresholds.gate)[nearest] & (nearest >= 0)
    tumor = np.zeros(on_ct.shape, bool)
    for first, slab in slabs(on_ct):
        here = slice(first, first + len(slab))
        np.greater(slab, np.float32(thresholds.voxel), out=tumor[here], where=kept[here, None, None])
    return on_ct.with_array(tumor)
