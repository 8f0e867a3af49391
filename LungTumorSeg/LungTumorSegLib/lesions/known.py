"""What an earlier run knew of lesions that are measured again: masks alone do not tell how sure the network was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from .lesion_report import LesionReport

SAME_VOLUME = 1e-5
"""Relative difference of volumes below which a lesion is taken for unchanged; summaries have 7 digits."""


def with_known(report: LesionReport, rows: Iterable[Mapping[str, Any]]) -> LesionReport:
    """The report with what ``rows``, the lesions of a summary.json, say of segments of the same name.

    The confidence is the network's, whatever was corrected since; the range of the volume is known only where the volume is the same.
    """
    known = {row.get("segment"): row for row in rows}
    lesions = []
    for lesion in report.lesions:
        row = known.get(lesion.segment, {})
        low, high, volume_ml = (row.get(name) for name in ("volume_p5_ml", "volume_p95_ml", "volume_ml"))
        unchanged = volume_ml is not None and abs(volume_ml - lesion.volume_ml) <= SAME_VOLUME * lesion.volume_ml
        volume_range = (
            (float(low), float(high)) if unchanged and low is not None and high is not None else lesion.volume_range_ml
        )
        lesions.append(
            replace(lesion, confidence=row.get("confidence", lesion.confidence), volume_range_ml=volume_range)
        )
    return replace(report, lesions=tuple(lesions))
