"""The share of a run that is done."""

from __future__ import annotations

import pytest
from LungTumorSegLib.core.events import Progress
from LungTumorSegLib.process.progress import COMMAND_SHARES, STAGE_SHARES, RunProgress, time_in_words


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
    progress.update(Progress("isolation", 1, 1))
    clock.now += 23.0
    share = STAGE_SHARES["reading"] + STAGE_SHARES["model"] + STAGE_SHARES["isolation"]
    assert progress.seconds_left == pytest.approx(23.0 * (1 - share) / share)


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
