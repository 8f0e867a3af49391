"""Read one examination: a result folder, or a segmentation and its CT."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..core.argument_types import expect_examination_files
from ..core.crops import Crop, place
from ..core.errors import UnusableInput
from ..core.events import ProgressCallback, ignore_progress
from ..core.messages import does_not_exist
from ..core.selection import empty_doubts, is_lesion, may_be_lesion, selection_doubts, whole_lungs
from ..core.texts import listed, shown
from ..core.volume import CTVolume, Grid, Volume
from ..io.images import read_ct, read_volume
from ..io.segment import Segment
from ..io.segmentations import read_segmentation
from ..isolation import isolate_lungs
from ..isolation.hounsfield import value_doubts
from ..lesions import LesionReport, measure
from ..lesions.diameters import axial_diameters
from ..lesions.lungs import FoundLungs, drawn_lungs
from ..results.contents import PROBABILITY_FILE
from ..results.folder import read_consistently
from ..results.reader import other_ct_doubts, read_summary, summary_of
from .file_names import CT_FILE
from .lesion import TimedLesion
from .tracking import same_volume, tracking_uids

SAME_AXIS_MM = 0.1
"""Largest difference of a stated long axis from that of the mask, mm; an outline of equal volume may have changed."""

IDENTITY = ("PatientID", "PatientBirthDate", "PatientSex")
"""DICOM attributes that are equal in all CTs of one patient."""


@dataclass(frozen=True, eq=False)
class Examination:
    """The lungs and lesions of one day.

    Attributes:
        name: What messages and reports call it.
        lesions: The lesions.
        lungs: Both lungs with their lesions (bool), with canonical axes.
        ct: The CT (HU), with canonical axes; None if it is not available.
        day: The date of the CT; None if unknown.
        probability: The probability map of the run; None if the run has no such map.
        warnings: Sentences for the user.
        inputs: The files and folders that were read.
        stated_day: The date that the files of a DICOM CT state, also if ``day`` is another one; None if unknown.
        patient: What the files of a DICOM CT state of the patient, by ``IDENTITY``; it is never written.
        rejected: The lesions that a reader rejected; they take no part.
    """

    name: str
    lesions: tuple[TimedLesion, ...]
    lungs: Volume
    ct: CTVolume | None = None
    day: date | None = None
    probability: Path | None = None
    warnings: tuple[str, ...] = ()
    inputs: tuple[Path, ...] = ()
    stated_day: date | None = None
    patient: Mapping[str, str] = field(default_factory=dict, repr=False)
    rejected: tuple[TimedLesion, ...] = ()

    @property
    def slice_mm(self) -> float:
        """Distance between the slices, mm."""
        return self.lungs.spacing[0]

    @property
    def lesion_masks(self) -> list[Volume]:
        """Masks of the lesions (bool), each in its own box."""
        return [lesion.crop.mask for lesion in self.lesions]

    @cached_property
    def _map(self) -> Volume | None:
        return None if self.probability is None else read_volume(self.probability)

    def highest_probability(self, points_lps: np.ndarray) -> float | None:
        """Return the highest probability at points (n, 3), LPS mm; None without a map or outside it."""
        volume = self._map
        if volume is None:
            return None
        index = np.rint(volume.lps_to_index(points_lps)).astype(int)
        index = index[((index >= 0) & (index < volume.shape)).all(axis=1)]
        return float(volume.array[tuple(index.T)].max()) if len(index) else None


def read_examination(
    result: str | os.PathLike[str],
    ct: str | os.PathLike[str] | None = None,
    *,
    day: date | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> Examination:
    """Read an examination.

    A result folder of ``segment`` suffices: it holds the lungs, the lesions and their measures. With its CT, the
    registration also uses the inside of the lungs, and the report shows pictures. A segmentation file needs its CT
    unless it contains the lungs.

    Args:
        result: A result folder, or a segmentation or label map of the lesions.
        ct: The CT: a DICOM folder or an image file. If None, the CT in the result folder is used, if there is one.
        day: The date of the CT. If None, it is read from DICOM, if the CT is DICOM.
        on_progress: Receives each finished step of the isolation of the lungs, if they are not stored.

    Raises:
        UnusableInput: If an argument has another type, a file cannot be read, the masks do not lie on the CT, or there
            are neither lungs nor a CT.
    """
    expect_examination_files(result, ct, day)
    result = Path(result)
    if not result.exists():
        raise UnusableInput(does_not_exist(result))
    if result.is_dir():
        return read_consistently(result, lambda: _read(result, _ct_path(result, ct), day, on_progress))
    return _read(result, _ct_path(result, ct), day, on_progress)


def _ct_path(result: Path, ct: str | os.PathLike[str] | None) -> Path | None:
    if ct is not None:
        return Path(ct)
    own = result / CT_FILE
    return own if own.is_file() else None


def _read(result: Path, ct_path: Path | None, day: date | None, on_progress: ProgressCallback) -> Examination:
    ct = None if ct_path is None else read_ct(ct_path)
    segments = read_segmentation(result, ct)
    grid = _canonical_grid(ct, segments, result)
    drawn, found = _lungs(segments, ct, result, on_progress)
    of = f"the voxels of {shown(ct_path or result)}"
    known = [segment for segment in segments if is_lesion(segment)]
    crops = _placed(known, grid, of)
    rejected = _placed([each for each in segments if may_be_lesion(each) and each not in known], grid, of)
    _check_names([segment.name for segment, _ in crops], result)
    lesions, doubts = _measured(crops, result, ct, segments, found)
    filled = [segment for segment, _ in crops]
    doubts += empty_doubts([each for each in known if each not in filled and not each.warnings])
    uids = tracking_uids(filled, result, ct_path)
    lesions = tuple(replace(lesion, tracking_uid=uids.get(lesion.name, "")) for lesion in lesions)
    lungs = np.zeros(grid.shape, dtype=bool)
    for mask in drawn:
        crop = place(mask, grid, "The lung", of)
        if crop is not None:
            lungs[crop.slices] |= crop.mask.array
    for _, crop in crops:
        lungs[crop.slices] |= crop.mask.array
    if not lungs.any():
        raise UnusableInput(f"The lungs in {shown(result)} are empty; give the CT, so that they can be found.")
    own_map = result / PROBABILITY_FILE
    stated_day, wrong_dates = (None, []) if ct is None else _stated_day(ct)
    if day:
        wrong_dates = []  # they were not used
    return Examination(
        shown(result),
        lesions,
        Volume(lungs, grid.affine),
        None if ct is None else ct.canonical_axes().apply(ct),
        day or stated_day,
        own_map if result.is_dir() and own_map.is_file() else None,
        tuple(dict.fromkeys([*_doubts_about(ct, result), *(found.warnings if found else ()), *doubts, *wrong_dates])),
        (result,) if ct_path is None else (result, ct_path),
        stated_day,
        _stated_patient(ct),
        tuple(_from_mask(segment.name, crop) for segment, crop in rejected),
    )


def _placed(segments: Sequence[Segment], grid: Grid, of: str) -> list[tuple[Segment, Crop]]:
    """Return the segments that are not empty, with their masks on ``grid``, which messages call ``of``."""
    return [(each, crop) for each in segments if (crop := place(each.mask, grid, f"The segment {each.name}", of))]


def _doubts_about(ct: CTVolume | None, result: Path) -> tuple[str, ...]:
    if ct is None:
        return ()
    return (*other_ct_doubts(result, ct), *ct.warnings, *value_doubts(ct))


def _check_names(names: Sequence[str], result: Path) -> None:
    """Refuse lesions of the same name, because measures and links refer to names."""
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UnusableInput(
            f"{shown(result)} has several lesions named {listed(twice)}; give each lesion its own name."
        )


def _canonical_grid(ct: CTVolume | None, segments: Sequence[Segment], result: Path) -> Grid:
    if ct is not None:
        return ct.canonical_axes().apply_to_grid(ct.grid)
    if not segments:
        raise UnusableInput(f"{shown(result)} contains no segments; choose a segmentation of lungs and lesions.")
    grid = segments[0].mask.grid
    return grid.canonical_axes().apply_to_grid(grid)


def _lungs(
    segments: Sequence[Segment], ct: CTVolume | None, result: Path, on_progress: ProgressCallback
) -> tuple[Sequence[Volume], FoundLungs | None]:
    """Return masks of the lungs, and what is known of their sides; None if the lungs are drawn."""
    drawn = whole_lungs(segments)
    if drawn:
        return drawn, None
    if ct is None:
        raise UnusableInput(
            f"{shown(result)} contains no lungs, by which two examinations are registered; give its CT too, or use the "
            "result folder of segment."
        )
    isolation = isolate_lungs(ct, on_progress)
    return (isolation.left_lung, isolation.right_lung), FoundLungs.of(isolation)


def _measured(
    crops: Sequence[tuple[Segment, Crop]],
    result: Path,
    ct: CTVolume | None,
    segments: Sequence[Segment],
    lungs: FoundLungs | None,
) -> tuple[tuple[TimedLesion, ...], list[str]]:
    """Return the lesions with the measures of their summary.json, measured again if these do not fit the masks."""
    lesions = [_from_mask(segment.name, crop) for segment, crop in crops]
    stated = _stated(result)
    if stated and all(_fits(lesion, stated.get(lesion.name)) for lesion in lesions):
        return tuple(_with_stated(lesion, stated[lesion.name]) for lesion in lesions), []
    warnings = []
    if stated:
        warnings.append(
            "The lesions in summary.json do not fit the segmentation, so they were measured again; run measure to "
            "update the result folder."
        )
    if not lesions:
        warnings.append(
            "The segmentation contains no lesion, so each lesion of the other examination counts as new or gone; check "
            "that it is the right segmentation."
        )
    if ct is None or not lesions:
        written = result.is_dir() and not lesions  # by a run that found no lesion
        return tuple(lesions), warnings if written else [*warnings, *selection_doubts(segments)]
    # a comparison states no distance to the carina, which takes longer to find than the lesions to measure
    report = measure(ct, segments, lungs=lungs or drawn_lungs(ct, segments))
    return tuple(_with_report(lesion, report) for lesion in lesions), [*warnings, *report.warnings]


def _from_mask(name: str, crop: Crop) -> TimedLesion:
    axes = axial_diameters(crop.mask)
    volume_ml = crop.mask.mask_ml
    return TimedLesion(name, crop, volume_ml, axes.long_axis.length_mm, axes.short_axis.length_mm)


def _stated(result: Path) -> dict[str, Mapping[str, Any]]:
    """Return the lesions of the summary.json beside a result's segmentation, by segment name."""
    summary = summary_of(result)
    return {lesion.get("segment", ""): lesion for lesion in read_summary(summary)["lesions"]} if summary else {}


def _fits(lesion: TimedLesion, stated: Mapping[str, Any] | None) -> bool:
    if stated is None or not same_volume(lesion.volume_ml, stated.get("volume_ml")):
        return False
    long_axis_mm = _number(stated, "long_axis_mm")
    return long_axis_mm is None or abs(long_axis_mm - lesion.long_axis_mm) <= SAME_AXIS_MM


def _with_stated(lesion: TimedLesion, stated: Mapping[str, Any]) -> TimedLesion:
    low, high = stated.get("volume_p5_ml"), stated.get("volume_p95_ml")
    return replace(
        lesion,
        long_axis_mm=_number(stated, "long_axis_mm") or lesion.long_axis_mm,
        short_axis_mm=_number(stated, "short_axis_mm") or lesion.short_axis_mm,
        mean_hu=_number(stated, "mean_hu"),
        solid_ml=_number(stated, "solid_ml"),
        density=_text(stated, "density"),
        side=_text(stated, "side"),
        volume_range_ml=None if low is None or high is None else (low, high),
    )


def _number(stated: Mapping[str, Any], name: str) -> float | None:
    value = stated.get(name)
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None


def _text(stated: Mapping[str, Any], name: str) -> str | None:
    value = stated.get(name)
    return value if isinstance(value, str) and value else None


def _with_report(lesion: TimedLesion, report: LesionReport) -> TimedLesion:
    measured = next(each for each in report.lesions if each.segment == lesion.name)
    return replace(
        lesion,
        long_axis_mm=measured.long_axis_mm,
        short_axis_mm=measured.short_axis_mm,
        mean_hu=measured.mean_hu,
        solid_ml=measured.solid_ml,
        density=measured.density,
        side=measured.side,
    )


def _stated_day(ct: CTVolume) -> tuple[date | None, list[str]]:
    """Return the day that the slices of a CT state, None if it is not DICOM; and warnings about their dates."""
    if not ct.dicom_files:
        return None, []
    from ..io.dicom_dates import acquisition_day  # imports pydicom, so only if needed

    return acquisition_day(ct.dicom_files[0])


def _stated_patient(ct: CTVolume | None) -> dict[str, str]:
    """Return what the slices of a CT state of the patient; nothing if it is not DICOM."""
    if ct is None or not ct.dicom_files:
        return {}
    from ..io.dicom_reading import read_header  # imports pydicom, so only if needed

    header = read_header(ct.dicom_files[0])
    return {keyword: text for keyword in IDENTITY if (text := header.text(keyword))}
