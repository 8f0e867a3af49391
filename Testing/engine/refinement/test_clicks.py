"""Clicks: further points extend and cut an outline, and what is below the threshold is named."""

from __future__ import annotations

import numpy as np
import pytest
from LungTumorSegLib import pipeline
from LungTumorSegLib.core.crop_operations import contains
from LungTumorSegLib.core.crops import crop_at
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.texts import percent
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.inference import run
from LungTumorSegLib.refinement import clicks
from LungTumorSegLib.refinement.calibration import Calibration
from LungTumorSegLib.refinement.clicks import Click, Outliner, outline_clicks
from LungTumorSegLib.refinement.further_points import ball_at, cut_off

from .conftest import BALL_HU, CENTER, axial_affine, ball_ct

SECOND_CENTER = (-25.0, 10.0, 30.0)
LUNG_POINT = (-40.0, 40.0, 60.0)


@pytest.fixture
def two_balls():
    """A CT with a ball of 11 mm radius at CENTER and another of 8 mm at SECOND_CENTER."""
    ct = ball_ct()
    points = ct.index_to_lps(np.moveaxis(np.indices(ct.shape), 0, -1))
    ct.array[np.linalg.norm(points - np.asarray(SECOND_CENTER), axis=-1) <= 8.0] = BALL_HU
    return ct


def outliner_of(network, numbers, ct):
    return Outliner(network, numbers, ct, np.ones(ct.shape, bool))


def test_a_point_of_the_lesion_outside_the_outline_extends_it(network, numbers, two_balls):
    outliner = outliner_of(network, numbers, two_balls)
    first = outliner.answer(Click(CENTER)).mask
    assert not contains(first, SECOND_CENTER, two_balls)
    both = outliner.answer(Click(CENTER, also=(SECOND_CENTER,)))
    assert contains(both.mask, CENTER, two_balls)
    assert contains(both.mask, SECOND_CENTER, two_balls)
    assert both.warnings == ()
    parts = np.count_nonzero(first.mask.array) + np.count_nonzero(outliner.answer(Click(SECOND_CENTER)).mask.mask.array)
    assert np.count_nonzero(both.mask.mask.array) == parts


def test_a_point_inside_the_outline_changes_nothing(network, numbers, two_balls):
    outliner = outliner_of(network, numbers, two_balls)
    near = (CENTER[0] + 3.0, CENTER[1] + 2.0, CENTER[2])
    first, again = outliner.answer(Click(CENTER)), outliner.answer(Click(CENTER, also=(near,)))
    np.testing.assert_array_equal(first.mask.mask.array, again.mask.mask.array)


def test_where_the_network_sees_nothing_a_small_ball_is_added_and_said(network, numbers, two_balls):
    answer = outliner_of(network, numbers, two_balls).answer(Click(CENTER, also=(LUNG_POINT,)))
    assert contains(answer.mask, LUNG_POINT, two_balls)
    (warning,) = answer.warnings
    assert warning.startswith("The network sees no lesion at (-40, 40, 60), so only a ball of 4 mm was added there")


def test_many_points_without_a_lesion_are_one_warning(network, numbers, two_balls):
    x, y, z = LUNG_POINT
    points = tuple((x, y - step, z) for step in (0.0, 10.0, 20.0))
    (warning,) = outliner_of(network, numbers, two_balls).answer(Click(CENTER, also=points)).warnings
    assert warning.startswith("The network sees no lesion at (-40, 40, 60) and at 2 more points, so only a ball")


def test_a_point_that_does_not_belong_cuts_off_what_is_nearer_to_it(network, numbers, two_balls):
    outliner = outliner_of(network, numbers, two_balls)
    outer = (CENTER[0] + 9.0, CENTER[1], CENTER[2])
    cut = outliner.answer(Click(CENTER, but_not=(outer,)))
    places = cut.mask.mask.index_to_lps(np.argwhere(cut.mask.mask.array))
    assert places[:, 0].max() <= CENTER[0] + 4.5, "half way between both points"
    assert places[:, 0].min() == pytest.approx(CENTER[0] - 11.0, abs=1.5)
    assert cut.tumor == outliner.answer(Click(CENTER)).tumor


def test_points_on_both_sides_move_the_cut(network, numbers, two_balls):
    outliner = outliner_of(network, numbers, two_balls)
    outer = (CENTER[0] + 9.0, CENTER[1], CENTER[2])
    inner = (CENTER[0] + 5.0, CENTER[1], CENTER[2])
    cut = outliner.answer(Click(CENTER, also=(inner,), but_not=(outer,)))
    places = cut.mask.mask.index_to_lps(np.argwhere(cut.mask.mask.array))
    assert CENTER[0] + 5.0 <= places[:, 0].max() <= CENTER[0] + 7.0


def test_a_part_that_a_cut_separates_from_every_point_goes_too():
    """A hairpin: its far end is nearer to the point of the lesion, but its bend is not."""
    ct = Volume(np.zeros((20, 20, 60), np.float32), axial_affine((1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0)))
    array = np.zeros(ct.shape, bool)
    array[10, 10, :40] = True  # from x = 0 to 39
    array[10, 10:, 39] = True
    array[10, 19, 5:40] = True
    mask = crop_at(array, ((0, 0, 0), ct.shape), ct)
    cut = cut_off(mask, [(0.0, 10.0, 10.0)], [(20.0, 0.0, 10.0)], ct)
    places = cut.mask.index_to_lps(np.argwhere(cut.mask.array))
    assert places[:, 1].max() == 10.0
    assert places[:, 0].max() == 12.0  # nearer to (0, 10) than to (20, 0)


def test_nothing_is_left_if_every_voxel_is_nearer_to_a_point_outside():
    ct = Volume(np.zeros((9, 9, 9), np.float32), axial_affine((1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0)))
    mask = ball_at((4.0, 4.0, 4.0), 1.0, ct)
    assert cut_off(mask, [(0.0, 0.0, 0.0)], [(4.0, 4.0, 4.0)], ct) is None


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (5.0, 0.7, 0.7)])
@pytest.mark.parametrize("point", [(3.2, 2.1, 4.4), (0.0, 0.0, 0.0)])
def test_a_ball_contains_its_center_on_any_grid(spacing_mm, point):
    ct = Volume(np.zeros((9, 9, 9), np.float32), axial_affine(spacing_mm, origin=(0.0, 0.0, 0.0)))
    ball = ball_at(point, 2.0, ct)
    assert contains(ball, point, ct)
    far = np.linalg.norm(ball.mask.index_to_lps(np.argwhere(ball.mask.array)) - point, axis=1).max()
    assert far <= max(2.0, spacing_mm[0] / 2)


def test_a_place_is_looked_at_once(network, numbers, two_balls, monkeypatch):
    looked = []
    real = clicks.outline_point
    monkeypatch.setattr(clicks, "outline_point", lambda *given: looked.append(given[-1]) or real(*given))
    outliner = outliner_of(network, numbers, two_balls)
    outliner.answer(Click(CENTER))
    outliner.answer(Click(CENTER, also=(SECOND_CENTER,)))
    outliner.answer(Click(CENTER, but_not=(SECOND_CENTER,)))
    assert looked == [CENTER, SECOND_CENTER]


@pytest.mark.parametrize("which", ["place", "also", "but_not"])
def test_every_point_must_lie_in_the_ct(network, numbers, two_balls, which):
    far = (900.0, 0.0, 0.0)
    click = Click(far) if which == "place" else Click(CENTER, **{which: (far,)})
    with pytest.raises(UnusableInput, match=r"\(900, 0, 0\) lies outside the CT"):
        outliner_of(network, numbers, two_balls).answer(click)


def test_what_is_below_the_threshold_is_left_out_and_named(network, numbers):
    ct = ball_ct()
    doubtful = type(numbers)(8, "", numbers.candidate, Calibration(-1.0, {"tumor_logit": 0.0}))
    outliner = outliner_of(network, doubtful, ct)
    found = outline_clicks(outliner, ct, [Click(CENTER)], 0.5)
    assert not found.certainty.array.any()
    (warning,) = found.warnings
    assert "(12, -8, 30) does not look like a tumor (probability 27%)" in warning
    anyway = outline_clicks(outliner, ct, [Click(CENTER)], 0.0)
    assert anyway.certainty.array.max() == pytest.approx(0.269, abs=0.001)
    assert anyway.warnings == ()


def test_what_is_as_bright_as_contrast_agent_needs_insistence(network, numbers):
    ct = ball_ct()
    ct.array[ct.array == BALL_HU] = 260.0
    outliner = outliner_of(network, numbers, ct)
    found = outline_clicks(outliner, ct, [Click(CENTER)], 0.5)
    assert not found.lesions
    (warning,) = found.warnings
    assert "as bright as a vessel filled with contrast agent (median 260 HU)" in warning
    assert len(outline_clicks(outliner, ct, [Click(CENTER)], 0.0).lesions) == 1


def test_nothing_left_after_a_cut_is_said():
    click = Click(LUNG_POINT, also=(), but_not=(CENTER,))
    assert "nearer to the points that do not belong" in clicks.objection(click, clicks.Answer(None, 0.9), 0.5)


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0%"), (0.004, "below 1%"), (0.27, "27%"), (0.996, "above 99%"), (1.0, "100%")]
)
def test_a_probability_is_never_rounded_to_certainty(share, text):
    assert percent(share) == text


def test_a_place_outside_of_the_ct_is_refused_before_the_search_for_the_lungs(two_balls, monkeypatch):
    monkeypatch.setattr(run, "load_model", lambda name: pytest.fail("the place was not checked first"))
    with pytest.raises(UnusableInput, match=r"\(900, 0, 0\) lies outside the CT; .* opposite sign .* Slicer \(RAS\)"):
        pipeline.outline(two_balls, point=CENTER, but_not=[(900.0, 0.0, 0.0)])
