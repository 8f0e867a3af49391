"""DICOM segmentations and structure sets: recognize, find and read them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pydicom

from ..core.errors import UnusableInput
from ..core.texts import shown
from ..core.volume import CTVolume, Volume
from .dicom_files import read_header, read_without_pixels
from .dicom_seg import SEG_CLASSES, read_dicom_seg
from .dicom_start import is_dicom_file
from .dicom_values import DAMAGE, damaged
from .rtstruct import RTSTRUCT_CLASS, read_rois, sop_class_of
from .segment import Segment


def read_dicom_masks(path: Path, ct: Volume | None) -> list[Segment]:
    """Read the segments of a DICOM segmentation, or the regions of a structure set on the grid of ``ct``.

    If the CT was read from DICOM and the file was drawn in another frame of reference, the first segment carries a
    warning.

    Raises:
        UnusableInput: If the file is damaged or of another kind, or if a structure set comes without a CT.
    """
    kind = sop_class_of(path)
    if kind in SEG_CLASSES:
        return _doubted(read_dicom_seg(path), path, ct)
    if kind != RTSTRUCT_CLASS:
        name = pydicom.uid.UID(kind).name if kind else "DICOM file of unknown type"
        raise UnusableInput(
            f"{path} is not a segmentation but a {name}; choose a DICOM segmentation (SEG), a structure set "
            "(RTSTRUCT), a .seg.nrrd or a label map."
        )
    if ct is None:
        raise UnusableInput(
            f"{path} is a structure set, whose contours can only be filled on its CT; choose the CT too."
        )
    return _doubted(read_rois(path, ct), path, ct)


def _doubted(segments: list[Segment], path: Path, ct: Volume | None) -> list[Segment]:
    """Add a warning to the first segment if the file and its CT state different frames of reference.

    Only positions within one frame of reference are comparable (DICOM PS3.3 C.7.4.1). The frame of another scan or
    patient is a different one even if the grids are equal.
    """
    if not isinstance(ct, CTVolume) or not ct.dicom_files or not segments:
        return segments
    frame, frames = read_header(ct.dicom_files[0]).text("FrameOfReferenceUID"), _frames_of(path)
    if not frame or not frames or frame in frames:
        return segments
    doubt = (
        f"{shown(path.name)} was drawn in another frame of reference than that of the CT (FrameOfReferenceUID), so it "
        "may belong to another scan or patient; check that the lesions lie where they are visible."
    )
    first, *others = segments
    return [replace(first, warnings=(doubt, *first.warnings)), *others]


def _frames_of(path: Path) -> set[str]:
    """Return the frames of reference that a segmentation or a structure set states."""
    try:
        data = read_without_pixels(path)
        stated = [data.get("FrameOfReferenceUID")]
        stated += [item.get("FrameOfReferenceUID") for item in data.get("ReferencedFrameOfReferenceSequence") or []]
        stated += [item.get("ReferencedFrameOfReferenceUID") for item in data.get("StructureSetROISequence") or []]
    except DAMAGE as error:
        raise damaged(path) from error
    return {str(each) for each in stated if each}


def dicom_masks_in(folder: Path) -> list[Path]:
    """Return the DICOM segmentations and structure sets in a folder and its subfolders, sorted by path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and is_dicom_file(path))
    return [path for path in files if sop_class_of(path) in (*SEG_CLASSES, RTSTRUCT_CLASS)]
