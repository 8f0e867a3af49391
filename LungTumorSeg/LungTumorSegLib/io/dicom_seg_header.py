"""Open DICOM segmentations of other software: what a file may leave out, or leaves out often, is completed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from ..core.errors import UnusableInput
from ..core.terminology import UNSPECIFIED, meaning_of
from ..core.volume import Volume
from .dicom_reading import read_without_pixels

CODES = ("SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence")
"""What a segment is; files of some programs lack them."""

SAME_DIRECTION = 0.999
"""Smallest cosine of the angle between an axis of the CT and the normal of the frames that lie on its slices."""

SKIPPED = 0.75
"""Thickness of a frame as a share of the distance to the next one, below which slices between them were left out."""

WHOLE_STEPS = 0.05
"""Largest distance between two frames from a whole number of slices of the CT, in slices."""


def opened_seg(path: Path, ct: Volume | None = None) -> Any:
    """Open a segmentation with highdicom.

    highdicom refuses files without a frame of reference, which the standard allows if the CT has none, and files whose
    segments lack a name, a code or the type of their algorithm. These are completed in memory; so is the distance of
    the frames, which a file need not state, if the slices of ``ct`` tell it.

    Args:
        path: The file.
        ct: The CT; None if it is unknown.

    Returns:
        The segmentation; its pixels stay in the file unless something was completed or the file is deflated.

    Raises:
        UnusableInput: If the file has no segment or no frame.
    """
    header = read_without_pixels(path)
    for what, keyword in (("segment", "SegmentSequence"), ("frame", "PerFrameFunctionalGroupsSequence")):
        if not header.get(keyword):
            raise UnusableInput(
                f"{path} contains no {what}, so it shows no lesion; choose another segmentation, or export it again."
            )
    if not header.file_meta.TransferSyntaxUID.is_deflated and not _complete(header, ct):
        return highdicom.seg.segread(path, lazy_frame_retrieval=True)
    data = pydicom.dcmread(path)
    _complete(data, ct)
    return highdicom.seg.Segmentation.from_dataset(data, copy=False)


def _complete(data: Any, ct: Volume | None) -> bool:
    """Add what is missing to a data set; return whether anything was."""
    completed = False
    if not data.get("FrameOfReferenceUID"):
        data.FrameOfReferenceUID, completed = generate_uid(), True
    for segment in data.get("SegmentSequence") or []:
        completed = _complete_segment(segment) or completed
    spacing_mm = None if ct is None else _omitted_spacing(data, ct)
    if spacing_mm is not None:
        for measures in _groups(data, "PixelMeasuresSequence"):
            measures.SpacingBetweenSlices = spacing_mm
        completed = True
    return completed


def _complete_segment(segment: Any) -> bool:
    missing: dict[str, Any] = {
        "SegmentLabel": f"Segment {segment.SegmentNumber}",
        "SegmentAlgorithmType": "MANUAL",
        **{keyword: [_unspecified()] for keyword in CODES},
    }
    lacking = {keyword: value for keyword, value in missing.items() if not segment.get(keyword)}
    for keyword, value in lacking.items():
        setattr(segment, keyword, value)
    return bool(lacking)


def _unspecified() -> Dataset:
    """Return the code of a segment that nobody has described."""
    item = Dataset()
    item.CodingSchemeDesignator, item.CodeValue, item.CodeMeaning = meaning_of(UNSPECIFIED).type
    return item


def _omitted_spacing(data: Any, ct: Volume) -> float | None:
    """Return the distance of the CT's slices in mm if the file states none and its frames skip slices, else None.

    Frames as thick as their distance do not skip any: they were drawn on other, thicker slices.
    """
    measures = _groups(data, "PixelMeasuresSequence")
    thickness_mm = [float(each.get("SliceThickness") or np.inf) for each in measures]
    if not measures or any("SpacingBetweenSlices" in each for each in measures):
        return None
    normals = [
        np.cross(*np.reshape([float(part) for part in each.ImageOrientationPatient], (2, 3)))
        for each in _groups(data, "PlaneOrientationSequence")
    ]
    positions = [[float(p) for p in each.ImagePositionPatient] for each in _groups(data, "PlanePositionSequence")]
    if not normals or len(positions) < 2:
        return None
    axis = int(np.abs(normals[0] @ ct.direction).argmax())
    if abs(normals[0] @ ct.direction[:, axis]) < SAME_DIRECTION:
        return None
    spacing_mm = float(ct.spacing[axis])
    steps = np.diff(np.unique(np.round(np.array(positions) @ normals[0] / spacing_mm, 2)))
    if len(steps) == 0 or max(thickness_mm) > SKIPPED * steps.min() * spacing_mm:
        return None
    return spacing_mm if np.abs(steps - np.rint(steps)).max() < WHOLE_STEPS else None


def _groups(data: Any, keyword: str) -> list[Any]:
    """Return the first items of a sequence in the groups that all frames share and in those of each frame."""
    shared, each = data.get("SharedFunctionalGroupsSequence"), data.get("PerFrameFunctionalGroupsSequence")
    return [group[keyword][0] for group in (*(shared or []), *(each or [])) if group.get(keyword)]
