"""Lesions: from a tumor mask and the CT to what a radiologist reports."""

from .diameters import Ruler
from .lesion_report import NO_LESION, Lesion, LesionReport, measure, report_lesions
from .selection import is_lesion, lung_segments
from .table import lesions_as_json, write_lesions_csv

__all__ = [
    "NO_LESION", "Lesion", "LesionReport", "Ruler", "is_lesion", "lesions_as_json", "lung_segments", "measure", "report_lesions",
    "write_lesions_csv",
]
