"""Plain 2D U-Nets that process a stack slice by slice.

``SpreadUNet2d`` is the listing of Kumar's "Tumor spread estimation in lungs using medical image segmentation": three
levels of 64, 128 and 256 filters with two poolings, upsampling by repetition of pixels, no batch norm.

``IsolationUNet2d`` is the network of the lung isolation pipeline, which its authors call the widely used 2D U-Net:
the network of Ronneberger et al. with five levels of 64 to 1,024 filters, here with padded convolutions so that the
output has the size of the input.

References:
    Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28. Primakov et al. 2022, doi:10.1038/s41467-022-30841-3.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from .blocks import initialize_as_keras, pool, relu
from .contract import SliceNetwork, output_bias
from .convolution import convolution

WIDTH = 64
"""Published number of filters of the first level of both networks."""


class TwoConvolutions(nn.Module):
    """Apply a 3 x 3 convolution and a ReLU twice."""

    def __init__(self, in_channels: int, filters: int) -> None:
        super().__init__()
        self.conv1 = convolution(2, in_channels, filters, 3)
        self.conv2 = convolution(2, filters, filters, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the block to ``x`` (N, C, H, W)."""
        return relu(self.conv2(relu(self.conv1(x))))


class SliceUNet(SliceNetwork):
    """A 2D U-Net without batch norm.

    Args:
        width: The number of filters of the first level.
        levels: The number of levels, one more than poolings.
        learned_up: Whether a 2 x 2 transposed convolution that halves the channels doubles the size; otherwise each
            pixel is repeated.
    """

    def __init__(self, width: int, levels: int, *, learned_up: bool) -> None:
        super().__init__()
        self.multiple = (1, 2 ** (levels - 1), 2 ** (levels - 1))
        filters = [width * 2**level for level in range(levels)]
        self.encoder = nn.ModuleList(
            TwoConvolutions(filters[level - 1] if level else 1, filters[level]) for level in range(levels)
        )
        pairs = list(pairwise(filters))
        self.up = nn.ModuleList(nn.ConvTranspose2d(below, here, 2, stride=2) for here, below in pairs if learned_up)
        self.decoder = nn.ModuleList(
            TwoConvolutions(2 * here if learned_up else here + below, here) for here, below in pairs
        )
        self.out = convolution(2, width, 1, 1)
        initialize_as_keras(self)

    def prior_biases(self) -> Sequence[torch.Tensor]:
        """Return the bias of the output."""
        return [output_bias(self.out)]

    def _slice_map(self, slices: torch.Tensor) -> torch.Tensor:
        x, skips = self.encoder[0](slices), []
        for block in list(self.encoder)[1:]:
            skips.append(x)
            x = block(pool(x))
        for level in range(len(skips) - 1, -1, -1):
            up = self.up[level](x) if len(self.up) else functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.decoder[level](torch.cat([up, skips[level]], dim=1))
        return self.out(x)


class SpreadUNet2d(SliceUNet):
    """The U-Net of the tumor spread listing: three levels, upsampling by repetition."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__(width, 3, learned_up=False)


class IsolationUNet2d(SliceUNet):
    """The slice-wise U-Net of the isolation pipeline: five levels, transposed convolutions."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__(width, 5, learned_up=True)
