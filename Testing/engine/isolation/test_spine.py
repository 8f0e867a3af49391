"""The spine axis follows the canal, straight or bent, and is smoothed as published."""

import numpy as np
import pytest
from LungTumorSegLib.core.volume import Grid, Volume
from LungTumorSegLib.isolation.spine import SpineAxis, find_spine_axis, smooth_exponentially
from simple_chest import AFFINE, CANAL_Y_MM, ORIGIN, SHAPE, SPACING, X, Y, Z


def axis_of(chest):
    return find_spine_axis(chest.ct, chest.volume("body"), chest.volume("lungs")).points_lps


def with_lung(chest):
    return chest.lungs.any(axis=(1, 2))


def test_there_is_one_point_on_each_slice(a_chest):
    heights = ORIGIN[2] + SPACING[0] * np.arange(SHAPE[0])
    np.testing.assert_allclose(axis_of(a_chest)[:, 2], heights, atol=1e-9)


def test_a_straight_spine_is_met_within_a_column(a_chest):
    assert np.abs(axis_of(a_chest)[:, 0]).max() <= SPACING[2]


def test_the_axis_lies_between_vertebra_and_canal(a_chest):
    rows = axis_of(a_chest)[:, 1]
    assert rows.min() > 45
    assert rows.max() < CANAL_Y_MM + 5


def test_a_bent_spine_is_followed(a_bent_chest):
    heights = ORIGIN[2] + SPACING[0] * np.arange(SHAPE[0])
    bend = 25 * np.sin(np.pi * (heights - ORIGIN[2]) / (SHAPE[0] * SPACING[0]))
    error = np.abs(axis_of(a_bent_chest)[:, 0] - bend)[with_lung(a_bent_chest)]
    assert np.median(error) < 2.5
    assert error.max() < 6  # the first and last points are means over five slices


def test_a_bright_heart_and_shoulders_do_not_pull_the_axis(a_chest):
    heart = (X - 25) ** 2 / 50**2 + (Y + 30) ** 2 / 40**2 + (Z - 20) ** 2 / 40**2 <= 1
    shoulders = ((np.abs(X) - 110) ** 2 + (Y - 20) ** 2 < 20**2) & (Z > 100)
    distracted = a_chest.painted(heart & ~a_chest.lungs, 350).painted(shoulders & a_chest.body, 600)
    assert np.abs(axis_of(distracted)[:, 0]).max() <= SPACING[2]


def test_half_a_chest_shows_its_spine_at_the_border(a_chest):
    half = Volume(a_chest.ct.array[..., :120], AFFINE)
    masks = [Volume(getattr(a_chest, name)[..., :120], AFFINE) for name in ("body", "right")]
    assert np.abs(find_spine_axis(half, *masks).points_lps[:, 0]).max() <= 2 * SPACING[2]


def test_without_bone_the_axis_is_the_middle_of_the_body(a_chest):
    boneless = a_chest.painted(a_chest.hu > 100, 40)
    assert np.abs(axis_of(boneless)[:, 0]).max() <= SPACING[2]


def test_smoothing_starts_with_the_mean_of_five_and_follows_by_0_3():
    values = np.array([10.0, 12, 14, 16, 18, 30, 30])
    expected, state = [], 14.0
    for value in values:
        state = 0.3 * value + 0.7 * state
        expected.append(state)
    np.testing.assert_allclose(smooth_exponentially(values), expected, rtol=1e-12)


@pytest.mark.parametrize("slices", [5, 31])
def test_an_axis_is_carried_to_another_grid(slices):
    points = np.stack([np.linspace(-8, 12, 11), np.full(11, 60.0), np.linspace(0, 60, 11)], axis=1)
    affine = np.array([[0, 0, 2.0, -50], [0, 2.5, 0, -40], [60 / (slices - 1), 0, 0, 0], [0, 0, 0, 1]])
    grid = Grid((slices, 80, 60), affine)
    carried = SpineAxis(points).on(grid)
    expected_x = np.linspace(-8, 12, slices)
    np.testing.assert_allclose(carried.points_lps[:, 0], expected_x, atol=1e-9)
    np.testing.assert_allclose(SpineAxis(points).columns(grid), (expected_x + 50) / 2, atol=1e-6)


@pytest.mark.parametrize("rounding", [1e-12, -1e-12, 3e-11])
def test_the_last_digits_of_an_affine_move_no_column(rounding):
    """An axis a quarter of a column off: the mirror image of each column lies just between two."""
    points = np.stack([np.full(9, 10.25 * 0.9766 - 250), np.full(9, 60.0), np.linspace(0, 24, 9)], axis=1)
    affine = np.array([[0, 0, 0.9766, -250], [0, 0.9766, 0, -163], [3.0, 0, 0, 0], [0, 0, 0, 1]])
    moved = affine.copy()
    moved[0, 3] += rounding
    columns = SpineAxis(points).columns(Grid((9, 80, 60), moved))
    np.testing.assert_array_equal(columns, SpineAxis(points).columns(Grid((9, 80, 60), affine)))
    assert (columns == 10.25).all()
