"""Which networks compute a part of the slice plane as they compute the whole plane."""

from __future__ import annotations

import torch

from .recurrent_dense_unet import ConvLSTM
from .unet import EncoderDecoder


def is_local(network: torch.nn.Module) -> bool:
    """Return whether the probability at a voxel depends on its surroundings only, wherever the plane is cropped.

    A convolutional LSTM carries its state along the rows of the whole plane. Networks of other architectures are not
    known to be local.
    """
    return isinstance(network, EncoderDecoder) and not any(isinstance(part, ConvLSTM) for part in network.modules())
