"""Three and four examinations: ids, histories, smallest sums, and what comes back, splits and merges."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from LungTumorSegLib.core.boxes import box_of_label, slices_of
from LungTumorSegLib.core.crops import crop_at
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.followup import comparison
from LungTumorSegLib.followup.comparison import FollowUp, compare_all
from LungTumorSegLib.followup.examination import Examination
from LungTumorSegLib.followup.lesion import TimedLesion
from LungTumorSegLib.followup.registration import Registration

SHAPE, SPACING = (40, 40, 60), 2.0
AFFINE = np.diag([*(SPACING,) * 3, 1.0])[[2, 1, 0, 3]]
POINTS = np.stack(np.indices(SHAPE)[::-1], axis=-1) * SPACING
HERE, BESIDE, THERE, ELSEWHERE = (40.0, 40, 40), (58.0, 40, 40), (90.0, 40, 40), (40.0, 40, 70)

Ball = tuple[tuple[float, float, float], float]


@pytest.fixture(autouse=True)
def aligned(monkeypatch):
    """The patient does not move."""

    def register(earlier, later):
        return Registration(
            np.eye(4), np.zeros((*SHAPE, 3), np.float32), Volume(np.empty(SHAPE), AFFINE).grid, 0.99, 0.5, 1.0
        )

    monkeypatch.setattr(comparison, "register", register)
    monkeypatch.setattr(comparison, "lung_grid", lambda lungs, ct, lesions: None)


def exam(balls: dict[str, Ball], *, cut: int = SHAPE[0]) -> Examination:
    """Return an examination with lesions of these centers, mm, and radii; ``cut`` is its number of slices."""
    lesions = []
    for name, (center, radius) in balls.items():
        mask = (np.linalg.norm(POINTS - center, axis=-1) <= radius)[:cut]
        box = box_of_label(mask, True)
        crop = crop_at(mask[slices_of(box)], box, Volume(mask, AFFINE))
        volume = float(mask.sum()) * SPACING**3 / 1000
        lesions.append(TimedLesion(name, crop, volume, 2 * radius, 2 * radius, tracking_uid=f"1.{len(lesions)}"))
    return Examination("exam", tuple(lesions), Volume(np.ones((cut, *SHAPE[1:]), bool), AFFINE))


def followed(*days: dict[str, Ball], **cut) -> FollowUp:
    return compare_all([exam(balls) for balls in days[:-1]] + [exam(days[-1], **cut)], days=90)


def names(found: FollowUp) -> dict[str, list[list[str]]]:
    return {track.id: [[lesion.name for lesion in visit] for visit in track.visits] for track in found.tracks}


def test_ids_and_volumes_stay_over_four_examinations_whatever_the_segments_are_called():
    found = followed(
        {"A": (HERE, 8), "B": (THERE, 6)},
        {"B": (HERE, 9), "A": (THERE, 6)},
        {"C": (THERE, 6), "D": (HERE, 10)},
        {"A": (HERE, 11), "B": (THERE, 6), "C": (ELSEWHERE, 5)},
    )
    assert names(found) == {
        "L1": [["A"], ["B"], ["D"], ["A"]],
        "L2": [["B"], ["A"], ["C"], ["B"]],
        "L3": [[], [], [], ["C"]],
    }
    volumes = found.tracks[0].as_json(90)["volumes_ml"]
    assert volumes == sorted(volumes)
    assert found.followed_targets[0].target.sizes_mm == (16, 18, 20, 22)


def test_a_lesion_that_comes_back_is_the_same_and_not_new():
    found = followed({"A": (HERE, 8), "B": (THERE, 8)}, {"B": (THERE, 8)}, {"B": (THERE, 8), "X": (HERE, 5)})
    assert names(found) == {"L1": [["A"], [], ["X"]], "L2": [["B"], ["B"], ["B"]]}
    back = next(track for track in found.tracks if track.id == "L1")
    assert (back.status, back.returned, back.later[0].tracking_uid) == ("new", True, "1.0")
    assert found.response.category == "PD"  # 16 mm, and 26 mm now: the sum has grown by 10 mm
    assert not any("new lesions" in rule for rule in found.response.rules)


def test_a_lesion_that_comes_back_after_two_examinations_is_the_same():
    found = followed({"A": (HERE, 8)}, {}, {}, {"X": (HERE, 8)})
    assert names(found) == {"L1": [["A"], [], [], ["X"]]}
    assert found.response.category == "PD"


def test_a_small_lesion_that_comes_back_after_a_complete_response_is_progression():
    found = followed({"A": (HERE, 8), "B": (THERE, 4)}, {}, {"X": (THERE, 4)})
    assert found.response.category == "PD"
    assert any("back after a complete response" in rule for rule in found.response.rules)


def test_another_lesion_is_not_taken_for_the_one_that_is_gone():
    found = followed({"A": (HERE, 8)}, {}, {"X": (ELSEWHERE, 8)})
    assert names(found) == {"L1": [["A"], [], []], "L2": [[], [], ["X"]]}
    assert any("new lesions" in rule for rule in found.response.rules)


PIECES = {"A1": ((40.0, 40, 35), 5), "A2": ((40.0, 40, 47), 5)}


def test_pieces_of_a_lesion_stay_one_lesion_and_may_merge_again():
    whole = {"A": ((40.0, 40, 41), 11)}
    found = followed(whole, PIECES, {"P": PIECES["A1"], "Q": PIECES["A2"]}, {"Z": whole["A"]})
    assert names(found) == {"L1": [["A"], ["A1", "A2"], ["P", "Q"], ["Z"]]}
    assert found.tracks[0].status == "merged"
    assert found.followed_targets[0].target.sizes_mm == (22, 20, 20, 22)


def test_merged_targets_are_measured_once_and_the_baseline_stays():
    days = [{"A": (HERE, 9), "B": (BESIDE, 7)}, {"A": (HERE, 9), "B": (BESIDE, 7)}, {"M": ((48.0, 40, 40), 16)}]
    before, after = followed(*days[:2]), followed(*days)
    assert names(after) == {"L1": [["A", "B"], ["A", "B"], ["M"]]}
    assert before.response.baseline_mm == after.response.baseline_mm == 32
    assert after.targets == ("L1",)
    assert after.response.sum_mm == 32
    assert after.tracks[0].merged_ids == ("L2",)
    fourth = followed(*days, {"M": ((48.0, 40, 40), 16)})
    assert (fourth.targets, fourth.tracks[0].merged_ids, fourth.response.sum_mm) == (("L1",), ("L2",), 32)


def test_what_merges_with_a_lesion_that_is_no_target_leaves_the_baseline_alone():
    found = followed({"A": (HERE, 9), "B": (THERE, 8), "C": (BESIDE, 7)}, {"M": ((48.0, 40, 40), 16), "B": (THERE, 8)})
    assert (found.response.baseline_mm, found.response.sum_mm) == (34, 48)
    assert any("merged with a lesion that is no target" in rule for rule in found.response.rules)


def test_the_smallest_sum_counts_from_the_oldest_examination():
    found = followed({"A": (HERE, 15)}, {"A": (HERE, 8)}, {"A": (HERE, 9)}, {"A": (HERE, 11)})
    assert (found.response.category, found.response.baseline_mm, found.response.nadir_mm) == ("PD", 30, 16)


def test_the_response_at_each_examination_is_kept_and_shown(tmp_path):
    found = followed({"A": (HERE, 15)}, {"A": (HERE, 8)}, {"A": (HERE, 11)}, {"A": (HERE, 9)})
    data = found.save(tmp_path / "out")
    history = [(each["category"], each["sum_mm"]) for each in data["recist_1_1"]["history"]]
    assert history == [("PR", 16), ("PD", 22), ("PR", 18)]
    assert any("had progressed at an examination before" in rule for rule in found.response.rules)
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", (tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    row = cells.index("Examination 3")
    assert cells[row + 1 : row + 5] == ["22.0", "-27 %", "+38 %", "PD"]
    two = followed({"A": (HERE, 15)}, {"A": (HERE, 8)})
    assert not two.earlier_responses
    assert not any("had progressed" in rule for rule in two.response.rules)


def test_what_was_linked_by_hand_is_kept_in_every_step(tmp_path):
    days = [exam({"A": (HERE, 6)}), exam({"B": (ELSEWHERE, 6)}), exam({"C": (THERE, 6)})]
    files = []
    for pair, link in ((days[:2], ("A", "B")), (days[1:], ("B", "C"))):
        compare_all(pair, days=90, links=[link]).save(tmp_path / link[0], report=False)
        files.append(tmp_path / link[0] / "followup.json")
    assert names(compare_all(days, days=90, links_from=files)) == {"L1": [["A"], ["B"], ["C"]]}
    assert names(compare_all(days, days=90, links_from=files[1:])) == {
        "L1": [["A"], [], []],
        "L2": [[], ["B"], ["C"]],
    }
    with pytest.raises(UnusableInput, match="--links names 3 files, but 3 examinations are given"):
        compare_all(days, days=90, links_from=[*files, *files[1:]])


def test_a_lesion_outside_the_later_ct_is_not_known_to_be_gone():
    found = followed({"A": (ELSEWHERE, 8), "B": (HERE, 8)}, {"B": (HERE, 8)}, cut=30)
    assert not found.tracks[0].later_in_view
    assert (found.response.category, found.volume_response) == ("NE", "NE")
    assert any("does not show the place of L1" in warning for warning in found.warnings)


NODE = ("Lymph node 4R", "Tumor 1")


def node(name: str, short_axis_mm: float) -> dict[str, Ball]:
    return {name: (HERE, short_axis_mm / 2)}


def pieces(name: str, *short_axes_mm: float) -> dict[str, Ball]:
    return {f"{name} {n}": ((40.0, 40, 35 + 10 * n), mm / 2) for n, mm in enumerate(short_axes_mm)}


@pytest.mark.parametrize(
    ("before", "after", "category", "words"),
    [
        (node(NODE[0], 8), node(NODE[0], 12), "PD", "may not be disease"),
        (node(NODE[0], 8), node(NODE[0], 16), "PD", "new lesions"),
        (node(NODE[0], 8), node(NODE[0], 9), "NE", ""),
        ({}, node(NODE[0], 8), "NE", ""),
        (node(NODE[0], 12), node(NODE[0], 8), "CR", "non-target lesions have disappeared"),
        (node(NODE[0], 18), node(NODE[1], 18), "SD", ""),
        (node(NODE[0], 12), node(NODE[1], 8), "CR", "non-target lesions have disappeared"),
        (node(NODE[0], 8), node(NODE[1], 9), "NE", ""),
        (node(NODE[1], 12), node(NODE[0], 8), "PR", "decreased"),
        (node(NODE[0], 18), pieces(NODE[0], 8, 8), "CR", "every target node is shorter than 10 mm"),
        (node(NODE[0], 14), pieces(NODE[0], 8, 8), "CR", "non-target lesions have disappeared"),
        (node(NODE[0], 18), pieces(NODE[0], 8, 10), "SD", "added up"),
    ],
    ids=[
        "grown to 12 mm",
        "grown to 16 mm",
        "normal twice",
        "a new normal one",
        "normal now",
        "renamed",
        "normal and renamed",
        "normal twice and renamed",
        "a tumor called a node later",
        "target split into normal",
        "non-target split into normal",
        "split, one abnormal",
    ],
)
def test_nodes_are_disease_from_10_mm_of_short_axis(before, after, category, words):
    found = followed(before, after)
    assert found.response.category == category
    assert words in " ".join(found.response.rules)


@pytest.mark.parametrize(("probability", "mentioned"), [(0.7, True), (0.3, False), (None, False)])
def test_a_target_that_may_be_too_small_to_measure_is_mentioned(monkeypatch, probability, mentioned):
    monkeypatch.setattr(Examination, "highest_probability", lambda exam, points: probability)
    found = followed({"A": (HERE, 8)}, {})
    assert found.response.category == "CR"
    assert any("too small to measure, RECIST counts 5 mm" in rule for rule in found.response.rules) == mentioned


def rejecting(balls: dict[str, Ball], rejected: dict[str, Ball]) -> Examination:
    """Return an examination in which a reader rejected some lesions."""
    return replace(exam(balls), rejected=exam(rejected).lesions)


@pytest.mark.parametrize(
    ("earlier", "later", "sentence"),
    [
        (({"A": (HERE, 8)}, {}), ({}, {"B": (HERE, 7)}), "L1 counts as gone because B was rejected in the later CT"),
        (({}, {"A": (HERE, 8)}), ({"B": (HERE, 7)}, {}), "L1 counts as new because A was rejected in the earlier CT"),
        (({"A": (HERE, 8)}, {}), ({}, {"B": (ELSEWHERE, 7)}), None),
        (({}, {"A": (THERE, 8)}), ({"B": (HERE, 7)}, {}), None),
        (({}, {"A": (HERE, 8)}), ({}, {"B": (HERE, 7)}), None),
    ],
    ids=["gone", "new", "rejected elsewhere", "rejected elsewhere before", "rejected in both"],
)
def test_a_lesion_that_was_rejected_in_one_ct_alone_is_neither_new_nor_gone_silently(earlier, later, sentence):
    warnings = compare_all([rejecting(*earlier), rejecting(*later)], days=90).warnings
    assert [each.split(";")[0] for each in warnings if "rejected" in each] == ([sentence] if sentence else [])


def test_without_any_lesion_the_response_says_why_there_is_none():
    found = followed({}, {})
    assert found.response.category == "NE"
    assert "neither the baseline nor this examination has a lesion" in " ".join(found.response.rules)


def test_what_is_doubtful_about_earlier_examinations_is_kept():
    days = [replace(exam({"A": (HERE, 8.0)}), warnings=(f"Doubt {number}.",)) for number in (1, 2, 3)]
    warnings = compare_all(days, days=90).warnings
    assert [each for each in warnings if "Doubt" in each] == [
        "Examinations 1 and 2: Earlier CT: Doubt 1.",
        "Earlier CT: Doubt 2.",
        "Later CT: Doubt 3.",
    ]
