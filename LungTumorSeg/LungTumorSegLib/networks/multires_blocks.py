"""The blocks of the MultiResUNet, in 2D and 3D, and how their batch norms are saved once nothing is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from .blocks import BatchNorm, Block, relu
from .convolution import Dims, convolution


class ConvBatchNorm(Block):
    """Apply a convolution without bias and a batch norm without scale, the unit of the MultiResUNet.

    While the statistics of the batch norm are frozen, the batch norm is a scale and a shift, which the convolution
    takes over. This saves one pass over the feature map, in inference and in training with frozen statistics.
    """

    def __init__(self, dims: Dims, in_channels: int, filters: int, kernel: int) -> None:
        super().__init__()
        self.out_channels = filters
        self.conv = convolution(dims, in_channels, filters, kernel, bias=False)
        self.bn = BatchNorm(filters, scale=False)
        self.kept: tuple[torch.Tensor, torch.Tensor] | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the unit to ``x`` (N, C, [D,] H, W)."""
        return self.bn(self.conv(x)) if self.bn.training else self.conv.convolve(x, *self.kernel_and_shift())

    def rectified(self, x: torch.Tensor, plus: torch.Tensor | None = None) -> torch.Tensor:
        """Return the ReLU of what ``forward`` returns, plus a feature map of the same shape if there is one."""
        if self.bn.training:
            return relu(self(x) if plus is None else self(x) + plus)
        return self.conv.rectified(x, *self.kernel_and_shift(), plus)

    def kernel_and_shift(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the kernel and the bias of the convolution that equals this unit with frozen statistics."""
        if self.kept is not None:
            return self.kept
        scale, shift = self.bn.affine()
        return self.conv.weight * scale.view(-1, *[1] * (self.conv.weight.ndim - 1)), shift


@contextmanager
def kernels_kept(network: nn.Module) -> Iterator[None]:
    """Compute the kernels of all blocks once, for many stacks, without training; the weights must not change meanwhile.

    A ``MultiResBlock`` then needs one pass less over its feature map; see ``MultiResBlock.folded``.
    """
    units = [module for module in network.modules() if isinstance(module, ConvBatchNorm)]
    blocks = [module for module in network.modules() if isinstance(module, MultiResBlock)]
    try:
        for unit in units:
            unit.kept = unit.kernel_and_shift()
        for block in blocks:
            block.kept = block.folded()
        yield
    finally:
        for unit in units:
            unit.kept = None
        for block in blocks:
            block.kept = None


class MultiResBlock(Block):
    """Apply three 3x3 convolutions in a row with a 1x1 shortcut around them.

    The concatenated outputs of the three convolutions correspond to kernels of 3, 5 and 7. The three widths are
    truncated shares of 1.67 times the number of filters.

    References:
        Ibtehaz and Rahman 2020, doi:10.1016/j.neunet.2019.08.025.
    """

    WIDENING = 1.67
    SHARES = (0.167, 0.333, 0.5)

    def __init__(self, dims: Dims, in_channels: int, filters: int) -> None:
        super().__init__()
        first, second, third = (int(share * self.WIDENING * filters) for share in self.SHARES)
        self.out_channels = first + second + third
        self.shortcut = ConvBatchNorm(dims, in_channels, self.out_channels, 1)
        self.conv3 = ConvBatchNorm(dims, in_channels, first, 3)
        self.conv5 = ConvBatchNorm(dims, first, second, 3)
        self.conv7 = ConvBatchNorm(dims, second, third, 3)
        self.bn_cat = BatchNorm(self.out_channels)
        self.bn_out = BatchNorm(self.out_channels)
        self.kept: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the block to ``x`` (N, C, [D,] H, W)."""
        y3 = self.conv3.rectified(x)
        y5 = self.conv5.rectified(y3)
        y7 = self.conv7.rectified(y5)
        joined = torch.cat([y3, y5, y7], dim=1)
        if self.kept is None:
            return self.bn_out(self.shortcut.rectified(x, self.bn_cat(joined)))
        kernel, shift, scale = self.kept
        return self.bn_out.of_scaled(self.shortcut.conv.rectified(x, kernel, shift, joined), scale)

    def folded(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None:
        """Return what replaces ``bn_cat`` while its statistics are frozen.

        With the scale s > 0 and the shift t of ``bn_cat``, ReLU(shortcut + s * joined + t) equals
        s * ReLU((shortcut + t) / s + joined). The shortcut takes over shift and division, and ``bn_out`` the factor.

        Returns:
            The kernel and the bias of the shortcut, and s of shape (C,); None if s is not above 0 everywhere.
        """
        scale, shift = self.bn_cat.affine()
        if not bool((scale > 0).all()):
            return None
        kernel, bias = self.shortcut.kernel_and_shift()
        return kernel / scale.view(-1, *[1] * (kernel.ndim - 1)), (bias + shift) / scale, scale


class ResPathUnit(Block):
    """Apply a 3x3 convolution with a 1x1 shortcut around it."""

    def __init__(self, dims: Dims, in_channels: int, filters: int) -> None:
        super().__init__()
        self.out_channels = filters
        self.shortcut = ConvBatchNorm(dims, in_channels, filters, 1)
        self.main = ConvBatchNorm(dims, in_channels, filters, 3)
        self.bn_out = BatchNorm(filters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the unit to ``x`` (N, C, [D,] H, W)."""
        return self.bn_out(self.shortcut.rectified(x, self.main.rectified(x)))


class ResPath(Block):
    """Connect the encoder to the decoder by a chain of residual units (Ibtehaz and Rahman 2020)."""

    def __init__(self, dims: Dims, in_channels: int, filters: int, length: int) -> None:
        super().__init__()
        self.out_channels = filters
        for number in range(1, length + 1):
            self.add_module(f"unit{number}", ResPathUnit(dims, in_channels if number == 1 else filters, filters))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply all units in turn to ``x`` (N, C, [D,] H, W)."""
        for unit in self.children():
            x = unit(x)
        return x
