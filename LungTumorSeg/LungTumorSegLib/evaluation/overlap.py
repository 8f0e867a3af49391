"""Overlap of two masks, by voxels and by slices.

Arrays are bool (slice, row, column), with axial slices. Two empty masks agree fully (Dice and IoU are 1). If only one
mask is empty, Dice and IoU are 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..core.volume import Array, Mask


def dice(prediction: Mask, reference: Mask) -> float:
    """Compute the Dice coefficient, 2 |P and R| / (|P| + |R|) (Dice 1945, doi:10.2307/1932409).

    Args:
        prediction: A mask (bool) of any shape.
        reference: A mask of the same shape.

    Returns:
        0 to 1; 1 if both masks are empty.
    """
    total = np.count_nonzero(prediction) + np.count_nonzero(reference)
    return float(2 * np.count_nonzero(prediction & reference) / total) if total else 1.0


def iou(prediction: Mask, reference: Mask) -> float:
    """Compute the intersection over union, |P and R| / |P or R| (Jaccard index).

    Args:
        prediction: A mask (bool) of any shape.
        reference: A mask of the same shape.

    Returns:
        0 to 1; 1 if both masks are empty.
    """
    union = np.count_nonzero(prediction | reference)
    return float(np.count_nonzero(prediction & reference) / union) if union else 1.0


def slice_dices(prediction: Mask, reference: Mask) -> Array:
    """Compute the 2D Dice of each slice.

    A slice without tumor in both masks counts as 1, and a slice with tumor in one mask only counts as 0. The overall 2D
    Dice of Najeeb and Bhuiyan 2022 is the mean over the slices of all cases.

    Args:
        prediction: A mask, bool (slices, rows, columns).
        reference: A mask of the same shape.

    Returns:
        float64, shape (slices,).
    """
    return np.array([dice(p, r) for p, r in zip(prediction, reference, strict=True)])


@dataclass(frozen=True)
class SliceCounts:
    """Counts of slices correctly or wrongly predicted to contain tumor.

    A slice is positive if any of its voxels is. A rate whose denominator is 0 is None, that is, undefined.
    """

    true_positives: int = 0
    false_positives: int = 0
    true_negatives: int = 0
    false_negatives: int = 0

    @classmethod
    def of(cls, prediction: Mask, reference: Mask) -> SliceCounts:
        """Count the slices of one case."""
        p, r = prediction.any(axis=(1, 2)), reference.any(axis=(1, 2))
        return cls(*(int(np.count_nonzero(kind)) for kind in (p & r, p & ~r, ~p & ~r, ~p & r)))

    def __add__(self, other: SliceCounts) -> SliceCounts:
        return SliceCounts(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.true_negatives + other.true_negatives,
            self.false_negatives + other.false_negatives,
        )

    @property
    def f1(self) -> float | None:
        """F1 score, 2 TP / (2 TP + FP + FN)."""
        return _ratio(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)

    @property
    def mcc(self) -> float | None:
        """Matthews correlation coefficient, -1 to 1 (doi:10.1016/0005-2795(75)90109-9)."""
        tp, fp, tn, fn = self.true_positives, self.false_positives, self.true_negatives, self.false_negatives
        return _ratio(tp * tn - fp * fn, math.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))

    @property
    def false_positive_rate(self) -> float | None:
        """False positive rate, FP / (FP + TN)."""
        return _ratio(self.false_positives, self.false_positives + self.true_negatives)


def _ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator else None
