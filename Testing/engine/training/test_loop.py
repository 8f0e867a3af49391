"""One training loop, step by step: what it shows the network, what it mines, chooses and freezes, when it ends."""

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
from LungTumorSegLib.training.losses import build_loss
from LungTumorSegLib.training.normalization import trainable_norms
from LungTumorSegLib.training.preparation import PreparedData
from LungTumorSegLib.training.schedules import Plateau
from LungTumorSegLib.training.store import IGNORED
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


@pytest.fixture
def new_loop(data, tmp_path, monkeypatch):
    """``new_loop(network="multires_unet3d", **stage settings)``: a loop of seconds."""
    monkeypatch.setattr(loop, "RECALIBRATION_BATCHES", 1)
    monkeypatch.setattr(loop, "LOG_STEPS", 1)
    config = replace(TOY, output=str(tmp_path))

    def make(network="multires_unet3d", *, held_out=True, **settings):
        torch.manual_seed(0)
        stage, shown = replace(STAGE, **settings), data if held_out else replace(data, held_out=[])
        return TrainingLoop(
            "network",
            2,
            build_network(network, 4),
            stage,
            config=config,
            data=shown,
            device=torch.device("cpu"),
            precision="float32",
        )

    return make


# A step


@pytest.mark.parametrize(
    ("network", "shape"), [("multires_unet3d", (2, 1, 8, 16, 24)), ("multires_unet2d", (16, 1, 16, 24))]
)
def test_a_network_sees_stacks_or_their_slices(new_loop, network, shape):
    image, label = torch.rand(2, 8, 16, 24), torch.zeros(2, 8, 16, 24, dtype=torch.uint8)
    label[1, 3, 5, 7], label[0, 2, 4, 6] = 1, IGNORED
    x, target, valid = new_loop(network)._tensors(image, label)
    assert x.shape == target.shape == valid.shape == shape
    assert torch.equal(x.reshape(2, 8, 16, 24), image)
    assert target.reshape(2, 8, 16, 24).nonzero().tolist() == [[1, 3, 5, 7]]
    assert (valid == 0).reshape(2, 8, 16, 24).nonzero().tolist() == [[0, 2, 4, 6]]


def test_ignored_voxels_teach_nothing(new_loop):
    """The same step whether the network is right or wrong where the label does not count."""
    image = torch.rand(1, 8, 16, 16, generator=torch.Generator().manual_seed(1))
    label = torch.zeros(1, 8, 16, 16, dtype=torch.uint8)
    label[:, :, :8, :8], label[:, :, 8:, 8:] = 1, IGNORED
    training = new_loop()
    loss_of = build_loss(training._stage.loss, 0)
    seen = []

    def spy(logits, target, valid):
        loss = loss_of(logits, target, valid)
        (slope,) = torch.autograd.grad(loss, logits, retain_graph=True)
        seen.append(slope[0, 0])
        return loss

    training._step(image, label, 0.0, spy)
    assert (seen[0][:, 8:, 8:] == 0).all()
    assert (seen[0][:, :8, :8] < 0).all(), "more tumor there would lower the loss"


def test_no_gradient_is_longer_than_the_clip(new_loop):
    training = new_loop(clip=0.01)
    image, label = torch.rand(1, 8, 16, 16), torch.ones(1, 8, 16, 16, dtype=torch.uint8)
    training._step(image, label, 0.0, lambda logits, target, valid: (1000 * logits).mean())
    length = math.sqrt(sum(float((p.grad**2).sum()) for p in training._trainable if p.grad is not None))
    assert length == pytest.approx(0.01, rel=1e-3)


def test_the_rate_of_a_step_is_the_one_it_was_given(new_loop):
    """A rate of 0 changes nothing, though the optimizer was made with another one."""
    training = new_loop()
    before = [p.detach().clone() for p in training._trainable]
    image, label = torch.rand(1, 8, 16, 16), torch.ones(1, 8, 16, 16, dtype=torch.uint8)
    training._step(image, label, 0.0, build_loss(training._stage.loss, 0))
    assert all(torch.equal(p, old) for p, old in zip(training._trainable, before, strict=True))
    training._step(image, label, 0.01, build_loss(training._stage.loss, 0))
    assert not all(torch.equal(p, old) for p, old in zip(training._trainable, before, strict=True))


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


def mining(training, monkeypatch):
    """What is mined: (case, number of the mining, 0, 0) of each case; and the cases of each mining."""
    minings = []

    def mine(network, cases, which, seed):
        minings.append(list(which))
        return [(index, len(minings), 0, 0) for index in which]

    monkeypatch.setattr(training._volumes, "mine", mine)
    return minings


@pytest.mark.parametrize(("cases", "scans", "phantoms"), [(1, 1, 0), (2, 1, 1), (3, 2, 1), (5, 3, 2), (9, 3, 2)])
def test_scans_and_phantoms_are_mined_by_halves_as_far_as_there_are_any(new_loop, monkeypatch, cases, scans, phantoms):
    training = new_loop(mined_cases=cases)
    minings = mining(training, monkeypatch)
    training._mine()
    (which,) = minings
    assert len(set(which)) == len(which)
    assert (sum(i in (0, 2, 4) for i in which), sum(i in (1, 3) for i in which)) == (scans, phantoms)


def test_a_case_mined_anew_forgets_its_old_mistakes_and_others_keep_theirs(new_loop, monkeypatch):
    training = new_loop(mined_cases=2)
    minings = mining(training, monkeypatch)
    for step in range(6):
        training._state.step = step
        training._mine()
    latest = {index: number for number, which in enumerate(minings, start=1) for index in which}
    assert len({tuple(which) for which in minings}) > 1, "other cases each time"
    assert sorted(training._state.hard_sites) == sorted((index, number, 0, 0) for index, number in latest.items())


def test_mining_begins_after_its_share_and_not_after_the_last_step(new_loop, monkeypatch):
    training = new_loop(steps=5, mined_cases=1, mine_after=0.4)
    mined_at = []
    monkeypatch.setattr(training, "_mine", lambda: mined_at.append(training._state.step))
    training.run(ignore_progress)
    assert mined_at == [2, 3, 4]


def test_scoring_begins_after_its_share_and_always_sees_the_last_weights(new_loop, monkeypatch):
    training = new_loop(steps=5, epoch_steps=2, selection_after=0.8)
    seen_at = []
    monkeypatch.setattr(training, "_score", lambda: seen_at.append(training._state.step))
    training.run(ignore_progress)
    assert seen_at == [4, 5]


def test_without_held_out_cases_the_last_weights_are_the_result(new_loop, tmp_path):
    trained = new_loop(held_out=False, selection_after=0.0).run(ignore_progress)
    assert not (tmp_path / "network-best.safetensors").exists()
    assert not any(module.training for module in trained.modules())


def test_a_2d_network_is_neither_mined_with_nor_selected(new_loop, monkeypatch):
    training = new_loop("multires_unet2d", mined_cases=2, mine_after=0.0, selection_after=0.0)
    for name in ("_mine", "_score"):
        monkeypatch.setattr(training, name, lambda: pytest.fail("a slice is no volume"))
    training.run(ignore_progress)


def test_frozen_statistics_stay_as_they_were_and_are_recalibrated_before(new_loop, monkeypatch):
    training = new_loop(steps=4, freeze_norm_at=0.5)
    norm = trainable_norms(training._network)[0]
    means = []
    select = training._between_epochs

    def spy():
        select()
        means.append(norm.running_mean.clone())

    monkeypatch.setattr(training, "_between_epochs", spy)
    training.run(ignore_progress)
    assert not torch.equal(means[0], means[1])
    assert torch.equal(means[1], means[2])
    assert torch.equal(means[1], means[3])


def test_statistics_frozen_from_the_start_are_those_that_the_network_came_with(new_loop):
    training = new_loop(steps=2, freeze_norm_at=0.0)
    norm = trainable_norms(training._network)[0]
    before = norm.running_mean.clone(), norm.running_var.clone()
    weight = norm.weight.detach().clone() if norm.weight is not None else None
    training.run(ignore_progress)
    assert torch.equal(norm.running_mean, before[0])
    assert torch.equal(norm.running_var, before[1])
    assert weight is None or not torch.equal(norm.weight, weight)


def test_the_first_of_equal_scores_is_kept(new_loop, monkeypatch):
    training = new_loop(steps=3, selection_after=0.0)
    scores = iter([CheckpointScore(0.5, 0.0), CheckpointScore(0.5, 0.0), CheckpointScore(0.4, 0.0)])
    monkeypatch.setattr(training._volumes, "score", lambda *_: next(scores))
    training.run(ignore_progress)
    assert (training._state.best, training._state.best_epoch) == (0.5, 1)


# The end


def test_minutes_end_a_training_between_two_steps(new_loop, monkeypatch, tmp_path):
    training = new_loop(steps=1000, epoch_steps=100, max_minutes=1.0, schedule="cosine", learning_rate=0.01)
    clock = iter(range(0, 10**6, 7))  # each look at the clock is 7 s later
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(clock))
    training.run(ignore_progress)
    state = training._state
    assert state.finished
    assert state.step < 20
    rates = [float(row["learning_rate"]) for row in log_rows(tmp_path) if row["learning_rate"]]
    assert rates[0] == pytest.approx(0.01, rel=0.05)
    assert rates[-1] < 0.003, "the schedule ends with the minutes"


def test_the_log_says_how_long_it_will_take(new_loop, monkeypatch, tmp_path):
    training = new_loop(steps=4)
    training._state.step, training._state.seconds = 1, 10.0
    training._log.resume("network", 0)
    training._write_log(loss=1.0)
    (row,) = log_rows(tmp_path, times=True)
    assert (row["stage"], row["step"], float(row["seconds"]), float(row["seconds_left"])) == (
        "network",
        "1",
        10.0,
        30.0,
    )


def test_a_state_comes_back_from_json_as_it_was():
    state = LoopState(
        7, 3.5, 0.25, 2, ((1, 2, 3, 4), (5, 6, 7, 8)), 1.5, 3, Plateau(lowest=0.5, epochs=1, reductions=2), frozen=True
    )
    assert LoopState.restore(json.loads(json.dumps(asdict(state)))) == state
