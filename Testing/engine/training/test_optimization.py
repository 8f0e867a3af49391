"""One step of a network: what it is shown, how long the gradient is, which rate counts, and what a checkpoint keeps."""

import math
from dataclasses import replace

import pytest
import torch
from LungTumorSegLib.networks import build_network
from LungTumorSegLib.training.config import StageConfig
from LungTumorSegLib.training.losses import build_loss
from LungTumorSegLib.training.optimization import Optimization, network_input, network_target
from LungTumorSegLib.training.store import IGNORED

STAGE = StageConfig(steps=3)
LOSS = build_loss(STAGE.loss)


@pytest.fixture
def new_optimization():
    """``new_optimization(**stage settings)``: that of a small 3D network."""

    def make(**settings):
        torch.manual_seed(0)
        network = build_network("multires_unet3d", 4).train()
        return Optimization(network, replace(STAGE, **settings), device=torch.device("cpu"), precision="float32")

    return make


def a_sample():
    """Return an image and its label: tumor in one corner, voxels that do not count in the opposite one."""
    label = torch.zeros(1, 8, 16, 16, dtype=torch.uint8)
    label[:, :, :8, :8], label[:, :, 8:, 8:] = 1, IGNORED
    return torch.rand(1, 8, 16, 16, generator=torch.Generator().manual_seed(1)), label


def step(optimization, *, rate=0.01, loss_of=LOSS, averaged=False):
    return optimization.step(*a_sample(), rate=rate, loss_of=loss_of, seed=1, averaged=averaged)


def weights(optimization):
    return torch.cat([p.detach().flatten() for p in optimization.network.parameters()])


@pytest.mark.parametrize(("dims", "shape"), [(3, (2, 1, 8, 16, 24)), (2, (16, 1, 16, 24))])
def test_a_network_sees_stacks_or_their_slices(dims, shape):
    image, label = torch.rand(2, 8, 16, 24), torch.zeros(2, 8, 16, 24, dtype=torch.uint8)
    label[1, 3, 5, 7], label[0, 2, 4, 6] = 1, IGNORED
    x, (target, valid) = network_input(image, dims), network_target(label, dims)
    assert x.shape == target.shape == valid.shape == shape
    assert torch.equal(x.reshape(2, 8, 16, 24), image)
    assert target.reshape(2, 8, 16, 24).nonzero().tolist() == [[1, 3, 5, 7]]
    assert (valid == 0).reshape(2, 8, 16, 24).nonzero().tolist() == [[0, 2, 4, 6]]


def test_lobes_are_class_numbers():
    label = torch.tensor([0, 1, 5, IGNORED], dtype=torch.uint8).reshape(1, 1, 2, 2)
    target, valid = network_target(label, 3, lobes=True)
    assert (target.flatten().tolist(), target.dtype) == ([0, 1, 5, 0], torch.int64)
    assert (valid.flatten().tolist(), valid.dtype) == ([1, 1, 1, 0], torch.float32)


def test_ignored_voxels_teach_nothing(new_optimization):
    """The same step whether the network is right or wrong where the label does not count."""
    seen = []

    def spy(logits, target, valid):
        loss = LOSS(logits, target, valid)
        (slope,) = torch.autograd.grad(loss, logits, retain_graph=True)
        seen.append(slope[0, 0])
        return loss

    step(new_optimization(), loss_of=spy)
    assert (seen[0][:, 8:, 8:] == 0).all()
    assert (seen[0][:, :8, :8] < 0).all(), "more tumor there would lower the loss"


def test_no_gradient_is_longer_than_the_clip(new_optimization):
    optimization = new_optimization(clip=0.01)
    step(optimization, loss_of=lambda logits, target, valid: (1000 * logits).mean())
    gradients = [p.grad for p in optimization.network.parameters() if p.grad is not None]
    assert math.sqrt(sum(float((g**2).sum()) for g in gradients)) == pytest.approx(0.01, rel=1e-3)


def test_the_rate_of_a_step_is_the_one_it_was_given(new_optimization):
    """A rate of 0 changes nothing, though the optimizer was made with another one."""
    optimization = new_optimization()
    before = weights(optimization)
    step(optimization, rate=0.0)
    assert torch.equal(weights(optimization), before)
    step(optimization, rate=0.01)
    assert not torch.equal(weights(optimization), before)


def test_only_steps_that_ask_for_it_are_averaged(new_optimization):
    optimization = new_optimization(ema=0.9)
    step(optimization)
    assert optimization.average.state() == {}
    step(optimization, averaged=True)
    assert optimization.average.updates == 1


def test_a_checkpoint_continues_as_if_nothing_had_happened(new_optimization, tmp_path):
    optimization, file = new_optimization(ema=0.9), tmp_path / "checkpoint.safetensors"
    step(optimization, averaged=True)
    optimization.save(file, {"step": 1})
    resumed = new_optimization(ema=0.9)
    assert resumed.resume(file) == {"step": 1}
    for each in (optimization, resumed):
        step(each, averaged=True)
        each.average.apply()
    assert torch.equal(weights(resumed), weights(optimization))
    assert resumed.average.updates == 2
