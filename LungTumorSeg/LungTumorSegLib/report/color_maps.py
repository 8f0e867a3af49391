"""Which color each lesion has in pictures and in Slicer: by its number, its volume or the network's confidence; and the legend."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, Protocol

from ..core.colors import Color, lesion_color
from ..lesions.limits import LOW_CONFIDENCE

ColorBy = Literal["number", "volume", "confidence"]

RAMP: tuple[Color, ...] = (
    (0.98, 0.83, 0.16),
    (0.97, 0.57, 0.25),
    (0.83, 0.29, 0.44),
    (0.57, 0.10, 0.61),
    (0.21, 0.02, 0.55),
)
"""From little to much; equal steps also for eyes that confuse red and green (after matplotlib's plasma, reversed)."""

UNKNOWN_COLOR: Color = (0.55, 0.55, 0.55)

VOLUME_BOUNDS_ML = (0.5, 4.0, 14.0, 65.0)
"""About the volumes of balls of 10, 20, 30 and 50 mm, bounds of the T descriptor's size categories."""

CONFIDENCE_BOUNDS = (LOW_CONFIDENCE, 0.8, 0.85, 0.9)
"""Below the first a lesion is marked "check"."""


class ShownLesion(Protocol):
    """What coloring needs of a lesion; ``confidence`` is None or nan where it is not known."""

    @property
    def number(self) -> int: ...

    @property
    def segment(self) -> str: ...

    @property
    def volume_ml(self) -> float: ...

    @property
    def confidence(self) -> float | None: ...


@dataclass(frozen=True)
class Coloring:
    """Colors of lesions in their order, and the legend's lines from top to bottom."""

    colors: tuple[Color, ...]
    legend: tuple[tuple[str, Color], ...]


def coloring(lesions: Sequence[ShownLesion], by: ColorBy = "number") -> Coloring:
    """A color a lesion by its own number, or by the class of volume or confidence into which it falls.

    Raises ValueError for another ``by``.
    """
    if by == "number":
        colors = tuple(lesion_color(lesion.number) for lesion in lesions)
        lines = (f"{lesion.segment}: {lesion.volume_ml:.1f} mL" for lesion in lesions)
        return Coloring(colors, tuple(zip(lines, colors, strict=True)))
    if by == "volume":
        return _by_class([lesion.volume_ml for lesion in lesions], VOLUME_BOUNDS_ML, " mL")
    if by == "confidence":
        return _by_class([lesion.confidence for lesion in lesions], CONFIDENCE_BOUNDS, "")
    raise ValueError(f"Lesions can be colored by number, volume or confidence, not by {by}.")


def _by_class(values: Sequence[float | None], bounds: tuple[float, ...], unit: str) -> Coloring:
    """Classes reach from one bound up to, not including, the next; the legend shows all of them."""
    between = (f"{low:g} to {high:g}{unit}" for low, high in pairwise(bounds))
    names = [f"below {bounds[0]:g}{unit}", *between, f"from {bounds[-1]:g}{unit}"]
    known = [value if value is not None and not math.isnan(value) else None for value in values]
    colors = tuple(UNKNOWN_COLOR if value is None else RAMP[sum(value >= bound for bound in bounds)] for value in known)
    legend = [*zip(names, RAMP, strict=True)]
    if None in known:
        legend.append(("not known", UNKNOWN_COLOR))
    return Coloring(colors, tuple(legend))
