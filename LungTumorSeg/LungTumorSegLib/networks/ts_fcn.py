"""TS-FCN: a fully convolutional network that outlines the tumor in a box around it, slice by slice.

The layers are those of the report: three levels of two 3 x 3 convolutions with 64, 128 and 256 filters, each
level followed by max pooling; a 7 x 7 convolution without padding and a 1 x 1 convolution with 4,096 filters each, both
with dropout; two class scores; a transposed convolution of 16 x 16 with stride 8 and fixed bilinear weights; a crop of
the center. The first convolution pads by 32 pixels. A slice of 100 x 100 thus gives scores of 15 x 15, which become
128 x 128 and are cropped to 100 x 100.

As in the report, the slice is repeated to three channels, because the first convolutions were pretrained on color
pictures; here they start from random weights.

The center crop of the report moves the output by 3 pixels against the input at 100 x 100, and by 1 pixel at sizes that
are multiples of 8. The learned layers can compensate for it.

References:
    Ray 2016, "Lung tumor segmentation via fully convolutional neural networks", Stanford CS231N. Long et al. 2015,
    doi:10.1109/CVPR.2015.7298965.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from .blocks import relu
from .contract import SliceNetwork, foreground_logits, initialize_as_he, output_bias

WIDTH = 64
"""Published number of filters of the first level."""

HIDDEN = 64
"""Filters of the two wide layers, as a multiple of the first level's."""

FIRST_PADDING = 32
COLORS = 3
CLASSES = 2
STRIDE, KERNEL = 8, 16


class TSFCN(SliceNetwork):
    """The TS-FCN.

    Args:
        width: The number of filters of the first level.
    """

    multiple = (1, 1, 1)
    bilinear: torch.Tensor

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        channels = COLORS
        for level in range(3):
            for number in range(2):
                first = level == number == 0
                self.convs.append(nn.Conv2d(channels, width * 2**level, 3, padding=FIRST_PADDING if first else 1))
                channels = width * 2**level
        self.wide1 = nn.Conv2d(channels, HIDDEN * width, 7)
        self.wide2 = nn.Conv2d(HIDDEN * width, HIDDEN * width, 1)
        self.out = nn.Conv2d(HIDDEN * width, CLASSES, 1)
        self.drop = nn.Dropout(0.5)
        self.register_buffer("bilinear", _bilinear_kernel(), persistent=False)
        initialize_as_he(self)

    def class_scores(self, stack: torch.Tensor) -> torch.Tensor:
        """Return the scores (N, 2, D, H, W) of background and tumor before the softmax."""
        return self.maps(stack)[0]

    def logits(self, image: torch.Tensor) -> torch.Tensor:
        """Return the logits of the tumor class, with the shape of the stack (N, 1, D, H, W)."""
        return foreground_logits(self.class_scores(image))

    def prior_biases(self) -> Sequence[torch.Tensor]:
        """Return the bias of the tumor class."""
        return [output_bias(self.out, first=1)]

    def _slice_map(self, slices: torch.Tensor) -> torch.Tensor:
        x = slices.repeat(1, COLORS, 1, 1)
        for number, conv in enumerate(self.convs):
            x = relu(conv(x))
            if number % 2:
                x = functional.max_pool2d(x, 2, ceil_mode=True)
        x = self.drop(relu(self.wide1(x)))
        x = self.out(self.drop(relu(self.wide2(x))))
        x = functional.conv_transpose2d(x, self.bilinear.to(x.dtype), stride=STRIDE, groups=CLASSES)
        top, left = ((x.shape[axis] - slices.shape[axis]) // 2 for axis in (2, 3))
        return x[:, :, top : top + slices.shape[2], left : left + slices.shape[3]]


def _bilinear_kernel() -> torch.Tensor:
    """Return the weights (classes, 1, 16, 16) that enlarge by 8 with bilinear interpolation."""
    center = (KERNEL - 1) / 2
    profile = 1 - (torch.arange(KERNEL) - center).abs() / STRIDE
    return torch.outer(profile, profile).expand(CLASSES, 1, KERNEL, KERNEL).contiguous()
