"""Read DICOM RT structure sets: closed planar contours become masks on the CT (DICOM PS3.3 C.8.8.6)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..core.contours import distance_from_slices, fill_planes
from ..core.crops import sparse
from ..core.errors import UnusableInput
from ..core.selection import contradiction, is_lesion, lung_pair
from ..core.terminology import ANATOMICAL, MARGIN, TUMOR, UNSPECIFIED, entry_without_code
from ..core.texts import listed, quoted
from ..core.volume import Array, CTVolume, Volume
from .dicom_reading import read_data_set, read_without_pixels
from .dicom_start import is_dicom_file
from .dicom_values import DAMAGE, decimals
from .segment import UNSPECIFIED_COLORS, Segment

RTSTRUCT_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
"""SOP class of RT Structure Set Storage."""

LEAST_POINTS = 3
"""Smallest number of points of a contour that encloses an area."""

OTHER_TYPES = frozenset({
    "AVOIDANCE", "BOLUS", "CAVITY", "EXTERNAL", "FIXATION", "ISOCENTER", "MARKER", "ORGAN", "SUPPORT",
})  # fmt: skip
"""RT ROI Interpreted Types of what is neither a tumor nor a volume around one (DICOM PS3.3 C.8.8.8.1)."""

OFF_SLICES = 0.25
"""Largest distance of a contour from the slice that it fills, as a share of the distance of the slices."""


class OffCT(UnusableInput):
    """A region does not lie on the CT."""

    def __init__(self, what: str, reason: str) -> None:
        """Name the region and say why it does not lie on the CT."""
        super().__init__(
            f"{what} does not lie on the slices of its CT: {reason}; choose the CT on which it was drawn, in axial "
            "slices."
        )
        self.reason = reason


@dataclass(frozen=True)
class StructureSet:
    """The header of a structure set.

    Attributes:
        path: The file.
        patient: PatientID.
        series: SeriesInstanceUID of the CT on which it was drawn; "" if it is not stated.
        rois: Names of the regions of interest (ROIs).
    """

    path: Path
    patient: str
    series: str
    rois: tuple[str, ...]


def read_structure_set(path: Path) -> StructureSet:
    """Return the header of an RTSTRUCT file.

    Raises:
        UnusableInput: If the file is damaged or of another kind.
    """
    with _refusing_damage(path):
        data = _read(path)
        rois = tuple(_names(data, path).values())
        return StructureSet(path, str(data.get("PatientID", "")), _referenced_series(data), rois)


def is_structure_set(path: Path) -> bool:
    """Return whether a file is an RTSTRUCT.

    Raises:
        UnusableInput: If it is a damaged DICOM file.
    """
    return is_dicom_file(path) and sop_class_of(path) == RTSTRUCT_CLASS


def sop_class_of(path: Path) -> str:
    """Return the SOP Class UID of a DICOM file; "" if it states none.

    Raises:
        UnusableInput: If the file is damaged.
    """
    with _refusing_damage(path):
        header = read_without_pixels(path)
        return str(header.get("SOPClassUID", ""))


def read_rois(path: Path, ct: Volume) -> list[Segment]:
    """Read the regions of interest that are lesions or lungs as segments on the grid of ``ct``.

    The name and the interpreted type of a region decide. Other regions are not filled: organs at risk and outlines may
    extend beyond the CT, and nothing is measured on them. The first segment carries a warning for each region that is
    left out: because it has no closed contour, as in templates of which only some regions were drawn; because it lies
    outside the CT or in planes of another orientation; or because its name makes it doubtful that it is a lesion.

    If ``ct`` is a CT, a region that reaches beyond it is filled inside, with a warning. Other grids may be smaller than
    the CT, so that such a region is refused.

    Raises:
        UnusableInput: If the file is damaged; if it has no lesion with a closed contour on the CT; if a region reaches
            beyond a grid that is no CT.
    """
    with _refusing_damage(path):
        data = _read(path)
        types = {
            int(item.ReferencedROINumber): str(item.get("RTROIInterpretedType", "")).strip().upper()
            for item in data.get("RTROIObservationsSequence") or []
        }
        rois = [
            Roi(name.strip(), _terminology_of(types.get(number, ""), name), _contours(data, number))
            for number, name in _names(data, path).items()
        ]
    closed = [roi for roi in rois if roi.drawn.contours]
    lungs = lung_pair(closed) or ()
    wanted = [roi for roi in closed if is_lesion(roi) or roi in lungs]
    empty = [roi for roi in rois if is_lesion(roi) and roi not in closed]
    if not any(map(is_lesion, wanted)):
        raise _no_lesion(path, rois, empty)
    left_out = [f"The region {roi.name} has no closed contour and was not measured." for roi in empty]
    left_out += [sentence for roi in closed if roi not in wanted and (sentence := contradiction(roi))]
    segments, refusals = [], []
    for number, roi in enumerate(wanted):
        try:
            filled = _filled(roi.drawn, ct, roi.name, path, clip=isinstance(ct, CTVolume))
        except OffCT as error:
            refusals.append(error)
            left_out.append(f"The region {roi.name} was not measured, because {error.reason}.")
            continue
        color = UNSPECIFIED_COLORS[number % len(UNSPECIFIED_COLORS)]
        segments.append(
            Segment(roi.name, filled.mask, color, roi.terminology, f"ROI_{number + 1}", warnings=filled.warnings)
        )
    if refusals and not (isinstance(ct, CTVolume) and any(map(is_lesion, segments))):
        raise refusals[0]
    return [replace(segments[0], warnings=(*left_out, *segments[0].warnings)), *segments[1:]]


def _no_lesion(path: Path, rois: Sequence[Roi], empty: Sequence[Roi]) -> UnusableInput:
    if empty:
        return UnusableInput(
            f"{path} has no closed contour of a lesion ({listed([roi.name for roi in empty])} without one); choose "
            "another structure set."
        )
    return UnusableInput(
        f"{path} contains no region of interest that is a lesion; rename the lesions or choose "
        f"another structure set (its regions are: {listed([roi.name for roi in rois]) or 'none'})."
    )


def read_roi(path: Path, name: str, grid: Volume) -> Volume:
    """Read one ROI as a Boolean mask on ``grid``; see ``fill_planes``.

    Args:
        path: The RTSTRUCT file.
        name: Name of the ROI; case does not matter.
        grid: The CT on which the ROI was drawn.

    Raises:
        UnusableInput: If the ROI is missing, has no closed contour, or reaches beyond ``grid``.
    """
    with _refusing_damage(path):
        data = _read(path)
        names = _names(data, path)
        drawn = [_contours(data, number) for number, known in names.items() if _same_name(known, name)]
    if not drawn:
        raise UnusableInput(
            f"{path} has no ROI {quoted(name)}; choose one of its ROIs: "
            f"{listed(sorted(names.values())) or 'it has none'}."
        )
    masks = [_filled(each, grid, name, path, clip=False).mask.array for each in drawn]
    return grid.with_array(np.logical_or.reduce(masks))


def _same_name(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()


@dataclass(frozen=True, eq=False)
class _Drawn:
    """The contours of a ROI.

    Attributes:
        contours: Closed contours, each (n, 3) in LPS mm.
        open_ones: Number of contours that are points or open lines.
        even_odd: Whether contours cancel each other where they overlap (CLOSEDPLANAR_XOR).
    """

    contours: list[Array]
    open_ones: int
    even_odd: bool


@dataclass(frozen=True, eq=False)
class Roi:
    """A region of interest: the properties that decide whether it is selected, and its contours."""

    name: str
    terminology: str
    drawn: _Drawn


@dataclass(frozen=True, eq=False)
class _Filled:
    """A region on the grid of its CT, with warnings for the user."""

    mask: Volume
    warnings: tuple[str, ...]


def _terminology_of(interpreted_type: str, name: str) -> str:
    """Return the terminology that the RT ROI Interpreted Type implies (DICOM PS3.3 C.8.8.8.1).

    A GTV is a lesion; other volumes and organs are not.
    """
    if interpreted_type == "GTV":
        return TUMOR[None]
    if interpreted_type in ("PTV", "CTV", "TREATED_VOLUME", "IRRAD_VOLUME"):
        return MARGIN
    if interpreted_type in OTHER_TYPES:
        return entry_without_code(ANATOMICAL, name)
    return UNSPECIFIED


def _filled(drawn: _Drawn, grid: Volume, name: str, path: Path, *, clip: bool) -> _Filled:
    """Fill a region; ``clip`` says whether it may reach beyond the grid, where nothing is filled.

    Raises:
        OffCT: If the region lies outside the grid or in planes of another orientation, or reaches beyond the grid
            although it must not.
        UnusableInput: If the region has no closed contour.
    """
    what = f"The ROI {quoted(name)} of {path}"
    if not drawn.contours:
        raise UnusableInput(f"{what} has no closed contour; export the structure set again or choose another ROI.")
    try:
        filled = fill_planes(drawn.contours, grid, even_odd=drawn.even_odd)
        if filled.beyond_mm and not (clip and filled.mask.array.any()):
            raise ValueError(f"a contour reaches {filled.beyond_mm:.1f} mm beyond the CT")
    except ValueError as error:
        raise OffCT(what, str(error)) from error
    roi, found = f"The region {name}", []  # without a path, because results with these warnings are shared
    if filled.beyond_mm:
        found.append(
            f"{roi} reaches {filled.beyond_mm:.0f} mm beyond the CT, and only the part inside was measured; check that "
            "it was drawn on this CT."
        )
    if filled.joined:
        found.append(f"{roi} has contours in one plane that overlap, and LungTumorSeg joined them; check the outline.")
    if not filled.mask.array.any():
        found.append(f"{roi} encloses no voxel of the CT and was not measured.")
    if filled.open_mm:
        found.append(
            f"{roi} has a gap of {filled.open_mm:.1f} mm between two contours, which was left empty. If the region "
            "continues there, draw it."
        )
    if drawn.open_ones:
        found.append(f"{roi}: contours that are points or open lines ({drawn.open_ones}) were ignored.")
    if filled.between_mm:
        found.append(
            f"{roi} has a contour only every {filled.between_mm:.1f} mm, while the slices of the CT are "
            f"{grid.spacing[0]:.1f} mm apart. LungTumorSeg filled the slices in between; check the outline."
        )
    if (off := distance_from_slices(drawn.contours, grid)) > OFF_SLICES:
        found.append(
            f"{roi} was drawn up to {off * grid.spacing[0]:.1f} mm beside the slices of the CT, and each slice took "
            "the nearest contour; check that it was drawn on this CT."
        )
    return _Filled(sparse(filled.mask), tuple(found))


def _read(path: Path) -> Any:
    if not is_dicom_file(path):
        raise UnusableInput(f"{path} is not a DICOM file; choose the RTSTRUCT file of the CT.")
    data = read_data_set(path)
    if str(data.get("SOPClassUID", "")) != RTSTRUCT_CLASS:
        raise UnusableInput(f"{path} is not an RT structure set; choose the RTSTRUCT file of the CT.")
    contours = (each for roi in data.get("ROIContourSequence") or [] for each in roi.get("ContourSequence") or [])
    if any(float(part) for each in contours for part in each.get("ContourOffsetVector") or ()):
        raise UnusableInput(
            f"{path} displaces its contours by a vector that DICOM has retired (ContourOffsetVector); export the "
            "structure set again without it."
        )
    return data


@contextmanager
def _refusing_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except UnusableInput:
        raise
    except DAMAGE as error:
        raise UnusableInput(f"{path} is damaged or truncated; copy or export it again.") from error


def _names(data: Any, path: Path) -> dict[int, str]:
    """Return the names of the ROIs by their number, which alone is unique: two ROIs may share a name.

    Raises:
        UnusableInput: If two ROIs state the same number, so that nothing tells whose contours are whose.
    """
    names: dict[int, str] = {}
    for roi in data.get("StructureSetROISequence") or []:
        number = int(roi.ROINumber)
        if number in names:
            raise UnusableInput(
                f"{path} states the ROINumber {number} for two regions of interest ({quoted(names[number])} and "
                f"{quoted(str(roi.get('ROIName')))}); export the structure set again."
            )
        names[number] = str(roi.get("ROIName") or f"ROI {number}")
    return names


def _contours(data: Any, number: int) -> _Drawn:
    """Return the contours of the ROI with a number."""
    found, open_ones, even_odd = [], 0, False
    for roi in data.get("ROIContourSequence") or []:
        for contour in (roi.get("ContourSequence") or []) if int(roi.ReferencedROINumber) == number else ():
            points = np.reshape(decimals(contour.ContourData), (-1, 3))
            if len(points) != int(contour.NumberOfContourPoints) or not np.isfinite(points).all():
                raise ValueError("points are missing")
            kind = str(contour.ContourGeometricType).replace("_", "")
            is_closed = kind.startswith("CLOSEDPLANAR")
            even_odd = even_odd or kind == "CLOSEDPLANARXOR"
            if is_closed and len(points) >= LEAST_POINTS:
                found.append(points)
            else:
                open_ones += 1
    return _Drawn(found, open_ones, even_odd)


def _referenced_series(data: Any) -> str:
    for frame in data.get("ReferencedFrameOfReferenceSequence") or []:
        for study in frame.get("RTReferencedStudySequence") or []:
            for series in study.get("RTReferencedSeriesSequence") or []:
                return str(series.SeriesInstanceUID)
    return ""
