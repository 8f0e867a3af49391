"""Columns of lesions.csv, and the one function that writes tables as CSV.

The module uses the standard library only, so that Slicer can import it at start-up.
"""

# No postponed annotations here: names, order and types of the columns are read from a class's annotations.
import csv
import math
import unicodedata
from collections.abc import Iterable
from typing import Annotated, Literal, TextIO, TypedDict

from .texts import printable

Value = str | int | float | None

Side = Literal["Left", "Right"]
ZoneName = Literal["upper", "middle", "lower"]
Depth = Literal["central", "peripheral"]
Density = Literal["solid", "part-solid", "ground glass"]
SizeCategory = Literal["T1a", "T1b", "T1c", "T2a", "T2b", "T3", "T4"]
SideFromDominant = Literal["same side", "other side"]

Counted = Annotated[int, {"minimum": 1}]
"""A number from 1; the second argument is what JSON Schema says of it."""


class FirstColumns(TypedDict):
    """The first columns of lesions.csv, on whose names and positions other programs rely."""

    number: Counted
    segment: str
    side: Side | None
    volume_ml: float
    long_axis_mm: float
    short_axis_mm: float
    mean_hu: float
    centroid_x_lps_mm: float
    centroid_y_lps_mm: float
    centroid_z_lps_mm: float
    confidence: float | None


class LesionColumns(FirstColumns):
    """The columns of a lesion in the order of lesions.csv; new columns are appended."""

    volume_p5_ml: float | None
    volume_p95_ml: float | None
    size_category: SizeCategory
    density: Density
    solid_ml: float | None
    solid_long_axis_mm: float | None
    zone: ZoneName | None
    depth: Depth | None
    pleura_distance_mm: float | None
    mediastinum_distance_mm: float | None
    pleural_contact_cm2: float | None
    pleural_contact_length_mm: float | None
    mediastinal_contact_cm2: float | None
    chest_wall_contact_cm2: float | None
    diaphragm_contact_cm2: float | None
    distance_from_dominant_mm: float | None
    mesh_volume_ml: float | None
    surface_mm2: float | None
    sphericity: float | None
    diameter_3d_mm: float | None
    major_axis_mm: float | None
    minor_axis_mm: float | None
    least_axis_mm: float | None
    elongation: float | None
    flatness: float | None
    sd_hu: float | None
    min_hu: float | None
    p5_hu: float | None
    p10_hu: float | None
    p25_hu: float | None
    median_hu: float | None
    p75_hu: float | None
    p90_hu: float | None
    p95_hu: float | None
    max_hu: float | None
    carina_distance_mm: float | None
    side_from_dominant: SideFromDominant | None


def _kind(annotation: object) -> type[str | int | float]:
    """Return the type of a column's known values: int, float or str."""
    return int if annotation is Counted else float if annotation in (float, float | None) else str


FIRST_COLUMNS: dict[str, type[str | int | float]] = {
    name: _kind(annotation) for name, annotation in FirstColumns.__annotations__.items()
}
"""The first columns of lesions.csv, with their types."""

LESION_COLUMNS: tuple[str, ...] = tuple(LesionColumns.__annotations__)
"""The columns of a lesion in the order of lesions.csv."""

CASE_COLUMN = "case"
"""Name of the last column, which is present only if the case has a name."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters that make a spreadsheet program treat a text as a formula."""

INVISIBLE_CATEGORIES = ("Cc", "Cf", "Zs")
"""Unicode categories of spaces and invisible characters, which spreadsheet programs may skip before a formula."""


def write_table(file: TextIO, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a table as CSV with commas and decimal points.

    A cell is empty if its value is None or NaN. Control characters are written as their escapes. Texts that a
    spreadsheet program would run as a formula are prefixed with an apostrophe (OWASP, CSV injection); numbers stay
    numbers.

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
    text = printable(text, keep="\n\t")  # a terminal that shows the file must not obey it
    return f"'{text}" if value.startswith(FORMULA_STARTS) or _first_visible(value) in FORMULA_STARTS else text


def _first_visible(text: str) -> str:
    """Return the first visible character, with a full-width one as its plain form, or an empty text without one."""
    first = next((each for each in text if unicodedata.category(each) not in INVISIBLE_CATEGORIES), "")
    return unicodedata.normalize("NFKC", first)
