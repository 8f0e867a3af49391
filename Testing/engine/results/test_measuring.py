"""Commands one after another in one folder: measures keep what the run recorded, and the user's corrections stay."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import run_command
from LungTumorSegLib import __version__
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.images import read_ct, write_volume
from LungTumorSegLib.io.seg_nrrd import write_segmentation
from LungTumorSegLib.io.segmentations import read_segmentation
from LungTumorSegLib.lesions import Maps, report_lesions
from LungTumorSegLib.results.contents import Extras
from LungTumorSegLib.results.mark import MARK_FILE
from LungTumorSegLib.results.measuring import formats_of, measure_output
from LungTumorSegLib.results.reader import OTHER_CT, OTHER_CT_THAN_BESIDE
from LungTumorSegLib.results.writer import write_result
from made_results import SHAPE, a_result, an_isolation
from result_files import lesions_in, names, summary_in

RUN_KEYS = ("model", "weights_sha256", "options", "device", "precision", "backend", "seconds")


def test_an_output_name_that_no_folder_can_have_is_refused_at_once(tmp_path):
    for refused in (
        lambda folder: formats_of((), folder, tmp_path),
        lambda folder: measure_output(folder, tmp_path, tmp_path, None, Extras()),
    ):
        with pytest.raises(UnusableInput, match="File name too long"):
            refused(tmp_path / ("a" * 300))


def a_sure_result():
    """A result whose lesion has a confidence, as the network gives it."""
    result = a_result()
    sure = result.report.labels.with_array(np.where(result.report.labels.array > 0, np.float32(0.9), np.float32(0)))
    report = report_lesions(
        Volume(result.report.labels.array > 0, result.ct.affine),
        result.ct,
        result.isolation.left_lung,
        result.isolation.right_lung,
        maps=Maps(sure, sure.with_array(np.zeros(SHAPE, np.float32))),
        min_lesion_ml=0.0,
    )
    return replace(result, report=report, probability=sure, warnings=("The lungs are small.",))


@pytest.fixture(scope="module")
def a_case_on_disk(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("case")
    result = a_sure_result()
    write_volume(result.ct, folder / "ct.nrrd")
    write_result(result, folder / "result", picture=False, extras=Extras(margins_mm=(5.0,), case="P-7"), surfaces=True)
    return folder


@pytest.fixture
def case(a_case_on_disk, tmp_path) -> Path:
    """A folder with ct.nrrd and, in ``result``, what ``segment`` wrote for it."""
    return Path(shutil.copytree(a_case_on_disk, tmp_path / "case"))


def measure(case: Path, *options: object, segmentation: str = "result/segmentation.seg.nrrd", output: str = "result"):
    return run_command("measure", case / "ct.nrrd", case / segmentation, "-o", case / output, "--no-report", *options)


def correct(path: Path, source: Path) -> None:
    """Save the segmentation with the lowest slice of each tumor erased, as a user does in Slicer."""
    lungs_and_tumors = read_segmentation(source)
    write_segmentation(
        [_without_its_lowest_slice(each) if each.name.startswith("Tumor") else each for each in lungs_and_tumors], path
    )


def _without_its_lowest_slice(segment):
    array = segment.mask.array.copy()
    array[array.any(axis=(1, 2)).argmax()] = False
    return replace(segment, mask=segment.mask.with_array(array))


@pytest.mark.parametrize("place", ["result/segmentation.seg.nrrd", "result"])
def test_measures_of_the_result_keep_what_the_run_recorded(case, place):
    before, before_rows, files = summary_in(case / "result"), lesions_in(case / "result"), names(case / "result")
    said = measure(case, segmentation=place)
    after = summary_in(case / "result")
    assert {key: after[key] for key in RUN_KEYS} == {key: before[key] for key in RUN_KEYS}
    assert (after["software_version"], after["segmented_with"], after["case"]) == (__version__, __version__, "P-7")
    assert "The lungs are small." in after["warnings"]
    assert "Warning: The lungs are small." in said
    assert lesions_in(case / "result")[0]["confidence"] == before_rows[0]["confidence"] != ""
    assert names(case / "result") == files
    assert set(after["files"]) == files


@pytest.mark.parametrize("place", ["result/segmentation.seg.nrrd", "corrected.seg.nrrd"])
def test_measures_of_a_correction_keep_it_too_but_not_what_shows_the_lesions_as_they_were(case, place):
    before = summary_in(case / "result")
    correct(case / place, case / "result" / "segmentation.seg.nrrd")
    corrected = (case / place).read_bytes()
    measure(case, segmentation=place)
    after = summary_in(case / "result")
    assert {key: after[key] for key in RUN_KEYS} == {key: before[key] for key in RUN_KEYS}
    assert after["lesions"][0]["volume_ml"] < before["lesions"][0]["volume_ml"]
    assert after["lesions"][0]["confidence"] == before["lesions"][0]["confidence"]
    assert names(case / "result") == set(after["files"])
    assert names(case / "result") == {
        *("segmentation.seg.nrrd", "probability.nrrd", "disagreement.nrrd"),
        *("lesions.csv", "summary.json"),
    }
    assert (case / place).read_bytes() == corrected


def test_a_segmentation_corrected_in_place_is_not_lost_at_the_next_run(case):
    segmentation = case / "result" / "segmentation.seg.nrrd"
    correct(segmentation, segmentation)
    corrected = segmentation.read_bytes()
    for _ in range(2):
        with pytest.raises(UnusableInput, match=r"segmentation\.seg\.nrrd in .*--overwrite"):
            write_result(a_sure_result(), case / "result", picture=False)
        measure(case)
    assert segmentation.read_bytes() == corrected
    write_result(a_sure_result(), case / "result", picture=False, overwrite=True)
    assert segmentation.read_bytes() != corrected


def test_the_summary_of_the_folder_may_be_named_and_is_brought_up_to_date(case):
    before = summary_in(case / "result")
    measure(case, "--run-summary", case / "result" / "summary.json")
    assert {key: summary_in(case / "result")[key] for key in RUN_KEYS} == {key: before[key] for key in RUN_KEYS}


def test_measures_elsewhere_know_the_run_by_its_summary(case):
    measure(case, "--run-summary", case / "result" / "summary.json", output="elsewhere")
    assert {key: summary_in(case / "elsewhere")[key] for key in RUN_KEYS} == {
        key: summary_in(case / "result")[key] for key in RUN_KEYS
    }
    assert names(case / "elsewhere") == {"lesions.csv", "summary.json"}


@pytest.fixture
def another_case(case) -> Path:
    """A CT on another grid, with its segmentation, beside the first one's result."""
    result = a_sure_result()
    shift = np.eye(4)
    shift[:3, 3] = (0.3, 0.0, 7.1)
    affine = shift @ result.ct.affine
    write_volume(Volume(result.ct.array, affine), case / "ct.nrrd")
    segments = read_segmentation(case / "result" / "segmentation.seg.nrrd")
    write_segmentation([replace(each, mask=Volume(each.mask.array, affine)) for each in segments], case / "b.seg.nrrd")
    return case


def test_measures_never_mix_with_the_result_of_another_ct(another_case):
    before = {path.name: path.read_bytes() for path in (another_case / "result").iterdir()}
    with pytest.raises(UnusableInput, match="contains the result of another CT; choose another output folder"):
        measure(another_case, segmentation="b.seg.nrrd")
    assert {path.name: path.read_bytes() for path in (another_case / "result").iterdir()} == before


def test_where_another_cts_result_is_replaced_nothing_of_it_stays(another_case):
    measure(another_case, "--overwrite", segmentation="b.seg.nrrd")
    assert names(another_case / "result") == {"lesions.csv", "summary.json"}
    assert "model" not in summary_in(another_case / "result")
    assert lesions_in(another_case / "result")[0]["confidence"] == ""


@pytest.fixture
def another_patient(case) -> Path:
    """The CT of another patient on the very grid of the first one's result."""
    result = a_sure_result()
    write_volume(result.ct.with_array(np.flip(result.ct.array, 1)), case / "ct.nrrd")
    return case


def test_the_ct_of_another_patient_on_an_equal_grid_is_recognized(another_patient):
    before = {path.name: path.read_bytes() for path in (another_patient / "result").iterdir()}
    with pytest.raises(UnusableInput, match="contains the result of another CT; choose another output folder"):
        measure(another_patient)
    assert {path.name: path.read_bytes() for path in (another_patient / "result").iterdir()} == before


def test_confidence_values_are_not_carried_over_from_another_patient(another_patient):
    recorded = another_patient / "result" / "summary.json"
    with pytest.raises(UnusableInput, match=r"summary\.json describes a run on another CT; give the CT of that run"):
        measure(another_patient, "--run-summary", recorded, output="elsewhere")
    assert not (another_patient / "elsewhere").exists()


@pytest.mark.parametrize("place", ["result/segmentation.seg.nrrd", "result"])
def test_a_ct_from_which_the_measured_result_was_not_made_is_doubted(another_patient, place):
    said = measure(another_patient, segmentation=place, output="elsewhere")
    assert OTHER_CT in summary_in(another_patient / "elsewhere")["warnings"]
    assert f"Warning: {OTHER_CT}" in said


@pytest.mark.parametrize("name", ["corrected.seg.nrrd", "corrected.nii.gz"])
def test_a_ct_is_doubted_with_a_correction_of_another_name_beside_the_result(another_patient, name):
    (lesion,) = [each for each in read_segmentation(another_patient / "result") if "Tumor" in each.name]
    if name.endswith(".seg.nrrd"):
        write_segmentation([lesion], another_patient / "result" / name)
    else:
        write_volume(lesion.mask.with_array(lesion.mask.array.astype(np.uint8)), another_patient / "result" / name)
    measure(another_patient, segmentation=f"result/{name}", output="elsewhere")
    assert OTHER_CT_THAN_BESIDE in summary_in(another_patient / "elsewhere")["warnings"]


def test_a_segmentation_of_another_grid_in_a_result_folder_says_nothing_of_its_ct(another_patient):
    ct = read_ct(another_patient / "ct.nrrd")
    moved = np.diag([1.0, 1.0, 1.0, 1.0])
    moved[:3, 3] = 0.4
    other = Volume(np.asarray(ct.array), ct.affine @ moved)
    write_volume(other, another_patient / "other.nrrd")
    mask = np.zeros(other.shape, np.uint8)
    mask[5:8, 5:9, 5:9] = 1
    write_volume(other.with_array(mask), another_patient / "result" / "other.nii.gz")
    run_command(
        "measure", another_patient / "other.nrrd", another_patient / "result" / "other.nii.gz",
        "-o", another_patient / "elsewhere",
    )  # fmt: skip
    assert OTHER_CT_THAN_BESIDE not in summary_in(another_patient / "elsewhere")["warnings"]


@pytest.mark.parametrize("summary", [None, "notes of another program"])
def test_a_segmentation_without_the_summary_of_a_run_says_nothing_of_its_ct(another_patient, summary):
    (another_patient / "alone").mkdir()
    shutil.copy(another_patient / "result" / "segmentation.seg.nrrd", another_patient / "alone")
    if summary:
        (another_patient / "alone" / "summary.json").write_text(summary)
    measure(another_patient, segmentation="alone/segmentation.seg.nrrd", output="elsewhere")
    assert OTHER_CT not in summary_in(another_patient / "elsewhere")["warnings"]


def test_a_summary_of_a_version_that_did_not_record_the_ct_is_still_accepted(case):
    recorded = summary_in(case / "result")
    del recorded["ct_sha256"]
    (case / "old.json").write_text(json.dumps(recorded))
    measure(case, "--run-summary", case / "old.json", output="elsewhere")
    assert OTHER_CT not in summary_in(case / "elsewhere")["warnings"]
    assert summary_in(case / "elsewhere")["ct_sha256"] == summary_in(case / "result")["ct_sha256"]


def with_lesion(values: object) -> str:
    return json.dumps({"lesions": [values]})


@pytest.mark.parametrize(
    "text",
    [
        *map(
            with_lesion,
            [None, 3, [], {"confidence": "high"}, {"confidence": True}, {"segment": ["x"]}],
        ),
        *map(with_lesion, [{"volume_ml": [1]}, {"volume_p5_ml": {}}, {"centroid_x_lps_mm": "left"}]),
        '{"lesions": [{"segment": "Tumor 1", "confidence": 1e999}]}',
        '{"lesions": [], "model": ["x"]}',
        '{"lesions": [], "warnings": "none"}',
        '{"lesions": [], "lungs": "both"}',
        "[" * 100_000,
    ],
)
def test_a_summary_of_the_wrong_shape_is_refused_in_one_sentence(case, text):
    (case / "wrong.json").write_text(text)
    with pytest.raises(UnusableInput, match=r"wrong\.json is not the summary of a run") as refused:
        measure(case, "--run-summary", case / "wrong.json", output="elsewhere")
    assert len(str(refused.value)) < 400
    assert not (case / "elsewhere").exists()


@pytest.mark.parametrize(("name", "message"), [("none.json", "does not exist; check the path"), ("ct", "is a folder")])
def test_a_summary_that_is_no_file_is_named_as_such(case, name, message):
    (case / "ct").mkdir()
    with pytest.raises(UnusableInput, match=message):
        measure(case, "--run-summary", case / name, output="elsewhere")


def test_a_damaged_summary_of_the_folder_itself_can_be_removed(case):
    (case / "result" / "summary.json").write_text("{")
    with pytest.raises(
        UnusableInput, match=r"summary\.json is not the summary of a run .*; restore the file, or remove"
    ):
        measure(case, "--overwrite")
    (case / "result" / "summary.json").unlink()
    measure(case, "--overwrite")
    assert summary_in(case / "result")["lesions"]


# Outputs and inputs


def test_the_current_folder_is_named_in_full_where_the_result_is(case, monkeypatch):
    (case / "here").mkdir()
    monkeypatch.chdir(case / "here")
    said = run_command("measure", case / "ct.nrrd", case / "result", "-o", ".", "--no-report")
    assert f"Results written to {(case / 'here').resolve()}. " in said


@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("probability.nrrd", ("segment", "{}", "-o", "{}/..")),
        ("isolated.nrrd", ("isolate", "{}", "-o", "{}/..")),
        ("margins.seg.nrrd", ("measure", "{}/../ct.nrrd", "{}", "-o", "{}/..", "--margins", "5")),
        ("table.csv", ("evaluate", "{}", "{}/../ct.nrrd", "--cases", "{}")),
        ("table-froc.svg", ("evaluate", "{}/../ct.nrrd", "{}", "--cases", "{}/../table.csv")),
    ],
)
def test_no_command_replaces_its_input(tmp_path, name, arguments, overwrite):
    folder = tmp_path / "data"
    folder.mkdir()
    write_volume(a_result().ct, folder / "ct.nrrd")
    (folder / name).write_bytes((folder / "ct.nrrd").read_bytes())
    places = [argument.replace("{}/..", str(folder)).replace("{}", str(folder / name)) for argument in arguments]
    with pytest.raises(UnusableInput, match="is an input of this run"):
        run_command(*places, *overwrite)
    assert names(folder) == {"ct.nrrd", name}
    assert (folder / name).read_bytes() == (folder / "ct.nrrd").read_bytes()


COMMANDS = {
    "segment": (("segment", "{ct}", "-o", "{out}"), "spread.png"),
    "isolate": (("isolate", "{ct}", "-o", "{out}"), "isolation.json"),
    "measure": (("measure", "{ct}", "{segmentation}", "-o", "{out}"), "lesions.csv"),
    "phantom": (("phantom", "-o", "{out}"), "ct.nii.gz"),
    "demo": (("demo", "-o", "{out}"), "phantom/lungs.nii.gz"),
    "evaluate": (("evaluate", "{segmentation}", "{segmentation}", "--cases", "{out}/table.csv"), "table.csv"),
}


@pytest.mark.parametrize("in_the_way", ["a file", "a folder"])
@pytest.mark.parametrize(("arguments", "name"), COMMANDS.values(), ids=COMMANDS)
def test_every_command_refuses_what_is_in_the_way_before_it_reads_anything(
    case, monkeypatch, arguments, name, in_the_way
):
    def no_work(*_, **__):
        pytest.fail("The work has begun.")

    for place in ("io.images.read_ct", "phantom.make_phantom", "evaluation.data_sets.evaluate_case"):
        monkeypatch.setattr(f"LungTumorSegLib.{place}", no_work)
    own = case / "out" / name
    own.parent.mkdir(parents=True)
    own.mkdir() if in_the_way == "a folder" else own.write_text("the user's")
    places = {"ct": case / "ct.nrrd", "segmentation": case / "result" / "segmentation.seg.nrrd", "out": case / "out"}
    with pytest.raises(UnusableInput, match=own.name):
        run_command(*(argument.format(**places) for argument in arguments))
    assert own.is_dir() or own.read_text() == "the user's"
    assert names(case / "out") == {name.partition("/")[0]}


def test_a_table_is_replaced_by_the_next_evaluation_unless_it_was_edited(case):
    evaluate = ("evaluate", *[case / "result" / "segmentation.seg.nrrd"] * 2, "--cases", case / "table.csv")
    for _ in range(2):
        run_command(*evaluate)
    (case / "table.csv").write_text("edited")
    with pytest.raises(UnusableInput, match=r"table\.csv"):
        run_command(*evaluate)
    run_command(*evaluate, "--overwrite")
    assert "dice_3d" in (case / "table.csv").read_text()


def test_a_table_never_takes_the_place_of_a_result(case):
    segmentation = case / "result" / "segmentation.seg.nrrd"
    with pytest.raises(UnusableInput, match=r"lesions\.csv"):
        run_command("evaluate", segmentation, segmentation, "--cases", case / "result" / "lesions.csv")


def test_isolation_and_result_share_a_folder(case, monkeypatch):
    monkeypatch.setattr("LungTumorSegLib.isolation.isolate_lungs", lambda ct, _: an_isolation_of(ct))
    before = names(case / "result")
    for _ in range(2):
        run_command("isolate", case / "ct.nrrd", "-o", case / "result")
    assert names(case / "result") == before | {"isolation.seg.nrrd", "isolated.nrrd", "isolation.json"}
    record = json.loads((case / "result" / "isolation.json").read_text(encoding="utf-8"))
    assert record["software_version"] == __version__
    write_result(a_sure_result(), case / "result", picture=False)
    assert "isolation.json" in names(case / "result")
    assert (case / "result" / MARK_FILE).is_file()


def an_isolation_of(ct):
    from chests import make_chest

    return an_isolation(make_chest(ct.shape))
