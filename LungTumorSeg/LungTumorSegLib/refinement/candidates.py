"""Candidates: everything that the first network suspects, from a low probability on.

The second network decides which of them are tumors, so this step must not miss any.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.boxes import box_of
from ..core.components import CONNECTIVITY
from ..core.crops import Crop
from ..core.volume import Array, Mask, Point, Volume

SUSPECTED, CORE = 0.3, 0.5
"""Probability from which connected voxels form one candidate, and probability of its core."""

DEEP_SHARE = 0.7
"""A voxel is deep if its distance to the surface is at least this share of the largest distance."""

MOST_CANDIDATES = 40
"""Largest number of candidates per scan; the largest cores are kept."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A connected region that may be a tumor.

    Attributes:
        region: Its voxels with at least the probability ``SUSPECTED``, on the working grid.
        core_ml: Volume of its voxels with more than the probability ``CORE``, mL.
        center: A voxel deep inside its core, LPS mm.
        extent_mm: Longest side of the bounding box of its core, mm.
    """

    region: Crop
    core_ml: float
    center: Point
    extent_mm: float


def find_candidates(probability: Volume, *, min_ml: float) -> list[Candidate]:
    """Find the candidates in a probability map.

    Args:
        probability: Tumor probability (slice, row, column), 0 to 1.
        min_ml: Smallest volume of the core of a candidate, mL.

    Returns:
        At most ``MOST_CANDIDATES`` candidates, largest core first.
    """
    labels, _ = ndimage.label(probability.array > SUSPECTED, structure=CONNECTIVITY)
    found = []
    for number, part in enumerate(ndimage.find_objects(labels), start=1):
        box = box_of(part)
        region = Crop(probability.crop(*box).with_array(labels[part] == number), box)
        candidate = candidate_at(region, probability, min_ml=min_ml)
        if candidate is not None:
            found.append(candidate)
    return sorted(found, key=lambda candidate: -candidate.core_ml)[:MOST_CANDIDATES]


def candidate_at(region: Crop, probability: Volume, *, min_ml: float) -> Candidate | None:
    """Return a region as a candidate; None if its core is smaller than ``min_ml`` or empty.

    Args:
        region: The region, on the grid of ``probability``.
        probability: Tumor probability (slice, row, column), 0 to 1.
        min_ml: Smallest volume of the core, mL.
    """
    core = region.mask.array & (probability.array[region.slices] > CORE)
    core_ml = float(np.count_nonzero(core)) * probability.voxel_volume_ml
    if core_ml < min_ml or not core.any():
        return None
    x, y, z = region.mask.index_to_lps(deep_voxel(core, probability.spacing)).tolist()
    return Candidate(region, core_ml, (x, y, z), extent_mm(core, probability.spacing))


def extent_mm(mask: Mask, spacing_mm: tuple[float, float, float]) -> float:
    """Return the longest side of the bounding box of a nonempty mask (slice, row, column), mm."""
    index = np.argwhere(mask)
    return float(((index.max(axis=0) - index.min(axis=0) + 1) * spacing_mm).max())


def depth_mm(mask: Mask, spacing_mm: tuple[float, float, float]) -> Array:
    """Return the distance, mm, from each voxel of a mask (slice, row, column) to the nearest one outside of it.

    It is 0 outside; all that lies beyond the array is outside.
    """
    return np.asarray(ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing_mm)[1:-1, 1:-1, 1:-1])


def deep_voxel(mask: Mask, spacing_mm: tuple[float, float, float]) -> Array:
    """Return the index (3,) of the voxel, among those deep inside a nonempty mask, that is nearest to its centroid.

    Args:
        mask: The mask (bool; slice, row, column).
        spacing_mm: Its spacing along the same axes, mm.
    """
    depth = depth_mm(mask, spacing_mm)
    deep = np.argwhere(depth >= DEEP_SHARE * depth.max())
    off_mm = (deep - np.argwhere(mask).mean(axis=0)) * spacing_mm
    return np.asarray(deep[np.argmin((off_mm**2).sum(axis=1))])
