"""Building blocks of all networks, in 2D and 3D.

Feature maps have the shape (N, C, H, W) in 2D and (N, C, D, H, W) in 3D. The argument ``dims`` (2 or 3) selects the
convolution; everything else is the same. The slices of a stack (D) are never pooled: pooling and upsampling act within
the slice plane only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional

from .convolution import Dims, Upsampling3d, convolution

# The published networks were built in Keras, so these are Keras's batch norm constants.
# Keras's momentum of 0.99 corresponds to 0.01 in torch, which weights the new batch instead of the running value.
BATCH_NORM_EPS = 1e-3
BATCH_NORM_MOMENTUM = 0.01


def relu(x: torch.Tensor) -> torch.Tensor:
    """Apply the ReLU in place.

    In-place is safe here because no operation before a ReLU in these networks needs its own output for the gradient.
    """
    return functional.relu(x, inplace=True)


class Block(nn.Module):
    """Turn one feature map into another of the same size with ``out_channels`` channels.

    Attributes:
        out_channels: The number of channels of the output.
    """

    out_channels: int


class Identity(Block):
    """Provide a skip path that passes the feature map on unchanged."""

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x`` unchanged."""
        return x


class BatchNorm(nn.Module):
    """Normalize batches over the channel axis as Keras does.

    The scale is optional. Without it, the module holds no tensor for the scale. Unlike torch's own layer, the module
    does not count batches.
    """

    weight: nn.Parameter | None
    running_mean: torch.Tensor
    running_var: torch.Tensor

    moments: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor, int]] | None = None
    """Returns mean and variance, each of shape (C,), of a batch of which this process has a part, and their number of
    values; None if this process has the whole batch."""

    def __init__(
        self,
        channels: int,
        *,
        scale: bool = True,
        eps: float = BATCH_NORM_EPS,
        momentum: float = BATCH_NORM_MOMENTUM,
    ) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.register_parameter("weight", nn.Parameter(torch.ones(channels)) if scale else None)
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def affine(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the scale and the shift, each of shape (C,), that equal this layer while its statistics are frozen."""
        scale = torch.rsqrt(self.running_var + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        return scale, self.bias - self.running_mean * scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalize a feature map of shape (N, C, ...)."""
        if self.training and self.moments is not None:
            return self._normalized_by(*self.moments(x), x)
        return functional.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training,
            self.momentum,
            self.eps,
        )

    def _normalized_by(self, mean: torch.Tensor, var: torch.Tensor, count: int, x: torch.Tensor) -> torch.Tensor:
        """Normalize ``x`` and update the running statistics, as ``batch_norm`` does with moments of its own."""
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1)), self.momentum)
        scale = torch.rsqrt(var + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        shape = (1, -1, *[1] * (x.ndim - 2))
        return ((x - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)).to(x.dtype)


def pool(x: torch.Tensor) -> torch.Tensor:
    """Max-pool a feature map by 2 within the slice plane.

    In 3D, the slices pass through the 2D operation as a batch. The 3D operation gives the same result, but it is slower
    and falls back to float32 under bfloat16 autocast on a CPU.

    Args:
        x: Feature map (N, C, H, W) or (N, C, D, H, W).

    Returns:
        The pooled feature map, with half the height and width.
    """
    if x.ndim == 4:
        return functional.max_pool2d(x, 2)
    return stack_of(functional.max_pool2d(slices_of(x), 2), depth=x.shape[2])


def slices_of(stack: torch.Tensor) -> torch.Tensor:
    """Reshape stacks (N, C, D, H, W) to slices (N * D, C, H, W)."""
    return stack.transpose(1, 2).flatten(0, 1)


def stack_of(slices: torch.Tensor, depth: int) -> torch.Tensor:
    """Reshape slices (N * D, C, H, W) to stacks (N, C, D, H, W)."""
    return slices.unflatten(0, (-1, depth)).transpose(1, 2)


def channels_last(image: torch.Tensor) -> torch.Tensor:
    """Copy an image into channels-last memory.

    The convolutions then keep this layout for all feature maps, which makes them faster on CPUs. A copy is necessary
    because an image with one channel is contiguous in both layouts, and only fresh strides tell torch which layout is
    meant.
    """
    return image.clone(memory_format=torch.channels_last if image.ndim == 4 else torch.channels_last_3d)


def channel_dropout(dims: Dims, rate: float) -> nn.Module:
    """Build a dropout of whole channels (``SpatialDropout`` in Keras)."""
    return nn.Dropout2d(rate) if dims == 2 else nn.Dropout3d(rate)


class Upsampling(Block):
    """Double height and width by a transposed convolution with kernel and stride 2 within the slice plane."""

    def __init__(self, dims: Dims, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.convt: nn.Module = (
            nn.ConvTranspose2d(in_channels, out_channels, 2, stride=2)
            if dims == 2
            else Upsampling3d(in_channels, out_channels)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Upsample ``x`` (N, C, [D,] H, W) to (N, out_channels, [D,] 2H, 2W)."""
        return self.convt(x)


class PlainBlock(Block):
    """Apply a 3x3 convolution, batch norm and ReLU twice, as the U-Net does.

    References:
        Ronneberger et al. 2015, doi:10.1007/978-3-319-24574-4_28.
    """

    def __init__(self, dims: Dims, in_channels: int, filters: int) -> None:
        super().__init__()
        self.out_channels = filters
        self.conv1 = convolution(dims, in_channels, filters, 3)
        self.bn1 = BatchNorm(filters)
        self.conv2 = convolution(dims, filters, filters, 3)
        self.bn2 = BatchNorm(filters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the block to ``x`` (N, C, [D,] H, W)."""
        x = relu(self.bn1(self.conv1(x)))
        return relu(self.bn2(self.conv2(x)))


class DenseBlock(Block):
    """Apply two convolutions with dense connections.

    The second convolution receives the input again, next to the output of the first. The block returns the input
    together with the result of the second convolution: [x, y2].

    References:
        Kamal et al. 2020, doi:10.1007/978-3-030-62469-9_4.
    """

    def __init__(self, dims: Dims, in_channels: int, filters: int) -> None:
        super().__init__()
        self.out_channels = in_channels + filters
        self.conv1 = convolution(dims, in_channels, filters, 3)
        self.bn1 = BatchNorm(filters)
        self.conv2 = convolution(dims, in_channels + filters, filters, 3)
        self.bn2 = BatchNorm(filters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the block to ``x`` (N, C, [D,] H, W)."""
        y1 = relu(self.bn1(self.conv1(x)))
        y2 = relu(self.bn2(self.conv2(torch.cat([x, y1], dim=1))))
        return torch.cat([x, y2], dim=1)


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
    """Compute the kernels of all ``ConvBatchNorm`` once, for many stacks; the weights must not change meanwhile."""
    units = [module for module in network.modules() if isinstance(module, ConvBatchNorm)]
    try:
        for unit in units:
            unit.kept = unit.kernel_and_shift()
        yield
    finally:
        for unit in units:
            unit.kept = None


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

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the block to ``x`` (N, C, [D,] H, W)."""
        y3 = self.conv3.rectified(x)
        y5 = self.conv5.rectified(y3)
        y7 = self.conv7.rectified(y5)
        joined = self.bn_cat(torch.cat([y3, y5, y7], dim=1))
        return self.bn_out(self.shortcut.rectified(x, joined))


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


def initialize_as_keras(network: nn.Module) -> None:
    """Initialize all convolutions with Keras's defaults, which the published networks used.

    Kernels are Glorot-uniform and biases zero. Batch norms have Keras's initial values already.
    """
    initialize_convolutions(network, nn.init.xavier_uniform_)


def initialize_convolutions(network: nn.Module, initialize: Callable[[torch.Tensor], object]) -> None:
    """Initialize the kernels of all convolutions with a function that changes them in place; biases become zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            initialize(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
