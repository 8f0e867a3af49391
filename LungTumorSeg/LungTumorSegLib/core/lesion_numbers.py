"""Decide which number a lesion has, in the table, the report, the label map and the panel alike.

The module uses the standard library only, so that Slicer can import it at start-up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import count
from types import MappingProxyType

NONE_KNOWN: Mapping[str, int] = MappingProxyType({})


def lesion_numbers(segments: Sequence[tuple[str, str]], known: Mapping[str, int] = NONE_KNOWN) -> list[int]:
    """Return the numbers of lesions, all different, from their segments.

    Args:
        segments: Id and name of each lesion's segment. If two claim a number, the first one gets it.
        known: Numbers under which segments were shown before, by segment id.

    Returns:
        One number per segment, from 1. A segment "Tumor 3" has the number 3, even after it is renamed (its id stays
        "Tumor_3"). Any other segment keeps its known number; if it has none, or the number is taken, it gets the number
        after the largest one.
    """
    numbers: dict[int, int] = {}
    taken: set[int] = set()
    for wanted in (_own_number, lambda segment: known.get(segment[0])):
        for index, segment in enumerate(segments):
            number = wanted(segment)
            if index not in numbers and number is not None and number not in taken:
                numbers[index] = number
                taken.add(number)
    free = count(max(taken, default=0) + 1)
    return [numbers[index] if index in numbers else next(free) for index in range(len(segments))]


def _own_number(segment: tuple[str, str]) -> int | None:
    """Return the number in a segment's id or, if the id has none, in its name."""
    match = re.fullmatch(r"Tumor_([1-9]\d{0,4})", segment[0]) or re.fullmatch(r"Tumor ([1-9]\d{0,4})", segment[1])
    return int(match[1]) if match else None
