"""The lesion table of the report: headings, and what stands below each of them.

It holds what a reader of a CT looks for first, partly several columns of lesions.csv in one cell; the table of all
measures below it in the report derives from ``lesions.columns``.
"""

from __future__ import annotations

from collections.abc import Callable

from markupsafe import Markup

from ..core.colors import lesion_color
from ..core.volume import CTVolume
from ..lesions import Lesion
from ..lesions.limits import LOW_CONFIDENCE
from .sections import css


def number(value: float | None, digits: int = 1) -> str:
    """Return a number as text; nothing if it is unknown."""
    return "" if value is None else f"{value:.{digits}f}"


def is_low(lesion: Lesion) -> bool:
    """Tell whether the confidence is so low that a reader should check the lesion."""
    return lesion.confidence is not None and lesion.confidence < LOW_CONFIDENCE


def colored_name(lesion: Lesion) -> Markup:
    """Return the name of a lesion behind a square in its color."""
    square = Markup('<span class="mark" style="background:{}"></span>').format(css(lesion_color(lesion.number)))
    return square + lesion.segment


def cells(lesion: Lesion, ct: CTVolume) -> list[str | Markup]:
    """Return the row of a lesion."""
    return [cell(lesion, ct) for _, cell in COLUMNS]


def _place(lesion: Lesion, ct: CTVolume) -> str:
    where = lesion.location
    return f"{where.side} {where.zone_and_depth}" if where else ""


def _slice(lesion: Lesion, ct: CTVolume) -> str:
    """Return the number of the slice in which the long axis was measured, in the order of the file, and its z, mm."""
    axis = ct.canonical_axes().permutation[0]
    index = ct.lps_to_index(lesion.long_axis.start_lps)[axis]
    return f"{round(float(index)) + 1} ({lesion.long_axis.start_lps[2]:.1f})"


def _volume_range(lesion: Lesion, ct: CTVolume) -> str:
    low, high = lesion.volume_range_ml or (None, None)
    return "" if low is None else f"{number(low, 2)} to {number(high, 2)}"


def _pleura_distance(lesion: Lesion, ct: CTVolume) -> str:
    return number(lesion.location.pleura.distance_mm) if lesion.location else ""


def _pleura_contact(lesion: Lesion, ct: CTVolume) -> str:
    return number(lesion.location.pleura.area_cm2) if lesion.location else ""


def _confidence(lesion: Lesion, ct: CTVolume) -> str | Markup:
    text = number(lesion.confidence, 2)
    return Markup('{} <span class="check">check</span>').format(text) if is_low(lesion) else text


COLUMNS: tuple[tuple[str, Callable[[Lesion, CTVolume], str | Markup]], ...] = (
    ("Lesion", lambda lesion, ct: colored_name(lesion)),
    ("Place", _place),
    ("Slice (z mm)", _slice),
    ("Volume mL", lambda lesion, ct: number(lesion.volume_ml, 2)),
    ("Volume range mL", _volume_range),
    ("Long mm", lambda lesion, ct: number(lesion.long_axis_mm)),
    ("Short mm", lambda lesion, ct: number(lesion.short_axis_mm)),
    ("Mean HU", lambda lesion, ct: number(lesion.mean_hu, 0)),
    ("Density", lambda lesion, ct: lesion.density),
    ("T by size", lambda lesion, ct: lesion.size_category),
    ("Pleura mm", _pleura_distance),
    ("Contact cm²", _pleura_contact),
    ("Confidence", _confidence),
)
"""Heading and cell of each column, in their order."""

HEAD = tuple(heading for heading, _ in COLUMNS)
