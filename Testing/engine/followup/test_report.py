"""The report of a comparison: what it shows, and that it shows the same numbers as the files."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from LungTumorSegLib.core.texts import signed
from LungTumorSegLib.followup.comparison import FollowUp
from LungTumorSegLib.followup.examination import read_examination
from LungTumorSegLib.followup.recist import Response, Target
from LungTumorSegLib.followup.registration import Registration
from LungTumorSegLib.followup.response import FollowedTarget
from LungTumorSegLib.followup.track import Track
from LungTumorSegLib.report import follow_up_tables
from LungTumorSegLib.report.follow_up import _curves, _pictured, _sentence, _window
from LungTumorSegLib.report.follow_up_tables import burden_rows, class_rows, doubling_text
from LungTumorSegLib.report.windows import SOFT_TISSUE_HU, WINDOW_HU
from PIL import Image
from two_lungs import ct_of, segments_of, write_examination

BALLS = {"Tumor 1": ((66.0, 0.0, 40.0), 9.0), "Tumor <2>": ((-66.0, 10.0, 0.0), 7.0)}


class Reader(HTMLParser):
    """Collects the text of a page."""

    def __init__(self):
        super().__init__()
        self.words = []

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def follow_up(tmp_path_factory):
    """An examination against itself, with one lesion new and one gone, and a CT of the later day only."""
    folder = write_examination(tmp_path_factory.mktemp("exam") / "exam", BALLS)
    exam = read_examination(folder)
    later = replace(exam, ct=ct_of(segments_of(BALLS)))
    stay = Registration(np.eye(4), np.zeros((*exam.lungs.shape, 3), np.float32), exam.lungs.grid, 0.99, 0.5, 1.0)
    first, second = exam.lesions
    tracks = (
        Track("L1", ((first,), (first,)), 0.97),
        Track("L2", ((second,), ()), later_probability=0.12),
        Track("L3", ((), (second,))),
    )
    response = Response("PD", ("There are new lesions.",), 18.0, 32.0, 32.0)
    targets = tuple(FollowedTarget(name, name, Target((9.0, 9.0)), (1.0, 1.0)) for name in ("L1", "L2"))
    return FollowUp((exam, later), stay, tracks, targets, response, "PR", 90.0, ("A warning & more.",))


def test_the_report_shows_each_lesion_with_its_sections_and_curves(follow_up, tmp_path):
    follow_up.save(tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(page)
    text = " ".join(reader.words)
    for words in (
        "A warning & more.",
        "RECIST 1.1 at the last examination:",
        "PD",
        "Tumor <2>",
        "90 days",
        "(Examination 1), a change of -44 %; 32.0 mm at its smallest before, a change of -44 %.",
        "0.12",
        "not a medical device",
    ):
        assert words in text
    assert len(re.findall("data:image/png", page)) == 3  # of the later CT; the earlier one is not known
    assert len(re.findall("<polyline", page)) == 6
    assert not re.findall(r"""(src|href)=["']https?:""", page)


def test_the_place_of_a_gone_lesion_is_shown_with_the_earlier_outline_only(follow_up, tmp_path):
    gone = replace(follow_up, tracks=follow_up.tracks[1:2])
    gone.save(tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 1
    assert re.findall('stroke-width="0.7"( stroke-dasharray="1 1")?', page) == [' stroke-dasharray="1 1"']


def test_units_keep_their_case_and_only_a_changed_lesion_has_a_doubling_time(follow_up):
    stable, gone, new = follow_up.tracks
    smaller = replace(stable.later[0], volume_ml=stable.later[0].volume_ml / 2)
    halved, doubled = (
        replace(stable, visits=(stable.earlier, (smaller,))),
        replace(stable, visits=((smaller,), stable.later)),
    )
    times = [doubling_text(track, 90) for track in (stable, gone, new, halved, doubled)]
    assert times[:3] == ["", "", ""]
    assert re.fullmatch(r"halved in 90 \(\d+ to \d+\)", times[3])
    assert times[4] == times[3].removeprefix("halved in ")
    assert re.fullmatch(r"halved in 0\.5 \(0\.\d to [\d.]+\)", doubling_text(halved, 0.5))
    assert re.match(r"Before: \d+ x \d+ mm, \d\.\d\d mL; now: ", _sentence(stable, follow_up))


def test_curves_start_at_zero_so_that_a_small_change_looks_small(follow_up):
    small = replace(follow_up.tracks[0], visits=(follow_up.tracks[0].earlier, follow_up.tracks[0].earlier))
    for curve in re.findall(r'<polyline points="[\d.]+,([\d.]+)', _curves(small, follow_up)):
        assert float(curve) < 150


def test_the_share_of_vessels_in_both_cts_is_stated_where_it_is_known(follow_up, tmp_path):
    for share, stated in ((None, False), (0.72, True)):
        found = replace(follow_up, registration=replace(follow_up.registration, found_share=share))
        data = found.save(tmp_path / str(share))
        assert data["registration"]["found_share"] == share
        page = (tmp_path / str(share) / "report.html").read_text(encoding="utf-8")
        assert ("72 % of the vessels that were looked up are in both CTs" in page) == stated


def test_without_lesions_the_report_says_so(follow_up, tmp_path):
    empty = replace(follow_up.earlier, lesions=())
    nothing = replace(follow_up, tracks=(), followed_targets=(), examinations=(empty, empty), volume_response=None)
    nothing.save(tmp_path / "out")
    assert "Neither examination has a lesion" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("value", "digits", "text"), [(0.3, 0, "0"), (-0.3, 0, "0"), (-0.004, 2, "0.00"), (0.6, 0, "+1"), (-12.0, 0, "-12")]
)
def test_what_rounds_to_zero_has_no_sign(value, digits, text):
    assert signed(value, digits) == text


def test_the_change_of_the_burden_is_that_of_the_numbers_shown(follow_up, monkeypatch):
    values = [{"lesions": 1, "volume_ml": ml, "by_side_ml": {"Left": ml}, "largest_distance_mm": mm}
              for ml, mm in ((1.004, 84.4), (2.006, 83.6))]  # fmt: skip
    monkeypatch.setattr(follow_up_tables, "burden", lambda exam: values[exam is follow_up.later])
    rows = {row[0]: row[1:] for row in burden_rows(follow_up)}
    assert rows["Volume mL"] == rows["Volume in the left lung mL"] == ["1.00", "2.01", "+1.01"]
    assert rows["Largest distance mm"] == ["84", "84", "0"]


def test_a_new_nodule_has_the_limits_of_new_nodules(follow_up):
    five = replace(follow_up.later.lesions[0], long_axis_mm=5.5, short_axis_mm=4.5, density="solid")
    tracks = (
        Track("same", ((five,), (five,))),
        Track("new", ((), (five,))),
        Track("back", ((five,), (), (five,))),
    )
    sizes = {row[0]: row[2] for row in class_rows(replace(follow_up, tracks=tracks))}
    assert sizes == {"same": "less than 6 mm", "new": "4 to less than 6 mm", "back": "less than 6 mm"}


@pytest.mark.parametrize(("around_hu", "window"), [(-850, WINDOW_HU), (30, SOFT_TISSUE_HU)])
def test_lesions_without_lung_around_them_are_shown_as_soft_tissue(follow_up, around_hu, window):
    later = follow_up.later
    surroundings = replace(later, ct=later.ct.with_array(np.full(later.ct.shape, around_hu, np.int16)))
    found = replace(follow_up, examinations=(follow_up.earlier, surroundings))
    assert _window(found.tracks[0], found) == window
    (_, drawing), *_ = next(_pictured(found, ("before", "now"))).drawings
    with Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", drawing)[1]))) as image:
        gray = np.asarray(image)
    assert gray[0, 0] == int((around_hu - window[0]) * 255 / (window[1] - window[0]))
