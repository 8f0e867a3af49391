"""Size and growth classes of nodules, as numbers to look up; nothing here is advice.

References:
    Lung-RADS v2022 (American College of Radiology, 2022): sizes are means of the long and the short axis, to one
    decimal; growth is an increase of that mean by more than 1.5 mm within 12 months.
    Fleischner Society 2017 (H. MacMahon et al., Radiology 284:228, 2017, doi:10.1148/radiol.2017161659): sizes are
    means of both axes, rounded to whole mm, or volumes.
"""

from __future__ import annotations

from collections.abc import Sequence

LUNG_RADS_GROWTH_MM, LUNG_RADS_DAYS = 1.5, 366
FLEISCHNER_MM3 = (100.0, 250.0)
LUNG_RADS_SIZES: dict[str, Sequence[float]] = {"solid": (6, 8, 15), "part-solid": (6,), "ground glass": (30,)}
"""Limits of the size classes of baseline nodules by density, mm; of a part-solid nodule the whole nodule's."""

LUNG_RADS_NEW_SOLID = (4, 6, 8)
"""Limits of the size classes of new solid nodules, mm; those of other densities are as at baseline."""


def mean_diameter_mm(long_axis_mm: float, short_axis_mm: float) -> float:
    """Return the mean of both axes, mm, to one decimal."""
    return round((long_axis_mm + short_axis_mm) / 2 + 1e-9, 1)


def lung_rads_size(mean_mm: float, density: str | None, *, is_new: bool = False) -> str:
    """Return the size class of Lung-RADS v2022, such as "6 to less than 8 mm".

    Args:
        mean_mm: The mean diameter, mm.
        density: The density; None, if it is unknown, counts as solid.
        is_new: Whether the nodule is new. New solid nodules have lower limits.
    """
    limits = LUNG_RADS_SIZES.get(density or "solid", LUNG_RADS_SIZES["solid"])
    if is_new and limits is LUNG_RADS_SIZES["solid"]:
        limits = LUNG_RADS_NEW_SOLID
    return _class(mean_mm, limits, "mm")


def lung_rads_growth(earlier_mm: float, later_mm: float, days: float | None) -> str:
    """Return "growth" or "no growth" as Lung-RADS v2022 defines it, or why neither is known.

    Args:
        earlier_mm: The earlier mean diameter, mm.
        later_mm: The later mean diameter, mm.
        days: The time between both; None if unknown.
    """
    if days is None:
        return "interval unknown"
    if days > LUNG_RADS_DAYS:
        return "interval longer than 12 months"
    return "growth" if round(later_mm - earlier_mm, 6) > LUNG_RADS_GROWTH_MM else "no growth"


def fleischner_size(long_axis_mm: float, short_axis_mm: float) -> str:
    """Return the size class of the Fleischner Society 2017 by the mean of both axes in whole mm."""
    mean = int((long_axis_mm + short_axis_mm) / 2 + 0.5)
    if mean < 6:
        return "less than 6 mm"
    return "6 to 8 mm" if mean <= 8 else "more than 8 mm"


def fleischner_volume(volume_ml: float) -> str:
    """Return the volume class of the Fleischner Society 2017."""
    low, high = FLEISCHNER_MM3
    mm3 = 1000 * volume_ml
    if mm3 < low:
        return "less than 100 mm3"
    return "100 to 250 mm3" if mm3 <= high else "more than 250 mm3"


def _class(value: float, limits: Sequence[float], unit: str) -> str:
    below = [limit for limit in limits if value >= limit]
    above = [limit for limit in limits if value < limit]
    if not below:
        return f"less than {above[0]:g} {unit}"
    return f"{below[-1]:g} to less than {above[0]:g} {unit}" if above else f"{below[-1]:g} {unit} or more"
