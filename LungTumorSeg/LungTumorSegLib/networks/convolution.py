"""Convolutions that can be trained in bfloat16 on a CPU.

On CPUs with AMX, the bfloat16 weight gradient of 3D convolutions (oneDNN in torch 2.13) is wrong, or writes outside its
memory, on slices with more than about 72 rows or columns. The forward pass, the input gradient and 2D convolutions are
correct. On large slices, this module therefore computes the weight gradient, and only that, in float32.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

Dims = Literal[2, 3]

# Longest side, in voxels, on which the bfloat16 weight gradient was correct for every tested combination of 1 to 212
# channels.
SAFE_SIDE = 64

Gradients = tuple[torch.Tensor | None, torch.Tensor | None, torch.Tensor | None]

Size = int | tuple[int, int, int]
"""A size along all axes, or along (slice, row, column)."""


class _MixedGradient(torch.autograd.Function):
    """Convolve in 3D in bfloat16, with weight and bias gradients in float32."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        stride: list[int],
        padding: list[int],
    ) -> torch.Tensor:
        """Convolve ``x`` in bfloat16 and save what the backward pass needs."""
        x = x.to(torch.bfloat16)
        ctx.save_for_backward(x, weight)
        ctx.has_bias, ctx.stride, ctx.padding = bias is not None, stride, padding
        return functional.conv3d(
            x,
            weight.to(torch.bfloat16),
            None if bias is None else bias.to(torch.bfloat16),
            stride=stride,
            padding=padding,
        )

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of the input (bfloat16), the weight and the bias (both float32)."""
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        size = (ctx.stride, ctx.padding)
        grad_x = (
            _gradients(gradient, x, weight.to(torch.bfloat16), *size, (True, False, False))[0]
            if ctx.needs_input_grad[0]
            else None
        )
        _, grad_weight, grad_bias = _gradients(
            gradient.float(), x.float(), weight.float(), *size, (False, True, ctx.has_bias)
        )
        return grad_x, grad_weight, grad_bias, None, None


def _gradients(
    gradient: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    stride: list[int],
    padding: list[int],
    wanted: tuple[bool, bool, bool],
) -> Gradients:
    """Return the gradients of the input, the weight and the bias, each computed only where ``wanted`` is true."""
    result: Gradients = torch.ops.aten.convolution_backward(
        gradient, x, weight, [weight.shape[0]], stride, padding, [1, 1, 1], False, [0, 0, 0], 1, list(wanted)
    )
    return result


def _convolve_with_onednn(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, stride: list[int], padding: list[int]
) -> torch.Tensor:
    """Convolve in 2D or 3D, using oneDNN.

    For a single small stack, torch selects its reference kernel ``slow_conv3d`` in float32 (torch 2.13, rule
    ``use_mkldnn`` in aten/src/ATen/native/Convolution.cpp). With that kernel, the shipped network takes about four
    times as long.
    """
    ones, precision = [1] * len(stride), _precision(x)
    result: torch.Tensor = torch.mkldnn_convolution(
        x.to(precision), weight.to(precision), _to(bias, precision), padding, stride, ones, 1
    )
    return result


def _rectified_with_onednn(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    stride: list[int],
    padding: list[int],
    plus: torch.Tensor | None,
) -> torch.Tensor:
    """Convolve, add ``plus`` and apply the ReLU in one pass over the memory.

    In float32 it rounds as three passes do. In bfloat16 it rounds once instead of up to three times.
    """
    ones, precision = [1] * len(stride), _precision(x)
    x, weight, bias, plus = x.to(precision), weight.to(precision), _to(bias, precision), _to(plus, precision)
    pointwise = torch.ops.mkldnn._convolution_pointwise
    if plus is None:
        result: torch.Tensor = pointwise(x, weight, bias, padding, stride, ones, 1, "relu", [], "")
    else:
        result = pointwise.binary(x, plus, weight, bias, padding, stride, ones, 1, "add", None, "relu", [], None)
    return result


def _upsampled_with_onednn(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Convolve in 3D, transposed, with kernel and stride 2 within the slice plane, using oneDNN.

    For small planes, torch selects its reference kernel, which takes several times as long and returns another layout,
    which makes the following layers slower.
    """
    zeros, stride, precision = [0] * 3, [1, 2, 2], _precision(x)
    result: torch.Tensor = torch.ops.mkldnn._convolution_transpose_pointwise(
        x.to(precision),
        weight.to(precision),
        _to(bias, precision),
        zeros,
        zeros,
        stride,
        [1] * 3,
        1,
        "none",
        [],
        "",
    )
    return result


def _rectifies(x: torch.Tensor, plus: torch.Tensor | None) -> bool:
    """Return whether oneDNN can convolve ``x``, add ``plus`` and apply the ReLU in one pass.

    In bfloat16 with a sum, torch has this operation in channels-last memory only, and raises an error elsewhere.
    """
    ordered = plus is None or _precision(x) == torch.float32 or x.stride(1) == plus.stride(1) == 1
    return ordered and _fuses(_precision(x))


def _to(tensor: torch.Tensor | None, precision: torch.dtype) -> torch.Tensor | None:
    return None if tensor is None else tensor.to(precision)


@functools.cache
def _fuses(precision: torch.dtype) -> bool:
    """Return whether this version of torch has these operations of oneDNN in a precision.

    They are internal to torch, so a version may lack them (AttributeError), take other arguments (TypeError) or refuse
    this processor (the other two errors). The network then computes the same in separate passes.
    """
    x, kernel = torch.zeros((1, 2, 2, 2, 2), dtype=precision), torch.zeros((2, 2, 1, 2, 2), dtype=precision)
    x = x.contiguous(memory_format=torch.channels_last_3d)
    try:
        for plus in (None, x):
            _rectified_with_onednn(x, kernel[..., :1, :1], None, [1] * 3, [0] * 3, plus)
        _upsampled_with_onednn(x, kernel, None)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return False
    return True


def _precision(x: torch.Tensor) -> torch.dtype:
    """Return the type in which a convolution of ``x`` is computed: that of autocast, where it is enabled."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def _with_onednn(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Return whether a convolution can be left to oneDNN: on a CPU, in a precision it has there, and not trained."""
    precision = _precision(x)
    return (
        only_computed(x, weight)
        and (precision == torch.float32 or (precision == torch.bfloat16 and _fuses(precision)))
        and torch.backends.mkldnn.is_available()
    )


def only_computed(*tensors: torch.Tensor) -> bool:
    """Return whether an operation on a CPU is neither trained nor traced, so that it may be replaced by a faster one.

    Converters of traced graphs know neither oneDNN's operations nor what others stand for.
    """
    trained = torch.is_grad_enabled() and any(each.requires_grad for each in tensors)
    traced = torch.jit.is_tracing()  # type: ignore[attr-defined, unused-ignore]
    return tensors[0].device.type == "cpu" and not trained and not traced


def _rectified(y: torch.Tensor, plus: torch.Tensor | None) -> torch.Tensor:
    return functional.relu(y if plus is None else y + plus, inplace=True)


class Convolution2d(nn.Conv2d):
    """Convolve in 2D with stride 1 and padding that keeps the size."""

    def convolve(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """Convolve ``x`` as ``forward`` does, but with another kernel and bias."""
        return functional.conv2d(x, weight, bias, padding=self.kernel_size[-1] // 2)

    def rectified(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, plus: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the ReLU of what ``convolve`` returns, plus a feature map of the same shape if there is one."""
        if _with_onednn(x, weight) and _rectifies(x, plus):
            return _rectified_with_onednn(x, weight, bias, [1] * 2, [self.kernel_size[-1] // 2] * 2, plus)
        return _rectified(self.convolve(x, weight, bias), plus)


class Convolution3d(nn.Conv3d):
    """Convolve in 3D with zero padding, with correct bfloat16 gradients on a CPU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve ``x`` (N, C, D, H, W)."""
        return self.convolve(x, self.weight, self.bias)

    def convolve(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """Convolve ``x`` as ``forward`` does, but with another kernel and bias."""
        bfloat16 = torch.is_autocast_enabled("cpu") or x.dtype == torch.bfloat16
        trained = torch.is_grad_enabled() and weight.requires_grad
        stride, padding = self._stride_and_padding()
        if bfloat16 and x.device.type == "cpu" and max(x.shape[-2:]) > SAFE_SIDE and trained:
            convolved: torch.Tensor = _MixedGradient.apply(x, weight, bias, stride, padding)
            return convolved
        if _with_onednn(x, weight):
            return _convolve_with_onednn(x, weight, bias, stride, padding)
        return functional.conv3d(x, weight, bias, stride=stride, padding=padding)

    def rectified(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, plus: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return the ReLU of what ``convolve`` returns, plus a feature map of the same shape if there is one."""
        if _with_onednn(x, weight) and _rectifies(x, plus):
            return _rectified_with_onednn(x, weight, bias, *self._stride_and_padding(), plus)
        return _rectified(self.convolve(x, weight, bias), plus)

    def _stride_and_padding(self) -> tuple[list[int], list[int]]:
        return list(self.stride), [int(size) for size in self.padding]


class Upsampling3d(nn.ConvTranspose3d):
    """Double height and width by a transposed convolution with kernel and stride 2 within the slice plane."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, (1, 2, 2), stride=(1, 2, 2))

    def forward(self, x: torch.Tensor, output_size: list[int] | None = None) -> torch.Tensor:
        """Upsample ``x`` (N, C, D, H, W)."""
        if output_size is None and _with_onednn(x, self.weight) and _fuses(_precision(x)):
            return _upsampled_with_onednn(x, self.weight, self.bias)
        return super().forward(x, output_size)


Convolution = Convolution2d | Convolution3d


def convolution(dims: Dims, in_channels: int, out_channels: int, kernel: int, *, bias: bool = True) -> Convolution:
    """Build a convolution of stride 1 with zero padding that keeps the size.

    Args:
        dims: 2 or 3 dimensions.
        in_channels: Number of input channels.
        out_channels: Number of output channels.
        kernel: Odd side length of the square or cubic kernel.
        bias: Whether the convolution adds a bias.

    Returns:
        The convolution with torch's default initial weights.
    """
    conv = Convolution2d if dims == 2 else Convolution3d
    return conv(in_channels, out_channels, kernel, padding=kernel // 2, bias=bias)
