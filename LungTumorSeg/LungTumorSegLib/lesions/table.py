"""The lesion table as CSV and as JSON."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ..core.complete_files import complete_file
from ..core.lesion_table import CASE_COLUMN, LESION_COLUMNS, Value, write_table
from .diameters import Ruler
from .lesion import Lesion
from .lesion_report import LesionReport
from .location import Location
from .spread import Margin, Spread

SIGNIFICANT_DIGITS = 7
"""Significant digits of each number in tables.

This is single precision, so rounding never affects a comparison.
"""


def _shape(name: str) -> Callable[[Lesion], Value]:
    return lambda lesion: float(getattr(lesion.shape, name))


def _hu(name: str) -> Callable[[Lesion], Value]:
    return lambda lesion: float(getattr(lesion.hu, name))


def _where(value: Callable[[Location], Value]) -> Callable[[Lesion], Value]:
    return lambda lesion: None if lesion.location is None else value(lesion.location)


_VALUES: dict[str, Callable[[Lesion], Value]] = {
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
    "volume_p5_ml": lambda lesion: lesion.volume_range_ml and lesion.volume_range_ml[0],
    "volume_p95_ml": lambda lesion: lesion.volume_range_ml and lesion.volume_range_ml[1],
    "size_category": lambda lesion: lesion.size_category,
    "density": lambda lesion: lesion.density,
    "solid_ml": lambda lesion: lesion.solid_ml,
    "solid_long_axis_mm": lambda lesion: lesion.solid_long_axis.length_mm if lesion.solid_long_axis else None,
    "zone": _where(lambda where: where.zone),
    "depth": _where(lambda where: where.depth),
    "pleura_distance_mm": _where(lambda where: where.pleura.distance_mm),
    "mediastinum_distance_mm": _where(lambda where: where.mediastinum_mm),
    "pleural_contact_cm2": _where(lambda where: where.pleura.area_cm2),
    "pleural_contact_length_mm": _where(lambda where: where.pleura.length_mm),
    "mediastinal_contact_cm2": _where(lambda where: where.pleura.mediastinum_cm2),
    "chest_wall_contact_cm2": _where(lambda where: where.pleura.chest_wall_cm2),
    "diaphragm_contact_cm2": _where(lambda where: where.pleura.diaphragm_cm2),
    "distance_from_dominant_mm": lambda lesion: lesion.distance_from_dominant_mm,
    **{
        name: _shape(name)
        for name in (
            "mesh_volume_ml",
            "surface_mm2",
            "sphericity",
            "diameter_3d_mm",
            "major_axis_mm",
            "minor_axis_mm",
            "least_axis_mm",
            "elongation",
            "flatness",
        )
    },
    **{
        name: _hu(name)
        for name in (
            "sd_hu",
            "min_hu",
            "p5_hu",
            "p10_hu",
            "p25_hu",
            "median_hu",
            "p75_hu",
            "p90_hu",
            "p95_hu",
            "max_hu",
        )
    },
    "carina_distance_mm": _where(lambda where: where.carina_mm),
    "side_from_dominant": lambda lesion: lesion.side_from_dominant,
}
"""Functions that return the value of each column."""

COLUMNS: dict[str, Callable[[Lesion], Value]] = {name: _VALUES[name] for name in LESION_COLUMNS}
"""Columns of lesions.csv in order, with the functions that return their values."""


def _rounded(value: Value) -> Value:
    """Round a number to ``SIGNIFICANT_DIGITS``; an infinite distance, to a structure that is absent, becomes None."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if math.isfinite(value) else None


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
    with complete_file(path) as unfinished, open(unfinished, "w", encoding="utf-8", newline="") as file:
        rows = ((*all_measures(lesion).values(), *last.values()) for lesion in report.lesions)
        write_table(file, (*COLUMNS, *last), rows)


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
    return [[_rounded(coordinate) for coordinate in end] for end in (ruler.start_lps, ruler.end_lps)]


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
        "burden_ml": _rounded(spread.burden_ml),
        "lung_ml": _rounded(spread.lung_ml),
        "burden_percent": _rounded(spread.burden_percent),
        "largest_distance_mm": _rounded(spread.largest_distance_mm),
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
            "distance_mm": _rounded(float(margin.distance_mm)),
            "volume_ml": _rounded(margin.volume_ml),
        }
        for margin in found
    ]


def all_measures(lesion: Lesion) -> dict[str, Value]:
    """Return all columns of lesions.csv with their values as written to the file."""
    return {name: _rounded(value(lesion)) for name, value in COLUMNS.items()}
