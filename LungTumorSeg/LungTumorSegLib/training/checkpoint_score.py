"""The score by which training chooses a checkpoint, and tuning a setting.

Whole volumes are scored, never crops, because the Dice of crops is misleading.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..core.components import connected_with
from ..core.volume import Array, Mask
from ..evaluation.overlap import dice
from .store import IGNORED

FALSE_ML_SCALE = 50.0
"""False-positive volume per scan, mL, whose penalty equals a 3D Dice of 1."""


@dataclass(frozen=True)
class CheckpointScore:
    """How well a checkpoint finds the lesions of held-out scans.

    Attributes:
        dice: Mean 3D Dice over the scans with lesions.
        false_ml: Mean volume per scan, mL, of connected components that touch no lesion.
    """

    dice: float
    false_ml: float

    @property
    def value(self) -> float:
        """The score; higher is better."""
        return self.dice - min(1.0, self.false_ml / FALSE_ML_SCALE)


def checkpoint_score(scans: Iterable[tuple[Mask, Array]], voxel_ml: float) -> CheckpointScore:
    """Score found lesions against the truth.

    Args:
        scans: The found mask and the stored label (slice, row, column) of each scan; voxels that are ``IGNORED`` do
            not count.
        voxel_ml: Volume of a voxel, mL.
    """
    dices, false_ml = [], []
    for found, label in scans:
        truth = (label > 0) & (label != IGNORED)
        counted = found & (label != IGNORED)
        false = counted & ~connected_with(counted, truth)
        false_ml.append(float(false.sum()) * voxel_ml)
        if truth.any():
            dices.append(dice(counted, truth))
    return CheckpointScore(float(np.mean(dices)) if dices else 0.0, float(np.mean(false_ml)) if false_ml else 0.0)
