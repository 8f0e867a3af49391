"""Results in the formats of other programs: voxels, codes and references, and where patient data may stand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from chests import Chest, block, make_chest
from commands import run_command
from dicom_series import write_dicom_series
from LungTumorSegLib.core.crops import place, whole
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.terminology import TUMOR
from LungTumorSegLib.io.images import read_ct, write_volume
from LungTumorSegLib.io.segment import Segment
from LungTumorSegLib.io.segmentations import read_lesion_labels, read_segmentation
from LungTumorSegLib.lesions import measure, report_lesions
from LungTumorSegLib.results.contents import Extras
from LungTumorSegLib.results.exports import dicom_source
from LungTumorSegLib.results.surfaces import write_surfaces
from LungTumorSegLib.results.writer import write_result
from made_results import a_result, an_isolation
from patients import PATIENT, leaks, with_patient
from result_files import names
from volumes import ORIENTATIONS, SIX_ORIENTATIONS

SHAPE = (30, 40, 60)
DICOM_FILES = {"segmentation.dcm", "measurements.dcm", "rtstruct.dcm"}
FORMATS = frozenset({"nifti", "dicom"})


def a_chest() -> Chest:
    """A chest with a hollow lesion in the left lung and a small one in the right lung."""
    tumor = block(SHAPE, (10, 12, 33), (18, 22, 46)) | block(SHAPE, (20, 12, 8), (23, 15, 12))
    return make_chest(SHAPE).with_tumor(tumor & ~block(SHAPE, (11, 15, 37), (17, 19, 42)))


def a_dicom_result(folder: Path, order=SIX_ORIENTATIONS[0]):
    """Write the chest as DICOM and return its result on the grid of the CT as it was read."""
    chest = a_chest().reordered(order)
    write_dicom_series(chest.ct, folder, edit=with_patient)
    ct = read_ct(folder)
    left, right, tumor = (
        whole(place(mask, ct, "mask"), ct) for mask in (chest.left_lung, chest.right_lung, chest.tumor)
    )
    report = report_lesions(tumor, ct, left, right, min_lesion_ml=0.0)
    nothing = ct.with_array(np.zeros(ct.shape, np.float32))
    return replace(
        a_result(),
        ct=ct,
        isolation=an_isolation(Chest(ct, left, right, tumor)),
        probability=nothing,
        disagreement=nothing,
        report=report,
    )


def save(result, output: Path, *, report: bool = False) -> None:
    source = dicom_source(result.ct, FORMATS, deidentified=False)
    write_result(result, output, picture=False, extras=Extras(report=report, formats=FORMATS, dicom=source))


@pytest.fixture(scope="module")
def a_case(tmp_path_factory) -> Path:
    """A folder with the DICOM series ``ct`` and, in ``result``, all files of its result."""
    folder = tmp_path_factory.mktemp("case")
    save(a_dicom_result(folder / "ct"), folder / "result", report=True)
    return folder


def crops(segments, ct):
    return {segment.name: place(segment.mask, ct, segment.name) for segment in segments}


@pytest.mark.parametrize(
    "order",
    [
        order if order in SIX_ORIENTATIONS[::3] else pytest.param(order, marks=pytest.mark.slow)
        for order in ORIENTATIONS
    ],
    ids=str,
)
def test_each_format_has_the_voxels_of_the_seg_nrrd_in_any_orientation(tmp_path, order):
    result = a_dicom_result(tmp_path / "ct", order)
    save(result, tmp_path / "out")
    expected = crops(read_segmentation(tmp_path / "out" / "segmentation.seg.nrrd"), result.ct)
    assert len(expected) == 4
    for name in ("segmentation.dcm", "segmentation.nii.gz", "rtstruct.dcm"):
        found = crops(read_segmentation(tmp_path / "out" / name, result.ct), result.ct)
        assert found.keys() == expected.keys()
        for segment, crop in expected.items():
            assert found[segment].box == crop.box, (name, segment)
            assert np.array_equal(found[segment].mask.array, crop.mask.array), (name, segment)


def test_measure_gives_the_same_table_from_each_format(a_case):
    ct = read_ct(a_case / "ct")
    expected = measure(ct, read_segmentation(a_case / "result" / "segmentation.seg.nrrd"))
    for name in ("segmentation.dcm", "segmentation.nii.gz", "rtstruct.dcm"):
        found = measure(ct, read_segmentation(a_case / "result" / name, ct))
        assert found.lesions == expected.lesions, name


def test_codes_and_colors_survive_the_dicom_segmentation(a_case):
    stored = read_segmentation(a_case / "result" / "segmentation.seg.nrrd")
    for one, other in zip(stored, read_segmentation(a_case / "result" / "segmentation.dcm"), strict=True):
        assert (other.name, other.terminology) == (one.name, one.terminology)
        assert other.color == pytest.approx(one.color, abs=0.01)


def test_a_segment_keeps_its_tracking_identifier_when_it_is_measured(a_case, tmp_path):
    first = a_case / "result" / "segmentation.dcm"
    run_command("measure", a_case / "ct", first, "-o", tmp_path / "again", "--no-report", "--format", "dicom")
    uids = [
        [str(item.TrackingUID) for item in pydicom.dcmread(path).SegmentSequence]
        for path in (first, tmp_path / "again" / "segmentation.dcm")
    ]
    assert uids[0][2:] == uids[1][2:]
    assert len(set(uids[0])) == 4


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (("../../escaped", "a/b"), {"escaped", "a_b"}),
        (("Tumor_1", "tumor_1"), {"Tumor_1", "tumor_1_2"}),
        (("Tumor:1", "Tumor?1"), {"Tumor_1", "Tumor_1_2"}),
        (("CON", ".."), {"segment_CON", "segment"}),
        (("Tümör", "x" * 300), {"Tümör", "x" * 80}),
    ],
)
def test_no_id_of_a_segment_leads_out_of_the_folder_or_to_a_name_that_no_file_can_have(tmp_path, ids, expected):
    folder = tmp_path / "above" / "result"
    folder.mkdir(parents=True)
    tumor = a_chest().tumor
    write_surfaces([Segment("Tumor", tumor, (1, 0, 0), TUMOR[None], each) for each in ids], folder, "stl")
    assert {path.relative_to(folder).as_posix() for path in tmp_path.rglob("*.stl")} == {
        f"{name}.stl" for name in expected
    }


def test_surfaces_are_written_for_each_segment_and_replaced_by_the_next_run(a_case, tmp_path):
    given = a_case / "ct", a_case / "result" / "segmentation.seg.nrrd", "-o", tmp_path / "out", "--no-report"
    run_command("measure", *given, "--format", "stl", "ply")
    ids = [each.id for each in read_segmentation(given[1])]
    expected = {f"{each}.{suffix}" for each in ids for suffix in ("stl", "ply")}
    assert {path.name for path in (tmp_path / "out").iterdir() if path.suffix in (".stl", ".ply")} == expected
    run_command("measure", *given, "--format", "obj")
    found = {path.name for path in (tmp_path / "out").iterdir() if path.suffix in (".stl", ".ply", ".obj")}
    assert found == {f"{each}.obj" for each in ids}


@pytest.mark.parametrize("name", sorted(DICOM_FILES))
def test_dicom_results_refer_to_patient_study_and_slices(a_case, name):
    data = pydicom.dcmread(a_case / "result" / name)
    slices = [pydicom.dcmread(path) for path in sorted((a_case / "ct").iterdir())]
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
        if name != "measurements.dcm" or keyword == "StudyInstanceUID":
            assert data[keyword].value == slices[0][keyword].value
    assert str(data.PatientName) == PATIENT["PatientName"]
    assert data.PatientID == PATIENT["PatientID"]
    mentioned = {str(each.value) for each in data.iterall() if each.VR == "UI"}
    assert {each.SOPInstanceUID for each in slices} <= mentioned
    assert slices[0].SeriesInstanceUID in mentioned


def test_patient_data_stand_in_dicom_objects_only(a_case, tmp_path):
    run_command(
        "measure", a_case / "ct", a_case / "result", "-o", tmp_path / "measured", "--margins", "5", "--no-report",
        "--format", "seg.nrrd", "nifti", "dicom",
    )  # fmt: skip
    for folder in (a_case / "result", tmp_path / "measured"):
        found = {path.name: leaks(path) for path in folder.iterdir()}
        assert {name for name, texts in found.items() if texts} == DICOM_FILES
        assert PATIENT["PatientID"] in found["segmentation.dcm"]


def test_deidentified_results_state_uids_only(a_case, tmp_path):
    run_command(
        "measure", a_case / "ct", a_case / "result", "-o", tmp_path, "--no-report", "--format", "dicom",
        "--deidentified",
    )  # fmt: skip
    assert [leaks(path) for path in tmp_path.iterdir()] == [[]] * len(list(tmp_path.iterdir()))
    for name in DICOM_FILES:
        data = pydicom.dcmread(tmp_path / name)
        assert (data.PatientName, data.PatientID, data.PatientIdentityRemoved) == ("", "", "YES")
        assert data.StudyInstanceUID == pydicom.dcmread(next((a_case / "ct").iterdir())).StudyInstanceUID


@pytest.mark.parametrize("command", ["segment", "measure"])
def test_dicom_results_of_a_ct_that_is_no_dicom_are_refused_before_the_work(tmp_path, command):
    write_volume(make_chest(SHAPE).ct, tmp_path / "ct.nrrd")
    more = [tmp_path / "missing.seg.nrrd"] if command == "measure" else []
    with pytest.raises(UnusableInput, match=r"ct\.nrrd is not DICOM, so DICOM results would have no patient"):
        run_command(command, tmp_path / "ct.nrrd", *more, "-o", tmp_path / "out", "--format", "dicom")
    assert names(tmp_path) == {"ct.nrrd"}


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID"])
def test_slices_without_an_identifier_are_refused(tmp_path, keyword):
    write_dicom_series(make_chest((10, 12, 14)).ct, tmp_path, edit=lambda dataset, _: setattr(dataset, keyword, ""))
    with pytest.raises(UnusableInput, match=f"does not state its {keyword}"):
        dicom_source(read_ct(tmp_path), FORMATS, deidentified=False)


def test_values_that_are_not_valid_are_left_out_with_a_warning(tmp_path):
    def edit(dataset, _):
        with pydicom.config.disable_value_validation():
            dataset.PatientBirthDate, dataset.PatientSex = "unknown", "female"

    write_dicom_series(make_chest((10, 12, 14)).ct, tmp_path, edit=edit)
    source = dicom_source(read_ct(tmp_path), FORMATS, deidentified=False)
    assert (source.first.PatientBirthDate, source.first.PatientSex, source.first.PatientID) == ("", "", "test")
    assert "PatientBirthDate, PatientSex" in source.warnings[0]


def test_a_second_run_replaces_the_results_in_a_folder_within_the_dicom_folder(tmp_path):
    result = a_dicom_result(tmp_path / "ct")
    for _ in range(2):
        source = dicom_source(result.ct, FORMATS, deidentified=False)
        extras = Extras(formats=FORMATS, dicom=source)
        write_result(result, tmp_path / "ct" / "out", picture=False, extras=extras, source=tmp_path / "ct")
    assert names(tmp_path / "ct" / "out") >= DICOM_FILES
    assert read_ct(tmp_path / "ct").warnings == ()


def test_results_of_a_segmentation_that_was_corrected_since_are_removed(a_case, tmp_path):
    save(a_dicom_result(tmp_path / "ct"), tmp_path / "out")
    run_command(
        "measure", tmp_path / "ct", a_case / "result" / "segmentation.nii.gz", "-o", tmp_path / "out", "--no-report"
    )
    assert not names(tmp_path / "out") & {*DICOM_FILES, "segmentation.nii.gz", "segmentation.json"}
    assert "segmentation.seg.nrrd" in names(tmp_path / "out")


def test_overlapping_lesions_are_whole_in_dicom_and_warned_of_in_nifti(tmp_path):
    from LungTumorSegLib.io.seg_nrrd import write_segmentation
    from LungTumorSegLib.io.segment import Segment

    chest = a_chest()
    write_dicom_series(chest.ct, tmp_path / "ct")
    ct = read_ct(tmp_path / "ct")
    big, small = block(SHAPE, (10, 12, 33), (18, 22, 46)), block(SHAPE, (12, 14, 36), (16, 19, 41))
    lesions = [
        Segment(name, chest.tumor.with_array(mask), (1.0, 0.0, 0.0), TUMOR[None])
        for name, mask in (("Big", big), ("Small", small))
    ]
    write_segmentation(lesions, tmp_path / "drawn.seg.nrrd")
    run_command(
        "measure", tmp_path / "ct", tmp_path / "drawn.seg.nrrd", "-o", tmp_path / "out", "--no-report",
        "--format", "dicom", "nifti",
    )  # fmt: skip
    found = {segment.name: segment for segment in read_segmentation(tmp_path / "out" / "segmentation.dcm")}
    for name, mask in (("Big", big), ("Small", small)):
        assert np.count_nonzero(place(found[name].mask, ct, name).mask.array) == np.count_nonzero(mask)
    warnings = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))["warnings"]
    assert any("stores one label per voxel" in warning for warning in warnings)


def test_one_lesion_without_lungs_is_written_as_dicom_with_its_report(tmp_path):
    chest = a_chest()
    write_dicom_series(chest.ct, tmp_path / "ct")
    write_volume(chest.tumor, tmp_path / "drawn.nii.gz")
    run_command("measure", tmp_path / "ct", tmp_path / "drawn.nii.gz", "-o", tmp_path / "out", "--no-report",
        "--format", "dicom")  # fmt: skip
    assert names(tmp_path / "out") >= DICOM_FILES
    data = pydicom.dcmread(tmp_path / "out" / "segmentation.dcm")
    assert "SegmentIdentificationSequence" not in data.SharedFunctionalGroupsSequence[0]
    (read,) = read_segmentation(tmp_path / "out" / "segmentation.dcm")
    assert np.count_nonzero(read.mask.array) == np.count_nonzero(chest.tumor.array)


def test_lungs_of_a_label_map_with_names_are_no_lesions(a_case):
    labels = read_lesion_labels(a_case / "result" / "segmentation.nii.gz")
    lesions = read_lesion_labels(a_case / "result" / "segmentation.seg.nrrd")
    assert np.count_nonzero(labels.array) == np.count_nonzero(lesions.array) > 0


def test_damaged_names_beside_a_label_map_are_refused(a_case, tmp_path):
    (tmp_path / "x.nii.gz").write_bytes((a_case / "result" / "segmentation.nii.gz").read_bytes())
    (tmp_path / "x.json").write_text('{"format": "LungTumorSeg label names", "labels": {"1": {}}}')
    with pytest.raises(UnusableInput, match=r"x\.json does not state the names of the labels correctly"):
        read_segmentation(tmp_path / "x.nii.gz")
    (tmp_path / "x.json").write_text('{"labels": {"1": {}}}')
    assert [segment.name for segment in read_segmentation(tmp_path / "x.nii.gz")] == [
        "Segment 1", "Segment 2", "Segment 3", "Segment 4",
    ]  # fmt: skip
