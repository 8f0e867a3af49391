"""The rows of earlier batches, which stay in the tables when another work list is segmented into the same folder."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..results.mark import read_mark
from .items import Item
from .output_tables import CHANGED_SINCE, COHORT_FILE, SAME_VOXELS, Row, row_of
from .records import DONE, Record

NOTES_OF_RESULTS = (SAME_VOXELS, CHANGED_SINCE)
"""Beginnings of the notes that each batch derives from the results, so that old ones are not kept."""

FROM_EARLIER = "from an earlier batch"
"""The note on a CT that is not in the work list of the last batch."""


def earlier_rows(rows: Sequence[Row], output: Path) -> list[Row]:
    """Return the rows of the CTs that the present tables of a cohort list, but a new batch does not.

    A CT has the case or the path of one of the new batch, unless the new one was refused, perhaps because the result of
    another CT has its case. A cohort.csv that LungTumorSeg did not write, or that has been changed since, lists none.

    Args:
        rows: The rows of the new batch.
        output: The folder of the cohort.
    """
    table, mark = output / COHORT_FILE, read_mark(output)
    if mark is None or not mark.proves(table):
        return []
    cts = {(str(row.item.path), row.item.series, row.item.phase) for row in rows}
    cases = {row.item.case.casefold() for row in rows}
    replaced = {row.item.case.casefold() for row in rows if row.record.state == DONE}
    with table.open(encoding="utf-8", newline="") as file:
        kept = [
            cells
            for cells in csv.DictReader(file)
            if (cells["path"], cells["series"], cells["phase"]) not in cts
            and cells["case"].casefold() not in (replaced if cells["state"] == DONE else cases)
        ]
    return list(_rows(kept, output))


def _rows(kept: Sequence[dict[str, str]], output: Path) -> Iterator[Row]:
    """Yield a row, with its present result, for the cells of each row of cohort.csv."""
    uses = Counter(cells["path"] for cells in kept)
    for cells in kept:
        notes = [each for each in cells["note"].split(". ") if each and not each.startswith(NOTES_OF_RESULTS)]
        path = cells["path"]
        item = Item(
            cells["case"],
            Path(path),
            cells["patient"],
            cells["date"],
            cells["phase"],
            cells["series"],
            note=". ".join(dict.fromkeys((*notes, FROM_EARLIER))),
            of_4d=path if uses[path] > 1 else "",  # Phases of one file or folder belong together.
        )
        record = Record(cells["state"], reason=cells["reason"], input_sha256=cells["input_sha256"])
        yield row_of(item, record, output)
