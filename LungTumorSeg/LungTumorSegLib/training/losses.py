"""Losses on logits; each returns one number per batch.

``logits``, ``target`` (0 or 1) and ``valid`` (0 where a voxel does not count) are float tensors of one shape (N, 1,
...). Region losses pool the whole batch, so that crops without tumor contribute through their false positives instead
of 0/0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as functional
from torch import Tensor

from .config import LossConfig

DICE_SMOOTH = 1.0
"""Number of voxels added to numerator and denominator, as in the published ``dice_coef``."""

TUMOR_WEIGHT, BACKGROUND_WEIGHT = 0.96, 0.04
"""Class weights of TS-FCN's softmax loss (Ray, Stanford CS231N 2016, figure 2)."""

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


def bce_loss(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return the binary cross-entropy, averaged over the voxels that count."""
    each = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return _mean(each, valid)


def weighted_bce_loss(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return the binary cross-entropy in which tumor and background have equal weight.

    Each voxel is weighted by the other class's share of the batch.
    """
    share = _mean(target, valid)
    each = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return _mean(each * torch.where(target > 0.5, 1 - share, share), valid)


def dice_loss(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return 1 - 2 |P T| / (|P| + |T|), smoothed by ``DICE_SMOOTH``."""
    return tversky_loss(logits, target, valid, alpha=0.5, beta=0.5, smooth=DICE_SMOOTH / 2)


def sample_dice_loss(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return the mean of ``dice_loss`` over the samples that contain tumor, or 0 if none does."""
    p, t = torch.sigmoid(logits) * valid, target * valid
    hit, both = (p * t).flatten(1).sum(1), (p + t).flatten(1).sum(1)
    holds = (t.flatten(1).sum(1) > 0).float()
    each = 1 - (2 * hit + DICE_SMOOTH) / (both + DICE_SMOOTH)
    return (each * holds).sum() / holds.sum().clamp(min=1)


def squared_dice_loss(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return V-Net's Dice loss, whose denominator sums squares (Milletari et al. 2016, doi:10.1109/3DV.2016.79)."""
    p, t = torch.sigmoid(logits) * valid, target * valid
    return 1 - (2 * (p * t).sum() + DICE_SMOOTH) / ((p * p).sum() + (t * t).sum() + DICE_SMOOTH)


def tversky_loss(
    logits: Tensor, target: Tensor, valid: Tensor, *, alpha: float = 0.5, beta: float = 0.5, smooth: float = DICE_SMOOTH
) -> Tensor:
    """Return 1 - TP / (TP + alpha FP + beta FN) (Salehi et al. 2017, doi:10.1007/978-3-319-67389-9_44)."""
    p, t = torch.sigmoid(logits) * valid, target * valid
    hit = (p * t).sum()
    return 1 - (hit + smooth) / (hit + alpha * (p.sum() - hit) + beta * (t.sum() - hit) + smooth)


def weighted_softmax_loss(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return TS-FCN's weighted softmax loss.

    With one logit z, the two-class softmax of (0, z) is the sigmoid of z.
    """
    each = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return _mean(each * torch.where(target > 0.5, TUMOR_WEIGHT, BACKGROUND_WEIGHT), valid)


def build_loss(config: LossConfig, epoch: int = 0) -> Loss:
    """Return the configured loss for an epoch (counted from 0)."""
    dice_weight = config.favored_dice_weight if epoch < config.favored_epochs else config.dice_weight

    def dice_bce_loss(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        pooled = dice_weight * dice_loss(logits, target, valid) + config.bce_weight * bce_loss(logits, target, valid)
        return (
            pooled + config.sample_dice_weight * sample_dice_loss(logits, target, valid)
            if config.sample_dice_weight
            else pooled
        )

    def settable_tversky_loss(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        return tversky_loss(logits, target, valid, alpha=config.tversky_alpha, beta=config.tversky_beta)

    losses: dict[str, Loss] = {
        "bce": bce_loss,
        "weighted_bce": weighted_bce_loss,
        "dice": dice_loss,
        "squared_dice": squared_dice_loss,
        "dice_bce": dice_bce_loss,
        "tversky": settable_tversky_loss,
        "weighted_softmax": weighted_softmax_loss,
    }
    return losses[config.name]


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    return (values * valid).sum() / valid.sum().clamp(min=1)
