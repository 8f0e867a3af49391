"""Tell the phases of a 4D CT apart that share one DICOM series."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from .dicom_values import DicomHeader
from .headers import check_phase
from .plausibility import MIN_SLICES

PHASE_KEYWORDS = (
    "TemporalPositionIdentifier", "TemporalPositionIndex", "NominalPercentageOfCardiacPhase",
    "NominalPercentageOfRespiratoryPhase",
)  # fmt: skip
"""Attributes that number the phases (DICOM PS3.3 C.7.6.2 and C.7.6.18)."""


def choose_phase(headers: list[DicomHeader], phase: int | None, path: Path) -> list[DicomHeader]:
    """Return the slices of one phase of a series, or all slices of a 3D series.

    Args:
        headers: The slices of a series.
        phase: The phase, counted from 0; None for a 3D series.
        path: Where the series was found.

    Raises:
        SeveralPhases: If the series is 4D, and no phase is given.
        UnusableInput: If there is no such phase.
    """
    phases = phases_of(headers)
    check_phase(phase, list(phases), path)
    return headers if phase is None else list(phases.values())[phase]


def phases_of(headers: Sequence[DicomHeader]) -> Mapping[str, list[DicomHeader]]:
    """Return the slices of each phase of a series, in their order; empty if the series is not a 4D CT.

    It is one if an attribute numbers the phases, and every phase has a slice at each position.
    """
    for keyword in PHASE_KEYWORDS:
        by_value: dict[str, list[DicomHeader]] = defaultdict(list)
        for header in headers:
            by_value[header.text(keyword)].append(header)
        positions = [{header.text("ImagePositionPatient") for header in each} for each in by_value.values()]
        is_complete = all(each == positions[0] for each in positions) and len(positions[0]) >= MIN_SLICES
        if len(by_value) > 1 and is_complete and all(map(_is_number, by_value)):
            return {f"{keyword} {value}": by_value[value] for value in sorted(by_value, key=float)}
    return {}


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
