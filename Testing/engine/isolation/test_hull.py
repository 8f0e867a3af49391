"""What a lung spans, against hulls computed another way."""

import numpy as np
from LungTumorSegLib.isolation.hull import BULGE_MM, FARTHEST_MM, RIM_MM, filled_hulls, spanned_by_lungs
from LungTumorSegLib.isolation.morphology import dilate
from scipy.spatial import Delaunay

SPACING = (3.0, 2.0, 2.5)


def nothing_like(mask):
    return np.zeros_like(mask)


def disk(shape, center, radius_mm):
    """A disk in every slice; ``center`` is (row, column)."""
    rows, columns = np.indices(shape)[1:]
    return ((rows - center[0]) * SPACING[1]) ** 2 + ((columns - center[1]) * SPACING[2]) ** 2 <= radius_mm**2


def test_hulls_are_convex_hulls_of_voxel_centers():
    rng = np.random.default_rng(11)
    mask = rng.random((12, 25, 31)) < np.linspace(0.015, 0.06, 12)[:, None, None]
    grid = np.indices(mask.shape[1:]).reshape(2, -1).T
    for plane, filled in zip(mask, filled_hulls(mask), strict=True):
        corners = Delaunay(np.argwhere(plane))
        expected = (corners.find_simplex(grid, tol=1e-9) >= 0).reshape(plane.shape)
        np.testing.assert_array_equal(filled, expected)


def test_hulls_of_lines_and_points_are_themselves():
    mask = np.zeros((4, 6, 7), bool)
    mask[0, 2, 3] = True
    mask[1, 2, [1, 5]] = True
    mask[2, [1, 4], 2] = True
    filled = filled_hulls(mask)
    assert filled.sum(axis=(1, 2)).tolist() == [1, 5, 4, 0]


def test_a_mass_between_two_parts_of_a_lung_is_spanned():
    shape = (3, 70, 60)
    front, back = disk(shape, (15, 30), 24), disk(shape, (50, 30), 16)
    lung = front | back
    spanned = spanned_by_lungs(lung, nothing_like(lung), SPACING)
    assert spanned[:, 15:51, 26:35].all()


def test_the_middle_of_a_wide_gap_is_not_spanned():
    shape = (3, 20, 120)
    columns = np.indices(shape)[2]
    lung = (columns < 10) | (columns >= 110)
    spanned = spanned_by_lungs(lung, nothing_like(lung), SPACING)
    distance_mm = np.minimum(columns - 9, 110 - columns) * SPACING[2]
    np.testing.assert_array_equal(spanned, distance_mm <= FARTHEST_MM)


def test_a_mass_at_the_chest_wall_may_bulge_beyond_the_hull():
    shape = (3, 80, 60)
    lung = disk(shape, (40, 30), 60) & ~disk(shape, (40, 6), 30)  # a mass of 60 mm has eaten the right border
    spanned = spanned_by_lungs(lung, nothing_like(lung), SPACING)
    outside_hull = ~filled_hulls(lung)
    assert spanned[1, 40, 6]
    assert (spanned & outside_hull).any()
    row_of_mass = np.flatnonzero(spanned[1, 40])
    hull_begins = np.flatnonzero(filled_hulls(lung)[1, 40])[0]
    assert (hull_begins - row_of_mass[0]) * SPACING[2] <= BULGE_MM


def test_a_healthy_lung_has_its_rim_and_no_bulge():
    lung = disk((3, 80, 60), (40, 30), 60)
    spanned = spanned_by_lungs(lung, nothing_like(lung), SPACING)
    np.testing.assert_array_equal(spanned, dilate(lung, RIM_MM, SPACING, planar=True))


class TestLostBack:
    def spanned(self, area_share):
        """A lung 100 mm deep that below slice 6 keeps only its front; ``area_share`` of its columns go on there."""
        lung = np.zeros((14, 60, 40), bool)
        lung[6:, 5:55, 5:35] = True
        lung[:6, 5:35, 5 : 5 + round(30 * area_share)] = True
        return spanned_by_lungs(lung, nothing_like(lung), SPACING)

    def test_the_back_is_taken_to_go_on_below(self):
        assert self.spanned(1.0)[2:6, 10:55, 8:32].all()

    def test_it_goes_on_for_30_mm_only(self):
        lung = np.zeros((24, 60, 40), bool)
        lung[14:, 5:55, 5:35] = True
        lung[:14, 5:35, 5:35] = True
        spanned = spanned_by_lungs(lung, nothing_like(lung), SPACING)
        assert spanned[4:14, 54].any(axis=1).all()
        assert not spanned[:4, 54].any()

    def test_the_narrow_tip_of_a_healthy_lung_has_not_lost_it(self):
        assert not self.spanned(0.4)[:6, 40:].any()
