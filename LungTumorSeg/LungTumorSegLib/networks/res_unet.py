"""Res-UNet-R and Res-UNet-H: anisotropic residual U-Nets that predict the mask and the boundary of each instance.

The networks halve and double height and width only, because their data have thick slices. An anisotropic block applies
a 1 x 3 x 3 convolution, then two 3 x 3 x 3 convolutions with a residual connection around them. Every convolution is
followed by an ELU; there is no batch norm. Convolutions pad with the nearest voxel.

Res-UNet-R predicts mask and boundary by one decoder with two output channels. Res-UNet-H has a second decoder for the
boundary; the rest is the same.

Res-UNet-R follows the authors' class ``unet_residual_3d`` without the layers that it builds but never uses. For
Res-UNet-H the paper is followed. The authors' class ``RSUNet`` differs from it: it pools by maximum and begins with
partial convolutions.

References:
    Li et al. 2021, arXiv:2104.07961; code: github.com/Limingxing00/MitoEM2021-Challenge.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from .contract import BOUNDARY, MASK, StackNetwork, output_bias, scale_filters
from .convolution import Convolution3d, Size

WIDTH = 28
"""Published number of filters of the first level."""

FILTERS = (28, 36, 48, 64, 80)
"""Published number of filters per level, the deepest last."""


class EdgeConvolution(nn.Module):
    """Pad with the nearest voxel, convolve, and apply an ELU if ``act``."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: tuple[int, int, int], *, stride: Size = 1, act: bool = True
    ) -> None:
        super().__init__()
        self.conv = Convolution3d(in_channels, out_channels, kernel, stride=stride)
        self.padding = [size // 2 for size in reversed(kernel) for _ in range(2)]
        self.act = act

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer to ``x`` (N, C, D, H, W)."""
        x = self.conv(functional.pad(x, self.padding, mode="replicate") if any(self.padding) else x)
        return functional.elu(x, inplace=True) if self.act else x


class AnisotropicBlock(nn.Module):
    """Apply a 1 x 3 x 3 convolution, then two 3 x 3 x 3 convolutions with a residual connection.

    With ``projection``, the residual connection is a 1 x 1 x 1 convolution, as at the deepest level.
    """

    def __init__(self, in_channels: int, filters: int, *, projection: bool = False) -> None:
        super().__init__()
        self.flat = EdgeConvolution(in_channels, filters, (1, 3, 3))
        self.conv1 = EdgeConvolution(filters, filters, (3, 3, 3))
        self.conv2 = EdgeConvolution(filters, filters, (3, 3, 3), act=False)
        self.projector = EdgeConvolution(filters, filters, (1, 1, 1), act=False) if projection else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the block to ``x`` (N, C, D, H, W)."""
        x = self.flat(x)
        added = x if self.projector is None else self.projector(x)
        return functional.elu(self.conv2(self.conv1(x)) + added, inplace=True)


class Decoder(nn.Module):
    """Upsample level by level, add the skips, and compute output channels of logits.

    Each level applies a 1 x 1 x 1 convolution, doubles height and width bilinearly, adds the skip, and applies an
    anisotropic block. The finest level ends with a 1 x 5 x 5 convolution.
    """

    def __init__(self, filters: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.narrow = nn.ModuleList(EdgeConvolution(below, here, (1, 1, 1)) for here, below in pairwise(filters))
        self.blocks = nn.ModuleList(AnisotropicBlock(here, here) for here in filters[:-1])
        self.out = EdgeConvolution(filters[0], outputs, (1, 5, 5), act=False)

    def forward(self, x: torch.Tensor, skips: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return logits (N, outputs, D, H, W) from the deepest features and the skips, finest first."""
        for level in range(len(skips) - 1, -1, -1):
            x = self.blocks[level](_double(self.narrow[level](x)) + skips[level])
        return self.out(x)


class ResUNet(StackNetwork):
    """The network Res-UNet-R, or Res-UNet-H with ``decoders`` = 2.

    Args:
        width: The number of filters of the first level.
        decoders: 1 for a common decoder of mask and boundary, 2 for a decoder each.
    """

    multiple = (1, 16, 16)

    def __init__(self, width: int = WIDTH, decoders: int = 1) -> None:
        super().__init__()
        filters = scale_filters(width, WIDTH, *FILTERS)
        levels = len(filters) - 1
        self.embedding = EdgeConvolution(1, filters[0], (1, 5, 5))
        self.encoder = nn.ModuleList(
            AnisotropicBlock(filters[max(0, level - 1)], filters[level]) for level in range(levels)
        )
        self.down = nn.ModuleList(
            EdgeConvolution(filters[level], filters[level], (1, 3, 3), stride=(1, 2, 2)) for level in range(levels)
        )
        self.center = AnisotropicBlock(filters[-2], filters[-1], projection=True)
        self.finest_skip = EdgeConvolution(filters[0], filters[0], (1, 3, 3))
        self.decoders = nn.ModuleList(Decoder(filters, 2 // decoders) for _ in range(decoders))
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.orthogonal_(module.weight)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def logits(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of the mask, with the shape of the stack."""
        return self.outputs(image)[MASK]

    def outputs(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the logits of ``mask`` and ``boundary``, each with the shape of the stack (N, 1, D, H, W)."""
        (both,) = self.maps(image)
        return {MASK: both[:, :1], BOUNDARY: both[:, 1:]}

    def prior_biases(self) -> Sequence[torch.Tensor]:
        """Return the biases of mask and boundary."""
        return [output_bias(decoder.get_submodule("out.conv")) for decoder in self.decoders]

    def _maps(self, stack: torch.Tensor) -> list[torch.Tensor]:
        x, skips = self.embedding(stack), []
        for block, down in zip(self.encoder, self.down, strict=True):
            x = block(x)
            skips.append(x)
            x = down(x)
        x = self.center(x)
        skips[0] = self.finest_skip(skips[0])
        return [torch.cat([decoder(x, skips) for decoder in self.decoders], dim=1)]


def _double(x: torch.Tensor) -> torch.Tensor:
    """Double height and width with the authors' fixed bilinear kernel, which fades to zero at the border."""
    profile = torch.tensor([0.25, 0.75, 0.75, 0.25], dtype=x.dtype, device=x.device)
    kernel = torch.outer(profile, profile).expand(x.shape[1], 1, 1, 4, 4).contiguous()
    return functional.conv_transpose3d(x, kernel, stride=(1, 2, 2), padding=(0, 1, 1), groups=x.shape[1])
