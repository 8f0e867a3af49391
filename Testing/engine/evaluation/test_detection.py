"""Lesions found, missed and invented."""

import numpy as np
import pytest
from LungTumorSegLib.evaluation.detection import (
    Candidates,
    FrocPoint,
    detect,
    froc_curve,
    froc_score,
    score_candidates,
    separate_lesions,
)

SHAPE = (5, 6, 20)
VOXEL_ML = 0.5


@pytest.fixture
def three_lesions():
    """Lesion 1: 4 voxels, lesion 2: 6 voxels, lesion 3: 2 voxels."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[1, 1, 2:6], labels[3, 2:5, 8:10], labels[2, 4, 14:16] = 1, 2, 3
    return labels


def test_a_lesion_is_found_by_one_voxel_and_missed_by_a_neighboring_one(three_lesions):
    prediction = np.zeros(SHAPE, bool)
    prediction[1, 1, 5:8] = True  # one voxel of lesion 1, two beside it
    prediction[3, 2:5, 8:10] = True  # all of lesion 2
    prediction[2, 4, 16] = True  # beside lesion 3: touches nothing of it
    prediction[4, 0, 19] = True
    found = detect(prediction, three_lesions, voxel_ml=VOXEL_ML)
    assert found.dices == (pytest.approx(2 / (3 + 4)), 1.0, 0.0)
    assert found.found == 2
    assert found.volumes_ml == (2.0, 3.0, 1.0)
    assert sorted(found.false_ml) == [0.5, 0.5]


def test_voxels_that_share_a_corner_are_one_false_positive(three_lesions):
    prediction = np.zeros(SHAPE, bool)
    prediction[0, 0, 19] = prediction[1, 1, 18] = True
    assert detect(prediction, three_lesions, voxel_ml=VOXEL_ML).false_ml == (1.0,)


def test_a_component_over_two_lesions_is_not_blamed_for_the_other_one(three_lesions):
    prediction = three_lesions > 0
    prediction[1:4, 1:3, 5:9] = True  # joins lesions 1 and 2
    outside = np.count_nonzero(prediction & (three_lesions == 0))
    found = detect(prediction, three_lesions, voxel_ml=VOXEL_ML)
    assert found.dices == (pytest.approx(2 * 4 / (4 + 4 + outside)), pytest.approx(2 * 6 / (6 + 6 + outside)), 1.0)
    assert found.false_ml == ()


def test_no_prediction_misses_all_and_no_lesion_makes_all_false(three_lesions):
    empty = np.zeros(SHAPE, bool)
    assert detect(empty, three_lesions, voxel_ml=VOXEL_ML).dices == (0.0, 0.0, 0.0)
    nothing = detect(three_lesions > 0, empty.astype(int), voxel_ml=VOXEL_ML)
    assert (nothing.dices, len(nothing.false_ml)) == ((), 3)


def test_labels_are_lesions_but_one_label_is_split_into_components(three_lesions):
    in_two_pieces = np.where(three_lesions == 3, 1, three_lesions)  # label 1 lies in two places
    np.testing.assert_array_equal(separate_lesions(in_two_pieces), in_two_pieces)
    one_label = (three_lesions > 0) * 7
    assert [np.count_nonzero(separate_lesions(one_label) == n) for n in (1, 2, 3)] == [
        4,
        2,
        6,
    ]  # in the order of their first voxels


def test_candidates_score_by_their_highest_probability(three_lesions):
    probability = np.zeros(SHAPE, np.float32)
    probability[1, 1, 5:8] = (0.4, 0.9, 0.6)  # touches lesion 1; the highest value lies outside it
    probability[3, 2:5, 8:10] = 0.7
    probability[2, 4, 14:16] = 0.2  # below the candidates' threshold
    probability[4, 0, 17:20] = (0.35, 0.55, 0.35)
    found = score_candidates(probability, three_lesions)
    np.testing.assert_allclose(found.lesions, [0.9, 0.7, 0.0], rtol=1e-6)
    np.testing.assert_allclose(found.false, [0.55], rtol=1e-6)


TWO_SCANS = [Candidates((0.9, 0.0), (0.8, 0.4)), Candidates((0.6, 0.5), (0.7,))]


def test_the_curve_gains_lesions_and_false_positives_as_the_threshold_falls():
    assert froc_curve(TWO_SCANS) == [
        FrocPoint(0.9, 0.25, 0.0),
        FrocPoint(0.8, 0.25, 0.5),
        FrocPoint(0.7, 0.25, 1.0),
        FrocPoint(0.6, 0.50, 1.0),
        FrocPoint(0.5, 0.75, 1.0),
        FrocPoint(0.4, 0.75, 1.5),
    ]


def test_the_score_is_the_mean_sensitivity_at_the_rates():
    # rates 1/4 and 1/2 lie at 0.25, all others at 0.75
    assert froc_score(froc_curve(TWO_SCANS)) == pytest.approx((2 * 0.25 + 4 * 0.75) / 6)


def test_scans_without_lesions_have_no_curve_and_unfound_lesions_an_empty_one():
    assert froc_curve([Candidates((), (0.9,))]) == []
    assert froc_score(froc_curve([Candidates((0.0,), ())])) is None


@pytest.mark.slow
def test_monai_agrees():
    metrics = pytest.importorskip("monai.metrics")
    false = np.array([score for scan in TWO_SCANS for score in scan.false])
    true = np.array([score for scan in TWO_SCANS for score in scan.lesions])
    rates, sensitivities = metrics.compute_froc_curve_data(false, true, num_targets=4, num_images=2)
    curve = froc_curve(TWO_SCANS)
    np.testing.assert_allclose(rates[::-1], [0.0, *(point.false_positives_per_scan for point in curve)])
    np.testing.assert_allclose(sensitivities[::-1], [0.0, *(point.sensitivity for point in curve)])
    assert froc_score(curve) == pytest.approx(metrics.compute_froc_score(rates, sensitivities))
