"""Losses against closed forms and MONAI."""

import math

import numpy as np
import pytest
import torch
from LungTumorSegLib.training.config import LOSSES, LossConfig
from LungTumorSegLib.training.lobe_config import LOBE_LOSSES
from LungTumorSegLib.training.losses import (
    BACKGROUND_WEIGHT,
    TUMOR_WEIGHT,
    bce_loss,
    boundary_of,
    build_loss,
    dice_loss,
    multiclass_dice_loss,
    ratio_bce_loss,
    sample_dice_loss,
    softmax_loss,
    squared_dice_loss,
    supervised_loss,
    tversky_loss,
    weighted_bce_loss,
    weighted_softmax_loss,
)


def logit(p):
    return math.log(p / (1 - p))


def tensors(probabilities, target, valid=None):
    """Shape (1, 1, n) from lists."""
    z = torch.tensor([[[logit(p) for p in probabilities]]], dtype=torch.float32)
    t = torch.tensor([[target]], dtype=torch.float32)
    return z, t, torch.ones_like(t) if valid is None else torch.tensor([[valid]], dtype=torch.float32)


@pytest.fixture
def a_batch():
    """Logits, target and validity of two small stacks; the second has no tumor."""
    rng = np.random.default_rng(8)
    target = rng.random((2, 1, 3, 8, 8)) < 0.2
    target[1] = False
    logits = torch.from_numpy(rng.normal(0, 2, target.shape).astype(np.float32))
    return logits, torch.from_numpy(target).float(), torch.ones(target.shape)


def test_bce_is_the_mean_of_minus_the_log_of_what_was_given_to_the_truth():
    loss = bce_loss(*tensors([0.8, 0.3, 0.1], [1, 1, 0]))
    assert float(loss) == pytest.approx(-(math.log(0.8) + math.log(0.3) + math.log(0.9)) / 3, rel=1e-5)


def test_weighted_bce_weighs_each_class_by_the_others_share():
    # One tumor voxel of four: it weighs 3/4, each other 1/4.
    loss = weighted_bce_loss(*tensors([0.6, 0.2, 0.1, 0.3], [1, 0, 0, 0]))
    expected = -(0.75 * math.log(0.6) + 0.25 * (math.log(0.8) + math.log(0.9) + math.log(0.7))) / 4
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_dice_of_probabilities_with_one_voxel_of_smoothing():
    # |P T| = 0.8 + 0.3, |P| = 1.2, |T| = 2
    assert float(dice_loss(*tensors([0.8, 0.3, 0.1], [1, 1, 0]))) == pytest.approx(
        1 - (2 * 1.1 + 1) / (1.2 + 2 + 1), rel=1e-5
    )


def test_v_nets_dice_squares_the_denominator():
    squares = 0.8**2 + 0.3**2 + 0.1**2
    assert float(squared_dice_loss(*tensors([0.8, 0.3, 0.1], [1, 1, 0]))) == pytest.approx(
        1 - (2 * 1.1 + 1) / (squares + 2 + 1), rel=1e-5
    )


def test_tversky_weighs_false_positives_by_alpha_and_false_negatives_by_beta():
    # TP 1.1, FP 0.1, FN 0.9
    loss = tversky_loss(*tensors([0.8, 0.3, 0.1], [1, 1, 0]), alpha=0.3, beta=0.7, smooth=0)
    assert float(loss) == pytest.approx(1 - 1.1 / (1.1 + 0.3 * 0.1 + 0.7 * 0.9), rel=1e-5)


def test_the_weighted_softmax_loss_is_that_of_two_classes_with_scores_0_and_z():
    z, t, valid = tensors([0.8, 0.3, 0.1], [1, 1, 0])
    scores = torch.stack([torch.zeros_like(z), z], dim=1)
    of_truth = torch.log_softmax(scores, dim=1).gather(1, t.long()[:, None])[:, 0]
    weights = torch.where(t > 0, TUMOR_WEIGHT, BACKGROUND_WEIGHT)
    assert (TUMOR_WEIGHT, BACKGROUND_WEIGHT) == (0.96, 0.04)
    assert float(weighted_softmax_loss(z, t, valid)) == pytest.approx(float(-(weights * of_truth).mean()), rel=1e-5)


TUMOR_LOSSES = [name for name in LOSSES if name not in LOBE_LOSSES]


@pytest.mark.parametrize("name", TUMOR_LOSSES)
def test_voxels_that_do_not_count_change_nothing_and_get_no_gradient(name):
    loss_of = build_loss(LossConfig(name=name))
    z, t, valid = tensors([0.8, 0.3, 0.1, 0.9, 0.2], [1, 1, 0, 0, 1], [1, 1, 1, 0, 0])
    z.requires_grad_(True)
    loss = loss_of(z, t, valid)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(loss_of(*tensors([0.8, 0.3, 0.1], [1, 1, 0]))), rel=1e-5)
    assert z.grad[0, 0, 3:].tolist() == [0, 0]
    assert (z.grad[0, 0, :3] != 0).all()


@pytest.mark.parametrize("name", TUMOR_LOSSES)
@pytest.mark.parametrize("tumor", [0.0, 1.0])
def test_a_batch_of_one_class_or_without_valid_voxels_stays_finite(name, tumor):
    loss_of = build_loss(LossConfig(name=name))
    z = torch.full((1, 1, 6), 30.0, requires_grad=True)
    for valid in (torch.ones(1, 1, 6), torch.zeros(1, 1, 6)):
        loss = loss_of(z, torch.full((1, 1, 6), tumor), valid)
        loss.backward()
        assert math.isfinite(float(loss.detach()))
        assert torch.isfinite(z.grad).all()


@pytest.mark.parametrize("name", LOBE_LOSSES)
def test_voxels_that_do_not_count_change_nothing_in_a_loss_of_classes(name):
    loss_of = build_loss(LossConfig(name=name))
    scores = torch.randn(1, 6, 5, generator=torch.Generator().manual_seed(1), requires_grad=True)
    classes, valid = torch.tensor([[1, 5, 0, 2, 3]]), torch.tensor([[1.0, 1.0, 1.0, 0.0, 0.0]])
    loss = loss_of(scores, classes, valid)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(
        float(loss_of(scores.detach()[..., :3], classes[:, :3], valid[:, :3])), rel=1e-5
    )
    assert not scores.grad[..., 3:].any()
    assert scores.grad[..., :3].any()
    assert float(loss_of(scores.detach(), classes, torch.zeros(1, 5))) in (0.0, 1.0)


def test_the_sample_dice_counts_each_sample_with_tumor_alike_and_none_without(a_batch):
    logits, target, valid = a_batch  # the second sample has no tumor
    assert float(sample_dice_loss(logits, target, valid)) == pytest.approx(
        float(dice_loss(logits[:1], target[:1], valid[:1])), rel=1e-5
    )
    large, small = torch.ones(1, 1, 4, 4, 4), torch.zeros(1, 1, 4, 4, 4)
    small[..., 0, 0, 0] = 1
    both = torch.cat([large, small])
    only_large = torch.where(torch.cat([large, torch.zeros_like(small)]) > 0, 20.0, -20.0)
    missed = 1 - 1 / (1 + 1)  # the smoothing voxel over itself and the missed one
    assert float(sample_dice_loss(only_large, both, torch.ones_like(both))) == pytest.approx(missed / 2, abs=1e-5)
    assert float(dice_loss(only_large, both, torch.ones_like(both))) < 0.01
    nothing = torch.zeros_like(both)
    assert float(sample_dice_loss(only_large, nothing, torch.ones_like(both))) == 0


def test_the_configured_loss_adds_the_sample_dice_by_its_weight(a_batch):
    without, with_it = (float(build_loss(LossConfig(sample_dice_weight=weight))(*a_batch)) for weight in (0.0, 0.7))
    assert with_it - without == pytest.approx(0.7 * float(sample_dice_loss(*a_batch)), rel=1e-4)


def test_the_dice_share_changes_after_the_favored_epochs():
    config = LossConfig(dice_weight=0.5, bce_weight=2.0, favored_epochs=50, favored_dice_weight=3.0)
    batch = tensors([0.8, 0.3, 0.1], [1, 1, 0])
    dice, bce = float(dice_loss(*batch)), float(bce_loss(*batch))
    assert float(build_loss(config, 49)(*batch)) == pytest.approx(3 * dice + 2 * bce)
    assert float(build_loss(config, 50)(*batch)) == pytest.approx(0.5 * dice + 2 * bce)


def test_monai_agrees(a_batch):
    monai = pytest.importorskip("monai.losses")
    z, t, valid = a_batch
    common = {"sigmoid": True, "batch": True, "smooth_nr": 1.0, "smooth_dr": 1.0}
    assert float(dice_loss(z, t, valid)) == pytest.approx(float(monai.DiceLoss(**common)(z, t)), rel=1e-5)
    assert float(squared_dice_loss(z, t, valid)) == pytest.approx(
        float(monai.DiceLoss(squared_pred=True, **common)(z, t)), rel=1e-5
    )
    theirs = monai.TverskyLoss(alpha=0.3, beta=0.7, **common)(z, t)
    assert float(tversky_loss(z, t, valid, alpha=0.3, beta=0.7)) == pytest.approx(float(theirs), rel=1e-5)


def test_ratio_bce_raises_the_rarer_class_of_each_sample():
    # One tumor voxel of four: it weighs (1 - 1/4) / (1/4) = 3.
    loss = ratio_bce_loss(*tensors([0.6, 0.2, 0.1, 0.3], [1, 0, 0, 0]))
    expected = -(3 * math.log(0.6) + math.log(0.8) + math.log(0.9) + math.log(0.7)) / 4
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    # Three of four: background weighs (3/4) / (1/4) = 3.
    loss = ratio_bce_loss(*tensors([0.6, 0.2, 0.1, 0.3], [1, 1, 1, 0]))
    expected = -(math.log(0.6) + math.log(0.2) + math.log(0.1) + 3 * math.log(0.7)) / 4
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_ratio_bce_bounds_the_weight_of_a_single_voxel():
    target = torch.zeros(1, 1, 1000)
    target[..., 0] = 1
    loss = ratio_bce_loss(torch.zeros_like(target), target, torch.ones_like(target))
    assert float(loss) == pytest.approx(math.log(2) * (99 + 999) / 1000, rel=1e-4)


def test_several_classes_with_two_classes_are_the_losses_of_one():
    z, t, valid = tensors([0.8, 0.3, 0.1, 0.7], [1, 1, 0, 0], [1, 1, 1, 0])
    scores, classes = torch.cat([torch.zeros_like(z), z], dim=1), t[:, 0].long()
    assert float(softmax_loss(scores, classes, valid[:, 0])) == pytest.approx(float(bce_loss(z, t, valid)), rel=1e-5)
    assert float(multiclass_dice_loss(scores, classes, valid[:, 0])) == pytest.approx(
        float(squared_dice_loss(z, t, valid)), rel=1e-5
    )


def test_absent_classes_do_not_count_in_the_dice_of_several_classes():
    classes = torch.tensor([[0, 1, 1, 2]])
    scores = 40.0 * torch.nn.functional.one_hot(classes, 5).movedim(-1, 1).float()
    assert float(multiclass_dice_loss(scores, classes, torch.ones(1, 4))) == pytest.approx(0, abs=1e-5)


def test_the_boundary_is_one_voxel_on_each_side_within_the_slice():
    mask = torch.zeros(1, 1, 3, 7, 7)
    mask[0, 0, 1, 2:5, 2:5] = 1
    boundary = boundary_of(mask)
    assert boundary[0, 0, 1].sum() == 25 - 1
    assert boundary[0, 0, 1, 3, 3] == 0
    assert not boundary[0, 0, ::2].any()


def test_every_output_of_a_network_is_supervised(a_batch):
    logits, target, valid = a_batch
    outputs = {"progressive1": logits, "mask": -logits, "boundary": logits}
    expected = sum(
        float(bce_loss(z, t, valid)) for z, t in ((logits, target), (-logits, target), (logits, boundary_of(target)))
    )
    assert float(supervised_loss(bce_loss, outputs, target, valid)) == pytest.approx(expected, rel=1e-5)
