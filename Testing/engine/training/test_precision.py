"""Memory order and mixed precision."""

import pytest
import torch
from LungTumorSegLib.inference.device import autocast
from LungTumorSegLib.networks import build_network
from LungTumorSegLib.training.precision import channels_last, prepare_network

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["multires_unet2d", "multires_unet3d"])
def test_the_memory_order_changes_no_weight(name):
    torch.manual_seed(0)
    network = build_network(name, 4)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    prepare_network(network, CPU)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    kernels = [p for p in network.parameters() if p.ndim > 3]
    order = torch.channels_last if kernels[0].ndim == 4 else torch.channels_last_3d
    assert all(kernel.is_contiguous(memory_format=order) for kernel in kernels)


def test_vectors_have_no_memory_order():
    vector = torch.arange(4.0)
    assert channels_last(vector) is vector


def test_a_step_in_bfloat16_has_nearly_the_gradient_of_single_precision():
    gradients = []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        network = prepare_network(build_network("multires_unet3d", 4), CPU).train()
        x = channels_last(torch.rand(2, 1, 8, 16, 16, generator=torch.Generator().manual_seed(1)))
        with autocast(CPU, precision):
            logits = network.logits(x)
        assert logits.dtype == torch.float32
        (logits * torch.linspace(-1, 1, 16)).mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))
    # bfloat16 has 8 bits, and batch norms over 2 x 2 voxels at the bottom enlarge its errors; a wrong kernel gives no
    # likeness at all.
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.8
