"""Links and unlinks by hand: which win, where they are kept, and which files are refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from LungTumorSegLib import compare
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.followup.examination import read_examination
from LungTumorSegLib.followup.links import Choices, indices, read_choices
from two_lungs import write_examination

BALLS = {"Tumor 1": ((66.0, 0.0, 40.0), 9.0), "Tumor 2": ((-66.0, 10.0, 0.0), 7.0)}
PAIR, OTHER = ("Tumor 1", "Tumor 2"), ("Tumor 2", "Tumor 1")


@pytest.fixture(scope="module")
def exam(tmp_path_factory):
    return read_examination(write_examination(tmp_path_factory.mktemp("exam") / "exam", BALLS))


@pytest.fixture
def stored(exam, tmp_path):
    """What ``compare`` writes of the lesions of an examination against itself, with choices."""
    piece = [{"segment": lesion.name, "volume_ml": lesion.volume_ml} for lesion in exam.lesions]
    data = {"lesions": [{"earlier": piece, "later": piece}], "links": [PAIR], "unlinks": [OTHER]}
    path = tmp_path / "followup.json"
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("older", "newer", "both"),
    [
        (Choices((PAIR,)), Choices(), Choices((PAIR,))),
        (Choices((PAIR,)), Choices((PAIR, OTHER)), Choices((PAIR, OTHER))),
        (Choices((PAIR,)), Choices((), (PAIR,)), Choices((), (PAIR,))),
        (Choices((), (PAIR, OTHER)), Choices((PAIR,)), Choices((PAIR,), (OTHER,))),
    ],
)
def test_newer_choices_win(older, newer, both):
    assert older.followed_by(newer) == both


def test_stored_choices_are_read_again(exam, stored):
    assert read_choices(stored, exam, exam) == (Choices((PAIR,), (OTHER,)), ())
    assert indices([PAIR], exam, exam) == [(0, 1)]


def test_a_choice_about_a_lesion_that_no_longer_exists_is_left_out_with_a_warning(exam, stored):
    fewer = replace(exam, lesions=exam.lesions[:1])
    choices, warnings = read_choices(stored, exam, fewer)
    assert choices == Choices((), (OTHER,))
    assert len(warnings) == 1
    assert warnings[0].startswith("Tumor 1=Tumor 2 was linked or unlinked by hand")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"lesions": [], "links": [["Tumor 1"]]}',
        '{"lesions": [], "links": [[1, 2]]}',
        '{"lesions": [], "unlinks": 3}',
        '{"lesions": [{"earlier": [{"segment": "Tumor 1"}], "later": []}]}',
    ],
)
def test_other_files_are_refused(exam, tmp_path, content):
    path = tmp_path / "followup.json"
    path.write_text(content)
    with pytest.raises(UnusableInput, match=r"is not the followup\.json of a comparison"):
        read_choices(path, exam, exam)


def test_a_missing_file_is_named_as_missing(exam, tmp_path):
    with pytest.raises(UnusableInput, match="does not exist; check the path"):
        read_choices(tmp_path / "followup.json", exam, exam)


def test_the_file_of_other_results_is_refused(exam, stored):
    larger = replace(exam, lesions=tuple(replace(each, volume_ml=2 * each.volume_ml) for each in exam.lesions))
    with pytest.raises(UnusableInput, match=re.escape("compares other lesions than those of")):
        read_choices(stored, exam, larger)


def test_a_pair_cannot_be_both_linked_and_unlinked(exam):
    with pytest.raises(UnusableInput, match="Tumor 1=Tumor 2 is both linked and unlinked"):
        compare(exam, exam, links=[PAIR], unlinks=[PAIR])


def test_an_examination_without_lesions_says_so(tmp_path):
    assert not any("no lesion" in each for each in read_examination(write_examination(tmp_path / "a", BALLS)).warnings)
    (warning,) = read_examination(write_examination(tmp_path / "b", {})).warnings
    assert "counts as new or gone" in warning
