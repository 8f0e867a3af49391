"""One training loop: when it mines, chooses, freezes and ends, and what its checkpoints and its log say."""

import json
import math
from dataclasses import asdict, replace

import pytest
import torch
from LungTumorSegLib.core.events import ignore_progress
from LungTumorSegLib.networks import build_network
from LungTumorSegLib.training import loop
from LungTumorSegLib.training.checkpoint_score import CheckpointScore
from LungTumorSegLib.training.config import StageConfig
from LungTumorSegLib.training.loop import LoopState, TrainingLoop
from LungTumorSegLib.training.normalization import trainable_norms
from LungTumorSegLib.training.optimization import Optimization
from LungTumorSegLib.training.preparation import PreparedData
from LungTumorSegLib.training.schedules import Plateau
from training_cases import TOY, a_stored_case, log_rows

STAGE = StageConfig(
    steps=3, epoch_steps=1, batch=1, warmup_steps=0, schedule="constant", mined_cases=0, selection_after=1.0
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Five cases, of which 1 and 3 are phantoms, and one held out."""
    folder = tmp_path_factory.mktemp("cases")
    training = [a_stored_case(folder / f"{i}", f"{i}", is_phantom=i in (1, 3), seed=i) for i in range(5)]
    return PreparedData(training, [a_stored_case(folder / "held-out", "held out")], [])


class Watched:
    """Stands for whole volumes: notes when it is asked; a mined site is (case, step, 0, 0), and scores are given."""

    def __init__(self, scores=()):
        self.mined, self.means, self._scores = {}, [], iter(scores)

    def mine(self, network, cases, which, seed):
        self.mined[seed] = list(which)
        return [(index, seed, 0, 0) for index in which]

    def score(self, network, cases, thresholds):
        self.means.append(trainable_norms(network)[0].running_mean.clone())
        return next(self._scores, CheckpointScore(0.0, 0.0))


class Untouched:
    """Stands for whole volumes that must be neither mined nor scored."""

    def mine(self, *_):
        pytest.fail("mined")

    def score(self, *_):
        pytest.fail("scored")


@pytest.fixture
def new_loop(data, tmp_path, monkeypatch):
    """``new_loop(network="multires_unet3d", volumes=..., **stage settings)``: a loop of seconds."""
    monkeypatch.setattr(loop, "RECALIBRATION_BATCHES", 1)
    monkeypatch.setattr(loop, "LOG_STEPS", 1)
    config = replace(TOY, output=str(tmp_path))

    def make(network="multires_unet3d", *, volumes=None, held_out=True, **settings):
        stage, shown = replace(STAGE, **settings), data if held_out else replace(data, held_out=[])
        return TrainingLoop(
            "network",
            2,
            a_network(network) if isinstance(network, str) else network,
            stage,
            config=config,
            data=shown,
            volumes=volumes or Watched(),
            device=torch.device("cpu"),
            precision="float32",
        )

    return make


def a_network(name="multires_unet3d"):
    torch.manual_seed(0)
    return build_network(name, 4)


def state_in(folder):
    """Return the state in the last checkpoint of a training."""
    resumed = Optimization(a_network(), STAGE, device=torch.device("cpu"), precision="float32")
    return LoopState.restore(resumed.resume(folder / "network-last.safetensors"))


@pytest.mark.parametrize("name", ["multires_unet3d", "multires_unet2d", "sff_multires_unet3d"])
def test_an_untrained_network_answers_the_prior(name):
    torch.manual_seed(0)
    network = build_network(name, 4).eval()
    shape = (1, 1, 16, 16) if network.dims == 2 else (1, 1, 8, 16, 16)
    network.set_prior(0.01)
    with torch.no_grad():
        logits = network.logits(torch.full(shape, 0.3))
    assert float(logits.mean()) == pytest.approx(math.log(0.01 / 0.99), abs=1.5)  # 0 without it


# Between epochs


def test_a_case_mined_again_forgets_its_old_mistakes_and_others_keep_theirs(new_loop, tmp_path):
    volumes = Watched()
    new_loop(steps=6, volumes=volumes, mined_cases=2, mine_after=0.0).run(ignore_progress)
    latest = {index: step for step, which in volumes.mined.items() for index in which}
    assert len({tuple(which) for which in volumes.mined.values()}) > 1, "other cases each time"
    assert sorted(state_in(tmp_path).hard_sites) == sorted((index, step, 0, 0) for index, step in latest.items())


def test_mining_begins_after_its_share_and_not_after_the_last_step(new_loop):
    volumes = Watched()
    new_loop(steps=5, volumes=volumes, mined_cases=1, mine_after=0.4).run(ignore_progress)
    assert list(volumes.mined) == [2, 3, 4]


def test_scoring_begins_after_its_share_and_always_sees_the_last_weights(new_loop, tmp_path):
    new_loop(steps=5, epoch_steps=2, selection_after=0.8).run(ignore_progress)
    assert [row["step"] for row in log_rows(tmp_path) if row["score"]] == ["4", "5"]


def test_without_held_out_cases_the_last_weights_are_the_result(new_loop, tmp_path):
    trained = new_loop(held_out=False, volumes=Untouched(), selection_after=0.0).run(ignore_progress)
    assert not (tmp_path / "network-best.safetensors").exists()
    assert not any(module.training for module in trained.modules())


def test_a_2d_network_is_neither_mined_with_nor_selected(new_loop, tmp_path):
    volumes = Untouched()
    new_loop("multires_unet2d", volumes=volumes, mined_cases=2, mine_after=0.0, selection_after=0.0).run(
        ignore_progress
    )
    assert log_rows(tmp_path)[-1]["step"] == "3"


def test_frozen_statistics_stay_as_they_were_and_are_recalibrated_before(new_loop):
    volumes = Watched()
    new_loop(steps=4, volumes=volumes, freeze_norm_at=0.5, selection_after=0.0).run(ignore_progress)
    means = volumes.means
    assert not torch.equal(means[0], means[1])
    assert torch.equal(means[1], means[2])
    assert torch.equal(means[1], means[3])


def test_statistics_frozen_from_the_start_are_those_that_the_network_came_with(new_loop):
    network = a_network()
    norm = trainable_norms(network)[0]
    before = norm.running_mean.clone(), norm.running_var.clone()
    weight = norm.weight.detach().clone() if norm.weight is not None else None
    new_loop(network, steps=2, freeze_norm_at=0.0).run(ignore_progress)
    assert torch.equal(norm.running_mean, before[0])
    assert torch.equal(norm.running_var, before[1])
    assert weight is None or not torch.equal(norm.weight, weight)


def test_the_first_of_equal_scores_is_kept(new_loop, tmp_path):
    scores = [CheckpointScore(value, 0.0) for value in (0.5, 0.5, 0.4)]
    new_loop(steps=3, volumes=Watched(scores), selection_after=0.0).run(ignore_progress)
    state = state_in(tmp_path)
    assert (state.best, state.best_epoch) == (0.5, 1)


# The end


def test_minutes_end_a_training_between_two_steps(new_loop, monkeypatch, tmp_path):
    training = new_loop(steps=1000, epoch_steps=100, max_minutes=1.0, schedule="cosine", learning_rate=0.01)
    clock = iter(range(0, 10**6, 7))  # each look at the clock is 7 s later
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(clock))
    training.run(ignore_progress)
    state = state_in(tmp_path)
    assert state.finished
    assert state.step < 20
    rates = [float(row["learning_rate"]) for row in log_rows(tmp_path) if row["learning_rate"]]
    assert rates[0] == pytest.approx(0.01, rel=0.05)
    assert rates[-1] < 0.003, "the schedule ends with the minutes"


def test_the_log_says_how_long_it_will_take(new_loop, monkeypatch, tmp_path):
    training = new_loop(steps=4, epoch_steps=4)
    clock = iter(range(0, 10**6, 7))
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(clock))
    training.run(ignore_progress)
    rows = [row for row in log_rows(tmp_path, times=True) if row["loss"]]
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    for step, row in enumerate(rows, start=1):
        seconds = float(row["seconds"])
        assert seconds > 0
        assert float(row["seconds_left"]) == pytest.approx(seconds / step * (4 - step), rel=1e-3)


def test_a_state_comes_back_from_json_as_it_was():
    state = LoopState(
        7, 3.5, 0.25, 2, ((1, 2, 3, 4), (5, 6, 7, 8)), 1.5, 3, Plateau(lowest=0.5, epochs=1, reductions=2), frozen=True
    )
    assert LoopState.restore(json.loads(json.dumps(asdict(state)))) == state
