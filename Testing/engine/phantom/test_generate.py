"""A phantom as a whole: seeded, anatomical, true to its own truth, on any grid."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import AIR_HU, AxisOrder, Volume
from LungTumorSegLib.phantom import LesionSpec, PhantomOptions, make_phantom
from LungTumorSegLib.phantom.generate import spine_points
from LungTumorSegLib.phantom.patient import draw_patient
from scipy import ndimage

QUICK = PhantomOptions(
    spacing_mm=(8.0, 4.1, 3.7), lesions=(), distractors=(), couch="flat", arms="up", body_grid_mm=8.0
)
ROTATED = ((0.0, -0.1736482, 0.9848078), (0.0, 0.9848078, 0.1736482), (1.0, 0.0, 0.0))
"""Axial slices turned by 10 degrees in their plane: slice, row and column axes as columns."""


def mean_position(mask: Volume) -> np.ndarray:
    """Mean LPS position of the true voxels."""
    return mask.index_to_lps(np.argwhere(mask.array)).mean(axis=0)


def hu_near(ct: Volume, point_lps: np.ndarray, radius_voxels: int = 1) -> float:
    """Median HU around an LPS point."""
    k, j, i = np.rint(ct.lps_to_index(point_lps)).astype(int)
    r = radius_voxels
    return float(np.median(ct.array[max(k - r, 0) : k + r + 1, j - r : j + r + 1, i - r : i + r + 1]))


def test_the_same_seed_gives_the_same_voxels(phantom_of):
    first, second = phantom_of(5, QUICK), make_phantom(5, QUICK)
    assert np.array_equal(first.ct.array, second.ct.array)
    assert np.array_equal(first.lungs.array, second.lungs.array)
    assert np.array_equal(first.ct.affine, second.ct.affine)


def test_another_seed_is_another_patient(phantom_of):
    first, second = phantom_of(5, QUICK), phantom_of(6, QUICK)
    sizes = [phantom.lungs.array.astype(bool).sum() * phantom.lungs.voxel_volume_ml for phantom in (first, second)]
    assert (
        abs(sizes[0] - sizes[1]) > 20
    )  # mL; two draws of three scales, depth of breath and heart hardly ever agree so well


def test_the_same_seed_with_other_lesions_is_the_same_patient(phantom_of):
    with_lesion = replace(QUICK, lesions=(LesionSpec("solid", 30.0, "lung", "left"),))
    free, sick = phantom_of(5, QUICK), phantom_of(5, with_lesion)
    away = ndimage.binary_dilation(sick.tumor.array > 0, iterations=6)
    assert not free.tumor.array.any()
    assert sick.tumor.array.any()
    assert np.array_equal(free.ct.array[~away], sick.ct.array[~away])


def test_left_and_right_are_the_patients_own(a_phantom_with_two_lesions):
    phantom = a_phantom_with_two_lesions
    left, right = (mean_position(Volume(phantom.lungs.array == label, phantom.lungs.affine)) for label in (1, 2))
    assert left[0] - right[0] > 100
    ground_glass, solid = phantom.lesions
    assert ground_glass.center_lps_mm[0] < right[0] + 60 < left[0] - 60 < solid.center_lps_mm[0]


def test_the_liver_lies_right_and_the_heart_left(a_phantom_with_two_lesions):
    phantom = a_phantom_with_two_lesions
    points = phantom.lungs.index_to_lps(np.argwhere(phantom.lungs.array > 0))
    dome = points[(abs(points[:, 0] + 65) < 4) & (abs(points[:, 1]) < 4), 2].min()
    assert 45 < hu_near(phantom.ct, np.array([-65.0, 0.0, dome - 20])) < 75  # liver below the right dome
    at_heart = points[abs(points[:, 2] + 70) < 3]
    at_heart = at_heart[(at_heart[:, 1] > -50) & (at_heart[:, 1] < -30)]
    left_border, right_border = at_heart[at_heart[:, 0] > 0, 0].min(), -at_heart[at_heart[:, 0] < 0, 0].max()
    assert left_border > right_border + 15  # two thirds of the heart lie left of the midline


def test_tissues_have_their_hu(a_phantom_with_two_lesions):
    phantom = a_phantom_with_two_lesions
    deep = ndimage.binary_erosion(phantom.lungs.array > 0, iterations=2)
    assert -900 < np.median(phantom.ct.array[deep]) < -740
    assert phantom.ct.array[0, 0, 0] in range(AIR_HU, -950)
    fat = ((phantom.ct.array > -130) & (phantom.ct.array < -70)).sum()
    soft = ((phantom.ct.array > 20) & (phantom.ct.array < 80)).sum()
    bone = (phantom.ct.array > 250).sum()
    assert fat > 4 * bone  # a trunk has about ten times as much of either as of compact bone
    assert soft > 4 * bone > 0


def test_the_spine_is_bone_at_the_spine_points(a_phantom_with_two_lesions):
    phantom = a_phantom_with_two_lesions
    inside = [p for p in phantom.spine_points_lps if -150 < p[2] < 80]
    values = np.array([hu_near(phantom.ct, point, 0) for point in inside])
    assert np.median(values) > 90  # marrow
    assert values.min() > 40  # discs, and their seam with the fat around at the bends


def test_scoliosis_bends_the_spine_by_its_amplitude():
    straight, bent = (spine_points(draw_patient(5, replace(QUICK, scoliosis_mm=bend))) for bend in (0.0, -25.0))
    assert np.ptp(straight[:, 0]) < 1e-6
    shift = bent[:, 0] - straight[:, 0]
    assert shift.min() == pytest.approx(-25, abs=0.5)


def test_the_truth_lies_on_the_grid_of_the_ct(a_phantom_with_two_lesions):
    phantom = a_phantom_with_two_lesions
    assert phantom.tumor.same_grid(phantom.ct, tolerance_mm=1e-9)
    assert phantom.lungs.same_grid(phantom.ct, tolerance_mm=1e-9)
    assert phantom.ct.spacing == pytest.approx((5.0, 2.6, 2.3))


def test_every_lesion_has_its_label_its_volume_and_its_center(a_phantom_with_two_lesions):
    phantom = a_phantom_with_two_lesions
    assert [lesion.label for lesion in phantom.lesions] == [1, 2]
    assert set(np.unique(phantom.tumor.array)) == {0, 1, 2}
    for lesion in phantom.lesions:
        mask = phantom.tumor.array == lesion.label
        assert mask.sum() * phantom.tumor.voxel_volume_ml == pytest.approx(lesion.volume_ml)
        center = tuple(np.rint(phantom.tumor.lps_to_index(lesion.center_lps_mm)).astype(int))
        assert mask[center]
    solid = phantom.lesions[1]
    assert solid.volume_ml == pytest.approx(
        np.pi * 40**3 / 6000, rel=0.04
    )  # uncut; voxels of 0.03 mL sample 33 mL to a percent or two


def test_lungs_and_tumors_do_not_overlap(a_phantom_with_two_lesions):
    phantom = a_phantom_with_two_lesions
    assert not ((phantom.lungs.array > 0) & (phantom.tumor.array > 0)).any()


def test_lesions_have_the_hu_of_their_kind(a_phantom_with_two_lesions):
    phantom = a_phantom_with_two_lesions
    glass, solid = (np.median(phantom.ct.array[ndimage.binary_erosion(phantom.tumor.array == n)]) for n in (1, 2))
    assert -700 < glass < -350
    assert -20 < solid < 90


@pytest.mark.parametrize(
    ("permutation", "flips"),
    [pytest.param((1, 0, 2), (True, False, False), marks=pytest.mark.slow), ((2, 0, 1), (False, True, True))],
)
def test_any_axis_order_shows_the_same_patient(permutation, flips, phantom_of):
    axial = phantom_of(5, QUICK)
    order = AxisOrder(permutation, flips)
    turned = order.apply(axial.ct)
    direction = tuple(map(tuple, turned.direction))
    options = replace(QUICK, spacing_mm=turned.spacing, direction=direction)
    phantom = phantom_of(5, options)
    assert phantom.ct.same_grid(turned, tolerance_mm=1e-6)
    assert np.array_equal(phantom.ct.array, turned.array)
    assert np.array_equal(phantom.lungs.array, order.apply(axial.lungs).array)


@pytest.mark.slow
def test_an_oblique_grid_shows_the_same_patient(phantom_of):
    axial = phantom_of(5, QUICK)
    oblique = phantom_of(5, replace(QUICK, direction=ROTATED))
    assert oblique.ct.direction == pytest.approx(np.asarray(ROTATED), abs=1e-6)
    index = np.argwhere(np.ones(oblique.lungs.shape, bool)).reshape(*oblique.lungs.shape, 3)
    back = np.moveaxis(axial.lungs.lps_to_index(oblique.lungs.index_to_lps(index)), -1, 0)
    expected = ndimage.map_coordinates(axial.lungs.array, back, order=0)
    overlap = (
        2
        * ((expected > 0) & (oblique.lungs.array > 0)).sum()
        / ((expected > 0).sum() + (oblique.lungs.array > 0).sum())
    )
    assert overlap > 0.95  # voxels of 8 x 4 x 4 mm compared by nearest neighbor; a wrong axis or sign gives below 0.8
    assert (expected == oblique.lungs.array)[(expected > 0) & (oblique.lungs.array > 0)].all()


def test_the_origin_moves_everything_along(phantom_of):
    options = replace(QUICK, lesions=(LesionSpec("solid", 30.0, "lung", "left"),))
    here = phantom_of(5, options)
    there = phantom_of(5, replace(options, origin_lps_mm=(11.0, -250.0, 1200.5)))
    shift = np.array([11.0, -250.0, 1200.5]) - here.ct.origin
    assert there.ct.origin == pytest.approx([11.0, -250.0, 1200.5])
    assert np.array_equal(here.ct.array, there.ct.array)
    assert np.asarray(there.lesions[0].center_lps_mm) - here.lesions[0].center_lps_mm == pytest.approx(shift)
    assert there.spine_points_lps - here.spine_points_lps == pytest.approx(
        np.broadcast_to(shift, here.spine_points_lps.shape)
    )


def test_a_scan_covers_both_lungs_unless_told_otherwise(phantom_of):
    whole = phantom_of(5, QUICK).lungs.array
    assert not whole[0].any()
    assert not whole[-1].any()
    part = phantom_of(5, replace(QUICK, height_mm=(-60.0, 40.0)))
    assert part.ct.shape[0] == 13  # 100 mm in slices of 8 mm
    assert part.lungs.array[0].any()
    assert part.lungs.array[-1].any()


def test_a_negative_seed_is_refused():
    with pytest.raises(UnusableInput, match="seed must be 0 or more"):
        make_phantom(-1, QUICK)
