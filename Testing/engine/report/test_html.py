"""The HTML report."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from chests import block, make_chest
from LungTumorSegLib.core.errors import MachineLimit
from LungTumorSegLib.lesions import NO_LESION, report_lesions
from LungTumorSegLib.report import html as report_module
from LungTumorSegLib.report.html import Heading, write_report
from volumes import ORIENTATIONS

SHAPE = (60, 90, 120)


def written(folder, *places, heading=None, order=ORIENTATIONS[0]) -> str:
    mask = np.zeros(SHAPE, dtype=bool)
    for place in places:
        mask |= block(SHAPE, *place)
    chest = make_chest(SHAPE, spacing=(2.0, 1.0, 1.2)).with_tumor(mask).reordered(order)
    report = report_lesions(chest.tumor, chest.ct, chest.left_lung, chest.right_lung, min_lesion_ml=0.0)
    write_report(report, chest.ct, chest.left_lung, chest.right_lung, folder / "report.html", heading)
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
    rows = re.findall(r"<tr>(<td>.*?)</tr>", html.split("<h2>3D views")[0])
    assert len(rows) == 2
    cells = [re.sub(r"<[^>]*>", "", cell) for cell in re.findall(r"<td>(.*?)</td>", rows[0])]
    assert cells[0] == "Tumor 1"
    assert cells[1] == "Left middle, peripheral"
    assert float(cells[2]) == pytest.approx(12 * 16 * 30 * 2.4 / 1000, abs=0.005)
    assert float(cells[4]) == pytest.approx(np.hypot(16, 36), abs=0.6)  # half a voxel
    assert cells[7] == "solid"
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
def test_orientation_changes_no_report(tmp_path, order):
    assert written(tmp_path, LARGE, SMALL, order=order) == written(tmp_path, LARGE, SMALL)


def test_a_machine_that_cannot_draw_still_gets_a_report(tmp_path, monkeypatch):
    def cannot(*_, **__):
        raise MachineLimit("This machine cannot draw in 3D.")

    monkeypatch.setattr(report_module, "spread_pictures", cannot)
    html = written(tmp_path, LARGE)
    assert "This machine cannot draw in 3D." in html
    assert "Tumor 1" in html


def test_only_the_largest_lesions_are_pictured(tmp_path, monkeypatch):
    monkeypatch.setattr(report_module, "MOST_PICTURED", 1)
    html = written(tmp_path, LARGE, SMALL)
    assert html.count('class="lesion"') == 1
    assert "Pictures of the 1 largest of 2 lesions" in html
