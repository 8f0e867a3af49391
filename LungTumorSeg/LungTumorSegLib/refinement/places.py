"""The places that a caller of ``outline`` gives, checked and turned into clicks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import UnusableInput
from ..core.volume import Point
from .clicks import Click


def clicks_at(point: Any, box: Any, also: Any, but_not: Any) -> list[Click]:
    """Return one click per place; the arguments are those of ``pipeline.outline``.

    Raises:
        UnusableInput: There is no place, further points come with several places, or a value is no finite number.
    """
    places = [*_rows(point, 3, "point"), *_rows(box, 6, "box")]
    more, less = _points(also, "point of also"), _points(but_not, "point of but_not")
    if not places:
        raise UnusableInput("Give at least one point or box to outline.")
    if (more or less) and len(places) > 1:
        raise UnusableInput(
            "Points that correct an outline need exactly one point or box; outline one lesion at a time."
        )
    return [Click(place, more, less) for place in places]


def _points(values: Any, name: str) -> tuple[Point, ...]:
    return tuple((x, y, z) for x, y, z in _rows(values, 3, name))


def _rows(values: Any, length: int, name: str) -> list[tuple[float, ...]]:
    """Return one or several rows of ``length`` numbers as a list of tuples.

    Raises:
        UnusableInput: The values are something else.
    """
    try:
        rows = np.asarray(values, dtype=float).reshape(-1, length) if np.size(values) else np.empty((0, length))
    except (TypeError, ValueError):
        rows = np.full((1, length), np.nan)
    if not np.isfinite(rows).all():
        raise UnusableInput(f"A {name} needs {length} numbers, LPS coordinates in mm.")
    return [tuple(row) for row in rows.tolist()]
