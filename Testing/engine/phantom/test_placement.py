"""Lesions where they were asked for, apart from each other, never where an organ is."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.phantom import LesionSpec, Phantom, PhantomOptions, make_phantom
from LungTumorSegLib.phantom.generate import Anatomy, build_anatomy, scan_anatomy
from LungTumorSegLib.phantom.placement import GLASS_KINDS, LARGEST_GLASS_MM, draw_specs
from scipy import ndimage

SPACING_MM = (6.0, 3.1, 2.7)
AT_PLEURA_AND_IN_LUNG = LesionSpec("solid", 26.0, "pleura", "left"), LesionSpec("solid", 18.0, "lung", "right")


SEED = 9
OPTIONS = PhantomOptions(
    spacing_mm=SPACING_MM, lesions=(), distractors=(), noise_hu=0, arms="up", emphysema=0, body_grid_mm=6.0
)


@cache
def anatomy(options: PhantomOptions) -> Anatomy:
    return build_anatomy(SEED, options)


@cache
def with_lesions(*lesions: LesionSpec, distractors: tuple[str, ...] = ()) -> Phantom:
    """A patient without noise and with these lesions alone, whose body is painted once."""
    options = replace(OPTIONS, distractors=distractors)
    return scan_anatomy(deepcopy(anatomy(options)), SEED, replace(options, lesions=lesions))


def test_a_lesion_at_the_pleura_touches_the_chest_wall_and_one_in_the_lung_does_not():
    phantom = with_lesions(*AT_PLEURA_AND_IN_LUNG)
    free = with_lesions()
    wall = (free.lungs.array == 0) & (free.ct.array > -300)
    at_pleura, in_lung = (ndimage.binary_dilation(phantom.tumor.array == n) & wall for n in (1, 2))
    assert at_pleura.sum() > 20
    assert in_lung.sum() <= 0.02 * (phantom.tumor.array == 2).sum() + 8  # a hilar vessel may pass by


@pytest.mark.parametrize("place", ["hilum", "mediastinum"])
def test_central_lesions_lie_beside_the_midline_and_spare_the_trachea(place):
    phantom = with_lesions(LesionSpec("solid", 36.0, place, "left"))
    x, _, z = phantom.lesions[0].center_lps_mm
    assert 5 < x < 75
    assert -70 < z < 50
    inside = phantom.ct.array[ndimage.binary_erosion(phantom.tumor.array > 0)]
    assert np.median(inside) > -60
    assert (inside < -900).mean() < 0.02


def test_lesions_keep_apart():
    phantom = with_lesions(*(LesionSpec("solid", d, "lung") for d in (12.0, 30.0, 20.0, 9.0)))
    assert [lesion.diameter_mm for lesion in phantom.lesions] == [12.0, 30.0, 20.0, 9.0]
    assert ndimage.label(phantom.tumor.array > 0, np.ones((3, 3, 3)))[1] == 4


def test_the_smallest_lesion_has_a_voxel_even_between_thick_slices():
    options = PhantomOptions(spacing_mm=(10.0, 4.0, 4.0), lesions=(LesionSpec("solid", 3.0, "lung"),), body_grid_mm=6.0)
    phantom = make_phantom(2, options)
    assert (phantom.tumor.array == 1).sum() >= 1


def test_a_center_is_taken_as_given():
    found = with_lesions(*AT_PLEURA_AND_IN_LUNG).lesions[1].center_lps_mm
    wanted = (found[0] + 1.0, found[1] - 2.0, found[2] + 3.0)
    there = with_lesions(LesionSpec("solid", 16.0, center_lps_mm=wanted)).lesions[0].center_lps_mm
    assert there == pytest.approx(wanted)


def test_a_lesion_without_room_is_refused():
    with pytest.raises(UnusableInput, match=r"no room for a lesion of 20 mm .* \(lung\)"):
        with_lesions(LesionSpec("solid", 20.0, center_lps_mm=(0.0, 0.0, 900.0)))


def test_no_lesion_begins_in_an_effusion():
    phantom = with_lesions(
        LesionSpec("solid", 10.0, "pleura"), LesionSpec("solid", 8.0, "lung"), distractors=("effusion", "collapse")
    )
    ring = ndimage.binary_dilation(phantom.tumor.array > 0, iterations=2) & (phantom.tumor.array == 0)
    assert (phantom.lungs.array[ring] > 0).mean() > 0.3


def test_drawn_lesions_are_log_uniform_in_their_range():
    options = PhantomOptions(lesion_count=3, lesion_diameter_mm=(5.0, 60.0))
    specs = [spec for seed in range(300) for spec in draw_specs(np.random.default_rng(seed), options)]
    logs = np.log([spec.diameter_mm for spec in specs])
    assert len(specs) == 900
    assert logs.min() >= np.log(5)
    assert logs.max() <= np.log(60)
    assert logs.mean() == pytest.approx(np.log(300) / 2, abs=0.08)  # SD of the mean 0.024
    assert {spec.kind for spec in specs} == {"solid", "part_solid", "ground_glass", "spiculated", "cavitary"}
    assert all(spec.diameter_mm <= LARGEST_GLASS_MM for spec in specs if spec.kind in GLASS_KINDS)


def test_a_patient_has_one_to_four_lesions_by_default():
    counts = [len(draw_specs(np.random.default_rng(seed), PhantomOptions())) for seed in range(80)]
    assert set(counts) == {1, 2, 3, 4}
