"""Rows of the lesion table: numbers that belong to segments."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from LungTumorSegLib.results.lesion_rows import number_lesions


def rows(*ids: str) -> list[dict]:
    return [{"segment_id": i, "segment": i.replace("_", " ")} for i in ids]


@pytest.mark.parametrize(
    ("ids", "known", "numbers"),
    [
        (["Tumor_2", "Tumor_1"], {}, {"Tumor_1": 1, "Tumor_2": 2}),
        (["Tumor_3"], {"Tumor_3": 1}, {"Tumor_3": 3}),
        (["A nodule", "Tumor_2"], {}, {"Tumor_2": 2, "A nodule": 3}),
        (["A nodule", "Tumor_2"], {"A nodule": 1}, {"A nodule": 1, "Tumor_2": 2}),
        (["A nodule", "Tumor_1"], {"A nodule": 1}, {"Tumor_1": 1, "A nodule": 2}),
        (["b", "a"], {}, {"b": 1, "a": 2}),
    ],
)
def test_a_lesion_has_the_number_of_its_segment(ids, known, numbers):
    found = number_lesions(rows(*ids), known)
    assert {row["segment_id"]: row["number"] for row in found} == numbers
    assert [row["number"] for row in found] == sorted(numbers.values())


def test_a_renamed_segment_keeps_its_number_and_one_without_an_id_has_that_of_its_name():
    found = number_lesions(
        [{"segment_id": "Tumor_4", "segment": "My mass"}, {"segment_id": "", "segment": "Tumor 2"}], {}
    )
    assert [(row["number"], row["segment"]) for row in found] == [(2, "Tumor 2"), (4, "My mass")]


IDS = st.lists(st.sampled_from(["Tumor_1", "Tumor_2", "Tumor_3", "a", "b", "c"]), unique=True)


@given(IDS, IDS)
def test_numbers_differ_and_those_of_lesions_that_stay_are_kept(before, later):
    known = {row["segment_id"]: row["number"] for row in number_lesions(rows(*before), {})}
    found = {row["segment_id"]: row["number"] for row in number_lesions(rows(*later), known)}
    assert len(set(found.values())) == len(later)
    kept = [i for i in before if i in later]
    assert {i: found[i] for i in kept if i.startswith("Tumor")} == {i: known[i] for i in kept if i.startswith("Tumor")}
    fresh = {found[i] for i in later if i not in before and i.startswith("Tumor")}
    assert all(found[i] == known[i] for i in kept if known[i] not in fresh)
