"""Combine the progress of single stages into that of a whole command: the share that is done, and the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from ..core.events import Progress

STAGE_SHARES = {
    "reading": 0.12,
    "model": 0.03,
    "isolation": 0.11,
    "predicting": 0.44,
    "verifying": 0.05,
    "measuring": 0.06,
    "writing": 0.19,
}
"""Share of each stage in the time of a run.

The shares were measured on one core in bfloat16 with the default model (26 s for LIDC-IDRI-0001 with picture and
report). On other machines the time left is less exact, but the share that is done never decreases.
"""

PHANTOM_SHARE = 0.3
"""Share of the demo's time that making the phantom takes."""

COMMAND_SHARES: Mapping[str, Mapping[str, float]] = {
    "segment": STAGE_SHARES,
    "answer": {"reading": 0.3, "isolation": 0.6, "verifying": 0.1},
    "batch": {"segmenting": 1.0},
    "isolate": {"reading": 0.25, "isolation": 0.6, "writing": 0.15},
    "measure": {"reading": 0.3, "isolation": 0.2, "measuring": 0.2, "writing": 0.3},
    "compare": {"reading": 0.35, "registering": 0.45, "matching": 0.1, "writing": 0.1},
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
    "bench": {"preparing cases": 0.1, "benchmarking": 0.9},
}
"""Shares of the stages of each command, in the order of the stages."""

STAGES_IN_WORDS = {
    "reading": "Reading the CT",
    "model": "Loading the network",
    "isolation": "Finding the lungs",
    "predicting": "Looking for tumors",
    "verifying": "Verifying the candidates",
    "measuring": "Measuring",
    "writing": "Writing the results",
    "segmenting": "Segmenting CTs",
    "comparing": "Comparing",
    "registering": "Aligning the lungs",
    "matching": "Matching the lesions",
    "phantom": "Generating the synthetic CT",
}

LEAST_SHARE = 0.05
"""Share that must be done before a remaining time is shown; an earlier estimate is meaningless."""


class RunProgress:
    """The progress of a command whose stages report their own steps.

    Attributes:
        stage: Name of the current stage; "" before the first step.
    """

    def __init__(self, shares: Mapping[str, float] = STAGE_SHARES, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the clock.

        Args:
            shares: Share of each stage in the time of the command, in the order of the stages; by default those of
                ``segment``.
            clock: Returns the time in seconds.
        """
        self._shares, self._whole = shares, sum(shares.values()) or 1.0
        self._clock = clock
        self._began = clock()
        self._share = 0.0
        self.stage = ""

    def update(self, step: Progress) -> None:
        """Record a step; an unknown stage does not change the percentage."""
        self.stage = step.stage
        if step.stage in self._shares:
            stages = list(self._shares)
            before = sum(self._shares[stage] for stage in stages[: stages.index(step.stage)])
            within = step.done / step.total if step.total else 1.0
            self._share = max(self._share, (before + self._shares[step.stage] * within) / self._whole)

    @property
    def percent(self) -> int:
        """Return the share that is done, from 0 to 100."""
        return int(100 * self._share + 1e-9)  # sums of shares can be slightly below 1 because of rounding

    @property
    def seconds_left(self) -> float | None:
        """Return the estimated time left in seconds; None while too little is done for an estimate."""
        if self._share < LEAST_SHARE:
            return None
        return (self._clock() - self._began) * (1 - self._share) / self._share


def stage_in_words(stage: str) -> str:
    """Return a stage's name for display."""
    return STAGES_IN_WORDS.get(stage, f"{stage[:1].upper()}{stage[1:]}")


def time_in_words(seconds: float) -> str:
    """Return the time left in words, such as "2 min left" or "40 s left"."""
    return f"{round(seconds / 60)} min left" if seconds >= 90 else f"{max(1, round(seconds))} s left"
