"""The upper, middle and lower zone of each lung: thirds of its height."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ..core.crops import SparseMask, crop_of, trimmed_crop_at
from ..core.lesion_words import Side as Side
from ..core.lesion_words import ZoneName as ZoneName
from ..core.volume import Array, Mask, Volume
from .components import numbered_crops

ZONES: tuple[ZoneName, ...] = ("lower", "middle", "upper")
"""Thirds of the lung's height, from its lowest to its highest visible slice.

A lesion belongs to the zone of its centroid.
"""


@dataclass(frozen=True, eq=False)
class Zone:
    """A third of a lung.

    Attributes:
        side: The side of the lung.
        name: The name of the zone.
        mask: The zone (bool) on the grid of the lung.
    """

    side: Side
    name: ZoneName
    mask: Volume

    @property
    def segment(self) -> str:
        """The name of the zone's segment.

        It contains "lung", so that the segment is not mistaken for a lesion.
        """
        return f"{self.side} lung, {self.name} zone"


def span_of(lung: Volume) -> tuple[int, int]:
    """Return the first and last slice of a lung (bool, canonical axes), or those of the grid if the lung is empty."""
    return _ends(np.asarray(lung.array.any(axis=(1, 2))))


def _ends(occupied: Mask) -> tuple[int, int]:
    """Return the first and the last true index of a Boolean array (n,), or those of the array if none is true."""
    slices = np.flatnonzero(occupied)
    return (int(slices[0]), int(slices[-1])) if len(slices) else (0, len(occupied) - 1)


def zone_at(height: float) -> ZoneName:
    """Return the zone at a share of a lung's height, 0 at its base and 1 at its apex."""
    return ZONES[min(2, max(0, int(3 * height)))]


def heights(slices: Array, base: int, apex: int) -> Array:
    """Convert slice positions to shares of a lung's height, 0 at its base and 1 at its apex.

    Args:
        slices: Positions in any shape, where slice centers lie at 0, 1, 2 ...
        base: The lung's first slice.
        apex: The lung's last slice.

    Returns:
        The shares, in the shape of ``slices``.
    """
    return np.asarray((slices - base + 0.5) / (apex - base + 1))


def lung_zones(
    left_lung: Volume, right_lung: Volume, labels: Volume, sides: Mapping[int, Side | None]
) -> Iterator[Zone]:
    """Yield the zones of both lungs (bool, in any one orientation), without the lesions.

    Args:
        left_lung: The left lung.
        right_lung: The right lung on the same grid.
        labels: The lesions by number, on the same grid. They count as lung for its height, as in ``Location.zone``.
        sides: The side of each lesion by its number; None if it is not known.
    """
    order = left_lung.canonical_axes()
    numbers = order.apply(labels)
    lesions = list(numbered_crops(numbers))
    lungs: tuple[tuple[Side, Volume], ...] = (("Left", left_lung), ("Right", right_lung))
    for side, given in lungs:
        grid, lung = order.apply_to_grid(given.grid), crop_of(order.apply(given))
        own = [crop for number, crop in lesions if sides.get(number) == side]
        occupied = np.zeros(grid.shape[0], bool)
        for part in own if lung is None else [lung, *own]:
            occupied[part.slices[0]] |= part.mask.array.any(axis=(1, 2))
        shares = heights(np.arange(len(occupied)), *_ends(occupied))
        zone = np.array([ZONES.index(zone_at(share)) for share in shares])
        for number, name in enumerate(ZONES):
            found = None
            if lung is not None:
                inside = (zone[lung.slices[0]] == number)[:, None, None] & (numbers.array[lung.slices] == 0)
                found = trimmed_crop_at(lung.mask.array & inside, lung.box, grid)
            yield Zone(side, name, order.undo(SparseMask(found, grid)))
