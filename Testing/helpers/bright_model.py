"""A model that reports dense voxels as tumor, for tests of everything around the network in a hundredth of its time."""

from __future__ import annotations

from pathlib import Path

import torch
from LungTumorSegLib.networks import build_network
from LungTumorSegLib.networks.stored import save_model
from LungTumorSegLib.options import Thresholds
from LungTumorSegLib.weights.manifest import Manifest

NAME = "bright"
WIDTH = 4
DENSE_HU = -100.0
"""HU at which the model's probability is one half; lung lies below, soft tissue above."""

RANGE_HU = (-1000.0, 400.0)
STEEPNESS = 40.0


def write_bright_model(parent: Path, *, stride: int = 4, mirror: bool = False) -> Path:
    """Write the model into ``parent / NAME`` and return that folder.

    The model is a 3D U-Net of width 4. The input passes unchanged through the first level's skip connection to the
    output; all other weights are 0.
    """
    network = build_network("unet3d", WIDTH)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        for name, module in network.named_modules():
            if name.split(".")[-1].startswith("bn"):
                module.weight.fill_(1.0)
        _pass(network.get_submodule("enc1.conv1"), 0)
        _pass(network.get_submodule("enc1.conv2"), 0)
        _pass(network.get_submodule("dec1.conv1"), WIDTH)  # the skip's channels follow the upsampled ones
        _pass(network.get_submodule("dec1.conv2"), 0)
        bias = -STEEPNESS * (DENSE_HU - RANGE_HU[0]) / (RANGE_HU[1] - RANGE_HU[0])
        _pass(network.get_submodule("out.conv"), 0, STEEPNESS, bias)
    manifest = Manifest(
        NAME,
        "Calls dense voxels tumor",
        "unet3d",
        WIDTH,
        (4.0, 3.0, 3.0),
        RANGE_HU,
        "",
        thresholds=Thresholds(0.7, 0.5),
        stride=stride,
        mirror=mirror,
        min_lesion_ml=0.5,
    )
    save_model(network, manifest, parent / NAME)
    return parent / NAME


def _pass(conv: torch.nn.Module, channel: int, factor: float = 1.0, bias: float = 0.0) -> None:
    """Make a 3D convolution pass one input channel on as its first output channel, times a factor plus a bias."""
    assert isinstance(conv, torch.nn.Conv3d)
    middle = conv.kernel_size[0] // 2
    conv.weight[0, channel, middle, middle, middle] = factor
    if bias:
        assert conv.bias is not None
        conv.bias[0] = bias
