"""V-Net: a volumetric encoder and decoder with residual stages and 5 x 5 x 5 convolutions.

Each stage adds its input to the output of its convolutions. Convolutions with kernel and stride 2 halve the size, and
transposed ones double it. There is no batch norm and no dropout. The last stage gives two classes by softmax.

The paper and the authors' Caffe file differ in the number of convolutions per stage. The variant "published" follows
the paper's figure 2 and its table of receptive fields (551 voxels). The variant "repository" follows
``train_noPooling_ResNet_cinque.prototxt``, with the two output classes of the paper.

Stacks have few slices, so a stack is padded to a multiple of 16 slices, as four halvings require.

References:
    Milletari, Navab and Ahmadi 2016, doi:10.1109/3DV.2016.79, arXiv:1606.04797; code: github.com/faustomilletari/VNet.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .contract import ClassNetwork, initialize_as_he, output_bias
from .convolution import Convolution3d

WIDTH = 16
"""Published number of filters of the first stage."""

CLASSES = 2

Stages = tuple[tuple[int, ...], tuple[int, ...]]

PAPER: Stages = ((1, 2, 3, 3, 3), (3, 3, 2, 1))
"""Convolutions per stage, on the way down and on the way up."""

REPOSITORY: Stages = ((1, 1, 2, 3, 3), (3, 2, 1, 1))


class ResidualStage(nn.Module):
    """Apply convolutions of 5 x 5 x 5 with PReLU in a row, and add the input before the last PReLU."""

    def __init__(self, channels: int, count: int, *, in_channels: int | None = None) -> None:
        super().__init__()
        first = in_channels or channels
        self.convs = nn.ModuleList(
            Convolution3d(first if number == 0 else channels, channels, 5, padding=2) for number in range(count)
        )
        self.acts = nn.ModuleList(nn.PReLU(channels) for _ in range(count))

    def forward(self, x: torch.Tensor, added: torch.Tensor | None = None) -> torch.Tensor:
        """Apply the stage to ``x``; ``added`` is what is added to its output, by default ``x``."""
        added = x if added is None else added
        last = len(self.convs) - 1
        for number, (conv, act) in enumerate(zip(self.convs, self.acts, strict=True)):
            x = conv(x)
            x = act(x + added if number == last else x)
        return x


class VNet(ClassNetwork):
    """The V-Net.

    Args:
        width: The number of filters of the first stage.
        stages: The number of convolutions of each stage, down (5) and up (4).
    """

    multiple = (16, 16, 16)

    def __init__(self, width: int = WIDTH, stages: Stages = PAPER) -> None:
        super().__init__()
        self.width = width
        down, up = stages
        self.first = ResidualStage(width, down[0], in_channels=1)
        self.down, self.down_acts, self.left = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for level, count in enumerate(down[1:], start=1):
            channels = width * 2**level
            self.down.append(Convolution3d(channels // 2, channels, 2, stride=2))
            self.down_acts.append(nn.PReLU(channels))
            self.left.append(ResidualStage(channels, count))
        self.up, self.up_acts, self.right = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        below = width * 2 ** (len(down) - 1)
        for level, count in zip(range(len(up) - 1, -1, -1), up, strict=True):
            skip = width * 2**level
            self.up.append(nn.ConvTranspose3d(below, skip, 2, stride=2))
            self.up_acts.append(nn.PReLU(skip))
            self.right.append(ResidualStage(2 * skip, count))
            below = 2 * skip
        self.out_conv = Convolution3d(below, CLASSES, 5, padding=2)
        self.out_act = nn.PReLU(CLASSES)
        self.out = Convolution3d(CLASSES, CLASSES, 1)
        initialize_as_he(self)

    def prior_biases(self) -> Sequence[torch.Tensor]:
        """Return the bias of the tumor class."""
        return [output_bias(self.out, first=1)]

    def _maps(self, stack: torch.Tensor) -> list[torch.Tensor]:
        x = self.first(stack, stack.expand(-1, self.width, -1, -1, -1))
        skips = [x]
        for down, act, stage in zip(self.down, self.down_acts, self.left, strict=True):
            x = stage(act(down(x)))
            skips.append(x)
        skips.pop()
        for up, act, stage in zip(self.up, self.up_acts, self.right, strict=True):
            x = stage(torch.cat([act(up(x)), skips.pop()], dim=1))
        return [self.out(self.out_act(self.out_conv(x)))]
