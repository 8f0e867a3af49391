"""Instances from mask and boundary, and AP-75."""

import numpy as np
import pytest
from LungTumorSegLib.evaluation.instances import average_precision, instances_of, match_instances


def two_touching_boxes():
    mask = np.full((5, 12, 20), 0.05, np.float32)
    mask[1:4, 2:10, 2:18] = 0.97
    mask[1:4, 2:10, 9:11] = 0.88  # they touch here, still foreground
    boundary = np.where((mask > 0.87) & (mask < 0.9), 0.9, 0.1)
    return mask, boundary


def test_touching_instances_are_separated_at_their_boundary():
    mask, boundary = two_touching_boxes()
    mask[0, 0, 0] = 0.87  # foreground without a seed
    labels = instances_of(mask, boundary)
    assert set(np.unique(labels)) == {0, 1, 2}
    assert labels[0, 0, 0] == 0
    assert ((labels > 0) == ((mask > 0.85) & (np.indices(mask.shape).sum(0) > 0))).all()
    assert labels[2, 5, 3] != labels[2, 5, 16]
    assert np.count_nonzero(labels == 1) == pytest.approx(np.count_nonzero(labels == 2), rel=0.2)


def test_the_boundary_rule_as_printed_puts_seeds_between_instances():
    mask, boundary = two_touching_boxes()
    mask[1:4, 2:10, 9:11] = 0.95
    printed = (mask > 0.9) & (boundary > 0.8)
    assert printed[2, 5, 9]
    assert not printed[2, 5, 3]
    assert instances_of(mask, boundary)[2, 5, 3] > 0


def test_no_seed_is_no_instance():
    assert not instances_of(np.full((2, 4, 4), 0.88), np.zeros((2, 4, 4))).any()


def boxes(*spans):
    labels = np.zeros((1, 1, 40), int)
    for number, (start, stop) in enumerate(spans, start=1):
        labels[..., start:stop] = number
    return labels


def test_an_instance_is_correct_from_the_least_iou_on():
    reference = boxes((0, 4), (10, 14))
    at, below = match_instances(boxes((0, 3)), reference), match_instances(boxes((0, 2)), reference)
    assert (at.hits, below.hits, at.references) == ((True,), (False,), 2)


def test_a_reference_is_matched_once_and_by_the_higher_score():
    matches = match_instances(boxes((0, 4), (4, 8)), boxes((0, 5)), scores=[0.2, 0.9], iou=0.1)
    assert matches.scores == (0.9, 0.2)
    assert matches.hits == (True, False)
    with pytest.raises(ValueError, match="2 predicted instances, but 1 scores"):
        match_instances(boxes((0, 4), (4, 8)), boxes((0, 5)), scores=[0.2])


def test_average_precision_by_hand():
    reference = boxes((0, 4), (10, 14))
    perfect = match_instances(reference, reference)
    assert average_precision([perfect]) == 1
    # Hit, miss, hit: precision 1 up to recall 0.5 (51 of 101 recalls), then 2/3.
    mixed = match_instances(boxes((0, 4), (20, 24), (10, 14)), reference, scores=[0.9, 0.8, 0.7])
    assert average_precision([mixed]) == pytest.approx((51 + 50 * 2 / 3) / 101)
    assert average_precision([match_instances(boxes((20, 24)), reference)]) == 0
    assert average_precision([match_instances(boxes(), reference)]) == 0
    assert average_precision([match_instances(boxes((0, 4)), boxes())]) is None
    assert average_precision([perfect, match_instances(boxes(), reference)]) == pytest.approx(51 / 101)
