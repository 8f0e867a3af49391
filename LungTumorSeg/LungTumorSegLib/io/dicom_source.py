"""The header facts of the DICOM slices from which a CT was read, for DICOM objects that refer to them.

A DICOM object about a CT repeats the patient and the study of the CT, lies in its frame of reference, and names its
slices (DICOM PS3.3 C.7). Everything is read before the work begins, so a run cannot fail at its end because the slices
have become unavailable.
"""

from __future__ import annotations

import re
import uuid
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pydicom.valuerep import DA, TM

from ..core.errors import UnusableInput
from ..core.texts import shown
from ..core.volume import CTVolume, Grid
from .dicom_reading import read_without_pixels
from .dicom_values import DAMAGE, damaged_file_error
from .segment import Segment

IDENTITY = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID", "SOPClassUID")
"""Attributes without which no other object can refer to a slice."""

PICTURE = (
    *IDENTITY, "Modality", "Rows", "Columns", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices",
    "ImagePositionPatient", "ImageOrientationPatient", "LossyImageCompression", "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)  # fmt: skip
"""Attributes of a slice that say nothing about the patient's identity, except by the UIDs."""

STUDY_AND_PATIENT = (
    "PatientName", "PatientID", "IssuerOfPatientID", "TypeOfPatientID", "PatientBirthDate", "PatientBirthTime",
    "PatientSex", "OtherPatientIDsSequence", "EthnicGroup", "PatientComments", "PatientIdentityRemoved",
    "DeidentificationMethod", "DeidentificationMethodCodeSequence",
    "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber", "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianName", "PatientAge", "PatientSize", "PatientWeight",
    "ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID",
    "ClinicalTrialSiteName", "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID", "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
)  # fmt: skip
"""Attributes of the patient and of the study that every object of the study repeats."""

MAY_BE_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
"""Attributes that every object must contain, if necessary without a value (type 2)."""

SEXES = ("", "M", "F", "O")

REMOVED = "LungTumorSeg wrote no attribute of the patient or study"
"""DeidentificationMethod of objects written with ``deidentified`` (at most 64 characters)."""

UTF_8 = "ISO_IR 192"

MANUFACTURER = "LungTumorSeg"
NOT_CLINICAL = "not for clinical use"

SEG_SERIES, SR_SERIES, RTSTRUCT_SERIES = 9101, 9102, 9103
"""Series numbers of the objects; a scanner's own series have lower ones."""

ON_SLICE = 0.05
"""Largest distance, in slices, between a slice of a grid and the DICOM slice with its picture."""

NAMESPACE = uuid.UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")
"""Namespace of names that are object identifiers (RFC 9562, appendix A)."""


@dataclass(frozen=True, eq=False)
class DicomSource:
    """The slices of a CT as other DICOM objects refer to them.

    Attributes:
        slices: One data set per slice, without pixels, in UTF-8. Each states the patient and the study.
        warnings: Sentences about values that were omitted because they are not valid.
    """

    slices: tuple[Any, ...]
    warnings: tuple[str, ...] = ()

    @property
    def first(self) -> Any:
        """Return the first slice."""
        return self.slices[0]

    def slices_on(self, grid: Grid) -> dict[int, Any]:
        """Return the DICOM slices by the index of the grid's slice that shows the same plane."""
        found = {}
        for each in self.slices:
            level = float(grid.lps_to_index(np.array(each.ImagePositionPatient, float))[0])
            if abs(level - round(level)) <= ON_SLICE and 0 <= round(level) < grid.shape[0]:
                found[round(level)] = each
        return found

    def tracking_uid(self, segment: Segment) -> str:
        """Return the identifier of a segment that stays the same when the segment is written again.

        A segment that was read with such an identifier keeps it. Otherwise, it follows from the series and the id of
        the segment.
        """
        return segment.tracking_uid or tracking_uid_of(str(self.first.SeriesInstanceUID), segment)


def tracking_uid_of(series_uid: str, segment: Segment) -> str:
    """Return the tracking identifier that follows from the series of a CT and the id of a segment."""
    return UID(f"2.25.{uuid.uuid5(NAMESPACE, f'{series_uid} {segment.id}').int}")


def read_source(ct: CTVolume, *, deidentified: bool = False) -> DicomSource:
    """Read the headers of the slices from which a CT was read.

    Args:
        ct: The CT.
        deidentified: Whether to leave out everything about the patient and the study except UIDs.

    Raises:
        UnusableInput: If the CT was not DICOM, a slice cannot be read, or a slice lacks an identifier.
    """
    if not ct.dicom_files:
        raise UnusableInput(not_dicom("The CT"))
    headers = [_header(path) for path in ct.dicom_files]
    about, found = ({}, ()) if deidentified else _study_and_patient(headers[0])
    return DicomSource(tuple(_slice(header, about, deidentified=deidentified) for header in headers), found)


def not_dicom(what: str) -> str:
    """Return the sentence that refuses DICOM results for a CT that was not DICOM."""
    return (
        f"{what} is not DICOM, so DICOM results would have no patient, study and slices to refer to; choose the DICOM "
        "folder of the CT, or omit dicom from --format."
    )


def _header(path: Path) -> Any:
    data = read_without_pixels(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted = Dataset()
            for keyword in (*PICTURE, *STUDY_AND_PATIENT, "SpecificCharacterSet"):
                if keyword in data:
                    wanted.add(data[keyword])
            wanted.decode()
    except DAMAGE as error:
        raise damaged_file_error(path) from error
    for keyword in IDENTITY:
        if not wanted.get(keyword):
            raise UnusableInput(
                f"{shown(path)} does not state its {keyword}, so DICOM results cannot refer to it; export the series "
                "again, or omit dicom from --format."
            )
    return wanted


def _study_and_patient(header: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the attributes of the study and the patient, and a warning about those that are not valid."""
    found = {keyword: header[keyword] for keyword in STUDY_AND_PATIENT if keyword in header}
    invalid = [keyword for keyword, element in found.items() if not _is_valid(keyword, element.value)]
    for keyword in invalid:
        del found[keyword]
    if not invalid:
        return found, ()
    return found, (
        f"The DICOM results do not state {', '.join(invalid)}, because the value that the CT states is not valid.",
    )


def _is_valid(keyword: str, value: Any) -> bool:
    text = "" if value is None else str(value)
    try:
        if keyword.endswith("Date"):
            return text == "" or bool(DA(text))
        if keyword.endswith("Time"):
            return text == "" or bool(TM(text))
    except (ValueError, TypeError):
        return False
    return keyword != "PatientSex" or text in SEXES


def _slice(header: Any, about: dict[str, Any], *, deidentified: bool) -> Any:
    data = Dataset()
    data.SpecificCharacterSet = UTF_8
    for keyword in PICTURE:
        if keyword in header:
            data.add(header[keyword])
    for keyword in MAY_BE_EMPTY:
        setattr(data, keyword, "")
    for element in about.values():
        data.add(element)
    if deidentified:
        data.PatientIdentityRemoved, data.DeidentificationMethod = "YES", REMOVED
    return data


def long_string(text: str) -> str:
    """Return a text as the value of a long string (LO): one line of at most 64 characters without backslash."""
    return re.sub(r"[\\\x00-\x1f\x7f]", " ", text).strip()[:64]
