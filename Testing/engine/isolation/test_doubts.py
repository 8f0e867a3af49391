"""Every doubt about the lungs becomes a warning, and healthy lungs cause none."""

import numpy as np
import pytest
from LungTumorSegLib.core.volume import CTVolume, Volume
from LungTumorSegLib.isolation import SpineAxis, isolate_lungs
from LungTumorSegLib.isolation.doubts import doubts, is_adult, small_doubts, uneven_doubts
from simple_chest import AFFINE, SHAPE, Z, dice, every_second


@pytest.mark.parametrize(("left_ml", "right_ml"), [(2129, 2855), (729, 1350), (1000, 2999)])
def test_lungs_that_differ_within_reason_are_not_doubted(left_ml, right_ml):
    assert uneven_doubts(left_ml, right_ml) == []
    assert uneven_doubts(right_ml, left_ml) == []


def test_the_smaller_lung_is_named_with_both_volumes():
    (warning,) = uneven_doubts(4518, 0)
    assert warning.startswith("The left lung measures 4518 mL and the right lung 0 mL")
    (warning,) = uneven_doubts(300, 1200)
    assert warning.startswith("The right lung measures 1200 mL and the left lung 300 mL")


def masks_of(chest):
    return chest.volume("body"), chest.volume("left"), chest.volume("right")


def doubts_about(chest, left=None, right=None, ct=None, unit=1.0):
    """Return the warnings about a chest with ``left`` and ``right`` as found lungs, by default the true ones."""
    body, *lungs = masks_of(chest)
    found = [
        lung if given is None else lung.with_array(given) for lung, given in zip(lungs, (left, right), strict=True)
    ]
    axis = SpineAxis(np.zeros((SHAPE[0], 3)))
    return doubts(ct or chest.ct, body, *found, airways=chest.volume("airways"), axis=axis, unit=unit)


def test_true_lungs_raise_no_doubt(a_chest):
    assert doubts_about(a_chest) == ()


def test_a_lung_that_was_not_found_is_warned_of(a_chest):
    nothing = np.zeros_like(a_chest.left)
    uneven, missed = doubts_about(a_chest, left=nothing)
    assert uneven.startswith("The right lung measures 1126 mL and the left lung 0 mL")
    assert "The trunk holds 848 mL" in missed  # of 856 mL, without the vessel in it
    small, *_ = doubts_about(a_chest, left=nothing, right=a_chest.right & (Z > 50))
    assert "measure only" in small
    assert "mL in an adult-sized body" in small


def seen_by_a_field(chest, columns):
    """Return the warnings about uneven lungs if the image ends at these columns and the right lung alone was found."""
    field = np.s_[..., columns]
    body, left, right = (Volume(each.array[field], AFFINE) for each in masks_of(chest))
    axis = SpineAxis(np.array([[body.index_to_lps((0, 0, MIDDLE - columns.start))[0], 0, z] for z in Z.ravel()]))
    ct, airways = CTVolume(chest.ct.array[field], AFFINE), Volume(chest.airways[field], AFFINE)
    left = left.with_array(np.zeros_like(left.array))
    return [each for each in doubts(ct, body, left, right, airways=airways, axis=axis) if "lung measures" in each]


MIDDLE = SHAPE[2] // 2
"""The column of the spine."""


def test_a_missing_lung_is_warned_of_unless_it_lies_beside_the_image(a_chest):
    inside = np.flatnonzero(a_chest.body.any(axis=(0, 1)))
    first, last = int(inside[0]) + 8, int(inside[-1]) - 7  # the image ends within the body on both sides
    assert len(seen_by_a_field(a_chest, slice(first, last))) == 1
    assert seen_by_a_field(a_chest, slice(first, MIDDLE + 10)) == []


def test_a_ct_without_bone_says_that_its_values_may_have_been_clipped(a_coarse_ct):
    found = isolate_lungs(CTVolume(a_coarse_ct.array.clip(None, 100), a_coarse_ct.affine))
    assert not found.sides_known
    (warning,) = [doubt for doubt in found.warnings if "found no spine" in doubt]
    assert "no voxel exceeds 100 HU, although bone does" in warning


def test_the_lungs_of_a_small_child_are_not_too_small(a_chest):
    body = a_chest.volume("body")
    assert is_adult(body)
    small = body.affine.copy()
    small[:3] *= 0.6
    assert not is_adult(Volume(body.array, small))


@pytest.mark.parametrize(
    ("unit", "lungs_ml", "body"),
    [(1.0, 999, "an adult-sized body"), (0.8, 511, "a body of this size"), (0.5, 124, "a body of this size")],
)
def test_lungs_too_small_are_too_small_for_the_body_around_them(unit, lungs_ml, body):
    (warning,) = small_doubts(lungs_ml, unit)
    assert warning.startswith(f"Both lungs together measure only {lungs_ml} mL in {body}")
    assert small_doubts(lungs_ml + 2, unit) == []


def test_missing_lung_of_a_child_is_warned_of(a_chest):
    quarter = {side: getattr(a_chest, side) & (Z > 75) for side in ("left", "right")}
    assert not any("measure only" in doubt for doubt in doubts_about(a_chest, unit=0.9))
    assert any("in a body of this size" in doubt for doubt in doubts_about(a_chest, **quarter, unit=0.9))


def test_a_lung_in_two_parts_is_warned_of_with_their_volumes(a_chest):
    upper, lower = a_chest.left & (Z > 80), a_chest.left & (Z < 50)
    warning = next(doubt for doubt in doubts_about(a_chest, left=upper | lower) if "separate parts" in doubt)
    volumes = sorted((part.sum() * a_chest.volume("left").voxel_volume_ml for part in (upper, lower)), reverse=True)
    assert f"The left lung consists of 2 separate parts ({volumes[0]:.0f} mL, {volumes[1]:.0f} mL)" in warning


@pytest.mark.parametrize("lowest", [-900, -600])
def test_a_clipped_ct_is_warned_of_and_its_room_air_is_no_lung(a_chest, isolated_coarsely, lowest):
    found = isolate_lungs(every_second(a_chest.painted(a_chest.hu < lowest, lowest).ct))
    (warning,) = [doubt for doubt in found.warnings if "clipped" in doubt]
    assert f"The darkest voxels of this CT have {lowest} HU" in warning
    assert dice(found.lungs.array, isolated_coarsely.lungs.array) > 0.97


def test_a_prone_patient_stored_as_supine_has_no_sides(a_chest_on_a_couch):
    ct = every_second(a_chest_on_a_couch.ct)
    upright = isolate_lungs(ct)
    found = isolate_lungs(CTVolume(np.ascontiguousarray(ct.array[:, ::-1, ::-1]), ct.affine))
    assert not found.sides_known
    assert "The spine lies at the front of this CT" in " ".join(found.warnings)
    assert dice(found.lungs.array[:, ::-1, ::-1], upright.lungs.array) > 0.99


def test_a_ct_with_head_and_feet_exchanged_has_no_sides(a_coarse_ct, isolated_coarsely):
    assert isolated_coarsely.sides_known
    found = isolate_lungs(CTVolume(np.ascontiguousarray(a_coarse_ct.array[::-1]), a_coarse_ct.affine))
    assert not found.sides_known
    (warning,) = [doubt for doubt in found.warnings if "head-to-foot" in doubt]
    assert "the head-to-foot direction in its header is likely wrong. Left and right are unknown" in warning
    assert not any("cuts off" in doubt for doubt in found.warnings)  # of faces whose names would be wrong


def test_half_a_chest_without_its_spine_has_no_sides(a_chest):
    half = CTVolume(np.ascontiguousarray(a_chest.ct.array[..., :85]), AFFINE)
    found = isolate_lungs(every_second(half))
    assert not found.sides_known
    assert any("found no spine in this CT" in warning for warning in found.warnings)
    assert dice(found.lungs.array, a_chest.right[:, ::2, :85:2]) > 0.98
