"""Instances from a mask and a boundary map, and their average precision at an IoU threshold (3D AP-75).

References:
    Li et al. 2021, arXiv:2104.07961 (seeds); Wei et al. 2020, doi:10.1007/978-3-030-59722-1_7 (3D AP-75); Lin et al.
    2014, doi:10.1007/978-3-319-10602-1_48 (interpolated average precision).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..core.components import CONNECTIVITY, connected_with
from ..core.volume import Array, Probability

SEED_MASK, SEED_BOUNDARY = 0.9, 0.8
"""T1 and T2 of the paper: a seed has a mask probability above T1."""

FOREGROUND = 0.85
"""Mask probability above which a voxel belongs to an instance; from the authors' code, the paper states none."""

IOU_75 = 0.75
"""Least intersection over union of a correct instance in AP-75."""

RECALLS = np.linspace(0, 1, 101)
"""Recalls at which the precision is averaged."""


def instances_of(
    mask: Probability,
    boundary: Probability,
    *,
    seed_mask: float = SEED_MASK,
    seed_boundary: float = SEED_BOUNDARY,
    foreground: float = FOREGROUND,
) -> Array:
    """Separate touching instances by a watershed that starts from seeds.

    A seed is a connected component of the voxels whose mask probability is above ``seed_mask`` and whose boundary
    probability is below ``seed_boundary``. The paper prints "above" for the boundary too. That rule would put seeds on
    the boundaries, where two instances touch, and would join them; the authors' code has "below". The watershed floods
    from high to low mask probability within the foreground. Foreground without a seed is no instance.

    Args:
        mask: Mask probability (slice, row, column), 0 to 1.
        boundary: Boundary probability of the same shape.
        seed_mask: T1, the mask probability of a seed.
        seed_boundary: T2, the boundary probability of a seed.
        foreground: The mask probability of an instance.

    Returns:
        Labels 1 ... n, int32, of the same shape; 0 elsewhere.
    """
    inside = mask > foreground
    seeds, count = ndimage.label((mask > seed_mask) & (boundary < seed_boundary), structure=CONNECTIVITY)
    if not count:
        return np.zeros(mask.shape, np.int32)
    levels = np.where(inside, -mask.astype(np.float32), np.float32(1))  # the outside is flooded last
    flooded = sitk.GetArrayFromImage(
        sitk.MorphologicalWatershedFromMarkers(
            sitk.GetImageFromArray(levels),
            sitk.GetImageFromArray(seeds.astype(np.int32)),
            markWatershedLine=False,
            fullyConnected=True,
        )
    )
    return np.where(connected_with(inside, seeds > 0), flooded, 0).astype(np.int32)


@dataclass(frozen=True)
class InstanceMatches:
    """Predicted instances of one case, compared with the reference.

    Attributes:
        scores: Score of each predicted instance.
        hits: Whether each predicted instance is correct.
        references: Number of instances in the reference.
    """

    scores: tuple[float, ...]
    hits: tuple[bool, ...]
    references: int


def match_instances(
    predicted: Array, reference: Array, scores: Sequence[float] | None = None, *, iou: float = IOU_75
) -> InstanceMatches:
    """Match predicted instances with those of a reference, the highest score first.

    A prediction is correct if its intersection over union with a reference instance is at least ``iou``. Each reference
    instance is matched once.

    Args:
        predicted: Labels (slice, row, column), 0 elsewhere.
        reference: Labels of the same shape.
        scores: One score per predicted label in ascending order of the labels; by default the sizes in voxels.
        iou: The least intersection over union.

    Returns:
        The matches.

    Raises:
        ValueError: The number of scores is not that of the predicted labels.
    """
    labels, sizes = np.unique(predicted[predicted > 0], return_counts=True)
    truths, truth_sizes = np.unique(reference[reference > 0], return_counts=True)
    given = sizes.astype(float) if scores is None else np.asarray(scores, float)
    if len(given) != len(labels):
        raise ValueError(f"There are {len(labels)} predicted instances, but {len(given)} scores.")
    size_of = dict(zip(truths.tolist(), truth_sizes.tolist(), strict=True))
    free, hits = set(size_of), []
    order = np.argsort(-given, kind="stable")
    for place in order:
        touched, shared = np.unique(reference[predicted == labels[place]], return_counts=True)
        overlaps = {
            truth: count / (int(sizes[place]) + size_of[truth] - count)
            for truth, count in zip(touched.tolist(), shared.tolist(), strict=True)
            if truth in free
        }
        best = max(overlaps, key=lambda truth: overlaps[truth], default=None)
        hit = best is not None and overlaps[best] >= iou
        free -= {best} if hit else set()
        hits.append(hit)
    return InstanceMatches(tuple(given[order].tolist()), tuple(hits), len(truths))


def average_precision(cases: Sequence[InstanceMatches]) -> float | None:
    """Return the average precision over the instances of all cases.

    The precision at a recall is the highest one at this recall or a higher one, averaged over 101 recalls.

    Returns:
        0 to 1, or None if the reference has no instance.
    """
    references = sum(case.references for case in cases)
    if not references:
        return None
    scores = np.concatenate([np.asarray(case.scores, float) for case in cases])
    hits = np.concatenate([np.asarray(case.hits, bool) for case in cases])[np.argsort(-scores, kind="stable")]
    found = np.cumsum(hits)
    recall, precision = found / references, found / np.arange(1, len(hits) + 1)
    highest = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, RECALLS, side="left")
    return float(np.mean(np.where(places < len(highest), np.append(highest, 0)[np.minimum(places, len(highest))], 0)))
