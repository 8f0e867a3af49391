"""Show the progress of a command in a terminal or a log: stage, percentage and time left.

A thread updates the display, so that a long step does not look like a standstill. A terminal shows the progress all the
time (drawn by ``rich`` if it is installed); elsewhere a plain line appears every ten seconds.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Mapping
from typing import IO, Any, Protocol

from ..core.events import Progress
from ..core.texts import printable
from .progress import RunProgress, stage_in_words
from .streams import say

LINE_SECONDS = 10.0
"""Seconds between two plain lines."""

JOIN_SECONDS = 2.0
"""Longest wait in seconds for the thread of the display; only a stream that blocks delays it."""

REFRESH_SECONDS = 0.5
"""Seconds between two updates of a terminal."""


class ProgressDisplay:
    """The progress of one command on a text stream, from the first step until ``close``."""

    def __init__(
        self, shares: Mapping[str, float], stream: IO[str] | None = None, *, period: float | None = None
    ) -> None:
        """Prepare the display; nothing is shown before the first step.

        Args:
            shares: Share of each stage in the time of the command, in the order of the stages.
            stream: The stream to write to; stderr by default.
            period: Seconds between two updates; by default it depends on the stream.
        """
        self._stream = stream or sys.stderr
        self._in_terminal = self._stream.isatty()
        self._period = period or (REFRESH_SECONDS if self._in_terminal else LINE_SECONDS)
        self._progress = RunProgress(shares)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._painter: _Painter | None = None
        self._thread: threading.Thread | None = None

    def update(self, step: Progress) -> None:
        """Record a step."""
        with self._lock:
            self._progress.update(step)
        if self._painter is None and not self._ended.is_set():
            self._painter = _painter_for(self._stream, self._in_terminal)
            self._thread = threading.Thread(target=self._show_now_and_then, daemon=True)
            self._thread.start()

    def hide(self) -> None:
        """Clear the terminal's line, so that other text can be written; the display appears again by itself."""
        with self._lock:
            if self._painter is not None and not self._ended.is_set():
                self._painter.close()
                self._painter = _painter_for(self._stream, self._in_terminal)

    def close(self) -> None:
        """Stop the display and its thread, and clear the terminal's line.

        A thread that still ran while the interpreter ends could crash it.
        """
        with self._lock:
            if self._painter is not None and not self._ended.is_set():
                self._painter.close()
            self._ended.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(JOIN_SECONDS)

    def _show_now_and_then(self) -> None:
        if self._in_terminal:
            self._show()
        while not self._ended.wait(self._period):
            self._show()

    def _show(self) -> None:
        with self._lock, contextlib.suppress(OSError):  # a full disk behind stderr must not end the run
            if self._painter is not None and not self._ended.is_set():
                text = stage_in_words(self._progress.stage)
                self._painter.paint(printable(text), self._progress.percent, self._progress.left_in_words)


class _Painter(Protocol):
    """One way to show a stage, a percentage and the time left ("" if unknown)."""

    def paint(self, stage: str, percent: int, left: str) -> None: ...
    def close(self) -> None: ...


class _Lines:
    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def paint(self, stage: str, percent: int, left: str) -> None:
        say(self._stream, _line(stage, percent, left) + "\n")

    def close(self) -> None:
        pass


class _OneLine:
    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def paint(self, stage: str, percent: int, left: str) -> None:
        say(self._stream, f"\r{_line(stage, percent, left)}\033[K")

    def close(self) -> None:
        say(self._stream, "\r\033[K")


class _RichBar:
    def __init__(self, stream: IO[str]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as RichProgress

        columns: tuple[Any, ...] = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[left]}", markup=False),
        )
        self._bar = RichProgress(*columns, console=Console(file=stream), transient=True, auto_refresh=False)
        self._task = self._bar.add_task("", total=100, left="")
        self._bar.start()

    def paint(self, stage: str, percent: int, left: str) -> None:
        self._bar.update(self._task, description=stage, completed=percent, left=left, refresh=True)

    def close(self) -> None:
        self._bar.stop()


def _painter_for(stream: IO[str], in_terminal: bool) -> _Painter:
    if not in_terminal:
        return _Lines(stream)
    try:
        return _RichBar(stream)
    except ImportError:
        return _OneLine(stream)


def _line(stage: str, percent: int, left: str) -> str:
    return f"{stage}: {percent}%" + (f", {left}" if left else "")
