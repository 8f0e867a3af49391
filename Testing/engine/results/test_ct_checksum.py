"""The checksum of a CT depends on its HU alone."""

import numpy as np
import pytest
from LungTumorSegLib.core.volume import CTVolume
from LungTumorSegLib.io.images import read_ct, write_volume
from LungTumorSegLib.results.ct_checksum import ct_checksum
from volumes import ORIENTATIONS, make_ct


@pytest.mark.parametrize("order", ORIENTATIONS)
def test_the_order_of_the_axes_does_not_matter(order):
    ct = make_ct()
    assert ct_checksum(order.apply(ct)) == ct_checksum(ct)


def test_the_number_format_does_not_matter():
    ct = make_ct()
    assert ct_checksum(CTVolume(ct.array.astype(np.float32) + 0.2, ct.affine)) == ct_checksum(ct)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_the_file_format_does_not_matter(suffix, tmp_path):
    ct = make_ct()
    write_volume(ct, tmp_path / f"ct{suffix}")
    assert ct_checksum(read_ct(tmp_path / f"ct{suffix}")) == ct_checksum(ct)


def test_one_voxel_matters():
    ct = make_ct()
    array = ct.array.copy()
    array[3, 4, 5] += 1
    assert ct_checksum(CTVolume(array, ct.affine)) != ct_checksum(ct)


def test_the_shape_matters():
    flat = CTVolume(np.zeros((4, 6, 10), np.int16), make_ct().affine)
    assert ct_checksum(flat) != ct_checksum(CTVolume(np.zeros((4, 10, 6), np.int16), flat.affine))
