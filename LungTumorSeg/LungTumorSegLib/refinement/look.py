"""Look at a place in the CT with the second network: is it a tumor, and where are its borders?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from ..core.components import CONNECTIVITY
from ..core.volume import Mask, Point, Probability, Volume
from ..networks.second_network import SecondNetwork
from .views import FINE_VOXELS, Anatomy, Cube, coarse_view, fine_view

UNIT_MM = 64.0
"""Side of a fine view that the network receives as 0; other sides are given in octaves."""

REACH_VOXELS = 3
"""Distance from the center of the fine view, in voxels, up to which a component of the mask is the candidate's own."""

MIRRORED: tuple[tuple[int, ...], ...] = ((), (-1,))
"""Axes along which the fine view is mirrored in each look: none, and left to right."""

TURNED = MIRRORED + tuple((*more, *axes) for more in ((-2,), (-3,), (-3, -2)) for axes in MIRRORED)
"""The same along all axes: lesions look alike from anywhere, so the mean outline of all eight is steadier.

For 96 clicks on nodules of training patients implanted into four CTs, the median Dice rose from 0.840 to 0.853, the
mean from 0.806 to 0.813, if only the last look was at all eight; eight views in each look gave no more.
"""


@dataclass(frozen=True, eq=False)
class Look:
    """What the second network sees at a place.

    Attributes:
        cube: The fine view.
        tumor_logit: Logit of the place being a tumor, before calibration.
        inside: Probability of each voxel of the cube to be inside the lesion, 0 to 1, float32.
    """

    cube: Cube
    tumor_logit: float
    inside: Probability

    @property
    def mask(self) -> Mask:
        """The voxels of the cube (bool) that are connected with its center; empty if there are none."""
        labels, _ = ndimage.label(self.inside > 0.5, structure=CONNECTIVITY)
        middle = slice(FINE_VOXELS // 2 - REACH_VOXELS, FINE_VOXELS // 2 + REACH_VOXELS)
        near = labels[middle, middle, middle]
        counts = np.bincount(near[near > 0], minlength=1)
        return np.asarray(labels == counts.argmax()) if near.any() else np.zeros(labels.shape, bool)


@dataclass(frozen=True, eq=False)
class SecondReader:
    """The second network, with the CT that it looks at.

    Attributes:
        network: The second network in evaluation mode.
        ct: The CT (HU) with canonical axes.
        anatomy: The same CT, reduced.
        outline_logit: Added to the logit of a voxel being inside the lesion; see the model's manifest.
    """

    network: SecondNetwork
    ct: Volume
    anatomy: Anatomy
    outline_logit: float = 0.0

    def look(self, center: Point, side_mm: float, views: Sequence[tuple[int, ...]] = MIRRORED) -> Look:
        """Look at a place several times: as it is, and mirrored.

        Args:
            center: The place, LPS mm.
            side_mm: Side of the fine view, mm.
            views: ``MIRRORED`` or ``TURNED``.

        Returns:
            The mean outline of all views, and the mean logit of ``MIRRORED``, for which the calibration was fitted.
        """
        cube = Cube(center, side_mm)
        fine, coarse = torch.from_numpy(fine_view(cube, self.ct)), torch.from_numpy(coarse_view(center, self.anatomy))
        around = [coarse.flip(-1) if -1 in axes else coarse for axes in views]  # the anatomy has a front and a top
        octaves = torch.full((len(views),), math.log2(side_mm / UNIT_MM))
        with torch.inference_mode():
            inside, tumor = self.network(_batch([fine.flip(axes) for axes in views]), _batch(around), octaves)
        back = torch.stack([each.flip(axes) for each, axes in zip(inside, views, strict=True)])
        logit = float(tumor[: len(MIRRORED)].mean())
        return Look(cube, logit, np.asarray(torch.sigmoid(back + self.outline_logit).mean(0).numpy()))


def _batch(views: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack(views).contiguous(memory_format=torch.channels_last_3d)
