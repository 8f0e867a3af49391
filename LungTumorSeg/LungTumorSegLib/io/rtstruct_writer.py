"""Write segments as a DICOM RT structure set for planning systems (DICOM PS3.3 A.19 and C.8.8)."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ImplicitVRLittleEndian, generate_uid

from .. import __version__
from ..core.crops import Crop, place
from ..core.pixel_outlines import outlines
from ..core.selection import is_lesion
from ..core.volume import Array, Grid
from .dicom_source import (
    MANUFACTURER,
    MAY_BE_EMPTY,
    NOT_CLINICAL,
    RTSTRUCT_SERIES,
    STUDY_AND_PATIENT,
    UTF_8,
    DicomSource,
    long_string,
)
from .rtstruct import RTSTRUCT_CLASS
from .segment import Segment

STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"
"""SOP class of Detached Study Management (retired), by which structure sets refer to a study."""

DECIMALS = 4
"""Decimals of a coordinate in mm; the grids of results are as exact."""


def write_rtstruct(segments: Sequence[Segment], grid: Grid, source: DicomSource, path: Path) -> None:
    """Write each segment that is not empty as a region of interest: lesions as GTV, lungs as ORGAN.

    The contours follow the edges of the pixels, so a program that fills them finds the voxels of the segment. A hole is
    joined to the outline around it (see ``core.pixel_outlines``).

    Args:
        segments: The segments; at least one is not empty. Masks lie on the voxels of ``grid``.
        grid: The grid of the CT.
        source: The slices of the CT.
        path: The file.

    Raises:
        UnusableInput: If a mask does not lie on the grid.
    """
    placed = [(segment, place(segment.mask, grid, f"The segment {segment.name}")) for segment in segments]
    rois = [(segment, crop) for segment, crop in placed if crop is not None]
    slices = source.slices_on(grid)
    data = _structure_set(source)
    data.StructureSetROISequence = [_roi(n, segment, source) for n, (segment, _) in enumerate(rois, start=1)]
    data.ROIContourSequence = [
        _item(
            ROIDisplayColor=[round(255 * part) for part in segment.color],
            ContourSequence=[*_contours(crop, grid, slices)],
            ReferencedROINumber=n,
        )
        for n, (segment, crop) in enumerate(rois, start=1)
    ]
    data.RTROIObservationsSequence = [_observation(n, segment) for n, (segment, _) in enumerate(rois, start=1)]
    data.save_as(path, enforce_file_format=True)


def _structure_set(source: DicomSource) -> Dataset:
    """Return the data set with everything but the regions."""
    first, now = source.first, datetime.datetime.now()
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = UID(RTSTRUCT_CLASS)
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian  # explicit DS cannot exceed 64 KB
    data.SpecificCharacterSet = UTF_8
    for keyword in (*STUDY_AND_PATIENT, *MAY_BE_EMPTY):
        if keyword in first:
            data.add(first[keyword])
    data.StudyInstanceUID, data.FrameOfReferenceUID = first.StudyInstanceUID, first.FrameOfReferenceUID
    data.PositionReferenceIndicator = ""
    data.Modality, data.SeriesInstanceUID, data.SeriesNumber = "RTSTRUCT", generate_uid(), RTSTRUCT_SERIES
    data.SeriesDescription = f"{MANUFACTURER} contours, {NOT_CLINICAL}"
    data.OperatorsName = ""
    data.Manufacturer = data.ManufacturerModelName = MANUFACTURER
    data.SoftwareVersions, data.InstanceNumber, data.ApprovalStatus = __version__, 1, "UNAPPROVED"
    data.InstanceCreationDate = data.StructureSetDate = now.strftime("%Y%m%d")
    data.InstanceCreationTime = data.StructureSetTime = now.strftime("%H%M%S")
    data.StructureSetLabel = "LUNG TUMORS"
    data.StructureSetDescription = f"Lungs and lung tumors, {NOT_CLINICAL}"
    data.ReferencedFrameOfReferenceSequence = [_frame_of_reference(source)]
    return data


def _frame_of_reference(source: DicomSource) -> Dataset:
    first = source.first
    series = _item(
        SeriesInstanceUID=first.SeriesInstanceUID, ContourImageSequence=[_image(each) for each in source.slices]
    )
    study = _item(
        ReferencedSOPClassUID=STUDY_CLASS,
        ReferencedSOPInstanceUID=first.StudyInstanceUID,
        RTReferencedSeriesSequence=[series],
    )
    return _item(FrameOfReferenceUID=first.FrameOfReferenceUID, RTReferencedStudySequence=[study])


def _roi(number: int, segment: Segment, source: DicomSource) -> Dataset:
    return _item(
        ROINumber=number,
        ReferencedFrameOfReferenceUID=source.first.FrameOfReferenceUID,
        ROIName=long_string(segment.name),
        ROIGenerationAlgorithm="AUTOMATIC",
    )


def _observation(number: int, segment: Segment) -> Dataset:
    return _item(
        ObservationNumber=number,
        ReferencedROINumber=number,
        RTROIInterpretedType="GTV" if is_lesion(segment) else "ORGAN",
        ROIInterpreter="",
    )


def _contours(crop: Crop, grid: Grid, slices: Mapping[int, Any]) -> list[Dataset]:
    (first, top, left), _ = crop.box
    found = []
    for index, plane in enumerate(crop.mask.array):
        level = first + index
        image = {"ContourImageSequence": [_image(slices[level])]} if level in slices else {}
        for polygon in outlines(plane):
            corners = np.column_stack([np.full(len(polygon), level), np.add(polygon, (top, left))])
            found.append(
                _item(
                    **image,
                    ContourGeometricType="CLOSED_PLANAR",
                    NumberOfContourPoints=len(corners),
                    ContourData=_decimals(grid.index_to_lps(corners)),
                )
            )
    for number, contour in enumerate(found, start=1):
        contour.ContourNumber = number
    return found


def _decimals(points: Array) -> list[str]:
    """Return coordinates as decimal strings without trailing zeros."""
    texts = (f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".") for value in points.ravel().tolist())
    return ["0" if text == "-0" else text for text in texts]


def _image(slice_: Any) -> Dataset:
    return _item(ReferencedSOPClassUID=slice_.SOPClassUID, ReferencedSOPInstanceUID=slice_.SOPInstanceUID)


def _item(**values: Any) -> Dataset:
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return item
