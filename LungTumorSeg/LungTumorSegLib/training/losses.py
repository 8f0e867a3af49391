"""Losses on logits; each returns one number per batch.

``logits``, ``target`` (0 or 1) and ``valid`` (0 where a voxel does not count) are float tensors of one shape (N, 1,
...). Region losses pool the whole batch, so that crops without tumor contribute through their false positives instead
of 0/0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as functional
from torch import Tensor

from ..networks.contract import BOUNDARY
from .config import LossConfig

DICE_SMOOTH = 1.0
"""Number of voxels added to numerator and denominator, as in the published ``dice_coef``."""

TUMOR_WEIGHT, BACKGROUND_WEIGHT = 0.96, 0.04
"""Class weights of TS-FCN's softmax loss (Ray, Stanford CS231N 2016, figure 2)."""

LEAST_RATIO, MOST_RATIO = 0.01, 0.99
"""Limits of the foreground ratio in ``ratio_bce_loss``, as in the published code; no voxel weighs more than 99."""

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


def ratio_bce_loss(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return the binary cross-entropy in which the rarer class has a weight above 1, per sample (Li et al. 2021).

    With the foreground ratio W (0.01 to 0.99), foreground weighs (1 - W) / W if W is at most 0.5; otherwise background
    weighs W / (1 - W). The other class weighs 1. The paper (arXiv:2104.07961) prints W / (1 - W) for the first case,
    which would suppress rare foreground. The authors' code has the formula used here.
    """
    axes = tuple(range(1, target.ndim))
    counted = valid.sum(axes, keepdim=True).clamp(min=1)
    ratio = ((target * valid).sum(axes, keepdim=True) / counted).clamp(LEAST_RATIO, MOST_RATIO)
    weight = torch.where(target > 0.5, ((1 - ratio) / ratio).clamp(min=1), (ratio / (1 - ratio)).clamp(min=1))
    each = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return _mean(each * weight, valid)


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


def softmax_loss(scores: Tensor, classes: Tensor, valid: Tensor) -> Tensor:
    """Return the cross-entropy of several classes, averaged over the voxels that count.

    Args:
        scores: Scores before the softmax (N, K, ...).
        classes: Class numbers 0 to K - 1 (N, ...), integers.
        valid: 0 where a voxel does not count (N, ...), float.
    """
    return _mean(functional.cross_entropy(scores, classes, reduction="none"), valid)


def multiclass_dice_loss(scores: Tensor, classes: Tensor, valid: Tensor) -> Tensor:
    """Return 1 - the mean squared Dice of the classes above 0, as for the lobes of PDV-Net.

    The Dice of a class is V-Net's, pooled over the batch. Classes that are absent in ``classes`` do not count.

    Args:
        scores: Scores before the softmax (N, K, ...).
        classes: Class numbers 0 to K - 1 (N, ...), integers; 0 is background.
        valid: 0 where a voxel does not count (N, ...), float.
    """
    probability = torch.softmax(scores, dim=1) * valid[:, None]
    truth = functional.one_hot(classes, scores.shape[1]).movedim(-1, 1).float() * valid[:, None]
    axes = (0, *range(2, scores.ndim))
    hit, both = (probability * truth).sum(axes), (probability.square() + truth.square()).sum(axes)
    present = (truth.sum(axes) > 0).float()[1:]
    dices = ((2 * hit + DICE_SMOOTH) / (both + DICE_SMOOTH))[1:]
    return 1 - (dices * present).sum() / present.sum().clamp(min=1)


def boundary_of(mask: Tensor) -> Tensor:
    """Return the boundary (0 or 1) of a mask (N, 1, D, H, W): voxels with an in-plane neighbor of the other value.

    The boundary is two voxels wide, one on each side of the edge. Neighbors are the eight in the slice plane, because
    slices are thick.
    """
    outer = functional.max_pool3d(mask, (1, 3, 3), 1, (0, 1, 1))
    inner = 1 - functional.max_pool3d(1 - mask, (1, 3, 3), 1, (0, 1, 1))
    return outer - inner


def supervised_loss(loss_of: Loss, outputs: Mapping[str, Tensor], target: Tensor, valid: Tensor) -> Tensor:
    """Return the sum of the loss over all outputs of a network.

    The output ``boundary`` is compared with the boundary of the target, all others with the target itself.

    Args:
        loss_of: The loss of one output.
        outputs: Logits or scores by name, as ``Network.outputs`` returns them.
        target: Tumor (0 or 1), of the shape of each output; for scores of several classes, class numbers (N, ...).
        valid: 0 where a voxel does not count.
    """
    losses = [
        loss_of(logits, boundary_of(target) if name == BOUNDARY else target, valid) for name, logits in outputs.items()
    ]
    return torch.stack(losses).sum()


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
        "ratio_bce": ratio_bce_loss,
        "dice": dice_loss,
        "squared_dice": squared_dice_loss,
        "dice_bce": dice_bce_loss,
        "tversky": settable_tversky_loss,
        "weighted_softmax": weighted_softmax_loss,
        "softmax": softmax_loss,
        "multiclass_dice": multiclass_dice_loss,
    }
    return losses[config.name]


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    return (values * valid).sum() / valid.sum().clamp(min=1)
