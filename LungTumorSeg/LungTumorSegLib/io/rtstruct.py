"""DICOM RT structure sets: closed planar contours become masks on the CT (DICOM PS3.3 C.8.8.6)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from ..core.errors import UnusableInput
from ..core.volume import Array, Volume
from .dicom_series import DAMAGE, is_dicom_file

RTSTRUCT_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
"""RT Structure Set Storage."""

FLATNESS_SLICES = 0.5
"""A contour whose points lie farther than this from their mean slice is not axial."""


@dataclass(frozen=True)
class StructureSet:
    """A structure set's header: whose it is, which CT series it was drawn on ("" where it does not say), the names of its ROIs."""

    path: Path
    patient: str
    series: str
    rois: tuple[str, ...]


def read_structure_set(path: Path) -> StructureSet:
    """The header of an RTSTRUCT file. Raises UnusableInput where it is damaged or something else."""
    with _refusing_damage(path):
        data = _read(path)
        rois = tuple(str(roi.ROIName) for roi in data.get("StructureSetROISequence") or [])
        return StructureSet(path, str(data.get("PatientID", "")), _referenced_series(data), rois)


def read_roi(path: Path, name: str, grid: Volume) -> Volume:
    """The ROI ``name`` (capitals do not matter) as a mask (bool) on ``grid``, whose slices are the ones that were drawn on.

    A voxel belongs to it if its center lies inside an odd number of the slice's contours: nested contours are holes, contours side
    by side are parts (the XOR of closed planar contours). Slices without contour stay empty.
    Raises UnusableInput where the ROI is missing, has no closed contour, or lies off the slices of ``grid``.
    """
    with _refusing_damage(path):
        contours = _contours(_read(path), name, path)
    if not contours:
        raise UnusableInput(
            f"The ROI {name!r} of {path} has no closed contour; export the structure set again or choose another ROI."
        )
    try:
        return fill_contours(contours, grid)
    except ValueError as error:
        raise UnusableInput(f"The ROI {name!r} of {path} does not lie on the slices of its CT: {error}.") from error


def fill_contours(contours: Iterable[Array], grid: Volume) -> Volume:
    """Closed contours, each (n, 3) LPS mm in an axial plane of ``grid``, as a mask (bool). Raises ValueError for one off the slices."""
    by_slice: dict[int, list[Array]] = defaultdict(list)
    for contour in contours:
        index = grid.lps_to_index(contour)
        level = round(float(index[:, 0].mean()))
        if np.abs(index[:, 0] - index[:, 0].mean()).max() > FLATNESS_SLICES:
            raise ValueError("a contour is not axial")
        if not 0 <= level < grid.shape[0]:
            raise ValueError("a contour lies above or below the CT")
        by_slice[level].append(index[:, 1:])
    mask = np.zeros(grid.shape, dtype=bool)
    for level, polygons in by_slice.items():
        mask[level] = fill_polygons(polygons, (grid.shape[1], grid.shape[2]))
    return grid.with_array(mask)


def fill_polygons(polygons: Sequence[Array], shape: tuple[int, int]) -> Array:
    """Pixels (row, column; bool) whose center lies inside an odd number of closed polygons (n, 2) of fractional (row, column).

    Even-odd rule along each row: pixels right of an edge change sides. Centers on a left or upper edge are inside, on a right or
    lower one outside, so that polygons that share an edge neither overlap nor leave a gap.
    """
    rows, columns = shape
    changes = np.zeros((rows, columns + 1), dtype=np.int32)
    for polygon in polygons:
        for (row, column), (next_row, next_column) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            first, last = sorted((row, next_row))
            crossed = np.arange(max(0, int(np.ceil(first))), min(rows, int(np.ceil(last))))
            if len(crossed):
                at = column + (crossed - row) * (next_column - column) / (next_row - row)
                changes[crossed, np.clip(np.ceil(at), 0, columns).astype(int)] += 1
    return np.asarray(np.cumsum(changes, axis=1)[:, :columns] % 2 == 1)


def _read(path: Path) -> Any:
    if not is_dicom_file(path):
        raise UnusableInput(f"{path} is no DICOM file; give the RTSTRUCT file of the CT.")
    data = pydicom.dcmread(path)
    if str(data.get("SOPClassUID", "")) != RTSTRUCT_CLASS:
        raise UnusableInput(f"{path} is no RT structure set; give the RTSTRUCT file of the CT.")
    return data


@contextmanager
def _refusing_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except UnusableInput:
        raise
    except DAMAGE as error:
        raise UnusableInput(f"{path} is damaged or truncated; copy or export it again.") from error


def _contours(data: Any, name: str, path: Path) -> list[Array]:
    """The closed contours, (n, 3) LPS mm, of the ROIs called ``name``."""
    names = {int(roi.ROINumber): str(roi.ROIName) for roi in data.get("StructureSetROISequence") or []}
    wanted = {number for number, known in names.items() if known.strip().casefold() == name.strip().casefold()}
    if not wanted:
        raise UnusableInput(f"{path} has no ROI {name!r}; it has {', '.join(sorted(names.values())) or 'none'}.")
    found = []
    for roi in data.get("ROIContourSequence") or []:
        for contour in (roi.get("ContourSequence") or []) if int(roi.ReferencedROINumber) in wanted else ():
            if str(contour.ContourGeometricType).startswith("CLOSED_PLANAR"):
                points = np.reshape([float(value) for value in contour.ContourData], (-1, 3))
                if len(points) != int(contour.NumberOfContourPoints):
                    raise ValueError("points are missing")
                found.append(points)
    return found


def _referenced_series(data: Any) -> str:
    for frame in data.get("ReferencedFrameOfReferenceSequence") or []:
        for study in frame.get("RTReferencedStudySequence") or []:
            for series in study.get("RTReferencedSeriesSequence") or []:
                return str(series.SeriesInstanceUID)
    return ""
