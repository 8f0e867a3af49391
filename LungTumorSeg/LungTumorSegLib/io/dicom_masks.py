"""DICOM segmentations and structure sets: recognize, find and read them."""

from __future__ import annotations

from pathlib import Path

import pydicom

from ..core.errors import UnusableInput
from ..core.volume import Volume
from .dicom_seg import SEG_CLASSES, read_dicom_seg
from .dicom_start import is_dicom_file
from .rtstruct import RTSTRUCT_CLASS, read_rois, sop_class_of
from .segment import Segment


def read_dicom_masks(path: Path, ct: Volume | None) -> list[Segment]:
    """Read the segments of a DICOM segmentation, or the regions of a structure set on the grid of ``ct``.

    Raises:
        UnusableInput: If the file is damaged or of another kind, or if a structure set comes without a CT.
    """
    kind = sop_class_of(path)
    if kind in SEG_CLASSES:
        return read_dicom_seg(path)
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
    return read_rois(path, ct)


def dicom_masks_in(folder: Path) -> list[Path]:
    """Return the DICOM segmentations and structure sets in a folder and its subfolders, sorted by path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and is_dicom_file(path))
    return [path for path in files if sop_class_of(path) in (*SEG_CLASSES, RTSTRUCT_CLASS)]
