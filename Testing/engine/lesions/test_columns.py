"""Every entrance knows every column of the lesion table, in the same order."""

import csv
import json
from pathlib import Path

import pytest
from chests import block, make_chest
from LungTumorSegLib.cohort.output_tables import ITEM_COLUMNS, LESIONS_FILE, write_tables
from LungTumorSegLib.lesions import lesions_as_json, report_lesions, write_lesions_csv
from LungTumorSegLib.lesions.columns import COLUMN, COLUMNS, FIRST_COLUMNS
from LungTumorSegLib.results import summary_types
from LungTumorSegLib.results.lesion_rows import columns_of, rows_of, type_of, unit_of
from tools import tool


@pytest.fixture(scope="module")
def report():
    chest = make_chest().with_tumor(block((30, 40, 60), (10, 10, 40), (14, 15, 46)))
    return report_lesions(chest.tumor, chest.ct, chest.left_lung, chest.right_lung, min_lesion_ml=0.0)


def header(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file))


def test_csv_and_json_have_all_columns(report, tmp_path):
    write_lesions_csv(report, tmp_path / "lesions.csv")
    assert header(tmp_path / "lesions.csv") == list(COLUMN)
    (lesion,) = lesions_as_json(report)
    assert list(lesion)[: len(COLUMN)] == list(COLUMN)


def test_the_table_of_a_cohort_has_all_columns(tmp_path):
    write_tables([], tmp_path)
    assert header(tmp_path / LESIONS_FILE) == [*ITEM_COLUMNS, *COLUMN]


def test_the_schema_and_the_page_have_all_columns():
    schema = json.loads(Path(summary_types.__file__).with_name("summary.schema.json").read_text(encoding="utf-8"))
    assert list(schema["properties"]["lesions"]["items"]["properties"])[: len(COLUMN)] == list(COLUMN)
    page = tool("write_result_schemas").PAGE.read_text(encoding="utf-8")
    assert [name for name in COLUMN if f"| `{name}` |" not in page] == []


def test_the_scene_and_the_panel_have_all_columns():
    known = {name: 1 if column.type is int else 1.0 if column.type is float else "x" for name, column in COLUMN.items()}
    columns = columns_of([known])
    assert set(columns) == set(COLUMN)
    assert all(type(values[0]) is type_of(name, values) is COLUMN[name].type for name, values in columns.items())
    (row,) = rows_of(columns)
    assert dict(row.values) == known
    assert [column.heading for column in COLUMNS if column.heading] == [
        "Lesion", "Side", "Volume", "Long", "Short", "Mean", "Confidence",
    ]  # fmt: skip


def test_the_first_columns_exist_without_a_lesion():
    assert list(columns_of([])) == [column.name for column in FIRST_COLUMNS]


@pytest.mark.parametrize("column", COLUMNS, ids=COLUMN)
def test_a_name_ends_with_its_unit(column):
    endings = {"mL": "_ml", "mm": "_mm", "HU": "_hu", "cm2": "_cm2", "mm2": "_mm2"}
    assert column.name.endswith(endings.get(column.unit, ""))
    assert unit_of(column.name) == ("" if column.unit == "0 to 1" else column.unit)
    assert column.meaning


def test_the_panel_shows_an_unknown_value_as_a_question_mark():
    assert [COLUMN["side"].text(value) for value in (None, "", "Left")] == ["?", "?", "Left"]
    assert [COLUMN["long_axis_mm"].text(value) for value in (float("nan"), 12.34)] == ["?", "12.3"]
    assert (COLUMN["mean_hu"].text(-20.4), COLUMN["number"].text(3)) == ("-20", "3")
