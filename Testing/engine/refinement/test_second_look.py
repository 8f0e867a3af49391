"""The second look of a run: probabilities, outlines, and how they reach the report."""

from __future__ import annotations

import numpy as np
import pytest
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.inference.grid import make_working_grid
from LungTumorSegLib.inference.prediction import Prediction
from LungTumorSegLib.lesions import Maps, report_lesions
from LungTumorSegLib.refinement.calibration import Calibration
from LungTumorSegLib.refinement.second_look import second_look
from scipy import ndimage

from .conftest import CENTER, RADIUS_MM, ball_ct

BALL_ML = 4 / 3 * np.pi * RADIUS_MM**3 / 1000


def first_look(ct, sharpness=1.0):
    """Return a prediction of everything dense."""
    grid = make_working_grid(
        ct, ct.with_array(np.ones(ct.shape, bool)), spacing_mm=(3.0, 1.5, 1.5), intensity_range_hu=(-1000.0, 400.0)
    )
    return certain(grid, np.clip((grid.image.array - 0.5) * sharpness + 0.5, 0, 1).astype(np.float32))


def certain(grid, probability):
    """Return a prediction in which all stacks agree."""
    return Prediction(grid, probability, np.zeros_like(probability))


def looked_at(network, numbers, ct, lungs=None, **maps):
    lungs = np.ones(ct.shape, bool) if lungs is None else lungs
    return second_look(network, numbers, ct, lungs, first_look(ct, **maps), voxel_threshold=0.5, min_lesion_ml=0.1)


def whole(candidate, ct):
    mask = np.zeros(ct.shape, bool)
    mask[candidate.mask.slices] = candidate.mask.mask.array
    return mask


@pytest.mark.parametrize("spacing_mm", [(2.0, 1.0, 1.0), (5.0, 0.8, 0.8)])
def test_a_dense_ball_is_outlined_on_the_grid_of_the_ct(network, numbers, spacing_mm):
    ct = ball_ct(spacing_mm)
    (candidate,) = looked_at(network, numbers, ct)
    truth = ct.array > -300
    mask = whole(candidate, ct)
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.9
    assert candidate.tumor > 0.9


def test_the_outlines_of_both_networks_are_weighted(network, numbers):
    """A first network that sees twice the radius is corrected by the second one."""
    ct = ball_ct()
    grid = first_look(ct).grid
    points = grid.image.index_to_lps(np.stack(np.indices(grid.image.shape), axis=-1))
    wide = (0.6 * (np.linalg.norm(points - np.asarray(CENTER), axis=-1) < 1.6 * RADIUS_MM)).astype(np.float32)
    (candidate,) = second_look(
        network, numbers, ct, np.ones(ct.shape, bool), certain(grid, wide), voxel_threshold=0.5, min_lesion_ml=0.1
    )
    assert np.count_nonzero(candidate.mask.mask.array) * ct.voxel_volume_ml == pytest.approx(BALL_ML, rel=0.15)


def test_a_large_mass_keeps_the_outline_of_the_first_network(network, numbers):
    ct = ball_ct((3.0, 1.5, 1.5), center=(0.0, 0.0, 30.0), radius_mm=40.0)
    (candidate,) = looked_at(network, numbers, ct, sharpness=20.0)
    on_ct = first_look(ct, sharpness=20.0).probability
    assert np.array_equal(whole(candidate, ct), on_ct.array > 0.5)


def test_the_calibration_sees_the_measures_of_the_candidate(network, numbers):
    lung_wins = Calibration(-4.0, {"aerated_share": 8.0})
    numbers = type(numbers)(8, "", lung_wins, numbers.click)
    ct = ball_ct()
    (inside,) = looked_at(network, numbers, ct)
    (outside,) = looked_at(network, numbers, ct, lungs=np.zeros(ct.shape, bool))
    assert inside.tumor == pytest.approx(1 / (1 + np.exp(-4.0)), abs=0.01)
    assert outside.tumor == pytest.approx(1 / (1 + np.exp(4.0)), abs=0.01)


def judged(network, numbers, ct, logit=5.0):
    """Look at everything denser than halfway between lung and haze, with a calibration that gives one answer."""
    numbers = type(numbers)(8, "", Calibration(logit, {}), numbers.click)
    grid = first_look(ct).grid
    suspected = certain(grid, (grid.image.array > 0.25).astype(np.float32))
    return second_look(network, numbers, ct, np.ones(ct.shape, bool), suspected, voxel_threshold=0.5, min_lesion_ml=0.1)


def ball_of(hu, radius_mm):
    ct = ball_ct((3.0, 1.5, 1.5), center=(20.0, 20.0, 50.0), radius_mm=radius_mm, side_mm=160)
    ct.array[ct.array > -300] = hu
    return ct


@pytest.mark.parametrize(
    ("radius_mm", "hu", "is_tumor"), [(65.0, -400.0, False), (65.0, 0.0, True), (50.0, -400.0, True)]
)
def test_a_large_haze_is_no_tumor_whatever_the_networks_say(network, numbers, radius_mm, hu, is_tumor):
    (candidate,) = judged(network, numbers, ball_of(hu, radius_mm))
    assert (candidate.tumor > 0.9) == is_tumor
    assert (candidate.tumor == 0) != is_tumor


@pytest.mark.parametrize(("haze_hu", "is_tumor"), [(-400.0, False), (0.0, True)])
def test_a_hazy_patch_is_no_tumor_beside_a_large_haze(network, numbers, haze_hu, is_tumor):
    ct = ball_of(haze_hu, 65.0)
    ct.array[2:8, 4:16, 4:16] = -400.0
    large, small = judged(network, numbers, ct)
    assert np.count_nonzero(large.mask.mask.array) > np.count_nonzero(small.mask.mask.array)
    assert (small.tumor > 0.9) == is_tumor
    assert (small.tumor == 0) != is_tumor


def a_large_haze_with(hu):
    """Return a CT with a haze and a ball of these HU inside, and the ball's mask."""
    ct = ball_of(-400.0, 65.0)
    ball = ball_ct((3.0, 1.5, 1.5), center=(30.0, 10.0, 40.0), radius_mm=12.0, side_mm=160).array > -300
    ct.array[ball] = hu
    return ct, ball


def test_a_solid_lesion_inside_a_large_haze_is_outlined_apart_from_it(network, numbers):
    ct, truth = a_large_haze_with(40.0)
    lesion, haze = judged(network, numbers, ct)
    assert lesion.tumor > 0.9
    assert haze.tumor == 0
    mask = whole(lesion, ct)
    assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.85
    assert ndimage.label(mask | whole(haze, ct), structure=np.ones((3, 3, 3)))[1] == 2


@pytest.mark.parametrize(("hu", "logit"), [(-200.0, 5.0), (40.0, 1.0)])
def test_a_dense_part_of_a_haze_is_a_lesion_only_if_network_and_calibration_agree(network, numbers, hu, logit):
    """The untrained network's logit of -200 HU is 2.9, that of 40 HU is above 9."""
    ct, _ = a_large_haze_with(hu)
    (haze,) = judged(network, numbers, ct, logit)
    assert haze.tumor == 0


def test_nothing_suspicious_needs_no_look(numbers):
    ct = ball_ct(radius_mm=0.0)
    assert looked_at(None, numbers, ct) == []


@pytest.mark.parametrize(("tumor", "lesions"), [(0.7, 1), (0.3, 0)])
def test_the_report_uses_the_probability_of_the_second_look_as_confidence(tumor, lesions):
    ct = ball_ct()
    mask = ct.array > -300
    certainty = ct.with_array(np.where(mask, np.float32(tumor), np.float32(0)))
    lungs = ct.with_array(np.ones(ct.shape, bool))
    maps = Maps(lungs.with_array(mask.astype(np.float32)), certainty=certainty)
    report = report_lesions(
        Volume(mask, ct.affine), ct, lungs, lungs, maps=maps, min_lesion_ml=0.1, min_confidence=0.5, sides_known=False
    )
    assert [lesion.confidence for lesion in report.lesions] == [pytest.approx(tumor)] * lesions
    assert len(report.unsure_ml) == 1 - lesions
