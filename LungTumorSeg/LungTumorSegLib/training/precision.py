"""Mixed precision: where the network computes in bfloat16, and in which memory order."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from ..inference.predictor import DTYPES

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return a context of autocast to ``precision``, which does nothing for float32."""
    return nullcontext() if precision == "float32" else torch.autocast(device.type, DTYPES[precision])


def channels_last(tensor: Tensor) -> Tensor:
    """Return ``tensor`` in the memory order in which convolutions are several times faster."""
    return tensor.contiguous(memory_format=FORMATS[tensor.ndim]) if tensor.ndim in FORMATS else tensor


def prepare_network(network: nn.Module, device: torch.device) -> nn.Module:
    """Move ``network`` to ``device`` and its kernels to channels-last order, in place; return it."""
    network.to(device)
    for parameter in network.parameters():
        parameter.data = channels_last(parameter.data)
    return network
