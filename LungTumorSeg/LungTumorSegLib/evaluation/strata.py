"""Accuracy by strata: reported lesions with their confidence, compared with reference lesions of different scans.

Lesions are grouped by size and density, scans by source, slice thickness and contrast agent. ``detection`` knows masks
only; here a reported lesion is one label with a confidence, so that the FROC curve describes the whole pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.volume import HU, Array, Mask
from .detection import Candidates, FrocPoint, froc_curve, separate_lesions
from .overlap import dice

IGNORED_SHARE = 0.3
"""Share of ignored voxels above which a reported lesion without a true one is no false positive."""

SIZES_MM = {"below 8 mm": 8.0, "8 to 12 mm": 12.0, "12 to 20 mm": 20.0, "20 to 40 mm": 40.0, "above 40 mm": np.inf}
"""Upper limits of the classes of the diameter of the ball of equal volume, mm."""

DENSITIES_HU = {"below -450 HU": -450.0, "-450 to -150 HU": -150.0, "above -150 HU": np.inf}
"""Upper limits of the classes of the mean HU; below the first one, most lesions are ground glass."""

SLICES_MM = {"up to 2.5 mm": 2.5, "2.5 to 4 mm": 4.0, "above 4 mm": np.inf}
"""Upper limits of the classes of the distance between slices, mm; an upper limit belongs to its class."""

UNKNOWN = "unknown"


@dataclass(frozen=True)
class ScoredLesion:
    """A reference lesion.

    Attributes:
        diameter_mm: Diameter of the ball of equal volume, mm.
        mean_hu: Mean HU; None if the CT is not known.
        dice: Lesion Dice with the reported lesions that touch it and count; 0 if it is missed.
        confidence: Highest confidence of the reported lesions that touch it; 0 if no lesion touches it.
    """

    diameter_mm: float
    mean_hu: float | None
    dice: float
    confidence: float


@dataclass(frozen=True)
class ScoredScan:
    """A scan with its reference lesions and false positives.

    Attributes:
        name: Name of the scan.
        source: Where it comes from.
        contrast: Whether it has a contrast agent, in words.
        slice_mm: Distance between its slices, mm.
        threshold: Confidence from which a reported lesion counts for Dice and false positives.
        dice_3d: 3D Dice of what counts; None if the reference has no lesion.
        lesions: The reference lesions.
        false_ml: Volume and confidence of each false positive, mL, whether it counts or not.
    """

    name: str
    source: str
    contrast: str
    slice_mm: float
    threshold: float
    dice_3d: float | None
    lesions: tuple[ScoredLesion, ...]
    false_ml: tuple[tuple[float, float], ...]

    @property
    def counted_ml(self) -> list[float]:
        """The volumes of the false positives that count, mL."""
        return [volume_ml for volume_ml, confidence in self.false_ml if confidence >= self.threshold]


@dataclass(frozen=True, eq=False)
class Comparison:
    """The arrays of a scan (slice, row, column), all of one shape.

    Attributes:
        found: Reported lesions, labels 1 ... n.
        truth: Reference lesions: one label each, or one label for all.
        spacing_mm: Spacing along (slice, row, column), mm.
        ignored: Voxels that count neither as tumor nor as background, bool; None if there are none.
        hu: HU; None if unknown.
    """

    found: Array
    truth: Array
    spacing_mm: tuple[float, float, float]
    ignored: Mask | None = None
    hu: HU | None = None


def score_scan(
    name: str,
    arrays: Comparison,
    confidences: Sequence[float],
    *,
    threshold: float = 0.0,
    source: str = UNKNOWN,
    contrast: str = UNKNOWN,
) -> ScoredScan:
    """Compare the reported lesions of a scan with its reference.

    Args:
        name: Name of the scan.
        arrays: The labels of both; ignored voxels are left out of both.
        confidences: Confidence of the reported lesions 1 ... n, 0 to 1.
        threshold: Confidence from which a reported lesion counts for Dice and false positives.
        source: Where the scan comes from.
        contrast: Whether it has a contrast agent, in words.

    Returns:
        The scores of its lesions and false positives.
    """
    counts = np.ones(arrays.found.shape, bool) if arrays.ignored is None else ~arrays.ignored
    found = arrays.found.astype(np.int32)
    truth = np.where(counts, separate_lesions(arrays.truth.astype(np.int32)), 0)
    of_label = np.array([0.0, *confidences])
    taken = (of_label[found] >= threshold) & (found > 0) & counts
    voxel_ml = float(np.prod(arrays.spacing_mm)) / 1000
    lesions = []
    for number in np.unique(truth[truth > 0]):
        own = truth == number
        touching = np.unique(found[own & (found > 0)])
        near = np.isin(found, touching) & taken & ((truth == 0) | own)
        lesions.append(
            ScoredLesion(
                diameter_mm=float((6000 * np.count_nonzero(own) * voxel_ml / np.pi) ** (1 / 3)),
                mean_hu=None if arrays.hu is None else float(arrays.hu[own].mean()),
                dice=dice(near, own),
                confidence=float(of_label[touching].max(initial=0.0)),
            )
        )
    false = [n for n in range(1, len(of_label)) if _is_false(found == n, truth, counts)]
    return ScoredScan(
        name,
        source,
        contrast,
        arrays.spacing_mm[0],
        threshold,
        dice(taken, truth > 0) if lesions else None,
        tuple(lesions),
        tuple((np.count_nonzero((found == n) & counts) * voxel_ml, float(of_label[n])) for n in false),
    )


def strata(scans: Sequence[ScoredScan]) -> list[dict[str, Any]]:
    """Return one row per stratum: all scans, then by source, slice thickness and contrast, then lesions by kind.

    False positives belong to scans, so strata of lesions have none (None).
    """
    rows = [_row("all", "all", scans)]
    by_scan: dict[str, Callable[[ScoredScan], str]] = {
        "source": lambda scan: scan.source,
        "slice thickness": lambda scan: class_of(scan.slice_mm, SLICES_MM, up_to=True),
        "contrast": lambda scan: scan.contrast,
    }
    for dimension, name_of in by_scan.items():
        names = list(dict.fromkeys(sorted(map(name_of, scans))))
        rows += [_row(dimension, name, [scan for scan in scans if name_of(scan) == name]) for name in names]
    lesions = [(scan, lesion) for scan in scans for lesion in scan.lesions]
    by_lesion: dict[str, tuple[Callable[[ScoredLesion], str], Sequence[str]]] = {
        "size": (lambda lesion: class_of(lesion.diameter_mm, SIZES_MM), list(SIZES_MM)),
        "density": (density_of, [*DENSITIES_HU, UNKNOWN]),
    }
    for dimension, (class_name, classes) in by_lesion.items():
        for name in classes:
            chosen = [pair for pair in lesions if class_name(pair[1]) == name]
            if chosen:
                rows.append({"dimension": dimension, "stratum": name, **_of_lesions(chosen), **_of_scans(())})
    return rows


def froc(scans: Sequence[ScoredScan]) -> list[FrocPoint]:
    """Return the FROC curve of the reported lesions over their confidence."""
    return froc_curve(
        [
            Candidates(tuple(each.confidence for each in scan.lesions), tuple(score for _, score in scan.false_ml))
            for scan in scans
        ]
    )


def class_of(value: float, limits: Mapping[str, float], *, up_to: bool = False) -> str:
    """Return the first class whose upper limit is above a value, or equal to it if ``up_to`` is set."""
    return next(name for name, limit in limits.items() if value < limit or (up_to and value <= limit))


def density_of(lesion: ScoredLesion) -> str:
    """Return the class of a lesion's mean HU."""
    return UNKNOWN if lesion.mean_hu is None else class_of(lesion.mean_hu, DENSITIES_HU)


def _is_false(mask: Mask, truth: Array, counts: Mask) -> bool:
    """Return whether a reported lesion touches no reference lesion and is not mostly ignored."""
    return bool(mask.any()) and not truth[mask].any() and float((~counts[mask]).mean()) <= IGNORED_SHARE


def _row(dimension: str, stratum: str, scans: Sequence[ScoredScan]) -> dict[str, Any]:
    lesions = [(scan, lesion) for scan in scans for lesion in scan.lesions]
    return {"dimension": dimension, "stratum": stratum, **_of_lesions(lesions), **_of_scans(scans)}


def _of_lesions(lesions: Sequence[tuple[ScoredScan, ScoredLesion]]) -> dict[str, Any]:
    found = [lesion.dice > 0 for _, lesion in lesions]
    return {
        "lesions": len(lesions),
        "lesions_found": sum(found),
        "sensitivity": float(np.mean(found)) if found else None,
        "median_lesion_dice": float(np.median([lesion.dice for _, lesion in lesions])) if lesions else None,
    }


def _of_scans(scans: Sequence[ScoredScan]) -> dict[str, Any]:
    dices = [scan.dice_3d for scan in scans if scan.dice_3d is not None]
    false = [volume for scan in scans for volume in scan.counted_ml]
    return {
        "scans": len(scans) or None,
        "median_dice_3d": float(np.median(dices)) if dices else None,
        "false_positives_per_scan": len(false) / len(scans) if scans else None,
        "false_positive_ml_per_scan": sum(false) / len(scans) if scans else None,
    }
