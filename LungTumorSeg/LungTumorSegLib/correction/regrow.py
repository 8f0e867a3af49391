"""Outlines out of the probability map: a lesion at another threshold, or the one about a point.

Masks are ``Volume`` (bool) on any part of the map's lattice of voxels, as Slicer crops them; so are the answers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ..core.boxes import Box, bounding_box, grown, placed
from ..core.errors import UnusableInput
from ..core.volume import Array, Volume
from ..lesions.components import CONNECTIVITY
from ..lesions.diameters import Point

REACH_MM = 20.0
"""How far beyond its present outline a lesion may grow when its threshold is lowered; the network is rarely unsure farther out."""

CLICK_MM = 3.0
"""So far about a clicked point its most probable voxel is looked for: as exactly as one points at a lesion."""

CLICK_REACH_MM = 60.0
"""Half the width of the largest mass that a click can fill."""

LEAST_PEAK = 0.05
"""A point where the network sees less than this has no tumor to grow."""

EDGE_SHARE = 0.5
"""The edge lies where the probability falls to this share of its peak: half maximum, where a blurred step has its middle."""

NOTHING_THERE = "The network sees no tumor at this point, so there is no edge to grow to; paint the lesion instead."


def at_threshold(probability: Volume, lesion: Volume, threshold: float, *, others: Sequence[Volume] = ()) -> Volume:
    """The lesion cut out of ``probability`` (0 ... 1) at ``threshold``: what is connected (26) to its voxels, at most 20 mm outside.

    Voxels of ``others`` stay theirs. The answer has no voxel where the lesion nowhere reaches the threshold.
    """
    inside = _box_on(probability, lesion)
    if inside is None:
        return _nothing(probability)
    box = grown(inside, REACH_MM, probability)
    here = probability.crop(*box)
    return _connected(here, (here.array >= threshold) & ~_any(others, here), placed(lesion, here))


def about_point(probability: Volume, point_lps: Point, *, others: Sequence[Volume] = ()) -> Volume:
    """What is connected to the most probable voxel near a point (LPS mm) and has at least half of its probability.

    Raises UnusableInput where the point lies outside the map or in one of ``others``, or the network sees nothing there.
    """
    center = np.rint(probability.lps_to_index(point_lps)).astype(int)
    if (center < 0).any() or (center >= probability.shape).any():
        raise UnusableInput(NOTHING_THERE)  # the map ends where it says nothing any more
    at: Box = tuple(center.tolist()), tuple((center + 1).tolist())
    near_box = grown(at, CLICK_MM, probability)
    near = probability.crop(*near_box)
    if _any(others, probability.crop(*at)).any():
        raise UnusableInput("The point lies in another lesion; choose that lesion, or click beside it.")
    free = np.where(_any(others, near), 0, near.array)
    peak = float(free.max())
    if peak < LEAST_PEAK:
        raise UnusableInput(NOTHING_THERE)
    here = probability.crop(*grown(at, CLICK_REACH_MM, probability))
    seed = near.with_array(free == peak)
    return _connected(here, (here.array >= EDGE_SHARE * peak) & ~_any(others, here), placed(seed, here))


def _connected(here: Volume, possible: Array, seed: Array) -> Volume:
    """The parts of ``possible`` that hold a voxel of ``seed``, cropped."""
    parts, count = ndimage.label(possible, structure=CONNECTIVITY)
    own = np.zeros(count + 1, dtype=bool)
    own[parts[seed]] = True
    own[0] = False
    mask = here.with_array(own[parts])
    box = bounding_box(mask.array)
    return _nothing(here) if box is None else mask.crop(*box)


def _nothing(volume: Volume) -> Volume:
    corner = volume.crop((0, 0, 0), (1, 1, 1))
    return corner.with_array(np.zeros((1, 1, 1), dtype=bool))


def _box_on(volume: Volume, mask: Volume) -> Box | None:
    """The box of the true voxels of ``mask``, as far as they lie on ``volume``; None where none does."""
    return bounding_box(placed(mask, volume)) if mask.array.any() else None


def _any(masks: Sequence[Volume], on: Volume) -> Array:
    covered = np.zeros(on.shape, dtype=bool)
    for mask in masks:
        covered |= placed(mask, on)
    return covered
