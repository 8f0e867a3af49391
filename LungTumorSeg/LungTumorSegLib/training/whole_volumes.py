"""Predictions of whole volumes in training: they are scored, and searched for hard sites."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..core.volume import Probability, as_shape
from ..inference.decision import decide_on_working_grid
from ..inference.predictor import predict_maps
from ..inference.stack_length import STACK_SLICES
from ..options import Thresholds
from .checkpoint_score import CheckpointScore, checkpoint_score
from .config import GridConfig
from .mining import hard_voxels
from .places import Site
from .store import StoredCase


class WholeVolumes:
    """Predictions of a network in training over stored cases."""

    def __init__(self, grid: GridConfig, device: torch.device, precision: str, *, stride: int = STACK_SLICES) -> None:
        self._grid, self._device, self._precision, self._stride = grid, device, precision, stride

    def probability(self, network: torch.nn.Module, case: StoredCase) -> Probability:
        """Return the tumor probability (slice, row, column) on the case's grid."""
        grid = case.working_grid(self._grid.window_hu)
        return predict_maps(grid, network, stride=self._stride, device=self._device, precision=self._precision).mean

    def score(self, network: torch.nn.Module, cases: Sequence[StoredCase], thresholds: Thresholds) -> CheckpointScore:
        """Return the score of ``network`` over ``cases``, with slice threshold and voxel threshold."""
        found = ((decide_on_working_grid(self.probability(network, case), thresholds), case.label) for case in cases)
        return checkpoint_score(found, float(np.prod(self._grid.spacing_mm)) / 1000)

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
            At most ``mining.HARD_SITES`` sites per searched case.
        """
        rng = np.random.default_rng(seed)
        found: list[Site] = []
        for index in which:
            voxels = hard_voxels(self.probability(network, cases[index]), cases[index].label, rng)
            found += [(index, *as_shape(voxel)) for voxel in voxels]
        return found
