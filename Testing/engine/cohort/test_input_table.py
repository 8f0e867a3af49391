"""The table of a cohort becomes its work list."""

from __future__ import annotations

import pytest
from LungTumorSegLib.cohort.input_table import read_table
from LungTumorSegLib.cohort.items import Item, with_unique_cases
from LungTumorSegLib.core.errors import UnusableInput


def written(folder, text, encoding="utf-8"):
    path = folder / "table.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("patient,date,path\nP1,2024-05-01,a/ct.nii\n\nP2,,/data/b.nii\n", "utf-8"),
        ("Path;Patient;Date;Comment\r\na/ct.nii;P1;2024-05-01;x\r\n/data/b.nii;P2\r\n", "utf-8-sig"),
        ('path\tdate\tpatient\n"a/ct.nii"\t2024-05-01\tP1\n/data/b.nii\t\tP2\n', "utf-8"),
    ],
    ids=["commas", "semicolons as spreadsheets write them", "tabs"],
)
def test_rows_become_items_whatever_the_dialect(tmp_path, text, encoding):
    first, second = read_table(written(tmp_path, text, encoding))
    assert (first.patient, first.date, first.path) == ("P1", "2024-05-01", tmp_path / "a" / "ct.nii")
    assert (first.case, second.case, second.path.as_posix()) == ("P1_2024-05-01", "P2", "/data/b.nii")


def test_a_row_without_a_path_keeps_its_place_with_the_reason(tmp_path):
    items = read_table(written(tmp_path, "patient,path\nP1,\nP2,b.nii\n"))
    assert [item.case for item in items] == ["P1", "P2"]
    assert items[0].problem.startswith("Row 2 of the table names no path")


def test_a_row_with_more_cells_than_columns_keeps_its_place_with_the_reason(tmp_path):
    items = read_table(written(tmp_path, "patient,path\nDoe, John,a.nii\nP2,b.nii,,\n"))
    assert [bool(item.problem) for item in items] == [True, False]
    assert items[0].problem.startswith("Row 2 of the table has more cells than its first line names columns")


@pytest.mark.parametrize("date", ["2026-99-99", "20260231", "2026/13/01"])
def test_a_date_that_does_not_exist_is_noted(tmp_path, date):
    (item,) = read_table(written(tmp_path, f"patient,date,path\nP1,{date},b.nii\n"))
    assert (item.date, item.problem) == (date, "")
    assert item.note == f"the date {date} does not exist; correct it in the table"


@pytest.mark.parametrize("date", ["", "2026-01-31", "20260131", "January", "baseline", "31.1.2026"])
def test_other_dates_are_taken_as_they_are(tmp_path, date):
    (item,) = read_table(written(tmp_path, f"patient,date,path\nP1,{date},b.nii\n"))
    assert (item.date, item.note) == (date, "")


def test_a_repeated_row_is_one_item(tmp_path):
    items = read_table(written(tmp_path, "patient,path,series\nP1,a,1\nP1,a,1\nP1,a,2\n"))
    assert [(item.path.name, item.series) for item in items] == [("a", "1"), ("a", "2")]


def test_a_row_that_names_the_ct_of_another_patient_keeps_its_place_with_the_reason(tmp_path):
    items = read_table(written(tmp_path, "patient,path\nP1,a.nii\nP2,b.nii\nP3,a.nii\nP4,c.nii\n"))
    assert [(item.patient, bool(item.problem)) for item in items] == [
        ("P1", False),
        ("P2", False),
        ("P3", True),
        ("P4", False),
    ]
    assert items[2].problem.startswith("Row 4 of the table names the same CT as row 2, but another patient")


def test_rows_with_a_problem_and_the_same_name_have_result_folders_of_their_own(tmp_path):
    text = "case,patient,path\nX,P1,a.nii\nX,P2,a.nii\nX,P3,\nX,P4,\n"
    cases = [item.case for item in with_unique_cases(read_table(written(tmp_path, text)))]
    assert len(set(cases)) == 4


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "has no column 'path'"),
        (b"patient,file\nP1,a.nii\n", "has no column 'path'"),
        (b"path,path\na,b\n", "names the column path twice"),
        (b"path,patient\na.nii,M\xfcller\n", "is not UTF-8 text"),
        (b"\x1f\x8b\x08", "use the command segment for one CT"),
        (b'path,patient\n"a.nii,P1\n', "is not a table in CSV format"),
    ],
)
def test_what_is_no_table_is_refused_in_one_sentence(tmp_path, data, message):
    path = tmp_path / "table.csv"
    path.write_bytes(data)
    with pytest.raises(UnusableInput, match=message) as caught:
        read_table(path)
    assert str(path) in str(caught.value)


def test_cases_are_distinct_folder_names_that_do_not_depend_on_the_order(tmp_path):
    names = ["P1", "p1", "a/b", "a b", "..", "con", "x" * 200, "Ä7", ""]
    items = [Item(name, tmp_path / str(n)) for n, name in enumerate(names)]
    cases = [item.case for item in with_unique_cases(items)]
    assert len({case.casefold() for case in cases}) == len(names)
    assert all(case and "/" not in case and not case.startswith(".") and len(case) <= 100 for case in cases)
    assert cases[-2] == "Ä7"
    assert cases[5].startswith("case_con")
    assert [item.case for item in with_unique_cases(items[::-1])] == cases[::-1]
