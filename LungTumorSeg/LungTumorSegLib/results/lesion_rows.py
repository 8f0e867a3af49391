"""The lesions of summary.json as rows for Slicer's table and panel, and back into a file; the standard library alone."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.lesion_table import FIRST_COLUMNS as FIRST_COLUMNS
from ..core.lesion_table import write_table
from ..lesions.limits import LOW_CONFIDENCE

Value = str | int | float

CORRECTED, ADDED = "corrected", "added"
"""What the column ``correction`` says of a lesion with other voxels than the network's (a piece that was split off too, whose volume before
is not known), and of one that the network has not found."""

CORRECTION_COLUMNS: dict[str, type[Value]] = {
    "correction": str,
    "review": str,
    "network_volume_ml": float,
    "segment_id": str,
}
"""What is appended where somebody may correct: the two above and "confirmed" or "rejected" (empty: neither), the volume that the
network gave the lesion, and the id of its segment, which stays when it is renamed."""

UNITS = {"_ml": "mL", "_mm": "mm", "_hu": "HU"}
"""Unit of a column by the end of its name."""


@dataclass(frozen=True)
class LesionRow:
    """A lesion of the table: volume in mL, lengths in mm; ``confidence`` is nan and ``side`` empty where unknown."""

    number: int
    segment: str
    side: str
    volume_ml: float
    long_axis_mm: float
    short_axis_mm: float
    mean_hu: float
    confidence: float
    centroid_lps: tuple[float, float, float]
    """Before the segmentation's parent transform, mm."""
    correction: str = ""
    review: str = ""
    network_volume_ml: float = math.nan
    segment_id: str = ""

    @property
    def check(self) -> bool:
        """True where a person should look before believing it."""
        return self.confidence < LOW_CONFIDENCE


def columns_of(lesions: Sequence[dict[str, Any]]) -> dict[str, list[Value]]:
    """Column name to values, one a lesion; the first columns are there without any lesion, lists (rulers) are left out.

    What is unknown is an empty text or nan.
    """
    kinds = dict(FIRST_COLUMNS)
    for lesion in lesions:
        for name, value in lesion.items():
            if name in CORRECTION_COLUMNS:
                kinds.setdefault(name, CORRECTION_COLUMNS[name])
            elif isinstance(value, str | int | float):
                kinds.setdefault(name, str if isinstance(value, str) else float)
    return {name: [_typed(lesion.get(name), kind) for lesion in lesions] for name, kind in kinds.items()}


def rows_of(columns: Mapping[str, Sequence[Value]]) -> list[LesionRow]:
    """The rows of columns as ``columns_of`` gives them."""
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    fields = [
        name for name in (*FIRST_COLUMNS, *CORRECTION_COLUMNS) if name in columns and not name.startswith("centroid")
    ]
    return [
        LesionRow(
            **{name: row[name] for name in fields},
            centroid_lps=(
                float(row["centroid_x_lps_mm"]),
                float(row["centroid_y_lps_mm"]),
                float(row["centroid_z_lps_mm"]),
            ),
        )
        for row in rows
    ]


def numbered(lesions: Sequence[dict[str, Any]], known: Mapping[str, int]) -> list[dict[str, Any]]:
    """Number lesions after their segments and sort them by it, so that neither changes while a person corrects outlines.

    Args:
        lesions: rows in the order of the segmentation.
        known: numbers that segments were shown with before, by segment id.

    Returns:
        The rows in the order of their numbers. A segment "Tumor 3" has 3, also when it is renamed; another keeps its known number or, where
        that is taken, gets the next one.
    """
    numbers: dict[int, int] = {}
    for wanted in (_own_number, lambda lesion: known.get(lesion["segment_id"])):
        for index, lesion in enumerate(lesions):
            number = wanted(lesion)
            if index not in numbers and number is not None and number not in numbers.values():
                numbers[index] = number
    for index in range(len(lesions)):
        if index not in numbers:
            numbers[index] = max(numbers.values(), default=0) + 1
    rows = [lesion | {"number": numbers[index]} for index, lesion in enumerate(lesions)]
    return sorted(rows, key=lambda row: int(row["number"]))


def _own_number(lesion: Mapping[str, Any]) -> int | None:
    """The number in a segment's id or, where that has none, in its name."""
    match = re.fullmatch(r"Tumor_(\d+)", lesion.get("segment_id") or "")
    match = match or re.fullmatch(r"Tumor (\d+)", lesion.get("segment") or "")
    return int(match[1]) if match else None


def write_csv(columns: Mapping[str, Sequence[Value]], path: Path) -> None:
    """lesions.csv as the command line writes it: UTF-8, commas, a decimal point, empty where unknown. Raises OSError."""
    with path.open("w", encoding="utf-8", newline="") as file:
        write_table(file, columns, zip(*columns.values(), strict=True))


def _typed(value: Any, kind: type[Value]) -> Value:
    if value is None:
        return "" if kind is str else math.nan
    return kind(value)
