"""Overlap by voxels and by slices."""

import math

import numpy as np
import pytest
from LungTumorSegLib.evaluation.overlap import SliceCounts, dice, iou, slice_dices

EMPTY = np.zeros((4, 5, 6), bool)


def a_box(slices, rows, columns, shape=(4, 5, 6)):
    mask = np.zeros(shape, bool)
    mask[slice(*slices), slice(*rows), slice(*columns)] = True
    return mask


PREDICTION = a_box((0, 3), (1, 3), (0, 4))  # 3 x 2 x 4 = 24 voxels
REFERENCE = a_box((1, 4), (1, 3), (2, 5))  # 3 x 2 x 3 = 18 voxels; both: 2 x 2 x 2 = 8


def test_dice_and_iou_of_two_boxes():
    assert dice(PREDICTION, REFERENCE) == pytest.approx(2 * 8 / (24 + 18))
    assert iou(PREDICTION, REFERENCE) == pytest.approx(8 / (24 + 18 - 8))


def test_two_empty_masks_agree_and_one_empty_mask_does_not():
    assert (dice(EMPTY, EMPTY), iou(EMPTY, EMPTY)) == (1.0, 1.0)
    assert (dice(PREDICTION, EMPTY), iou(PREDICTION, EMPTY)) == (0.0, 0.0)
    assert (dice(EMPTY, REFERENCE), iou(EMPTY, REFERENCE)) == (0.0, 0.0)


def test_slice_dices_count_an_empty_slice_rightly_left_empty_as_1():
    prediction = PREDICTION.copy()
    prediction[0] = False
    # slice 0: both empty; 1 and 2: 2 * 4 / (8 + 6); 3: missed
    np.testing.assert_allclose(slice_dices(prediction, REFERENCE), [1, 4 / 7, 4 / 7, 0])


def test_slices_of_every_kind_are_counted():
    prediction, reference = np.zeros((10, 2, 3), bool), np.zeros((10, 2, 3), bool)
    prediction[:5, 0, 1] = True  # five positive slices, in other voxels than the reference's
    reference[2:9, 1, 2] = True
    counts = SliceCounts.of(prediction, reference)
    assert counts == SliceCounts(true_positives=3, false_positives=2, true_negatives=1, false_negatives=4)
    assert counts.f1 == pytest.approx(6 / 12)
    assert counts.mcc == pytest.approx((3 * 1 - 2 * 4) / math.sqrt(5 * 7 * 3 * 5))
    assert counts.false_positive_rate == pytest.approx(2 / 3)
    assert counts + SliceCounts(10, 20, 30, 40) == SliceCounts(13, 22, 31, 44)


def test_rates_without_a_denominator_are_undefined():
    all_tumor, all_empty = SliceCounts(true_positives=7), SliceCounts(true_negatives=7)
    assert (all_tumor.f1, all_tumor.mcc, all_tumor.false_positive_rate) == (1.0, None, None)
    assert (all_empty.f1, all_empty.mcc, all_empty.false_positive_rate) == (None, None, 0.0)


@pytest.mark.slow
def test_monai_agrees():
    torch = pytest.importorskip("torch")
    metrics = pytest.importorskip("monai.metrics")
    rng = np.random.default_rng(5)
    prediction, reference = rng.random((7, 5, 6)) < 0.4, rng.random((7, 5, 6)) < 0.3
    prediction[2], reference[4] = False, False
    prediction[6] = reference[6] = False
    p, r = (torch.from_numpy(mask)[None, None].float() for mask in (prediction, reference))
    assert dice(prediction, reference) == pytest.approx(float(metrics.compute_dice(p, r, include_background=True)))
    assert iou(prediction, reference) == pytest.approx(float(metrics.compute_iou(p, r, include_background=True)))
    slices = metrics.compute_dice(p[0].swapaxes(0, 1), r[0].swapaxes(0, 1), include_background=True, ignore_empty=False)
    np.testing.assert_allclose(slice_dices(prediction, reference), slices[:, 0], rtol=1e-6)
    counts = SliceCounts.of(prediction, reference)
    both = [torch.from_numpy(mask.any(axis=(1, 2)))[None, None].float() for mask in (prediction, reference)]
    confusion = metrics.get_confusion_matrix(*both)
    for name, ours in (
        ("f1 score", counts.f1),
        ("matthews correlation coefficient", counts.mcc),
        ("fall out", counts.false_positive_rate),
    ):
        assert float(metrics.compute_confusion_matrix_metric(name, confusion)) == pytest.approx(ours)
