"""The views of a candidate: geometry, windows, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.refinement.views import (
    COARSE_VOXELS,
    FINE_VOXELS,
    SIDE_RANGE_MM,
    Anatomy,
    Cube,
    coarse_view,
    fine_view,
    side_for_extent,
)

from .conftest import BALL_HU, CENTER, RADIUS_MM, axial_affine, ball_ct

TURN = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]])


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (5.0, 0.7, 0.7), (2.5, 2.0, 2.0)])
def test_the_fine_view_shows_the_ball_at_its_true_size_for_any_spacing(spacing_mm):
    ct = ball_ct(spacing_mm)
    cube = Cube(CENTER, 40.0)
    inside = fine_view(cube, ct)[0] > 0.4
    volume_mm3 = np.count_nonzero(inside) * cube.voxel_mm**3
    assert volume_mm3 == pytest.approx(4 / 3 * np.pi * RADIUS_MM**3, rel=0.15)
    assert np.argwhere(inside).mean(axis=0) == pytest.approx([(FINE_VOXELS - 1) / 2] * 3, abs=1.0)


def test_both_windows_run_from_0_to_1_and_the_outside_of_the_ct_is_air():
    view = fine_view(Cube((300.0, 0.0, 0.0), 40.0), ball_ct())
    assert view.shape == (2, FINE_VOXELS, FINE_VOXELS, FINE_VOXELS)
    assert (view == 0).all()
    view = fine_view(Cube(CENTER, 30.0), ball_ct())
    middle = FINE_VOXELS // 2
    assert view[0, middle, middle, middle] == pytest.approx((BALL_HU + 1000) / 1400, abs=0.01)
    assert view[1, middle, middle, middle] == pytest.approx((BALL_HU + 160) / 400, abs=0.01)


@pytest.mark.parametrize("turn", [np.eye(3), TURN])
def test_a_voxel_of_the_cube_lies_where_the_cube_says(turn):
    affine = axial_affine((1.5, 1.0, 1.0), turn=turn)
    ramp = np.indices((80, 120, 120)).astype(np.float32)
    grid = Volume(ramp[0], affine)
    center = tuple(grid.index_to_lps((40, 60, 60)).tolist())
    cube = Cube(center, 32.0)
    sampled = np.stack([cube.sample(each, grid) for each in ramp])
    for voxel in [(20, 20, 20), (3, 30, 11), (39, 0, 25)]:
        assert sampled[(slice(None), *voxel)] == pytest.approx(grid.lps_to_index(cube.to_lps(voxel, grid)), abs=1e-3)


@pytest.mark.parametrize("spacing_mm", [(3.0, 0.7, 0.7), (1.0, 2.0, 2.0)])
def test_a_mask_comes_back_to_where_it_was(spacing_mm):
    ct = ball_ct(spacing_mm)
    cube = Cube(CENTER, 60.0)
    back, where = cube.carry_back(cube.sample((ct.array > -300).astype(np.float32), ct), ct)
    whole = np.zeros(ct.shape, bool)
    whole[where] = back > 0.5
    truth = ct.array > -300
    assert 2 * (whole & truth).sum() / (whole.sum() + truth.sum()) > 0.93


def test_a_cube_beside_the_ct_comes_back_empty():
    ct = ball_ct()
    back, where = Cube((500.0, 0.0, 0.0), 40.0).carry_back(np.ones((FINE_VOXELS,) * 3, np.float32), ct)
    assert back.size == 0
    assert ct.array[where].size == 0


def test_the_side_follows_the_extent_within_limits():
    assert side_for_extent(30.0) == 60.0
    assert (side_for_extent(1.0), side_for_extent(500.0)) == SIDE_RANGE_MM


def test_the_coarse_view_shows_aerated_lung_only_inside_the_lungs():
    ct = ball_ct()
    lungs = np.zeros(ct.shape, bool)
    lungs[:, :, :60] = True
    view = coarse_view(CENTER, Anatomy.of(ct, lungs))
    assert view.shape == (3, COARSE_VOXELS, COARSE_VOXELS, COARSE_VOXELS)
    aerated = view[2]
    assert aerated.max() == pytest.approx(1.0, abs=0.01)
    columns = np.flatnonzero(aerated.max(axis=(0, 1)) > 0.5)
    assert columns.max() < COARSE_VOXELS / 2, "the lung ends before the center of the view"
