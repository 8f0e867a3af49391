"""The lesion table as CSV and as JSON."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from typing import Any

from ..io import complete_file
from .lesion_report import Lesion, LesionReport

Value = str | int | float | None

COLUMNS: dict[str, Callable[[Lesion], Value]] = {
    "number": lambda lesion: lesion.number,
    "segment": lambda lesion: lesion.segment,
    "side": lambda lesion: lesion.side,
    "volume_ml": lambda lesion: lesion.volume_ml,
    "long_axis_mm": lambda lesion: lesion.long_axis_mm,
    "short_axis_mm": lambda lesion: lesion.short_axis_mm,
    "mean_hu": lambda lesion: lesion.mean_hu,
    "centroid_x_lps_mm": lambda lesion: lesion.centroid_lps[0],
    "centroid_y_lps_mm": lambda lesion: lesion.centroid_lps[1],
    "centroid_z_lps_mm": lambda lesion: lesion.centroid_lps[2],
    "confidence": lambda lesion: lesion.confidence,
}
"""Columns of lesions.csv in order. Others rely on their names and places: new ones are appended."""

SIGNIFICANT_DIGITS = 7
"""Of each number in tables: single precision, so that rounding never shows in a comparison."""


def _rounded(value: Value) -> Value:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if isinstance(value, float) else value


def write_lesions_csv(report: LesionReport, path: str | os.PathLike[str]) -> None:
    """One row a lesion, largest first, units in the column names, empty where a value is not known; UTF-8, decimal point, commas.

    The file appears only when complete. Raises MachineLimit if it cannot be written.
    """
    with complete_file(path) as unfinished, open(unfinished, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([_rounded(value(lesion)) for value in COLUMNS.values()] for lesion in report.lesions)


def lesions_as_json(report: LesionReport) -> list[dict[str, Any]]:
    """The lesions for summary.json: the table's names and numbers, and the rulers' end points as LPS mm; null where not known."""
    return [
        {name: _rounded(value(lesion)) for name, value in COLUMNS.items()}
        | {
            f"{axis}_lps_mm": [[_rounded(c) for c in end] for end in (ruler.start_lps, ruler.end_lps)]
            for axis, ruler in (("long_axis", lesion.long_axis), ("short_axis", lesion.short_axis))
        }
        for lesion in report.lesions
    ]
