"""Spots: small balls in the lungs are found where they are, and vessels are not taken for them."""

from __future__ import annotations

import numpy as np
import pytest
from LungTumorSegLib.core.volume import CTVolume
from LungTumorSegLib.refinement.spots import APART_MM, MOST_SPOTS, find_spots

from .conftest import BALL_HU, CENTER, LUNG_HU, axial_affine, ball_ct


def lungs_of(ct):
    return np.ones(ct.shape, bool)


def points_of(ct):
    return ct.index_to_lps(np.stack(np.indices(ct.shape), axis=-1))


@pytest.mark.parametrize("spacing_mm", [(1.0, 0.7, 0.7), (2.5, 0.8, 0.8), (3.0, 1.5, 1.5)])
@pytest.mark.parametrize("radius_mm", [3.0, 5.0])
def test_a_small_ball_is_a_spot_at_its_middle(spacing_mm, radius_mm):
    ct = ball_ct(spacing_mm, radius_mm=radius_mm, side_mm=90)
    (spot,) = find_spots(ct, lungs_of(ct))
    assert np.linalg.norm(np.asarray(spot.center) - CENTER) < 2.0


def test_a_vessel_is_less_round_than_a_ball_of_its_width():
    ball = ball_ct(radius_mm=4.0, side_mm=90)
    vessel = ball.with_array(np.full(ball.shape, LUNG_HU, np.float32))
    vessel.array[np.linalg.norm((points_of(ball) - np.asarray(CENTER))[..., :2], axis=-1) <= 4.0] = BALL_HU
    (spot,) = find_spots(ball, lungs_of(ball))
    assert max((each.roundness for each in find_spots(vessel, lungs_of(vessel))), default=0) < 0.5 * spot.roundness


def test_what_lies_outside_the_lungs_is_no_spot():
    ct = ball_ct(radius_mm=4.0, side_mm=90)
    lungs = lungs_of(ct)
    lungs[:, :, ct.shape[2] // 2 :] = False
    assert find_spots(ct, lungs) == []
    assert find_spots(ct, np.zeros(ct.shape, bool)) == []


def test_spots_are_few_apart_and_sorted():
    rng = np.random.default_rng(3)
    ct = CTVolume(np.full((90, 90, 90), LUNG_HU, np.float32), axial_affine((1.5, 1.5, 1.5)))
    for k, i, j in rng.integers(6, 84, (150, 3)):
        ct.array[k - 1 : k + 2, i - 1 : i + 2, j - 1 : j + 2] = rng.uniform(-300, 100)
    spots = find_spots(ct, lungs_of(ct))
    centers = np.array([spot.center for spot in spots])
    distance = np.linalg.norm(centers[:, None] - centers, axis=-1) + APART_MM * 2 * np.eye(len(spots))
    assert len(spots) == MOST_SPOTS
    assert distance.min() > APART_MM
    assert [spot.roundness for spot in spots] == sorted((spot.roundness for spot in spots), reverse=True)
