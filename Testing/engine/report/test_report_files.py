"""Report, margins and JSON of a run: written together, one story."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from importlib.resources import files
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from chests import block, make_chest
from commands import run_command
from jsonschema import Draft202012Validator, validate
from LungTumorSegLib.core.colors import lesion_color, lightened
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.selection import is_lesion
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.io.seg_nrrd import write_segmentation
from LungTumorSegLib.io.segmentations import read_segmentation
from LungTumorSegLib.lesions import measure, with_known
from LungTumorSegLib.lesions.columns import COLUMN
from LungTumorSegLib.report import html as report_module
from LungTumorSegLib.report.sections import css
from LungTumorSegLib.results.contents import Extras
from LungTumorSegLib.results.lesion_rows import CORRECTION_COLUMNS
from LungTumorSegLib.results.reader import read_summary
from LungTumorSegLib.results.result_segments import lung_and_tumor_segments
from LungTumorSegLib.results.writer import write_measures, write_result
from made_results import SHAPE, a_result
from result_files import names, summary_in
from tools import tool

SCHEMA = json.loads((files("LungTumorSegLib.results") / "summary.schema.json").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch):
    """3D views are tested with rendering."""
    monkeypatch.setattr(
        report_module, "spread_pictures", lambda left, right, labels, views, size, **_: [b"a picture"] * len(views)
    )


@pytest.fixture(params=["segment", "measure"])
def folder(request, tmp_path):
    """What either command writes of the same lesion, with report and margins."""
    result = a_result()
    extras = Extras(report=True, patient="Doe, J.", margins_mm=(8.0, 5.0))
    if request.param == "segment":
        write_result(result, tmp_path, picture=False, extras=extras)
    else:
        lungs = result.isolation.left_lung, result.isolation.right_lung
        write_measures(result.ct, result.report, tmp_path, lungs=lungs, extras=extras)
    return tmp_path


def test_table_summary_and_report_have_the_same_numbers(folder):
    with (folder / "lesions.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    (lesion,) = summary_in(folder)["lesions"]
    html = (folder / "report.html").read_text(encoding="utf-8")
    shown = dict(re.findall(r"<tr><td>([a-z0-9_]+)</td><td>([^<]*)</td></tr>", html))
    assert list(row) == list(shown) == list(COLUMN)
    assert row == shown
    assert row == {name: "" if lesion[name] is None else str(lesion[name]) for name in row}
    table = re.search(r"<td><span[^>]*></span>Tumor 1</td>(.*?)</tr>", html)[1]
    assert re.findall(r"<td>([^<]*)</td>", table)[2] == f"{lesion['volume_ml']:.2f}"


def test_files_of_lesions_without_number_1_name_and_color_them_by_their_segments(tmp_path):
    chest = make_chest(SHAPE)
    large, small = block(SHAPE, (10, 15, 35), (16, 22, 44)), block(SHAPE, (10, 15, 8), (13, 18, 11))
    chest = chest.with_tumor(large | small)
    segments = [
        SimpleNamespace(name=name, terminology="", mask=chest.tumor.with_array(mask))
        for name, mask in (("Tumor 2", small), ("Tumor 4", large))
    ]
    lungs = chest.left_lung, chest.right_lung
    report = measure(chest.ct, segments, lungs=lungs)
    extras = Extras(report=True, margins_mm=(5.0,))
    write_measures(chest.ct, report, tmp_path, lungs=lungs, extras=extras)
    summary = summary_in(tmp_path)
    assert [(row["number"], row["segment"]) for row in summary["lesions"]] == [(4, "Tumor 4"), (2, "Tumor 2")]
    assert [(row["number"], row["segment"]) for row in summary["margins"]] == [
        (2, "Tumor 2 margin 5 mm"),
        (4, "Tumor 4 margin 5 mm"),
    ]
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    for number in (2, 4):
        square = f'<span class="mark" style="background:{css(lesion_color(number))}"></span>Tumor {number}'
        assert square in html
    colors = {segment.name: segment.color for segment in read_segmentation(tmp_path / "margins.seg.nrrd")}
    assert colors["Tumor 4 margin 5 mm"] == pytest.approx(lightened(lesion_color(4), 0.1), abs=0.01)


def test_the_summary_keeps_to_its_schema(folder):
    validate(summary_in(folder), SCHEMA)


def test_the_schema_is_valid_and_the_one_that_the_types_give():
    Draft202012Validator.check_schema(SCHEMA)
    schemas = tool("write_result_schemas")
    assert json.loads(schemas.text(schemas.SUMMARY)) == SCHEMA, "run: python Testing/tools/write_result_schemas.py"


def test_the_schema_knows_every_column_and_has_a_version():
    lesion = SCHEMA["properties"]["lesions"]["items"]
    assert set(lesion["required"]) == {*COLUMN, "long_axis_lps_mm", "short_axis_lps_mm"}
    assert set(lesion["properties"]) == {*lesion["required"], *CORRECTION_COLUMNS}
    assert SCHEMA["properties"]["schema_version"] == {"const": 1}


def test_a_summary_that_breaks_the_schema_is_noticed(folder):
    summary = summary_in(folder)
    summary["lesions"][0]["volume_ml"] = "large"
    del summary["spread"]["count"]
    found = [error.message for error in Draft202012Validator(SCHEMA).iter_errors(summary)]
    assert sorted(found) == ["'count' is a required property", "'large' is not of type 'number'"]


def test_the_summary_without_lesions_or_lungs_keeps_to_its_schema(tmp_path):
    result = a_result(tumor=False)
    write_measures(result.ct, result.report, tmp_path)
    validate(summary_in(tmp_path), SCHEMA)
    assert names(tmp_path) == {"lesions.csv", "summary.json"}


def test_margins_lie_in_layers_of_their_own_file_and_in_the_summary(folder):
    segments = read_segmentation(folder / "margins.seg.nrrd")
    assert [segment.name for segment in segments] == ["Tumor 1 margin 5 mm", "Tumor 1 margin 8 mm"]
    assert not any(is_lesion(segment) for segment in segments)
    inner, outer = (segment.mask for segment in segments)
    assert inner.shape == SHAPE
    assert not (inner.array & ~outer.array).any()
    assert not (outer.array & (a_result().report.labels.array > 0)).any()
    for segment, margin in zip(segments, summary_in(folder)["margins"], strict=True):
        assert margin["segment"] == segment.name
        assert margin["volume_ml"] == pytest.approx(
            np.count_nonzero(segment.mask.array) * segment.mask.voxel_volume_ml, rel=1e-6
        )


def test_the_patient_stands_in_the_report_and_nowhere_else(folder):
    for path in folder.iterdir():
        assert (b"Doe" in path.read_bytes()) == (path.name == "report.html")


def test_a_second_run_without_them_leaves_no_old_report_and_margins(tmp_path):
    write_result(a_result(), tmp_path, picture=False, extras=Extras(report=True, margins_mm=(5.0,)))
    write_result(a_result(), tmp_path, picture=False)
    assert not {"report.html", "margins.seg.nrrd"} & {path.name for path in tmp_path.iterdir()}


def test_the_report_says_with_which_numbers_the_network_was_used(tmp_path):
    result = a_result()
    numbers = {"stride": 2, "mirror": True, "min_lesion_ml": 0.05, "min_confidence": 0.5}
    write_result(
        replace(result, settings=replace(result.settings, **numbers)),
        tmp_path,
        picture=False,
        extras=Extras(report=True),
    )
    said = (
        "made (slice threshold 0.7, voxel threshold 0.5, stride 2, test-time augmentation (mirroring); lesions of at "
        "least 0.05 mL"
    )
    assert f"Model: {said} and a confidence of at least 0.5)" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "mirrored" not in result.settings.in_words


def test_measures_of_a_runs_segmentation_keep_what_the_run_knew_of_its_lesions(tmp_path):
    result = a_result()
    lesion = result.report.lesions[0]
    row = {
        "segment": lesion.segment,
        "volume_ml": lesion.volume_ml,
        "volume_p5_ml": 0.1,
        "volume_p95_ml": 0.9,
        "confidence": 0.75,
    }
    same = with_known(result.report, [row]).lesions[0]
    assert (same.confidence, same.volume_range_ml) == (0.75, (0.1, 0.9))
    corrected = with_known(result.report, [row | {"volume_ml": 2 * lesion.volume_ml}]).lesions[0]
    assert (corrected.confidence, corrected.volume_range_ml) == (0.75, None)
    assert with_known(result.report, [row | {"segment": "another"}]).lesions == result.report.lesions


def test_a_renamed_segment_keeps_the_confidence_of_the_lesion_at_its_place():
    report = a_result().report
    lesion = report.lesions[0]

    def row(segment: str, moved_mm: float, confidence: float) -> dict[str, Any]:
        center = {f"centroid_{axis}_lps_mm": value for axis, value in zip("xyz", lesion.centroid_lps, strict=True)}
        center["centroid_z_lps_mm"] += moved_mm
        return {"segment": segment, "long_axis_mm": lesion.long_axis_mm, "confidence": confidence, **center}

    here, beside, far = row("a", 0.1, 0.8), row("b", 1.0, 0.6), row("c", lesion.long_axis_mm, 0.7)
    assert with_known(report, [beside, here, far]).lesions[0].confidence == 0.8
    assert with_known(report, [far]).lesions[0].confidence == lesion.confidence
    own_name = row(lesion.segment, 1.0, 0.5)
    assert with_known(report, [here, own_name]).lesions[0].confidence == 0.5


def test_what_is_no_summary_is_refused(tmp_path):
    (tmp_path / "a.json").write_text('{"lesions": 3}')
    for name in ("a.json", "none.json"):
        with pytest.raises(UnusableInput, match=f"{name} is not the summary of a run"):
            read_summary(tmp_path / name)


@pytest.mark.parametrize("distance_mm", [0.0, -3.0, 51.0, float("nan")])
def test_margins_of_no_use_are_refused(distance_mm):
    with pytest.raises(UnusableInput, match="Margins must be above 0"):
        Extras(margins_mm=(5.0, distance_mm))


@pytest.mark.parametrize(("options", "written"), [
    ((), {"report.html"}), (("--no-report",), set()), (("--margins", "5", "20", "--no-report"), {"margins.seg.nrrd"}),
])  # fmt: skip
def test_measure_writes_the_report_unless_told_otherwise(tmp_path, options, written):
    result = a_result()
    write_volume(result.ct, tmp_path / "ct.nrrd")
    write_segmentation(lung_and_tumor_segments(result.isolation, result.report), tmp_path / "lungs and tumor.seg.nrrd")
    places = [str(tmp_path / name) for name in ("ct.nrrd", "lungs and tumor.seg.nrrd", "out")]
    run_command("measure", *places[:2], "-o", places[2], *options)
    assert names(tmp_path / "out") == {"lesions.csv", "summary.json", *written}
