"""Curves and overlays."""

import csv
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import SimpleITK as sitk
from LungTumorSegLib.report.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Line,
    chart,
    side_by_side,
    write_curves,
    write_froc,
)
from LungTumorSegLib.training.log import COLUMNS
from LungTumorSegLib.training.overlays import OVERLAY_SLICES, PIXEL_MM, PREDICTION_COLOR, TRUTH_COLOR, write_overlay

SVG = "{http://www.w3.org/2000/svg}"


def parse(text):
    root = ElementTree.fromstring(text)  # noqa: S314 (our own text)
    lines = [
        [tuple(map(float, p.split(","))) for p in line.get("points").split()] for line in root.iter(f"{SVG}polyline")
    ]
    return lines, [text.text for kind in ("text", "tspan") for text in root.iter(f"{SVG}{kind}")]


def test_a_curve_fills_its_plot_from_corner_to_corner():
    (points,), texts = parse(
        side_by_side([chart("Title <b>", [Line("a & b", ((0, 0), (50, 0.5), (100, 1)))], "step", "loss")])
    )
    assert points[0] == (LEFT, HEIGHT - BOTTOM)
    assert points[2] == (WIDTH - RIGHT, TOP)
    assert points[1] == pytest.approx(((LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2))
    assert {"Title <b>", "a & b", "step", "loss", "0", "0.2", "1", "100"} <= set(texts)


@pytest.mark.parametrize(
    "values",
    [
        (0.0,),
        (3.0, 3.0),
        (17.55763, np.nextafter(17.55763, 18)),
        (-2.5, 7.3),
        (1e-6, 2e-6),
        (1e-15, 3e-15),
        (0.0, 123456.0),
    ],
)
def test_ticks_enclose_any_values(values):
    (points,), _ = parse(
        side_by_side([chart("", [Line("a", tuple((float(i), v) for i, v in enumerate(values)))], "", "")])
    )
    assert all(TOP - 0.1 <= y <= HEIGHT - BOTTOM + 0.1 for _, y in points)


def test_a_log_becomes_a_curve_a_stage_and_two_of_whole_volumes(tmp_path):
    with (tmp_path / "log.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for step in (20, 40):
            writer.writerow({"stage": "extractor", "step": step, "loss": 1.0 / step})
        for step in (20, 40, 60):
            writer.writerow({"stage": "network", "step": step, "loss": 2.0 / step})
        writer.writerow({"stage": "network", "step": 60, "dice": 0.5, "score": 0.4})
    write_curves(tmp_path / "log.csv", tmp_path / "curves.svg")
    lines, texts = parse((tmp_path / "curves.svg").read_text())
    assert [len(line) for line in lines] == [2, 3, 1, 1]
    assert {"extractor", "network", "dice", "score"} <= set(texts)


def test_a_log_without_scores_is_drawn(tmp_path):
    (tmp_path / "log.csv").write_text(",".join(COLUMNS) + "\n")
    write_curves(tmp_path / "log.csv", tmp_path / "curves.svg")
    assert parse((tmp_path / "curves.svg").read_text())[0] == []


def test_a_froc_curve_begins_at_nothing(tmp_path):
    write_froc([(0.0, 0.5), (1.0, 0.75)], tmp_path / "froc.svg")
    (points,), texts = parse((tmp_path / "froc.svg").read_text())
    assert len(points) == 3
    assert "false positives per scan" in texts


def colored(picture, color):
    return (picture == [round(255 * part) for part in color]).all(axis=-1)


def test_an_overlay_outlines_truth_and_prediction_in_true_proportions(tmp_path):
    image = np.full((9, 20, 30), 0.5, np.float32)
    truth, prediction = np.zeros(image.shape, bool), np.zeros(image.shape, bool)
    truth[2:8, 4:10, 5:15], prediction[2:8, 12:16, 20:24] = True, True
    write_overlay(image, truth, prediction, (3.0, 2 * PIXEL_MM, 4 * PIXEL_MM), tmp_path / "o.png")
    picture = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "o.png")))
    assert picture.shape == (2 * 20, OVERLAY_SLICES * 4 * 30, 3)
    first = picture[:, : 4 * 30]
    rows, columns = np.nonzero(colored(first, TRUTH_COLOR))
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (2 * 4, 2 * 10, 4 * 5, 4 * 15)
    assert len(rows) == 2 * (12 + 40) - 4  # one pixel wide
    rows, columns = np.nonzero(colored(first, PREDICTION_COLOR))
    assert (rows.min(), rows.max() + 1, columns.min(), columns.max() + 1) == (2 * 12, 2 * 16, 4 * 20, 4 * 24)
    assert tuple(first[0, 0]) == (128, 128, 128)


def test_an_overlay_shows_the_slices_with_tumor_or_any_where_there_is_none(tmp_path):
    image = np.linspace(0, 0.9, 10, dtype=np.float32)[:, None, None] * np.ones((1, 8, 8), np.float32)
    truth = np.zeros(image.shape, bool)
    truth[6, 1, 1] = True
    write_overlay(image, truth, truth, (1.0, PIXEL_MM, PIXEL_MM), tmp_path / "one.png")
    write_overlay(image, truth & False, truth & False, (1.0, PIXEL_MM, PIXEL_MM), tmp_path / "none.png")
    one, none = (sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / f"{name}.png"))) for name in ("one", "none"))
    assert one.shape == (8, 8, 3)
    assert one[5, 5, 0] == round(255 * 0.6)
    assert [int(v) for v in none[5, 5::8, 0]] == [0, round(255 * 0.3), round(255 * 0.6), round(255 * 0.9)]


def test_pictures_are_plain_files_without_scripts(tmp_path):
    write_froc([(1.0, 1.0)], tmp_path / "f.svg")
    assert not re.search("script|http(?!://www.w3.org/2000/svg)", (tmp_path / "f.svg").read_text())
