"""Mining: which cases are searched for mistakes of the network, which sites are found, and which earlier ones stay.

Training samples are then drawn at these hard sites.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
from scipy import ndimage

from ..core.components import CONNECTIVITY
from ..core.volume import Array, Mask, Probability
from .places import Site
from .store import IGNORED, StoredCase

HARD_PROBABILITY = 0.3
"""Probability above which background is a hard negative, and below which a tumor voxel is a hard positive."""

HARD_SITES = 40
"""Hard sites kept per case, spread over components so that one large mistake does not crowd out the others."""

NEAR_VOXELS = 3
"""In-plane distance, voxels, within which a wrong voxel is an inexact outline, not a mistake to mine."""


def cases_to_mine(cases: Sequence[StoredCase], count: int, rng: np.random.Generator) -> list[int]:
    """Draw the cases to search: scans and phantoms by halves, as far as there are any.

    Args:
        cases: All training cases.
        count: How many cases to search.
        rng: Draws them.

    Returns:
        Indices of at most ``count`` different cases.
    """
    scans = [i for i, case in enumerate(cases) if not case.is_phantom]
    phantoms = [i for i, case in enumerate(cases) if case.is_phantom]
    from_scans = min(len(scans), math.ceil(count / 2))
    drawn = [*rng.permutation(scans)[:from_scans], *rng.permutation(phantoms)[: count - from_scans]]
    return [int(index) for index in drawn]


def hard_voxels(probability: Probability, label: Array, rng: np.random.Generator) -> Array:
    """Find voxels where the network reports false tumor or misses tumor.

    Args:
        probability: The network's tumor probability (slice, row, column).
        label: The true labels (slice, row, column), uint8; ``IGNORED`` where nothing counts.
        rng: Draws the voxels that are kept; a component's weight is the root of its size.

    Returns:
        At most ``HARD_SITES`` voxels (n, 3), in the order (slice, row, column).
    """
    seen = probability > HARD_PROBABILITY
    wrong = (seen & ~_near(label > 0)) | ((label > 0) & (label != IGNORED) & ~_near(seen))
    components, count = ndimage.label(wrong, structure=CONNECTIVITY)
    voxels = np.argwhere(components)
    if not count:
        return voxels
    sizes = np.bincount(components[tuple(voxels.T)])
    chance = 1 / np.sqrt(sizes[components[tuple(voxels.T)]])
    chosen = rng.choice(len(voxels), min(HARD_SITES, len(voxels)), replace=False, p=chance / chance.sum())
    return np.asarray(voxels[np.sort(chosen)])


def updated_sites(sites: Sequence[Site], searched: Collection[int], found: Sequence[Site]) -> tuple[Site, ...]:
    """Return all hard sites after a mining: those that it found replace the earlier ones of the searched cases."""
    return (*(site for site in sites if site[0] not in searched), *found)


def _near(mask: Mask) -> Mask:
    """Dilate ``mask`` by ``NEAR_VOXELS`` within the slice and by one slice."""
    return np.asarray(ndimage.maximum_filter(mask, size=(3, 2 * NEAR_VOXELS + 1, 2 * NEAR_VOXELS + 1)))
