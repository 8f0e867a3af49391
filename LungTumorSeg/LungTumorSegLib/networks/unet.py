"""The architecture that all networks share, and its simplest family, the U-Net.

A network has three levels down, a base, and three levels up. A ``Family`` describes the differences between U-Net,
MultiResUNet and Recurrent DenseUNet. The 2D and 3D networks, with and without fused 2D features, share the same code.
The architecture follows the published code of Najeeb and Bhuiyan 2022 (doi:10.1016/j.bspc.2022.103996).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from .blocks import Block, Identity, PlainBlock, Upsampling, channel_dropout, channels_last, initialize_as_keras, pool
from .contract import Network
from .convolution import Dims, convolution

LEVELS = 3
SIZE_MULTIPLE = 2**LEVELS


class ConvHead(Block):
    """Compute one channel of logits by a 1x1 convolution."""

    def __init__(self, dims: Dims, in_channels: int) -> None:
        super().__init__()
        self.out_channels = 1
        self.conv = convolution(dims, in_channels, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, 1, [D,] H, W) of ``x`` (N, C, [D,] H, W)."""
        return self.conv(x)


def plain_skip(dims: Dims, level: int, in_channels: int, filters: int) -> Block:
    """Build the skip of level 1, 2 or 3 that passes on the encoder's output before pooling."""
    return Identity(in_channels)


@dataclass(frozen=True)
class Family:
    """The parts that distinguish one family of networks from another.

    Attributes:
        block: Builds a block of the encoder or decoder from (dims, in_channels, filters).
        base: Builds the base from (dims, in_channels, filters).
        skip: Builds a skip path from (dims, level, in_channels, filters).
        head: Builds the output layer from (dims, in_channels).
        dropout: The share of channels (0 to 1) that is dropped after each pooling in training.
    """

    block: Callable[[Dims, int, int], Block]
    base: Callable[[Dims, int, int], Block]
    skip: Callable[[Dims, int, int, int], Block]
    head: Callable[[Dims, int], Block]
    dropout: float


class Encoder(nn.Module):
    """The downward levels of a network.

    The modules ``enc1``, ``enc2``, ... have ``width``, 2 ``width``, 4 ``width`` filters, with pooling between them.

    Args:
        family: The family of the network.
        dims: 2 or 3 dimensions.
        width: The number of filters of the first level.
        levels: The number of levels.
        fused: For each level, how many channels of other features join after its pooling.
    """

    def __init__(
        self, family: Family, dims: Dims, width: int, levels: int = LEVELS, fused: Sequence[int] = (0,) * LEVELS
    ) -> None:
        super().__init__()
        self.block_channels: tuple[int, ...] = ()
        channels = 1
        for level in range(levels):
            block = family.block(dims, channels, width * 2**level)
            self.add_module(f"enc{level + 1}", block)
            self.block_channels += (block.out_channels,)
            channels = block.out_channels + fused[level]
        self.channels_below = channels
        self.drop = channel_dropout(dims, family.dropout)

    @property
    def blocks(self) -> list[nn.Module]:
        """The encoder blocks, first level first."""
        return [self.get_submodule(f"enc{level}") for level in range(1, len(self.block_channels) + 1)]


class EncoderDecoder(Encoder, Network):
    """A whole network that maps images or stacks to tumor probability.

    The input is an image (N, 1, H, W) or a stack (N, 1, D, H, W); the output is float32 of the same shape. H and W are
    multiples of 8, and D is arbitrary. The modules are called enc1 to enc3, base, up3 to up1, respath3 to respath1,
    dec3 to dec1, and out.
    """

    def __init__(self, family: Family, dims: Dims, width: int, fused: Sequence[int] = (0,) * LEVELS) -> None:
        super().__init__(family, dims, width, LEVELS, fused)
        self.dims = dims
        self.base = family.base(dims, self.channels_below, width * 2**LEVELS)
        channels = self.base.out_channels
        for level in range(LEVELS, 0, -1):
            filters = width * 2 ** (level - 1)
            skip = family.skip(dims, level, self.block_channels[level - 1], filters)
            block = family.block(dims, filters + skip.out_channels, filters)
            self.add_module(f"up{level}", Upsampling(dims, channels, filters))
            self.add_module(f"respath{level}", skip)
            self.add_module(f"dec{level}", block)
            channels = block.out_channels
        self.out = family.head(dims, channels)
        initialize_as_keras(self)

    def logits(self, image: torch.Tensor) -> torch.Tensor:
        """Return the values before the sigmoid, for numerically stable losses."""
        return self._logits(image, ())

    def prior_biases(self) -> Sequence[torch.Tensor]:
        """Return the bias of the last layer that has one."""
        return [
            bias for module in self.out.modules() if isinstance(bias := getattr(module, "bias", None), nn.Parameter)
        ][-1:]

    def _logits(self, image: torch.Tensor, features: Sequence[torch.Tensor]) -> torch.Tensor:
        """Compute the logits, where ``features`` join level by level after the pooling.

        There may be fewer features than levels.
        """
        self._check(image)
        x, skips = channels_last(image), []
        for level, block in enumerate(self.blocks):
            x = block(x)
            skips.append(x)
            x = self.drop(pool(x))
            if level < len(features):
                x = torch.cat([x, features[level]], dim=1)
        x = self.base(x)
        for level in range(LEVELS, 0, -1):
            up, respath, block = (self.get_submodule(f"{part}{level}") for part in ("up", "respath", "dec"))
            x = block(torch.cat([up(x), respath(skips.pop())], dim=1))
        logits = self.out(x)
        return logits.to(torch.promote_types(logits.dtype, torch.float32))

    def _check(self, image: torch.Tensor) -> None:
        """Raise ValueError if the shape of an image or stack does not suit the network."""
        expected = "(N, 1, H, W)" if self.dims == 2 else "(N, 1, D, H, W)"
        if image.ndim != self.dims + 2 or image.shape[1] != 1:
            raise ValueError(f"The network takes {expected}, but got an array of shape {tuple(image.shape)}.")
        if any(size == 0 or size % SIZE_MULTIPLE for size in image.shape[-2:]):
            height, width = image.shape[-2:]
            raise ValueError(
                f"Height and width must be multiples of {SIZE_MULTIPLE}, not {height} and {width}; pad or crop the "
                "slices."
            )


UNET = Family(block=PlainBlock, base=PlainBlock, skip=plain_skip, head=ConvHead, dropout=0.1)
