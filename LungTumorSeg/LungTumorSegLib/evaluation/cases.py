"""Metrics of cases and data sets, computed from volumes and from files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from ..core.boxes import bounding_box, slices_of, united
from ..core.complete_files import complete_file
from ..core.csv_tables import write_table
from ..core.errors import UnusableInput
from ..core.events import Progress, ProgressCallback, ignore_progress
from ..core.volume import Volume
from ..io.images import read_ct
from ..report.charts import write_froc
from ..results.folder import check_output, complete_or_nothing
from ..results.giving_way import Output
from .detection import Candidates, Detection, detect, froc_curve, froc_score, score_candidates, separate_lesions
from .files import PROBABILITY, RESULT, Pair, find_pairs, read_pair
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


def _common_box(prediction: np.ndarray, reference: np.ndarray) -> tuple[slice, slice, slice]:
    """Return the smallest box with all labels of two arrays (slice, row, column), or an empty one."""
    boxes = [box for labels in (prediction, reference) if (box := bounding_box(labels)) is not None]
    return slices_of(reduce(united, boxes)) if boxes else (slice(0, 0),) * 3


def _candidates(probability: np.ndarray, lesions: np.ndarray, box: tuple[slice, slice, slice]) -> Candidates:
    """Score the candidates of a whole CT, of which ``lesions`` are the labels in a box."""
    whole = np.zeros(probability.shape, lesions.dtype)
    whole[box] = lesions
    return score_candidates(probability, whole)


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
    )


def summarize(cases: Sequence[CaseMetrics]) -> dict[str, Any]:
    """Summarize the metrics of a data set for JSON; None is undefined.

    3D Dice, IoU and surface distances are means over cases; surface distances use the cases that have them. 2D Dice and
    slice counts pool the slices of all cases, and lesion metrics pool their lesions. The key ``froc`` is present if all
    cases have a probability map.
    """
    detections = [case.detection for case in cases]
    lesion_dices = [value for detection in detections for value in detection.dices]
    false_ml = [volume for detection in detections for volume in detection.false_ml]
    all_slices = np.concatenate([case.slice_dices for case in cases])
    tumor_slices = np.concatenate([case.slice_dices[case.tumor_slices] for case in cases])
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
        "false_positives_per_scan": len(false_ml) / len(cases),
        "false_positive_ml_per_scan": sum(false_ml) / len(cases),
    }
    candidates = [case.candidates for case in cases if case.candidates is not None]
    if len(candidates) == len(cases):
        curve = froc_curve(candidates)
        summary["froc"] = {"score": froc_score(curve), "curve": [asdict(point) for point in curve]}
    return summary


def evaluate_files(
    prediction: Path,
    reference: Path,
    cases: Path | None = None,
    on_progress: ProgressCallback = ignore_progress,
    *,
    overwrite: bool = False,
    ct: Path | None = None,
) -> dict[str, Any]:
    """Compare two files, or two folders of files matched by name.

    A file is a label map or a .seg.nrrd, of which the lesion segments count (see ``files``). Files that are compared
    are never overwritten.

    Args:
        prediction: The predicted file or folder.
        reference: The reference file or folder.
        cases: A CSV file for the table, with one row per case. If all cases have a probability map, the FROC curve is
            written beside it (``-froc.svg``).
        on_progress: Receives the number of compared cases.
        overwrite: Whether to replace existing files of these names that no evaluation wrote, or that were changed
            since.
        ct: The CT of two files, on which structure sets are filled.

    Returns:
        The result of ``summarize``, the names of predictions without a reference (``without_reference``), the rows of
        the table (``per_case``), and sentences about what was read (``warnings``).

    Raises:
        UnusableInput: Files cannot be read or matched, grids differ, or the table must not be written.
        MachineLimit: The table cannot be written.
    """
    pairs, unmatched = find_pairs(Path(prediction), Path(reference))
    if ct is not None and Path(reference).is_dir() and not (Path(reference) / RESULT).is_file():
        raise UnusableInput(f"{ct} is the CT of one case, but {reference} is a folder; compare its cases one by one.")
    grid, warnings = None, list[str]()
    if ct is not None:
        on_progress(Progress("reading", 0, 1))
        grid = read_ct(ct)
        warnings += grid.warnings
    if cases is not None:
        inputs = [path for pair in pairs for path in (pair.prediction, pair.reference)]
        inputs += [pair.prediction.with_name(PROBABILITY) for pair in pairs]
        output = Output(Path(cases).parent, f"evaluation {Path(cases).name}", inputs, overwrite)
        check_output(output, {Path(cases).name, froc_name(Path(cases))})
    metrics = _evaluated(pairs, on_progress, grid, warnings.append)
    rows, summary = [row(name, case) for name, case in metrics.items()], summarize(list(metrics.values()))
    if cases is not None:
        with complete_or_nothing(output) as private:
            write_cases(rows, private / Path(cases).name)
            if "froc" in summary:
                write_froc_of(summary, private / froc_name(Path(cases)))
    table = [asdict(line) for line in rows]
    return {**summary, "without_reference": unmatched, "per_case": table, "warnings": list(dict.fromkeys(warnings))}


def _evaluated(
    pairs: Sequence[Pair], on_progress: ProgressCallback, ct: Volume | None, warn: Callable[[str], None]
) -> dict[str, CaseMetrics]:
    metrics = {}
    for done, pair in enumerate(pairs):
        on_progress(Progress("comparing", done, len(pairs)))
        try:
            metrics[pair.name] = evaluate_case(*read_pair(pair, ct, warn))
        except UnusableInput as error:
            raise UnusableInput(f"{pair.name}: {error}") from error
    return metrics


def froc_name(cases: Path) -> str:
    """Return the name of the FROC curve that belongs to a table."""
    return f"{cases.stem}-froc.svg"


def write_froc_of(summary: dict[str, Any], picture: Path) -> None:
    """Write the FROC curve of ``summarize`` as an SVG."""
    write_froc(
        [(point["false_positives_per_scan"], point["sensitivity"]) for point in summary["froc"]["curve"]], picture
    )


def write_cases(rows: Sequence[Row], path: Path) -> None:
    """Write one row per case, with undefined values empty; the file appears only when complete."""
    with complete_file(path) as unfinished:
        write_table(unfinished, [field.name for field in fields(Row)], (asdict(line).values() for line in rows))


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
