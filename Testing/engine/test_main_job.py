"""The main job as its user runs it: one command, then what lies in the folder."""

import io
import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run_command
from dicom_series import write_dicom_series
from LungTumorSegLib import cli
from LungTumorSegLib.evaluation.overlap import dice as overlap
from LungTumorSegLib.followup.examination import read_examination
from LungTumorSegLib.io.images import read_volume
from LungTumorSegLib.io.segmentations import read_segmentation
from LungTumorSegLib.networks.stored import load_model
from LungTumorSegLib.process.channel import TerminalChannel
from LungTumorSegLib.refinement.borders import SHIFT_MM
from LungTumorSegLib.refinement.second_look import SECOND_SHARE
from result_files import lesions_in, names
from scipy import ndimage

README = Path(__file__).resolve().parents[2] / "README.md"
COMMAND = [sys.executable, "-m", "LungTumorSegLib"]
CSV_COLUMNS = "number,segment,side,volume_ml,long_axis_mm,short_axis_mm,mean_hu,centroid_x_lps_mm,centroid_y_lps_mm,centroid_z_lps_mm,confidence"  # noqa: E501
SUMMARY_KEYS = {
    "schema_version",
    "model",
    "weights_sha256",
    "options",
    "device",
    "precision",
    "backend",
    "warnings",
    "lungs",
    "lesions",
    "seconds",
}


def command(*arguments, **options):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=600, **options)


def tumor_mask(folder: Path) -> np.ndarray:
    """All lesions of a result on its CT's grid."""
    segments = read_segmentation(folder / "segmentation.seg.nrrd")
    return np.logical_or.reduce([segment.mask.array for segment in segments if segment.name.startswith("Tumor")])


def test_all_promised_files_are_there_and_nothing_else(a_run):
    assert names(a_run.output) == {
        "segmentation.seg.nrrd",
        "lesions.csv",
        "summary.json",
        "probability.nrrd",
        "disagreement.nrrd",
        "spread.png",
        "report.html",
    }


def test_both_lesions_are_found_on_their_sides(a_run):
    rows = lesions_in(a_run.output)
    assert (a_run.output / "lesions.csv").read_text().startswith(CSV_COLUMNS)
    for lesion, side in zip(a_run.phantom.lesions, ("Left", "Right"), strict=True):

        def distance(row, center=lesion.center_lps_mm):
            return np.linalg.norm(
                [float(row[f"centroid_{axis}_lps_mm"]) - c for axis, c in zip("xyz", center, strict=True)]
            )

        nearest = min(rows, key=distance)
        assert distance(nearest) < lesion.diameter_mm / 3
        assert nearest["side"] == side
        assert 0.5 < float(nearest["volume_ml"]) / lesion.volume_ml < 1.6  # the right lesion, roughly outlined


def test_rows_are_numbered_by_falling_volume(a_run):
    rows = lesions_in(a_run.output)
    volumes = [float(row["volume_ml"]) for row in rows]
    assert volumes == sorted(volumes, reverse=True)
    assert [row["segment"] for row in rows] == [f"Tumor {n}" for n in range(1, len(rows) + 1)]


def test_the_segmentation_lies_on_the_cts_grid_and_its_parts_do_not_overlap(a_run):
    segments = read_segmentation(a_run.output / "segmentation.seg.nrrd")
    assert [segment.name for segment in segments] == [
        "Left lung",
        "Right lung",
        *(row["segment"] for row in lesions_in(a_run.output)),
    ]
    taken = np.zeros(a_run.phantom.ct.shape, int)
    for segment in segments:
        assert segment.mask.same_grid(
            a_run.phantom.ct, tolerance_mm=1e-3
        )  # the CT came through NIfTI's single precision
        taken += segment.mask.array
    assert taken.max() == 1


def test_table_segmentation_and_maps_tell_one_story(a_run):
    segments = {segment.name: segment for segment in read_segmentation(a_run.output / "segmentation.seg.nrrd")}
    probability, disagreement = (read_volume(a_run.output / f"{name}.nrrd") for name in ("probability", "disagreement"))
    assert probability.same_grid(a_run.phantom.ct, tolerance_mm=1e-3)
    assert 0 <= probability.array.min() <= probability.array.max() <= 1
    assert 0 < disagreement.array.max() <= 0.5  # the largest standard deviation of values from 0 to 1
    for row in lesions_in(a_run.output):
        mask = segments[row["segment"]].mask
        assert float(row["volume_ml"]) == pytest.approx(mask.array.sum() * mask.voxel_volume_ml, rel=1e-5)
        least = (load_model().manifest.thresholds.voxel - SECOND_SHARE) / (1 - SECOND_SHARE)
        below = probability.array <= least  # at most the second network's whole share is missing
        away_mm = ndimage.distance_transform_edt(below, sampling=probability.spacing)
        assert away_mm[mask.array].max() <= SHIFT_MM + min(probability.spacing) / 2, "the border moves a little"
        side = {"Left": "Left", "Right": "Right"}[row["side"]]
        assert side in segments[row["segment"]].terminology


def test_the_summary_explains_the_run(a_run):
    summary = json.loads((a_run.output / "summary.json").read_text(encoding="utf-8"))
    assert summary.keys() >= SUMMARY_KEYS
    manifest = load_model().manifest
    assert (summary["model"], summary["weights_sha256"]) == (manifest.id, manifest.weights_sha256)
    assert (summary["options"]["stride"], summary["options"]["mirror"]) == (8, False)  # as the fixture asked
    assert summary["options"]["min_confidence"] == manifest.min_confidence
    assert [lesion["volume_ml"] for lesion in summary["lesions"]] == [
        float(row["volume_ml"]) for row in lesions_in(a_run.output)
    ]
    assert str(a_run.ct.parent) not in json.dumps(summary)


def test_measuring_the_result_again_gives_the_same_numbers(a_run, tmp_path):
    given = a_run.ct, a_run.output / "segmentation.seg.nrrd"
    run_command("measure", *given, "-o", tmp_path / "measured", "--no-report")
    for first, second in zip(lesions_in(a_run.output), lesions_in(tmp_path / "measured"), strict=True):
        for name in CSV_COLUMNS.split(",")[:-1]:  # without maps there is no confidence
            assert second[name] == first[name]


def test_candidates_below_the_confidence_threshold_are_warned_of(a_bright_run, a_bright_model, tmp_path):
    run = ("segment", a_bright_run.ct, "-o", tmp_path / "out", "--no-picture", "--no-report", "--model", a_bright_model)
    said = run_command(*run, "--min-confidence", "1")
    assert lesions_in(tmp_path / "out") == []

    def warnings_of(folder):
        warnings = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["warnings"]
        return [warning for warning in warnings if "confidence" in warning]

    (warning,) = warnings_of(tmp_path / "out")
    largest = float(lesions_in(a_bright_run.output)[0]["volume_ml"])
    assert f"{largest:.1f} mL" in warning
    assert f"Warning: {warning}" in said
    assert warnings_of(a_bright_run.output) == []


def test_a_dicom_series_of_the_same_ct_gives_the_same_lesions(
    a_bright_run, a_bright_model, tmp_path, run_here, monkeypatch
):
    write_dicom_series(a_bright_run.phantom.ct, tmp_path / "series")
    said = io.StringIO()
    monkeypatch.setattr(cli, "set_stdout_aside", lambda: said)
    choices = ("--no-picture", "--no-report", "--model", a_bright_model, "--events", "jsonl")
    code, errors = run_here("segment", tmp_path / "series", "-o", tmp_path / "out", *choices)
    assert code == 0, errors
    events = [json.loads(line) for line in said.getvalue().splitlines()]
    assert events[-1]["event"] == "result"
    stages = [event["stage"] for event in events[:-1]]
    assert list(dict.fromkeys(stages)) == ["reading", "model", "isolation", "predicting", "measuring", "writing"]
    assert not (tmp_path / "out" / "spread.png").exists()
    dice = overlap(tumor_mask(a_bright_run.output), tumor_mask(tmp_path / "out"))
    assert dice > 0.999  # positions are rounded in decimal strings; thin bridges between components may differ


def test_the_python_lines_of_the_readme_run(a_bright_run, a_bright_model, tmp_path, monkeypatch, capsys):
    text = README.read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len([line for line in lines.splitlines() if line.strip()]) <= 6
    (tmp_path / "phantom").mkdir()
    shutil.copy(a_bright_run.ct, tmp_path / "phantom" / "ct.nii.gz")
    monkeypatch.chdir(tmp_path)
    exec(  # noqa: S102
        compile(
            lines.replace("min_confidence=", f"model={str(a_bright_model)!r}, min_confidence="), "README.md", "exec"
        ),
        {},
    )
    assert "mL" in capsys.readouterr().out
    assert (tmp_path / "result" / "segmentation.seg.nrrd").is_file()


def test_cancelled_in_the_middle_nothing_is_left(a_bright_run, a_bright_model, tmp_path):
    with subprocess.Popen(
        [
            *COMMAND,
            "segment",
            str(a_bright_run.ct),
            "-o",
            str(tmp_path / "out"),
            "--model",
            str(a_bright_model),
            "--events",
            "jsonl",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        for line in child.stdout:
            event = json.loads(line)
            if event.get("stage") == "predicting" and event["done"] == 200:
                child.stdin.write("cancel\n")
                child.stdin.flush()
        last = child.stderr.read().splitlines()[-1]
    assert child.returncode == 130
    assert (event["event"], event["code"]) == ("error", 130)
    assert last == event["message"]
    assert list(tmp_path.iterdir()) == []


REFUSED = [
    (["segment", "{missing}", "-o", "{out}"], 2, "does not exist"),
    (["segment", "{ct}", "-o", "{out}", "--model", "nonsense"], 2, "no model 'nonsense'"),
    (["segment", "{ct}", "-o", "{out}", "--stride", "9"], 2, "from 1 to 8"),
    (["segment", "{ct}", "-o", "{out}", "--thresholds", "0.3", "0.5"], 2, "thresholds"),
    (["segment", "{ct}", "-o", "{out}", "--min-lesion-ml", "-1"], 2, "smallest lesion volume"),
    (["segment", "{ct}", "-o", "{out}", "--min-confidence", "1.5"], 2, "confidence threshold"),
    (["segment", "{ct}", "-o", "{out}", "--device", "tpu"], 2, "invalid choice"),
    (["segment", "{ct}", "-o", "{out}", "--point", "0", "0", "0", "--stride", "2"], 2, "uses --stride, and a point"),
    (["segment", "{ct}", "-o", "{out}", "--box", *"012345", "--no-verify", "--backend", "auto"], 2, "--backend"),
    (["segment", "{ct}", "-o", "{file}/out"], 2, "cannot be written"),
    (["isolate", "{lesions}", "-o", "{out}"], 2, "CT"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSED)
def test_what_cannot_be_used_is_refused_in_one_sentence_and_nothing_is_written(
    a_bright_run, tmp_path, run_here, arguments, code, message
):
    folder = a_bright_run.ct.parent
    (tmp_path / "file").write_text("not a folder")
    places = {
        "ct": folder / "ct.nii.gz",
        "lesions": folder / "tumor.nii.gz",
        "missing": tmp_path / "none.nii.gz",
        "out": tmp_path / "out",
        "file": tmp_path / "file",
    }
    returned, errors = run_here(*(argument.format(**places) for argument in arguments))
    assert returned == code, errors
    assert message in errors[-1]
    assert not any("Traceback" in line for line in errors)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("openvino") is None, reason="needs the package openvino")
def test_openvino_gives_the_masks_and_the_probability_of_torch(a_bright_run, a_bright_model, tmp_path):
    choices = ("--model", a_bright_model, "--no-picture", "--precision", "float32")
    mine, theirs = tmp_path / "openvino", tmp_path / "torch"
    for folder in (mine, theirs):
        done = command("segment", a_bright_run.ct, "-o", folder, *choices, "--backend", folder.name)
        assert done.returncode == 0, done.stderr
        assert json.loads((folder / "summary.json").read_text(encoding="utf-8"))["backend"] == folder.name
    assert tumor_mask(theirs).any()
    np.testing.assert_array_equal(tumor_mask(mine), tumor_mask(theirs))
    here, there = (read_volume(folder / "probability.nrrd").array for folder in (mine, theirs))
    stored = (here > 0) & (there > 0)  # traces are written as 0
    np.testing.assert_allclose(here[stored], there[stored], atol=1e-3)


def test_measure_and_compare_tell_that_they_look_for_the_lungs(a_bright_run, tmp_path, monkeypatch):
    ct, lesions = a_bright_run.ct, a_bright_run.ct.with_name("tumor.nii.gz")
    stages = []
    monkeypatch.setattr(TerminalChannel, "progress", lambda self, step: stages.append(step.stage))
    run_command("measure", ct, lesions, "-o", tmp_path / "out", "--no-report")
    assert list(dict.fromkeys(stages)) == ["packages", "reading", "isolation", "measuring", "writing"]
    stages.clear()
    read_examination(lesions, ct, on_progress=lambda step: stages.append(step.stage))
    assert set(stages) == {"isolation"}


def test_a_missing_gpu_is_said_and_has_its_own_code(a_bright_run, tmp_path, run_here):
    if torch.cuda.is_available():
        pytest.skip("This machine has a CUDA device.")
    code, errors = run_here("segment", a_bright_run.ct, "-o", tmp_path / "out", "--device", "cuda")
    assert code == 3
    assert "no CUDA device" in errors[-1]
    assert not (tmp_path / "out").exists()


WITHOUT_TORCH_AND_SLICER = """
import sys
sys.modules.update(slicer=None, qt=None, ctk=None, torch=None)
from LungTumorSegLib.cli import main
ct, isolated, segmented = sys.argv[1:]
sys.exit([main(["isolate", ct, "-o", isolated]), main(["segment", ct, "-o", segmented])] != [0, 3])
"""


def test_isolate_needs_neither_torch_nor_slicer_and_segment_names_the_missing_package(a_bright_run, tmp_path):
    isolated, segmented = tmp_path / "isolated", tmp_path / "segmented"
    arguments = [str(a_bright_run.ct), str(isolated), str(segmented)]
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH_AND_SLICER, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "torch" in done.stderr.splitlines()[-1]
    assert not segmented.exists()
    assert names(isolated) == {"isolation.seg.nrrd", "isolated.nrrd", "isolation.json"}
    segments = read_segmentation(isolated / "isolation.seg.nrrd")
    assert [segment.name for segment in segments] == ["Body", "Left lung", "Right lung", "Isolation mask"]
    points = json.loads((isolated / "isolation.json").read_text())["spine_axis_lps"]
    assert len(points) == a_bright_run.phantom.ct.shape[0]


def test_models_lists_the_shipped_one():
    done = command("models")
    assert done.returncode == 0
    assert done.stdout.startswith("default: ")
