"""Lesions: turn a tumor mask and the CT into what a radiologist reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import lazy

if TYPE_CHECKING:
    from .diameters import Ruler as Ruler
    from .earlier_results import with_known as with_known
    from .lesion import Lesion as Lesion
    from .lesion_report import NO_LESION as NO_LESION
    from .lesion_report import LesionReport as LesionReport
    from .lesion_report import measure as measure
    from .lesion_report import report_lesions as report_lesions
    from .lungs import FoundLungs as FoundLungs
    from .lungs import find_lungs as find_lungs
    from .maps import Maps as Maps
    from .spread import Margin as Margin
    from .spread import Spread as Spread
    from .spread import margins as margins
    from .table import all_measures as all_measures
    from .table import lesions_as_json as lesions_as_json
    from .table import margins_as_json as margins_as_json
    from .table import spread_as_json as spread_as_json
    from .table import write_lesions_csv as write_lesions_csv
    from .zones import Zone as Zone
    from .zones import lung_zones as lung_zones

__getattr__, __all__ = lazy.exports(
    __name__,
    {
        "Ruler": "diameters",
        "with_known": "earlier_results",
        "Lesion": "lesion",
        "LesionReport": "lesion_report",
        "NO_LESION": "lesion_report",
        "measure": "lesion_report",
        "report_lesions": "lesion_report",
        "Maps": "maps",
        "FoundLungs": "lungs",
        "find_lungs": "lungs",
        "Margin": "spread",
        "Spread": "spread",
        "margins": "spread",
        "all_measures": "table",
        "lesions_as_json": "table",
        "margins_as_json": "table",
        "spread_as_json": "table",
        "write_lesions_csv": "table",
        "Zone": "zones",
        "lung_zones": "zones",
    },
)
