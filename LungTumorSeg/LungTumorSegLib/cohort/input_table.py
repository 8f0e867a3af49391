"""Read the table that lists the CTs of a cohort."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ..core.dates import date_of, has_form_of_date
from ..core.errors import UnusableInput
from ..core.messages import unreadable
from ..core.texts import shown
from ..io.file_suffixes import without_suffix
from ..io.regular_files import check_regular
from .items import Item

PATH = "path"
COLUMNS = ("patient", "date", PATH, "phase", "series", "case")
"""Columns of the table; only ``path`` is required."""

DELIMITERS = ",;\t"

MOST_BYTES = 64 << 20
"""Largest size of a table in bytes; a row takes about 100."""


def read_table(path: Path) -> list[Item]:
    """Return the items of a table, in the order of its rows; a row that repeats another one is left out.

    A row that names the CT of an earlier row, but another patient, date or case, becomes an item with a problem, and so
    does one with more cells than the table has columns. The table is CSV in UTF-8 with commas, semicolons or tabs.
    Paths are relative to the folder of the table. Other columns are ignored.

    Args:
        path: The table.

    Raises:
        UnusableInput: If it cannot be read, has no column ``path`` or names a column twice.
    """
    lines = _text(path).splitlines(keepends=True)
    head = lines[0] if lines else ""
    delimiter = max(DELIMITERS, key=head.count)
    try:
        rows = list(csv.reader(io.StringIO("".join(lines), newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise UnusableInput(f"{shown(path)} is not a table in CSV format ({error}); save it again as CSV.") from error
    names = [name.strip().lower() for name in rows[0]] if rows else []
    twice = [name for name in COLUMNS if names.count(name) > 1]
    if PATH not in names or twice:
        what = f"names the column {twice[0]} twice" if twice else f"has no column {PATH!r}"
        raise UnusableInput(
            f"{shown(path)} {what}; its first line must name the columns, for example: patient,date,path."
        )
    base = path.absolute().parent
    cells = ((number, [cell.strip() for cell in row]) for number, row in enumerate(rows[1:], 2))
    filled = [(number, row) for number, row in cells if any(row)]
    too_long = {number for number, row in filled if any(row[len(names) :])}
    numbered = ((number, dict(zip(names, row, strict=False))) for number, row in filled)
    return list(_items(numbered, base, too_long))


def _items(rows: Iterable[tuple[int, dict[str, str]]], base: Path, too_long: Collection[int]) -> Iterator[Item]:
    """Yield an item per row, which has a number; paths are relative to ``base``.

    Rows whose numbers are in ``too_long`` have more cells than the table has columns, so that it is not known which
    cell is the path.
    """
    first: dict[tuple[Path, str, str], tuple[int, Item]] = {}
    for number, row in rows:
        item = _item(row, base, number)
        if number in too_long:
            item = replace(item, problem=_too_long(number))
        if item.problem:
            yield item
            continue
        earlier, known = first.setdefault((item.path, item.series, item.phase), (number, item))
        if known is item:
            yield item
        elif (item.patient, item.date, item.case) != (known.patient, known.date, known.case):
            problem = (
                f"Row {number} of the table names the same CT as row {earlier}, but another patient, date or case; "
                "correct the wrong row."
            )
            yield replace(item, problem=problem)


def _item(row: dict[str, str], base: Path, number: int) -> Item:
    value = {name: row.get(name, "") for name in COLUMNS}
    path = base / value[PATH]
    parts = (value["patient"] or without_suffix(path.name), value["date"], value["phase"])
    return Item(
        case=value["case"] or "_".join(filter(None, parts)),
        path=path,
        patient=value["patient"],
        date=value["date"],
        phase=value["phase"],
        series=value["series"],
        note=_note_on_date(value["date"]),
        problem="" if value[PATH] else f"Row {number} of the table names no path; enter the path of a CT.",
    )


def _too_long(number: int) -> str:
    return (
        f"Row {number} of the table has more cells than its first line names columns; put a text that contains the "
        "separator in quotation marks."
    )


def _note_on_date(text: str) -> str:
    if not has_form_of_date(text) or date_of(text):
        return ""
    return f"the date {shown(text)} does not exist; correct it in the table"


def _text(path: Path) -> str:
    check_regular(path)
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UnusableInput(unreadable(path, error)) from error
    if len(data) > MOST_BYTES:
        raise UnusableInput(f"{shown(path)} is larger than {MOST_BYTES >> 20} MB; give a table of the CTs.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnusableInput(
            f"{shown(path)} is not UTF-8 text; save the table as CSV in UTF-8, or use the command segment for one CT."
        ) from error
