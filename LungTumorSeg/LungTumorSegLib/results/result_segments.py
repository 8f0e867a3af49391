"""The segments of a result: lungs, lesions and margins with their names, colors and codes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from scipy import ndimage

from ..core import terminology
from ..core.boxes import Slices
from ..core.colors import LUNG_COLOR, lesion_color, margin_color
from ..core.crops import SparseMask, crop_at, crop_of
from ..core.volume import Volume
from ..io.segment import Segment
from ..isolation import LungIsolation

if TYPE_CHECKING:  # importing the lesions imports vtk
    from ..lesions import Lesion, LesionReport
    from ..lesions.spread import Margin


def lung_and_tumor_segments(isolation: LungIsolation, report: LesionReport) -> list[Segment]:
    """Return the segments Left lung, Right lung, Tumor 1, Tumor 2 ...

    A tumor voxel belongs to its tumor, not to the surrounding lung.
    """
    lungs = [replace(lung, mask=_without(lung.mask, report.labels)) for lung in lung_segments(isolation)]
    boxes = ndimage.find_objects(report.labels.array)
    tumors = [_tumor_segment(lesion, report.labels, boxes[lesion.number - 1]) for lesion in report.lesions]
    return lungs + tumors


def _without(lung: Volume, labels: Volume) -> Volume:
    """Return a lung (bool) without the voxels of lesions; only its bounding box is stored."""
    crop = crop_of(lung)
    if crop is None:
        return lung
    free = labels.crop(*crop.box).array == 0
    return SparseMask(crop_at(crop.mask.array & free, crop.box, lung), lung.grid)


def _tumor_segment(lesion: Lesion, labels: Volume, box: Slices) -> Segment:
    """Return a lesion as a segment whose mask covers only its bounding box, which keeps many lesions cheap."""
    start, stop = zip(*((part.start, part.stop) for part in box), strict=True)
    crop = labels.crop(start, stop)
    mask = crop.with_array(crop.array == lesion.number)
    return Segment(lesion.segment, mask, lesion_color(lesion.number), terminology.TUMOR[lesion.side])


def lung_segments(isolation: LungIsolation) -> list[Segment]:
    """Return the segments Left lung and Right lung.

    If the sides are unknown, a single segment Lungs is returned, so that no reader mistakes a guess for a fact.
    """
    if not isolation.sides_known:
        return [Segment("Lungs", isolation.lungs, LUNG_COLOR, terminology.LUNGS)]
    return [
        Segment("Left lung", isolation.left_lung, LUNG_COLOR, terminology.LEFT_LUNG),
        Segment("Right lung", isolation.right_lung, LUNG_COLOR, terminology.RIGHT_LUNG),
    ]


def margin_segments(found: Iterable[Margin]) -> list[Segment]:
    """Return margins as segments in the color of the lesion, lighter for wider margins.

    They overlap, so the file stores them in layers.
    """
    return [
        Segment(
            margin.name,
            margin.mask,
            margin_color(lesion_color(margin.number), margin.distance_mm),
            terminology.MARGIN,
            f"Margin_{margin.number}_{margin.distance_mm:g}",
        )
        for margin in found
    ]
