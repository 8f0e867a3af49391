"""What came from outside can be shown: nothing steers a terminal, nothing is endless."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from LungTumorSegLib.core.texts import (
    LONGEST_VALUE,
    UNSAFE_CATEGORIES,
    bounded,
    counted,
    printable,
    quoted,
    shown_last,
)

STEERING = ["\x1b[31m", "\x9b31m", "\r", "\n", "\x07", "\x00", "\x7f", "\u202e", "\u2066", "\ufeff", "\u2028", "\ud800"]


@pytest.mark.parametrize("text", STEERING)
def test_what_steers_a_terminal_is_written_as_its_escape(text):
    shown = printable(f"Tumor {text}1")
    assert shown.startswith("Tumor \\")
    assert text[0] not in shown
    shown.encode("utf-8")


@given(st.text())
def test_no_text_steers_a_terminal_and_plain_text_stays(text):
    shown = printable(text)
    assert all(unicodedata.category(c) not in UNSAFE_CATEGORIES or c in "\u200c\u200d" for c in shown)
    assert printable(shown) == shown


@pytest.mark.parametrize("text", ["Müller", "日本語", "کتاب\u200cها", "Tumor 1 (edited)", "µm²"])
def test_names_of_all_languages_stay_as_they_are(text):
    assert printable(text) == text


def test_only_one_of_a_kind_is_singular():
    assert [counted(count, "lesion") for count in (0, 1, 2)] == ["0 lesions", "1 lesion", "2 lesions"]


def test_line_breaks_stay_where_they_are_wanted():
    assert printable("a\nb\tc", keep="\n") == "a\nb\\tc"


HUGE = {
    "text": "x" * 10_000_000,
    "bytes": b"x" * 1000,
    "list": list(range(100_000)),
    "nested": [[[0] * 1000] * 1000] * 1000,
    "mapping": {"a": {"b": 1}},
    "number": 10**5000,
}


@pytest.mark.parametrize("value", HUGE.values(), ids=HUGE)
def test_a_quoted_value_is_short_whatever_it_is(value):
    assert len(quoted(value)) <= LONGEST_VALUE


def test_a_short_value_is_quoted_in_full():
    assert (quoted("half"), quoted(3), quoted([1, 2]), quoted(None)) == ("'half'", "3", "[1, 2]", "None")


def test_a_long_message_keeps_its_ends():
    text = bounded("begin" + "x" * 10_000 + "end")
    assert len(text) <= 2000
    assert text.startswith("begin")
    assert text.endswith("end")


@pytest.mark.parametrize(("path", "text"), [(".", "{here}"), ("..", "{above}"), ("out", "out"), ("a\x1bb", "a\\x1bb")])
def test_a_path_at_the_end_of_a_sentence_is_not_changed_by_its_period(path, text):
    assert shown_last(Path(path)) == text.format(here=Path.cwd(), above=Path.cwd().parent)
