"""The tables of docs/performance.md that the benchmark writes, each between two marks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from timing import machine

Columns = Mapping[str, Mapping[str, str]]
"""A table: from the head of a column to its cells by the name of the row."""


def block(columns: Columns, *notes: str) -> str:
    """Return a table with the notes and the machine above it, as Markdown."""
    names = list(dict.fromkeys(name for cells in columns.values() for name in cells))
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    lines += [f"| {name} | {' | '.join(cells.get(name, '') for cells in columns.values())} |" for name in names]
    return "\n".join([" ".join([machine(), *notes]), "", *lines])


def write_block(page: Path, part: str, text: str) -> None:
    """Replace what stands between the marks of ``part`` in a page.

    Raises:
        SystemExit: The page has no such marks.
    """
    begin, end = f"<!-- measured: {part} -->\n", f"<!-- end of {part} -->"
    before, mark, rest = page.read_text(encoding="utf-8").partition(begin)
    _, other, after = rest.partition(end)
    if not mark or not other:
        raise SystemExit(f"{page} lacks the lines {begin.strip()} and {end}.")
    page.write_text(f"{before}{begin}\n{text}\n\n{end}{after}", encoding="utf-8")
