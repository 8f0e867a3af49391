"""The MultiResUNet family, as Najeeb and Bhuiyan 2022 built it in 2D and 3D.

The family has no dropout, uses residual paths as skips, and has a batch norm before the final sigmoid. The published
parameter counts and figures belong to residual paths of 3, 2 and 1 units. The 3D network in the authors' repository has
paths of 3, 2 and 2 units.

References:
    Ibtehaz and Rahman 2020, doi:10.1016/j.neunet.2019.08.025.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from .blocks import Block
from .convolution import Dims
from .multires_blocks import ConvBatchNorm, MultiResBlock, ResPath
from .unet import Family

PUBLISHED_LENGTHS = (3, 2, 1)
REPOSITORY_LENGTHS = (3, 2, 2)


class BatchNormHead(ConvBatchNorm):
    """Compute logits by a 1x1 convolution to one channel and a batch norm.

    The logits depend on the running statistics of the batch norm.
    """

    def __init__(self, dims: Dims, in_channels: int) -> None:
        super().__init__(dims, in_channels, 1, 1)


def residual_skip(dims: Dims, level: int, in_channels: int, filters: int, lengths: tuple[int, int, int]) -> Block:
    """Build the skip of level 1, 2 or 3, with the number of residual units that ``lengths`` gives for the level."""
    return ResPath(dims, in_channels, filters, lengths[level - 1])


MULTIRES_UNET = Family(
    block=MultiResBlock,
    base=MultiResBlock,
    skip=partial(residual_skip, lengths=PUBLISHED_LENGTHS),
    head=BatchNormHead,
    dropout=0.0,
)
MULTIRES_UNET_REPOSITORY = replace(MULTIRES_UNET, skip=partial(residual_skip, lengths=REPOSITORY_LENGTHS))
