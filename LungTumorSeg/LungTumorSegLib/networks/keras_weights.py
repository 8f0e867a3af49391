"""Weights of the published Keras networks, put into ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import nn

from .blocks import BatchNorm

# Keras kernel axes -> torch's. Keras: (height, width[, depth], in, out); torch: (out, in[, depth], height, width).
_CONVOLUTION = {4: (3, 2, 0, 1), 5: (4, 3, 2, 0, 1)}
# Keras: (height, width, out, in); torch: (in, out, height, width).
_TRANSPOSED = (3, 2, 0, 1)


def _entries(network: nn.Module) -> Iterator[tuple[str, torch.Tensor, tuple[int, ...]]]:
    """Keras name, our tensor, and the axis permutation from Keras's layout (empty: none) of every weight."""
    for path, module in network.named_modules():
        if isinstance(module, BatchNorm):
            if module.weight is not None:
                yield f"{path}.gamma", module.weight, ()
            yield f"{path}.beta", module.bias, ()
            yield f"{path}.moving_mean", module.running_mean, ()
            yield f"{path}.moving_variance", module.running_var, ()
        elif isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            transposed = isinstance(module, nn.ConvTranspose2d | nn.ConvTranspose3d)
            yield f"{path}.kernel", module.weight, _TRANSPOSED if transposed else _CONVOLUTION[module.weight.ndim]
            if module.bias is not None:
                yield f"{path}.bias", module.bias, ()
