"""The loop learns, and an interrupted training ends as an undisturbed one."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.events import ignore_progress
from LungTumorSegLib.training.second_look import loop as loop_module
from LungTumorSegLib.training.second_look.loop import LookLoop, batch_of, loss_of, make_batch
from LungTumorSegLib.training.second_look.sampling import DOES_NOT_COUNT
from LungTumorSegLib.training.second_look.variation import Views


def losses_of(config):
    with open(f"{config.output}/log.csv", newline="", encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_the_loop_lowers_the_loss_on_four_fixed_samples(pool, config, monkeypatch):
    monkeypatch.setattr(loop_module, "LOG_STEPS", 1)
    settings = config(steps=8)
    LookLoop("second-look", pool, settings).run(ignore_progress)
    losses = losses_of(settings)
    assert len(losses) == 8
    assert np.mean(losses[-2:]) < 0.9 * np.mean(losses[:2])


def test_the_loop_computes_in_the_precision_of_the_configuration(pool, config, tmp_path, monkeypatch):
    monkeypatch.setattr(loop_module, "LOG_STEPS", 1)
    losses = {}
    for precision in ("float32", "bfloat16"):
        settings = replace(config(tmp_path / precision, steps=2), precision=precision)
        network = LookLoop("second-look", pool, settings).run(ignore_progress)
        assert {each.dtype for each in network.parameters()} == {torch.float32}
        losses[precision] = losses_of(settings)
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.05)
    assert losses["bfloat16"] != losses["float32"]


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_weights(pool, config, tmp_path, monkeypatch):
    whole = LookLoop("second-look", pool, config(tmp_path / "whole", steps=4)).run(ignore_progress)
    monkeypatch.setattr(loop_module, "CHECKPOINT_SECONDS", -1.0)
    killed = config(tmp_path / "killed", steps=4)

    def kill(progress):
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LookLoop("second-look", pool, killed).run(kill)
    seen = []
    resumed = LookLoop("second-look", pool, killed).run(lambda progress: seen.append(progress.done))
    assert seen == [3, 4]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_finished_training_is_not_repeated(pool, config):
    LookLoop("second-look", pool, config(steps=1)).run(ignore_progress)
    LookLoop("second-look", pool, config(steps=1)).run(lambda progress: pytest.fail("it took a step"))


def test_samples_that_fill_no_batch_are_reported(pool, config):
    with pytest.raises(UnusableInput, match="fold-1"):
        LookLoop("fold-1", pool, config(), left_out=["one"])


def test_unknown_places_and_ignored_voxels_teach_nothing(pool):
    samples = pool.take(np.arange(4))
    samples.tumor[:], samples.mask[:, :10] = [-1, 1, 0, 1], DOES_NOT_COUNT
    batch = make_batch(samples, np.random.default_rng(0))
    mask, tumor = torch.zeros(4, 40, 40, 40, requires_grad=True), torch.zeros(4, requires_grad=True)
    loss_of(mask, tumor, batch).backward()
    assert not mask.grad[0].any()
    assert not mask.grad[:, :10].any()
    assert mask.grad[1:, 10:].any()
    assert tumor.grad[0] == 0
    assert tumor.grad[1:].all()


def test_varied_samples_are_learned_with_averaged_weights_and_resume(pool, config, tmp_path, monkeypatch):
    whole = LookLoop("second-look", pool, config(tmp_path / "whole", steps=3, varied=True, ema=0.9)).run(
        ignore_progress
    )
    monkeypatch.setattr(loop_module, "CHECKPOINT_SECONDS", -1.0)
    settings = config(tmp_path / "killed", steps=3, varied=True, ema=0.9)

    def kill(progress):
        if progress.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        LookLoop("second-look", pool, settings).run(kill)
    resumed = LookLoop("second-look", pool, settings).run(ignore_progress)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_the_network_sees_in_training_what_it_sees_in_use(pool):
    from LungTumorSegLib.refinement.views import windows

    samples = pool.take(np.arange(2))
    stored = (samples.fine, samples.coarse, samples.mask, samples.octaves)
    views = Views(*(torch.from_numpy(each.astype(np.float32)) for each in stored))
    for seen, fine in zip(batch_of(views, samples.tumor).fine.numpy(), samples.fine, strict=True):
        np.testing.assert_array_equal(seen, windows(fine.astype(np.float32)))
