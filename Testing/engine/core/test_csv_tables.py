"""Tables as CSV: what a spreadsheet would run is text, numbers stay numbers."""

import csv
import io

import pytest
from LungTumorSegLib.core.csv_tables import write_table
from LungTumorSegLib.core.texts import printable
from LungTumorSegLib.results.lesion_rows import columns_of, write_csv


@pytest.fixture
def cells(tmp_path):
    """``cells(rows)``: what a reader finds in the first column of a table."""

    def written(rows):
        write_table(tmp_path / "table.csv", ["a"], rows)
        with (tmp_path / "table.csv").open(encoding="utf-8", newline="") as file:
            return [row[0] for row in csv.reader(file)][1:]

    return written


@pytest.mark.parametrize(
    "text",
    ['=HYPERLINK("http://x")', "+1+1", "-2", "@SUM(1)", "\tx", "\r=1", "\n=1", " =1+1", "\u200b=1", "\ufeff+1",
        "\uff1d1+1",
     " \u202e@x"],
)  # fmt: skip
def test_a_text_that_is_a_formula_gets_an_apostrophe(cells, text):
    assert cells([[text]]) == ["'" + printable(text.replace("\r", " "), keep="\n\t")]


def test_a_terminal_that_shows_the_table_obeys_nothing_in_it(cells):
    assert cells([["Tumor\x1b[31m\x07 1\nTumor\u202e 2"]]) == [r"Tumor\x1b[31m\x07 1" + "\n" + r"Tumor\u202e 2"]


def test_undecodable_bytes_of_a_name_are_written_as_escapes(cells):
    assert cells([["M\udcfcller"]]) == [r"M\udcfcller"]


def test_numbers_and_other_texts_stay_as_they_are(cells):
    assert cells([[-2.5], [-3], ["Tumor -1"], [None], [float("nan")]]) == ["-2.5", "-3", "Tumor -1", "", ""]


def test_the_window_writes_the_table_as_the_engine_does(tmp_path):
    lesions = [{"number": 1, "segment": "=1+1", "mean_hu": -20.0}]
    write_csv(columns_of(lesions), tmp_path / "lesions.csv")
    (row,) = csv.DictReader(io.StringIO((tmp_path / "lesions.csv").read_text(encoding="utf-8"), newline=""))
    assert (row["segment"], row["mean_hu"], row["side"]) == ("'=1+1", "-20.0", "")
