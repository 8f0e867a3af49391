"""Combine the progress of single stages into that of a whole command: the share that is done, and the time left."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from ..core.events import Progress
from .child import Event

STAGE_SHARES = {
    "reading": 0.022,
    "model": 0.1,
    "isolation": 0.112,
    "predicting": 0.556,
    "verifying": 0.13,
    "measuring": 0.03,
    "writing": 0.05,
}
"""Expected share of each stage in the time of a run, apart from ``FIXED_PARTS``.

These, the fixed parts and ``CANDIDATE`` were fitted to processor seconds on one core, in float32 and with report, of
four CTs of 284 x 284 x 121 to 512 x 512 x 300 voxels. They only count until a stage can be measured in the run itself;
see ``RunProgress``.
"""

FIXED_PARTS = {"model": {"verifying": 0.6, "writing": 0.7}, "packages": {"writing": 3.0}}
"""Time of stages that does not grow with the CT, as a multiple of the time of a stage before them.

It is spent on packages, on candidates, of which there are about forty in most CTs, and on the four 3D pictures. That
stage, which imports torch or other packages, shows how fast the machine is at such work.
"""

CANDIDATE = 0.035
"""Time of one step of the stage "verifying", as a multiple of the time of the stage "model"."""

OWN_SPEED = frozenset({
    "packages", "reading", "model", "predicting", "verifying", "writing", "preparing cases", "drawing samples",
    "training network",
})  # fmt: skip
"""Stages whose time does not follow from that of the other stages.

The time of reading depends on the file format. The time of the network depends on network, library, number format,
device and number of stacks, and the time of loading it on library and device. That of the second look depends on the
number of candidates and spots, and that of writing on the pictures. All other stages take time in proportion to the
voxels of the CT. How long a training takes does not follow from the time of its cases, some of which are in the cache.
"""

LAST_RESORT = frozenset({"reading", "training network"})
"""Stages of ``OWN_SPEED`` from which the time of other stages is estimated as long as nothing better is known."""

OWN_STAGE_FIRST = frozenset({"preparing cases", "drawing samples"})
"""Stages that say how long they take themselves, while that of the whole command is unknown."""

USUAL_WEIGHT = {"verifying": 0.3, "writing": 0.3}
"""How much the usual time of a stage counts beside that of its steps, as a share of all steps.

Candidates differ in size, the largest ones come first, and small spots come last. So do the files and pictures. The
stacks of the network are alike.
"""

FIRST_STEPS = 3
"""Number of steps of the network after which their own time counts.

The first one includes preparations, and two at a time end together where two are computed at the same time.
"""

FIRST_WEIGHT = 0.5
"""Weight, as in ``USUAL_WEIGHT``, of the usual time of the network until then."""

LEAST_SECONDS = 0.1
"""Seconds after which the time of a stage says more than its expected share."""

PHANTOM_SHARE = 0.3
"""Share of the demo's time that making the phantom takes."""

COMMAND_SHARES: Mapping[str, Mapping[str, float]] = {
    "segment": STAGE_SHARES,
    "answer": {"reading": 0.3, "isolation": 0.6, "verifying": 0.1},
    "batch": {"segmenting": 1.0},
    "isolate": {"reading": 0.25, "isolation": 0.6, "writing": 0.15},
    "measure": {"packages": 0.1, "reading": 0.4, "isolation": 0.1, "measuring": 0.25, "writing": 0.15},
    "compare": {"reading": 0.35, "registering": 0.45, "matching": 0.1, "writing": 0.1},
    "evaluate": {"reading": 0.1, "comparing": 0.9},
    "phantom": {"phantom": 0.85, "writing": 0.15},
    "demo": {"phantom": PHANTOM_SHARE, **{name: (1 - PHANTOM_SHARE) * share for name, share in STAGE_SHARES.items()}},
    "models": {},
    "train": {
        "preparing cases": 0.1,
        "drawing samples": 0.05,
        "training extractor": 0.2,
        "training network": 0.6,
        "evaluating held-out cases": 0.05,
    },
    "bench": {"preparing cases": 0.1, "benchmarking": 0.9},
}
"""Shares of the stages of each command, in the order of the stages."""

STAGES_IN_WORDS = {
    "packages": "Loading packages",
    "reading": "Reading the CT",
    "model": "Loading the network",
    "isolation": "Finding the lungs",
    "predicting": "Looking for tumors",
    "verifying": "Looking at the candidates again",
    "measuring": "Measuring",
    "writing": "Writing the results",
    "segmenting": "Segmenting",
    "comparing": "Comparing",
    "registering": "Aligning the lungs",
    "matching": "Matching the lesions",
    "phantom": "Generating the synthetic CT",
}

LEAST_SHARE = 0.05
"""Share that must be done before a remaining time is shown; an earlier estimate is meaningless."""


class RunProgress:
    """The progress of a command whose stages report their own steps.

    At first, the expected shares of the stages count. They are corrected by the times of this run: the seconds that one
    share takes follow from the stages so far, the time of the network from its stacks, and the time of the second look
    from its candidates. The time between the last step of a stage and the next step counts for the next stage: it
    imports packages and prepares data.

    Attributes:
        stage: Name of the current stage; "" before the first step.
    """

    def __init__(self, shares: Mapping[str, float] = STAGE_SHARES, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the clock.

        Args:
            shares: Expected share of each stage in the time of the command, in the order of the stages; by default
                those of ``segment``.
            clock: Returns the time in seconds.
        """
        self._clock = clock
        self._share = 0.0
        self.stage = ""
        self._begin(shares)

    def _begin(self, shares: Mapping[str, float]) -> None:
        self._shares, self._usual = dict(shares), dict(shares)
        self._done = dict.fromkeys(shares, 0.0)
        self._seconds = dict.fromkeys(shares, 0.0)
        self._fixed, self._usual_fixed = dict.fromkeys(shares, 0.0), dict.fromkeys(shares, 0.0)  # seconds
        self._preparing = dict.fromkeys(shares, 0.0)  # seconds until the first step of a stage began
        self._steps: dict[str, list[tuple[int, float]]] = {
            stage: [] for stage in shares
        }  # done, and seconds until then
        self._last = self._clock()

    def update(self, step: Progress) -> None:
        """Record a step; an unknown stage does not change the percentage."""
        if step.stage not in self._shares and step.stage in COMMAND_SHARES["batch"]:
            self._begin(COMMAND_SHARES["batch"])  # the CT is 4D, and each phase is a run of its own
        now = self._clock()
        unfinished = self._done.get(self.stage, 1.0) < 1
        if (spent_on := self.stage if unfinished else step.stage) in self._seconds:
            self._seconds[spent_on] += now - self._last
        self._last = now
        self.stage = step.stage
        if step.stage not in self._shares:
            return
        stages = list(self._shares)
        for earlier in stages[: stages.index(step.stage)]:
            self._done[earlier] = 1.0
        done = step.done / step.total if step.total else 1.0
        self._done[step.stage] = max(self._done[step.stage], done)
        if step.stage in OWN_SPEED:
            self._measure(step)
        if step.stage in FIXED_PARTS and done == 1:
            taken = self._seconds[step.stage]
            self._usual_fixed |= {name: part * taken for name, part in FIXED_PARTS[step.stage].items()}
            self._fixed = dict(self._usual_fixed)
        whole = self._total(dict.fromkeys(self._shares, 1.0)) or 1.0
        self._share = max(self._share, 1 - self._shares_left / whole)

    def _measure(self, step: Progress) -> None:
        """Correct the time of a stage by that of its steps, and what is done of it by the time that it has taken."""
        stage, seconds = step.stage, self._seconds[step.stage]
        unit = self._seconds_per_share(without=stage)
        if step.done:
            self._steps[stage].append((step.done, seconds))
        else:
            self._preparing[stage] = seconds
        if seconds >= LEAST_SECONDS and unit:
            usual = self._usual[stage] * unit + self._usual_fixed[stage]
            if stage == "verifying" and step.total > 1 and self._seconds.get("model"):
                usual = step.total * CANDIDATE * self._seconds["model"]
            left = self._left(step, usual)
            if left is not None:
                self._shares[stage], self._fixed[stage] = (seconds + left) / unit, 0.0
                self._done[stage] = seconds / (seconds + left)
        elif seconds >= LEAST_SECONDS and step.done:  # no other stage says how long a share takes
            left = self._left(step, usual=seconds * step.total / step.done)
            self._done[stage] = seconds / (seconds + (left or 0.0))

    def _left(self, step: Progress, usual: float) -> float | None:
        """Return the seconds that are left of the stage of a step; None if nothing is known but its usual time.

        Args:
            step: The step.
            usual: The usual seconds of all steps of the stage.
        """
        steps, weight = self._steps[step.stage], USUAL_WEIGHT.get(step.stage)
        if step.done >= step.total:
            return 0.0
        done = step.done / step.total
        if weight is not None and len(steps) < 2:
            return (1 - done) * usual
        if not step.done:
            return None
        if weight is None and len(steps) <= FIRST_STEPS:
            first, before, weight = 0, self._preparing[step.stage], FIRST_WEIGHT
        else:
            first, before = steps[0 if weight else 1]
        rate = (self._seconds[step.stage] - before) / max(step.done - first, 1) * step.total
        weight = weight or 0.0
        return (1 - done) * (done * rate + weight * usual) / (done + weight)

    def _seconds_per_share(self, without: str = "") -> float:
        """Return the seconds that a share of 1 takes, by the stages so far; 0 if that is unknown.

        Args:
            without: Stage that does not count. One that corrects its own share by itself would do so at each step.
        """
        done = [stage for stage in self._shares if self._done[stage] and self._seconds[stage]]  # not if skipped
        measured = [stage for stage in done if stage != without]
        known = [stage for stage in measured if stage not in OWN_SPEED]
        known = known or [stage for stage in measured if stage in LAST_RESORT]  # better than no estimate
        shares = sum(self._done[stage] * self._shares[stage] for stage in known)
        seconds = sum(max(0.0, self._seconds[stage] - self._done[stage] * self._fixed[stage]) for stage in known)
        return seconds / shares if shares else 0.0

    @property
    def _shares_left(self) -> float:
        return self._total({stage: 1 - done for stage, done in self._done.items()})

    def _total(self, parts: Mapping[str, float]) -> float:
        """Return the sum of the shares of which a part each is given, with the fixed parts as far as they are known."""
        unit = self._seconds_per_share()
        fixed = sum(part * self._fixed[stage] for stage, part in parts.items()) / unit if unit else 0.0
        return sum(part * self._shares[stage] for stage, part in parts.items()) + fixed

    @property
    def share(self) -> float:
        """Return the share that is done, from 0 to 1."""
        return self._share

    @property
    def percent(self) -> int:
        """Return the share that is done, from 0 to 100."""
        return int(100 * self._share + 1e-9)  # sums of shares can be slightly below 1 because of rounding

    @property
    def seconds_left(self) -> float | None:
        """Return the estimated time left in seconds; None while too little is done for an estimate."""
        unit = self._seconds_per_share()
        if self._share < LEAST_SHARE or not unit:
            return None
        return max(0.0, unit * self._shares_left - (self._clock() - self._last))

    @property
    def stage_seconds_left(self) -> float | None:
        """Return the estimated time left of the current stage in seconds; None before its first step has ended."""
        done, seconds = self._done.get(self.stage, 0.0), self._seconds.get(self.stage, 0.0)
        if not 0 < done < 1 or not seconds:
            return None
        return max(0.0, seconds / done * (1 - done) - (self._clock() - self._last))

    @property
    def left_in_words(self) -> str:
        """Return the time left, of the current stage if that of the whole command is unknown; "" without either."""
        if (left := self.seconds_left) is not None:
            return time_in_words(left)
        left = self.stage_seconds_left if self.stage in OWN_STAGE_FIRST else None
        return "" if left is None else f"{time_in_words(left)} in this stage"


def progress_of(event: Event) -> Progress:
    """Return the content of an event "progress"."""
    return Progress(str(event["stage"]), int(event["done"]), int(event["total"]))


def stage_in_words(stage: str) -> str:
    """Return a stage's name for display."""
    return STAGES_IN_WORDS.get(stage, f"{stage[:1].upper()}{stage[1:]}")


def time_in_words(seconds: float) -> str:
    """Return the time left in words, such as "2 min left" or "40 s left"."""
    return f"{round(seconds / 60)} min left" if seconds >= 90 else f"{max(1, round(seconds))} s left"
