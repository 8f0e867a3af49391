"""RT structure sets for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from LungTumorSegLib.io.rtstruct import RTSTRUCT_CLASS
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid


def write_rtstruct(
    path: Path,
    rois: Mapping[str, Sequence[np.ndarray]],
    *,
    series: str = "",
    patient: str = "test",
    edit: Callable[[Dataset], None] | None = None,
) -> Path:
    """Write an RT structure set.

    Args:
        path: The file.
        rois: Closed contours (n, 3) in LPS mm, by the name of the ROI.
        series: SeriesInstanceUID of the CT on which the contours were drawn.
        patient: PatientID.
        edit: May change the data set before it is saved.

    Returns:
        ``path``.
    """
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(RTSTRUCT_CLASS), generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Modality, data.PatientID, data.StructureSetLabel = "RTSTRUCT", patient, "test"
    if series:
        data.ReferencedFrameOfReferenceSequence = [
            _item(RTReferencedStudySequence=[_item(RTReferencedSeriesSequence=[_item(SeriesInstanceUID=series)])])
        ]
    data.StructureSetROISequence = [_item(ROINumber=n, ROIName=name) for n, name in enumerate(rois, start=1)]
    data.ROIContourSequence = [
        _item(
            ReferencedROINumber=n,
            ContourSequence=[
                _item(
                    ContourGeometricType="CLOSED_PLANAR",
                    NumberOfContourPoints=len(contour),
                    ContourData=[f"{value:.6f}" for value in np.ravel(contour)],
                )
                for contour in contours
            ],
        )
        for n, contours in enumerate(rois.values(), start=1)
    ]
    if edit:
        edit(data)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def _item(**values: object) -> Dataset:
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return item
