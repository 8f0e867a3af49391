"""Cohorts of text files for the stand-in of the engine, and what a batch makes of them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from LungTumorSegLib.cohort.batch import Batch
from LungTumorSegLib.core.events import Cancelled, Progress
from LungTumorSegLib.options import SegmentOptions
from LungTumorSegLib.process.progress import COMMAND_SHARES


class Heard:
    """A channel that keeps steps, items with their events, and results; it cancels after ``most`` items."""

    def __init__(self, most: int = 1000) -> None:
        self.steps: list[tuple[int, int]] = []
        self.items: list[str] = []
        self.events: list[dict[str, Any]] = []
        self.results: list[tuple[dict[str, Any], str]] = []
        self.most = most

    def progress(self, progress: Progress) -> None:
        assert progress.stage in COMMAND_SHARES["batch"]
        self.steps.append((progress.done, progress.total))
        if len(self.items) >= self.most:
            raise Cancelled

    def item(self, data: dict[str, Any], text: str) -> None:
        self.events.append(data)
        if text:  # otherwise the CT is waiting
            self.items.append(text)

    def result(self, data: dict[str, Any], text: str) -> None:
        self.results.append((data, text))


def a_cohort(folder: Path, **words: str) -> Path:
    """Write one input per case, and the table that lists them."""
    rows = ["patient,path"]
    for case, word in words.items():
        (folder / f"{case}.txt").write_text(f"{word} {case}", encoding="utf-8")
        rows.append(f"{case},{case}.txt")
    (folder / "table.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder / "table.csv"


def batch(table: Path, arguments: Sequence[str] = (), **more: Any) -> Batch:
    return Batch(table, table.parent / "out", tuple(arguments), SegmentOptions(), **{"workers": 2, **more})


def rows(folder: Path, name: str = "cohort.csv") -> list[dict[str, str]]:
    with (folder / "out" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def starts(folder: Path) -> list[str]:
    path = folder / "starts.txt"
    return sorted(path.read_text(encoding="utf-8").split()) if path.exists() else []
