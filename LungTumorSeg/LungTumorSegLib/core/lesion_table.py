"""Columns of lesions.csv, and the one function that writes tables as CSV.

The module uses the standard library only, so that Slicer can import it at start-up.
"""

from __future__ import annotations

import csv
import math
import unicodedata
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
"""The first columns of lesions.csv, with their types."""

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
"""The columns of a lesion in the order of lesions.csv.

Other programs rely on their names and positions: new columns are appended.
"""

CASE_COLUMN = "case"
"""Name of the last column, which is present only if the case has a name."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters that make a spreadsheet program treat a text as a formula."""

INVISIBLE_CATEGORIES = ("Cc", "Cf", "Zs")
"""Unicode categories of spaces and invisible characters, which spreadsheet programs may skip before a formula."""


def write_table(file: TextIO, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a table as CSV with commas and decimal points.

    A cell is empty if its value is None or NaN. Texts that a spreadsheet program would run as a formula are prefixed
    with an apostrophe (OWASP, CSV injection); numbers stay numbers.

    Args:
        file: A text file that is open for writing.
        header: The column names.
        rows: The values of each row, in the order of the columns.
    """
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([_cell(name) for name in header])
    writer.writerows([_cell(value) for value in row] for row in rows)


def _cell(value: object) -> object:
    if isinstance(value, float) and math.isnan(value):
        return ""
    if not isinstance(value, str):
        return value
    text = value.replace("\r", " ")  # csv leaves it unquoted, and readers would end the row there
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")  # bytes of a file name that are not valid text
    return f"'{text}" if value.startswith(FORMULA_STARTS) or _first_visible(value) in FORMULA_STARTS else text


def _first_visible(text: str) -> str:
    """Return the first visible character, a full-width one as its plain form; "" if there is none."""
    first = next((each for each in text if unicodedata.category(each) not in INVISIBLE_CATEGORIES), "")
    return unicodedata.normalize("NFKC", first)
