"""Folders of nodule crops."""

import logging

import numpy as np
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import AxisOrder, Volume
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.training.data_config import NoduleConfig
from LungTumorSegLib.training.nodules import find_crops, read_nodules
from training_cases import ellipsoid
from volumes import affine_of

SPACING_MM = (2.0, 0.6, 0.8)
SHAPE = (12, 44, 46)
CENTER, RADIUS_MM = (10, 12, 17), 7.0


def write_crop(folder, name, *, radius_mm=RADIUS_MM, order=None, mask=True):
    inside = ellipsoid(CENTER, (radius_mm,) * 3, SHAPE, SPACING_MM)
    affine = affine_of(spacing=SPACING_MM)
    image = Volume(np.where(inside, np.int16(40), np.int16(-850)) + np.arange(SHAPE[2], dtype=np.int16), affine)
    for kind, volume in (("image", image), ("mask", Volume(inside.astype(np.uint8), affine))):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        if kind == "image" or mask:
            write_volume(volume if order is None else order.apply(volume), folder / kind / name)


def test_a_crop_becomes_a_nodule_of_the_radius_of_its_volume(tmp_path):
    write_crop(tmp_path, "LIDC-IDRI-0007_R_1.nii.gz")
    (nodule,) = read_nodules(NoduleConfig(str(tmp_path)))
    assert nodule.patient == "LIDC-IDRI-0007"
    assert nodule.radius_mm == pytest.approx(RADIUS_MM, rel=0.02)
    assert nodule.spacing_mm == pytest.approx(SPACING_MM)
    middle = tuple(np.rint(np.array(CENTER) / SPACING_MM).astype(int) + 1)  # one voxel of padding
    assert nodule.depth_mm[middle] == pytest.approx(-RADIUS_MM, abs=1.0)  # about a voxel
    assert nodule.hu[middle] == 40 + middle[2] - 1


def test_a_crop_stored_from_left_to_right_and_back_to_front_is_the_same_nodule(tmp_path):
    write_crop(tmp_path / "a", "P_1.nii.gz")
    write_crop(tmp_path / "b", "P_1.nii.gz", order=AxisOrder((0, 1, 2), (False, True, True)))
    (straight,), (flipped,) = (read_nodules(NoduleConfig(str(tmp_path / name))) for name in "ab")
    np.testing.assert_array_equal(flipped.hu, straight.hu)
    np.testing.assert_array_equal(flipped.depth_mm, straight.depth_mm)


def test_crops_without_mask_are_skipped_and_named(tmp_path, caplog):
    write_crop(tmp_path, "P_1.nii.gz")
    write_crop(tmp_path, "Q_2.nii.gz", mask=False)
    with caplog.at_level(logging.WARNING):
        assert len(find_crops(tmp_path)) == 1
    assert "Q_2.nii.gz" in caplog.text
    assert "P_1.nii.gz" not in caplog.text


def test_small_crops_and_patients_left_out_are_not_read(tmp_path):
    for name, radius_mm in (("P_1", 7.0), ("P_2", 2.0), ("Q_1", 7.0)):
        write_crop(tmp_path, f"{name}.nii.gz", radius_mm=radius_mm)
    nodules = read_nodules(NoduleConfig(str(tmp_path), left_out=("Q",)))
    assert [(nodule.patient, round(nodule.radius_mm)) for nodule in nodules] == [("P", 7)]


def test_a_mask_off_its_image_is_refused(tmp_path):
    write_crop(tmp_path, "P_1.nii.gz")
    write_volume(Volume(np.ones((3, 4, 5), np.uint8), affine_of()), tmp_path / "mask/P_1.nii.gz")
    with pytest.raises(UnusableInput, match=r"P_1\.nii\.gz does not lie on its image's grid"):
        read_nodules(NoduleConfig(str(tmp_path)))


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(UnusableInput, match="no nodule crops with masks"):
        find_crops(tmp_path)


@pytest.mark.real_ct
def test_the_two_crops_of_lidc_without_mask_are_named(real_ct_folder, caplog):
    with caplog.at_level(logging.WARNING):
        pairs = find_crops(real_ct_folder / "lidc_voi")
    assert len(pairs) == 991
    (warning,) = caplog.records
    assert warning.getMessage().count(".nii.gz") == 2
