"""Mirror images about a column that may lie between voxels and differ from slice to slice."""

import numpy as np
from LungTumorSegLib.isolation.spine import SpineAxis
from LungTumorSegLib.isolation.symmetry import mirror_mask, mirrored_lungs
from simple_chest import SHAPE, SPACING, X, Y


def test_each_slice_has_its_own_axis():
    mask = np.zeros((3, 2, 9), bool)
    mask[:, 0, 1] = True
    reflected = mirror_mask(mask, np.array([4.0, 2.5, 1.0]))
    expected = np.zeros_like(mask)
    expected[0, 0, 7] = expected[1, 0, 4] = expected[2, 0, 1] = True
    np.testing.assert_array_equal(reflected, expected)


def test_what_would_lie_outside_the_image_is_lost():
    mask = np.zeros((1, 1, 9), bool)
    mask[0, 0, [0, 1, 7]] = True
    reflected = mirror_mask(mask, np.array([1.5]))
    np.testing.assert_array_equal(np.flatnonzero(reflected), [2, 3])


def test_reflecting_twice_gives_the_mask_back():
    mask = np.random.default_rng(2).random((4, 6, 11)) < 0.3
    columns = np.array([5.0, 5.0, 5.0, 5.0])
    np.testing.assert_array_equal(mirror_mask(mirror_mask(mask, columns), columns), mask)


def axis_of(bend) -> SpineAxis:
    heights = -40.0 + SPACING[0] * np.arange(SHAPE[0])
    return SpineAxis(np.stack([np.broadcast_to(bend, SHAPE[0]), np.full(SHAPE[0], 60.0), heights], axis=1))


def test_a_collapsed_lung_is_found_through_the_other_one(a_chest):
    region = mirrored_lungs(a_chest.volume("right"), axis_of(0.0))
    assert region[a_chest.left].mean() > 0.98  # the left lung is smaller than the right one on all but its upper side
    assert region[a_chest.right].all()


def test_gaps_up_to_40_mm_are_closed_wider_ones_not(a_chest):
    slab = np.broadcast_to((np.abs(Y) < 30) & (np.abs(np.abs(X) - 50) < 32), SHAPE)  # 36 mm apart
    lungs = a_chest.volume("right").with_array(np.array(slab))
    assert mirrored_lungs(lungs, axis_of(0.0))[:, 68, 105:115].all()
    apart = a_chest.volume("right").with_array(slab & (np.abs(X) > 25))
    assert not mirrored_lungs(apart, axis_of(0.0))[:, 68, 105:115].any()
