"""Convolutions that can be trained in bfloat16 on a CPU.

On CPUs with AMX, the bfloat16 weight gradient of 3D convolutions (oneDNN in torch 2.13) is wrong, or writes outside its
memory, on slices with more than about 72 rows or columns. The forward pass, the input gradient and 2D convolutions are
correct. On large slices, this module therefore computes the weight gradient, and only that, in float32.
"""

from __future__ import annotations

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
    """Convolve in 3D, using oneDNN.

    For a single small stack, torch selects its reference kernel ``slow_conv3d`` in float32 (torch 2.13, rule
    ``use_mkldnn`` in aten/src/ATen/native/Convolution.cpp). With that kernel, the shipped network takes about four
    times as long.
    """
    result: torch.Tensor = torch.mkldnn_convolution(x, weight, bias, padding, stride, [1] * 3, 1)
    return result


class Convolution2d(nn.Conv2d):
    """Convolve in 2D with stride 1 and padding that keeps the size."""

    def convolve(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """Convolve ``x`` as ``forward`` does, but with another kernel and bias."""
        return functional.conv2d(x, weight, bias, padding=self.kernel_size[-1] // 2)


class Convolution3d(nn.Conv3d):
    """Convolve in 3D with zero padding, with correct bfloat16 gradients on a CPU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve ``x`` (N, C, D, H, W)."""
        return self.convolve(x, self.weight, self.bias)

    def convolve(self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """Convolve ``x`` as ``forward`` does, but with another kernel and bias."""
        on_cpu = x.device.type == "cpu"
        bfloat16 = torch.is_autocast_enabled("cpu") or x.dtype == torch.bfloat16
        trained = torch.is_grad_enabled() and (weight.requires_grad or x.requires_grad)
        stride, padding = list(self.stride), [int(size) for size in self.padding]
        if bfloat16 and on_cpu and max(x.shape[-2:]) > SAFE_SIDE and trained and weight.requires_grad:
            convolved: torch.Tensor = _MixedGradient.apply(x, weight, bias, stride, padding)
            return convolved
        # Converters of traced graphs do not know oneDNN's operation.
        if (
            on_cpu
            and not bfloat16
            and not trained
            and x.dtype == torch.float32
            and not torch.jit.is_tracing()  # type: ignore[attr-defined, unused-ignore]
            and torch.backends.mkldnn.is_available()
        ):
            return _convolve_with_onednn(x, weight, bias, stride, padding)
        return functional.conv3d(x, weight, bias, stride=stride, padding=padding)


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
