"""Tables as CSV, in a form that neither a spreadsheet program nor a terminal takes for commands.

The module uses the standard library only, so that Slicer can import it at start-up.
"""

from __future__ import annotations

import csv
import math
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from .texts import printable

Value = str | int | float | None

CASE_COLUMN = "case"
"""Name of the last column, which is present only if the case has a name."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters that make a spreadsheet program treat a text as a formula."""

INVISIBLE_CATEGORIES = ("Cc", "Cf", "Zs")
"""Unicode categories of spaces and invisible characters, which spreadsheet programs may skip before a formula."""


def write_table(path: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a table as CSV: UTF-8, commas, decimal points.

    A cell is empty if its value is None or NaN. Control characters are written as their escapes. Texts that a
    spreadsheet program would run as a formula are prefixed with an apostrophe (OWASP, CSV injection); numbers stay
    numbers.

    Args:
        path: The file.
        header: The column names.
        rows: The values of each row, in the order of the columns.

    Raises:
        OSError: If the file cannot be written.
    """
    with path.open("w", encoding="utf-8", newline="") as file:
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
