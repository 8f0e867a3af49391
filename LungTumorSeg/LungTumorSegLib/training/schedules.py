"""Learning rates over a training. Every schedule begins with the linear warm-up of the stage."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .config import StageConfig

DECAY_PER_STEP = 1.99e-7
"""Keras's time-based decay of Adam in the published training scripts (Najeeb & Bhuiyan 2022)."""

PLATEAU_EPOCHS, PLATEAU_FACTOR, PLATEAU_LOWEST = 3, 0.5, 1e-8
"""ReduceLROnPlateau of the same scripts; here the mean loss of an epoch is watched, whose samples are new in every epoch."""

FALLS_PER_EPOCH, FALL_FACTOR = 4, 0.9
"""TS-FCN multiplies its rate four times an epoch (Ray, Stanford CS231N 2016, section 3.2)."""


@dataclass
class Plateau:
    """Counts epochs without a lower loss, and how often the rate has been reduced for it."""

    lowest: float | None = None
    epochs: int = 0
    reductions: int = 0

    def see(self, loss: float) -> None:
        """Take in the mean loss of an epoch."""
        if self.lowest is None or loss < self.lowest:
            self.lowest, self.epochs = loss, 0
            return
        self.epochs += 1
        if self.epochs >= PLATEAU_EPOCHS:
            self.epochs, self.reductions = 0, self.reductions + 1


def learning_rate(stage: StageConfig, *, step: int, fraction: float, reductions: int) -> float:
    """The rate of step ``step`` (counted from 0) when ``fraction`` of the training is done and a plateau has come ``reductions`` times."""
    rate = stage.learning_rate * min(1.0, (step + 1) / max(1, stage.warmup_steps))
    if stage.schedule == "cosine":
        return rate * 0.5 * (1 + math.cos(math.pi * min(1.0, fraction)))
    if stage.schedule == "plateau":
        return max(PLATEAU_LOWEST, rate * PLATEAU_FACTOR**reductions / (1 + DECAY_PER_STEP * step))
    if stage.schedule == "falling":
        return rate * float(FALL_FACTOR ** (FALLS_PER_EPOCH * step // stage.epoch_steps))
    return rate
