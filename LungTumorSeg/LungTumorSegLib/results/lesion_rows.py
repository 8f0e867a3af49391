"""Convert the lesions of summary.json to rows for Slicer's table and panel, and to CSV.

The module uses the standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.csv_tables import write_table
from ..core.lesion_numbers import lesion_numbers
from ..lesions.columns import COLUMN, FIRST_COLUMNS
from ..lesions.limits import LOW_CONFIDENCE

Value = str | int | float

CORRECTED, ADDED = "corrected", "added"
"""Values of the column ``correction``.

A corrected lesion has other voxels than the network's result. This includes a lesion that was split off another one,
whose earlier volume is unknown. An added lesion was not found by the network.
"""

CORRECTION_COLUMNS: dict[str, type[Value]] = {
    "correction": str,
    "review": str,
    "network_volume_ml": float,
    "segment_id": str,
}
"""Columns that are appended where lesions can be corrected.

They are ``correction`` (one of the values above), ``review`` ("confirmed", "rejected" or empty), the volume that the
network gave the lesion, and the id of its segment, which does not change when the segment is renamed.
"""


@dataclass(frozen=True)
class LesionRow:
    """One row of the lesion table.

    Attributes:
        number: Number of the lesion.
        segment: Name of the segment.
        side: Side of the body; empty if unknown.
        volume_ml: Volume in mL.
        long_axis_mm: Long axis in mm.
        short_axis_mm: Short axis in mm.
        mean_hu: Mean HU.
        confidence: Confidence from 0 to 1; NaN if unknown.
        centroid_lps: Centroid in LPS mm, before the segmentation's parent transform.
        correction: "corrected", "added" or empty.
        review: "confirmed", "rejected" or empty.
        network_volume_ml: Volume that the network gave the lesion, in mL; NaN if unknown.
        segment_id: Id of the segment.
        values: The values of all columns by name, for columns without an attribute.
    """

    number: int
    segment: str
    side: str
    volume_ml: float
    long_axis_mm: float
    short_axis_mm: float
    mean_hu: float
    confidence: float
    centroid_lps: tuple[float, float, float]
    correction: str = ""
    review: str = ""
    network_volume_ml: float = math.nan
    segment_id: str = ""
    values: Mapping[str, Value] = field(default_factory=dict, compare=False, repr=False)

    @property
    def check(self) -> bool:
        """Return whether a person should check the lesion before relying on it."""
        return self.confidence < LOW_CONFIDENCE


def columns_of(lesions: Sequence[dict[str, Any]]) -> dict[str, list[Value]]:
    """Return the values of the lesions by column name, with one value per lesion.

    The first columns exist even without any lesion. Values that are lists (rulers) are omitted. An unknown value is an
    empty text or NaN.

    Args:
        lesions: The lesions of summary.json.
    """
    kinds = {column.name: column.type for column in FIRST_COLUMNS}
    for lesion in lesions:
        for name, value in lesion.items():
            if name in CORRECTION_COLUMNS:
                kinds.setdefault(name, CORRECTION_COLUMNS[name])
            elif isinstance(value, str | int | float):
                kinds.setdefault(name, str if isinstance(value, str) else float)
    return {name: [_typed(lesion.get(name), kind) for lesion in lesions] for name, kind in kinds.items()}


def type_of(name: str, values: Sequence[Value]) -> type[Value]:
    """Return the type of a column: the stated one, or else that of its values."""
    known = COLUMN[name].type if name in COLUMN else CORRECTION_COLUMNS.get(name)
    return known or (type(values[0]) if values else float)


def unit_of(name: str) -> str:
    """Return the unit of a column; empty if it has none."""
    unit = COLUMN[name].unit if name in COLUMN else "mL" if name.endswith("_ml") else ""
    return "" if unit[:1].isdigit() else unit


def rows_of(columns: Mapping[str, Sequence[Value]]) -> list[LesionRow]:
    """Return one row per lesion from the columns that ``columns_of`` returns."""
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    known = [column.name for column in FIRST_COLUMNS]
    attributes = [name for name in (*known, *CORRECTION_COLUMNS) if name in columns and not name.startswith("centroid")]
    return [
        LesionRow(
            **{name: row[name] for name in attributes},
            centroid_lps=(
                float(row["centroid_x_lps_mm"]),
                float(row["centroid_y_lps_mm"]),
                float(row["centroid_z_lps_mm"]),
            ),
            values=row,
        )
        for row in rows
    ]


def number_lesions(lesions: Sequence[dict[str, Any]], known: Mapping[str, int]) -> list[dict[str, Any]]:
    """Assign numbers to lesions by their segments and sort them by number.

    Neither number nor order changes while a person corrects outlines.

    Args:
        lesions: Rows in the order of the segmentation.
        known: Numbers under which segments were shown before, by segment id.

    Returns:
        The rows in the order of their numbers (see ``lesion_numbers``).
    """
    segments = [(lesion.get("segment_id") or "", lesion.get("segment") or "") for lesion in lesions]
    numbers = lesion_numbers(segments, known)
    rows = [lesion | {"number": number} for lesion, number in zip(lesions, numbers, strict=True)]
    return sorted(rows, key=lambda row: int(row["number"]))


def write_csv(columns: Mapping[str, Sequence[Value]], path: Path) -> None:
    """Write lesions.csv like the command line: UTF-8, commas, decimal points, and empty cells for unknown values.

    Raises:
        OSError: If the file cannot be written.
    """
    write_table(path, columns, zip(*columns.values(), strict=True))


def _typed(value: Any, kind: type[Value]) -> Value:
    if value is None:
        return "" if kind is str else math.nan
    return kind(value)
