"""Read the data set of a DICOM file with pydicom, within limits that a hostile file cannot exceed."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydicom.filereader import read_file_meta_info, read_partial
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from .dicom_start import PREAMBLE_BYTES, start_of
from .dicom_values import DAMAGE, DicomHeader, damaged_file_error

DEFLATED = DeflatedExplicitVRLittleEndian.encode()

MOST_UNPACKED_BYTES = 256 << 20
"""Largest size in bytes to which a deflated slice may unpack.

A CT slice unpacks to at most 2 MB; a file that unpacks to more than the limit is damaged or malicious.
"""

KEYWORDS = [
    "SOPClassUID", "Modality", "ImageType", "SeriesInstanceUID", "SeriesDescription", "SeriesNumber",
    "StudyInstanceUID", "PatientID", "PatientName", "FrameOfReferenceUID", "ConvolutionKernel", "AcquisitionNumber",
    "KVP", "PatientPosition",
    "AcquisitionDate", "SeriesDate", "StudyDate",
    "AcquisitionDateTime", "AcquisitionTime", "InstanceNumber", "TemporalPositionIdentifier", "TemporalPositionIndex",
    "NominalPercentageOfCardiacPhase", "NominalPercentageOfRespiratoryPhase",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SpacingBetweenSlices",
    "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "PhotometricInterpretation",
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence", "RealWorldValueMappingSequence",
    "PixelAspectRatio", "ReconstructionDiameter", "SliceLocation", "GantryDetectorTilt",
    "PatientOrientation", "SliceThickness", "Manufacturer", "ManufacturerModelName", "StationName", "PatientSex",
    "PatientBirthDate",
]  # fmt: skip
"""All attributes that are read.

PatientPosition only tells acquisitions apart: it states how the patient lay, but nothing about the axes.
"""

MOST_ATTRIBUTES = 1 << 16
"""Largest number of attributes on one level of a data set.

Without the limit, a file padded with zeros would be read as countless empty attributes.
"""

TAGS = [Tag(keyword) for keyword in KEYWORDS]

PIXEL_TAGS = frozenset(int(Tag(keyword)) for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"))


def read_data_set(path: Path) -> Any:
    """Return a file's whole data set, with group 2 as ``file_meta``.

    A file without preamble or without group 2 is read too; its transfer syntax is then inferred from its first
    attribute.

    Raises:
        DAMAGE: One of these exceptions, if pydicom cannot parse the file.
    """
    _check_unpacked_size(path)
    with path.open("rb") as file:
        return _with_transfer_syntax(read_partial(file, _limit_of_attributes(), force=True))


def _limit_of_attributes() -> Callable[[BaseTag, str | None, int], bool]:
    """Return a stop condition for pydicom that raises ValueError after ``MOST_ATTRIBUTES`` attributes.

    The condition never stops pydicom otherwise.
    """
    count = 0

    def never(tag: BaseTag, vr: str | None, length: int) -> bool:
        nonlocal count
        count += 1
        if count > MOST_ATTRIBUTES:
            raise ValueError("The data set has more attributes than LungTumorSeg accepts.")
        return False

    return never


def read_header(path: Path) -> DicomHeader:
    """Return the attributes of a file that are needed to read a CT.

    Raises:
        UnusableInput: If the file is damaged.
    """
    data, reached_pixels = _read_up_to_pixels(path, [*TAGS])
    return DicomHeader(path, data, data.file_meta, reached_pixels)


def read_without_pixels(path: Path) -> Any:
    """Return all attributes of a file that precede its pixels as a pydicom data set.

    Raises:
        UnusableInput: If the file is damaged.
    """
    return _read_up_to_pixels(path, None)[0]


def _read_up_to_pixels(path: Path, tags: list[BaseTag | int] | None) -> tuple[Any, bool]:
    """Return the data set before the pixels, all of it or only ``tags``, and whether the file has pixels."""
    reached_pixels = False
    counted = _limit_of_attributes()

    def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        nonlocal reached_pixels
        counted(tag, vr, length)
        reached_pixels = int(tag) in PIXEL_TAGS
        return reached_pixels

    try:
        _check_unpacked_size(path)
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")  # DicomHeader refuses the oddities that matter
            data = _with_transfer_syntax(read_partial(file, at_pixels, force=True, specific_tags=tags))
    except DAMAGE as error:
        raise damaged_file_error(path) from error
    return data, reached_pixels


def _with_transfer_syntax(data: Any) -> Any:
    if "TransferSyntaxUID" not in data.file_meta:
        implicit, little = data.original_encoding
        explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
    return data


def _check_unpacked_size(path: Path) -> None:
    """Raise ValueError if a deflated file unpacks to more than any CT slice needs."""
    if DEFLATED not in start_of(path):
        return
    meta = read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        return
    begin = PREAMBLE_BYTES + 4 + 12 + int(meta.FileMetaInformationGroupLength)
    with path.open("rb") as file:
        file.seek(begin)
        unpacked = zlib.decompressobj(-zlib.MAX_WBITS).decompress(file.read(), MOST_UNPACKED_BYTES)
    if len(unpacked) == MOST_UNPACKED_BYTES:
        raise ValueError("The file unpacks to more bytes than a CT slice needs.")


def stated_class(path: Path) -> str:
    """Return the SOP class that a file's group 2 states; "" if it states none or is damaged."""
    try:
        return str(read_file_meta_info(path).get("MediaStorageSOPClassUID", ""))
    except DAMAGE:
        return ""
