"""The lesion table as CSV and as JSON."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from ..core.complete_files import complete_file
from ..core.csv_tables import CASE_COLUMN, Value, write_table
from ..core.rounding import rounded
from .columns import COLUMN, COLUMNS

if TYPE_CHECKING:  # measuring imports vtk, and isolate writes a record without it
    from .diameters import Ruler
    from .lesion import Lesion
    from .lesion_report import LesionReport
    from .spread import Margin, Spread


def write_lesions_csv(report: LesionReport, path: str | os.PathLike[str], case: str | None = None) -> None:
    """Write one row per lesion, largest first.

    Column names contain the units, and cells are empty if a value is not known. The file is UTF-8 with decimal points
    and commas as separators. It appears only when complete.

    Args:
        report: The lesions.
        path: The file.
        case: The id of the case, written as an additional last column, so that tables of several patients can be
            joined.

    Raises:
        MachineLimit: The file cannot be written.
    """
    last = {} if case is None else {CASE_COLUMN: case}
    rows = ((*all_measures(lesion).values(), *last.values()) for lesion in report.lesions)
    with complete_file(path) as unfinished:
        write_table(unfinished, (*COLUMN, *last), rows)


def lesions_as_json(report: LesionReport) -> list[dict[str, Any]]:
    """Return the lesions for summary.json.

    Each lesion has the names and numbers of the table, and the end points of its rulers (LPS mm). A value that is not
    known is null.
    """
    return [lesion_as_json(lesion) for lesion in report.lesions]


def lesion_as_json(lesion: Lesion) -> dict[str, Any]:
    """Return one element of ``lesions_as_json``."""
    return all_measures(lesion) | {
        "long_axis_lps_mm": _ends(lesion.long_axis),
        "short_axis_lps_mm": _ends(lesion.short_axis),
    }


def _ends(ruler: Ruler) -> list[list[Value]]:
    return [[rounded(coordinate) for coordinate in end] for end in (ruler.start_lps, ruler.end_lps)]


class WithSpread(Protocol):
    """A report with a spread, also one of lesions under correction."""

    @property
    def spread(self) -> Spread:
        """The spread of the lesions."""
        ...


def spread_as_json(report: WithSpread) -> dict[str, Any]:
    """Return the spread of the lesions for summary.json; ``places`` counts lesions by side and zone."""
    spread = report.spread
    return {
        "count": spread.count,
        "burden_ml": rounded(spread.burden_ml),
        "lung_ml": rounded(spread.lung_ml),
        "burden_percent": rounded(spread.burden_percent),
        "largest_distance_mm": rounded(spread.largest_distance_mm),
        "places": [
            {"side": side, "zone": zone, "count": count} for (side, zone), count in sorted(spread.places.items())
        ],
    }


def margins_as_json(found: Iterable[Margin]) -> list[dict[str, Any]]:
    """Return the margins for summary.json: their lesion, their width, and their volume inside lungs and body."""
    return [
        {
            "number": margin.number,
            "segment": margin.name,
            "distance_mm": rounded(float(margin.distance_mm)),
            "volume_ml": rounded(margin.volume_ml),
        }
        for margin in found
    ]


def all_measures(lesion: Lesion) -> dict[str, Value]:
    """Return all columns of lesions.csv with their values as written to the file."""
    return {column.name: rounded(column.value(lesion)) for column in COLUMNS}
