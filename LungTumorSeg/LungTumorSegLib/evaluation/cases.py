"""Metrics of cases and data sets, computed from volumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any

import numpy as np

from ..core.boxes import Slices, bounding_box, slices_of, unite_boxes
from ..core.errors import UnusableInput
from ..core.volume import Volume
from .detection import Candidates, Detection, detect, froc_curve, froc_score, score_candidates, separate_lesions
from .overlap import SliceCounts, dice, iou, slice_dices
from .surface_distance import surface_distances


@dataclass(frozen=True, eq=False)
class CaseMetrics:
    """The metrics of one case.

    Attributes:
        dice_3d: 3D Dice of the whole scan.
        iou_3d: Intersection over union of the whole scan.
        slice_dices: 2D Dice per slice, shape (slices,).
        tumor_slices: Whether the reference has tumor in the slice, bool, shape (slices,).
        slices: Slices correctly or wrongly predicted to contain tumor.
        hd95_mm: 95th percentile of the surface distance, mm; None if a mask is empty.
        mean_surface_distance_mm: Mean surface distance, mm; None if a mask is empty.
        detection: Lesions found and missed, and false positives.
        candidates: Scores for the FROC curve; None if there is no probability map.
        is_predicted: Whether there is a prediction; see ``missed_case``.
    """

    dice_3d: float
    iou_3d: float
    slice_dices: np.ndarray
    tumor_slices: np.ndarray
    slices: SliceCounts
    hd95_mm: float | None
    mean_surface_distance_mm: float | None
    detection: Detection
    candidates: Candidates | None = None
    is_predicted: bool = True


@dataclass(frozen=True)
class Row:
    """The metrics of one case as numbers: a row of the table."""

    case: str
    dice_3d: float
    iou_3d: float
    dice_2d_all_slices: float
    dice_2d_tumor_slices: float | None
    slice_tp: int
    slice_fp: int
    slice_tn: int
    slice_fn: int
    slice_f1: float | None
    slice_mcc: float | None
    slice_false_positive_rate: float | None
    hd95_mm: float | None
    mean_surface_distance_mm: float | None
    lesions: int
    lesions_found: int
    lesion_sensitivity: float | None
    median_lesion_dice: float | None
    false_positives: int
    false_positive_ml: float
    note: str = ""


NO_PREDICTION = "no prediction: all lesions count as missed"
"""The note on a case without a prediction."""


def evaluate_case(prediction: Volume, reference: Volume, probability: Volume | None = None) -> CaseMetrics:
    """Compare a mask with a reference on the same grid, in any orientation.

    Args:
        prediction: The mask (bool, or labels, of which all above 0 count).
        reference: The reference (bool, or one label per lesion).
        probability: The tumor probability (0 to 1) on the same grid, which the FROC curve needs.

    Returns:
        The metrics of the case.

    Raises:
        UnusableInput: The grids differ.
    """
    order = reference.canonical_axes()
    for volume in (prediction, probability):
        if volume is not None and not volume.same_grid(reference):
            raise UnusableInput("Prediction and reference are not on the same grid; resample one to the other first.")
    truth, answer = order.apply(reference), order.apply(prediction)
    slices = len(truth.array)
    box = _common_box(answer.array, truth.array)  # outside, both are empty, and a whole CT needs 20 GB
    p, r = answer.array[box] > 0, truth.array[box] > 0
    lesions = separate_lesions(truth.array[box].astype(np.int32))
    distances = surface_distances(p, r, spacing_mm=truth.spacing)
    dices, with_tumor = np.ones(slices), np.zeros(slices, bool)
    dices[box[0]], with_tumor[box[0]] = slice_dices(p, r), r.any(axis=(1, 2))
    return CaseMetrics(
        dice_3d=dice(p, r),
        iou_3d=iou(p, r),
        slice_dices=dices,
        tumor_slices=with_tumor,
        slices=SliceCounts.of(p, r) + SliceCounts(true_negatives=slices - len(p)),
        hd95_mm=distances.hd95_mm if distances else None,
        mean_surface_distance_mm=distances.mean_mm if distances else None,
        detection=detect(p, lesions, voxel_ml=truth.voxel_volume_ml),
        candidates=None if probability is None else _candidates(order.apply(probability).array, lesions, box),
    )


def _common_box(prediction: np.ndarray, reference: np.ndarray) -> Slices:
    """Return the smallest box with all labels of two arrays (slice, row, column), or an empty one."""
    boxes = [box for labels in (prediction, reference) if (box := bounding_box(labels)) is not None]
    return slices_of(reduce(unite_boxes, boxes)) if boxes else (slice(0, 0),) * 3


def _candidates(probability: np.ndarray, lesions: np.ndarray, box: Slices) -> Candidates:
    """Score the candidates of a whole CT, of which ``lesions`` are the labels in a box."""
    whole = np.zeros(probability.shape, lesions.dtype)
    whole[box] = lesions
    return score_candidates(probability, whole)


def missed_case(reference: Volume) -> CaseMetrics | None:
    """Return the metrics of a case without a prediction: all its lesions, and all its slices with tumor, are missed.

    Its slices without tumor are not counted, so a missing prediction improves no metric.

    Args:
        reference: The reference (bool, or one label per lesion).

    Returns:
        The metrics; None if the reference has no lesion.
    """
    truth = reference.canonical_axes().apply(reference)
    box = _common_box(truth.array, truth.array)
    with_tumor = truth.array[box].any(axis=(1, 2))
    slices = int(np.count_nonzero(with_tumor))
    if not slices:
        return None
    lesions = separate_lesions(truth.array[box].astype(np.int32))
    nothing = np.zeros(lesions.shape, bool)
    return CaseMetrics(
        dice_3d=0.0,
        iou_3d=0.0,
        slice_dices=np.zeros(slices),
        tumor_slices=np.ones(slices, bool),
        slices=SliceCounts(false_negatives=slices),
        hd95_mm=None,
        mean_surface_distance_mm=None,
        detection=detect(nothing, lesions, voxel_ml=truth.voxel_volume_ml),
        candidates=score_candidates(nothing.astype(np.float32), lesions),
        is_predicted=False,
    )


def row(case: str, metrics: CaseMetrics) -> Row:
    """Convert the metrics of one case into a row of the table."""
    counts, detection = metrics.slices, metrics.detection
    return Row(
        case=case,
        dice_3d=metrics.dice_3d,
        iou_3d=metrics.iou_3d,
        dice_2d_all_slices=float(metrics.slice_dices.mean()),
        dice_2d_tumor_slices=_mean(metrics.slice_dices[metrics.tumor_slices]),
        **_slice_columns(counts),
        hd95_mm=metrics.hd95_mm,
        mean_surface_distance_mm=metrics.mean_surface_distance_mm,
        lesions=len(detection.dices),
        lesions_found=detection.found,
        lesion_sensitivity=_mean([value > 0 for value in detection.dices]),
        median_lesion_dice=_median(detection.dices),
        false_positives=len(detection.false_ml),
        false_positive_ml=sum(detection.false_ml),
        note="" if metrics.is_predicted else NO_PREDICTION,
    )


def summarize(cases: Sequence[CaseMetrics]) -> dict[str, Any]:
    """Summarize the metrics of a data set for JSON; None is undefined.

    3D Dice, IoU and surface distances are means over cases; surface distances use the cases that have them. 2D Dice and
    slice counts pool the slices of all cases, and lesion metrics pool their lesions. False positives per scan are those
    of the cases with a prediction. The key ``froc`` is present if all of these have a probability map.
    """
    detections = [case.detection for case in cases]
    lesion_dices = [value for detection in detections for value in detection.dices]
    false_ml = [volume for detection in detections for volume in detection.false_ml]
    all_slices = np.concatenate([case.slice_dices for case in cases])
    tumor_slices = np.concatenate([case.slice_dices[case.tumor_slices] for case in cases])
    scans = sum(case.is_predicted for case in cases)
    distances = [(case.hd95_mm, case.mean_surface_distance_mm) for case in cases if case.hd95_mm is not None]
    summary = {
        "cases": len(cases),
        "dice_3d": _mean([case.dice_3d for case in cases]),
        "median_dice_3d": _median([case.dice_3d for case in cases]),
        "iou_3d": _mean([case.iou_3d for case in cases]),
        "dice_2d_all_slices": _mean(all_slices),
        "dice_2d_tumor_slices": _mean(tumor_slices),
        **_slice_columns(sum((case.slices for case in cases), SliceCounts())),
        "cases_with_surface_distances": len(distances),
        "hd95_mm": _mean([hd95_mm for hd95_mm, _ in distances]),
        "mean_surface_distance_mm": _mean([mean_mm for _, mean_mm in distances]),
        "lesions": len(lesion_dices),
        "lesions_found": sum(detection.found for detection in detections),
        "lesion_sensitivity": _mean([value > 0 for value in lesion_dices]),
        "median_lesion_dice": _median(lesion_dices),
        "false_positives": len(false_ml),
        "false_positives_per_scan": len(false_ml) / scans,
        "false_positive_ml_per_scan": sum(false_ml) / scans,
    }
    candidates = [case.candidates for case in cases if case.candidates is not None]
    if len(candidates) == len(cases):
        curve = froc_curve(candidates, scans)
        summary["froc"] = {"score": froc_score(curve), "curve": [asdict(point) for point in curve]}
    return summary


def _slice_columns(counts: SliceCounts) -> dict[str, Any]:
    return {
        "slice_tp": counts.true_positives,
        "slice_fp": counts.false_positives,
        "slice_tn": counts.true_negatives,
        "slice_fn": counts.false_negatives,
        "slice_f1": counts.f1,
        "slice_mcc": counts.mcc,
        "slice_false_positive_rate": counts.false_positive_rate,
    }


def _mean(values: Any) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _median(values: Any) -> float | None:
    return float(np.median(values)) if len(values) else None
