"""The outline of one candidate may come out in several connected components; say which of them are one lesion.

Specks that are too small for a candidate are dropped. Components that are at most ``NEAR_MM`` apart are one lesion. A
component farther away from the largest lesion is a candidate of its own: the second network has looked at another
place, so what it saw does not hold there.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..core.components import CONNECTIVITY
from ..core.crops import Crop, trimmed_crop_at
from ..core.volume import Volume
from .candidates import Candidate, candidate_at

NEAR_MM = 3.0
"""Largest gap between components that are one lesion, mm."""


def separate(outline: Crop, ct: Volume, *, min_ml: float) -> list[Crop]:
    """Split an outline into groups of components that are at most ``NEAR_MM`` apart, the largest group first.

    Args:
        outline: The outline, not empty, on the grid of ``ct``.
        ct: The CT.
        min_ml: Smallest volume of a component, mL; smaller ones are dropped, but never the largest one.
    """
    components, count = ndimage.label(outline.mask.array, structure=CONNECTIVITY)
    if count < 2:
        return [outline]
    sizes = np.bincount(components.ravel())[1:]
    large = sizes >= min(min_ml / ct.voxel_volume_ml, sizes.max())
    mask = np.concatenate([[False], large])[components]
    width = [int(np.ceil(NEAR_MM / 2 / s)) for s in ct.spacing]
    around = np.pad(mask, [(n, n) for n in width])
    near = ndimage.distance_transform_edt(~around, sampling=ct.spacing) <= NEAR_MM / 2
    inner = tuple(slice(n, -n) for n in width)
    groups = np.where(mask, ndimage.label(near, structure=CONNECTIVITY)[0][inner], 0)
    voxels = np.bincount(groups.ravel())[1:]
    order = [number + 1 for number in np.argsort(-voxels, kind="stable").tolist() if voxels[number]]
    parts = (trimmed_crop_at(groups == number, outline.box, ct) for number in order)
    return [part for part in parts if part is not None]


def as_candidate(
    fragment: Crop, candidate: Candidate, probability: Volume, ct: Volume, *, min_ml: float
) -> Candidate | None:
    """Return a part of a candidate's outline as a candidate of its own.

    Args:
        fragment: The part, on the grid of ``ct``.
        candidate: The whole candidate.
        probability: The first network's probability on the working grid.
        ct: The CT.
        min_ml: Smallest volume of the core of a candidate, mL.

    Returns:
        The candidate; None if its core is too small, as in ``find_candidates``.
    """
    region = candidate.region
    places = region.mask.index_to_lps(np.argwhere(region.mask.array))
    index = np.rint(ct.lps_to_index(places)).astype(int) - fragment.box[0]
    there = np.asarray(((index >= 0) & (index < fragment.mask.shape)).all(axis=1))
    there[there] = fragment.mask.array[tuple(index[there].T)]
    own = np.zeros(region.mask.shape, bool)
    own[region.mask.array] = there
    return candidate_at(Crop(region.mask.with_array(own), region.box), probability, min_ml=min_ml)
