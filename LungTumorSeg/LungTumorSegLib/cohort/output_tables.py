"""The tables of a cohort: cohort.csv with one row per CT, and lesions.csv with the lesions of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..core.csv_tables import Value, write_table
from ..core.errors import UnusableInput
from ..core.texts import counted
from ..lesions.columns import COLUMN
from ..results.contents import SUMMARY_FILE
from ..results.reader import is_changed_since_measured, read_summary
from .items import Item
from .records import DONE, FAILED, Record

COHORT_FILE, LESIONS_FILE, PHASES_FILE = "cohort.csv", "lesions.csv", "phases.csv"

ITEM_COLUMNS = ("case", "patient", "date", "phase")
"""First columns of both tables."""

COHORT_COLUMNS = (
    *ITEM_COLUMNS,
    "state",
    "reason",
    "lesions",
    "total_volume_ml",
    "largest_volume_ml",
    "largest_long_axis_mm",
    "left_lung_ml",
    "right_lung_ml",
    "warnings",
    "note",
    "path",
    "series",
    "result",
    "model",
    "weights_sha256",
    "software_version",
    "input_sha256",
    "ct_sha256",
)
"""Columns of cohort.csv; new ones are appended."""


SAME_VOXELS = "the same voxels as"
"""How the note on a CT begins that is a copy of another one."""

CHANGED_SINCE = "its segmentation was changed after it was measured, so measure it again"
"""The note on a CT whose numbers are older than its segmentation."""


@dataclass(frozen=True)
class Row:
    """An item, its record and its result.

    Attributes:
        item: The CT.
        record: How it ended.
        summary: Content of the result's summary.json; empty without a result.
    """

    item: Item
    record: Record
    summary: dict[str, Any] = field(default_factory=dict)

    @property
    def lesions(self) -> list[dict[str, Any]]:
        """Return the lesions, largest first."""
        lesions: list[dict[str, Any]] = self.summary.get("lesions", [])
        return lesions

    @property
    def total_ml(self) -> float | None:
        """Return the volume of all lesions in mL; None without a result."""
        volumes = [lesion.get("volume_ml") or 0.0 for lesion in self.lesions]
        return round(sum(volumes), 3) if self.summary else None

    @property
    def event(self) -> dict[str, Any]:
        """Return what an event "item" tells a program about the CT; new keys are appended."""
        return {
            "case": self.item.case,
            "state": self.record.state,
            "reason": self.record.reason,
            "lesions": len(self.lesions),
            "total_volume_ml": self.total_ml,
            "path": str(self.item.path),
            "series": self.item.series,
            "phase_number": self.item.phase_number,
        }

    @property
    def in_words(self) -> str:
        """Return the outcome in a few words: number and volume of the lesions, or why there is no result; the note."""
        note = f" (note: {self.item.note})" if self.item.note else ""
        if not self.summary:
            return f"{self.record.state}: {self.record.reason}{note}"
        count = len(self.lesions)
        return counted(count, "lesion") + (f", {self.total_ml:.2f} mL" if count else "") + note


def row_of(item: Item, record: Record, output: Path) -> Row:
    """Return the row of an item, with its result if it has one.

    A CT whose result can no longer be read counts as failed. A note says if its segmentation was corrected, but not
    measured since.
    """
    if record.state != DONE:
        return Row(item, record)
    folder = output / item.case
    try:
        row = Row(item, record, read_summary(folder / SUMMARY_FILE))
    except UnusableInput as error:
        return Row(item, Record(FAILED, reason=str(error)))
    return _with_note(row, CHANGED_SINCE) if is_changed_since_measured(folder) else row


def _with_note(row: Row, note: str) -> Row:
    """Return a row with a further note."""
    return replace(row, item=replace(row.item, note=". ".join(filter(None, (row.item.note, note)))))


def with_repeats_noted(rows: Sequence[Row]) -> list[Row]:
    """Return the rows, with a note on each CT that has the voxels of an earlier row, as a copy by mistake has."""
    first: dict[str, str] = {}
    noted = []
    for row in rows:
        checksum = row.summary.get("ct_sha256")
        other = first.setdefault(checksum, row.item.case) if checksum else row.item.case
        if other != row.item.case:
            row = _with_note(row, f"{SAME_VOXELS} {other}")
        noted.append(row)
    return noted


def write_tables(rows: Sequence[Row], folder: Path) -> None:
    """Write cohort.csv and lesions.csv into a folder.

    Raises:
        OSError: If a file cannot be written.
    """
    write_table(folder / COHORT_FILE, COHORT_COLUMNS, map(_cohort_cells, rows))
    write_table(
        folder / LESIONS_FILE, (*ITEM_COLUMNS, *COLUMN), (cells for row in rows for cells in _lesion_cells(row))
    )


def _item_cells(item: Item) -> list[Value]:
    return [getattr(item, name) for name in ITEM_COLUMNS]


def _cohort_cells(row: Row) -> list[Value]:
    item, record, summary = row.item, row.record, row.summary
    lungs = summary.get("lungs") or {}
    largest = row.lesions[0] if row.lesions else {}
    return [
        *_item_cells(item),
        record.state,
        record.reason,
        len(row.lesions) if summary else None,
        row.total_ml,
        largest.get("volume_ml"),
        largest.get("long_axis_mm"),
        lungs.get("left_ml"),
        lungs.get("right_ml"),
        " ".join(summary.get("warnings", [])),
        item.note,
        str(item.path),
        item.series,
        item.case if summary else None,
        summary.get("model"),
        summary.get("weights_sha256"),
        summary.get("software_version"),
        record.input_sha256,
        summary.get("ct_sha256"),
    ]


def _lesion_cells(row: Row) -> Iterator[list[Value]]:
    for lesion in row.lesions:
        yield [*_item_cells(row.item), *(lesion.get(name) for name in COLUMN)]
