"""Results of an earlier run for lesions that are measured again.

Masks alone do not contain the network's confidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .lesion import Lesion
from .lesion_report import LesionReport

SAME_VOLUME = 1e-5
"""Relative difference of volumes below which a lesion counts as unchanged; summaries have 7 digits."""


def with_known(report: LesionReport, rows: Iterable[Mapping[str, Any]]) -> LesionReport:
    """Add the results of an earlier run to a report.

    A row belongs to a lesion if it has the same segment name and its centroid is no farther away than the lesion is
    long. Such a lesion may have been corrected, but it is not one of another CT. A lesion without such a row was
    perhaps renamed; it takes the remaining row whose centroid lies nearest, within half of both long axes. The
    confidence is the network's, whatever was corrected since. The volume range is used only if the volume is the same.

    Args:
        report: The new report.
        rows: The lesions of a summary.json.

    Returns:
        The report with confidences and volume ranges.
    """
    rows = tuple(rows)
    known = {row.get("segment"): row for row in rows}
    named = [known.get(lesion.segment) for lesion in report.lesions]
    found = [row if row and _is_near(lesion, row) else None for lesion, row in zip(report.lesions, named, strict=True)]
    _add_renamed(found, report.lesions, [row for row in rows if not any(row is each for each in found)])
    lesions = [_with_row(lesion, row or {}) for lesion, row in zip(report.lesions, found, strict=True)]
    return replace(report, lesions=tuple(lesions))


def _with_row(lesion: Lesion, row: Mapping[str, Any]) -> Lesion:
    """Return a lesion with the confidence and, if its volume is the same, the volume range of its row."""
    low, high, volume_ml = (row.get(name) for name in ("volume_p5_ml", "volume_p95_ml", "volume_ml"))
    unchanged = volume_ml is not None and abs(volume_ml - lesion.volume_ml) <= SAME_VOLUME * lesion.volume_ml
    volume_range = (
        (float(low), float(high)) if unchanged and low is not None and high is not None else lesion.volume_range_ml
    )
    return replace(lesion, confidence=row.get("confidence", lesion.confidence), volume_range_ml=volume_range)


def _add_renamed(
    found: list[Mapping[str, Any] | None], lesions: Sequence[Lesion], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Give the lesions without a row the rows that lie at their place, the nearest pair first."""
    pairs = [
        (distance_mm, number, place)
        for number, lesion in enumerate(lesions)
        for place, row in enumerate(rows)
        if found[number] is None and (distance_mm := _distance_mm(lesion, row)) <= _reach_mm(lesion, row)
    ]
    taken: set[int] = set()
    for _, number, place in sorted(pairs):
        if found[number] is None and place not in taken:
            found[number] = rows[place]
            taken.add(place)


def _reach_mm(lesion: Lesion, row: Mapping[str, Any]) -> float:
    """Return how far apart the centroids of a lesion and of its row lie at most if the segment was renamed."""
    return 0.5 * min(lesion.long_axis_mm, row.get("long_axis_mm") or 0.0)


def _is_near(lesion: Lesion, row: Mapping[str, Any]) -> bool:
    """Return whether a row states no centroid, or one near that of the lesion."""
    distance_mm = _distance_mm(lesion, row)
    return math.isinf(distance_mm) or distance_mm <= max(lesion.long_axis_mm, row.get("long_axis_mm") or 0.0)


def _distance_mm(lesion: Lesion, row: Mapping[str, Any]) -> float:
    """Return the distance between the centroids of a lesion and of a row, mm; infinity if the row states none."""
    center = [row.get(f"centroid_{axis}_lps_mm") for axis in "xyz"]
    known = [float(value) for value in center if value is not None]
    return math.dist(known, lesion.centroid_lps) if len(known) == len(center) else math.inf
