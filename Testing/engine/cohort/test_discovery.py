"""A folder becomes the work list of a cohort."""

from __future__ import annotations

import os

import numpy as np
import pytest
from dicom_series import write_dicom_series
from LungTumorSegLib.cohort.discovery import check_hides_no_ct, find_items
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.phantom.truth import PHANTOM
from LungTumorSegLib.results.folder import complete_or_nothing
from LungTumorSegLib.results.replaceable_files import Output
from LungTumorSegLib.results.summary import origin, write_record
from pydicom.uid import MRImageStorage
from volumes import affine_of


def a_stack(slices: int) -> Volume:
    return Volume(np.zeros((slices, 4, 4), np.int16), affine_of())


def of(patient: str, study: str = "1.2.3"):
    def edit(dataset, _):
        dataset.PatientID, dataset.StudyInstanceUID = patient, study

    return edit


def as_mr(dataset, _):
    dataset.Modality = "MR"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage


def found(root):
    items = find_items(root, root / "out")
    return {item.path.relative_to(root).as_posix(): item for item in items}


def test_each_image_file_is_an_item_and_what_is_no_ct_is_passed_over(tmp_path):
    for name in ("P1/ct.nii.gz", "P1/lungs.seg.nrrd", "P2.mha", ".hidden/ct.nii", "P3/notes.txt", "out/P9/ct.nrrd"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    items = found(tmp_path)
    assert {path: (item.case, item.patient) for path, item in items.items()} == {
        "P1/ct.nii.gz": ("P1-ct", "P1"),
        "P2.mha": ("P2", ""),
    }


@pytest.mark.parametrize(("group", "names"), [("result", set()), (PHANTOM, {"ct.nii.gz"})])
def test_own_files_are_passed_over_but_the_ct_of_a_phantom_is_not(tmp_path, group, names):
    with complete_or_nothing(Output(tmp_path / "P1", group)) as private:
        for name in ("ct.nii.gz", "tumor.nii.gz"):
            (private / name).write_bytes(b"x")
    assert {item.path.name for item in find_items(tmp_path, tmp_path / "out")} == names


def test_maps_of_a_result_that_was_copied_without_its_hidden_mark_are_no_cts(tmp_path):
    result = tmp_path / "P1/result"
    result.mkdir(parents=True)
    for name in ("ct.nrrd", "probability.nrrd", "disagreement.nrrd"):
        (result / name).write_bytes(b"x")
    write_record({**origin(), "lesions": []}, result / "summary.json")
    (tmp_path / "P2").mkdir()
    (tmp_path / "P2/probability.nrrd").write_bytes(b"x")
    assert set(found(tmp_path)) == {"P1/result/ct.nrrd", "P2/probability.nrrd"}


def test_the_longest_series_of_each_study_is_taken(tmp_path):
    write_dicom_series(a_stack(9), tmp_path / "P1/thick", series_uid="1.1", edit=of("A"))
    write_dicom_series(a_stack(12), tmp_path / "P1/thin", series_uid="1.2", edit=of("A"))
    write_dicom_series(a_stack(3), tmp_path / "P1/scout", series_uid="1.3", edit=of("A"))
    write_dicom_series(a_stack(10), tmp_path / "P1/later", series_uid="1.4", edit=of("A", "1.2.4"))
    write_dicom_series(a_stack(10), tmp_path / "P2", series_uid="1.5", edit=of("B"))
    items = found(tmp_path)
    assert {path: item.series for path, item in items.items()} == {"P1/thin": "1.2", "P1/later": "1.4", "P2": "1.5"}
    assert items["P1/thin"].note == "1 other CT series of the study not segmented"
    assert len(items["P1/thin"].files) == 12
    assert "A" not in {items["P1/thin"].patient, items["P1/thin"].case}


def test_patients_whose_identifiers_were_removed_are_told_apart_by_their_folders(tmp_path):
    def anonymized(dataset, _):
        del dataset.PatientID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID

    for patient in ("P1", "P2"):
        write_dicom_series(a_stack(9), tmp_path / "site" / patient, edit=anonymized)
    items = found(tmp_path)
    assert {path: len(item.files) for path, item in items.items()} == {"site/P1": 9, "site/P2": 9}


def test_two_studies_in_one_folder_are_two_items(tmp_path):
    for number, patient in enumerate("AB"):
        paths = write_dicom_series(a_stack(9), tmp_path / patient, series_uid=f"1.{number}", edit=of(patient))
        for path in paths:
            path.rename(tmp_path / f"{patient}{path.name}")
        (tmp_path / patient).rmdir()
    items = find_items(tmp_path, tmp_path / "out")
    assert [(item.path, item.series) for item in items] == [(tmp_path, "1.0"), (tmp_path, "1.1")]


def test_folders_without_a_usable_ct_become_items_so_that_a_row_states_the_reason(tmp_path):
    write_dicom_series(a_stack(9), tmp_path / "P1", series_uid="1.1", edit=of("A"))
    write_dicom_series(a_stack(9), tmp_path / "P2/mr", edit=as_mr)
    damaged = write_dicom_series(a_stack(9), tmp_path / "P3/ct")
    for path in damaged:
        path.write_bytes(path.read_bytes()[:400])
    write_dicom_series(a_stack(9), tmp_path / "P1/mr", edit=as_mr)
    assert set(found(tmp_path)) == {"P1", "P2", "P3/ct"}


def test_what_is_packed_or_incomplete_becomes_an_item_so_that_no_patient_is_missing(tmp_path):
    write_dicom_series(a_stack(9), tmp_path / "site/P1", series_uid="1.1", edit=of("A"))
    dicom, images = ("P1/0099.dcm", "P2/1.dcm", "P3/1.dcm.gz"), ("P4/ct.nii.gz.part", "P5/ct.nii.bz2")
    beside = ("P6/a.seg.nrrd.gz", "P7/a.nii.gz", "P7/a.nii.gz.part")
    for name in (*dicom, *images, *beside):
        (tmp_path / "site" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "site" / name).write_bytes(b"")
    assert set(found(tmp_path)) == {
        "site/P1",
        "site/P2",
        "site/P3",
        "site/P4/ct.nii.gz.part",
        "site/P5/ct.nii.bz2",
        "site/P7/a.nii.gz",
    }


def test_an_archive_becomes_an_item_so_that_no_patient_is_missing_unless_it_lies_beside_what_it_contained(tmp_path):
    archives = ("P1.zip", "site/P2.tar", "P3.TAR.GZ", "P4.tgz", "P5.7z")
    for name in (*archives, "P6.zip", "P6/ct.nii", "P7.zip", "P7", ".P8.zip"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    items = found(tmp_path)
    assert set(items) == {*archives, "P6/ct.nii"}
    assert [items[name].case for name in archives] == ["P1", "site-P2", "P3", "P4", "P5"]
    assert items["P1.zip"].problem == (
        f"{tmp_path / 'P1.zip'} is an archive, which is not searched; unpack it if it contains a CT."
    )


def test_a_folder_that_cannot_be_opened_becomes_an_item_so_that_no_patient_is_missing(tmp_path, monkeypatch):
    for name in ("P1", "P2"):
        (tmp_path / name / "study").mkdir(parents=True)
        (tmp_path / name / "study" / "ct.nii").write_bytes(b"x")
    scandir = os.scandir

    def denied(path):
        if os.fspath(path) == str(tmp_path / "P2" / "study"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert set(found(tmp_path)) == {"P1/study/ct.nii", "P2/study"}


def test_an_output_folder_that_hides_a_ct_from_the_search_is_refused(tmp_path):
    (tmp_path / "cts" / "P1").mkdir(parents=True)
    (tmp_path / "cts" / "P1" / "ct.nii.gz").write_bytes(b"x")
    with pytest.raises(UnusableInput, match=r"P1 contains the CT .*ct\.nii\.gz, but results and CTs must not be in"):
        check_hides_no_ct(tmp_path / "cts" / "P1", tmp_path / "cts")
    check_hides_no_ct(tmp_path / "cts" / "results", tmp_path / "cts")  # does not exist yet
    check_hides_no_ct(tmp_path / "cts", tmp_path / "other")  # is not searched anyway


def test_results_of_an_earlier_run_hide_no_ct(tmp_path):
    with complete_or_nothing(Output(tmp_path / "out" / "P1", "result")) as private:
        (private / "ct.nrrd").write_bytes(b"x")
    check_hides_no_ct(tmp_path / "out", tmp_path)
