"""Volumes, grids and axis orders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import AIR_HU, AxisOrder, CTVolume, Grid, Volume
from volumes import CANONICAL_AXES, ORIENTATIONS, affine_of, an_oblique_ct, hu_at, make_ct, random_volumes

FLOAT_ERROR_MM = 1e-9
"""Double precision leaves this much over a meter, with a margin of 1000."""


def lps_of_voxels(volume: Volume) -> np.ndarray:
    return volume.index_to_lps(np.moveaxis(np.indices(volume.shape), 0, -1))


@given(volume=random_volumes(), order=st.sampled_from(ORIENTATIONS))
def test_any_axis_order_can_be_undone_exactly(volume, order):
    back = order.undo(order.apply(volume))
    np.testing.assert_array_equal(back.array, volume.array)
    assert back.same_grid(volume, tolerance_mm=FLOAT_ERROR_MM)


@pytest.mark.parametrize("order", ORIENTATIONS)
def test_reordered_voxels_stay_at_their_place(order):
    stored = order.apply(an_oblique_ct())
    # hu_at tells each place by its value; make_ct rounds, so half a unit is the error.
    np.testing.assert_allclose(stored.array, hu_at(lps_of_voxels(stored)), atol=0.51)


@pytest.mark.parametrize("order", ORIENTATIONS)
def test_each_of_48_orientations_becomes_canonical_and_returns(order):
    upright = make_ct()
    stored = order.apply(upright)
    axes = stored.canonical_axes()
    canonical = axes.apply(stored)
    np.testing.assert_array_equal(canonical.array, upright.array)
    assert canonical.same_grid(upright, tolerance_mm=FLOAT_ERROR_MM)
    assert axes.undo(canonical).same_grid(stored, tolerance_mm=FLOAT_ERROR_MM)


@given(volume=random_volumes())
def test_canonical_axes_point_most_to_head_back_and_left(volume):
    canonical = volume.canonical_axes().apply(volume)
    toward = np.diag(CANONICAL_AXES.T @ canonical.direction)
    others = [np.diag(CANONICAL_AXES.T @ order.apply(volume).direction).sum() for order in ORIENTATIONS]
    assert (toward >= -FLOAT_ERROR_MM).all()
    assert toward.sum() == pytest.approx(max(others))


def test_a_canonical_volume_needs_no_reordering():
    assert make_ct(turn_degrees=(20, 5, -10)).canonical_axes() == AxisOrder((0, 1, 2), (False, False, False))


@given(volume=random_volumes(), index=st.tuples(*[st.floats(-20, 20)] * 3))
def test_points_return_to_their_index(volume, index):
    np.testing.assert_allclose(volume.lps_to_index(volume.index_to_lps(index)), index, atol=1e-9)


def test_geometry_follows_from_the_affine():
    ct = make_ct(spacing=(2.5, 0.8, 0.7), turn_degrees=(0, 0, 90), origin=(1, 2, 3))
    assert ct.spacing == pytest.approx((2.5, 0.8, 0.7))
    assert ct.voxel_volume_ml == pytest.approx(2.5 * 0.8 * 0.7 / 1000)
    np.testing.assert_allclose(ct.index_to_lps((1, 0, 0)), (1, 2, 5.5))
    np.testing.assert_allclose(
        ct.index_to_lps((0, 1, 0)), (0.2, 2, 3)
    )  # rows ran back; turned about z they run to the right
    np.testing.assert_allclose(ct.index_to_lps((0, 0, 1)), (1, 2.7, 3))


def test_a_crop_keeps_voxels_at_their_place():
    crop = an_oblique_ct().crop((2, 1, 3), (8, 9, 7))
    assert crop.shape == (6, 8, 4)
    np.testing.assert_allclose(crop.array, hu_at(lps_of_voxels(crop)), atol=0.51)


@pytest.mark.parametrize(
    ("change", "same"),
    [({}, True), ({"origin": (-11, 7, -30.0009)}, True), ({"origin": (-11, 7, -30.002)}, False),
        ({"spacing": (2.5, 0.8, 0.71)}, False),
     ({"turn_degrees": (0, 0, 0.1)}, False), ({"shape": (9, 10, 11)}, False)],
)  # fmt: skip
def test_grids_are_the_same_within_a_micrometer_at_every_corner(change, same):
    origin = (-11, 7, -30)
    assert make_ct(origin=origin).same_grid(make_ct(**{"origin": origin} | change)) is same


@pytest.mark.parametrize("size", [(3, 4), (3, 4, 0)])
def test_a_grid_without_three_filled_axes_is_refused(size):
    with pytest.raises(ValueError, match="three axes of at least one voxel"):
        Grid(size, np.eye(4))


def test_an_array_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="does not fit a grid"):
        make_ct().with_array(np.zeros((9, 10, 11)))


def sheared() -> np.ndarray:
    affine = affine_of()
    affine[0, 0] = 0.01
    return affine


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (np.eye(3), "4 x 4"),
        (np.full((4, 4), np.nan), "finite"),
        (np.diag([1, 0, 1, 1]), "above zero"),
        (sheared(), "orthogonal"),
    ],
)
def test_an_impossible_affine_is_refused(affine, message):
    with pytest.raises(ValueError, match=message):
        Volume(np.zeros((2, 3, 4)), affine)


def test_the_affine_cannot_be_changed_afterwards():
    with pytest.raises(ValueError, match="read-only"):
        make_ct().affine[0, 3] = 5


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_numbers_are_refused(bad):
    array = np.zeros((8, 9, 10), np.float32)
    array[3, 4, 5] = bad
    with pytest.raises(UnusableInput, match="NaN or infinite"):
        CTVolume(array, np.eye(4))


def test_padding_below_air_becomes_air_and_nothing_else_changes():
    array = np.array([[[-3024, -1025, -1024, -1023, 0, 3071]]], np.int16)
    ct = CTVolume(array, np.eye(4))
    assert ct.array.tolist() == [[[AIR_HU, AIR_HU, AIR_HU, -1023, 0, 3071]]]
    assert array[0, 0, 0] == -3024


@pytest.mark.parametrize(
    ("given_type", "kept"), [("int16", "int16"), ("float32", "float32"), ("float64", "float32"), ("int32", "float32")]
)
def test_hu_are_int16_or_float32(given_type, kept):
    assert CTVolume(np.zeros((2, 3, 4), given_type), np.eye(4)).array.dtype == kept


def test_the_affine_of_a_part_or_of_a_coarser_grid_maps_its_voxels_to_the_same_points():
    grid = Grid((9, 10, 12), affine_of(turn_degrees=(4, -3, 7)))
    first, step = np.array([2.5, -1.0, 3.0]), np.array([1.0, 2.0, 3.0])
    coarse = Grid((2, 2, 2), grid.affine_from(first, step))
    index = np.array([1.0, 4.0, 2.0])
    np.testing.assert_allclose(coarse.index_to_lps(index), grid.index_to_lps(first + step * index))
    np.testing.assert_array_equal(grid.affine_from((0, 0, 0)), grid.affine)
