"""Spots that the first network overlooked: the second network decides, and outlines do not run into each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from LungTumorSegLib.core.crops import crop_at
from LungTumorSegLib.inference.grid import make_working_grid
from LungTumorSegLib.inference.prediction import Prediction
from LungTumorSegLib.refinement.calibration import Calibration
from LungTumorSegLib.refinement.outline import Outline
from LungTumorSegLib.refinement.overlooked import is_known, with_spot
from LungTumorSegLib.refinement.second_look import second_look
from LungTumorSegLib.refinement.spots import Spot
from scipy import ndimage

from .conftest import CENTER, ball_ct

SMALL_MM = 4.0
FAR_CENTER = (-20.0, 20.0, 10.0)


def found_without_the_first_network(network, numbers, ct):
    """Return what is found where the first network suspects nothing."""
    grid = make_working_grid(
        ct, ct.with_array(np.ones(ct.shape, bool)), spacing_mm=(3.0, 1.5, 1.5), intensity_range_hu=(-1000.0, 400.0)
    )
    nothing = np.zeros(grid.image.shape, np.float32)
    first = Prediction(grid, nothing, nothing)
    return second_look(network, numbers, ct, np.ones(ct.shape, bool), first, voxel_threshold=0.5, min_lesion_ml=0.1)


@pytest.fixture
def spotting(numbers):
    return replace(numbers, spot=Calibration(0.0, {"tumor_logit": 1.0}))


def test_a_small_nodule_that_the_first_network_overlooked_is_outlined(network, spotting):
    ct = ball_ct(radius_mm=SMALL_MM, side_mm=90)
    (outline,) = found_without_the_first_network(network, spotting, ct)
    mask, truth = np.zeros(ct.shape, bool), ct.array > -300
    mask[outline.mask.slices] = outline.mask.mask.array
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.8
    assert outline.tumor > 0.9


def test_a_model_without_numbers_for_spots_looks_at_none(network, numbers):
    assert found_without_the_first_network(network, numbers, ball_ct(radius_mm=SMALL_MM, side_mm=90)) == []


def test_an_improbable_spot_is_no_lesion_at_any_threshold(network, numbers):
    never = replace(numbers, spot=Calibration(-50.0, {"tumor_logit": 1.0}))
    assert found_without_the_first_network(network, never, ball_ct(radius_mm=SMALL_MM, side_mm=90)) == []


def ball(ct, center, radius_mm):
    points = ct.index_to_lps(np.stack(np.indices(ct.shape), axis=-1))
    inside = np.linalg.norm(points - np.asarray(center), axis=-1) <= radius_mm
    return crop_at(inside, ((0, 0, 0), ct.shape), ct)


@pytest.mark.parametrize(
    ("radius_mm", "tumor", "known"),
    [(5.0, 0.6, True), (5.0, 0.4, False), (15.0, 0.1, True), (2.0, 0.9, False), (0.0, 0.9, False)],
)
def test_a_spot_is_known_in_a_probable_or_a_large_outline(radius_mm, tumor, known):
    ct = ball_ct(side_mm=90)
    around = Outline(ball(ct, CENTER, radius_mm), tumor) if radius_mm else Outline(None, tumor)
    far = Outline(ball(ct, FAR_CENTER, 5.0), 0.9)
    assert is_known(Spot(CENTER, 50.0), [far, around], ct, min_lesion_ml=0.1) == known


def test_a_spot_inside_an_improbable_outline_takes_its_place():
    ct = ball_ct(side_mm=90)
    spot = Outline(ball(ct, CENTER, 4.0), 0.8)
    before, own = with_spot([Outline(ball(ct, CENTER, 2.0), 0.4)], Spot(CENTER, 50.0), spot, ct)
    assert before.mask is None
    assert own is spot


def test_a_spot_does_not_replace_a_more_probable_outline():
    ct = ball_ct(side_mm=90)
    before = [Outline(ball(ct, CENTER, 5.0), 0.45)]
    assert with_spot(before, Spot(CENTER, 50.0), Outline(ball(ct, CENTER, 4.0), 0.35), ct) == before


def test_a_spot_beside_an_improbable_outline_stays_a_lesion_of_its_own():
    ct = ball_ct(side_mm=90)
    beside = (CENTER[0] + 17.0, CENTER[1], CENTER[2])
    large, spot = Outline(ball(ct, CENTER, 15.0), 0.1), Outline(ball(ct, beside, 4.0), 0.8)
    rest, own = with_spot([large], Spot(beside, 50.0), spot, ct)
    both = np.zeros(ct.shape, bool)
    for outline in (rest, own):
        both[outline.mask.slices] |= outline.mask.mask.array
    assert own is spot
    assert ndimage.label(both, structure=np.ones((3, 3, 3)))[1] == 2


def test_a_spot_without_an_outline_changes_nothing():
    before = [Outline(None, 0.7)]
    assert with_spot(before, Spot(CENTER, 50.0), Outline(None, 0.9), ball_ct(side_mm=90)) == before
