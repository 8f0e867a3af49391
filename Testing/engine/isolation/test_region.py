"""The isolation mask: margin where the lungs are, room around the central airways, and nothing outside the body."""

import numpy as np
import pytest
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.isolation.morphology import dilate
from LungTumorSegLib.isolation.region import CENTRAL_MM, LUNG_MARGIN_MM, expected_lung, isolation_mask
from LungTumorSegLib.isolation.spine import SpineAxis
from LungTumorSegLib.isolation.working_grid import coarsen
from simple_chest import AFFINE, ORIGIN, SHAPE, SPACING, Z, tube


@pytest.fixture(scope="module")
def straight_axis() -> SpineAxis:
    heights = ORIGIN[2] + SPACING[0] * np.arange(SHAPE[0])
    return SpineAxis(np.stack([np.zeros(SHAPE[0]), np.full(SHAPE[0], 60.0), heights], axis=1))


def coarse(mask) -> Volume:
    """A mask on the coarse grid: blocks that are at least half full."""
    averages = coarsen(Volume(np.asarray(mask, np.int16) * 100, AFFINE))
    return averages.with_array(averages.array >= 50)


def mask_of(chest, axis, airways=None):
    left, right, body = coarse(chest.left), coarse(chest.right), coarse(chest.body)
    airways = coarse(chest.airways if airways is None else airways)
    return isolation_mask(left, right, airways, axis, body=body, ct=chest.ct).array


def test_lungs_and_their_mirror_image_get_a_margin_of_5_mm(a_chest, straight_axis):
    mask = mask_of(a_chest, straight_axis, np.zeros(SHAPE, bool))
    union = a_chest.lungs | a_chest.lungs[..., ::-1][..., np.clip(np.arange(SHAPE[2]) - 1, 0, None)]
    near = dilate(np.asarray(a_chest.lungs), LUNG_MARGIN_MM - SPACING[2], SPACING, planar=True)
    far = dilate(union, LUNG_MARGIN_MM + 4 * SPACING[2], SPACING, planar=True)
    assert mask[near & a_chest.body].all()
    assert mask[far].sum() > 0.95 * mask.sum()


def test_the_mask_stays_within_the_body(a_chest, straight_axis):
    body = coarse(a_chest.body)
    assert not mask_of(a_chest, straight_axis)[~np.repeat(body.array, 2, axis=2)[..., : SHAPE[2]]].any()


def test_the_mediastinum_around_the_airways_is_inside(a_chest, straight_axis):
    mask = mask_of(a_chest, straight_axis)
    central = tube(0, -10, CENTRAL_MM) & (Z > 75) & (Z < 120)
    assert mask[central].all()


def test_no_airway_counts_above_the_lungs(a_chest, straight_axis):
    mask = mask_of(a_chest, straight_axis)
    assert not mask[~a_chest.lungs.any(axis=(1, 2))].any()


def test_gas_far_from_the_spine_is_no_central_airway(a_chest, straight_axis):
    colon = tube(95, -20, 8) & (Z < 30)
    symmetric, between = expected_lung(coarse(a_chest.left), coarse(a_chest.right), coarse(colon), straight_axis)
    _, without = expected_lung(
        coarse(a_chest.left), coarse(a_chest.right), coarse(np.zeros(SHAPE, bool)), straight_axis
    )
    np.testing.assert_array_equal(between, without)
    assert symmetric.any()


def test_a_collapsed_lung_is_inside(a_chest, straight_axis):
    remnant = a_chest.left & (Z > 110)
    left, right, body = coarse(remnant), coarse(a_chest.right), coarse(a_chest.body)
    mask = isolation_mask(left, right, coarse(a_chest.airways), straight_axis, body=body, ct=a_chest.ct).array
    assert mask[a_chest.left].mean() > 0.99
