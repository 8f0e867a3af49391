"""Vary stored samples each time they are drawn, so that few CTs are not learned by heart.

Position changes first: a view is turned, stretched, moved and seen from a little closer. Then appearance changes:
sharpness, noise, enhancement and the density of the lung. Both views of a sample change together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ...refinement.look import UNIT_MM
from ...refinement.views import COARSE_MM
from .sampling import DOES_NOT_COUNT, OWN

TURN_DEG = (14.0, 8.0, 8.0)
"""Standard deviation of the rotation about the slice, row and column axes, degrees."""

CLOSER, STRETCH, MOVE = (0.78, 1.0), 0.08, 0.08
"""Range of the side of the new fine view, largest stretch of an axis, and standard deviation of the shift.

The shift is a share of half of the side. A new view never exceeds the old one by much, because nothing is stored there.
"""

SHIFT_HU, NOISE_HU, LUNG_SHIFT_HU = 10.0, (4.0, 40.0), 70.0
"""Standard deviation of the shift of all HU, range of that of the noise, and largest change of aerated lung, HU."""

BLUR_VOXELS, SHARPENING, ENHANCEMENT = (0.4, 1.0), (0.3, 1.2), (0.75, 1.25)
"""Sigma of the blur, weight of the sharpening by an unsharp mask, and factor of HU above water."""

NOISE_VOXELS, MASK_VOXELS = (0.35, 0.9), 0.8
"""Sigma of the correlation of noise, and of the blur of the unsharp mask, voxels."""

BLURRED, SHARPENED, NOISY, ENHANCED, INFLATED = 0.2, 0.2, 0.4, 0.35, 0.25
"""Shares of the samples; none is both blurred and sharpened."""

LUNG_LIMIT_HU, LUNG_RANGE_HU = -600.0, 250.0
"""HU below which lung changes its density, and the range over which the change rises to its full amount."""

IGNORED = 0.4
"""Share of a voxel from which it does not count."""


@dataclass(frozen=True, eq=False)
class Views:
    """Stored views as tensors, in HU.

    Attributes:
        fine: float32 (N, 40, 40, 40).
        coarse: HU and the scaled share of aerated lung, float32 (N, 2, 32, 32, 32).
        mask: uint8 (N, 40, 40, 40); see ``sampling.Sample``.
        octaves: Base-2 logarithm of the sides of the fine views divided by ``UNIT_MM``, float32 (N,).
    """

    fine: Tensor
    coarse: Tensor
    mask: Tensor
    octaves: Tensor

    def mirrored(self) -> Views:
        """Return the views with left and right exchanged."""
        return Views(self.fine.flip(-1), self.coarse.flip(-1), self.mask.flip(-1), self.octaves)


def move_views(views: Views, rng: np.random.Generator) -> Views:
    """Return views that are turned, stretched, moved and seen from closer, each in its own way."""
    count = len(views.fine)
    matrix = _rotations(count, rng) * rng.uniform(1 - STRETCH, 1 + STRETCH, (count, 3))[:, None, :]
    closer, shift = rng.uniform(*CLOSER, count), rng.normal(0, MOVE, (count, 3))
    sides_mm = UNIT_MM * 2 ** views.octaves.numpy()
    fine = _grid(matrix * closer[:, None, None], shift, views.fine.shape[1:])
    coarse = _grid(matrix, shift * (sides_mm / COARSE_MM)[:, None], views.coarse.shape[2:])
    kinds = torch.stack([(views.mask == kind).float() for kind in (OWN, DOES_NOT_COUNT)], dim=1)
    own, ignored = _sampled(kinds, fine).unbind(dim=1)
    mask = torch.where(ignored > IGNORED, DOES_NOT_COUNT, torch.where(own > 0.5, OWN, 0)).to(torch.uint8)
    octaves = views.octaves + torch.from_numpy(np.log2(closer).astype(np.float32))
    return Views(_sampled(views.fine[:, None], fine)[:, 0], _sampled(views.coarse, coarse), mask, octaves)


def restyle_views(views: Views, rng: np.random.Generator) -> Views:
    """Return views as other scanners, doses, contrast phases and breaths would show them."""
    shift = torch.from_numpy(rng.normal(0, SHIFT_HU, (len(views.fine), 1, 1, 1)).astype(np.float32))
    fine, coarse = views.fine + shift, views.coarse.clone()
    coarse[:, 0] += shift
    for view, around in zip(fine, coarse[:, 0], strict=True):
        style = rng.random()
        if style < BLURRED:
            view.copy_(_blurred(view, rng.uniform(*BLUR_VOXELS)))
        elif style < BLURRED + SHARPENED:
            view.add_(view - _blurred(view, MASK_VOXELS), alpha=rng.uniform(*SHARPENING))
        if rng.random() < NOISY:
            view.add_(_noise(view, rng), alpha=rng.uniform(*NOISE_HU))
        if rng.random() < ENHANCED:
            view.copy_(torch.where(view > 0, view * rng.uniform(*ENHANCEMENT), view))
        if rng.random() < INFLATED:
            change = rng.uniform(-LUNG_SHIFT_HU, LUNG_SHIFT_HU)
            for each in (view, around):
                each.add_(((LUNG_LIMIT_HU - each) / LUNG_RANGE_HU).clamp(0, 1), alpha=change)
    return Views(fine, coarse, views.mask, views.octaves)


def _rotations(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return random rotation matrices for (x, y, z) = (column, row, slice), (N, 3, 3)."""
    matrices = np.tile(np.eye(3), (count, 1, 1))
    for axis, deviation in zip((2, 1, 0), TURN_DEG, strict=True):
        angle = np.radians(rng.normal(0, deviation, count))
        turn = np.tile(np.eye(3), (count, 1, 1))
        first, second = (axis + 1) % 3, (axis + 2) % 3
        turn[:, first, first] = turn[:, second, second] = np.cos(angle)
        turn[:, first, second], turn[:, second, first] = -np.sin(angle), np.sin(angle)
        matrices = matrices @ turn
    return matrices


def _grid(matrix: np.ndarray, shift: np.ndarray, shape: torch.Size) -> Tensor:
    """Return where the voxels of new views lie in the old ones, in shares of half of a side, (N, *shape, 3)."""
    affine = np.concatenate([matrix, shift[:, :, None]], axis=2).astype(np.float32)
    return functional.affine_grid(torch.from_numpy(affine), [len(affine), 1, *shape], align_corners=False)


def _sampled(channels: Tensor, grid: Tensor) -> Tensor:
    return functional.grid_sample(channels, grid, padding_mode="border", align_corners=False)


def _noise(view: Tensor, rng: np.random.Generator) -> Tensor:
    """Return correlated noise with a standard deviation of 1."""
    noise = torch.from_numpy(rng.normal(0, 1, tuple(view.shape)).astype(np.float32))
    smooth = _blurred(noise, rng.uniform(*NOISE_VOXELS))
    return smooth / smooth.std()


def _blurred(view: Tensor, sigma: float) -> Tensor:
    """Return a view (slice, row, column) blurred by a Gaussian; the outermost voxels continue beyond the border."""
    reach = int(2 * sigma + 1)
    weights = torch.exp(-(torch.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    for _ in range(3):  # blur the last axis and move it to the front
        padded = functional.pad(view, (reach, reach), mode="replicate")
        view = padded.unfold(-1, len(weights), 1).matmul(weights).permute(2, 0, 1)
    return view
