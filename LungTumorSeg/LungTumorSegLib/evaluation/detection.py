"""Lesions found and missed, false positives, and the FROC curve of a probability map.

A lesion is found if the prediction covers a voxel of it. A false positive is a connected component of the prediction that covers no
voxel of any lesion. Components are 26-connected, as lesions are everywhere in this package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.volume import Array
from ..lesions.components import CONNECTIVITY
from .overlap import dice

FROC_CANDIDATE = 0.3
"""Candidates are the components above this probability: low enough that the curve goes beyond the working point (0.5), high enough that
lesions do not melt into their surroundings."""

FROC_RATES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives a scan at which the FROC score averages the sensitivity, as in LUNA16 (Setio et al. 2017,
doi:10.1016/j.media.2017.06.015) but for its 1/8, which needs more scans than are common here."""


@dataclass(frozen=True)
class Detection:
    """``dices``: for each lesion its Dice with the predicted components that touch it, 0 where it is missed; ``volumes_ml`` of the lesions.

    ``false_ml``: volumes of the false positives.
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
    """Scores of one case: the highest probability in a candidate that touches each lesion (0 where none does), and of each false one."""

    lesions: tuple[float, ...]
    false: tuple[float, ...]


@dataclass(frozen=True)
class FrocPoint:
    """With candidates of at least ``threshold``: share of lesions found, false positives a scan."""

    threshold: float
    sensitivity: float
    false_positives_per_scan: float


def separate_lesions(labels: Array) -> Array:
    """Labels of lesions from a label map (integers; 0 elsewhere).

    Where it holds several labels, each is a lesion, in one piece or not; a single label holds as many lesions as connected components.
    """
    if len(np.unique(labels[labels > 0])) > 1:
        return labels
    return np.asarray(ndimage.label(labels > 0, structure=CONNECTIVITY)[0])


def detect(prediction: Array, lesions: Array, *, voxel_ml: float) -> Detection:
    """Compare a mask (bool) with labelled lesions (integers), both (slice, row, column).

    What a touching component covers of other lesions is not held against it, so that two lesions may be found as one.
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


def score_candidates(probability: Array, lesions: Array) -> Candidates:
    """The candidates of a probability map (0 to 1), scored by their highest probability, against labelled lesions."""
    components, count = ndimage.label(probability > FROC_CANDIDATE, structure=CONNECTIVITY)
    scores = np.array([0.0, *ndimage.maximum(probability, components, range(1, count + 1))])
    found = [
        scores[_labels_in(components, lesions == number)].max(initial=0.0) for number in np.unique(lesions[lesions > 0])
    ]
    false = np.setdiff1d(np.arange(1, count + 1), _labels_in(components, lesions > 0))
    return Candidates(tuple(map(float, found)), tuple(map(float, scores[false])))


def froc_curve(cases: Sequence[Candidates]) -> list[FrocPoint]:
    """The curve over all cases, from the highest threshold to the lowest; empty where there is no lesion or no candidate."""
    found = np.array([score for case in cases for score in case.lesions])
    false = np.array([score for case in cases for score in case.false])
    if not len(found):
        return []
    thresholds = np.unique(np.concatenate([found[found > 0], false]))[::-1]
    return [FrocPoint(float(t), float((found >= t).mean()), float((false >= t).sum()) / len(cases)) for t in thresholds]


def froc_score(curve: Sequence[FrocPoint]) -> float | None:
    """Mean sensitivity at ``FROC_RATES``, interpolated linearly between the curve's points; None for an empty curve."""
    if not curve:
        return None
    rates = [0.0, *(point.false_positives_per_scan for point in curve)]
    return float(np.interp(FROC_RATES, rates, [0.0, *(point.sensitivity for point in curve)]).mean())


def _labels_in(components: Array, where: Array) -> Array:
    """The labels of the components that have a voxel in ``where``."""
    found = np.unique(components[where])
    return found[found > 0]
