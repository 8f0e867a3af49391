"""The lesion table."""

import csv
import json

import pytest
from chests import block, make_chest
from LungTumorSegLib.core.errors import MachineLimit
from LungTumorSegLib.lesions import lesions_as_json, report_lesions, write_lesions_csv

CONTRACT = "number,segment,side,volume_ml,long_axis_mm,short_axis_mm,mean_hu,centroid_x_lps_mm,centroid_y_lps_mm,centroid_z_lps_mm,confidence"  # noqa: E501


def a_report():
    chest = make_chest().with_tumor(block((30, 40, 60), (10, 10, 40), (14, 15, 46)))
    return report_lesions(chest.tumor, chest.ct, chest.left_lung, chest.right_lung, min_lesion_ml=0.0)


def test_the_table_begins_with_the_columns_of_the_contract(tmp_path):
    write_lesions_csv(a_report(), tmp_path / "lesions.csv")
    assert (tmp_path / "lesions.csv").read_bytes().startswith(CONTRACT.encode())


def test_the_table_says_what_the_report_says(tmp_path):
    report = a_report()
    write_lesions_csv(report, tmp_path / "lesions.csv")
    with open(tmp_path / "lesions.csv", encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    (lesion,) = report.lesions
    assert (row["number"], row["segment"], row["side"], row["confidence"]) == ("1", "Tumor 1", "Left", "")
    assert float(row["volume_ml"]) == pytest.approx(lesion.volume_ml, rel=1e-6)
    assert float(row["centroid_z_lps_mm"]) == pytest.approx(lesion.centroid_lps[2], rel=1e-6)


def test_the_table_says_on_which_side_a_lesion_lies_as_seen_from_the_largest_one(tmp_path):
    lesions = block((30, 40, 60), (10, 10, 40), (14, 15, 46)) | block((30, 40, 60), (12, 20, 10), (14, 24, 13))
    chest = make_chest().with_tumor(lesions)
    report = report_lesions(chest.tumor, chest.ct, chest.left_lung, chest.right_lung, min_lesion_ml=0.0)
    write_lesions_csv(report, tmp_path / "lesions.csv")
    with open(tmp_path / "lesions.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["side"], row["side_from_dominant"]) for row in rows] == [
        ("Left", "same side"),
        ("Right", "other side"),
    ]
    assert list(rows[0])[-1] == "side_from_dominant"  # appended: others rely on the columns' places
    assert [lesion["side_from_dominant"] for lesion in lesions_as_json(report)] == ["same side", "other side"]


def test_a_report_without_lesions_is_a_header(tmp_path):
    chest = make_chest()
    report = report_lesions(chest.tumor, chest.ct, chest.left_lung, chest.right_lung, min_lesion_ml=0.0)
    write_lesions_csv(report, tmp_path / "lesions.csv")
    assert len((tmp_path / "lesions.csv").read_text(encoding="utf-8").splitlines()) == 1
    assert lesions_as_json(report) == []


def test_json_holds_the_table_and_the_rulers():
    report = a_report()
    (data,) = json.loads(json.dumps(lesions_as_json(report), allow_nan=False))
    assert list(data)[: CONTRACT.count(",") + 1] == CONTRACT.split(",")
    assert data["confidence"] is None
    assert data["long_axis_lps_mm"][0] == pytest.approx(report.lesions[0].long_axis.start_lps, rel=1e-6)


def test_a_table_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "lesions.csv").mkdir()
    with pytest.raises(MachineLimit, match="could not be written"):
        write_lesions_csv(a_report(), tmp_path / "lesions.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["lesions.csv"]
