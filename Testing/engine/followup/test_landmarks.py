"""Landmarks inside the lungs: what lies outside does not guide them, and wrong matches are noticed."""

from __future__ import annotations

import numpy as np
import pytest
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.followup.doubts import LEAST_FOUND_SHARE, registration_doubt
from LungTumorSegLib.followup.landmarks import (
    PATCH_VOXELS,
    Matches,
    comparable,
    distinctive_places,
    find_places,
    found_again,
)
from LungTumorSegLib.followup.lung_grid import LungGrid
from LungTumorSegLib.followup.registration import Registration, register
from scipy import ndimage

SHAPE = (30, 30, 30)
AFFINE = np.array([[0, 0, 3.0, 0], [0, 3.0, 0, 0], [3.0, 0, 0, 0], [0, 0, 0, 1]])
REACH = 4


def texture(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """Smooth bright blobs, as vessels seem to be at 3 mm."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), 1.2)
    return (0.3 * np.clip(noise / noise.std(), 0, 2)).astype(np.float32)


def lung(left: int = 8) -> np.ndarray:
    """A block with a flat wall at column ``left``."""
    inside = np.zeros(SHAPE, dtype=bool)
    inside[3:-3, 3:-3, left:-3] = True
    return inside


def density(inside: np.ndarray, blobs: np.ndarray) -> np.ndarray:
    return np.where(inside, blobs, 1).astype(np.float32)


def test_the_inside_is_followed_along_a_wall_that_stays():
    inside = lung()
    fixed, moving = density(inside, texture()), density(inside, np.roll(texture(), (2, -1), axis=(0, 1)))
    near_wall = np.array([[k, i, 8 + PATCH_VOXELS - 1] for k in (12, 15, 18) for i in (12, 15, 18)])
    found = find_places(fixed, moving, ndimage.binary_erosion(inside), near_wall, REACH)
    assert len(found.index) == len(near_wall)
    assert np.abs(found.offset - (2, -1, 0)).max() < 0.5


def test_places_lie_inside_and_not_on_the_wall():
    inside = comparable(LungGrid(Volume(lung(), AFFINE), None))
    places = distinctive_places(Volume(density(lung(), np.zeros(SHAPE, np.float32)), AFFINE), inside)
    assert len(places) == 0  # walls and corners alone are no landmarks
    places = distinctive_places(Volume(density(lung(), texture()), AFFINE), inside)
    assert len(places) > 10
    assert ndimage.binary_erosion(lung())[tuple(places.T)].all()


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_correlation_never_exceeds_one(level):
    """Surroundings of one value hold nothing to compare, whatever rounding makes of them."""
    moving = np.full(SHAPE, level, np.float32)
    moving[10:14, 10:14, 10:14] += texture()[10:14, 10:14, 10:14]
    everywhere = np.ones(SHAPE, dtype=bool)
    places = np.array([[12, 12, 12], [18, 18, 18], [9, 18, 12]])
    found = find_places(texture(), moving, everywhere, places, REACH)
    assert (found.correlation <= 1 + 1e-5).all()


def test_only_matches_that_lead_back_count():
    everywhere = np.ones(SHAPE, dtype=bool)
    fixed = texture()
    moving = np.roll(fixed, 2, axis=1)
    index = np.array([[k, i, j] for k in (9, 14, 19) for i in (9, 14, 19) for j in (9, 14, 19)])
    offset = np.tile([0.0, 2.0, 0.0], (len(index), 1))
    wrong = np.arange(len(index)) % 3 == 0
    offset[wrong] += [2, -1, 1]
    matches = Matches(index, offset, np.ones(len(index)))
    kept = found_again(fixed, moving, everywhere, matches, REACH)
    assert kept.index.tolist() == index[~wrong].tolist()


def test_without_matches_nothing_leads_back():
    everywhere = np.ones(SHAPE, dtype=bool)
    found = find_places(texture(), texture(1), everywhere, np.zeros((0, 3), int), REACH)
    assert len(found_again(texture(), texture(1), everywhere, found, REACH).index) == 0


def test_an_examination_registered_to_itself_has_no_residual():
    blobs = texture()
    grid = LungGrid(Volume(lung(), AFFINE), Volume(density(lung(), blobs), AFFINE))
    found = register(grid, grid)
    assert found.overlap == 1
    assert found.residual_p95_mm < 0.5
    points = grid.lungs.index_to_lps(np.argwhere(lung())[::101])
    assert np.abs(found.to_earlier(points) - points).max() < 0.5


WIDE = (44, 44, 44)


def block() -> np.ndarray:
    """A block that is large enough for more than twenty held-out landmarks."""
    inside = np.zeros(WIDE, dtype=bool)
    inside[3:-3, 3:-3, 3:-3] = True
    return inside


def test_the_border_of_a_lesion_that_grows_is_no_landmark():
    """It moves, however well the lungs are registered; taken for a landmark, it makes the residual too large."""
    away = np.linalg.norm(np.indices(WIDE).T - 21.5, axis=-1).T
    grids = [
        LungGrid(
            Volume(block(), AFFINE),
            Volume(density(block(), np.where(away < radius, 1, texture(0, WIDE))), AFFINE),
            Volume(away < radius + 1.5, AFFINE),
        )
        for radius in (8, 10.5)
    ]
    found = register(*grids)
    assert found.landmarks >= 20
    assert found.residual_p95_mm < 1  # 2 to 4 if the lesion is not left out
    assert found.found_share > 0.5


def test_another_patient_has_few_vessels_in_common():
    patients = (Volume(density(block(), texture(seed, WIDE)), AFFINE) for seed in (0, 1))
    found = register(*(LungGrid(Volume(block(), AFFINE), each) for each in patients))
    assert found.found_share < LEAST_FOUND_SHARE
    assert "of the vessels that were looked up are in both CTs" in registration_doubt(found)


@pytest.mark.parametrize(("share", "doubtful"), [(0.19, True), (0.2, False), (None, False)])
def test_lesions_are_matched_by_hand_where_vessels_do_not_agree(share, doubtful):
    found = Registration(np.eye(4), np.zeros((1, 1, 1, 3)), Volume(lung(), AFFINE).grid, 0.95, 1.0, 5.0, 0, share)
    assert bool(registration_doubt(found)) == doubtful
