"""Read a CT series from DICOM files: find its slices, group them, place them on a grid and convert them to HU."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..core.errors import UnusableInput
from ..core.texts import shown
from ..core.volume import AIR_HU, Array, CTVolume
from .dicom_files import find_slices
from .dicom_folder import unread_sentence
from .dicom_grouping import Stack, acquisitions_warning, by_series, choose_series, choose_stack, numbering_warning
from .dicom_mixture import mixture_warnings
from .dicom_phases import choose_phase, selected_phase, series_as_phases
from .dicom_slices import CTSlice, common_chain
from .dicom_values import DAMAGE, DicomHeader
from .header_contradictions import check_slice, geometry_doubts
from .plausibility import check_intensities, check_slice_count
from .slice_doubts import slice_doubts
from .slice_stack import ROUNDING_MM, Planes, groups_at_same_place, plan_stack, resample_stack

__all__ = ["DAMAGE", "read_dicom"]

JUMP_HU = 200.0
"""Largest difference of neighboring slices with different conversions to HU, in HU.

Three quarters of the voxels differ by less. Noise and anatomy make up at most 100 HU.
"""

PROJECTIONS = ("MAX_IP", "MIN_IP", "MIP", "MINIP", "PROJECTION IMAGE")
"""Values of ImageType that mark projections (DICOM PS3.3 C.8.16.1.4; the last three are those of manufacturers)."""

STACK_MARK = "#"
"""Separates a SeriesInstanceUID from the number of a stack in that series; no UID contains this character."""


def read_dicom(path: Path, *, series: str | None = None, phase: int | None = None) -> CTVolume:
    """Read a CT series in HU from the DICOM files in a folder and its subfolders, or from a single file.

    The axes are those of the files: (slice, row, column). Localizers, reports, segmentations and other modalities are
    ignored. Series of fewer than 8 slices are ignored if there is a longer one.

    Args:
        path: The folder or file.
        series: A SeriesInstanceUID. Append "#2", for example, to select the second of several acquisitions in the
            series.
        phase: The phase of a 4D CT to read, counted from 0; None for a 3D CT.

    Returns:
        The CT. Its warnings name files that look like slices but were not read, and everything that had to be assumed.

    Raises:
        SeveralPhases: If the series is a 4D CT, and neither a phase nor a stack is selected.
        UnusableInput: If there is no CT series; if there are several and none is selected; if files are damaged or
            multi-frame; if slices contradict each other or too many are missing; if the values are not HU.
        MachineLimit: If a decoder is not installed.
    """
    found = find_slices(path)
    asked, _, number = (series or "").partition(STACK_MARK)
    if number and not number.isdecimal():
        raise UnusableInput(
            f"{shown(series, 80)} does not name a stack of a series; write UID{STACK_MARK}1 for the first stack."
        )
    whole, chosen = _selected(found.slices, path, asked, phase, is_stack=bool(number))
    slices = [CTSlice.of(header) for header in chosen]
    for each in slices:
        check_slice(each)
    uid = chosen[0].text("SeriesInstanceUID")
    stack = choose_stack(slices, path, uid, int(number) if number else None)
    is_whole, warnings = common_chain(stack.slices)
    if found.unread:
        warnings.append(f"{unread_sentence(found.unread)}; if slices are missing, copy the series again.")
    warnings += [
        _passed_over(found.slices, whole),
        _projections(chosen[0]),
        _marked_as_localizers(found.localizers, chosen[0]),
        acquisitions_warning(stack),
        numbering_warning(stack),
        *mixture_warnings(stack.slices),
    ]
    return _volume(stack, path, whole=is_whole, warnings=warnings)


def _selected(
    slices: list[DicomHeader], path: Path, series: str, phase: int | None, *, is_stack: bool
) -> tuple[list[DicomHeader], list[DicomHeader]]:
    """Return all slices of the selected series or 4D CT, and those of them that are to be read.

    Args:
        slices: The slices that were found.
        path: Where they were found.
        series: The selected SeriesInstanceUID; "" if none is selected.
        phase: The selected phase; None if none is selected.
        is_stack: Whether a stack of the series is selected, so that the series is not a 4D CT.
    """
    all_series = by_series(slices)
    phases = {} if series else series_as_phases(all_series.values())
    if phases:
        return [header for each in phases.values() for header in each], selected_phase(phases, phase, path)
    members = all_series[choose_series(all_series, path, series or None)]
    return members, members if is_stack else choose_phase(members, phase, path)


def _passed_over(all_slices: list[DicomHeader], headers: list[DicomHeader]) -> str:
    """Return a warning about CT slices of other series; "" if there are none."""
    others = len(all_slices) - len(headers)
    if not others:
        return ""
    return f"LungTumorSeg did not read the CT slices of other series ({others}); choose a series to read them."


def _marked_as_localizers(localizers: list[DicomHeader], first: DicomHeader) -> str:
    """Return a warning about localizers that lie like the slices of the series; "" if there are none."""
    alike = ("SeriesInstanceUID", "ImageOrientationPatient")
    count = sum(all(header.text(name) == first.text(name) for name in alike) for header in localizers)
    if not count:
        return ""
    return (
        f"LungTumorSeg did not read the slices of the series that are marked as localizers in ImageType ({count}); "
        "check that no slices are missing."
    )


def _projections(first: DicomHeader) -> str:
    """Return a warning if slices are projections of thick slabs, in which lesions look larger; "" if not."""
    kinds = [kind for kind in first.texts("ImageType") if kind.upper() in PROJECTIONS]
    if not kinds:
        return ""
    return (
        f"The slices are projections of thicker slabs (ImageType {kinds[0]}), so volumes and densities are wrong; use "
        "the original series."
    )


def _volume(stack: Stack, path: Path, *, whole: bool, warnings: Iterable[str]) -> CTVolume:
    planes = stack.planes
    places = groups_at_same_place(planes)
    if len(places) == 1 < len(stack.slices):
        raise UnusableInput(
            f"All {len(stack.slices)} slices of {shown(path)} state the same position (ImagePositionPatient), so their "
            "order and distance are unknown; export the series again as original CT slices."
        )
    check_slice_count(len(places), path)
    first = stack.slices[0]
    plan = plan_stack(planes.subset(np.array([place[0] for place in places])), (first.rows, first.columns), path)
    hu = _read_slices(stack.slices, planes, places, whole=whole)
    order = [int(place[0]) for place in places]
    _check_jumps(hu, [stack.slices[index] for index in order])
    check_intensities(hu, path)
    step_mm = float(np.linalg.norm(plan.affine[:3, 0]))
    warnings = [*warnings, *slice_doubts(hu, step_mm)]
    np.maximum(hu, AIR_HU, out=hu)  # before padding and tissue are interpolated
    said = tuple(filter(None, (plan.warning, *warnings, *geometry_doubts(stack, order, step_mm))))
    files = tuple(stack.slices[index].path for index in order)
    if not plan.warning:
        return CTVolume(hu, plan.affine, warnings=said, dicom_files=files)
    return CTVolume(resample_stack(hu, plan), plan.affine, warnings=said, resampled=True, dicom_files=files)


def _check_jumps(hu: Array, slices: list[CTSlice]) -> None:
    """Check that slices with different conversions to HU continue each other.

    Args:
        hu: HU (slice, row, column).
        slices: The slices in the same order.

    Raises:
        UnusableInput: If the values of two neighbors do not fit together.
    """
    for level, (below, above) in enumerate(pairwise(slices)):
        if below.chain.rescaling == above.chain.rescaling:
            continue
        apart = float(np.percentile(np.abs(hu[level + 1].astype(np.float32) - hu[level]), 75))
        if apart > JUMP_HU:
            raise UnusableInput(
                f"{shown(below.path)} and {shown(above.path)} are neighbors with different conversions to HU "
                f"(RescaleSlope, RescaleIntercept), and their values differ by {apart:.0f} HU, so one conversion is "
                "wrong; export the series again as original CT slices."
            )


def _read_slices(slices: list[CTSlice], planes: Planes, places: list[Array], *, whole: bool) -> Array:
    """Return the HU (slice, row, column) of the first slice at each position: int16 if ``whole``, float32 otherwise.

    Raises:
        UnusableInput: If other slices at a position are not copies of the first.
    """
    result = np.empty((len(places), slices[0].rows, slices[0].columns), np.int16 if whole else np.float32)
    for level, (first, *copies) in enumerate(places):
        result[level] = slices[first].hu(whole=whole)
        for copy in copies:
            apart = np.linalg.norm(planes.positions_lps[copy] - planes.positions_lps[first])
            if apart > ROUNDING_MM or not np.array_equal(slices[copy].hu(whole=whole), result[level]):
                raise UnusableInput(
                    f"{shown(slices[first].path)} and {shown(slices[copy].path)} are different slices at the same "
                    "position (several phases in one series?); choose a folder with only one of them."
                )
    return result
