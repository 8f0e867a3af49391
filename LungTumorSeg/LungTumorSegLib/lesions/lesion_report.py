"""The lesions of a CT, measured: from a tumor mask, or from the segments of a corrected segmentation, to a ``LesionReport``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..ct import AxisOrder, CTVolume, Volume
from ..errors import UnusableInput
from .components import MOST_LESIONS, LesionCrop, crop_of, label_lesions, lesion_crops
from .diameters import Point, Ruler, axial_diameters
from .location import Side, Sides
from .measurements import centroid_lps, confidence
from .selection import NamedSegment, is_lesion, lung_segments

NO_LESION = "No lesion found; this does not exclude disease"


@dataclass(frozen=True)
class Lesion:
    """One lesion and its measures; ``number`` is its label in ``LesionReport.labels``.

    ``side`` is "Left", "Right" or None where no lung is known; ``confidence`` (0 ... 1) is None where there are no probabilities.
    """

    number: int
    segment: str
    side: Side | None
    volume_ml: float
    mean_hu: float
    centroid_lps: Point
    confidence: float | None
    long_axis: Ruler
    short_axis: Ruler

    @property
    def long_axis_mm(self) -> float:
        """Longest axial diameter, mm (RECIST 1.1)."""
        return self.long_axis.length_mm

    @property
    def short_axis_mm(self) -> float:
        """Longest diameter perpendicular to the long axis in its slice, mm."""
        return self.short_axis.length_mm


@dataclass(frozen=True, eq=False)
class LesionReport:
    """Lesions, largest first, and their ``labels`` (uint16, 0 elsewhere) on the CT's grid."""

    lesions: tuple[Lesion, ...]
    labels: Volume

    @property
    def message(self) -> str:
        """How many lesions were found, in words for the user."""
        count = len(self.lesions)
        return NO_LESION if count == 0 else f"{count} lesion{'s' if count > 1 else ''} found"

    @property
    def burden_ml(self) -> float:
        """Volume of all lesions together, mL."""
        return sum(lesion.volume_ml for lesion in self.lesions)

    def reordered(self, order: AxisOrder) -> LesionReport:
        """The same report with its labels in another order of axes; measures and points in LPS do not depend on it."""
        return replace(self, labels=order.apply(self.labels))


def report_lesions(
    tumor: Volume,
    ct: CTVolume,
    left_lung: Volume,
    right_lung: Volume,
    *,
    probability: Volume | None = None,
    disagreement: Volume | None = None,
    min_lesion_ml: float,
) -> LesionReport:
    """The connected components of a tumor mask (bool) as lesions "Tumor 1" ..., largest first, none smaller than ``min_lesion_ml`` mL.

    All volumes lie on the CT's grid, which may have any orientation; lungs are bool, probability and disagreement 0 ... 1.
    Raises UnusableInput where a grid differs from the CT's.
    """
    _check_grid(ct, tumor=tumor, left_lung=left_lung, right_lung=right_lung)
    labels = label_lesions(tumor, min_lesion_ml=min_lesion_ml)
    crops = [(f"Tumor {number}", crop) for number, crop in enumerate(lesion_crops(labels), start=1)]
    return LesionReport(_measured(crops, ct, (left_lung, right_lung), probability, disagreement), labels)


def measure(
    ct: CTVolume,
    segments: Sequence[NamedSegment],
    *,
    lungs: tuple[Volume, Volume] | None = None,
    probability: Volume | None = None,
    disagreement: Volume | None = None,
) -> LesionReport:
    """The lesions of an existing or corrected segmentation, largest first: each segment that ``is_lesion`` is one, in one piece or not.

    Masks lie on the CT's grid or on a part of it. Names stay as they are; empty segments are left out. ``lungs`` (left, right) come
    from the segments or else from the CT; where it shows too little lung, sides stay unknown. In ``labels`` a voxel of
    two segments belongs to the smaller one, which would be hidden else; each is measured whole.
    Raises UnusableInput where a mask does not lie on the CT's voxels.
    """
    crops = []
    for segment in segments:
        crop = crop_of(_on_grid(segment.mask, ct, segment.name)) if is_lesion(segment) else None
        if crop is not None:
            crops.append((segment.name, crop))
    crops.sort(key=lambda named: -np.count_nonzero(named[1].mask.array))
    if len(crops) > MOST_LESIONS:
        raise UnusableInput(f"The segmentation has {len(crops)} lesions, more than {MOST_LESIONS}; merge some first.")
    labels = np.zeros(ct.shape, dtype=np.uint16)
    for number, (_, crop) in enumerate(crops, start=1):
        labels[crop.slices][crop.order.undo(crop.mask).array] = number
    if lungs is None and crops:
        lungs = _lungs_of(ct, segments)
    return LesionReport(_measured(crops, ct, lungs, probability, disagreement), Volume(labels, ct.affine))


def _lungs_of(ct: CTVolume, segments: Sequence[NamedSegment]) -> tuple[Volume, Volume] | None:
    """Left and right lung from the segmentation or else isolated; None where the CT shows too little lung."""
    from ..isolation import isolate_lungs  # takes seconds, and is needed only where nobody has drawn the lungs

    drawn = lung_segments(segments)
    if drawn is not None:
        return _on_grid(drawn[0], ct, "Left lung"), _on_grid(drawn[1], ct, "Right lung")
    try:
        isolation = isolate_lungs(ct)
    except UnusableInput:  # a crop around a lesion can be measured without a side
        return None
    return isolation.left_lung, isolation.right_lung


def _on_grid(mask: Volume, ct: CTVolume, name: str) -> Volume:
    """``mask`` on the CT's whole grid; Slicer stores segments on the part of it that they fill."""
    if ct.same_grid(mask):
        return mask
    start = np.rint(ct.lps_to_index(mask.origin)).astype(int)
    stop = start + mask.shape
    inside = (start >= 0).all() and (stop <= ct.shape).all()
    if not inside or not ct.crop(tuple(start), tuple(stop)).same_grid(mask):
        raise UnusableInput(f"The segment {name} does not lie on the CT's voxels; resample the segmentation to this CT first.")
    whole = np.zeros(ct.shape, dtype=bool)
    whole[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = mask.array
    return Volume(whole, ct.affine)


def _check_grid(ct: CTVolume, **volumes: Volume) -> None:
    for name, volume in volumes.items():
        if not ct.same_grid(volume):
            raise UnusableInput(f"The {name.replace('_', ' ')} does not lie on the CT's grid; resample it to this CT first.")


def _measured(
    crops: Sequence[tuple[str, LesionCrop]],
    ct: CTVolume,
    lungs: tuple[Volume, Volume] | None,
    probability: Volume | None,
    disagreement: Volume | None,
) -> tuple[Lesion, ...]:
    maps = {name: m for name, m in (("probability", probability), ("disagreement", disagreement)) if m is not None}
    _check_grid(ct, **maps)
    sides = None if lungs is None else Sides(*lungs)
    lesions = []
    for number, (name, crop) in enumerate(crops, start=1):
        inside = crop.mask.array
        diameters = axial_diameters(crop.mask)
        lesions.append(
            Lesion(
                number=number,
                segment=name,
                side=None if sides is None else sides.of(crop),
                volume_ml=float(np.count_nonzero(inside) * crop.mask.voxel_volume_ml),
                mean_hu=float(crop.cut(ct).array[inside].mean(dtype=np.float64)),
                centroid_lps=centroid_lps(crop.mask),
                confidence=None if probability is None else confidence(crop, probability, disagreement),
                long_axis=diameters.long_axis,
                short_axis=diameters.short_axis,
            )
        )
    return tuple(lesions)
