"""The columns of lesions.csv, and the one writer of tables as CSV; the standard library alone, so that Slicer reads it at start-up."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from typing import TextIO

Value = str | int | float | None

FIRST_COLUMNS: dict[str, type[str | int | float]] = {
    "number": int,
    "segment": str,
    "side": str,
    "volume_ml": float,
    "long_axis_mm": float,
    "short_axis_mm": float,
    "mean_hu": float,
    "centroid_x_lps_mm": float,
    "centroid_y_lps_mm": float,
    "centroid_z_lps_mm": float,
    "confidence": float,
}
"""The columns that lesions.csv begins with, and their types."""

LESION_COLUMNS: tuple[str, ...] = (
    *FIRST_COLUMNS,
    "volume_p5_ml", "volume_p95_ml", "size_category", "density", "solid_ml", "solid_long_axis_mm", "zone", "depth",
    "pleura_distance_mm", "mediastinum_distance_mm", "pleural_contact_cm2", "pleural_contact_length_mm",
    "mediastinal_contact_cm2", "chest_wall_contact_cm2", "diaphragm_contact_cm2", "distance_from_dominant_mm",
    "mesh_volume_ml", "surface_mm2", "sphericity", "diameter_3d_mm", "major_axis_mm", "minor_axis_mm", "least_axis_mm",
    "elongation", "flatness",
    "sd_hu", "min_hu", "p5_hu", "p10_hu", "p25_hu", "median_hu", "p75_hu", "p90_hu", "p95_hu", "max_hu",
    "carina_distance_mm", "side_from_dominant",
)  # fmt: skip
"""The columns of a lesion in the order of lesions.csv. Others rely on their names and places: new ones are appended."""

CASE_COLUMN = "case"
"""The last column, where the case has a name."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""A text that begins with one of these is a formula for spreadsheet programs."""


def write_table(file: TextIO, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a table as CSV: commas, a decimal point, empty where a value is None or no number.

    Texts that a spreadsheet would run as a formula get an apostrophe in front (OWASP, CSV injection); numbers stay numbers.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([_cell(name) for name in header])
    writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: object) -> object:
    if isinstance(value, float) and math.isnan(value):
        return ""
    if not isinstance(value, str):
        return value
    text = value.replace("\r", " ")  # which the csv module leaves unquoted, and readers take for the end of the row
    return f"'{text}" if value.startswith(FORMULA_STARTS) else text
