"""Learning rates, and how far a training is."""

import math

import pytest
from LungTumorSegLib.training.config import StageConfig
from LungTumorSegLib.training.schedules import DECAY_PER_STEP, PLATEAU_LOWEST, Length, Plateau, learning_rate

RATE = 0.004


def rate(schedule, step, *, fraction=0.0, reductions=0, warmup=1):
    stage = StageConfig(steps=1000, epoch_steps=100, learning_rate=RATE, schedule=schedule, warmup_steps=warmup)
    return learning_rate(stage, step=step, fraction=fraction, reductions=reductions)


@pytest.mark.parametrize(("limit", "fraction", "left"), [(0.0, 0.25, 90.0), (1.0, 0.5, 30.0), (4.0, 0.25, 90.0)])
def test_a_training_ends_with_its_steps_or_its_minutes_whichever_come_first(limit, fraction, left):
    length = Length(steps=20, max_minutes=limit)
    assert length.fraction(5, 30.0) == fraction
    assert length.seconds_left(5, 30.0) == left
    assert length.seconds_left(0, 0.0) == 0.0
    assert length.done(5, 30.0) == 20 * fraction
    assert length.done(5, 600.0) == (20 if limit else 5)


@pytest.mark.parametrize("schedule", ["cosine", "plateau", "falling", "constant"])
def test_the_rate_rises_to_its_value_in_the_warm_up(schedule):
    assert [rate(schedule, step, warmup=4) for step in range(4)] == pytest.approx(
        [RATE / 4, RATE / 2, RATE * 3 / 4, RATE]
    )
    assert rate(schedule, 0, warmup=0) == pytest.approx(RATE)


def test_the_cosine_ends_at_nothing():
    assert [rate("cosine", 500, fraction=f) for f in (0, 0.5, 1, 1.2)] == pytest.approx([RATE, RATE / 2, 0, 0])
    assert rate("cosine", 500, fraction=0.25) == pytest.approx(RATE * (1 + math.sqrt(0.5)) / 2)


def test_a_plateau_halves_the_rate_and_time_lowers_it_a_little():
    assert rate("plateau", 0, reductions=3) == pytest.approx(RATE / 8)
    assert rate("plateau", 1_000_000) == pytest.approx(RATE / (1 + 1_000_000 * DECAY_PER_STEP))
    assert rate("plateau", 0, reductions=99) == PLATEAU_LOWEST


def test_the_falling_rate_falls_four_times_an_epoch():
    assert [rate("falling", step) / RATE for step in (24, 25, 50, 99, 100)] == pytest.approx(
        [1, 0.9, 0.81, 0.9**3, 0.9**4]
    )


def test_a_constant_rate_stays():
    assert rate("constant", 999, fraction=0.99, reductions=5) == RATE


def test_three_epochs_without_a_lower_loss_are_a_plateau():
    plateau = Plateau()
    seen = []
    for loss in (1.0, 0.9, 0.95, 0.9, 0.8, 0.81, 0.8, 0.85, 0.9, 0.9, 0.79):
        plateau.see(loss)
        seen.append(plateau.reductions)
    assert seen == [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]
    assert (plateau.lowest, plateau.epochs) == (0.79, 0)
