"""Masks as crops, and the one place that puts a mask on another grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from LungTumorSegLib.core.boxes import bounding_box, boxes_of_labels
from LungTumorSegLib.core.crops import SparseMask, crop_of, place, sparse, whole
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import Grid, Volume
from volumes import ORIENTATIONS, affine_of

SHAPE = (6, 7, 9)
GRID = Grid(SHAPE, affine_of(turn_degrees=(4, -3, 7)))


def a_mask(affine=GRID.affine) -> Volume:
    array = np.zeros(SHAPE, dtype=bool)
    array[1:3, 2:5, 3:7] = array[4, 4, 2] = True
    return Volume(array, affine)


def moved(by_voxels) -> np.ndarray:
    return GRID.affine_from(by_voxels)


def test_a_sparse_mask_stores_its_box_and_shows_the_whole():
    mask = a_mask()
    kept = sparse(mask)
    assert kept.same_grid(mask)
    np.testing.assert_array_equal(kept.array, mask.array)
    assert crop_of(kept).mask.array.base is None, "the array that it came from can be freed"
    assert crop_of(kept).mask.array.nbytes < mask.array.nbytes / 4
    for order in ORIENTATIONS[::5]:
        np.testing.assert_array_equal(order.apply(kept).array, order.apply(mask).array)


def test_an_empty_mask_has_no_crop():
    empty = SparseMask(None, GRID)
    assert not empty.array.any()
    assert crop_of(empty) is None
    assert place(empty, GRID, "The mask") is None


@pytest.mark.parametrize(
    "affine",
    [
        pytest.param(moved((0.0, 0.0, 0.02)), id="shifted by a fiftieth of a voxel"),
        pytest.param(np.round(GRID.affine, 4), id="rounded to four decimals"),
    ],
)
def test_a_grid_that_is_equal_within_a_share_of_a_voxel_is_the_same(affine):
    placed = place(a_mask(affine), GRID, "The mask")
    np.testing.assert_array_equal(whole(placed, GRID).array, a_mask().array)
    assert whole(placed, GRID).same_grid(GRID)


@pytest.mark.parametrize("margin", [(0, 0, 0), (2, 2, 2), (0, 3, 1)])
@pytest.mark.parametrize("order", ORIENTATIONS[::7])
def test_a_larger_or_turned_grid_is_placed_where_its_true_voxels_lie_inside(margin, order):
    larger = Volume(np.pad(a_mask().array, [(n, n) for n in margin]), moved(np.negative(margin)))
    placed = place(order.apply(larger), GRID, "The mask")
    np.testing.assert_array_equal(whole(placed, GRID).array, a_mask().array)


@pytest.mark.parametrize("shift", [(1, 0, 0), (0, -2, 0), (-1, 1, 2)])
def test_a_grid_shifted_by_whole_voxels_is_placed(shift):
    placed = place(a_mask(moved(shift)), GRID, "The mask")
    np.testing.assert_array_equal(whole(placed, GRID).array, np.roll(a_mask().array, shift, axis=(0, 1, 2)))


def test_true_voxels_beyond_the_grid_are_refused_with_the_distance():
    with pytest.raises(UnusableInput, match=r"The mask does not lie on the CT's voxels: it extends 5\.00 mm beyond"):
        place(a_mask(moved((-3, 0, 0))), GRID, "The mask")


def test_voxels_between_those_of_the_grid_are_refused_with_the_distance():
    with pytest.raises(UnusableInput, match=r"off by up to 0\.28 mm \(0\.40 voxels\)"):
        place(a_mask(moved((0, 0, 0.4))), GRID, "The mask")
    stretched = GRID.affine.copy()
    stretched[:3, 1] *= 1.5
    with pytest.raises(UnusableInput, match=r"its voxels measure .* mm instead of .* mm; resample it first"):
        place(a_mask(stretched), GRID, "The mask")


@given(st.integers(0, 2**32 - 1), st.sampled_from([np.uint8, np.uint16, np.int32, np.float32]))
def test_the_boxes_of_all_labels_are_found_in_one_pass(seed, dtype):
    rng = np.random.default_rng(seed)
    labels = (rng.integers(0, 5, (4, 5, 6)) * (rng.random((4, 5, 6)) < 0.2) * 50).astype(dtype)
    expected = {value: bounding_box(labels == value) for value in np.unique(labels[labels != 0]).tolist()}
    assert boxes_of_labels(labels) == expected
