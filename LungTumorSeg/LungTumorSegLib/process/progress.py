"""From the progress of single stages to that of a whole command: the true share that is done, and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from ..core.events import Progress

STAGE_SHARES = {
    "reading": 0.12,
    "model": 0.03,
    "isolation": 0.11,
    "predicting": 0.49,
    "measuring": 0.06,
    "writing": 0.19,
}
"""Share of each stage in a run's time, measured on one core in bfloat16 with the default model (26 s for LIDC-IDRI-0001 with picture and
report); on others the end comes earlier or later, but the share that is done never goes back."""

PHANTOM_SHARE = 0.3
"""Share of making the phantom in the demo's time."""

COMMAND_SHARES: Mapping[str, Mapping[str, float]] = {
    "segment": STAGE_SHARES,
    "isolate": {"reading": 0.25, "isolation": 0.6, "writing": 0.15},
    "measure": {"reading": 0.3, "isolation": 0.2, "measuring": 0.2, "writing": 0.3},
    "evaluate": {"comparing": 1.0},
    "phantom": {"phantom": 0.85, "writing": 0.15},
    "demo": {"phantom": PHANTOM_SHARE, **{name: (1 - PHANTOM_SHARE) * share for name, share in STAGE_SHARES.items()}},
    "models": {},
    "train": {
        "preparing cases": 0.1,
        "training extractor": 0.2,
        "training network": 0.65,
        "evaluating held-out cases": 0.05,
    },
}
"""Command to the shares of its stages, in the order in which they come."""

STAGES_IN_WORDS = {
    "reading": "Reading the CT",
    "model": "Loading the network",
    "isolation": "Finding the lungs",
    "predicting": "Looking for tumors",
    "measuring": "Measuring",
    "writing": "Writing the results",
    "comparing": "Comparing",
    "phantom": "Making the synthetic CT",
}

LEAST_SHARE = 0.05
"""Done before a remaining time is told: before it says nothing."""


class RunProgress:
    """What is done of a command whose stages report their own steps.

    ``shares``: from the name of each stage, in their order, to its share in the time; ``segment``'s where none are given.
    """

    def __init__(self, shares: Mapping[str, float] = STAGE_SHARES, clock: Callable[[], float] = time.monotonic) -> None:
        self._shares, self._whole = shares, sum(shares.values()) or 1.0
        self._clock = clock
        self._began = clock()
        self._share = 0.0
        self.stage = ""

    def update(self, step: Progress) -> None:
        """Take a step into account. A stage that is not known moves nothing."""
        self.stage = step.stage
        if step.stage in self._shares:
            stages = list(self._shares)
            before = sum(self._shares[stage] for stage in stages[: stages.index(step.stage)])
            within = step.done / step.total if step.total else 1.0
            self._share = max(self._share, (before + self._shares[step.stage] * within) / self._whole)

    @property
    def percent(self) -> int:
        """0 to 100."""
        return int(100 * self._share + 1e-9)  # sums of shares fall short of 1 by a rounding error

    @property
    def seconds_left(self) -> float | None:
        """None while too little is done to tell."""
        if self._share < LEAST_SHARE:
            return None
        return (self._clock() - self._began) * (1 - self._share) / self._share


def stage_in_words(stage: str) -> str:
    """What a person reads for a stage's name."""
    return STAGES_IN_WORDS.get(stage, f"{stage[:1].upper()}{stage[1:]}")


def time_in_words(seconds: float) -> str:
    """Return "2 min left" or "40 s left"."""
    return f"{round(seconds / 60)} min left" if seconds >= 90 else f"{max(1, round(seconds))} s left"
