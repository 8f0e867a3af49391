"""Whether values are HU is judged by shares of air and water, padding left out."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from chests import make_chest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.images import read_ct, write_volume
from LungTumorSegLib.io.plausibility import check_intensities
from scipy import ndimage

CHEST = make_chest((12, 60, 80)).ct
ROWS, COLUMNS = np.indices((60, 80))
OUTSIDE = (ROWS - 29.5) ** 2 / 30**2 + (COLUMNS - 39.5) ** 2 / 40**2 > 1
"""What a scanner leaves out, the corners of each slice."""


def padded(array: np.ndarray, value: int) -> np.ndarray:
    result = array.astype(np.int32)
    result[:, OUTSIDE] = value
    return result


@pytest.mark.parametrize("padding", [-1024, -1000, -1500, -2000, -2048, -3024, -32768, 0])
def test_hu_are_accepted_with_any_padding(padding):
    check_intensities(padded(CHEST.array, padding), Path("ct"))


@pytest.mark.parametrize("padding", [None, -1000, -1024, -1500, -2000, -2048, -3024, -32768, 0])
@pytest.mark.parametrize("shift", [1024, 1000, 1023, -1024, -1000])
def test_shifted_hu_are_refused_with_any_padding(shift, padding):
    shifted = CHEST.array.astype(np.int32) + shift
    values = shifted if padding is None else padded(shifted, padding)
    with pytest.raises(
        UnusableInput, match=r"is not a chest CT in HU \(.* of them lie near air at -1000, .* near water at 0\)"
    ):
        check_intensities(values, Path("ct"))


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_padding_with_zeros_is_recognized_in_any_order_of_axes(order):
    with pytest.raises(UnusableInput, match="is not a chest CT in HU"):
        check_intensities(padded(CHEST.array.astype(np.int32) - 1024, 0).transpose(order), Path("ct"))


@pytest.mark.parametrize("limit", [-900, -600])
def test_hu_cut_below_are_still_hu(limit):
    check_intensities(np.maximum(CHEST.array, limit), Path("ct"))


@pytest.mark.parametrize("scale", [1 / 1000, 1 / 255, 10.0, -1.0])
def test_other_scales_are_refused(scale):
    with pytest.raises(UnusableInput, match="is not a chest CT in HU"):
        check_intensities((CHEST.array * scale).astype(np.float32), Path("ct"))


@pytest.mark.parametrize("highest", [1, 3, 0.75])
def test_a_segmentation_or_map_in_place_of_a_ct_is_named_as_such(highest):
    values = np.where(CHEST.array > 0, highest, 0).astype(np.float32)
    words = rf"run from 0 to {highest}, as those of a segmentation, a probability map .* choose the CT itself"
    with pytest.raises(UnusableInput, match=words):
        check_intensities(values, Path("ct"))


@pytest.mark.parametrize("padding", [31744, 32767, 64512, 4095])
def test_padding_denser_than_any_tissue_is_refused(padding):
    with pytest.raises(UnusableInput, match=rf"of ct exceed 3071 HU \(up to {padding}\), and no tissue is that dense"):
        check_intensities(padded(CHEST.array, padding), Path("ct"))


def test_metal_is_accepted():
    array = CHEST.array.astype(np.int32)
    array[5, 20:30, 20:30] = 30000
    check_intensities(array, Path("ct"))


def test_one_voxel_of_air_does_not_make_hu_of_stored_values(tmp_path):
    stored = CHEST.array + np.int16(1024)
    stored[0, 0, 0] = -1000
    write_volume(Volume(stored, CHEST.affine), tmp_path / "ct.nii.gz")
    with pytest.raises(UnusableInput, match=r"ct\.nii\.gz run from -1000 to .*is not a chest CT in HU"):
        read_ct(tmp_path / "ct.nii.gz")


@pytest.mark.real_ct
@pytest.mark.parametrize("case", ["cip_ct64", "ts_example_3mm", "ibsi1_phantom"])
def test_real_ct_are_hu_and_shifted_ones_are_not(real_ct_folder, case):
    ct = read_ct(real_ct_folder / case / "ct.nii.gz")
    for shift in (1024, -1024):
        with pytest.raises(UnusableInput, match="is not a chest CT in HU"):
            check_intensities(ct.array.astype(np.int32) + shift, Path("ct"))


def orders_of(array):
    return [np.ascontiguousarray(array.transpose(order)) for order in permutations(range(3))]


def test_exchanged_sizes_are_refused_in_any_order_of_axes():
    smooth = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(70, 90, 80)), 3)
    for stored in orders_of(np.clip(smooth * 500 / smooth.std() - 300, -1024, 1500).astype(np.int16)):
        check_intensities(stored, Path("ct"))
        for sizes in set(permutations(stored.shape)) - {stored.shape}:
            with pytest.raises(UnusableInput, match="so its sizes are exchanged"):
                check_intensities(stored.reshape(sizes), Path("ct"))


@pytest.mark.parametrize("steps", [(90, 2, 1), (3, 5, 0), (60, 0, 1), (0, 4, -1), (7, 7, 7)])
@pytest.mark.parametrize("shape", [(9, 256, 256), (80, 96, 128)])
def test_ramps_and_steps_are_not_taken_for_exchanged_sizes(shape, steps):
    ramp = np.tensordot(steps, np.indices(shape), 1)
    check_intensities(((ramp - ramp.min()) * (1400 / np.ptp(ramp)) - 1000).astype(np.int16), Path("ct"))


@pytest.mark.real_ct
@pytest.mark.parametrize("case", ["lidc_0001", "ts_example_3mm", "cip_ct64"])
def test_sizes_of_real_ct_are_never_taken_for_exchanged_and_exchanged_ones_always(real_ct_folder, case):
    for stored in orders_of(read_ct(real_ct_folder / case / "ct.nii.gz").array):
        check_intensities(stored, Path("ct"))
        for sizes in set(permutations(stored.shape)) - {stored.shape}:
            with pytest.raises(UnusableInput, match="so its sizes are exchanged"):
                check_intensities(stored.reshape(sizes), Path("ct"))
