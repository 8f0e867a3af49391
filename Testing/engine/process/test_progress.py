"""The share of a run that is done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from LungTumorSegLib.core.events import Progress
from LungTumorSegLib.process.progress import COMMAND_SHARES, FIRST_STEPS, STAGE_SHARES, RunProgress, time_in_words

DATA = Path(__file__).resolve().parents[2] / "data"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_shares_are_a_whole():
    assert sum(STAGE_SHARES.values()) == pytest.approx(1.0)


def test_steps_within_a_stage_count_by_its_share():
    progress = RunProgress()
    progress.update(Progress("reading", 1, 1))
    before = progress.percent
    progress.update(Progress("predicting", 1, 2))
    expected = (
        STAGE_SHARES["reading"] + STAGE_SHARES["model"] + STAGE_SHARES["isolation"] + STAGE_SHARES["predicting"] / 2
    )
    assert before == int(100 * STAGE_SHARES["reading"])
    assert progress.percent == int(100 * expected)
    assert progress.stage == "predicting"


def test_the_last_step_is_the_whole():
    progress = RunProgress()
    progress.update(Progress(list(STAGE_SHARES)[-1], 4, 4))
    assert progress.percent == 100


def test_a_stage_that_nobody_knows_moves_nothing_but_is_named():
    progress = RunProgress()
    progress.update(Progress("predicting", 1, 2))
    before = progress.percent
    progress.update(Progress("dreaming", 1, 2))
    assert (progress.percent, progress.stage) == (before, "dreaming")


def test_what_is_done_never_goes_back():
    progress = RunProgress()
    progress.update(Progress("predicting", 1, 2))
    before = progress.percent
    progress.update(Progress("reading", 0, 1))
    assert progress.percent == before


def test_a_stage_without_steps_is_done():
    progress = RunProgress()
    progress.update(Progress("predicting", 0, 0))
    done = STAGE_SHARES["reading"] + STAGE_SHARES["model"] + STAGE_SHARES["isolation"] + STAGE_SHARES["predicting"]
    assert progress.percent == pytest.approx(100 * done, abs=1)


def test_the_time_left_follows_from_the_time_taken():
    clock = Clock()
    progress = RunProgress(clock=clock)
    assert progress.seconds_left is None
    progress.update(Progress("isolation", 0, 1))
    clock.now += 23.0
    progress.update(Progress("isolation", 1, 1))
    taken = STAGE_SHARES["isolation"]  # reading and loading the model have a speed of their own
    left = 1 - taken - STAGE_SHARES["reading"] - STAGE_SHARES["model"]
    assert progress.seconds_left == pytest.approx(23.0 * left / taken)
    clock.now += 5.0
    assert progress.seconds_left == pytest.approx(23.0 * left / taken - 5.0), "it counts down between the steps"


def test_the_phases_of_a_4d_ct_are_the_whole_run():
    clock = Clock()
    progress = RunProgress(COMMAND_SHARES["segment"], clock)
    progress.update(Progress("reading", 0, 1))
    clock.now += 7.0
    progress.update(Progress("segmenting", 0, 1000))
    assert (progress.percent, progress.seconds_left) == (0, None)
    clock.now += 20.0
    progress.update(Progress("segmenting", 250, 1000))
    assert progress.percent == 25
    assert progress.seconds_left == pytest.approx(60.0)


@pytest.mark.parametrize("command", COMMAND_SHARES)
def test_the_last_step_of_each_command_is_the_whole_and_no_stage_starts_again_at_zero(command):
    progress, percents = RunProgress(COMMAND_SHARES[command]), []
    for stage in COMMAND_SHARES[command]:
        for done in range(4):
            progress.update(Progress(stage, done, 3))
            percents.append(progress.percent)
    assert percents == sorted(percents)
    assert percents[-1:] == [100] or not COMMAND_SHARES[command]


@pytest.mark.parametrize(("seconds", "words"), [(0.2, "1 s left"), (89, "89 s left"), (150, "2 min left")])
def test_the_time_left_is_said_in_seconds_or_minutes(seconds, words):
    assert time_in_words(seconds) == words


STAGES = ("reading", "model", "isolation", "predicting", "verifying", "measuring", "writing")

RUNS = {
    "396 x 288 x 61": (0.2, 4.3, 1.2, 41.3, 3.3, 0.1, 3.3, 60),
    "419 x 419 x 140": (0.8, 4.4, 4.7, 25.4, 8.9, 0.5, 4.3, 106),
    "512 x 512 x 300": (1.2, 4.1, 6.8, 61.9, 14.0, 2.7, 6.3, 164),
    "512 x 512 x 300, every stack": (1.2, 4.1, 6.8, 215.0, 14.0, 2.7, 6.3, 340),
    "512 x 512 x 300, two cores": (1.7, 2.5, 4.2, 28.6, 9.3, 2.3, 5.2, 164),
    "419 x 419 x 140, OpenVINO": (0.8, 4.4, 4.7, 31.0, 8.9, 0.5, 4.3, 106),
    "419 x 419 x 140, graphics card": (0.8, 4.4, 4.7, 4.0, 8.9, 0.5, 4.3, 106),
    "419 x 419 x 140, bfloat16": (0.8, 4.4, 4.7, 8.0, 8.9, 0.5, 4.3, 106),
}
"""Seconds of each stage of runs, and the number of stacks; the first stack takes as long as three.

The first three are processor seconds of the shipped model on one core of an AMD EPYC, in float32 and with report (30
November 2026, beside other work). That on two cores is in seconds, on an idle machine. The others are made from the
first three with another time of the network.
"""

RECORDED = json.loads((DATA / "progress" / "recorded_runs.json").read_text(encoding="utf-8"))
"""Each step of runs of five CTs: stage, done, total, and processor seconds until the next step.

The last one had no part in the choice of the constants.
"""

LARGEST_ERROR = {"512 x 512 x 300, two cores": 0.4}
"""Largest relative error of a run; that of others is a third.

On an idle machine, loading torch takes less time beside that of pictures and candidates than on a busy one.
"""


def estimates(*seconds_and_stacks: float) -> list[tuple[str, float, float, float | None]]:
    """Return stage, share of the time that has passed, true time left and estimate at each step of a run."""
    *seconds, stacks = seconds_and_stacks
    clock, whole, found = Clock(), sum(seconds), []
    progress = RunProgress(clock=clock)

    def tell(stage: str, done: int, total: int) -> None:
        progress.update(Progress(stage, done, total))
        passed = clock.now - Clock.now
        found.append((stage, passed / whole, whole - passed, progress.seconds_left))

    for stage, time in zip(STAGES, seconds, strict=True):
        steps = {"predicting": int(stacks), "isolation": 8, "writing": 5}.get(stage, 1)
        tell(stage, 0, steps)
        for step in range(steps):
            slow_start = stage == "predicting"
            clock.now += time * ((3 if step == 0 else 1) / (steps + 2) if slow_start else 1 / steps)
            tell(stage, step + 1, steps)
    return found


@pytest.mark.parametrize("name", RUNS)
def test_the_time_left_is_right_to_a_third_from_20_percent_on(name):
    steps, error = 0, LARGEST_ERROR.get(name, 1 / 3)
    for stage, passed, left, estimate in estimates(*RUNS[name]):
        steps += stage == "predicting"
        if passed >= 0.2 and steps > 1 + FIRST_STEPS:  # until then, the network counts as that of most computers
            assert estimate == pytest.approx(left, rel=error, abs=2.0), (stage, passed)


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_no_estimate_is_negative_and_the_last_is_zero(run):
    *_, (_, _, _, last) = found = estimates(*run)
    assert all(estimate is None or estimate >= 0 for _, _, _, estimate in found)
    assert last == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("name", RECORDED)
def test_the_time_left_of_a_recorded_run_is_right_to_a_third_from_20_percent_on(name):
    run = RECORDED[name]
    clock, whole = Clock(), sum(seconds for *_, seconds in run)
    progress, percents, steps = RunProgress(clock=clock), [], 0
    for stage, done, total, seconds in run:
        progress.update(Progress(stage, done, total))
        passed, steps = clock.now - Clock.now, steps + (stage == "predicting")
        if passed >= 0.2 * whole and steps > 1 + FIRST_STEPS:
            assert progress.seconds_left == pytest.approx(whole - passed, rel=1 / 3, abs=1.0), (stage, done)
        percents.append(progress.percent)
        clock.now += seconds
    assert percents == sorted(percents)
    assert progress.percent == 100


MEASURED = {
    "396 x 288 x 61": (1.16, 0.20, 0.49, 0.03, 4.03),
    "419 x 419 x 140": (1.22, 0.55, 2.25, 1.41, 4.23),
    "512 x 512 x 300": (1.09, 1.09, 2.18, 2.46, 6.11),
}
"""Processor seconds of ``measure`` on results of these CTs: packages, CT, segmentation, measuring, writing.

Most of writing is spent on the 3D pictures of the report, whose time hardly grows with the CT.
"""


@pytest.mark.parametrize("seconds", MEASURED.values(), ids=MEASURED)
def test_measure_tells_the_time_of_its_report(seconds):
    clock, whole = Clock(), sum(seconds)
    progress = RunProgress(COMMAND_SHARES["measure"], clock)
    steps = (("packages", 0, 1), ("reading", 0, 1), ("reading", 1, 2), ("measuring", 0, 1), ("writing", 0, 1))
    for (stage, done, total), spent in zip(steps, seconds, strict=True):
        if stage == "reading" and not done:
            progress.update(Progress("packages", 1, 1))
        progress.update(Progress(stage, done, total))
        if stage in ("measuring", "writing"):
            left = whole - (clock.now - Clock.now)
            assert progress.seconds_left == pytest.approx(left, rel=1 / 3), stage
        clock.now += spent


def test_preparing_a_stage_counts_for_that_stage():
    estimates = []
    for pause in (0.0, 10.0):
        clock = Clock()
        progress = RunProgress(clock=clock)
        for stage, seconds in (("reading", 1.0), ("isolation", 2.0)):
            clock.now += seconds
            progress.update(Progress(stage, 1, 1))
        clock.now += pause
        progress.update(Progress("predicting", 0, 1))
        estimates.append(progress.seconds_left)
    assert estimates[0] == pytest.approx(estimates[1])


def a_training(preparing: float, *stages: tuple[str, int, float], resumed: int = 0):
    """Yield the progress of a training, and the true time left, at each step.

    Args:
        preparing: Seconds in which 4 cases are prepared.
        stages: Further stages, with the number of their steps and the seconds of each step.
        resumed: Number of steps that an earlier run made of the first of them.
    """
    clock = Clock()
    progress = RunProgress(COMMAND_SHARES["train"], clock)
    left = preparing + sum((count - (0 if n else resumed)) * each for n, (_, count, each) in enumerate(stages))
    for done in range(5):
        progress.update(Progress("preparing cases", done, 4))
        yield progress, left
        clock.now, left = clock.now + (preparing / 4 if done < 4 else 0), left - (preparing / 4 if done < 4 else 0)
    for number, (stage, count, each) in enumerate(stages):
        for done in range(1 + (0 if number else resumed), count + 1):
            clock.now, left = clock.now + each, left - each
            progress.update(Progress(stage, done, count))
            yield progress, left


def test_the_time_of_cases_says_nothing_of_the_time_of_their_training():
    for preparing in (8.0, 800.0):
        said = [progress.left_in_words for progress, _ in a_training(preparing)]
        shown = ["", *(f"{time_in_words(preparing * (4 - done) / 4)} in this stage" for done in (1, 2, 3)), ""]
        assert said == shown


@pytest.mark.parametrize("preparing", [0.0, 8.0, 800.0])
@pytest.mark.parametrize("resumed", [0, 90])
def test_the_time_left_of_a_training_follows_from_its_steps(preparing, resumed):
    training, evaluating = ("training network", 100, 2.0), ("evaluating held-out cases", 4, 3.0)
    steps = [
        (progress.stage, progress.seconds_left, left)
        for progress, left in a_training(preparing, training, evaluating, resumed=resumed)
    ]
    for stage, estimate, left in steps[12:]:
        if stage == "training network":
            assert estimate == pytest.approx(left, rel=1 / 3, abs=15.0)


def test_a_quick_extractor_says_little_of_the_network_after_it():
    stages = ("training extractor", 100, 0.05), ("training network", 100, 2.0)
    estimates = [(progress.seconds_left, left) for progress, left in a_training(8.0, *stages)]
    for estimate, left in estimates[130:]:
        assert estimate == pytest.approx(left, rel=1 / 3, abs=10.0)


def test_the_time_left_of_a_long_training_stays_right_when_nothing_else_was_measured():
    clock = Clock()
    progress = RunProgress(COMMAND_SHARES["train"], clock)
    progress.update(Progress("preparing cases", 4, 4))
    clock.now += 30.0
    for done in range(1, 2001):
        clock.now += 2.0
        progress.update(Progress("training network", done, 2000))
        if done > 200 and progress.seconds_left is not None:
            assert progress.seconds_left == pytest.approx(2.0 * (2000 - done) + 340, rel=1 / 10)  # 340 for evaluating
