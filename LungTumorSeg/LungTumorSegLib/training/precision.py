"""Mixed precision on this machine: where the network computes in bfloat16 and in which memory order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn

from ..inference.predictor import DTYPES

SAFE_CHANNELS = 16
"""Convolutions of fewer input channels stay in single precision on CPUs: their bfloat16 gradient kernels for AMX hang or crash
(oneDNN in torch 2.13; 4 -> 8 and 13 -> 16 channels), and they cost little anyway."""

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Autocast to ``precision``, or nothing for float32."""
    return nullcontext() if precision == "float32" else torch.autocast(device.type, DTYPES[precision])


def channels_last(tensor: Tensor) -> Tensor:
    """``tensor`` in the memory order in which convolutions are several times faster."""
    return tensor.contiguous(memory_format=FORMATS[tensor.ndim]) if tensor.ndim in FORMATS else tensor


def prepare_network(network: nn.Module, device: torch.device, precision: str) -> nn.Module:
    """``network`` on ``device``, its kernels in channels-last order, its narrow convolutions guarded (see ``SAFE_CHANNELS``)."""
    network.to(device)
    for parameter in network.parameters():
        parameter.data = channels_last(parameter.data)
    if device.type == "cpu" and precision == "bfloat16":
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Conv3d) and module.in_channels < SAFE_CHANNELS:
                module.forward = partial(_in_single_precision, module.forward)  # type: ignore[method-assign]
    return network


def _in_single_precision(forward: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    if not torch.is_autocast_enabled("cpu"):
        return forward(x)
    with torch.autocast("cpu", enabled=False):
        answer: Tensor = forward(x.float())
    return answer.to(torch.bfloat16)
