"""Results of an earlier run for lesions that are measured again.

Masks alone do not contain the network's confidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from .lesion import Lesion
from .lesion_report import LesionReport

SAME_VOLUME = 1e-5
"""Relative difference of volumes below which a lesion counts as unchanged; summaries have 7 digits."""


def with_known(report: LesionReport, rows: Iterable[Mapping[str, Any]]) -> LesionReport:
    """Add the results of an earlier run to a report.

    A row belongs to a lesion if it has the same segment name and its centroid is no farther away than the lesion is
    long. Such a lesion may have been corrected, but it is not one of another CT. The confidence is the network's,
    whatever was corrected since. The volume range is used only if the volume is the same.

    Args:
        report: The new report.
        rows: The lesions of a summary.json.

    Returns:
        The report with confidences and volume ranges.
    """
    known = {row.get("segment"): row for row in rows}
    lesions = []
    for lesion in report.lesions:
        row = known.get(lesion.segment, {})
        if not _is_near(lesion, row):
            row = {}
        low, high, volume_ml = (row.get(name) for name in ("volume_p5_ml", "volume_p95_ml", "volume_ml"))
        unchanged = volume_ml is not None and abs(volume_ml - lesion.volume_ml) <= SAME_VOLUME * lesion.volume_ml
        volume_range = (
            (float(low), float(high)) if unchanged and low is not None and high is not None else lesion.volume_range_ml
        )
        lesions.append(
            replace(lesion, confidence=row.get("confidence", lesion.confidence), volume_range_ml=volume_range)
        )
    return replace(report, lesions=tuple(lesions))


def _is_near(lesion: Lesion, row: Mapping[str, Any]) -> bool:
    """Return whether a row states no centroid, or one near that of the lesion."""
    center = [row.get(f"centroid_{axis}_lps_mm") for axis in "xyz"]
    known = [float(value) for value in center if value is not None]
    return len(known) < len(center) or math.dist(known, lesion.centroid_lps) <= max(
        lesion.long_axis_mm, row.get("long_axis_mm") or 0.0
    )
