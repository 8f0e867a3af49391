"""The whole comparison: from two result folders to a status for each lesion, and its files."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from commands import run_command
from dicom_series import write_dicom_series
from jsonschema import Draft202012Validator, validate
from LungTumorSegLib import compare
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.followup.doubts import comparison_doubts
from LungTumorSegLib.followup.examination import read_examination
from LungTumorSegLib.followup.files import COLUMNS
from LungTumorSegLib.followup.lung_grid import lung_grid
from LungTumorSegLib.followup.registration import register
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.io.seg_nrrd import write_segmentation
from LungTumorSegLib.io.segmentations import read_segmentation
from LungTumorSegLib.results.ct_checksum import ct_checksum
from LungTumorSegLib.results.reader import OTHER_CT
from tools import tool
from two_lungs import SHAPE, ct_of, grid_points, segments_of, write_examination

STAYING, GROWING = ((66.0, 0.0, 40.0), 9.0), ((-66.0, 10.0, 0.0), 10.0)
LEAVING, COMING = ((-60.0, -20.0, -50.0), 9.0), ((70.0, 20.0, -50.0), 9.0)
LARGER = (GROWING[0], 13.0)
SHIFT, STRETCH = (6.0, -9.0, 12.0), 1.1


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The same patient twice: moved, with a deeper breath, and other lesions."""
    folder = tmp_path_factory.mktemp("results")
    earlier = write_examination(folder / "earlier", {"Tumor 1": GROWING, "Tumor 2": STAYING, "Tumor 3": LEAVING})
    later = {"Tumor 1": LARGER, "Tumor 2": COMING, "Tumor 3": STAYING}
    return earlier, write_examination(folder / "later", later, shift=SHIFT, stretch=STRETCH)


@pytest.fixture(scope="module")
def follow_up(results):
    return compare(*results, days=100)


@pytest.fixture(scope="module")
def unchanged(results):
    """The earlier examination against itself, without dates."""
    return compare(results[0], results[0])


@pytest.fixture(scope="module")
def three(follow_up, tmp_path_factory):
    """A third examination, after the two of ``follow_up``."""
    lesions = {"Tumor 1": GROWING, "Tumor 2": STAYING}
    third = write_examination(tmp_path_factory.mktemp("third") / "third", lesions, shift=SHIFT)
    return compare(follow_up.later, third, days=50, previous=follow_up)


def test_every_lesion_has_its_status(follow_up):
    found = {track.status: track for track in follow_up.tracks}
    assert sorted(found) == ["gone", "grown", "new", "stable"]
    names = {status: [[x.name for x in visit] for visit in track.visits] for status, track in found.items()}
    assert names["grown"] == [["Tumor 1"], ["Tumor 1"]]
    assert names["stable"] == [["Tumor 2"], ["Tumor 3"]]
    assert names["gone"] == [["Tumor 3"], []]
    assert names["new"] == [[], ["Tumor 2"]]


def test_every_lesion_has_a_place_in_both_cts(follow_up):
    for track in follow_up.tracks:
        before = np.array(track.earlier_place_lps)
        assert np.linalg.norm(before * (1, 1, STRETCH) + SHIFT - track.place_lps) < 6
        if track.earlier:
            assert before == pytest.approx(track.earlier[0].points_lps.mean(axis=0))


def test_the_doubling_time_is_that_of_the_volumes(follow_up):
    (grown,) = [track for track in follow_up.tracks if track.status == "grown"]
    expected = 100 * np.log(2) / np.log((LARGER[1] / GROWING[1]) ** 3)
    assert grown.doubling_time(follow_up.days).days == pytest.approx(expected, rel=0.1)


def test_the_response_names_the_new_lesion(follow_up):
    assert follow_up.response.category == "PD"
    assert any("There are new lesions (section 4.3.5)" in rule for rule in follow_up.response.rules)
    assert follow_up.targets[0] == "L1"


def test_the_registration_states_what_it_used(follow_up):
    assert follow_up.registration.overlap > 0.95
    assert follow_up.registration.landmarks == 0
    assert any("by the surfaces of the lungs only" in warning for warning in follow_up.warnings)


def test_cts_without_a_vessel_in_common_may_be_of_different_patients(follow_up):
    exams = [replace(exam, ct=ct_of(segments_of({}))) for exam in follow_up.examinations]
    for landmarks, warned in ((0, True), (20, False)):
        registration = replace(follow_up.registration, landmarks=landmarks)
        warnings = comparison_doubts(*exams, registration, days=90.0, tracks=(), doubt="")
        assert any("make sure that both CTs are of the same patient" in each for each in warnings) == warned


def test_points_go_to_the_later_examination_and_back(follow_up):
    points = np.array([STAYING[0], GROWING[0], LEAVING[0]])
    there = follow_up.registration.to_later(points)
    assert np.linalg.norm(there - (points * (1, 1, STRETCH) + SHIFT), axis=1).max() < 5
    assert np.abs(follow_up.registration.to_earlier(there) - points).max() < 0.1


def test_an_examination_against_itself_shows_no_change_and_without_dates_no_doubling_time(unchanged):
    found = unchanged
    assert [track.status for track in found.tracks] == ["stable"] * 3
    assert [track.change_percent for track in found.tracks] == [0.0] * 3
    assert (found.response.category, found.volume_response) == ("SD", "SD")
    assert all(track.doubling_time(found.days) is None for track in found.tracks)
    assert any("dates of the CTs are unknown" in warning for warning in found.warnings)
    assert any("probably one and the same" in warning for warning in found.warnings)


@pytest.mark.parametrize(("days", "warned"), [(90.0, False), (7000.0, False), (25000.0, True)])
def test_examinations_a_lifetime_apart_are_doubted(follow_up, days, warned):
    warnings = comparison_doubts(
        *follow_up.examinations, follow_up.registration, days=days, tracks=follow_up.tracks, doubt=""
    )
    assert any("a date is probably wrong" in each for each in warnings) == warned
    assert not any("one and the same" in each for each in warnings)


@pytest.mark.parametrize(
    ("day", "why"), [("1970-01-01", "no CT yet"), ("2020-02-29", ""), ("2999-01-01", "in the future")]
)
def test_dates_on_which_no_ct_was_acquired_are_doubted(follow_up, day, why):
    before, after = follow_up.examinations
    exams = (before, replace(after, day=date.fromisoformat(day)))
    said = [
        each
        for each in comparison_doubts(*exams, follow_up.registration, days=90.0, tracks=(), doubt="")
        if "is dated" in each
    ]
    assert len(said) == bool(why)
    assert all(f"The later CT is dated {day}, " in each and why in each for each in said)


@pytest.mark.parametrize(("days", "warned"), [(90.0, False), (95.0, False), (30.0, True), (None, False)])
def test_a_stated_time_that_dicom_contradicts_is_doubted(follow_up, days, warned):
    stated = (date(2020, 1, 1), date(2020, 3, 31))
    exams = [replace(exam, stated_day=day) for exam, day in zip(follow_up.examinations, stated, strict=True)]
    warnings = comparison_doubts(*exams, follow_up.registration, days=days, tracks=(), doubt="")
    assert any("but 90 days by the dates in their DICOM files" in each for each in warnings) == warned


def test_a_third_examination_keeps_ids_and_smallest_sums(follow_up, three, tmp_path):
    found = three
    assert found.save(tmp_path / "out")["dates"] == [None] * 3
    assert len(found.examinations) == 3
    before = {lesion.name: track.id for track in follow_up.tracks for lesion in track.later}
    now = {lesion.name: track.id for track in found.tracks for lesion in track.later}
    assert now == {"Tumor 1": before["Tumor 1"], "Tumor 2": before["Tumor 3"]}
    assert {track.id for track in found.tracks} == {track.id for track in follow_up.tracks}
    assert all(len(track.visits) == 3 for track in found.tracks)
    assert found.targets == follow_up.targets


def test_files_say_the_same(follow_up, tmp_path):
    data = follow_up.save(tmp_path / "out", report=False)
    assert json.loads((tmp_path / "out" / "followup.json").read_text(encoding="utf-8")) == data
    with (tmp_path / "out" / "followup.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["status"] for row in rows] == [entry["status"] for entry in data["lesions"]]
    assert [float(row["volume_later_ml"]) for row in rows] == [entry["volume_later_ml"] for entry in data["lesions"]]


def test_what_is_written_keeps_to_the_schema_that_the_types_give(follow_up, unchanged, three, tmp_path):
    schemas = tool("write_result_schemas")
    schema = json.loads(schemas.FOLLOW_UP.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    assert json.loads(schemas.text(schemas.FOLLOW_UP)) == schema, "run: python Testing/tools/write_result_schemas.py"
    for found in (follow_up, unchanged, three):
        data = found.save(tmp_path / "out", report=False)
        validate(data, schema)
        assert set(data) == set(schema["properties"]) - {"case"}
        assert all(set(entry) == set(schema["properties"]["lesions"]["items"]["required"]) for entry in data["lesions"])
    broken = data | {"lesions": [data["lesions"][0] | {"status": "larger"}], "days": "nine"}
    assert len(list(Draft202012Validator(schema).iter_errors(broken))) == 2


def test_earlier_lesions_lie_at_their_place_in_the_later_ct(follow_up, tmp_path):
    data = follow_up.save(tmp_path / "out", report=False, outlines=True)
    outlines = {each.id: each for each in read_segmentation(tmp_path / "out" / "earlier-lesions.seg.nrrd")}
    there = {entry["id"]: entry for entry in data["lesions"]}
    assert set(outlines) == {key for key, entry in there.items() if entry["earlier"]}
    for key, outline in outlines.items():
        volume_ml = np.count_nonzero(outline.mask.array) * outline.mask.voxel_volume_ml
        assert volume_ml == pytest.approx(there[key]["volume_earlier_ml"] * STRETCH, rel=0.15)
        center = outline.mask.index_to_lps(np.argwhere(outline.mask.array).mean(axis=0))
        assert np.linalg.norm(center - there[key]["place_lps_mm"]) < 6
        assert outline.name == f"{there[key]['earlier'][0]['segment']} (earlier)"


def test_the_command_compares_two_result_folders_and_links_by_hand(results, tmp_path):
    given = ("--dates", "2026-01-01", "2026-04-11", "--case", "P7")
    link = ("--link", "Tumor 3=Tumor 2", "--unlink", "Tumor 2=Tumor 3")
    text = run_command("compare", *results, "-o", tmp_path / "out", *given, *link)
    assert "RECIST 1.1: PD." in text
    data = json.loads((tmp_path / "out" / "followup.json").read_text(encoding="utf-8"))
    assert (data["days"], data["case"], data["dates"]) == (100, "P7", ["2026-01-01", "2026-04-11"])
    pairs = [([a["segment"] for a in x["earlier"]], [b["segment"] for b in x["later"]]) for x in data["lesions"]]
    assert (["Tumor 3"], ["Tumor 2"]) in pairs
    assert (["Tumor 2"], []) in pairs
    assert (data["links"], data["unlinks"]) == ([["Tumor 3", "Tumor 2"]], [["Tumor 2", "Tumor 3"]])
    run_command("compare", *results, "-o", tmp_path / "out", *given, "--links", tmp_path / "out" / "followup.json")
    assert json.loads((tmp_path / "out" / "followup.json").read_text(encoding="utf-8")) == data


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dates", "2026-04-11", "2026-01-01"], "--dates must name the earlier date first"),
        (["--dates", "2026-01-01"], "must name one date per examination (2), but names 1"),
        (["--earlier", "nowhere"], "nowhere does not exist"),
        (["--days", "-5"], "must be above 0 days"),
        (["--days", "nan"], "must be above 0 days"),
        (["--dates", "2026-13-01", "2026-01-01"], "must be a date such as"),
        (["--dates", "2026-01-01", "20269999"], "must be a date such as 2026-01-31, not '20269999'"),
        (["--link", "Tumor 9=Tumor 1"], "has no lesion named Tumor 9"),
        (["--link", "Tumor 9"], "must be two segment names"),
    ],
)
def test_the_command_refuses_what_contradicts(results, tmp_path, arguments, message):
    with pytest.raises(UnusableInput, match=re.escape(message)):
        run_command("compare", *results, "-o", tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists()


def test_the_dates_of_dicom_cts_are_those_of_the_examinations(tmp_path):
    lungs = write_examination(tmp_path / "lungs", {})

    def dated(day):
        def edit(dataset, _):
            dataset.add_new("StudyDate", "LO", day)

        write_dicom_series(ct_of(segments_of({})), tmp_path / day, edit=edit)
        return read_examination(lungs, tmp_path / day)

    assert dated("20260131").day == date(2026, 1, 31)
    given = read_examination(lungs, tmp_path / "20260131", day=date(2025, 1, 31))
    assert (given.day, given.stated_day) == (date(2025, 1, 31), date(2026, 1, 31))
    wrong = dated("20269999")
    assert wrong.day is None
    assert any("states the StudyDate 20269999, which is no date" in warning for warning in wrong.warnings)


def test_dicom_cts_that_state_different_patients_are_doubted(follow_up):
    def doubts(earlier, later):
        exams = [replace(e, patient=p) for e, p in zip(follow_up.examinations, (earlier, later), strict=True)]
        found = comparison_doubts(*exams, follow_up.registration, days=90.0, tracks=(), doubt="")
        return [each for each in found if "state different patients" in each]

    (doubt,) = doubts({"PatientID": "A17", "PatientSex": "F"}, {"PatientID": "B4", "PatientSex": "F"})
    assert "(they differ in PatientID)" in doubt
    assert "A17" not in doubt
    assert doubts({"PatientBirthDate": "19500101"}, {"PatientBirthDate": "19610101"})
    assert not doubts({"PatientID": "A17"}, {"PatientID": "A17"})
    assert not doubts({"PatientID": "A17"}, {"PatientSex": "F"})
    assert not doubts({}, {"PatientID": "A17"})


def test_the_patient_is_read_from_a_dicom_ct(tmp_path):
    write_dicom_series(ct_of(segments_of({})), tmp_path / "ct")
    exam = read_examination(write_examination(tmp_path / "lungs", {}), tmp_path / "ct")
    assert exam.patient["PatientID"] == "test"
    assert "PatientID" not in repr(exam)


def test_a_ct_from_which_the_result_was_not_made_is_doubted(tmp_path):
    folder = write_examination(tmp_path / "result", {"Tumor 1": GROWING})
    cts = [ct_of(segments_of({"Tumor 1": ball})) for ball in (GROWING, LARGER)]
    for number, ct in enumerate(cts):
        write_volume(ct, tmp_path / f"{number}.nrrd")
    summary = {"lesions": [], "ct_sha256": ct_checksum(cts[0])}
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    for result in (folder, folder / "segmentation.seg.nrrd"):
        own, other = (read_examination(result, tmp_path / f"{number}.nrrd").warnings for number in (0, 1))
        assert OTHER_CT not in own
        assert OTHER_CT in other


def test_the_order_of_the_dates_is_checked(results):
    with pytest.raises(UnusableInput, match="is not later than"):
        compare(*results, dates=(date(2026, 4, 1), date(2026, 1, 1)))


def test_a_label_map_without_lungs_needs_its_ct(results, tmp_path):
    points, affine = grid_points()
    labels = (np.linalg.norm(points - STAYING[0], axis=-1) < 9).astype(np.uint8)
    write_volume(Volume(labels, affine), tmp_path / "labels.nii.gz")
    with pytest.raises(UnusableInput, match="contains no lungs"):
        compare(tmp_path / "labels.nii.gz", results[1])


def test_lungs_of_another_patient_are_not_matched(results, tmp_path):
    segments = segments_of({"Tumor 1": STAYING})
    half = np.zeros(SHAPE, bool)
    half[:, :, : SHAPE[2] // 2 - 8] = True
    for segment in segments[:2]:  # a single lung of another shape
        segment.mask.array[...] &= half
        segment.mask.array[: SHAPE[0] // 2 + 10] = False
    (tmp_path / "other").mkdir()
    write_segmentation(segments, tmp_path / "other" / "segmentation.seg.nrrd")
    with pytest.raises(UnusableInput, match="could not be registered"):
        compare(tmp_path / "other", results[0])
    found = compare(tmp_path / "other", results[0], links=[("Tumor 1", "Tumor 2")])
    assert [track.status for track in found.tracks] == ["stable", "new", "new"]
    assert found.response.category == "PD"
    assert any("All others count as gone or new, also in the response" in warning for warning in found.warnings)


def test_segments_of_one_name_are_refused(results, tmp_path):
    segments = segments_of({"Tumor 1": STAYING, "Tumor 2": GROWING})
    object.__setattr__(segments[3], "name", "Tumor 1")
    (tmp_path / "twice").mkdir()
    write_segmentation(segments, tmp_path / "twice" / "segmentation.seg.nrrd")
    with pytest.raises(UnusableInput, match="several lesions named Tumor 1"):
        compare(tmp_path / "twice", results[1])


def test_empty_lesions_and_rejected_ones_are_not_gone_silently(results, tmp_path):
    segments = segments_of({"Tumor 1": LARGER, "Tumor 2": COMING, "Tumor 3": STAYING}, shift=SHIFT, stretch=STRETCH)
    segments[2] = replace(segments[2], mask=segments[2].mask.with_array(np.zeros(SHAPE, bool)))
    segments[4] = replace(segments[4], review="rejected")
    (tmp_path / "corrected").mkdir()
    write_segmentation(segments, tmp_path / "corrected" / "segmentation.seg.nrrd")
    found = compare(results[0], tmp_path / "corrected", days=100)
    gone = {track.earlier[0].name: track.id for track in found.tracks if track.status == "gone"}
    assert gone.keys() == {"Tumor 1", "Tumor 2", "Tumor 3"}
    empty = "Later CT: These segments are empty and were not measured: Tumor 1. Outline or remove them."
    assert empty in found.warnings
    (rejected,) = [each for each in found.warnings if "rejected" in each]
    assert rejected.startswith(f"{gone['Tumor 2']} counts as gone because Tumor 3 was rejected in the later CT;")


@pytest.mark.parametrize(("error_mm", "warned"), [(0.0, False), (40.0, True)])
def test_a_long_axis_that_does_not_fit_the_outline_decides_no_response(tmp_path, error_mm, warned):
    folders = [write_examination(tmp_path / name, {"Tumor 1": GROWING}) for name in ("earlier", "later")]
    (lesion,) = read_examination(folders[0]).lesions
    stated = {"segment": "Tumor 1", "volume_ml": lesion.volume_ml, "long_axis_mm": lesion.long_axis_mm + error_mm}
    (folders[0] / "summary.json").write_text(json.dumps({"lesions": [stated]}), encoding="utf-8")
    found = compare(*folders, days=100)
    assert found.response.category == "SD"
    assert any("summary.json do not fit the segmentation" in each for each in found.warnings) == warned


def test_a_ct_of_another_grid_is_named_in_the_refusal(results, tmp_path):
    ct = ct_of(segments_of({"Tumor 1": STAYING}))
    write_volume(Volume(ct.array, np.diag([2.0, 2.0, 2.0, 1.0]) @ ct.affine), tmp_path / "another.nii.gz")
    with pytest.raises(UnusableInput, match=r"Tumor 1 does not lie on the voxels of .*another\.nii\.gz: its voxels"):
        compare(*results, later_ct=tmp_path / "another.nii.gz")


def test_vessels_align_the_inside_of_the_lungs():
    """The lungs' surfaces stay; what they contain moves by 6 mm and is followed."""
    rng = np.random.default_rng(3)
    points, affine = grid_points()
    segments = segments_of({})
    centers = rng.uniform((-110, -45, -70), (110, 45, 70), (400, 3))
    radii = rng.uniform(2.5, 6, 400)
    grids = []
    for move in (0.0, 6.0):
        hu = ct_of(segments).array.copy()
        for center, radius in zip(centers + np.array([0, 0, move]), radii, strict=True):
            low = np.maximum(np.floor((center[::-1] - affine[:3, 3][::-1] - radius) / 3).astype(int), 0)
            box = tuple(slice(a, a + int(2 * radius / 3) + 3) for a in low)
            hu[box][np.linalg.norm(points[box] - center, axis=-1) < radius] = 40
        mask = Volume(segments[0].mask.array | segments[1].mask.array, affine)
        grids.append(lung_grid(mask, ct_of(segments).replaced(hu, affine)))
    found = register(*grids)
    assert found.landmarks >= 20
    assert found.residual_mm < 3
    inside = np.array([[60.0, 0, 0], [-60, 10, 30], [-70, -20, -20], [66, 10, -30]])
    assert np.linalg.norm(found.to_later(inside) - inside - (0, 0, 6), axis=1).max() < 2.5
