"""CTs whose values were scaled, shifted or clipped are warned of; those in HU are not."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from LungTumorSegLib.core import terminology
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import AIR_HU, CTVolume, Volume
from LungTumorSegLib.io.images import read_ct
from LungTumorSegLib.io.segment import Segment
from LungTumorSegLib.isolation import isolate_lungs
from LungTumorSegLib.isolation.hounsfield import value_doubts
from LungTumorSegLib.lesions.lungs import drawn_lungs, find_lungs
from simple_chest import every_second

WRONG = {
    "x 0.5": (0.5, 0),
    "x 0.7": (0.7, 0),
    "x 2": (2, 0),
    "x 3": (3, 0),
    "x -1": (-1, 0),
    "- 500": (1, -500),
    "- 300": (1, -300),
    "+ 300": (1, 300),
    "+ 500": (1, 500),
    "+ 1000": (1, 1000),
}
"""Factor and offset of values that are not HU."""


def changed(ct: CTVolume, name: str) -> CTVolume:
    factor, offset = WRONG[name]
    return CTVolume(np.rint(ct.array.astype(np.float32) * factor + offset).astype(np.int16), ct.affine)


def with_lowest(ct: CTVolume, lowest: int) -> CTVolume:
    return CTVolume(np.maximum(ct.array, np.int16(lowest)), ct.affine)


def with_circle(ct: CTVolume, value: int) -> CTVolume:
    """Return a CT with ``value`` outside the circle that a scanner reconstructs."""
    rows, columns = (np.linspace(-1, 1, size) for size in ct.array.shape[1:])
    outside = rows[:, None] ** 2 + columns**2 > 1
    return CTVolume(np.where(outside, np.int16(value), ct.array), ct.affine)


BENT = {
    "gamma 0.5": lambda hu: np.sign(hu) * 1000 * np.abs(hu / 1000) ** 0.5,
    "gamma 0.7": lambda hu: np.sign(hu) * 1000 * np.abs(hu / 1000) ** 0.7,
    "gamma 2": lambda hu: np.sign(hu) * 1000 * np.abs(hu / 1000) ** 2,
    "tanh": lambda hu: 1000 * np.tanh(hu / 1000),
}
"""Monotonic functions that change HU."""


def bent(ct: CTVolume, name: str) -> CTVolume:
    return CTVolume(np.rint(BENT[name](ct.array.astype(np.float32))).astype(np.int16), ct.affine)


@pytest.fixture(scope="module")
def a_chest_with_fat(a_noisy_chest) -> CTVolume:
    """The chest with a wall of which the front half is fat."""
    array = a_noisy_chest.array.copy()
    front = array[:, : array.shape[1] // 2]
    front[(front > -100) & (front < 150)] -= 150
    return CTVolume(array, a_noisy_chest.affine)


@pytest.fixture(scope="module")
def a_noisy_chest(a_chest) -> CTVolume:
    noise = np.random.default_rng(7).normal(0, 15, a_chest.hu.shape)
    ct = a_chest.ct
    return every_second(CTVolume(np.rint(ct.array + noise).astype(np.int16), ct.affine))


@pytest.mark.parametrize("padding", [None, -3024, -2048, -1024, 0])
@pytest.mark.parametrize("lowest", [-32768, AIR_HU, -1000])
def test_hu_are_not_doubted_whatever_the_scanner_does_with_air(a_noisy_chest, lowest, padding):
    ct = with_lowest(a_noisy_chest, lowest)
    assert value_doubts(ct if padding is None else with_circle(ct, padding)) == []


@pytest.mark.parametrize("lowest", [-32768, AIR_HU])
@pytest.mark.parametrize("name", WRONG)
def test_scaled_and_shifted_values_are_warned_of(a_noisy_chest, name, lowest):
    (warning,) = value_doubts(with_lowest(changed(a_noisy_chest, name), lowest))
    assert warning.startswith("The values of this CT do not look like HU (")


@pytest.mark.parametrize("padding", [-3024, -2048, 0])
@pytest.mark.parametrize("name", WRONG)
def test_padding_does_not_hide_them(a_noisy_chest, name, padding):
    (warning,) = value_doubts(with_circle(changed(a_noisy_chest, name), padding))
    assert warning.startswith("The values of this CT do not look like HU (")


@pytest.mark.parametrize("lowest", [-900, -600])
def test_clipped_values_are_not_taken_for_scaled_ones(a_noisy_chest, lowest):
    (warning,) = value_doubts(with_lowest(a_noisy_chest, lowest))
    assert warning.startswith(f"The darkest voxels of this CT have {lowest} HU")
    assert "because lower values were clipped, so" in warning


@pytest.mark.parametrize(("factor", "offset"), [(0.8, 0), (1, 100)])
def test_values_that_were_shifted_or_scaled_a_little_are_not_taken_for_clipped_ones(a_noisy_chest, factor, offset):
    values = np.rint(a_noisy_chest.array.astype(np.float32) * factor + offset).astype(np.int16)
    (warning,) = value_doubts(CTVolume(values, a_noisy_chest.affine))
    assert "because all values were shifted or scaled, so" in warning


@pytest.mark.parametrize("padding", [None, -2000])
@pytest.mark.parametrize("name", BENT)
def test_bent_values_are_warned_of(a_chest_with_fat, name, padding):
    assert value_doubts(a_chest_with_fat) == []
    ct = a_chest_with_fat if padding is None else with_circle(a_chest_with_fat, padding)
    assert len(value_doubts(bent(ct, name))) == 1


def test_the_warning_says_where_air_and_tissue_lie(a_noisy_chest):
    (warning,) = value_doubts(changed(a_noisy_chest, "+ 300"))
    assert "air and lungs lie near -695 and tissue near 341" in warning
    assert "export the CT again in Hounsfield units" in warning


def test_a_crop_around_a_nodule_says_nothing_about_the_scale(a_noisy_chest):
    crop = CTVolume(a_noisy_chest.array[20:30, 40:60, 20:40] + np.int16(500), a_noisy_chest.affine)
    assert value_doubts(crop) == []


def test_isolation_and_drawn_lungs_pass_the_warning_on(a_chest, a_noisy_chest):
    ct = changed(a_noisy_chest, "+ 300")
    (expected,) = value_doubts(ct)
    assert isolate_lungs(ct).warnings[0] == expected
    lungs = [
        Segment(name, Volume(getattr(a_chest, side)[:, ::2, ::2], ct.affine), (1, 0, 0), code)
        for side, name, code in (
            ("left", "Left lung", terminology.LEFT_LUNG),
            ("right", "Right lung", terminology.RIGHT_LUNG),
        )
    ]
    assert drawn_lungs(ct, lungs).warnings[0] == expected


def test_where_no_lungs_can_exist_the_values_are_named_as_the_reason(a_noisy_chest):
    with pytest.raises(UnusableInput, match=r"shows 0 mL of lung, .*: the values of this CT do not look like HU \("):
        isolate_lungs(changed(a_noisy_chest, "+ 1000"))
    found = find_lungs(changed(a_noisy_chest, "+ 1000"), [])
    assert found.pair is None
    assert found.warnings[0].startswith("The values of this CT do not look like HU (")


@pytest.mark.real_ct
@pytest.mark.parametrize("case", ["cip_ct64", "ts_example_3mm", "ibsi1_phantom"])
def test_small_real_ct_are_hu_and_changed_ones_are_not(real_ct_folder, case):
    ct = read_ct(real_ct_folder / case / "ct.nii.gz")
    assert value_doubts(ct) == []
    for name in WRONG:
        assert len(value_doubts(changed(ct, name))) == 1


@pytest.mark.real_ct
@pytest.mark.slow
def test_all_real_ct_are_hu_and_changed_ones_are_not(real_ct_folder):
    paths = sorted(real_ct_folder.glob("*/ct.nii.gz"))
    assert len(paths) > 10
    for path in paths:
        ct = read_ct(path)
        assert value_doubts(ct) == [], path
        for name in WRONG:
            assert len(value_doubts(changed(ct, name))) == 1, (path, name)
        for name in BENT:
            assert len(value_doubts(bent(ct, name))) == 1, (path, name)


@pytest.mark.real_ct
@pytest.mark.slow
def test_real_crops_around_nodules_are_not_doubted(real_ct_folder):
    paths, checked = sorted(real_ct_folder.glob("lidc_voi/image/*.nii.gz"))[::20], 0
    for path in paths:
        with contextlib.suppress(UnusableInput):  # too few slices, or too little tissue
            assert value_doubts(read_ct(path)) == [], path
            checked += 1
    assert checked > len(paths) / 4


@pytest.mark.parametrize("hu", [-1000, -1024, 40])
def test_of_a_volume_with_a_single_value_nothing_is_said(hu):
    """Such as a volume that a user has blanked in Slicer and then measures."""
    assert value_doubts(Volume(np.full((50, 60, 70), hu, np.int16), np.diag([3.0, 3.0, 3.0, 1.0]))) == []
