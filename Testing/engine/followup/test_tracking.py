"""A lesion keeps its tracking identifier from one examination to the next."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from commands import run_command
from dicom_series import write_dicom_series
from LungTumorSegLib import compare
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.followup.lesion import TimedLesion
from LungTumorSegLib.followup.track import Track
from LungTumorSegLib.followup.tracking import as_inherited, check_tracking, inherit_identifier, with_tracking
from LungTumorSegLib.io.dicom_source import tracking_uid_of
from LungTumorSegLib.io.segment import Segment
from two_lungs import ct_of, segments_of, write_examination

HERE, THERE = ((66.0, 0.0, 40.0), 9.0), ((-66.0, 10.0, 0.0), 10.0)


def lesion(name: str, volume_ml: float, uid: str = "") -> TimedLesion:
    return TimedLesion(name, None, volume_ml, 10.0, 8.0, tracking_uid=uid)


@pytest.mark.parametrize(
    ("earlier", "later", "expected"),
    [
        ([("A", 1, "1.2")], [("B", 2, "1.9")], {"B": "1.2"}),
        ([("A", 1, "")], [("B", 2, "1.9")], {"B": "1.9"}),
        ([], [("B", 2, "1.9")], {"B": "1.9"}),
        ([("A", 1, "1.2")], [], {}),
        ([("A", 5, "1.2")], [("B", 1, "1.8"), ("C", 3, "1.9")], {"B": "1.8", "C": "1.2"}),
        ([("A", 1, "1.2"), ("B", 3, "1.3")], [("C", 5, "")], {"C": "1.3"}),
        ([("A", 5, "1.2")], [("B", 1, "1.2"), ("C", 3, "1.9")], {"B": "", "C": "1.2"}),
    ],
    ids=["matched", "unknown", "new", "gone", "split", "merged", "no identifier twice"],
)
def test_the_largest_piece_inherits_from_the_largest(earlier, later, expected):
    found = inherit_identifier([lesion(*each) for each in earlier], [lesion(*each) for each in later])
    assert {each.name: each.tracking_uid for each in found} == expected


def test_a_third_examination_inherits_what_the_second_one_has_inherited():
    track = Track("L1", ((lesion("A", 1, "1.2"),), (lesion("B", 2, "1.2"),)))
    (now, other) = as_inherited([lesion("B", 2, "1.9"), lesion("C", 1, "1.8")], [track])
    assert (now.tracking_uid, other.tracking_uid) == ("1.2", "1.8")


def ball(name: str, voxels: int) -> Segment:
    mask = np.zeros((12, 12, 12), dtype=bool)
    mask.ravel()[:voxels] = True
    return Segment(name, Volume(mask, np.diag([10.0, 10, 10, 1])), (1, 0, 0), "", tracking_uid="1.5")


def follow_up_file(folder, *pieces):
    later = [{"segment": name, "volume_ml": ml, "tracking_uid": uid} for name, ml, uid in pieces]
    (folder / "followup.json").write_text(json.dumps({"lesions": [{"later": later}]}))
    return folder / "followup.json"


def test_segments_get_the_identifiers_of_the_file_and_else_keep_their_own(tmp_path):
    path = follow_up_file(tmp_path, ("Tumor 1", 100.0, "1.2"), ("Tumor 2", 50.0, None))
    found = with_tracking([ball("Tumor 1", 100), ball("Tumor 2", 50)], path)
    assert [each.tracking_uid for each in found] == ["1.2", "1.5"]
    assert with_tracking(found, None) == found


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not the followup.json"),
        ("[]", "is not the followup.json"),
        ('{"lesions": [{"later": [{"segment": "Tumor 1"}]}]}', "is not the followup.json"),
        ('{"lesions": [{"later": [{"segment": "T", "volume_ml": 1, "tracking_uid": "a b"}]}]}', "is not the followup"),
        ('{"lesions": []}', "compares other lesions"),
        ('{"lesions": [{"later": [{"segment": "Tumor 1", "volume_ml": 9, "tracking_uid": "1"}]}]}', "other lesions"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, content, message):
    (tmp_path / "followup.json").write_text(content)
    with pytest.raises(UnusableInput, match=message):
        with_tracking([ball("Tumor 1", 100)], tmp_path / "followup.json")


def test_a_missing_file_is_named_as_missing(tmp_path):
    with pytest.raises(UnusableInput, match="does not exist; check the path"):
        with_tracking([ball("Tumor 1", 100)], tmp_path / "followup.json")


def test_without_dicom_results_identifiers_are_refused_before_the_work(tmp_path):
    with pytest.raises(UnusableInput, match="add --format dicom"):
        check_tracking(tmp_path / "followup.json", {"nifti"})


def dicom_examination(folder, balls, **geometry):
    """Write a result folder without DICOM results, and the DICOM series of its CT."""
    write_examination(folder / "result", balls, **geometry)
    write_dicom_series(ct_of(segments_of(balls, **geometry)), folder / "ct")
    return folder


def uids_in(path) -> dict[str, str]:
    return {str(item.SegmentLabel): str(item.TrackingUID) for item in pydicom.dcmread(path).SegmentSequence}


@pytest.mark.slow
def test_dicom_results_of_three_examinations_have_the_same_identifier_for_the_same_lesion(tmp_path):
    exams = [
        dicom_examination(tmp_path / "january", {"Tumor 1": HERE, "Tumor 2": THERE}),
        dicom_examination(tmp_path / "april", {"Tumor 1": THERE, "Tumor 2": HERE}, shift=(6.0, -9.0, 12.0)),
        dicom_examination(tmp_path / "july", {"Tumor 1": HERE}),
    ]
    run_command(
        "measure", exams[0] / "ct", exams[0] / "result", "-o", tmp_path / "0", "--format", "dicom", "--no-report"
    )
    for number, (before, after) in enumerate(((exams[0], exams[1]), (exams[1], exams[2])), start=1):
        given = tmp_path / str(number - 1), after / "result"
        cts = "--earlier-ct", before / "ct", "--later-ct", after / "ct"
        compared = tmp_path / f"compared {number}"
        run_command("compare", *given, *cts, "-o", compared, "--days", "90", "--no-report")
        out = "-o", tmp_path / str(number), "--format", "dicom", "seg.nrrd", "--no-report"
        run_command("measure", after / "ct", after / "result", *out, "--tracking", compared / "followup.json")
    january, april, july = (uids_in(tmp_path / str(number) / "segmentation.dcm") for number in range(3))
    assert april["Tumor 1"] == january["Tumor 2"] != january["Tumor 1"]
    assert april["Tumor 2"] == january["Tumor 1"] == july["Tumor 1"]
    report = pydicom.dcmread(tmp_path / "2" / "measurements.dcm")
    assert july["Tumor 1"] in {str(each.value) for each in report.iterall() if each.VR == "UI"}


def test_a_dicom_ct_alone_gives_the_identifiers_that_its_dicom_results_would_have(tmp_path):
    exam = dicom_examination(tmp_path / "january", {"Tumor 1": HERE})
    found = compare(exam / "result", exam / "result", earlier_ct=exam / "ct", days=1)
    (track,) = found.tracks
    series = str(pydicom.dcmread(next((exam / "ct").iterdir())).SeriesInstanceUID)
    segment = segments_of({"Tumor 1": HERE})[-1]
    assert track.later[0].tracking_uid == track.earlier[0].tracking_uid == tracking_uid_of(series, segment)
    assert replace(track.earlier[0], tracking_uid="").as_json()["tracking_uid"] is None
