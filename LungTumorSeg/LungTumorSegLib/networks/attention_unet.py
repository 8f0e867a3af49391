"""Attention U-Net: a 3D U-Net whose skips are weighted by attention gates.

A gate compares the skip with coarser features and gives each voxel a weight from 0 to 1. The finest skip has no gate.
Four outputs, one per level of the decoder, are enlarged, concatenated and combined by a 1 x 1 x 1 convolution. The
network follows the authors' class ``unet_CT_single_att_dsv_3D``, which halves the size four times along all axes, so
that a stack is padded to a multiple of 16 slices.

References:
    Oktay et al. 2018, arXiv:1804.03999; code: github.com/ozan-oktay/Attention-Gated-Networks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from .blocks import BatchNorm, relu
from .contract import ClassNetwork, initialize_as_he, output_bias
from .convolution import Convolution3d

WIDTH = 16
"""Published number of filters of the first level."""

LEVELS = 4
CLASSES = 2
EPS, MOMENTUM = 1e-5, 0.1
"""Constants of torch's batch norm, which the authors used."""


def _norm(channels: int) -> BatchNorm:
    return BatchNorm(channels, eps=EPS, momentum=MOMENTUM)


class NormBlock(nn.Module):
    """Convolve with bias, normalize and apply a ReLU, ``count`` times."""

    def __init__(self, in_channels: int, filters: int, *, kernel: int = 3, count: int = 2) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            Convolution3d(filters if number else in_channels, filters, kernel, padding=kernel // 2)
            for number in range(count)
        )
        self.norms = nn.ModuleList(_norm(filters) for _ in range(count))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the block to ``x`` (N, C, D, H, W)."""
        for conv, norm in zip(self.convs, self.norms, strict=True):
            x = relu(norm(conv(x)))
        return x


class AttentionGate(nn.Module):
    """Weight a skip by its agreement with a gating signal of half its size (additive attention)."""

    def __init__(self, channels: int, gate_channels: int) -> None:
        super().__init__()
        self.theta = Convolution3d(channels, channels, 2, stride=2, bias=False)
        self.phi = Convolution3d(gate_channels, channels, 1)
        self.psi = Convolution3d(channels, 1, 1)
        self.transform = Convolution3d(channels, channels, 1)
        self.norm = _norm(channels)
        self.combine = NormBlock(channels, channels, kernel=1, count=1)

    def weights(self, x: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        """Return the attention weights (N, 1, D, H, W), 0 to 1, of the skip ``x`` (N, C, D, H, W)."""
        theta = self.theta(x)
        agreement = relu(theta + _resized(self.phi(gate), theta))
        return _resized(torch.sigmoid(self.psi(agreement)), x)

    def forward(self, x: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        """Return the gated skip, with the shape of ``x`` (N, C, D, H, W)."""
        return self.combine(self.norm(self.transform(self.weights(x, gate) * x)))


class AttentionUNet(ClassNetwork):
    """The Attention U-Net with two classes.

    Args:
        width: The number of filters of the first level.
    """

    multiple = (16, 16, 16)

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        filters = [width * 2**level for level in range(LEVELS + 1)]
        self.encoder = nn.ModuleList(
            NormBlock(filters[level - 1] if level else 1, filters[level]) for level in range(LEVELS)
        )
        self.center = NormBlock(filters[-2], filters[-1])
        self.gating = NormBlock(filters[-1], filters[-1], kernel=1, count=1)
        self.gates = nn.ModuleList(AttentionGate(filters[level], filters[level + 1]) for level in range(1, LEVELS))
        self.decoder = nn.ModuleList(
            NormBlock(filters[level] + filters[level + 1], filters[level]) for level in range(LEVELS)
        )
        self.side = nn.ModuleList(Convolution3d(filters[level], CLASSES, 1) for level in range(LEVELS))
        self.out = Convolution3d(CLASSES * LEVELS, CLASSES, 1)
        initialize_as_he(self)

    def prior_biases(self) -> Sequence[torch.Tensor]:
        """Return the bias of the tumor class."""
        return [output_bias(self.out, first=1)]

    def _maps(self, stack: torch.Tensor) -> list[torch.Tensor]:
        x, skips = stack, []
        for block in self.encoder:
            skips.append(block(x))
            x = functional.max_pool3d(skips[-1], 2)
        x = self.center(x)
        gate = self.gating(x)
        sides: list[torch.Tensor] = []
        for level in range(LEVELS - 1, -1, -1):
            skip = self.gates[level - 1](skips[level], gate) if level else skips[0]
            x = self.decoder[level](torch.cat([skip, _resized(x, skip)], dim=1))
            gate = x
            sides.insert(0, _resized(self.side[level](x), stack))
        return [self.out(torch.cat(sides, dim=1))]


def _resized(x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return ``x`` (N, C, D, H, W) trilinearly enlarged to the size of ``like``."""
    return functional.interpolate(x, size=like.shape[2:], mode="trilinear", align_corners=False)
