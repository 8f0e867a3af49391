"""Look at a place in the CT with the second network: is it a tumor, and where are its borders?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from ..core.volume import Array, Point, Volume
from ..lesions.components import CONNECTIVITY
from ..networks.second_network import SecondNetwork
from .crops import FINE_VOXELS, Anatomy, Cube, Float, coarse_view, fine_view

UNIT_MM = 64.0
"""Side of a fine view that the network receives as 0; other sides are given in octaves."""

REACH_VOXELS = 3
"""Distance from the center of the fine view, in voxels, up to which a component of the mask is the candidate's own."""


@dataclass(frozen=True, eq=False)
class Look:
    """The answer of the second network.

    Attributes:
        cube: The fine view.
        tumor_logit: Logit of the place being a tumor, before calibration.
        inside: Probability of each voxel of the cube to be inside the lesion, 0 to 1, float32.
    """

    cube: Cube
    tumor_logit: float
    inside: Float

    @property
    def mask(self) -> Array:
        """The voxels of the cube (bool) that are connected with its center; empty if there are none."""
        labels, _ = ndimage.label(self.inside > 0.5, structure=CONNECTIVITY)
        middle = slice(FINE_VOXELS // 2 - REACH_VOXELS, FINE_VOXELS // 2 + REACH_VOXELS)
        near = labels[middle, middle, middle]
        counts = np.bincount(near[near > 0], minlength=1)
        return np.asarray(labels == counts.argmax()) if near.any() else np.zeros(labels.shape, bool)


def look_at(
    network: SecondNetwork,
    ct: Volume,
    anatomy: Anatomy,
    places: list[tuple[Point, float]],
    outline_logit: float = 0.0,
) -> list[Look]:
    """Look at places, each twice: as it is, and mirrored.

    Args:
        network: The second network in evaluation mode.
        ct: The CT (HU) with canonical axes.
        anatomy: The same CT, reduced.
        places: Center (LPS mm) and side of the fine view (mm) of each place.
        outline_logit: Added to the logit of a voxel being inside the lesion; see the model's manifest.

    Returns:
        One answer per place, in the same order: the mean of both views.
    """
    return [_look(network, ct, anatomy, Cube(center, side_mm), outline_logit) for center, side_mm in places]


def _look(network: SecondNetwork, ct: Volume, anatomy: Anatomy, cube: Cube, outline_logit: float) -> Look:
    fine, coarse = fine_view(cube, ct), coarse_view(cube.center, anatomy)
    octaves = torch.full((2,), math.log2(cube.side_mm / UNIT_MM))
    with torch.inference_mode():
        inside, tumor = network(_both(fine), _both(coarse), octaves)
    mirrored = torch.stack([inside[0], inside[1].flip(-1)])
    return Look(cube, float(tumor.mean()), np.asarray(torch.sigmoid(mirrored + outline_logit).mean(0).numpy()))


def _both(view: Float) -> torch.Tensor:
    """Return a view (C, ...) and its mirror image as a batch of two."""
    tensor = torch.from_numpy(view)
    return torch.stack([tensor, tensor.flip(-1)]).contiguous(memory_format=torch.channels_last_3d)
