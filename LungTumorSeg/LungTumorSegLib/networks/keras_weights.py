"""Transfer the weights of the published Keras networks into the networks of this package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from .blocks import BatchNorm
from .recurrent_dense_unet import ConvLSTM

# Permutations of kernel axes from Keras (height, width[, depth], in, out) to torch (out, in[, depth], height, width).
_CONVOLUTION = {4: (3, 2, 0, 1), 5: (4, 3, 2, 0, 1)}
# The same for transposed convolutions, from Keras (height, width, out, in) to torch (in, out, height, width).
_TRANSPOSED = (3, 2, 0, 1)

Weight = tuple[str, torch.Tensor, tuple[int, ...]]


def load_keras_weights(network: nn.Module, arrays: Mapping[str, npt.ArrayLike]) -> None:
    """Set all weights of a network from arrays in Keras's layout.

    If an array does not fit, the network stays as it was.

    Args:
        network: The network to change.
        arrays: Arrays by name, such as ``enc1.conv1.kernel``. Batch norms have ``gamma`` (only if they have a scale),
            ``beta``, ``moving_mean`` and ``moving_variance``.

    Raises:
        ValueError: An array is missing, unknown to the network, or of another shape.
    """
    entries = {name: (tensor, axes) for name, tensor, axes in _weights(network)}
    missing, extra = sorted(entries.keys() - arrays.keys()), sorted(arrays.keys() - entries.keys())
    if missing or extra:
        raise ValueError(f"The weights do not fit the network: missing {missing or 'none'}, unknown {extra or 'none'}.")
    values = {}
    for name, (tensor, axes) in entries.items():
        array = np.asarray(arrays[name], np.float32)
        value = np.transpose(array, axes) if len(axes) == array.ndim else array
        # Keras's kernel of a transposed convolution lacks the depth axis of size 1.
        if value.size == tensor.numel() and value.ndim + 1 == tensor.ndim:
            value = np.expand_dims(value, 2)
        if value.shape != tuple(tensor.shape):
            raise ValueError(
                f"The array {name} of shape {array.shape} does not fit a weight of shape {tuple(tensor.shape)}."
            )
        values[name] = torch.from_numpy(np.ascontiguousarray(value))
    with torch.no_grad():
        for name, (tensor, _) in entries.items():
            tensor.copy_(values[name])


def _weights(network: nn.Module) -> Iterator[Weight]:
    """Yield the Keras name, the tensor and the axis permutation from Keras's layout for every weight.

    An empty permutation means that the layouts are the same.
    """
    for path, module in network.named_modules():
        if isinstance(module, BatchNorm):
            if module.weight is not None:
                yield f"{path}.gamma", module.weight, ()
            yield f"{path}.beta", module.bias, ()
            yield f"{path}.moving_mean", module.running_mean, ()
            yield f"{path}.moving_variance", module.running_var, ()
        elif isinstance(module, ConvLSTM):
            yield f"{path}.kernel", module.kernel, _CONVOLUTION[4]
            yield f"{path}.recurrent_kernel", module.recurrent_kernel, _CONVOLUTION[4]
            yield f"{path}.bias", module.bias, ()
        elif isinstance(module, nn.ConvTranspose2d | nn.ConvTranspose3d):
            yield f"{path}.kernel", module.weight, _TRANSPOSED
            yield from _bias(path, module.bias)
        elif isinstance(module, nn.Conv2d | nn.Conv3d):
            yield f"{path}.kernel", module.weight, _CONVOLUTION[module.weight.ndim]
            yield from _bias(path, module.bias)


def _bias(path: str, bias: torch.Tensor | None) -> Iterator[Weight]:
    if bias is not None:
        yield f"{path}.bias", bias, ()


def keras_counts(network: nn.Module) -> tuple[int, int]:
    """Return the total and the trainable number of weights as Keras counts them.

    Running means and variances count as not trainable.
    """
    total = sum(tensor.numel() for _, tensor, _ in _weights(network))
    return total, sum(p.numel() for p in network.parameters() if p.requires_grad)
