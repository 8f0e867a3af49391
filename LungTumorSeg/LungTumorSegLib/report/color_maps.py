"""The color of each lesion in pictures and in Slicer, and the legend.

The color follows the lesion's number, its volume or the network's confidence.
"""

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
"""Colors from low to high values.

Their steps are equal with red-green color blindness, too (after matplotlib's plasma, reversed).
"""

UNKNOWN_COLOR: Color = (0.55, 0.55, 0.55)

VOLUME_BOUNDS_ML = (0.5, 4.0, 14.0, 65.0)
"""Approximate volumes of balls of 10, 20, 30 and 50 mm, which bound the size categories of the T descriptor, mL."""

CONFIDENCE_BOUNDS = (LOW_CONFIDENCE, 0.8, 0.85, 0.9)
"""Bounds of the confidence classes; a lesion below the first bound is marked "check"."""


class ShownLesion(Protocol):
    """The properties of a lesion that coloring needs; ``confidence`` is None or nan if it is unknown."""

    @property
    def number(self) -> int:
        """Number of the lesion, from 1."""
        ...

    @property
    def segment(self) -> str:
        """Name of the lesion's segment."""
        ...

    @property
    def volume_ml(self) -> float:
        """Volume, mL."""
        ...

    @property
    def confidence(self) -> float | None:
        """Confidence, 0 to 1; None or nan if it is unknown."""
        ...


@dataclass(frozen=True)
class Coloring:
    """Colors of lesions with their legend.

    Attributes:
        colors: One color per lesion, in the order of the lesions.
        legend: Text and color of the legend's lines, from top to bottom.
    """

    colors: tuple[Color, ...]
    legend: tuple[tuple[str, Color], ...]


def coloring(lesions: Sequence[ShownLesion], by: ColorBy = "number") -> Coloring:
    """Color each lesion by its own number, or by the class of its volume or confidence.

    Args:
        lesions: The lesions.
        by: "number", "volume" or "confidence".

    Returns:
        The colors and the legend.

    Raises:
        ValueError: ``by`` is something else.
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
    """Color values by class; the legend shows all classes.

    A class begins at one bound and ends before the next.
    """
    between = (f"{low:g} to {high:g}{unit}" for low, high in pairwise(bounds))
    names = [f"below {bounds[0]:g}{unit}", *between, f"from {bounds[-1]:g}{unit}"]
    known = [value if value is not None and not math.isnan(value) else None for value in values]
    colors = tuple(UNKNOWN_COLOR if value is None else RAMP[sum(value >= bound for bound in bounds)] for value in known)
    legend = [*zip(names, RAMP, strict=True)]
    if None in known:
        legend.append(("not known", UNKNOWN_COLOR))
    return Coloring(colors, tuple(legend))
