"""The benchmark of the confidence, and the figure and numbers that the page Accuracy takes from it."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
FIGURE = ROOT / "docs" / "images" / "reliability.svg"
sys.path.insert(0, str(ROOT / "Testing" / "benchmarks"))
reliability = importlib.import_module("reliability")


def test_a_confidence_that_is_a_frequency_has_no_error():
    confidence, tumor = np.repeat([0.25, 0.75], 4), np.array([1, 0, 0, 0, 1, 1, 1, 0], bool)
    assert reliability.calibration_error(confidence, tumor) == 0
    assert [row["share_of_tumors"] for row in reliability.intervals(confidence, tumor)] == [0.25, 0.75]


@pytest.mark.parametrize(("confidence", "error"), [(1.0, 0.5), (0.0, 0.5), (0.9, 0.4)])
def test_the_error_is_the_distance_from_the_frequency(confidence, error):
    tumor = np.array([1, 0], bool)
    assert reliability.calibration_error(np.full(2, confidence), tumor) == pytest.approx(error)


def test_the_page_shows_the_figure_and_the_error_of_the_table():
    table = reliability.read(reliability.TABLE)
    assert FIGURE.read_text(encoding="utf-8") == reliability.picture(table)
    found = reliability.summary(table)
    page = (ROOT / "docs" / "accuracy.md").read_text(encoding="utf-8")
    assert f"{found['tumors']} tumors and {found['candidates'] - found['tumors']} others" in page
    assert f"| **{found['calibration_error']:.2f}** |" in page


def test_a_confidence_outside_of_its_range_is_refused(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("ct,confidence,tumor\na,70,1\n")
    with pytest.raises(SystemExit, match="needs rows with a confidence from 0 to 1"):
        reliability.read(table)


def test_the_froc_curve_counts_false_positives_of_plain_cts_only(tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("ct,implanted,confidence,tumor\na,0,0.9,1\na,1,0.8,0\na,0,0.6,0\nb,1,0.5,1\n")
    assert reliability.froc(reliability.read(table)) == [(0.9, 0.5, 0.0), (0.6, 0.5, 0.5), (0.5, 1.0, 0.5)]
