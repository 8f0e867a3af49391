"""Lesions found and missed, false positives, and the FROC curve of a probability map.

A lesion is found if the prediction covers at least one of its voxels. A false positive is a connected component of the
prediction that covers no voxel of any lesion. Components are 26-connected, like lesions everywhere in this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.components import CONNECTIVITY
from ..core.volume import Array, Mask, Probability
from .overlap import dice

FROC_CANDIDATE = 0.3
"""Probability above which connected components are candidates.

The value is low enough for the curve to extend beyond the operating point (0.5), and high enough to keep lesions
separate from their surroundings. It belongs to the definition of the curve and does not follow the threshold from which
the second look takes candidates.
"""

FROC_RATES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives per scan at which the FROC score averages the sensitivity.

The rates are those of LUNA16 (Setio et al. 2017, doi:10.1016/j.media.2017.06.015) except 1/8, which needs more scans
than are common here.
"""


@dataclass(frozen=True)
class Detection:
    """The lesions and false positives of one case.

    Attributes:
        dices: Lesion Dice of each lesion with the predicted components that touch it; 0 if the lesion is missed.
        volumes_ml: The volume of each lesion in the reference, mL.
        false_ml: The volume of each false positive, mL.
    """

    dices: tuple[float, ...]
    volumes_ml: tuple[float, ...]
    false_ml: tuple[float, ...]

    @property
    def found(self) -> int:
        """Number of lesions found."""
        return sum(value > 0 for value in self.dices)


@dataclass(frozen=True)
class Candidates:
    """The candidate scores of one case.

    Attributes:
        lesions: For each lesion, the highest probability in a candidate that touches it; 0 if none does.
        false: For each false positive, its highest probability.
    """

    lesions: tuple[float, ...]
    false: tuple[float, ...]


@dataclass(frozen=True)
class FrocPoint:
    """A point of the FROC curve.

    Attributes:
        threshold: The smallest score of the candidates that count.
        sensitivity: The share of lesions found, 0 to 1.
        false_positives_per_scan: The mean number of false positives per scan.
    """

    threshold: float
    sensitivity: float
    false_positives_per_scan: float


def separate_lesions(labels: Array) -> Array:
    """Return one label per lesion for a label map.

    If the map has several labels, each label is a lesion, connected or not. If it has a single label, each connected
    component is a lesion.

    Args:
        labels: Integer labels (slice, row, column), 0 elsewhere.
    """
    if len(np.unique(labels[labels > 0])) > 1:
        return labels
    return np.asarray(ndimage.label(labels > 0, structure=CONNECTIVITY)[0])


def detect(prediction: Mask, lesions: Array, *, voxel_ml: float) -> Detection:
    """Compare a mask with labeled lesions.

    The Dice of a lesion ignores voxels of other lesions that a touching component covers, so that one component may
    find two lesions.

    Args:
        prediction: The mask, bool (slice, row, column).
        lesions: One label per lesion, integers of the same shape, 0 elsewhere.
        voxel_ml: The volume of a voxel, mL.

    Returns:
        The lesions in the order of their labels, and the false positives.
    """
    components, count = ndimage.label(prediction, structure=CONNECTIVITY)
    sizes = np.bincount(components.ravel(), minlength=count + 1)
    numbers = np.unique(lesions[lesions > 0])
    dices, volumes_ml = [], []
    for number in numbers:
        truth = lesions == number
        touches = np.zeros(count + 1, dtype=bool)
        touches[_labels_in(components, truth)] = True
        dices.append(dice(touches[components] & ((lesions == 0) | truth), truth))
        volumes_ml.append(float(np.count_nonzero(truth)) * voxel_ml)
    false = np.setdiff1d(np.arange(1, count + 1), _labels_in(components, lesions > 0))
    return Detection(tuple(dices), tuple(volumes_ml), tuple(float(size) * voxel_ml for size in sizes[false]))


def score_candidates(probability: Probability, lesions: Array) -> Candidates:
    """Score the candidates of a probability map by their highest probability.

    Args:
        probability: Tumor probability (slice, row, column), 0 to 1.
        lesions: One label per lesion, integers of the same shape, 0 elsewhere.

    Returns:
        The scores of the lesions and of the false positives.
    """
    components, count = ndimage.label(probability > FROC_CANDIDATE, structure=CONNECTIVITY)
    scores = np.array([0.0, *ndimage.maximum(probability, components, range(1, count + 1))])
    found = [
        scores[_labels_in(components, lesions == number)].max(initial=0.0) for number in np.unique(lesions[lesions > 0])
    ]
    false = np.setdiff1d(np.arange(1, count + 1), _labels_in(components, lesions > 0))
    return Candidates(tuple(map(float, found)), tuple(map(float, scores[false])))


def froc_curve(cases: Sequence[Candidates], scans: int | None = None) -> list[FrocPoint]:
    """Compute the FROC curve over all cases, from the highest threshold to the lowest.

    The curve is empty if the cases have no lesion or no candidate.

    Args:
        cases: The scores of each case.
        scans: Number of scans in which false positives were looked for; by default all cases.
    """
    found = np.array([score for case in cases for score in case.lesions])
    false = np.array([score for case in cases for score in case.false])
    if not len(found):
        return []
    looked_at = len(cases) if scans is None else scans
    thresholds = np.unique(np.concatenate([found[found > 0], false]))[::-1]
    return [FrocPoint(float(t), float((found >= t).mean()), float((false >= t).sum()) / looked_at) for t in thresholds]


def froc_score(curve: Sequence[FrocPoint]) -> float | None:
    """Return the mean sensitivity at ``FROC_RATES``, interpolated linearly between points; None for an empty curve."""
    if not curve:
        return None
    rates = [0.0, *(point.false_positives_per_scan for point in curve)]
    return float(np.interp(FROC_RATES, rates, [0.0, *(point.sensitivity for point in curve)]).mean())


def _labels_in(components: Array, where: Mask) -> Array:
    """Return the labels of the components that have a voxel in ``where``."""
    found = np.unique(components[where])
    return found[found > 0]
