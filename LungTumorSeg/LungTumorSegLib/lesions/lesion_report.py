"""Measure the lesions of a CT.

The lesions come from a tumor mask or from the segments of a corrected segmentation; the result is a ``LesionReport``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..core.argument_types import as_ct, expect_segments
from ..core.boxes import bounding_box, slices_of
from ..core.crops import Crop, place
from ..core.errors import UnusableInput
from ..core.lesion_numbers import lesion_numbers
from ..core.selection import NamedSegment, is_lesion, selection_doubts
from ..core.volume import AxisOrder, CTVolume, Grid, Point, Volume
from .components import MOST_LESIONS, label_lesions, lesion_crops, numbered_crops
from .doubts import lesion_doubts, outline_doubts, overlap_doubts, same_name_doubts
from .lesion import Lesion, measure_lesion
from .location import locate
from .lungs import FoundLungs, find_lungs
from .maps import VOXEL_THRESHOLD, Maps
from .measurements import centroid_lps
from .spread import Spread, distances_from_dominant_mm, spread_of

NO_LESION = "No lesion found; this does not exclude disease"


@dataclass(frozen=True, eq=False)
class LesionReport:
    """The lesions of a CT.

    Attributes:
        lesions: The lesions, largest first.
        labels: Their labels (uint16, 0 elsewhere) on the CT's grid.
        spread: How far the lesions have spread.
        unsure_ml: The volumes (mL, largest first) of candidates that are large enough for a lesion, but below the
            confidence threshold.
        warnings: Sentences for the user about what makes the lesions or their locations doubtful.
    """

    lesions: tuple[Lesion, ...]
    labels: Volume
    spread: Spread
    unsure_ml: tuple[float, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """A sentence for the user with the number of lesions."""
        count = len(self.lesions)
        return NO_LESION if count == 0 else f"{count} lesion{'s' if count > 1 else ''} found"

    def reordered(self, order: AxisOrder) -> LesionReport:
        """Return the report with its labels in another order of axes.

        Measurements and points in LPS do not depend on the order of axes.
        """
        return replace(self, labels=order.apply(self.labels))


@dataclass(frozen=True, eq=False)
class _Images:
    """The volumes on which lesions are measured, on one grid with canonical axes."""

    ct: CTVolume
    lungs: tuple[Volume, Volume] | None
    maps: Maps | None
    carina_lps: Point | None


def report_lesions(
    tumor: Volume,
    ct: CTVolume,
    left_lung: Volume,
    right_lung: Volume,
    *,
    maps: Maps | None = None,
    min_lesion_ml: float,
    min_confidence: float = 0.0,
    carina_lps: Point | None = None,
    sides_known: bool = True,
    together: Sequence[Crop] = (),
) -> LesionReport:
    """Report the connected components of a tumor mask as lesions "Tumor 1", "Tumor 2", ..., largest first.

    All volumes lie on the CT's grid, which may have any orientation.

    Args:
        tumor: The mask (bool).
        ct: The CT (HU).
        left_lung: The left lung (bool).
        right_lung: The right lung (bool).
        maps: The networks' maps; without them, the lesions have neither confidence nor a range of their volume.
        min_lesion_ml: The smallest volume of a lesion, mL.
        min_confidence: The confidence threshold, 0 to 1. It applies only with maps.
        carina_lps: The carina, LPS mm.
        sides_known: Whether left and right lung are known. Otherwise, the lesions get neither side nor zone.
        together: Masks on the CT's grid, with canonical axes, that each are one lesion although they may have several
            components.

    Returns:
        The report.

    Raises:
        UnusableInput: A grid differs from the CT's, or the mask has too many components.
    """
    _check_grid(ct, tumor=tumor)
    order = ct.canonical_axes()
    lungs = (left_lung, right_lung) if sides_known else None
    images = _canonical(ct, lungs, maps, carina_lps)
    labels = label_lesions(order.apply(tumor), min_lesion_ml=min_lesion_ml, together=together)
    unsure_ml: tuple[float, ...] = ()
    if images.maps is not None:
        labels, unsure_ml = _confident(labels, images.maps, min_confidence)
    crops = list(lesion_crops(labels))
    named = {number: f"Tumor {number}" for number in range(1, len(crops) + 1)}
    report = _report(named, crops, labels, images)
    return replace(report.reordered(order.inverse()), unsure_ml=unsure_ml)


def measure(
    ct: CTVolume,
    segments: Sequence[NamedSegment],
    *,
    lungs: FoundLungs | tuple[Volume, Volume] | None = None,
    probability: Volume | None = None,
    disagreement: Volume | None = None,
    voxel_threshold: float = VOXEL_THRESHOLD,
    carina_lps: Point | None = None,
) -> LesionReport:
    """Measure the lesions of an existing or corrected segmentation, largest first.

    Each segment for which ``is_lesion`` is true is one lesion, connected or not. Names stay unchanged, and empty
    segments are skipped. A lesion has the number of its segment's name ("Tumor 3" is lesion 3), as in the panel; others
    get the next free numbers. Each lesion is measured as a whole. In ``labels``, a voxel of two segments belongs to the
    smaller one, which would otherwise be hidden.

    Args:
        ct: The CT (HU), in any orientation.
        segments: The segments. Their voxels must coincide with those of the CT, but their grids may differ in extent.
        lungs: The lungs (left, right). If None, they come from the segments, or else from the CT. If the CT shows too
            little lung or no spine, sides are unknown, and a warning says so.
        probability: Tumor probability on the CT's grid, 0 to 1.
        disagreement: Standard deviation across stacks on the CT's grid, 0 to 1.
        voxel_threshold: The probability at which the mask was cut.
        carina_lps: The carina, LPS mm.

    Returns:
        The report. Its warnings include substitutions made when the masks were read, and reasons to doubt a lesion.

    Raises:
        UnusableInput: ``ct`` is no CT, ``segments`` are no segments, a mask does not lie on the voxels of the CT, or
            there are more than 65,535 lesions.
    """
    ct = as_ct(ct)
    expect_segments(segments)
    order = ct.canonical_axes()
    named, warnings = _lesions_among(segments, order.apply_to_grid(ct.grid))
    named.sort(key=lambda pair: -np.count_nonzero(pair[1].mask.array))
    if len(named) > MOST_LESIONS:
        raise UnusableInput(
            f"The segmentation has {len(named)} lesions, more than the {MOST_LESIONS} that are supported; merge some "
            "first."
        )
    if lungs is None and named:
        lungs = find_lungs(ct, segments)
    found = lungs if isinstance(lungs, FoundLungs) else FoundLungs(lungs)
    maps = None if probability is None else Maps(probability, disagreement, threshold=voxel_threshold)
    images = _canonical(ct, found.pair, maps, carina_lps or found.carina_lps)
    labels = np.zeros(images.ct.shape, dtype=np.uint16)
    names, crops = _numbered([segment for segment, _ in named]), [crop for _, crop in named]
    for number, crop in zip(names, crops, strict=True):
        labels[crop.slices][crop.mask.array] = number
    numbered = Volume(labels, images.ct.affine)
    report = _report(names, crops, numbered, images)
    warnings += [*found.warnings, *lesion_doubts(report.lesions, crops, images.ct, images.lungs, body=found.body)]
    warnings += [*same_name_doubts(report.lesions), *overlap_doubts(report.lesions, crops, numbered)]
    warnings += outline_doubts(report.lesions, crops)
    return replace(report.reordered(order.inverse()), warnings=tuple(warnings))


def _numbered(segments: Sequence[NamedSegment]) -> dict[int, str]:
    """Return the names of lesions by their numbers, in the order of the lesions."""
    numbers = lesion_numbers([(getattr(segment, "id", ""), segment.name) for segment in segments])
    if max(numbers, default=0) > MOST_LESIONS:
        numbers = list(range(1, len(segments) + 1))
    return {number: segment.name for number, segment in zip(numbers, segments, strict=True)}


def _lesions_among(segments: Sequence[NamedSegment], grid: Grid) -> tuple[list[tuple[NamedSegment, Crop]], list[str]]:
    """Return all nonempty lesions with their crops on ``grid``, and warnings about their selection."""
    named: list[tuple[NamedSegment, Crop]] = []
    empty = []
    for segment in filter(is_lesion, segments):
        crop = place(segment.mask, grid, f"The segment {segment.name}")
        if crop is not None:
            named.append((segment, crop))
        elif not getattr(segment, "warnings", ()):
            empty.append(segment)
    return named, selection_doubts(segments, empty)


def _confident(labels: Volume, maps: Maps, least: float) -> tuple[Volume, tuple[float, ...]]:
    """Apply the confidence threshold ``least`` to labeled lesions.

    Returns:
        The labels of the remaining lesions, renumbered in the same order, and the volumes (mL) of the others.
    """
    kept, unsure_ml = [], []
    for label, crop in numbered_crops(labels):
        if maps.confidence_of(crop) >= least:
            kept.append(label)
        else:
            unsure_ml.append(crop.mask.mask_ml)
    if not unsure_ml:
        return labels, ()
    box = bounding_box(labels.array)
    renumbered = np.zeros_like(labels.array)
    if box is not None:
        here = slices_of(box)
        number = np.zeros(int(labels.array[here].max()) + 1, dtype=np.uint16)
        number[kept] = np.arange(1, len(kept) + 1)
        renumbered[here] = number[labels.array[here]]
    return labels.with_array(renumbered), tuple(unsure_ml)


def _check_grid(ct: CTVolume, **volumes: Volume) -> None:
    """Raise UnusableInput if a volume does not lie on the CT's grid."""
    for name, volume in volumes.items():
        if not ct.same_grid(volume):
            raise UnusableInput(
                f"The {name.replace('_', ' ')} does not lie on the CT's grid; resample it to this CT first."
            )


def _canonical(
    ct: CTVolume, lungs: tuple[Volume, Volume] | None, maps: Maps | None, carina_lps: Point | None
) -> _Images:
    """Bring all volumes into canonical axes, after a check of their grids."""
    order = ct.canonical_axes()
    if lungs is not None:
        _check_grid(ct, left_lung=lungs[0], right_lung=lungs[1])
        lungs = order.apply(lungs[0]), order.apply(lungs[1])
    if maps is not None:
        _check_grid(ct, **maps.volumes)
        maps = maps.reordered(order)
    return _Images(order.apply(ct), lungs, maps, carina_lps)


def _report(names: Mapping[int, str], crops: Sequence[Crop], labels: Volume, images: _Images) -> LesionReport:
    """Measure and locate lesions, whose names are given by number, and summarize their spread."""
    located = None if images.lungs is None else locate(crops, *images.lungs, images.carina_lps)
    locations, lung_ml = ([None] * len(crops), None) if located is None else located
    distances_mm = distances_from_dominant_mm([centroid_lps(crop.mask) for crop in crops])
    dominant_side = locations[0].side if locations and locations[0] else None
    lesions = tuple(
        measure_lesion(
            crop,
            number=number,
            segment=name,
            ct=images.ct,
            labels=labels,
            maps=images.maps,
            location=location,
            from_dominant_mm=distance_mm,
            dominant_side=dominant_side,
        )
        for (number, name), crop, location, distance_mm in zip(
            names.items(), crops, locations, distances_mm, strict=True
        )
    )
    places = [(lesion.location.side, lesion.location.zone) for lesion in lesions if lesion.location is not None]
    spread = spread_of(
        [lesion.volume_ml for lesion in lesions], [lesion.centroid_lps for lesion in lesions], places, lung_ml
    )
    return LesionReport(lesions, labels, spread)
