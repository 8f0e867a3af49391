"""Find the CT slices in a folder, and the files that look like slices but cannot be read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from ..core.errors import UnusableInput
from ..core.texts import listed, shown
from .dicom_folder import is_hidden, is_named_as_slice, no_dicom, starts_of, unpacked_name
from .dicom_reading import read_header, stated_class
from .dicom_start import begins_as_dicom
from .dicom_values import DicomHeader, damaged_file_error

DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
"""SOP class of a DICOMDIR (Media Storage Directory Storage)."""

UNCOMPRESSED = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)

DECODER_PACKAGES = {
    "1.2.840.10008.1.2.4.50": "pylibjpeg-libjpeg",  # JPEG Baseline
    "1.2.840.10008.1.2.4.51": "pylibjpeg-libjpeg",  # JPEG Extended
    "1.2.840.10008.1.2.4.57": "pylibjpeg-libjpeg",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70": "pylibjpeg-libjpeg",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80": "pylibjpeg-libjpeg",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81": "pylibjpeg-libjpeg",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90": "pylibjpeg-openjpeg",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91": "pylibjpeg-openjpeg",  # JPEG 2000
    "1.2.840.10008.1.2.4.201": "pylibjpeg-openjpeg",  # High-Throughput JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.202": "pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.203": "pylibjpeg-openjpeg",
}
"""Packages that pydicom needs to decode a transfer syntax, by UID.

pydicom itself decodes the uncompressed transfer syntaxes, deflate and RLE.
"""

ENHANCED_CLASSES = ("1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
"""SOP classes of Enhanced CT and Legacy Converted Enhanced CT Image Storage."""


@dataclass(frozen=True, eq=False)
class FoundSlices:
    """The CT slices at a path.

    Attributes:
        slices: Headers of the CT slices.
        unread: Files that look like slices but cannot be read.
        localizers: Headers of the localizers, which are not read.
    """

    slices: list[DicomHeader]
    unread: list[Path]
    localizers: list[DicomHeader]


def find_slices(path: Path) -> FoundSlices:
    """Return the CT slices in a file, or in a folder and its subfolders.

    Links are followed, but no folder is entered twice.

    Raises:
        UnusableInput: If there are no CT slices (the message says what was found instead), or if a CT slice is damaged.
    """
    unread: list[Path] = []
    headers, others = [], []
    for each, start in starts_of(path, unread):
        if begins_as_dicom(start):
            headers.append(_header_of_any(each))
        else:
            others.append((each, start))
    slices = [header for header in headers if header is not None and _is_ct_slice(header)]
    unread += [each for each, start in others if _looks_like_slice(each, start, slices)]
    if not slices:
        raise _none_found(path, headers, unread, [each for each, _ in others])
    localizers = [each for each in headers if each is not None and _kind(each) == "CT" and _is_localizer(each)]
    return FoundSlices(slices, unread, localizers)


def ct_header(path: Path) -> DicomHeader | None:
    """Return the header of a DICOM file that is a CT slice; None if the file is something else.

    Raises:
        UnusableInput: If the file is damaged and may be a CT slice.
    """
    header = _header_of_any(path)
    return header if header is not None and _is_ct_slice(header) else None


def _header_of_any(path: Path) -> DicomHeader | None:
    """Return a file's header; None if the file is damaged but states that it is not a CT.

    Raises:
        UnusableInput: If the file is damaged and may be a CT.
    """
    try:
        return read_header(path)
    except UnusableInput:
        if stated_class(path) in ("", CTImageStorage, *ENHANCED_CLASSES):
            raise
        return None


def _is_ct_slice(header: DicomHeader) -> bool:
    """Return whether the file is an image of a CT stack.

    Screen captures and reports have no position in the patient; localizers are marked as such in ImageType.

    Raises:
        UnusableInput: If a CT image is damaged, or its transfer syntax is not supported.
    """
    is_ct_image = _sop_class(header) == CTImageStorage
    if is_ct_image:
        check_transfer_syntax(header)
        if not header.has("Modality") or not (header.has("Columns") or header.has("Rows")):
            raise damaged_file_error(header.path)
    if _kind(header) != "CT" or _is_localizer(header):
        return False
    if _sop_class(header) in ENHANCED_CLASSES:
        return True
    if not header.has("Columns"):
        return is_ct_image
    return is_ct_image or header.has("ImagePositionPatient") or header.integer("NumberOfFrames", 1) > 1


def _is_localizer(header: DicomHeader) -> bool:
    return "LOCALIZER" in header.texts("ImageType")


def _sop_class(header: DicomHeader) -> str:
    try:
        return header.text("MediaStorageSOPClassUID") or header.text("SOPClassUID")
    except UnusableInput:
        return ""


def _kind(header: DicomHeader) -> str:
    """Return the modality, or a description if there is none."""
    if _sop_class(header) == DIRECTORY_CLASS:
        return "index (DICOMDIR)"
    try:
        return header.text("Modality") or "without modality"
    except UnusableInput:
        return "damaged"


def check_transfer_syntax(header: DicomHeader) -> None:
    """Check that a decoder exists for the coding of the pixels.

    Raises:
        UnusableInput: If there is none, for example because a manufacturer's private transfer syntax is used.
    """
    uid = UID(header.text("TransferSyntaxUID"))
    if uid not in UNCOMPRESSED and uid != RLELossless and uid not in DECODER_PACKAGES:
        kind = "private transfer syntax" if uid.is_private else "transfer syntax"
        raise UnusableInput(
            f"{shown(header.path)} uses the {kind} {shown(uid.name, 80)}, which is not supported; export the series "
            "again in a standard transfer syntax (Explicit VR Little Endian)."
        )


def _looks_like_slice(path: Path, start: bytes, slices: list[DicomHeader]) -> bool:
    """Return whether a file that is not DICOM is named like a slice.

    It has the suffix of a slice or a name like that of the slices beside it. Text files beside slices without suffix
    (README) do not count, nor do hidden files (those that macOS adds begin with ``._``).
    """
    if is_named_as_slice(path):
        return True
    if is_hidden(path) or (start and b"\0" not in start):
        return False
    name = unpacked_name(path)
    return any(
        _name_pattern(name) == _name_pattern(each.path)
        or (path.parent == each.path.parent and _suffix(name) == _suffix(each.path))
        for each in slices
    )


def _suffix(path: Path) -> str:
    """Return the suffix in lower case; "" if it is a number (names are often UIDs: ``1.2.840.113``)."""
    suffix = path.suffix.lower()
    return "" if suffix[1:].isdigit() else suffix


def _name_pattern(path: Path) -> str:
    return "".join("0" if character.isdigit() else character for character in path.name)


def _none_found(path: Path, headers: list[DicomHeader | None], unread: list[Path], others: list[Path]) -> UnusableInput:
    if unread or not headers:
        return no_dicom(path, unread, others)
    kinds = Counter("damaged" if header is None else shown(_kind(header), 20) for header in headers)
    if path.is_file() and "index (DICOMDIR)" in kinds:
        return UnusableInput(
            f"{shown(path)} is a DICOMDIR, the index of a disc, and contains no images; choose the folder that "
            "contains it."
        )
    found = listed([f"{number} {kind}" for kind, number in sorted(kinds.items())])
    return UnusableInput(f"{shown(path)} contains no CT slices (found: {found}); choose a CT series.")
