"""Data sets of every layout, made small."""

import json

import numpy as np
import pytest
from dicom_series import write_dicom_series
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.images import read_ct, write_volume
from LungTumorSegLib.training.data_config import CaseConfig, SourceConfig
from LungTumorSegLib.training.datasets import find_cases, read_label
from LungTumorSegLib.training.store import IGNORED
from rtstruct_files import write_rtstruct
from volumes import make_ct

SHAPE = (9, 10, 12)


def labels(*boxes):
    array = np.zeros(SHAPE, np.uint8)
    for value, box in boxes:
        array[tuple(slice(*ends) for ends in box)] = value
    return Volume(array, make_ct(SHAPE).affine)


TWO = labels((1, ((1, 3), (2, 5), (2, 6))), (2, ((5, 7), (6, 9), (7, 11))))


def write(volume, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(volume, path)
    return path


def an_image_and_mask_set(folder):
    for name in ("anna_1", "anna_2", "ben_1"):
        write(make_ct(SHAPE), folder / f"images/{name}.nii.gz")
        write(TWO, folder / f"masks/{name}.nrrd")
    return folder


def test_image_and_mask_folders_are_paired_by_name_and_know_their_patients(tmp_path):
    cases = find_cases(SourceConfig(str(an_image_and_mask_set(tmp_path)), "folders", patient_pattern="^([a-z]+)_"))
    assert [(case.patient, case.ct[len(str(tmp_path)) + 1 :]) for case in cases] == [
        ("anna", "images/anna_1.nii.gz"),
        ("anna", "images/anna_2.nii.gz"),
        ("ben", "images/ben_1.nii.gz"),
    ]
    assert cases[2].lesions == (str(tmp_path / "masks/ben_1.nrrd"),)
    np.testing.assert_array_equal(read_label(cases[0], read_ct(cases[0].ct)).array, TWO.array)


def test_an_image_may_be_a_dicom_folder(tmp_path):
    write_dicom_series(make_ct(SHAPE), tmp_path / "images/anna")
    write(TWO, tmp_path / "masks/anna.nii.gz")
    (case,) = find_cases(SourceConfig(str(tmp_path), "folders"))
    assert case.patient == "anna"
    assert read_label(case, read_ct(case.ct)).array.any()


def test_an_image_without_mask_or_a_mask_without_image_is_an_error(tmp_path):
    folder = an_image_and_mask_set(tmp_path)
    (folder / "masks/ben_1.nrrd").rename(folder / "masks/carl_1.nrrd")
    with pytest.raises(UnusableInput, match="for ben_1, carl_1"):
        find_cases(SourceConfig(str(folder), "folders"))


def test_folders_and_patterns_that_do_not_fit_are_named(tmp_path):
    folder = an_image_and_mask_set(tmp_path)
    with pytest.raises(UnusableInput, match="imagesTr does not exist"):
        find_cases(SourceConfig(str(folder), "folders", images="imagesTr"))
    with pytest.raises(UnusableInput, match="nowhere is not a folder"):
        find_cases(SourceConfig(str(tmp_path / "nowhere"), "folders"))
    with pytest.raises(UnusableInput, match=r"finds no group in the name 'anna_1'"):
        find_cases(SourceConfig(str(folder), "folders", patient_pattern="^[0-9]"))
    (tmp_path / "empty/images").mkdir(parents=True)
    (tmp_path / "empty/masks").mkdir()
    with pytest.raises(UnusableInput, match="contains no case"):
        find_cases(SourceConfig(str(tmp_path / "empty"), "folders"))


def a_decathlon(folder):
    """The layout of Task06_Lung: training images listed, test images without labels, files of the archive's Mac
    beside them."""
    for name in ("lung_001", "lung_023"):
        write(make_ct(SHAPE), folder / f"imagesTr/{name}.nii.gz")
        write(TWO, folder / f"labelsTr/{name}.nii.gz")
    (folder / "imagesTr/._lung_001.nii.gz").write_bytes(b"\0")
    write(make_ct(SHAPE), folder / "imagesTs/lung_002.nii.gz")
    training = [
        {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}
        for name in ("lung_023", "lung_001")
    ]
    listing = {
        "name": "Lung",
        "labels": {"0": "background", "1": "cancer"},
        "training": training,
        "test": ["./imagesTs/lung_002.nii.gz"],
    }
    (folder / "dataset.json").write_text(json.dumps(listing))
    return folder


def test_the_decathlon_lists_its_cases(tmp_path):
    cases = find_cases(SourceConfig(str(a_decathlon(tmp_path)), "decathlon", labels=(1,)))
    assert [case.patient for case in cases] == ["lung_023", "lung_001"]
    label = read_label(cases[0], read_ct(cases[0].ct)).array
    np.testing.assert_array_equal(label, TWO.array == 1)


def test_a_decathlon_with_missing_files_or_another_listing_is_refused(tmp_path):
    folder = a_decathlon(tmp_path)
    (folder / "labelsTr/lung_001.nii.gz").unlink()
    with pytest.raises(UnusableInput, match=r"labelsTr/lung_001\.nii\.gz, which is missing"):
        find_cases(SourceConfig(str(folder), "decathlon"))
    (folder / "dataset.json").write_text('{"training": 3}')
    with pytest.raises(UnusableInput, match="does not list training images"):
        find_cases(SourceConfig(str(folder), "decathlon"))


def rectangle(ct, level, top, left, bottom, right):
    corners = [[level, top, left], [level, top, right], [level, bottom, right], [level, bottom, left]]
    return ct.index_to_lps(np.array(corners) - [0, 0.5, 0.5])


def a_radiotherapy_set(folder):
    """Two patients in the layout of NSCLC-Radiomics: studies and series below each; the first one has a second CT."""
    ct = make_ct(SHAPE, turn_degrees=(0, 0, 12))
    drawn = {
        "GTV-1": [rectangle(ct, 3, 2, 3, 6, 8), rectangle(ct, 3, 3, 4, 5, 6)],
        "GTV-2": [rectangle(ct, 7, 1, 1, 3, 3)],
    }
    for patient, series in (("LUNG1-001", "1.2.3.4"), ("LUNG1-002", "1.2.3.5")):
        study = folder / patient / "study"
        write_dicom_series(ct, study / "CT", series_uid=series)
        write_rtstruct(study / "RTSTRUCT/1-1.dcm", drawn, series=series, patient=patient)
    write_dicom_series(make_ct((11, 10, 12)), folder / "LUNG1-001/other/CT", series_uid="9.9.9")
    (folder / "LICENSE").write_text("no case")
    return folder


def test_structure_sets_are_cases_on_the_series_they_name(tmp_path):
    cases = find_cases(SourceConfig(str(a_radiotherapy_set(tmp_path)), "rtstruct"))
    assert [(case.patient, case.series) for case in cases] == [("LUNG1-001", "1.2.3.4"), ("LUNG1-002", "1.2.3.5")]
    ct = read_ct(cases[0].ct, series=cases[0].series)
    label = read_label(cases[0], ct)
    expected = np.zeros(SHAPE, np.uint8)
    expected[3, 2:6, 3:8] = 1
    expected[3, 3:5, 4:6] = 0
    np.testing.assert_array_equal(label.array, expected)


def test_several_rois_are_several_lesions(tmp_path):
    case = find_cases(SourceConfig(str(a_radiotherapy_set(tmp_path)), "rtstruct", rois=("GTV-2", "GTV-1")))[1]
    label = read_label(case, read_ct(case.ct, series=case.series)).array
    assert [np.count_nonzero(label[k] == n) for k, n in ((7, 1), (3, 2))] == [4, 16]


def test_ignored_masks_do_not_hide_lesions_and_labels_are_numbered_through(tmp_path):
    ct = make_ct(SHAPE)
    first, second = write(TWO, tmp_path / "a.nrrd"), write(labels((9, ((8, 9), (0, 2), (0, 2)))), tmp_path / "b.nrrd")
    node = write(labels((1, ((1, 2), (0, 10), (0, 12)))), tmp_path / "node.nrrd")
    label = read_label(CaseConfig("ct", "p", lesions=(str(first), str(second)), ignored=(str(node),)), ct).array
    assert sorted(np.unique(label)) == [0, 1, 2, 3, IGNORED]
    np.testing.assert_array_equal(label == 1, TWO.array == 1)
    assert (label[1][TWO.array[1] == 0] == IGNORED).all()


def test_a_mask_of_another_grid_is_named(tmp_path):
    path = write(TWO.crop((0, 0, 0), (8, 10, 12)), tmp_path / "m.nrrd")
    with pytest.raises(UnusableInput, match=r"m\.nrrd does not lie on its CT's grid"):
        read_label(CaseConfig("ct", "p", lesions=(str(path),)), make_ct(SHAPE))
