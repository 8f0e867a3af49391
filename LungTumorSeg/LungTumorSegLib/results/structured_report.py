"""Write the measures of lesions as a DICOM structured report (TID 1500, Measurement Report; DICOM PS3.16)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from highdicom import sr
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

from .. import NOTICE
from ..core.rounding import rounded
from ..core.terminology import meaning_of
from ..io.dicom_seg_writer import Algorithm, dicom_code, equipment
from ..io.dicom_source import MANUFACTURER, NOT_CLINICAL, SR_SERIES, UTF_8, DicomSource, long_string
from ..io.segment import Segment
from ..lesions import NO_LESION, Lesion
from ..lesions.diameters import Ruler

DEVICE_UID = UID("2.25.255463527937241116131126573838434519057")
"""Identifies the program as the observer of a report; drawn at random once."""

CT_CHEST = Code("24627-2", "LN", "CT Chest")
LONG_AXIS, SHORT_AXIS = Code("103339001", "SCT", "Long Axis"), Code("103340004", "SCT", "Short Axis")
ATTENUATION = Code("112031", "DCM", "Attenuation Coefficient")
VOLUME, MEAN = Code("118565006", "SCT", "Volume"), Code("373098007", "SCT", "Mean")
LUNG = Code("39607008", "SCT", "Lung")
SIDES = {"Left": Code("7771000", "SCT", "Left"), "Right": Code("24028007", "SCT", "Right")}
MILLIMETER, MILLILITER = Code("mm", "UCUM", "millimeter"), Code("mL", "UCUM", "milliliter")
NEOPLASM, QUANTITY = Code("108369006", "SCT", "Neoplasm"), Code("246205007", "SCT", "Quantity")
NO_UNIT = Code("1", "UCUM", "no units")
HOUNSFIELD_UNIT = Code("[hnsf'U]", "UCUM", "Hounsfield unit")

DIGITS = 6
"""Significant digits of a measure, more than any of them deserves; a decimal string has 16 characters."""


def write_structured_report(
    lesions: Sequence[Lesion],
    segments: Sequence[Segment],
    segmentation: Any,
    *,
    source: DicomSource,
    made_by: Algorithm,
    path: Path,
) -> None:
    """Write the measures of each lesion: volume, mean HU, and long and short axis with their ends.

    Each group of measures states side, tracking identifier and algorithm. The voxels are those of the lesion's segment,
    to which the report refers. A comment states that the report is not for clinical use.

    Args:
        lesions: The lesions.
        segments: The segments of the segmentation; the last ones are those of ``lesions`` in the same order.
        segmentation: The data set that ``write_dicom_seg`` returned.
        source: The slices of the CT.
        made_by: How the segments came about.
        path: The file.
    """
    first = len(segments) - len(lesions)
    groups = [
        group
        for index, lesion in enumerate(lesions)
        for group in _groups(
            lesion,
            segments[first + index],
            first + index + 1,
            segmentation=segmentation,
            source=source,
            made_by=made_by,
        )
    ]
    report = sr.MeasurementReport(
        sr.ObservationContext(observer_device_context=_observer()),
        CT_CHEST,
        groups or [_no_lesion(made_by)],
        title=codes.DCM.ImagingMeasurementReport,
    )
    found = "" if lesions else f"{NO_LESION}. "
    text = f"{found}{NOTICE} {NOT_CLINICAL.capitalize()}."
    report[0].ContentSequence.append(sr.TextContentItem(codes.DCM.Comment, text, sr.RelationshipTypeValues.CONTAINS))
    _write(report[0], segmentation, source, path)


def _write(content: Any, segmentation: Any, source: DicomSource, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about values of the CT's own files
        data = sr.Comprehensive3DSR(
            [segmentation, *source.slices],
            content,
            series_instance_uid=generate_uid(),
            series_number=SR_SERIES,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            is_complete=True,
            series_description=f"{MANUFACTURER} measurements, {NOT_CLINICAL}",
            transfer_syntax_uid=ExplicitVRLittleEndian,
            **equipment(),
        )
        data.SpecificCharacterSet = UTF_8  # highdicom 0.27 has no argument for it
        data.save_as(path)


def _observer() -> Any:
    return sr.ObserverContext(
        codes.DCM.Device,
        sr.DeviceObserverIdentifyingAttributes(
            DEVICE_UID, MANUFACTURER, MANUFACTURER, MANUFACTURER, equipment()["device_serial_number"]
        ),
    )


def _groups(
    lesion: Lesion, segment: Segment, number: int, *, segmentation: Any, source: DicomSource, made_by: Algorithm
) -> list[Any]:
    """Return the measures of a lesion's voxels, and those of its lines.

    Lines may have ends only in a group of their own (TID 1501); the tracking identifier connects both groups.
    """
    about: dict[str, Any] = {
        "tracking_identifier": sr.TrackingIdentifier(source.tracking_uid(segment), long_string(segment.name)),
        "finding_type": dicom_code(meaning_of(segment.terminology).type),
        "algorithm_id": sr.AlgorithmIdentification(made_by.name, made_by.version),
        "finding_sites": [sr.FindingSite(LUNG, laterality=SIDES.get(lesion.side or ""))],
    }
    frame_of_reference = str(source.first.FrameOfReferenceUID)
    voxels = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        referenced_segment=sr.ReferencedSegment.from_segmentation(segmentation, number),
        measurements=[
            sr.Measurement(VOLUME, rounded(lesion.volume_ml, DIGITS), MILLILITER),
            sr.Measurement(ATTENUATION, rounded(lesion.mean_hu, DIGITS), HOUNSFIELD_UNIT, derivation=MEAN),
        ],
        **about,
    )
    lines = sr.MeasurementsAndQualitativeEvaluations(
        measurements=[
            _length(LONG_AXIS, lesion.long_axis, frame_of_reference),
            _length(SHORT_AXIS, lesion.short_axis, frame_of_reference),
        ],
        **about,
    )
    return [voxels, lines]


def _no_lesion(made_by: Algorithm) -> Any:
    """Return the group of a report without lesions, since a report must have one: the number of lesions is 0."""
    return sr.MeasurementsAndQualitativeEvaluations(
        sr.TrackingIdentifier(generate_uid(), "Number of lesions"),
        finding_type=NEOPLASM,
        algorithm_id=sr.AlgorithmIdentification(made_by.name, made_by.version),
        finding_sites=[sr.FindingSite(LUNG)],
        measurements=[sr.Measurement(QUANTITY, 0, NO_UNIT)],
    )


def _length(name: Code, ruler: Ruler, frame_of_reference: str) -> Any:
    ends = np.array([ruler.start_lps, ruler.end_lps])
    line = sr.CoordinatesForMeasurement3D(sr.GraphicTypeValues3D.POLYLINE, ends, frame_of_reference)
    return sr.Measurement(name, rounded(ruler.length_mm, DIGITS), MILLIMETER, referenced_coordinates=[line])
