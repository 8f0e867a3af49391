"""PDV-Net: a progressive dense V-network for several classes, published for the five lobes of the lungs.

The input is halved in two ways, which are concatenated: by average pooling, and by 24 convolutions of 5 x 5 x 5 with
stride 2. Three dense blocks follow, at 1/2, 1/4 and 1/8 of the size, with 5, 10 and 10 convolutions of 3 x 3 x 3 and
growth rates of 4, 6 and 8. Batch norm and PReLU follow each convolution. The skips of the deeper blocks are enlarged
to the first one's size. Three outputs build on each other: the first uses the first skip, the second adds a correction
from the first two skips, and the third adds one from all three.

The paper leaves some details open, and no code was published. These follow the dense V-network of Gibson et al. 2018,
on which the paper builds: convolutions of 24 filters with stride 2 between the blocks; skips of 12, 24 and 24 filters;
trilinear enlargement; output convolutions of 3 x 3 x 3. The dropout rate is this project's choice.

References:
    Imran et al. 2018, arXiv:1902.06362. Gibson et al. 2018, doi:10.1109/TMI.2018.2806309; code: NiftyNet,
    ``dense_vnet.py``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from .blocks import BatchNorm
from .contract import MASK, ClassNetwork, foreground_logits, initialize_as_he, output_bias, scale_filters
from .convolution import Convolution3d

WIDTH = 24
"""Published number of kernels of the first convolution."""

LAYERS = (5, 10, 10)
GROWTH = (4, 6, 8)
SKIPS = (12, 24, 24)

DROPOUT = 0.1
"""Share of the channels that is dropped between the blocks in training; the paper states no rate."""

LOBES = 6
"""Number of classes of the published network: background and five lobes."""


class NormConvolution(nn.Sequential):
    """Convolve without bias, normalize, and apply a PReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1) -> None:
        super().__init__(
            Convolution3d(in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, bias=False),
            BatchNorm(out_channels),
            nn.PReLU(out_channels),
        )


class DenseStack(nn.Module):
    """Apply ``layers`` convolutions, each of which receives the input and the outputs of all convolutions before it.

    The output is the concatenation of the input and all outputs, ``in_channels + layers * growth`` channels.
    """

    def __init__(self, in_channels: int, layers: int, growth: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(NormConvolution(in_channels + i * growth, growth, 3) for i in range(layers))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the stack to ``x`` (N, C, D, H, W)."""
        for conv in self.convs:
            x = torch.cat([x, conv(x)], dim=1)
        return x


class PDVNet(ClassNetwork):
    """The PDV-Net.

    Args:
        width: The number of kernels of the first convolution; growth rates and skips are scaled with it.
        classes: The number of classes, background included.
    """

    multiple = (8, 8, 8)

    def __init__(self, width: int = WIDTH, classes: int = 2) -> None:
        super().__init__()
        growth, skips = scale_filters(width, WIDTH, *GROWTH), scale_filters(width, WIDTH, *SKIPS)
        self.first = NormConvolution(1, width, 5, stride=2)
        self.stacks, self.compress, self.skips, self.heads = (nn.ModuleList() for _ in range(4))
        channels = width + 1
        for number, layers in enumerate(LAYERS):
            self.stacks.append(DenseStack(channels, layers, growth[number]))
            channels += layers * growth[number]
            self.skips.append(NormConvolution(channels, skips[number], 3))
            self.heads.append(Convolution3d(sum(skips[: number + 1]), classes, 3, padding=1))
            if number + 1 < len(LAYERS):
                self.compress.append(NormConvolution(channels, width, 3, stride=2))
                channels = width
        self.drop = nn.Dropout3d(DROPOUT)
        initialize_as_he(self)

    def outputs(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the outputs ``progressive1``, ``progressive2`` and ``mask``.

        With two classes they are foreground logits, with more classes the scores (N, classes, D, H, W).
        """
        names = [*(f"progressive{number}" for number in range(1, len(LAYERS))), MASK]
        found = dict(zip(names, self.maps(image), strict=True))
        if found[MASK].shape[1] > 2:
            return found
        return {name: foreground_logits(scores) for name, scores in found.items()}

    def prior_biases(self) -> Sequence[torch.Tensor]:
        """Return the foreground bias of the first output, on which the others build."""
        return [output_bias(self.heads[0], first=1)]

    def _maps(self, stack: torch.Tensor) -> Sequence[torch.Tensor]:
        x = torch.cat([functional.avg_pool3d(stack, 3, 2, padding=1), self.first(stack)], dim=1)
        merged: list[torch.Tensor] = []
        results: list[torch.Tensor] = []
        for number, (dense, skip, head) in enumerate(zip(self.stacks, self.skips, self.heads, strict=True)):
            features = dense(x)
            merged.append(_resized(skip(features), merged[0].shape[2:] if merged else None))
            scores = head(torch.cat(merged, dim=1))
            results.append(results[-1] + scores if results else scores)
            if number < len(self.compress):
                x = self.drop(self.compress[number](features))
        return [_resized(scores, stack.shape[2:]) for scores in results]


def _resized(x: torch.Tensor, size: Sequence[int] | None) -> torch.Tensor:
    """Return ``x`` (N, C, D, H, W) trilinearly enlarged to ``size``; unchanged if it is None."""
    if size is None or tuple(x.shape[2:]) == tuple(size):
        return x
    return functional.interpolate(x, size=list(size), mode="trilinear", align_corners=False)
