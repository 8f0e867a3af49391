"""Slices that are blank, copied, or in an order that anatomy contradicts are warned of, and true ones are not."""

from __future__ import annotations

import numpy as np
import pytest
from chests import make_chest
from dicom_series import write_dicom_series
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.images import read_ct, write_volume
from LungTumorSegLib.io.slice_doubts import slice_doubts
from scipy import ndimage

CHEST = make_chest((12, 60, 80)).ct
ROWS, COLUMNS = np.indices((60, 80))
OUTSIDE = (ROWS - 29.5) ** 2 / 30**2 + (COLUMNS - 39.5) ** 2 / 40**2 > 1
"""What a scanner leaves out, the corners of each slice."""

STEP_MM = 5.0


def padded(value: int) -> np.ndarray:
    result = CHEST.array.astype(np.int32)
    result[:, OUTSIDE] = value
    return result


def anatomy(slices: int = 44, size: tuple[int, int] = (70, 95)) -> np.ndarray:
    """Structures of some 15 mm that change along all axes, with noise."""
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.normal(size=(slices, *size)), (3, 9, 9))
    return np.rint(smooth / smooth.std() * 300 - 300 + rng.normal(0, 20, smooth.shape)).astype(np.int16)


ANATOMY = anatomy()
LEVELS = np.arange(len(ANATOMY))
MIDDLE = len(LEVELS) // 2

ORDERS = {
    "shuffled": np.random.default_rng(1).permutation(LEVELS),
    "halves exchanged": np.roll(LEVELS, MIDDLE),
    "one part moved": np.concatenate([LEVELS[:10], LEVELS[20:30], LEVELS[10:20], LEVELS[30:]]),
    "second half reversed": np.concatenate([LEVELS[:MIDDLE], LEVELS[:MIDDLE:-1]]),
    "even before odd": np.concatenate([LEVELS[::2], LEVELS[1::2]]),
    "sorted by name": np.array(sorted(LEVELS + 1, key=str)) - 1,
    "neighbors exchanged in pairs": LEVELS.reshape(-1, 2)[:, ::-1].ravel(),
}


@pytest.mark.parametrize("suffix", ["ct.nii.gz", "ct.nrrd", "dicom"])
@pytest.mark.parametrize(("value", "blank"), [(-1024, [4]), (0, [4, 6])])
def test_blank_slices_between_others_are_warned_of(tmp_path, suffix, value, blank):
    array = CHEST.array.astype(np.int16)
    array[blank] = value
    array[[0, -1]] = value  # no slice was lost there
    path, ct = tmp_path / suffix, Volume(array, CHEST.affine)
    write_dicom_series(ct, path) if suffix == "dicom" else write_volume(ct, path)
    (warning,) = [each for each in read_ct(path).warnings if "blank" in each]
    assert f"by position: {', '.join(str(each + 1) for each in blank)})" in warning


def test_a_slice_of_padding_alone_is_blank():
    array = padded(-2000)
    array[5] = np.where(OUTSIDE, -2000, -1024)
    assert "1 slice between others is blank (by position: 6)" in slice_doubts(array, 5.0)[0]
    assert not slice_doubts(padded(-2000), 5.0)


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS.keys())
def test_slices_in_another_order_than_anatomy_are_warned_of(order):
    (warning,) = slice_doubts(ANATOMY[order], STEP_MM)
    assert "not continue each other" in warning


@pytest.mark.parametrize("flip", [(1,), (2,), (1, 2)])
@pytest.mark.parametrize("size", [(70, 95), (64, 64), (133, 129), (20, 300)])
def test_mirrored_slices_among_others_are_warned_of(flip, size):
    array = anatomy(size=size)
    array[15:20] = np.flip(array[15:20], flip)
    (warning,) = slice_doubts(array, STEP_MM)
    assert warning.startswith("2 pairs of neighboring slices do not continue each other")
    assert "(by position: 15 and 16, 20 and 21)" in warning


def test_copies_of_slices_are_warned_of():
    array = ANATOMY.copy()
    array[10:13] = array[9]
    array[30] = array[29]
    (warning,) = slice_doubts(array, STEP_MM)
    assert warning.startswith("4 slices are copies of the slice before (by position: 11, 12, 13, 31)")


@pytest.mark.parametrize("step_mm", [1.0, 2.0, 3.0, 5.0, 8.0, 10.0])
def test_true_and_resampled_slices_are_not_doubted(step_mm):
    assert not slice_doubts(ANATOMY, STEP_MM)
    assert not slice_doubts(ANATOMY[::-1], STEP_MM)
    heights = np.arange(0, len(ANATOMY) - 1, step_mm / STEP_MM)
    below, share = heights.astype(int), (heights % 1)[:, None, None]
    assert not slice_doubts(ANATOMY[below] * (1 - share) + ANATOMY[below + 1] * share, step_mm)
    assert not slice_doubts(ANATOMY[np.rint(heights).astype(int)], step_mm)


@pytest.mark.parametrize("array", [np.zeros((20, 64, 64)), np.random.default_rng(0).normal(0, 300, (20, 64, 64))])
def test_fields_without_anatomy_are_not_doubted(array):
    assert not slice_doubts(array, STEP_MM)


def test_a_noisy_cylinder_with_a_hole_is_not_doubted():
    rows, columns = np.indices((96, 96)) - 47.5
    array = np.where(rows**2 + columns**2 < 44**2, 40, -1000) + np.zeros((60, 1, 1))
    array[15:45, rows**2 + columns**2 < 25**2] = -850
    assert not slice_doubts(array + np.random.default_rng(0).normal(0, 15, array.shape), STEP_MM)


@pytest.mark.parametrize("kind", ["ct.nii.gz", "dicom"])
def test_both_readers_warn_of_the_order(tmp_path, kind):
    ends = np.linspace(-60, 60, 24)[:, None, None]
    chest = make_chest((34, 60, 80)).ct
    body = chest.array[5:-5]
    array = np.roll(body + np.where(body > -900, ends, 0), 12, axis=0).astype(np.int16)
    path, ct = tmp_path / kind, Volume(array, chest.affine)
    write_dicom_series(ct, path) if kind == "dicom" else write_volume(ct, path)
    (warning,) = [each for each in read_ct(path).warnings if "continue" in each]
    assert "by position: 12 and 13" in warning
