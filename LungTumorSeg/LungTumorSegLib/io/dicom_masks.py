"""DICOM segmentations and structure sets: recognize, find and read them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pydicom

from ..core.errors import UnusableInput
from ..core.texts import listed, shown
from ..core.volume import CTVolume, Volume
from .dicom_reading import read_header, read_without_pixels
from .dicom_seg import SEG_CLASSES, read_dicom_seg
from .dicom_start import is_dicom_file
from .dicom_values import DAMAGE, damaged_file_error
from .rtstruct import RTSTRUCT_CLASS, read_rois, sop_class_of
from .segment import Segment

ORIGINS = {
    "PatientID": "for another patient",
    "FrameOfReferenceUID": "in another frame of reference",
    "SeriesInstanceUID": "on another series",
}
"""What a mask and its CT both state, the gravest difference first, and how a warning names the difference."""


def read_dicom_masks(path: Path, ct: Volume | None) -> list[Segment]:
    """Read the segments of a DICOM segmentation, or the regions of a structure set on the grid of ``ct``.

    If the CT was read from DICOM and the file states another patient, frame of reference or series, the first segment
    carries a warning.

    Raises:
        UnusableInput: If the file is damaged or of another kind, or if a structure set comes without a CT.
    """
    kind = sop_class_of(path)
    if kind in SEG_CLASSES:
        return _doubted(read_dicom_seg(path, ct), path, ct)
    if kind != RTSTRUCT_CLASS:
        name = pydicom.uid.UID(kind).name if kind else "an unknown type"
        raise UnusableInput(
            f"{path} is not a segmentation but another kind of DICOM file ({shown(name, 60)}); choose a "
            "DICOM segmentation (SEG), a structure set (RTSTRUCT), a .seg.nrrd or a label map."
        )
    if ct is None:
        raise UnusableInput(
            f"{path} is a structure set, whose contours can only be filled on its CT; choose the CT too."
        )
    return _doubted(read_rois(path, ct), path, ct)


def _doubted(segments: list[Segment], path: Path, ct: Volume | None) -> list[Segment]:
    """Add a warning to the first segment if the file states that it belongs to another CT.

    Only positions within one frame of reference are comparable (DICOM PS3.3 C.7.4.1). The frame of another scan or
    patient is a different one even if the grids are equal. The phases of a 4D CT share their frame, so that only the
    series tells them apart.
    """
    if not isinstance(ct, CTVolume) or not ct.dicom_files or not segments:
        return segments
    header, stated = read_header(ct.dicom_files[0]), _stated_origin(path)
    other = next((each for each in ORIGINS if _differ(header.text(each), stated[each])), None)
    if other is not None:
        doubt = (
            f"{shown(path.name)} was drawn {ORIGINS[other]} than that of the CT ({other}), so it may belong to another "
            "scan or patient; check that the lesions lie where they are visible."
        )
    elif foreign := _drawn_elsewhere(path, header.text("FrameOfReferenceUID"), {each.name for each in segments}):
        doubt = (
            f"Regions drawn in another frame of reference than that of the CT: {listed(foreign)}. They may belong to "
            "another scan; check that they lie where they are visible."
        )
    else:
        return segments
    first, *others = segments
    return [replace(first, warnings=(doubt, *first.warnings)), *others]


def _drawn_elsewhere(path: Path, frame: str, names: set[str]) -> list[str]:
    """Return the regions among ``names`` that a structure set states in another frame of reference than ``frame``."""
    try:
        rois = read_without_pixels(path).get("StructureSetROISequence") or []
        stated = [(str(roi.get("ROIName", "")).strip(), roi.get("ReferencedFrameOfReferenceUID")) for roi in rois]
    except DAMAGE as error:
        raise damaged_file_error(path) from error
    return [name for name, other in stated if name in names and frame and other and str(other).strip() != frame]


def _differ(here: str, there: set[str]) -> bool:
    """Return whether the CT and a file both state an identity, and none of the file's is the CT's."""
    return bool(here and there) and here not in there


def _stated_origin(path: Path) -> dict[str, set[str]]:
    """Return what a segmentation or a structure set states of the CT on which it was drawn, by the keys of ORIGINS."""
    try:
        data = read_without_pixels(path)
        frames = data.get("ReferencedFrameOfReferenceSequence") or []
        studies = [study for each in frames for study in each.get("RTReferencedStudySequence") or []]
        series = [each for study in studies for each in study.get("RTReferencedSeriesSequence") or []]
        series += data.get("ReferencedSeriesSequence") or []
        stated = {
            "PatientID": [data.get("PatientID")],
            "FrameOfReferenceUID": [each.get("FrameOfReferenceUID") for each in (data, *frames)],
            "SeriesInstanceUID": [each.get("SeriesInstanceUID") for each in series],
        }
        rois = data.get("StructureSetROISequence") or []
        stated["FrameOfReferenceUID"] += [roi.get("ReferencedFrameOfReferenceUID") for roi in rois]
    except DAMAGE as error:
        raise damaged_file_error(path) from error
    return {keyword: {str(value).strip() for value in values if value} for keyword, values in stated.items()}


def dicom_masks_in(folder: Path) -> list[Path]:
    """Return the DICOM segmentations and structure sets in a folder and its subfolders, sorted by path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and is_dicom_file(path))
    return [path for path in files if sop_class_of(path) in (*SEG_CLASSES, RTSTRUCT_CLASS)]
