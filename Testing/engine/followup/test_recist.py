"""Response by RECIST 1.1: limits, order of the rules, tables 1 and 2, and the answers of the RECIST working group."""

from __future__ import annotations

import pytest
from LungTumorSegLib.followup.recist import (
    Candidate,
    Response,
    Target,
    choose_targets,
    non_target_response,
    overall_response,
    target_response,
    volume_category,
)

CASES = [
    # name, diameters of each target over time (mm), category
    ("all targets gone", [(20, 0), (15, 0)], "CR"),
    ("one of two gone, the sum below 70 %", [(20, 0), (15, 15)], "PR"),
    ("exactly 30 % less", [(50, 35), (50, 35)], "PR"),
    ("29 % less", [(50, 35.5), (50, 35.5)], "SD"),
    ("unchanged", [(30, 30)], "SD"),
    ("exactly 20 % and more than 5 mm more", [(50, 60)], "PD"),
    ("19 % more", [(100, 119)], "SD"),
    ("20 % but less than 5 mm more", [(20, 24)], "SD"),
    ("20 % and exactly 5 mm more", [(25, 30)], "PD"),
    ("exactly 5 mm more, in numbers that are not exact", [(10.4, 11.0), (9.3, 13.7)], "PD"),
    ("40 % but 4 mm more", [(10, 14)], "SD"),
    ("growth is counted from the smallest sum, not from baseline", [(100, 50, 62)], "PD"),
    ("partial response is counted from baseline", [(100, 60, 65)], "PR"),
    ("10 % above the smallest sum, 45 % below baseline", [(100, 50, 55)], "PR"),
    ("back from a complete response by 5 mm", [(40, 0, 5)], "PD"),
    ("one of two is back with 4 mm", [(40, 0, 4), (40, 20, 20)], "PR"),
    ("one of two is back with 12 mm", [(40, 0, 12), (40, 20, 20)], "PD"),
    ("what can be measured counts below 5 mm", [(12, 3), (12, 3)], "PR"),
    ("partial response again after a stable examination", [(100, 68, 72, 67)], "PR"),
    ("2 mm above a small nadir", [(165, 63, 65)], "PR"),
    ("exactly 20 % above the nadir by less than 5 mm", [(60, 20, 24)], "PR"),
    ("progression against the nadir beats a partial response", [(200, 50, 60)], "PD"),
    ("growth of one hidden by shrinkage of the other", [(40, 55), (40, 25)], "SD"),
    ("response kept after a smaller sum", [(100, 40, 45, 47)], "PR"),
    ("progression after two stable visits", [(50, 48, 50, 58)], "PD"),
    ("one target not measured", [(40, 40), (30, None)], "NE"),
    ("one target not measured, the other alone grows enough", [(40, 90), (30, None)], "PD"),
    ("not measured at an earlier visit only", [(40, None, 20)], "PR"),
]


@pytest.mark.parametrize(("sizes", "category"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_targets_give_their_category(sizes, category):
    response = target_response([Target(tuple(each)) for each in sizes])
    assert response.category == category
    assert response.rules


@pytest.mark.parametrize(
    ("sizes", "category"),
    [
        ((18, 9.9), "CR"),
        ((18, 10), "PR"),
        ((20, 15), "SD"),
        ((15, 21), "PD"),
        ((16, 0), "CR"),
        ((18, 4, 9.5), "CR"),  # normal, though it has grown by more than 5 mm and 20 %
        ((18, 8, 13), "PD"),
    ],
)
def test_a_node_is_normal_below_10_mm_of_short_axis(sizes, category):
    assert target_response([Target(sizes, is_node=True)]).category == category


def test_a_normal_node_counts_in_the_sum_but_not_against_a_complete_response():
    response = target_response([Target((30, 0)), Target((20, 8), is_node=True)])
    assert (response.category, response.sum_mm) == ("CR", 8)


def test_the_response_states_its_sums():
    response = target_response([Target((60, 30, 33)), Target((40, 20, 22))])
    assert (response.baseline_mm, response.nadir_mm, response.sum_mm) == (100, 50, 55)


def test_without_targets_there_is_nothing_to_evaluate():
    assert target_response([]).category == "NE"


TABLE = [
    # target, non-target, new lesions, overall (tables 1 and 2)
    ("CR", "CR", False, "CR"),
    ("CR", None, False, "CR"),
    ("CR", "non-CR/non-PD", False, "PR"),
    ("CR", "NE", False, "PR"),
    ("PR", "non-CR/non-PD", False, "PR"),
    ("PR", "NE", False, "PR"),
    ("PR", "CR", False, "PR"),
    ("SD", "non-CR/non-PD", False, "SD"),
    ("SD", "NE", False, "SD"),
    ("NE", "non-CR/non-PD", False, "NE"),
    ("PD", "CR", False, "PD"),
    ("SD", "PD", False, "PD"),
    ("CR", "CR", True, "PD"),
    ("PR", None, True, "PD"),
    (None, "CR", False, "CR"),
    (None, "non-CR/non-PD", False, "non-CR/non-PD"),
    (None, "NE", False, "NE"),
    (None, "PD", False, "PD"),
    (None, "CR", True, "PD"),
    (None, None, False, "NE"),
    (None, None, True, "PD"),
]


@pytest.mark.parametrize(("target", "other", "new", "overall"), TABLE)
def test_the_parts_combine_as_in_the_tables(target, other, new, overall):
    parts = [None if each is None else Response(each, ("rule",)) for each in (target, other)]
    assert overall_response(*parts, new_lesions=new).category == overall


@pytest.mark.parametrize(
    ("target", "other", "overall"),
    [
        ("CR", "CR", "CR"),
        ("PR", "CR", "PD"),
        ("SD", None, "PD"),
        ("CR", "non-CR/non-PD", "PD"),
        (None, "non-CR/non-PD", "PD"),
        ("NE", "CR", "NE"),
    ],
)
def test_what_is_back_after_a_complete_response_is_progression(target, other, overall):
    parts = [None if each is None else Response(each, ("rule",)) for each in (target, other)]
    response = overall_response(*parts, new_lesions=False, was_complete=True)
    assert response.category == overall
    assert any("back after a complete response" in rule for rule in response.rules) == (overall == "PD")


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ((20, 0), "have disappeared (section 4.3.1)"),
        ((50, 30), "decreased by 40 % from baseline (50.0 mm): at least 30 % (section 4.3.1)"),
        ((100, 50, 62), "grown by 24 % and by 12.0 mm from its smallest value (50.0 mm)"),
        ((40, 0, 6), "grown by 6.0 mm from its smallest value (0.0 mm)"),
        ((20, 24), "grown by 20 %, but by less than 5 mm"),
        ((30, 31), "neither decreased by 30 % from baseline nor grown by 20 % and 5 mm"),
        ((30, None), "not measured, and the others alone show no progression"),
        ((None, 30), "not measured at baseline"),
    ],
)
def test_the_result_names_its_rule(sizes, words):
    assert words in " ".join(target_response([Target(sizes)]).rules)


@pytest.mark.parametrize(
    ("present", "progression", "category"),
    [
        ([False, False], False, "CR"),
        ([True, False], False, "non-CR/non-PD"),
        ([None, False], False, "NE"),
        ([None, True], False, "NE"),  # table 2: not all were evaluated
        ([True], True, "PD"),
    ],
)
def test_other_lesions_give_their_category(present, progression, category):
    assert non_target_response(present, progression=progression).category == category


def test_without_other_lesions_there_is_no_category():
    assert non_target_response([]) is None


def lesion(name, long_axis_mm, *, organ="lungs", short_axis_mm=8.0, is_node=False):
    return Candidate(name, organ, long_axis_mm, short_axis_mm, is_node)


@pytest.mark.parametrize(
    ("candidates", "slice_mm", "chosen"),
    [
        ([lesion("a", 12), lesion("b", 30), lesion("c", 20)], 1, "bc"),  # both lungs are one organ: two at most
        ([lesion("a", 9.9), lesion("b", 10)], 1, "b"),
        ([lesion("a", 15), lesion("b", 16)], 8, "b"),  # twice the thickness of slices above 5 mm
        ([lesion("a", 10)], 5, "a"),
        ([lesion("a", 25, short_axis_mm=14.9, is_node=True, organ="nodes")], 1, ""),
        ([lesion("a", 25, short_axis_mm=15, is_node=True, organ="nodes"), lesion("b", 40)], 1, "ba"),
        ([lesion(str(n), 20 + n, organ=str(n)) for n in range(7)], 1, "65432"),
        ([], 1, ""),
    ],
)
def test_targets_are_the_largest_measurable_lesions(candidates, slice_mm, chosen):
    assert "".join(candidates[n].name for n in choose_targets(candidates, slice_mm)) == chosen


@pytest.mark.parametrize(
    ("baseline", "nadir", "now", "category"),
    [(10, 10, 3.4, "PR"), (10, 10, 3.5, "SD"), (10, 10, 17.2, "SD"), (10, 10, 17.3, "PD"), (10, 2, 3.5, "PD"),
     (10, 10, 0, "CR"), (10, 0, 1, "PD")],
)  # fmt: skip
def test_volumes_give_a_category_beside(baseline, nadir, now, category):
    assert volume_category(baseline, nadir, now) == category
