"""Sections and histograms as SVG."""

import base64
import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest
import SimpleITK as sitk
from chests import block, make_chest
from LungTumorSegLib.lesions import report_lesions
from LungTumorSegLib.lesions.components import lesion_crops
from LungTumorSegLib.lesions.diameters import outline
from LungTumorSegLib.report.sections import AROUND_MM, _joined, css, histogram, sections

SHAPE = (60, 90, 120)
SPACING = (2.0, 1.0, 1.2)
START, STOP = (20, 40, 60), (32, 56, 90)


def parsed(svg) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314  our own output


def drawn():
    """Sections through a box of 24 x 16 x 36 mm with a bright voxel at its upper, front, left corner."""
    chest = make_chest(SHAPE, spacing=SPACING).with_tumor(block(SHAPE, START, STOP))
    chest.ct.array[31, 40, 89] = 400
    report = report_lesions(chest.tumor, chest.ct, chest.left_lung, chest.right_lung, min_lesion_ml=0.0)
    (crop,) = lesion_crops(report.labels)
    return report.lesions[0], sections(crop, report.lesions[0], chest.ct, (1.0, 0.0, 0.0))


def gray_of(svg, folder) -> np.ndarray:
    (folder / "section.png").write_bytes(base64.b64decode(re.search(r"base64,([^\"]+)", svg)[1]))
    return sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "section.png")))


def outline_box(svg) -> np.ndarray:
    """Left, top, right, bottom of the outline, mm."""
    points = np.array(re.findall(r"[ML]([\d.]+) ([\d.]+)", parsed(svg).find("path").get("d")), dtype=float)
    return np.concatenate([points.min(axis=0), points.max(axis=0)])


@pytest.mark.parametrize(("plane", "size_mm", "edges"), [
    ("axial", (36, 16), "RLAP"), ("coronal", (36, 24), "RLSI"), ("sagittal", (16, 24), "APSI"),
])  # fmt: skip
def test_the_outline_has_the_lesions_size_in_the_middle_of_its_surroundings(plane, size_mm, edges):
    svg = drawn()[1][plane]
    left, top, right, bottom = outline_box(svg)
    assert (right - left, bottom - top) == pytest.approx(size_mm, abs=1e-6)
    assert (left, top) == pytest.approx((AROUND_MM, AROUND_MM), abs=max(SPACING))
    assert "".join(parsed(svg).find("g").itertext()) == edges


def test_an_outline_is_one_line_per_edge_so_that_its_dashes_are_seen():
    path = parsed(drawn()[1]["axial"]).find("path").get("d")
    assert path.count("M") == 1
    assert path.split("L")[0][1:] == path.split("L")[-1]
    ring = np.ones((9, 9), bool)
    ring[2, 3] = ring[5, 5] = ring[6, 6] = False  # two of the holes touch at a corner
    segments = outline(ring)
    lines = list(_joined(segments))
    drawn_once = sorted(tuple(sorted(pair)) for line in lines for pair in pairwise(line))
    assert drawn_once == sorted(tuple(sorted(map(tuple, each))) for each in segments.tolist())
    assert len(lines) <= 4


def test_the_ct_lies_under_the_outline(tmp_path):
    _, svgs = drawn()
    for plane, spacing in (("axial", (1.0, 1.2)), ("coronal", (2.0, 1.2)), ("sagittal", (2.0, 1.0))):
        gray = gray_of(svgs[plane], tmp_path)
        left, top, right, bottom = outline_box(svgs[plane])
        rows = slice(round(top / spacing[0]), round(bottom / spacing[0]))
        columns = slice(round(left / spacing[1]), round(right / spacing[1]))
        tissue = round((40 + 1000) / 1400 * 255)
        assert np.median(gray[rows, columns]) == pytest.approx(tissue, abs=1)
        inside = np.zeros(gray.shape, dtype=bool)
        inside[rows, columns] = True
        assert gray[~inside].max() < tissue  # lung and soft tissue are darker than the lesion of 40 HU


def test_rulers_are_drawn_where_they_were_measured():
    lesion, svgs = drawn()
    long, short = parsed(svgs["axial"]).findall("line")
    for line, ruler in ((long, lesion.long_axis), (short, lesion.short_axis)):
        ends = np.array([[float(line.get(name)) for name in pair] for pair in (("x1", "y1"), ("x2", "y2"))])
        assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(ruler.length_mm, abs=0.02)
        assert line.find("title").text == f"{ruler.length_mm:.1f} mm"
        # LPS: x to the viewer's right, y down
        np.testing.assert_allclose(ends[1] - ends[0], np.subtract(ruler.end_lps, ruler.start_lps)[:2], atol=0.02)
    assert not parsed(svgs["coronal"]).findall("line")


def test_a_histogram_counts_every_voxel_once():
    svg = histogram(np.array([-3000.0, -1000, -975, 0, 10, 49.9, 50, 400, 900]), (0.0, 0.0, 1.0))
    counts = [int(re.search(r": (\d+) voxels", title.text)[1]) for title in parsed(svg).iter("title")]
    assert len(counts) == 28
    assert (counts[0], counts[20], counts[21], counts[27]) == (3, 3, 1, 2)
    assert sum(counts) == 9


def test_colors_are_written_as_the_web_writes_them():
    assert css((1.0, 0.5, 0.0)) == "#ff8000"
