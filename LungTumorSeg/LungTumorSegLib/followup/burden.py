"""How much disease an examination shows: number, volume and extent of its lesions."""

from __future__ import annotations

from typing import Any

from ..lesions.spread import spread_of
from .examination import Examination
from .track import volume_ml


def burden(examination: Examination) -> dict[str, Any]:
    """Return number, total volume and extent of the lesions of an examination, also by side."""
    sides = {str(lesion.side) for lesion in examination.lesions if lesion.side}
    centers = [tuple(lesion.points_lps.mean(axis=0).tolist()) for lesion in examination.lesions]
    spread = spread_of([lesion.volume_ml for lesion in examination.lesions], centers, [], None)
    return {
        "lesions": spread.count,
        "volume_ml": spread.burden_ml,
        "by_side_ml": {
            side: volume_ml(tuple(lesion for lesion in examination.lesions if lesion.side == side))
            for side in sorted(sides)
        },
        "largest_distance_mm": spread.largest_distance_mm,
    }
