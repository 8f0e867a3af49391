"""Untrained networks whose output differs from voxel to voxel, and a small working grid for them."""

from __future__ import annotations

import numpy as np
import torch
from LungTumorSegLib.core.volume import Array, CTVolume
from LungTumorSegLib.inference.grid import WorkingGrid, make_working_grid
from LungTumorSegLib.networks import build_network
from LungTumorSegLib.networks.blocks import BatchNorm


def a_grid_of_noise(mask: Array) -> WorkingGrid:
    """Make a working grid with noise inside ``mask`` (slice, row, column) and air outside."""
    rng = np.random.default_rng(3)
    affine = np.diag([1.5, 1.5, 3.0, 1.0])[:, [2, 1, 0, 3]]
    ct = CTVolume(np.where(mask, rng.normal(-300, 300, mask.shape), -1024).astype(np.float32), affine)
    return make_working_grid(ct, ct.with_array(mask), spacing_mm=(3.0, 1.5, 1.5), intensity_range_hu=(-1000, 400))


def a_network(name: str) -> torch.nn.Module:
    """Build a network of width 4 with random weights and random statistics of its batch normalization."""
    torch.manual_seed(11)
    network = build_network(name, 4)
    for module in network.modules():
        if isinstance(module, BatchNorm):
            module.running_var.uniform_(0.2, 2.0)
            module.running_mean.normal_(0, 0.2)
    return network.eval()
