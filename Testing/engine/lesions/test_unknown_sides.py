"""Where nothing shows which lung is which, no lesion gets a side, and a warning says so."""

import csv
import json

import numpy as np
import pytest
from LungTumorSegLib import isolation as isolation_room
from LungTumorSegLib.core import terminology
from LungTumorSegLib.core.volume import CTVolume, Volume
from LungTumorSegLib.followup import examination
from LungTumorSegLib.followup.examination import read_examination
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.io.seg_nrrd import write_segmentation
from LungTumorSegLib.io.segment import Segment
from LungTumorSegLib.io.segmentations import read_segmentation
from LungTumorSegLib.isolation import isolate_lungs
from LungTumorSegLib.lesions import doubts, find_lungs, lesions_as_json, measure, report_lesions, write_lesions_csv
from LungTumorSegLib.results.isolation_writer import write_isolation
from LungTumorSegLib.results.writer import write_measures
from simple_chest import AFFINE, CANAL_Y_MM, SHAPE, ellipsoid, every_second, make_chest, tube

TUMOR = "Tumor 1"


def segment(name, mask, code):
    """A segment of every second row and column of a mask of the chest."""
    coarse = every_second(CTVolume(np.ascontiguousarray(mask).astype(np.int16), AFFINE))
    return Segment(name, Volume(coarse.array > 0, coarse.affine), (1.0, 0.0, 0.0), code)


@pytest.fixture(scope="module")
def boneless():
    """A chest whose spine is as soft as everything around it, with a ball in the right lung."""
    spine = tube(0, 45, 22) | tube(0, CANAL_Y_MM, 17)
    ball = ellipsoid((-64, -5, 55), (12, 12, 12))
    chest = make_chest().painted(spine, 40).painted(ball, 40)
    return every_second(chest.ct), segment(TUMOR, ball & np.ones(SHAPE, bool), terminology.TUMOR[None])


@pytest.fixture(scope="module")
def isolation(boneless):
    return isolate_lungs(boneless[0])


@pytest.fixture(scope="module")
def report(boneless):
    ct, tumor = boneless
    return measure(ct, [tumor])


def test_a_lesion_has_no_side_and_the_report_says_why(report):
    (lesion,) = report.lesions
    assert lesion.side is None
    assert lesion.location is None
    assert lesions_as_json(report)[0]["side"] is None
    (warning,) = report.warnings
    assert "found no spine in this CT" in warning
    assert "side of each lesion is unknown" in warning


def test_the_side_is_empty_in_the_table(report, tmp_path):
    write_lesions_csv(report, tmp_path / "lesions.csv")
    (row,) = csv.DictReader((tmp_path / "lesions.csv").read_text(encoding="utf-8").splitlines())
    assert (row["segment"], row["side"], row["zone"]) == (TUMOR, "", "")


def test_the_warnings_are_in_the_summary_and_in_the_report(boneless, report, tmp_path):
    ct, _ = boneless
    summary = write_measures(ct, report, tmp_path)
    assert summary["warnings"] == list(report.warnings)
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))["warnings"] == list(report.warnings)
    assert summary["lungs"] is None


def test_the_lungs_are_one_segment_that_nobody_takes_for_two(boneless, isolation, tmp_path):
    ct, tumor = boneless
    assert not isolation.sides_known
    write_isolation(ct, isolation, tmp_path)
    segments = read_segmentation(tmp_path / "isolation.seg.nrrd")
    assert [each.name for each in segments] == ["Body", "Lungs", "Isolation mask"]
    (again,) = measure(ct, [*segments, tumor]).lesions
    assert again.side is None


def test_a_run_gives_its_lesions_no_side_either(boneless, isolation):
    ct, tumor = boneless
    lungs = isolation.left_lung, isolation.right_lung
    (lesion,) = report_lesions(tumor.mask, ct, *lungs, min_lesion_ml=0.0, sides_known=isolation.sides_known).lesions
    assert lesion.side is None
    assert report_lesions(tumor.mask, ct, *lungs, min_lesion_ml=0.0).lesions[0].side == "Right"


def test_drawn_lungs_that_differ_beyond_reason_are_warned_of(boneless):
    ct, tumor = boneless
    chest = make_chest()
    left = segment("Left lung", chest.left, terminology.LEFT_LUNG)
    right = segment("Right lung", chest.right & ellipsoid((-64, 20, 55), (30, 30, 30)), terminology.RIGHT_LUNG)
    found = find_lungs(ct, [left, right, tumor])
    assert found.pair is not None
    (warning,) = found.warnings
    assert warning.startswith("The left lung measures 857 mL and the right lung")
    assert find_lungs(ct, [left, segment("Right lung", chest.right, terminology.RIGHT_LUNG)]).warnings == ()


def test_drawn_lungs_on_the_other_sides_are_warned_of(boneless):
    chest = make_chest()
    left = segment("Left lung", chest.right, terminology.LEFT_LUNG)
    right = segment("Right lung", chest.left, terminology.RIGHT_LUNG)
    (warning,) = find_lungs(boneless[0], [left, right]).warnings
    assert warning.startswith("The segment of the left lung lies on the right side of the CT")


@pytest.mark.parametrize("drawn", [True, False])
def test_the_body_that_was_found_with_the_lungs_is_not_looked_for_again(boneless, drawn, monkeypatch):
    ct, tumor = boneless
    chest = make_chest()
    lungs = [
        segment("Left lung", chest.left, terminology.LEFT_LUNG),
        segment("Right lung", chest.right, terminology.RIGHT_LUNG),
    ]
    beside = segment("Tumor 2", ellipsoid((-150, -100, 55), (8, 8, 8)) & np.ones(SHAPE, bool), terminology.TUMOR[None])
    monkeypatch.setattr(doubts, "find_body", lambda ct: pytest.fail("the body is known"))
    report = measure(ct, [tumor, beside, *(lungs if drawn else ())])
    assert ["outside the body" in warning for warning in report.warnings if "The segment Tumor" in warning] == [True]


def test_too_little_lung_is_warned_of(report):
    ct = every_second(CTVolume(np.full((10, 40, 40), 40, np.int16), AFFINE))
    ball = np.zeros((10, 40, 40), bool)
    ball[4:6, 16:24, 16:24] = True
    measured = measure(ct, [segment(TUMOR, ball, terminology.TUMOR[None])])
    assert measured.lesions[0].side is None
    assert measured.warnings == (
        "The CT shows too little lung, so the side and the location of each lesion are unknown.",
    )


def test_an_examination_to_compare_isolates_the_lungs_once_and_gives_no_side(
    boneless, isolation, tmp_path, monkeypatch
):
    ct, tumor = boneless
    write_segmentation([tumor], tmp_path / "tumor.seg.nrrd")
    write_volume(ct, tmp_path / "ct.nrrd")
    asked = []
    for module in (examination, isolation_room):
        monkeypatch.setattr(module, "isolate_lungs", lambda *_: asked.append(1) or isolation)
    read = read_examination(tmp_path / "tumor.seg.nrrd", tmp_path / "ct.nrrd")
    assert len(asked) == 1
    assert [lesion.side for lesion in read.lesions] == [None]
    assert read.lungs.array.sum() >= isolation.lungs.array.sum()
    assert any("found no spine in this CT" in warning for warning in read.warnings)
