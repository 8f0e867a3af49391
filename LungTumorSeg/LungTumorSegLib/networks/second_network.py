"""The network of the second look: outlines one candidate and estimates the probability that it is a tumor.

A 3D U-Net (Çiçek et al. 2016, doi:10.1007/978-3-319-46723-8_49) with isotropic pooling works on the fine view. An
encoder of its own reads the coarse view. What it finds joins the lowest level of the U-Net, so that the anatomy
around a candidate influences both answers.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from .blocks import PlainBlock

FINE_CHANNELS, COARSE_CHANNELS = 2, 3
LEVELS = (1, 2, 4, 6)
"""Number of filters per level, in multiples of the width."""

HIDDEN, DROPOUT = 48, 0.2
CENTER_LOGITS = 5.0
"""Divisor that brings the logits of the mask to the size of the other measures."""


class SecondNetwork(nn.Module):
    """Turn two views of a candidate into a mask and a probability, both as logits.

    Args:
        width: Number of filters of the first level.
    """

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        filters = [width * level for level in LEVELS]
        channels = [FINE_CHANNELS, *filters]
        self.down = nn.ModuleList(PlainBlock(3, a, b) for a, b in pairwise(channels))
        coarse = [COARSE_CHANNELS, width, 2 * width, 4 * width]
        self.context = nn.ModuleList(PlainBlock(3, a, b) for a, b in pairwise(coarse))
        self.join = nn.Linear(4 * width * 9, filters[-1])
        self.up = nn.ModuleList(
            PlainBlock(3, filters[k] + filters[k + 1], filters[k]) for k in reversed(range(len(filters) - 1))
        )
        self.mask = nn.Conv3d(filters[0], 1, 1)
        self.hidden = nn.Linear(3 * filters[-1] + filters[0] + 3, HIDDEN)
        self.tumor = nn.Linear(HIDDEN, 1)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(
        self, fine: torch.Tensor, coarse: torch.Tensor, side: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Look at candidates.

        Args:
            fine: Fine views (N, 2, 40, 40, 40).
            coarse: Coarse views (N, 3, 32, 32, 32).
            side: Base-2 logarithm of the sides of the fine views divided by 64 mm, (N,).

        Returns:
            Logits of the masks (N, 40, 40, 40) and of the candidates being tumors (N,).
        """
        levels: list[torch.Tensor] = []
        x = fine
        for block in self.down:
            x = block(functional.max_pool3d(x, 2) if levels else x)
            levels.append(x)
        around = self.join(self._surroundings(coarse))
        x = x + around[:, :, None, None, None]
        pooled = [x.mean((2, 3, 4)), x.amax((2, 3, 4)), around, side[:, None]]
        for block, level in zip(self.up, levels[-2::-1], strict=True):
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = block(torch.cat([x, level], dim=1))
        mask = self.mask(x)
        hidden = functional.relu(self.hidden(torch.cat([*pooled, *_inside(x, mask)], dim=1)))
        return mask[:, 0], self.tumor(self.dropout(hidden))[:, 0]

    def _surroundings(self, coarse: torch.Tensor) -> torch.Tensor:
        """Return what the coarse view holds in its middle and around it, (N, 36 * width)."""
        x = coarse
        for block in self.context:
            x = functional.max_pool3d(block(x), 2)
        middle = x[:, :, 1:3, 1:3, 1:3]  # the eight voxels of 48 mm around the center
        return torch.cat([middle.flatten(1), x.mean((2, 3, 4))], dim=1)


def _inside(x: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Summarize what lies inside the predicted mask.

    Args:
        x: The feature map of the last level (N, C, 40, 40, 40).
        mask: The logits of the mask (N, 1, 40, 40, 40).

    Returns:
        The mean features inside the mask (N, C), the share of the cube that the mask fills, and the mean logit of the
        mask around the center of the cube, both (N, 1).
    """
    share = torch.sigmoid(mask)
    whole = share.sum((2, 3, 4))
    features = (x * share).sum((2, 3, 4)) / (whole + 1)
    middle = slice(x.shape[-1] // 2 - 3, x.shape[-1] // 2 + 3)
    center = mask[..., middle, middle, middle].mean((2, 3, 4))
    return features, whole / share[0, 0].numel(), center / CENTER_LOGITS
