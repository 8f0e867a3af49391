"""Every network learns: its loss falls within a few steps on a bright block, with the loss of its paper."""

import pytest
import torch
from LungTumorSegLib.networks import build_network
from LungTumorSegLib.networks.registry import network_names
from LungTumorSegLib.training.config import LossConfig
from LungTumorSegLib.training.losses import build_loss, supervised_loss

STEPS, LEARNING_RATE = 8, 1e-3

PAPER_LOSSES = {
    "vnet": "squared_dice",
    "res_unet_r": "ratio_bce",
    "res_unet_h": "ratio_bce",
    "spread_unet2d": "bce",
    "ts_fcn": "weighted_softmax",
}
"""Losses that differ from the default, by network."""


@pytest.mark.parametrize("name", network_names())
def test_the_loss_falls(name):
    torch.manual_seed(4)
    network = build_network(name, 4).train()
    target = torch.zeros(2, 1, 2, 16, 16)
    target[..., 4:12, 4:10] = 1
    stack = 0.2 * torch.rand(target.shape) + 0.7 * target
    if network.dims == 2:
        stack, target = stack[:, :, 0], target[:, :, 0]
    loss_of = build_loss(LossConfig(name=PAPER_LOSSES.get(name, "dice_bce")))
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], LEARNING_RATE)
    losses = []
    for _ in range(STEPS):
        loss = supervised_loss(loss_of, network.outputs(stack), target, torch.ones_like(target))
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.99 * losses[0]
