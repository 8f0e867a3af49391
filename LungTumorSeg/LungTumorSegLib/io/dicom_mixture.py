"""Warn of slices that follow each other in one series but state different sources."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.texts import listed
from .dicom_slices import CTSlice
from .dicom_values import DicomHeader

ALIKE = (
    "AcquisitionDate", "ImageType", "SliceThickness", "Manufacturer", "ManufacturerModelName", "StationName",
    "ReconstructionDiameter", "PatientSex", "PatientBirthDate", "Modality", "SOPClassUID",
)  # fmt: skip
"""Attributes that all slices of one acquisition share, in addition to those by which a series is divided.

A scan over midnight has two dates, so slices that differ are only warned of.
"""


def mixture_warnings(slices: list[CTSlice]) -> list[str]:
    """Return a warning if the slices of a stack differ in what one acquisition shares.

    It names attributes but no values, because some identify the patient.
    """
    differing = [keyword for keyword in ALIKE if len(set(_values(slices, keyword))) > 1]
    if not differing:
        return []
    return [
        f"The slices differ in {listed(differing)}, so they may come from several acquisitions, in which the patient "
        "moved or the values differ. Check that the folder contains only one, or export the series again."
    ]


def _values(slices: Iterable[CTSlice], keyword: str) -> Iterable[str | float]:
    return (_value(each.header, keyword) for each in slices)


def _value(header: DicomHeader, keyword: str) -> str | float:
    """Return a value as a number, if it is one, so that 1.5 and 1.50 are alike."""
    text = header.text(keyword)
    try:
        return float(text)
    except ValueError:
        return text
