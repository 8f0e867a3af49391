"""The HTML report."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from chests import block, make_chest
from LungTumorSegLib import __version__
from LungTumorSegLib.core.errors import MachineLimit
from LungTumorSegLib.lesions import NO_LESION, report_lesions
from LungTumorSegLib.report import html as report_module
from LungTumorSegLib.report.html import Heading, write_report
from LungTumorSegLib.report.lesion_table import HEAD
from volumes import ORIENTATIONS

SHAPE = (60, 90, 120)
FIRST_Z_MM = float(make_chest(SHAPE, spacing=(2.0, 1.0, 1.2)).ct.origin[2])


def written(folder, *places, heading=None, order=ORIENTATIONS[0]) -> str:
    mask = np.zeros(SHAPE, dtype=bool)
    for place in places:
        mask |= block(SHAPE, *place)
    chest = make_chest(SHAPE, spacing=(2.0, 1.0, 1.2)).with_tumor(mask).reordered(order)
    report = report_lesions(chest.tumor, chest.ct, chest.left_lung, chest.right_lung, min_lesion_ml=0.0)
    write_report(report, chest.ct, chest.left_lung, chest.right_lung, folder / "report.html", heading=heading)
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def no_drawing(monkeypatch):
    """3D views take seconds each and are tested with rendering."""
    monkeypatch.setattr(
        report_module, "spread_pictures", lambda left, right, labels, views, size, **_: [b"a picture"] * len(views)
    )


LARGE, SMALL = ((20, 40, 60), (32, 56, 90)), ((40, 20, 10), (44, 26, 17))


def test_the_report_needs_nothing_from_elsewhere(tmp_path):
    html = written(tmp_path, LARGE, SMALL)
    sources = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert len(sources) == 3 + 2 * 3
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert "<script" not in html
    assert "url(" not in html


def test_every_element_is_closed(tmp_path):
    class Checker(HTMLParser):
        def __init__(self):
            super().__init__()
            self.open_ = []

        def handle_starttag(self, tag, attrs):
            if tag not in ("meta", "img"):
                self.open_.append(tag)

        def handle_startendtag(self, tag, attrs):
            pass

        def handle_endtag(self, tag):
            assert self.open_.pop() == tag

    checker = Checker()
    checker.feed(written(tmp_path, LARGE, SMALL))
    assert checker.open_ == []


def test_the_table_holds_each_lesions_numbers(tmp_path):
    html = written(tmp_path, LARGE, SMALL)
    rows = re.findall(r"<tr>(<td>.*?)</tr>", html.split("<h2>Lesions")[1].split("<h2>3D views")[0])
    assert len(rows) == 2
    cells = [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<td>(.*?)</td>", rows[0])]
    assert cells[0] == "Tumor 1"
    assert cells[1] == "Left middle zone, peripheral"  # no lobe
    slice_number, z = re.fullmatch(r"(\d+) \((-?[\d.]+)\)", cells[2]).groups()
    assert 20 < int(slice_number) <= 32  # the first slice is number 1
    assert float(z) == pytest.approx(2.0 * (int(slice_number) - 1) + FIRST_Z_MM, abs=0.06)
    assert float(cells[3]) == pytest.approx(12 * 16 * 30 * 2.4 / 1000, abs=0.005)
    assert float(cells[5]) == pytest.approx(np.hypot(16, 36), abs=0.6)  # half a voxel
    assert cells[8] == "solid"
    assert "2 lesions found" in html


def test_the_notice_and_the_method_are_there(tmp_path):
    html = written(tmp_path, LARGE)
    assert html.count("not a medical device") == 2
    assert "RECIST 1.1" in html
    assert "by size alone" in html


def test_a_report_without_lesions_says_what_that_means(tmp_path):
    assert NO_LESION in written(tmp_path)


def test_the_heading_is_escaped_and_nothing_about_the_patient_appears_unasked(tmp_path):
    card = "First line\n\nSecond <i>line"
    heading = Heading(title="A <b> & B", patient="Doe, J.", model="m1", model_card=card, warnings=("Cut & short.",))
    html = written(tmp_path, LARGE, heading=heading)
    for text in ("A &lt;b&gt; &amp; B", "Doe, J.", "Model: m1", "Second &lt;i&gt;line", "Cut &amp; short."):
        assert text in html
    assert "Doe" not in written(tmp_path, LARGE)


@pytest.mark.parametrize("order", [ORIENTATIONS[13], ORIENTATIONS[42]], ids=str)
def test_orientation_changes_no_report_but_the_order_of_slices_and_axes(tmp_path, order):
    def comparable(html):
        html = re.sub(r"<td>\d+ \((-?[\d.]+)\)</td>", r"<td>(\1)</td>", html)
        return re.sub(r"<td>[\d x]+ voxels of [\d. x]+ mm</td>", "", html)

    heading = Heading(created=datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
    turned = comparable(written(tmp_path, LARGE, SMALL, order=order, heading=heading))
    assert turned == comparable(written(tmp_path, LARGE, SMALL, heading=heading))


def test_the_report_states_case_ct_time_software_and_weights(tmp_path):
    created = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    html = written(tmp_path, LARGE, heading=Heading(case="C <1>", weights_sha256="ab12", created=created))
    facts = dict(re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td></tr>", html.split("<h2>Lesions")[0]))
    assert facts == {
        "Case": "C &lt;1&gt;",
        "CT": "120 x 90 x 60 voxels of 1.2 x 1 x 2 mm",
        "Written": "2026-01-02 03:04 UTC",
        "Software": f"LungTumorSeg {__version__}",
        "Weights, SHA-256": "ab12",
    }


@pytest.mark.parametrize(("confidence", "marked"), [(0.74, True), (0.76, False), (None, False)])
def test_lesions_of_low_confidence_carry_the_check_that_the_report_explains(tmp_path, confidence, marked):
    chest = make_chest(SHAPE, spacing=(2.0, 1.0, 1.2)).with_tumor(block(SHAPE, *LARGE))
    report = report_lesions(chest.tumor, chest.ct, chest.left_lung, chest.right_lung, min_lesion_ml=0.0)
    report = replace(report, lesions=(replace(report.lesions[0], confidence=confidence),))
    write_report(report, chest.ct, chest.left_lung, chest.right_lung, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert html.count('<span class="check">check</span>') == (2 if marked else 0)  # beside the number, and explained


def test_names_of_segments_are_escaped_everywhere(tmp_path):
    chest = make_chest(SHAPE, spacing=(2.0, 1.0, 1.2)).with_tumor(block(SHAPE, *LARGE))
    report = report_lesions(chest.tumor, chest.ct, chest.left_lung, chest.right_lung, min_lesion_ml=0.0)
    report = replace(report, lesions=(replace(report.lesions[0], segment="<img src=x>"),))
    write_report(report, chest.ct, chest.left_lung, chest.right_lung, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<img src=x>" not in html
    assert "&lt;img src=x&gt;" in html


def test_a_machine_that_cannot_draw_still_gets_a_report(tmp_path, monkeypatch):
    def cannot(*_, **__):
        raise MachineLimit("This machine cannot render in 3D.")

    monkeypatch.setattr(report_module, "spread_pictures", cannot)
    html = written(tmp_path, LARGE)
    assert "This machine cannot render in 3D." in html
    assert "Tumor 1" in html


def test_only_the_largest_lesions_are_pictured(tmp_path, monkeypatch):
    monkeypatch.setattr(report_module, "MOST_PICTURED", 1)
    html = written(tmp_path, LARGE, SMALL)
    assert html.count('class="lesion"') == 1
    assert "Pictures of the 1 largest of 2 lesions" in html


def test_the_sample_report_has_the_headings_of_today():
    sample = Path(__file__).resolve().parents[3] / "Resources/sample-report.html"
    shown = re.findall("<th>(.*?)</th>", sample.read_text(encoding="utf-8"))
    assert tuple(shown[: len(HEAD)]) == HEAD, "run: python Testing/tools/write_sample_report.py"
