"""Progress as a person sees it: in a terminal, in a log, with and without rich."""

from __future__ import annotations

import io
import sys
import threading
import time

import pytest
from LungTumorSegLib.core.events import Progress
from LungTumorSegLib.process.terminal import ProgressDisplay

SHARES = {"reading": 0.5, "writing": 0.5}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO, words: str) -> str:
    display = ProgressDisplay(SHARES, stream, period=0.01)
    display.update(Progress("reading", 1, 2))
    deadline = time.monotonic() + 30
    while words not in stream.getvalue():
        assert time.monotonic() < deadline, stream.getvalue()
        time.sleep(0.01)
    display.close()
    text = stream.getvalue()
    display.update(Progress("writing", 1, 2))
    time.sleep(0.05)
    assert stream.getvalue() == text, "what is closed shows nothing more"
    return text


def test_a_log_gets_plain_lines_with_stage_percentage_and_time_left():
    text = shown(io.StringIO(), "s left\n")
    assert text.startswith("Reading the CT: 25%, 1 s left\n")
    assert "\x1b" not in text
    assert "\r" not in text


@pytest.mark.parametrize("rich", [True, False])
def test_a_terminal_gets_one_line_that_is_empty_in_the_end(rich, monkeypatch):
    if rich:
        pytest.importorskip("rich")
        monkeypatch.setenv("TERM", "xterm")
    else:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    text = shown(Terminal(), "25")
    assert "Reading the CT" in text
    assert text.endswith("\r\x1b[K") or rich


def test_nothing_is_shown_before_the_first_step():
    stream = Terminal()
    ProgressDisplay(SHARES, stream).close()
    assert stream.getvalue() == ""


def test_no_thread_of_the_display_outlives_it():
    """A thread that wakes while the interpreter ends could crash it."""
    before = set(threading.enumerate())
    display = ProgressDisplay(SHARES, io.StringIO())
    display.update(Progress("reading", 1, 2))
    assert set(threading.enumerate()) > before
    display.close()
    assert set(threading.enumerate()) == before
