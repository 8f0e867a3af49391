"""DICOM segmentations for tests, written by highdicom for a DICOM CT series."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import highdicom
import numpy as np
import pydicom
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid


def write_dicom_seg(
    path: Path,
    ct_files: Sequence[Path],
    segments: Sequence[tuple[str, str, np.ndarray]],
    *,
    kind: str = "BINARY",
    edit: Callable[[pydicom.Dataset], None] | None = None,
) -> Path:
    """Write segments as a DICOM segmentation.

    Args:
        path: The file.
        ct_files: The slices of the CT on which the segments are defined.
        segments: Label, "lesion" or "organ", and mask (slice, row, column) of each segment.
        kind: The SegmentationType.
        edit: May change the data set before it is saved.

    Returns:
        ``path``.
    """
    sources = [pydicom.dcmread(file) for file in ct_files]
    for source in sources:
        for keyword in ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime"):
            setattr(source, keyword, "")
    codes_of = {
        "lesion": (codes.SCT.MorphologicallyAbnormalStructure, codes.SCT.Neoplasm),
        "organ": (codes.SCT.AnatomicalStructure, codes.SCT.Heart),
    }
    descriptions = [
        highdicom.seg.SegmentDescription(number, name, *codes_of[what], highdicom.seg.SegmentAlgorithmTypeValues.MANUAL)
        for number, (name, what, _) in enumerate(segments, start=1)
    ]
    stored = np.float32 if kind == "FRACTIONAL" else np.uint8
    masks: np.ndarray = np.stack([mask for _, _, mask in segments], axis=-1).astype(stored)
    if kind == "LABELMAP":
        masks = np.multiply(masks, np.arange(1, len(segments) + 1, dtype=np.uint8)).max(axis=-1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = highdicom.seg.Segmentation(
            sources, masks, highdicom.seg.SegmentationTypeValues(kind), descriptions,
            series_instance_uid=generate_uid(), series_number=2, sop_instance_uid=generate_uid(), instance_number=1,
            manufacturer="test", manufacturer_model_name="test", software_versions="1", device_serial_number="1",
        )  # fmt: skip
        if edit:
            edit(data)
        path.parent.mkdir(parents=True, exist_ok=True)
        data.save_as(path)
    return path
