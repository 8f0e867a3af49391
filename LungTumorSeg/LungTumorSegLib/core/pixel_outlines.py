"""Outlines of the pixels of a mask: closed polygons along the edges of the pixels.

The polygons enclose exactly the area of the pixels, and no pixel center lies on a polygon, so that every program that
fills them finds the same pixels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from .volume import Array, Mask

Corner = tuple[int, int]
"""A corner of a pixel, counted as (row, column) of the pixel to its lower right."""

STEPS = ((0, 1), (1, 0), (0, -1), (-1, 0))
"""Steps along (row, column) by direction, each turned right from the one before: right, down, left, up."""


def outlines(mask: Mask) -> list[Array]:
    """Return one polygon for each part of a mask whose pixels are connected by their sides.

    A hole is joined to the outline around it by a line that is followed in both directions (the keyhole of DICOM PS3.3
    C.8.8.6.3). The polygons are therefore right for programs that fill a slice by the even-odd rule, and for those that
    unite its polygons.

    Args:
        mask: Boolean mask (row, column).

    Returns:
        Closed polygons (n, 2) in fractional (row, column), where whole numbers are pixel centers. The first corner is
        not repeated at the end. Polygons do not overlap.
    """
    parts, _ = ndimage.label(mask)
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(parts), start=1):
        polygon = _joined(_loops(parts[rows, columns] == number))
        found.append(np.add(polygon, (rows.start - 0.5, columns.start - 0.5)))
    return found


def _loops(part: Mask) -> Iterator[list[Corner]]:
    """Yield the outline of one part, then those of its holes from top to bottom, with every corner on the way.

    A loop begins at its uppermost corner, of these the leftmost one. The part lies to the right of the direction of
    travel. Where two of its pixels touch at a corner only, the loop stays at its pixel, because sides connect the part.
    """
    sides = _sides(part)
    for side in sorted(sides):
        if side not in sides:
            continue  # a loop before this one used it
        (row, column, direction), loop = side, []
        while (row, column, direction) in sides:
            sides.remove((row, column, direction))
            loop.append((row, column))
            row, column = row + STEPS[direction][0], column + STEPS[direction][1]
            turns = ((direction + turn) % 4 for turn in (1, 0, 3))  # right, straight on, left
            direction = next((each for each in turns if (row, column, each) in sides), direction)
        yield loop


def _sides(part: Mask) -> set[tuple[int, int, int]]:
    """Return the sides between a pixel of the part and one outside: corner (row, column) and direction of travel."""
    padded = np.pad(part, 1)
    found: set[tuple[int, int, int]] = set()
    neighbors = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])  # above, right, below, left
    corners = ((0, 0), (0, 1), (1, 1), (1, 0))  # where the side of the pixel toward that neighbor begins
    for direction, (neighbor, corner) in enumerate(zip(neighbors, corners, strict=True)):
        places = np.argwhere(part & ~neighbor) + corner
        found.update((row, column, direction) for row, column in places.tolist())
    return found


def _joined(loops: Iterator[list[Corner]]) -> list[Corner]:
    """Return an outline and its holes as one polygon, without corners on straight lines.

    From its first corner, each hole is joined straight upward to the next loop, which comes earlier in ``loops``.
    """
    corners: list[Corner] = []
    follows: list[int] = []
    places: dict[Corner, int] = {}
    for loop in loops:
        begin, end = len(corners), len(corners) + len(loop)
        corners += loop
        follows += [*range(begin + 1, end), begin]
        if begin:
            row, column = loop[0]
            while (row, column) not in places:
                row -= 1
            above = places[row, column]
            corners += [loop[0], (row, column)]  # once more, for the way back
            follows += [end + 1, follows[above]]
            follows[end - 1], follows[above] = end, begin
        places.update((corner, begin + index) for index, corner in enumerate(loop))
    way = [0]
    while follows[way[-1]]:
        way.append(follows[way[-1]])
    ring = [corners[index] for index in way]
    return [
        here
        for before, here, after in zip([ring[-1], *ring[:-1]], ring, [*ring[1:], ring[0]], strict=True)
        if _direction(before, here) != _direction(here, after)
    ]


def _direction(start: Corner, end: Corner) -> tuple[int, int]:
    return (end[0] > start[0]) - (end[0] < start[0]), (end[1] > start[1]) - (end[1] < start[1])
