"""A click or a stroke of the mouse in a slice view, as a few points."""

import math
from dataclasses import dataclass, field

from LungTumorSegLib.mrml.placing import PointRas

STEP_MM = 4.0
"""Least distance of two points of a stroke, mm: that of the smallest part by which an outline is extended."""

MOST_POINTS = 9
"""Largest number of points of a stroke; the network may have to look at each of them."""


@dataclass
class Stroke:
    """The points of a stroke, RAS of the scene in mm; a click has one.

    Attributes:
        excludes: Whether the stroke marks what does not belong to the lesion.
    """

    excludes: bool = False
    _points: list[PointRas] = field(default_factory=list)

    def add(self, point: PointRas) -> None:
        """Add a position of the mouse, unless it is too near to the one before."""
        if not self._points or math.dist(point, self._points[-1]) >= STEP_MM:
            self._points.append(point)

    def points(self) -> list[PointRas]:
        """Return at most ``MOST_POINTS`` points along the stroke, the middle one first."""
        count = len(self._points)
        kept = min(count, MOST_POINTS)
        spread = [self._points[round(i * (count - 1) / max(1, kept - 1))] for i in range(kept)]
        middle = spread.pop(kept // 2)
        return [middle, *spread]
