"""The Recurrent 3D DenseUNet family: dense blocks, with three convolutional LSTMs as the base.

Kamal et al. 2020 (doi:10.1007/978-3-030-62469-9_4) run the LSTMs over the slices. The code of Najeeb and Bhuiyan 2022,
which the published parameter counts belong to, runs them over the image rows, although the paper describes slices. The
argument ``recurrence`` selects one of the two. The parameters are the same in both cases.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from .blocks import BatchNorm, Block, DenseBlock, Identity
from .convolution import Dims
from .unet import ConvHead, Family, plain_skip

Recurrence = Literal["rows", "slices"]

LAYERS = 3
KERNEL = 3
GATES = 4
FORGET_GATE = 1
"""Index of the forget gate in Keras's order of the gates along the channels: input, forget, cell, output."""

# Permutations (N, C, D, H, W) -> (time, N, C, a, b). The LSTM's kernels act on (a, b) in the published order of axes.
_TO_SEQUENCE: dict[str, tuple[int, ...]] = {"rows": (3, 0, 1, 4, 2), "slices": (2, 0, 1, 3, 4)}
_FROM_SEQUENCE: dict[str, tuple[int, ...]] = {"rows": (1, 2, 4, 0, 3), "slices": (1, 2, 0, 3, 4)}


class ConvLSTM(nn.Module):
    """Reimplement Keras's ConvLSTM2D.

    The layer turns a sequence (T, N, C, A, B) into all of its hidden states (T, N, filters, A, B). It runs in one
    direction, starts from a zero state, and has a bias on the input convolution only. The gates use Keras's hard
    sigmoid, clip(0.2 z + 0.5, 0, 1), which differs from torch's.

    References:
        Shi et al. 2015, arXiv:1506.04214; this layer has no peepholes.
    """

    def __init__(self, in_channels: int, filters: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(GATES * filters, in_channels, KERNEL, KERNEL))
        self.recurrent_kernel = nn.Parameter(torch.empty(GATES * filters, filters, KERNEL, KERNEL))
        self.bias = nn.Parameter(torch.zeros(GATES * filters))
        nn.init.xavier_uniform_(self.kernel)
        flat = nn.init.orthogonal_(torch.empty(KERNEL * KERNEL * filters, GATES * filters))
        with torch.no_grad():
            self.recurrent_kernel.copy_(flat.reshape(KERNEL, KERNEL, filters, -1).permute(3, 2, 0, 1))
            self.bias.unflatten(0, (GATES, filters))[FORGET_GATE] = 1.0

    def forward(self, sequence: torch.Tensor) -> torch.Tensor:
        """Return all hidden states (T, N, filters, A, B) of a sequence (T, N, C, A, B)."""
        steps = sequence.shape[0]
        driven = functional.conv2d(sequence.flatten(0, 1), self.kernel, self.bias, padding=KERNEL // 2).unflatten(
            0, (steps, -1)
        )
        hidden = cell = torch.zeros_like(driven[0].chunk(GATES, dim=1)[0])
        states = []
        for now in driven:
            gates = now + functional.conv2d(hidden, self.recurrent_kernel, padding=KERNEL // 2)
            let_in, keep, candidate, let_out = gates.chunk(GATES, dim=1)
            cell = hard_sigmoid(keep) * cell + hard_sigmoid(let_in) * torch.tanh(candidate)
            hidden = hard_sigmoid(let_out) * torch.tanh(cell)
            states.append(hidden)
        return torch.stack(states)


def hard_sigmoid(x: torch.Tensor) -> torch.Tensor:
    """Compute Keras's hard sigmoid, whose slope is 1/5 (torch's ``hardsigmoid`` has 1/6)."""
    return torch.clamp(0.2 * x + 0.5, 0.0, 1.0)


class RecurrentBase(Block):
    """Apply three ConvLSTMs, each followed by a batch norm, over the rows or the slices of (N, C, D, H, W)."""

    def __init__(self, dims: Dims, in_channels: int, filters: int, recurrence: Recurrence) -> None:
        super().__init__()
        if dims != 3:
            raise ValueError("A recurrent base needs stacks of slices; the 2D network of this family has a dense base.")
        self.recurrence = recurrence
        self.out_channels = filters
        for layer in range(1, LAYERS + 1):
            self.add_module(f"lstm{layer}", ConvLSTM(in_channels if layer == 1 else filters, filters))
            self.add_module(f"bn{layer}", BatchNorm(filters))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layers to ``x`` (N, C, D, H, W)."""
        for layer in range(1, LAYERS + 1):
            states = self.get_submodule(f"lstm{layer}")(x.permute(_TO_SEQUENCE[self.recurrence]))
            x = self.get_submodule(f"bn{layer}")(states.permute(_FROM_SEQUENCE[self.recurrence]))
        return x


class LastChannels(Block):
    """Keep the last ``filters`` channels.

    For the output of a dense block, these are the channels that the block added to its input.
    """

    def __init__(self, filters: int) -> None:
        super().__init__()
        self.out_channels = filters

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the last channels of ``x`` (N, C, ...)."""
        return x[:, -self.out_channels :]


def original_skip(dims: Dims, level: int, in_channels: int, filters: int) -> Block:
    """Build a skip as in Kamal et al. 2020.

    Level 3 passes on all channels. Levels 2 and 1 pass on the output of the block's last convolution only.
    """
    return Identity(in_channels) if level == LAYERS else LastChannels(filters)


DENSE_UNET = Family(block=DenseBlock, base=DenseBlock, skip=plain_skip, head=ConvHead, dropout=0.1)
"""The 2D network of the family, designed by Najeeb and Bhuiyan."""


def recurrent_dense_unet(recurrence: Recurrence) -> Family:
    """Return the 3D family as published with the SFF networks."""
    return replace(DENSE_UNET, base=partial(RecurrentBase, recurrence=recurrence))


RECURRENT_DENSE_UNET_ORIGINAL = replace(recurrent_dense_unet("slices"), skip=original_skip)
