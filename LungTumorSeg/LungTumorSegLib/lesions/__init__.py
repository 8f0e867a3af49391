"""Lesions: from a tumor mask and the CT to what a radiologist reports."""

from .diameters import Ruler
from .known import with_known
from .lesion import Lesion
from .lesion_report import NO_LESION, LesionReport, lungs_of, measure, report_lesions
from .selection import is_lesion, lung_segments
from .spread import Margin, Spread, margins
from .table import all_measures, lesions_as_json, margins_as_json, spread_as_json, write_lesions_csv
from .zones import Zone, lung_zones

__all__ = [
    "NO_LESION", "Lesion", "LesionReport", "Margin", "Ruler", "Spread", "Zone", "all_measures", "is_lesion", "lesions_as_json",
    "lung_segments", "lung_zones", "lungs_of", "margins", "margins_as_json", "measure", "report_lesions", "spread_as_json",
    "with_known", "write_lesions_csv",
]
