"""Whole volumes in training: mining of hard sites, and the score that chooses checkpoints.

Crops are never scored, because their Dice is misleading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from ..core.volume import Array
from ..evaluation.overlap import dice
from ..inference.decision import Thresholds, kept_slices
from ..inference.predictor import predict_maps
from ..inference.stacks import STACK_SLICES
from ..lesions.components import CONNECTIVITY
from .config import GridConfig
from .sampling import Site
from .store import IGNORED, StoredCase

HARD_PROBABILITY = 0.3
"""Probability above which background is a hard negative, and below which a tumor voxel is a hard positive."""

HARD_SITES = 40
"""Hard sites kept per case, spread over components so that one large mistake does not crowd out the others."""

NEAR_VOXELS = 3
"""In-plane distance, voxels, within which a wrong voxel is an inexact outline, not a mistake to mine."""

FALSE_ML_SCALE = 50.0
"""False-positive volume per scan, mL, whose penalty equals a 3D Dice of 1."""


@dataclass(frozen=True)
class Score:
    """The selection score.

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


class WholeVolumes:
    """Predictions of a network in training over stored cases."""

    def __init__(self, grid: GridConfig, device: torch.device, precision: str, *, stride: int = STACK_SLICES) -> None:
        self._grid, self._device, self._precision, self._stride = grid, device, precision, stride

    def probability(self, network: torch.nn.Module, case: StoredCase) -> Array:
        """Return the tumor probability (slice, row, column) on the case's grid."""
        grid = case.working_grid(self._grid.window_hu)
        return predict_maps(grid, network, stride=self._stride, device=self._device, precision=self._precision).mean

    @staticmethod
    def decide(probability: Array, thresholds: Thresholds) -> Array:
        """Apply slice threshold and voxel threshold on the working grid; return a mask (bool)."""
        return np.asarray((probability > thresholds.voxel) & kept_slices(probability, thresholds.gate)[:, None, None])

    def score(self, network: torch.nn.Module, cases: Sequence[StoredCase], thresholds: Thresholds) -> Score:
        """Return the selection score over ``cases``, with slice threshold and voxel threshold."""
        dices, false_ml = [], []
        for case in cases:
            found = self.decide(self.probability(network, case), thresholds)
            truth = (case.label > 0) & (case.label != IGNORED)
            found &= case.label != IGNORED
            components, count = ndimage.label(found, structure=CONNECTIVITY)
            true_components = np.unique(components[truth])
            false_voxels = (found & ~np.isin(components, true_components[true_components > 0])).sum() if count else 0
            false_ml.append(float(false_voxels) * float(np.prod(self._grid.spacing_mm)) / 1000)
            if truth.any():
                dices.append(dice(found, truth))
        return Score(float(np.mean(dices)) if dices else 0.0, float(np.mean(false_ml)) if false_ml else 0.0)

    def mine(
        self, network: torch.nn.Module, cases: Sequence[StoredCase], which: Sequence[int], seed: int
    ) -> list[Site]:
        """Find places where ``network`` reports false tumor or misses tumor.

        Args:
            network: The network in training.
            cases: All training cases.
            which: Indices of the cases to search.
            seed: Draws the sites that are kept.

        Returns:
            At most ``HARD_SITES`` sites per searched case.
        """
        rng = np.random.default_rng(seed)
        found: list[Site] = []
        for index in which:
            case = cases[index]
            seen = self.probability(network, case) > HARD_PROBABILITY
            wrong = (seen & ~_near(case.label > 0)) | ((case.label > 0) & (case.label != IGNORED) & ~_near(seen))
            components, count = ndimage.label(wrong, structure=CONNECTIVITY)
            voxels = np.argwhere(components)
            if not count:
                continue
            sizes = np.bincount(components[tuple(voxels.T)])
            chance = 1 / np.sqrt(sizes[components[tuple(voxels.T)]])  # a component's weight is the root of its size
            chosen = rng.choice(len(voxels), min(HARD_SITES, len(voxels)), replace=False, p=chance / chance.sum())
            found += [(int(index), *map(int, voxels[k])) for k in np.sort(chosen)]  # type: ignore[misc]
        return found


def _near(mask: Array) -> Array:
    """Dilate ``mask`` by ``NEAR_VOXELS`` within the slice and by one slice."""
    return np.asarray(ndimage.maximum_filter(mask, size=(3, 2 * NEAR_VOXELS + 1, 2 * NEAR_VOXELS + 1)))
