"""The space between the lungs."""

import numpy as np
import pytest
from chests import make_chest
from LungTumorSegLib.lesions.mediastinum import distance_to_surface_mm, medial_space

SHAPE = (60, 90, 120)


def a_space(spacing=(2.0, 1.0, 1.2), lungs=lambda left, right: None):
    """Lungs in columns 4 to 23 and 28 to 115; slices 3 to 56, rows 5 to 84."""
    chest = make_chest(SHAPE, spacing=spacing)
    lungs(chest.left_lung.array, chest.right_lung.array)
    return chest, medial_space(chest.left_lung, chest.right_lung)


def test_points_between_the_lungs_are_in_it_and_others_are_not():
    chest, space = a_space()
    inside = [(30, 40, 24), (30, 40, 27), (3, 5, 25)]
    outside = [(30, 40, 23), (30, 40, 28), (30, 40, 2), (30, 40, 118), (1, 40, 25), (30, 2, 25)]
    assert space.holds(chest.ct.index_to_lps(inside)).all()
    assert not space.holds(chest.ct.index_to_lps(outside)).any()


def test_a_row_that_one_lung_does_not_reach_ends_at_the_midline():
    def heart(left, right):
        left[20:30, 50:60] = False

    chest, space = a_space(lungs=heart)
    assert space.holds(chest.ct.index_to_lps([(25, 55, 24), (25, 55, 25)])).all()
    assert not space.holds(chest.ct.index_to_lps([(25, 55, 40)])).any()


def test_the_recess_about_the_dome_of_the_diaphragm_is_no_medial_surface():
    def dome(left, right):
        left[3:10, :, :110] = False  # what is left of the lung there is a rim at the chest wall

    chest, space = a_space(lungs=dome)
    at_dome = chest.ct.index_to_lps([(6, 40, 90)])
    assert not space.holds(at_dome).any()
    assert distance_to_surface_mm(at_dome, space.surface_lps()) > 60


def test_the_surface_is_one_voxel_a_row_and_lung():
    _, space = a_space()
    index = space.lungs.lps_to_index(space.surface_lps())
    assert len(index) == 2 * 54 * 78  # the first and the last row turn to the front and the back
    assert set(np.rint(index[:, 2]).astype(int).tolist()) == {23, 28}


def test_an_edge_that_turns_to_the_back_is_no_medial_surface():
    def gutter(left, right):
        for step in range(1, 21):
            left[:, 64 + step, : 28 + 2 * step] = False  # 2.4 mm outward a row of 1 mm

    _, space = a_space(lungs=gutter)
    index = space.lungs.lps_to_index(space.surface_lps())
    left = index[index[:, 2] > 26]
    assert left[:, 1].max() < 65.5
    assert (index[index[:, 2] < 26][:, 1].max() - 83) == pytest.approx(0, abs=1e-9)


def test_distances_are_the_smallest_of_all_pairs():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(30, 3)), rng.normal(size=(40, 3)) + np.array((5, 0, 0))
    assert distance_to_surface_mm(a, b) == pytest.approx(np.linalg.norm(a[:, None] - b, axis=-1).min())
    assert distance_to_surface_mm(a, b[:0]) == np.inf
