"""2D U-Nets whose encoder is a classification network: ResNet-34 or VGG-16.

The sources name "ResNet-UNet" and "VGG-UNet" without a definition. These networks take the encoders as published, with
one input channel and random weights, and the usual decoder: at each level, pixels are repeated to double the size, the
skip is concatenated, and two 3 x 3 convolutions with batch norm and ReLU follow.

References:
    He et al. 2016, doi:10.1109/CVPR.2016.90 (ResNet-34). Simonyan and Zisserman 2015, arXiv:1409.1556 (VGG-16).
    Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28 (U-Net).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from .blocks import BatchNorm, pool, relu
from .contract import SliceNetwork, initialize_as_he, output_bias, scale_filters
from .convolution import convolution

WIDTH = 64
"""Published number of filters of the first level of both encoders."""

RESNET_BLOCKS = (3, 4, 6, 3)
RESNET_FILTERS = (64, 128, 256, 512)
VGG_CONVOLUTIONS = (2, 2, 3, 3, 3)
VGG_FILTERS = (64, 128, 256, 512, 512)
DECODER_FILTERS = (256, 128, 64, 32, 16)
EPS, MOMENTUM = 1e-5, 0.1


def _norm(channels: int) -> BatchNorm:
    return BatchNorm(channels, eps=EPS, momentum=MOMENTUM)


class BasicBlock(nn.Module):
    """Apply two 3 x 3 convolutions with a residual connection, the block of ResNet-34."""

    def __init__(self, in_channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, filters, 3, stride=stride, padding=1, bias=False)
        self.norm1 = _norm(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.norm2 = _norm(filters)
        changes = stride != 1 or in_channels != filters
        self.stride = stride
        # Without a stride of its own: on processors without AVX-512, oneDNN (torch 2.13) writes outside of its memory
        # when it computes the weight gradient of a strided 1 x 1 convolution of channels-last images.
        self.shortcut = nn.Conv2d(in_channels, filters, 1, bias=False) if changes else None
        self.shortcut_norm = _norm(filters) if changes else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the block to ``x`` (N, C, H, W)."""
        added = x
        if self.shortcut is not None and self.shortcut_norm is not None:
            added = self.shortcut_norm(self.shortcut(x[..., :: self.stride, :: self.stride]))
        return relu(self.norm2(self.conv2(relu(self.norm1(self.conv1(x))))) + added)


class DecoderBlock(nn.Module):
    """Double the size, concatenate the skip if there is one, and apply two convolutions with batch norm and ReLU."""

    def __init__(self, in_channels: int, skip_channels: int, filters: int) -> None:
        super().__init__()
        self.conv1 = convolution(2, in_channels + skip_channels, filters, 3, bias=False)
        self.norm1 = _norm(filters)
        self.conv2 = convolution(2, filters, filters, 3, bias=False)
        self.norm2 = _norm(filters)

    def forward(self, x: torch.Tensor, skip: torch.Tensor | None) -> torch.Tensor:
        """Apply the block to ``x`` (N, C, H, W) and a skip of twice its height and width."""
        x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        x = x if skip is None else torch.cat([x, skip], dim=1)
        return relu(self.norm2(self.conv2(relu(self.norm1(self.conv1(x))))))


class BackboneUNet(SliceNetwork):
    """A U-Net around an encoder; ``_features`` returns the encoder's maps, the finest first.

    Args:
        channels: The number of channels of the encoder's maps, the finest first.
        filters: The number of filters of the decoder's blocks, the coarsest first.
    """

    multiple = (1, 32, 32)

    def __init__(self, channels: Sequence[int], filters: Sequence[int]) -> None:
        super().__init__()
        skips = [*reversed(channels[:-1]), 0]
        below = [channels[-1], *filters]
        self.decoder = nn.ModuleList(
            DecoderBlock(below[number], skips[number], filters[number]) for number in range(len(filters))
        )
        self.out = convolution(2, filters[-1], 1, 3)

    def prior_biases(self) -> Sequence[torch.Tensor]:
        """Return the bias of the output."""
        return [output_bias(self.out)]

    def _features(self, slices: torch.Tensor) -> list[torch.Tensor]:
        raise NotImplementedError

    def _slice_map(self, slices: torch.Tensor) -> torch.Tensor:
        *skips, x = self._features(slices)
        for block in self.decoder:
            x = block(x, skips.pop() if skips else None)
        return self.out(x)


class ResNetUNet(BackboneUNet):
    """A U-Net with the encoder of ResNet-34: maps at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size."""

    def __init__(self, width: int = WIDTH) -> None:
        filters = scale_filters(width, WIDTH, *RESNET_FILTERS)
        super().__init__([filters[0], *filters], scale_filters(width, WIDTH, *DECODER_FILTERS))
        self.stem = nn.Conv2d(1, filters[0], 7, stride=2, padding=3, bias=False)
        self.stem_norm = _norm(filters[0])
        self.stages = nn.ModuleList()
        channels = filters[0]
        for level, (count, here) in enumerate(zip(RESNET_BLOCKS, filters, strict=True)):
            blocks = [BasicBlock(channels, here, 2 if level else 1)]
            blocks += [BasicBlock(here, here, 1) for _ in range(count - 1)]
            self.stages.append(nn.Sequential(*blocks))
            channels = here
        initialize_as_he(self)

    def _features(self, slices: torch.Tensor) -> list[torch.Tensor]:
        features = [relu(self.stem_norm(self.stem(slices)))]
        x = functional.max_pool2d(features[0], 3, 2, padding=1)
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features


class VGGUNet2d(BackboneUNet):
    """A U-Net with the encoder of VGG-16: maps at 1/1, 1/2, 1/4, 1/8 and 1/16 of the size, then a pooled one."""

    def __init__(self, width: int = WIDTH) -> None:
        filters = scale_filters(width, WIDTH, *VGG_FILTERS)
        super().__init__([*filters, filters[-1]], scale_filters(width, WIDTH, *DECODER_FILTERS))
        self.levels = nn.ModuleList()
        channels = 1
        for count, here in zip(VGG_CONVOLUTIONS, filters, strict=True):
            self.levels.append(
                nn.ModuleList(convolution(2, here if number else channels, here, 3) for number in range(count))
            )
            channels = here
        initialize_as_he(self)

    def _features(self, slices: torch.Tensor) -> list[torch.Tensor]:
        x, features = slices, []
        for number, level in enumerate(self.levels):
            x = pool(x) if number else x
            for conv in level:  # type: ignore[attr-defined]
                x = relu(conv(x))
            features.append(x)
        return [*features, pool(x)]
