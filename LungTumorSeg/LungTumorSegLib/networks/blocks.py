"""Building blocks of all networks, in 2D and 3D.

Feature maps have the shape (N, C, H, W) in 2D and (N, C, D, H, W) in 3D. The argument ``dims`` (2 or 3) selects the
convolution; everything else is the same. The slices of a stack (D) are never pooled: pooling and upsampling act within
the slice plane only.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from .convolution import Dims, Upsampling3d, convolution, only_computed

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

    def of_scaled(self, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """Normalize ``scale`` (C,) times a feature map (N, C, ...), in one pass, with frozen statistics."""
        weight = scale if self.weight is None else self.weight * scale
        return functional.batch_norm(
            x, self.running_mean / scale, self.running_var, weight, self.bias, False, 0.0, self.eps
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

    Where nothing is trained, the larger of two rows, and then of two columns, gives the same again in less time.

    Args:
        x: Feature map (N, C, H, W) or (N, C, D, H, W).

    Returns:
        The pooled feature map, with half the height and width.
    """
    rows, columns = x.shape[-2:]
    if only_computed(x) and rows % 2 == 0 and columns % 2 == 0:
        higher = torch.maximum(x[..., ::2, :], x[..., 1::2, :])
        return torch.maximum(higher[..., ::2], higher[..., 1::2])
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
