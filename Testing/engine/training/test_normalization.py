"""Exact statistics of batch norms, and freezing them."""

import pytest
import torch
from LungTumorSegLib.networks import build_network
from LungTumorSegLib.training.normalization import freeze, recalibrate, trainable_norms


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build_network("sff_multires_unet3d", 4).train()


def stacks(count=3):
    return [torch.randn(2, 1, 8, 16, 16, generator=torch.Generator().manual_seed(i)) + i for i in range(count)]


def test_the_extractors_norms_are_left_alone(network):
    names = {id(module): name for name, module in network.named_modules()}
    found = [names[id(norm)] for norm in trainable_norms(network)]
    assert found
    assert not any(name.startswith("fe.") for name in found)


def test_statistics_become_those_of_all_inputs(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first = network.enc1.conv3.bn  # sees the first convolution's output
    with torch.no_grad():
        seen = torch.cat([network.enc1.conv3.conv(x) for x in stacks()])
    recalibrate(network, (network.logits(x) for x in stacks()))
    dims = [0, 2, 3, 4]
    torch.testing.assert_close(first.running_mean, seen.mean(dims), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(first.running_var, seen.var(dims, unbiased=False), atol=1e-5, rtol=1e-4)
    for name, value in network.state_dict().items():
        if "running" not in name or name.startswith("fe."):
            assert torch.equal(value, before[name]), name


def test_recalibration_leaves_the_modes_as_they_were_even_after_an_error(network):
    network.eval()

    def fails():
        yield network.logits(stacks()[0])
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        recalibrate(network, fails())
    assert not any(norm.training for norm in trainable_norms(network))
    recalibrate(network.train(), (network.logits(x) for x in stacks(1)))
    assert all(norm.training for norm in trainable_norms(network))


def test_frozen_norms_keep_their_statistics_while_their_scale_still_learns(network):
    network.train()
    freeze(network)
    norm = network.dec1.bn_out
    mean = norm.running_mean.clone()
    network.logits(stacks()[0]).mean().backward()
    assert torch.equal(norm.running_mean, mean)
    assert norm.weight.grad.abs().sum() > 0
