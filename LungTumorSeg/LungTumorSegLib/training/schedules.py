"""How far a training is, and its learning rates; every schedule begins with the stage's linear warm-up."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .config import StageConfig

DECAY_PER_STEP = 1.99e-7
"""Keras's time-based decay of Adam in the published training scripts (Najeeb & Bhuiyan 2022)."""

PLATEAU_EPOCHS, PLATEAU_FACTOR, PLATEAU_LOWEST = 3, 0.5, 1e-8
"""Epochs without a lower loss, factor and lowest rate of ReduceLROnPlateau in the same scripts.

Here the mean loss of an epoch is watched, whose samples are new in every epoch.
"""

FALLS_PER_EPOCH, FALL_FACTOR = 4, 0.9
"""Falls of TS-FCN's rate per epoch, and the factor of each (Ray, Stanford CS231N 2016, section 3.2)."""


@dataclass
class Plateau:
    """Counts epochs without a lower loss, and how often they have reduced the rate.

    Attributes:
        lowest: Lowest mean loss of an epoch so far.
        epochs: Epochs since then, or since the last reduction.
        reductions: Number of reductions.
    """

    lowest: float | None = None
    epochs: int = 0
    reductions: int = 0

    def see(self, loss: float) -> None:
        """Take the mean loss of an epoch into account."""
        if self.lowest is None or loss < self.lowest:
            self.lowest, self.epochs = loss, 0
            return
        self.epochs += 1
        if self.epochs >= PLATEAU_EPOCHS:
            self.epochs, self.reductions = 0, self.reductions + 1


@dataclass(frozen=True)
class Length:
    """How long a training takes: a number of steps, or the wall-clock limit if that is reached earlier.

    Attributes:
        steps: Number of steps.
        max_minutes: Wall-clock limit, minutes; 0 is no limit.
    """

    steps: int
    max_minutes: float = 0.0

    def fraction(self, step: int, seconds: float) -> float:
        """Return the finished share of the training; the training is over at 1 or more.

        Args:
            step: Number of finished steps.
            seconds: Time spent, seconds.
        """
        steps = step / self.steps
        return max(steps, seconds / 60 / self.max_minutes) if self.max_minutes else steps

    def done(self, step: int, seconds: float) -> int:
        """Return the finished share in steps, which a wall-clock limit makes more than those that were taken."""
        return min(self.steps, round(self.fraction(step, seconds) * self.steps))

    def seconds_left(self, step: int, seconds: float) -> float:
        """Return the expected time to the end, seconds; the arguments are those of ``fraction``."""
        fraction = self.fraction(step, seconds)
        return seconds * (1 - fraction) / max(fraction, 1e-9)


def learning_rate(stage: StageConfig, *, step: int, fraction: float, reductions: int) -> float:
    """Return the learning rate of a step.

    Args:
        stage: Supplies the schedule and its settings.
        step: Number of the step, counted from 0.
        fraction: Finished share of the training.
        reductions: How often the ``plateau`` schedule has reduced the rate.

    Returns:
        The learning rate.
    """
    rate = warmed_up(stage.learning_rate, step, stage.warmup_steps)
    if stage.schedule == "cosine":
        return cosine(rate, fraction)
    if stage.schedule == "plateau":
        return max(PLATEAU_LOWEST, rate * PLATEAU_FACTOR**reductions / (1 + DECAY_PER_STEP * step))
    if stage.schedule == "falling":
        return rate * float(FALL_FACTOR ** (FALLS_PER_EPOCH * step // stage.epoch_steps))
    return rate


def warmed_up(rate: float, step: int, warmup_steps: int) -> float:
    """Return the rate of step ``step`` (from 0) if it rises linearly during the first ``warmup_steps`` steps."""
    return rate * min(1.0, (step + 1) / max(1, warmup_steps))


def cosine(rate: float, fraction: float) -> float:
    """Return ``rate`` lowered to 0 along half a cosine; ``fraction`` is the finished share of the training."""
    return rate * 0.5 * (1 + math.cos(math.pi * min(1.0, fraction)))
