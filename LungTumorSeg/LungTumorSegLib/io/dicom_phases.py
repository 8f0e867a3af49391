"""Tell the phases of a 4D CT apart: they share one DICOM series, or each is a series of its own."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .dicom_values import DicomHeader
from .headers import check_phase
from .plausibility import MIN_SLICES

PHASE_KEYWORDS = (
    "TemporalPositionIdentifier", "TemporalPositionIndex", "NominalPercentageOfCardiacPhase",
    "NominalPercentageOfRespiratoryPhase",
)  # fmt: skip
"""Attributes that number the phases (DICOM PS3.3 C.7.6.2 and C.7.6.18)."""


SHARED = (
    "PatientID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "Rows",
    "Columns",
    "ImageOrientationPatient",
    "PixelSpacing",
    "ConvolutionKernel",
)
"""Attributes that all phases share if each is a series of its own."""

_PERCENTAGE = re.compile(r"(?<![\d.,])(\d{1,3}(?:[.,]\d+)?) ?%(?: ?(in|ex)(?![a-z]))?", re.IGNORECASE)
"""A phase in a SeriesDescription: a percentage, which scanners that count inhalation and exhalation apart mark."""

_RECONSTRUCTION = re.compile(r"(asi?r|blend|idose|strength|dose)[-_ vw]*$", re.IGNORECASE)
"""What stands before a percentage that is a share of iterative reconstruction or of the dose, not a phase."""


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
    return selected_phase(phases, phase, path) if phases or phase is not None else headers


def selected_phase(phases: Mapping[str, list[DicomHeader]], phase: int | None, path: Path) -> list[DicomHeader]:
    """Return the slices of phase number ``phase``, counted from 0; see ``choose_phase``."""
    check_phase(phase, list(phases), path)
    return list(phases.values())[phase or 0]


def phases_of(headers: Sequence[DicomHeader]) -> Mapping[str, list[DicomHeader]]:
    """Return the slices of each phase of a series, in their order; empty if the series is not a 4D CT.

    It is one if an attribute numbers the phases, and every phase has a slice at each position.
    """
    for keyword in PHASE_KEYWORDS:
        by_value: dict[str, list[DicomHeader]] = defaultdict(list)
        for header in headers:
            by_value[header.text(keyword)].append(header)
        if len(by_value) > 1 and _have_same_places(by_value.values()) and all(map(_is_number, by_value)):
            return {f"{keyword} {value}": by_value[value] for value in sorted(by_value, key=float)}
    return {}


def series_as_phases(all_series: Iterable[list[DicomHeader]]) -> Mapping[str, list[DicomHeader]]:
    """Return the series that are the phases of one 4D CT, in their order; empty if they are not.

    Series of fewer slices than a CT has do not count. The others must be of one patient, study and frame of reference,
    have slices at the same positions, and each state a phase of its own: in an attribute that numbers the phases, or as
    a percentage in the description.
    """
    series = [each for each in all_series if len(each) >= MIN_SLICES]
    if len(series) < 2 or not _have_same_places(series):
        return {}
    shared = {tuple(header.text(keyword) for keyword in SHARED) for each in series for header in each}
    if len(shared) > 1:
        return {}
    for keyword in PHASE_KEYWORDS:
        stated = [{header.text(keyword) for header in each} for each in series]
        values = [each.pop() for each in stated if len(each) == 1]
        if len(set(values)) == len(series) and all(map(_is_number, values)):
            by_number = sorted(zip(values, series, strict=True), key=lambda each: float(each[0]))
            return {f"{keyword} {value}": members for value, members in by_number}
    found = [_described_phase(each[0].text("SeriesDescription")) for each in series]
    by_place = {phase: members for phase, members in zip(found, series, strict=True) if phase is not None}
    return {phase.name: by_place[phase] for phase in sorted(by_place)} if len(by_place) == len(series) else {}


@dataclass(frozen=True, order=True)
class _Phase:
    """A phase as a description states it: ``place`` is its place in the breath, by which phases are sorted."""

    place: float
    name: str


def _described_phase(description: str) -> _Phase | None:
    """Return the phase that a SeriesDescription states; None if it states none or several percentages."""
    found = [
        each for each in _PERCENTAGE.finditer(description) if not _RECONSTRUCTION.search(description[: each.start()])
    ]
    if len(found) != 1:
        return None
    percent, half = float(found[0][1].replace(",", ".")), (found[0][2] or "").lower()
    return _Phase(200 - percent if half == "ex" else percent, f"{percent:g}% {half}".rstrip())


def _have_same_places(groups: Iterable[Sequence[DicomHeader]]) -> bool:
    """Return whether groups of slices, each long enough for a CT, have slices at the same positions."""
    places = [{header.text("ImagePositionPatient") for header in each} for each in groups]
    return all(each == places[0] for each in places) and len(places[0]) >= MIN_SLICES


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
