"""Components of one candidate's outline: near ones are one lesion, others are looked at again."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from LungTumorSegLib.core.boxes import bounding_box
from LungTumorSegLib.core.crops import Crop, crop_at
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.lesions import report_lesions
from LungTumorSegLib.lesions.components import label_lesions
from LungTumorSegLib.refinement.candidates import find_candidates
from LungTumorSegLib.refinement.fragments import as_candidate, separate
from LungTumorSegLib.refinement.look import SecondReader

from .conftest import BALL_HU, axial_affine, ball_ct
from .test_second_look import looked_at

GRID = Volume(np.zeros((20, 20, 40), np.float32), axial_affine((1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0)))


def bars(*spans):
    """Return a mask of bars along x, each from a start to a stop."""
    array = np.zeros(GRID.shape, bool)
    for start, stop in spans:
        array[9:11, 9:11, start:stop] = True
    box = bounding_box(array)
    return Crop(GRID.with_array(array).crop(*box), box)


def extents(parts):
    return [(part.box[0][2], part.box[1][2]) for part in parts]


@pytest.mark.parametrize(("gap", "groups"), [(1, 1), (2, 1), (6, 2), (12, 2)])
def test_components_are_one_lesion_up_to_a_small_gap(gap, groups):
    parts = separate(bars((2, 12), (12 + gap, 18 + gap)), GRID, min_ml=0.0)
    assert len(parts) == groups
    assert extents(parts)[0] == ((2, 12) if groups == 2 else (2, 18 + gap))
    assert sum(np.count_nonzero(part.mask.array) for part in parts) == 4 * 16, "no voxel is lost or added"


def test_the_largest_group_comes_first_and_chains_hold_together():
    parts = separate(bars((1, 4), (14, 18), (20, 24), (26, 30)), GRID, min_ml=0.0)
    assert extents(parts) == [(14, 30), (1, 4)]
    np.testing.assert_allclose(parts[1].mask.origin, GRID.index_to_lps(parts[1].box[0]))


def test_specks_are_dropped_but_never_the_largest_component():
    (part,) = separate(bars((2, 12), (14, 16)), GRID, min_ml=0.009)  # 8 and 40 voxels of 1 mm
    assert extents([part]) == [(2, 12)]
    (part,) = separate(bars((2, 12), (14, 16)), GRID, min_ml=1.0)
    assert extents([part]) == [(2, 12)]
    assert len(separate(bars((2, 12), (20, 22)), GRID, min_ml=0.008)) == 2, "a component of the smallest volume stays"


def test_a_connected_outline_is_returned_as_it_is():
    outline = bars((2, 12))
    assert separate(outline, GRID, min_ml=1.0) == [outline]


def test_a_far_fragment_becomes_a_candidate_of_its_own():
    probability = np.full(GRID.shape, 0.4, np.float32) * (np.arange(40) < 34)
    probability[9:11, 9:11, 2:12] = probability[9:11, 9:11, 20:26] = 0.9
    working = GRID.with_array(probability.astype(np.float32))
    (whole,) = find_candidates(working, min_ml=0.0)
    fragment = separate(bars((2, 12), (20, 26)), GRID, min_ml=0.0)[1]
    own = as_candidate(fragment, whole, working, GRID, min_ml=0.0)
    assert own.core_ml == pytest.approx(24 / 1000)
    assert own.extent_mm == 6.0
    assert 20 <= own.center[0] <= 25
    assert as_candidate(fragment, whole, working, GRID, min_ml=0.03) is None


def two_balls():
    """Return a CT with a large and a small ball that a weak suspicion connects, 12 mm apart."""
    ct = ball_ct(center=(-10.0, 0.0, 30.0), radius_mm=11.0)
    points = ct.index_to_lps(np.moveaxis(np.indices(ct.shape), 0, -1))
    ct.array[np.linalg.norm(points - np.array([18.0, 0.0, 30.0]), axis=-1) <= 5.0] = BALL_HU
    tube = (
        (np.abs(points[..., 1]) < 3) & (np.abs(points[..., 2] - 30) < 3) & (points[..., 0] > 0) & (points[..., 0] < 14)
    )
    ct.array[tube & (ct.array < 0)] = -380.0
    return ct


def test_a_far_part_of_a_candidate_gets_its_own_answer(network, numbers, monkeypatch):
    looked = []
    real = SecondReader.look
    monkeypatch.setattr(SecondReader, "look", lambda self, at, *given: looked.append(at[0]) or real(self, at, *given))
    large, small = looked_at(network, numbers, two_balls())
    assert len(looked) == 2
    assert looked[1] == pytest.approx(18.0, abs=2.0), "the second look is at the small ball"
    middle = small.mask.mask.index_to_lps(np.argwhere(small.mask.mask.array)).mean(axis=0)
    np.testing.assert_allclose(middle, [18.0, 0.0, 30.0], atol=1.5)
    assert np.count_nonzero(large.mask.mask.array) > np.count_nonzero(small.mask.mask.array)


@pytest.mark.parametrize("logits", [(-3.0, 3.0), (3.0, -3.0)])
def test_a_part_is_at_most_as_probable_as_its_candidate(network, numbers, monkeypatch, logits):
    real, answers = SecondReader.look, iter(logits)
    monkeypatch.setattr(
        SecondReader, "look", lambda *given: dataclasses.replace(real(*given), tumor_logit=next(answers))
    )
    whole, part = looked_at(network, numbers, two_balls())
    assert (part.tumor == whole.tumor) == (logits[0] < logits[1])
    assert part.tumor <= whole.tumor


def test_components_of_one_mask_are_one_lesion_in_the_report():
    ct = ball_ct()
    array = np.zeros(ct.shape, bool)
    array[10:14, 10:20, 10:20] = array[10:14, 10:20, 22:30] = True  # 2 mm apart
    array[30:34, 10:20, 10:20] = True
    tumor = ct.with_array(array)
    box = ((10, 10, 10), (14, 20, 30))
    together = [crop_at(array[10:14, 10:20, 10:30], box, ct)]
    lungs = [ct.with_array(np.zeros(ct.shape, bool)) for _ in range(2)]
    apart = report_lesions(tumor, ct, *lungs, min_lesion_ml=0.0, sides_known=False)
    joined = report_lesions(tumor, ct, *lungs, min_lesion_ml=0.0, sides_known=False, together=together)
    assert (len(apart.lesions), len(joined.lesions)) == (3, 2)
    assert joined.lesions[0].volume_ml == pytest.approx(4 * 10 * 18 * 2 / 1000)


def test_masks_that_overlap_or_touch_are_one_lesion_in_any_order():
    a, b, c = bars((2, 5), (8, 10)), bars((8, 10), (14, 16)), bars((20, 22))
    array = np.zeros(GRID.shape, bool)
    for each in (a, b, c):
        array[each.slices] |= each.mask.array
    for order in ([a, b, c], [c, b, a], [b, a]):
        labels = label_lesions(GRID.with_array(array), min_lesion_ml=0.0, together=order).array
        assert labels[9, 9, [2, 8, 14, 20]].tolist() == [1, 1, 1, 2]
