"""Lesions: from a tumor mask and the CT to what a radiologist reports."""

from .diameters import Ruler
from .lesion import Lesion
from .lesion_report import NO_LESION, LesionReport, measure, report_lesions
from .selection import is_lesion, lung_segments
from .spread import Margin, Spread, margins
from .table import lesions_as_json, spread_as_json, write_lesions_csv

__all__ = [
    "NO_LESION", "Lesion", "LesionReport", "Margin", "Ruler", "Spread", "is_lesion", "lesions_as_json", "lung_segments", "margins",
    "measure", "report_lesions", "spread_as_json", "write_lesions_csv",
]
