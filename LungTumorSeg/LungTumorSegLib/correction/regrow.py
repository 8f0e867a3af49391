"""Outlines from the probability map: a lesion at another threshold, or the lesion at a point.

Masks are ``Volume`` (bool) on any part of the map's lattice of voxels, because Slicer crops them. The results are masks
of the same kind.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.boxes import Box, bounding_box, grow_box, mask_on_grid
from ..core.components import connected_with
from ..core.errors import UnusableInput
from ..core.volume import Mask, Point, Volume

REACH_MM = 20.0
"""Distance (mm) by which a lesion may grow beyond its present outline when its threshold is lowered.

The network is rarely uncertain farther away.
"""

CLICK_MM = 3.0
"""Distance from a clicked point within which the most probable voxel is searched, mm.

It corresponds to the accuracy with which a person points at a lesion.
"""

CLICK_REACH_MM = 60.0
"""Half the width of the largest mass that a click can fill, mm."""

LEAST_PEAK = 0.05
"""Smallest peak probability from which a lesion is grown at a point."""

EDGE_SHARE = 0.5
"""Share of the peak probability at which the edge lies.

At half of the maximum, a blurred step has its middle.
"""

NOTHING_THERE = (
    "The network found no tumor at this point, so there is no boundary to grow to; paint the lesion instead."
)


def at_threshold(probability: Volume, lesion: Volume, threshold: float, *, others: Sequence[Volume] = ()) -> Volume:
    """Cut a lesion out of the probability map at a threshold.

    The result contains the voxels at or above the threshold that are connected (26 neighbors) to the present lesion, up
    to 20 mm outside it.

    Args:
        probability: The tumor probability, 0 to 1.
        lesion: The present mask of the lesion (bool).
        threshold: The probability at which to cut, 0 to 1.
        others: The masks of other lesions, which keep their voxels.

    Returns:
        The mask (bool), without a true voxel if the lesion reaches the threshold nowhere.
    """
    inside = _box_on(probability, lesion)
    if inside is None:
        return _nothing(probability)
    box = grow_box(inside, REACH_MM, probability)
    here = probability.crop(*box)
    return _connected(here, (here.array >= threshold) & ~_any(others, here), mask_on_grid(lesion, here))


def about_point(probability: Volume, point_lps: Point, *, others: Sequence[Volume] = ()) -> Volume:
    """Grow a lesion at a point.

    The result is connected to the most probable voxel within 3 mm of the point and has at least half of the probability
    of that voxel.

    Args:
        probability: The tumor probability, 0 to 1.
        point_lps: The point, LPS mm.
        others: The masks of other lesions, which keep their voxels.

    Returns:
        The mask (bool) of the lesion.

    Raises:
        UnusableInput: The point lies outside the map or in another lesion, or the probability there is below 0.05.
    """
    center = np.rint(probability.lps_to_index(point_lps)).astype(int)
    if (center < 0).any() or (center >= probability.shape).any():
        raise UnusableInput(NOTHING_THERE)  # outside the map, the network reported nothing
    at: Box = tuple(center.tolist()), tuple((center + 1).tolist())
    near_box = grow_box(at, CLICK_MM, probability)
    near = probability.crop(*near_box)
    if _any(others, probability.crop(*at)).any():
        raise UnusableInput("The point lies in another lesion; choose that lesion, or click outside it.")
    free = np.where(_any(others, near), 0, near.array)
    peak = float(free.max())
    if peak < LEAST_PEAK:
        raise UnusableInput(NOTHING_THERE)
    here = probability.crop(*grow_box(at, CLICK_REACH_MM, probability))
    seed = near.with_array(free == peak)
    return _connected(here, (here.array >= EDGE_SHARE * peak) & ~_any(others, here), mask_on_grid(seed, here))


def _connected(here: Volume, possible: Mask, seed: Mask) -> Volume:
    """Return the components of ``possible`` that contain a voxel of ``seed``, cropped."""
    mask = here.with_array(connected_with(possible, seed))
    box = bounding_box(mask.array)
    return _nothing(here) if box is None else mask.crop(*box)


def _nothing(volume: Volume) -> Volume:
    """Return a mask of one false voxel on the grid of ``volume``."""
    corner = volume.crop((0, 0, 0), (1, 1, 1))
    return corner.with_array(np.zeros((1, 1, 1), dtype=bool))


def _box_on(volume: Volume, mask: Volume) -> Box | None:
    """Return the box of the true voxels of ``mask`` that lie on ``volume``; None if no true voxel does."""
    return bounding_box(mask_on_grid(mask, volume)) if mask.array.any() else None


def _any(masks: Sequence[Volume], on: Volume) -> Mask:
    """Return where any of the masks is true on the grid of ``on``."""
    covered = np.zeros(on.shape, dtype=bool)
    for mask in masks:
        covered |= mask_on_grid(mask, on)
    return covered
