"""One CT slice: its checked header and its voxels in HU."""

from __future__ import annotations

import importlib.util
import re
import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.pixels.decoders.base import get_decoder

from ..core.affines import ORTHOGONALITY_TOLERANCE
from ..core.errors import MachineLimit, UnusableInput
from ..core.texts import shown
from ..core.volume import Array
from .dicom_files import DECODER_PACKAGES, ENHANCED_CLASSES, check_transfer_syntax
from .dicom_reading import read_data_set
from .dicom_values import DAMAGE, DicomHeader, damaged_file_error
from .stored_values import BitField, Rescaling, ValueChain

CUT_OFF = "End of file reached before delimiter"
"""Start of the warning with which pydicom reports that compressed pixels lack their end.

pydicom only warns, and JPEG 2000 decodes the data that exist.
"""

RAW: dict[str, Any] = {"correct_unused_bits": False}
"""Decoder options: a padding value is stated with all bits, so it is compared before unused bits are removed."""

MOST_ROWS = 8192
"""Largest number of rows and of columns; ultra-high-resolution CT has 2048."""

MOST_POSITION_MM = 1e5
"""Largest coordinate of a slice in mm; no scanner's table is 100 m long."""

MOST_SLOPE, MOST_INTERCEPT = 1e4, 1e6
"""Largest slope and largest absolute intercept of a CT's rescaling."""

HU_TYPES = ("", "HU")
UNSPECIFIED_TYPE = "US"
"""RescaleType of values with an unspecified unit (DICOM PS3.3 C.11.1.1.2)."""


MATERIAL_MAPS = re.compile(
    r"\bZ_?EFF|EFF_ATOMIC_NUM|(ELECTRON|RHO)[ _]?DENSITY|MAT_(SPECIFIC|FRACTIONAL|VALUE_BASED)|"
    r"(?<!NO_)(?<!NON_)IODINE(?!.*(REMOV|SUPPR|FREE))"
)
"""Values of ImageType that mark maps of a spectral CT whose values are no HU of a CT.

The names with MAT_ and EFF_ATOMIC_NUM are those of DICOM PS3.3 C.8.15.3.1.4, the others those of manufacturers.
Monoenergetic (MONO_E, VMI) and virtual non-contrast images (VNC, MAT_REMOVED) are in HU.
"""


@dataclass(frozen=True, eq=False)
class CTSlice:
    """A single-frame grayscale slice with a checked header; ``of`` creates it.

    Attributes:
        header: The attributes of the file.
        rows: Number of rows.
        columns: Number of columns.
        position_lps: ImagePositionPatient: LPS position (x, y, z) of the first pixel, in mm.
        orientation: ImageOrientationPatient: six direction cosines.
        pixel_spacing_mm: PixelSpacing: distances between rows and between columns, in mm.
        chain: How stored values become HU.
    """

    header: DicomHeader
    rows: int
    columns: int
    position_lps: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing_mm: tuple[float, ...]
    chain: ValueChain

    @property
    def path(self) -> Path:
        """Return the path of the file."""
        return self.header.path

    @staticmethod
    def of(header: DicomHeader) -> CTSlice:
        """Check a header and return its slice.

        Raises:
            UnusableInput: If the header states something impossible, or the file holds another kind of image.
        """
        _check_single_frame(header)
        check_transfer_syntax(header)
        if not header.has_pixels:
            raise damaged_file_error(header.path)
        rows, columns = header.integer("Rows"), header.integer("Columns")
        if not (0 < rows <= MOST_ROWS and 0 < columns <= MOST_ROWS):
            raise UnusableInput(
                f"{shown(header.path)} states an impossible size ({rows} x {columns}); export the series again as "
                "original CT slices."
            )
        position = tuple(header.numbers("ImagePositionPatient", 3))
        orientation = tuple(header.numbers("ImageOrientationPatient", 6))
        spacing = tuple(header.numbers("PixelSpacing", 2))
        if not _is_possible_plane(position, orientation, spacing):
            raise UnusableInput(
                f"{shown(header.path)} states an impossible position, orientation or pixel spacing; export the "
                "series again."
            )
        return CTSlice(header, rows, columns, position, orientation, spacing, _value_chain(header))

    @cached_property
    def states_rescaling(self) -> bool:
        """Return whether the header states how stored values become HU."""
        return self.header.has("RescaleSlope") or self.header.has("RescaleIntercept")

    def hu(self, *, whole: bool) -> Array:
        """Return the voxels (row, column) in HU.

        Args:
            whole: Return int16 if true, float32 otherwise.

        Raises:
            MachineLimit: If the decoder is not installed.
            UnusableInput: If the pixels are damaged.
        """
        return self.chain.hu(self._raw(), whole=whole)

    def _raw(self) -> Array:
        package = DECODER_PACKAGES.get(self.header.text("TransferSyntaxUID"))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                warnings.filterwarnings("error", message=CUT_OFF)
                data = read_data_set(self.path)
                decoder = get_decoder(data.file_meta.TransferSyntaxUID)
                pixels: Array = decoder.as_array(data, raw=True, **RAW)[0]
        except DAMAGE as error:
            if package and not all(map(importlib.util.find_spec, ("pylibjpeg", package.removeprefix("pylibjpeg-")))):
                raise MachineLimit(
                    f"{shown(self.path)} is compressed; install the packages pylibjpeg and {package} to read it."
                ) from error
            raise damaged_file_error(self.path) from error
        if pixels.shape != (self.rows, self.columns) or pixels.dtype.kind not in "iu":
            raise damaged_file_error(self.path)
        return pixels


def _is_possible_plane(position: tuple[float, ...], orientation: tuple[float, ...], spacing: tuple[float, ...]) -> bool:
    cosines = np.reshape(orientation, (2, 3))
    return bool(
        np.abs(position).max() <= MOST_POSITION_MM
        and np.abs(cosines @ cosines.T - np.eye(2)).max() <= ORTHOGONALITY_TOLERANCE
        and min(spacing) > 0
    )


def _check_single_frame(header: DicomHeader) -> None:
    is_enhanced = (
        header.text("MediaStorageSOPClassUID") in ENHANCED_CLASSES or header.text("SOPClassUID") in ENHANCED_CLASSES
    )
    if is_enhanced or header.integer("NumberOfFrames", 1) > 1:
        raise UnusableInput(
            f"{shown(header.path)} is multi-frame DICOM (enhanced CT), which is not supported; convert it to "
            "single-frame CT or NIfTI."
        )
    photometric = header.text("PhotometricInterpretation")
    if not photometric:
        raise UnusableInput(
            f"{shown(header.path)} does not state its PhotometricInterpretation; export the series again as original "
            "CT slices."
        )
    if header.integer("SamplesPerPixel", 1) != 1 or not photometric.startswith("MONOCHROME"):
        raise UnusableInput(
            f"{shown(header.path)} contains a color image, not a CT slice (PhotometricInterpretation "
            f"{shown(photometric, 20)}); choose the original CT series."
        )


def _value_chain(header: DicomHeader) -> ValueChain:
    """Return how stored values become HU.

    Raises:
        UnusableInput: If the values are not HU, or the header states a conversion that is not supported.
    """
    if header.has("ModalityLUTSequence"):
        raise UnusableInput(
            f"{shown(header.path)} encodes its values with a lookup table (ModalityLUTSequence), which is not "
            "supported; export the series with RescaleSlope and RescaleIntercept."
        )
    unit = header.text("RescaleType").upper()
    if unit not in (*HU_TYPES, UNSPECIFIED_TYPE):
        raise UnusableInput(
            f"{shown(header.path)} contains values of type {shown(unit, 20)}, not Hounsfield units (RescaleType); "
            "choose a CT series in HU."
        )
    material = next((text for text in header.texts("ImageType") if MATERIAL_MAPS.search(text.upper())), "")
    if material:
        raise UnusableInput(
            f"{shown(header.path)} is a map of a spectral CT ({shown(material, 40)} in ImageType), so its "
            "values are not the Hounsfield units of a CT; choose the conventional or a monoenergetic series."
        )
    chain = ValueChain(_bit_field(header), _rescaling(header))
    return ValueChain(chain.bits, chain.rescaling, _padding(header, chain))


def _bit_field(header: DicomHeader) -> BitField:
    allocated, stored = header.integer("BitsAllocated"), header.integer("BitsStored")
    high = header.integer("HighBit", stored - 1)
    signed = header.integer("PixelRepresentation")
    # A codec stores numbers, not bits: they start at bit 0.
    is_packed = header.text("TransferSyntaxUID") in DECODER_PACKAGES
    if (
        allocated not in (8, 16, 32)
        or not 1 <= stored <= allocated
        or not stored - 1 <= high < allocated
        or signed not in (0, 1)
        or (is_packed and high != stored - 1)
    ):
        raise UnusableInput(
            f"{shown(header.path)} states an impossible bit layout (BitsAllocated {allocated}, BitsStored {stored}, "
            f"HighBit {high}, PixelRepresentation {signed}); export the series again as original CT slices."
        )
    return BitField(allocated, stored, signed == 1, high + 1 - stored)


def _rescaling(header: DicomHeader) -> Rescaling:
    if header.has("RescaleSlope") and not header.has("RescaleIntercept"):
        header.numbers("RescaleIntercept", 1)  # raises: a slope without an intercept is incomplete
    slope = header.numbers("RescaleSlope", 1)[0] if header.has("RescaleSlope") else 1.0
    intercept = header.numbers("RescaleIntercept", 1)[0] if header.has("RescaleIntercept") else 0.0
    if not 0 < slope <= MOST_SLOPE or abs(intercept) > MOST_INTERCEPT:
        raise UnusableInput(
            f"{shown(header.path)} states a rescaling that is impossible for a CT (RescaleSlope {slope:g}, "
            f"RescaleIntercept {intercept:g}); export the series again as original CT slices."
        )
    return Rescaling(slope, intercept)


def _padding(header: DicomHeader, chain: ValueChain) -> tuple[int, int] | None:
    """Return the lowest and the highest stored number that mark padding; None if the header states none.

    See DICOM PS3.3 C.7.5.1.1.2.
    """
    if not header.has("PixelPaddingValue"):
        return None
    first = chain.bits.number(header.integer("PixelPaddingValue"))
    if not header.has("PixelPaddingRangeLimit"):
        return first, first
    last = chain.bits.number(header.integer("PixelPaddingRangeLimit"))
    padding = min(first, last), max(first, last)
    if first != last and ValueChain(chain.bits, chain.rescaling, padding).padding_may_be_tissue:
        raise UnusableInput(
            f"{shown(header.path)} states padding values in the range of tissue (PixelPaddingValue {first}, "
            f"PixelPaddingRangeLimit {last}); export the series again as original CT slices."
        )
    return padding


def common_chain(slices: list[CTSlice]) -> tuple[bool, list[str]]:
    """Check that all slices state in the same way how their values become HU.

    Returns:
        Whether all HU are whole numbers, and warnings. They name no path, because results with these warnings are
        shared.

    Raises:
        UnusableInput: If some slices state a rescaling and others do not.
    """
    stating = [each.states_rescaling for each in slices]
    if any(stating) and not all(stating):
        silent = slices[int(np.argmin(stating))]
        raise UnusableInput(
            f"{shown(silent.path)} does not state its RescaleSlope and RescaleIntercept, but other slices of its "
            "series do; export the series again as original CT slices."
        )
    found = []
    if not any(stating):
        found.append(
            "The CT does not state how to convert its values to HU (RescaleIntercept). LungTumorSeg assumed that they "
            "are HU; check the CT."
        )
    if any(each.header.text("RescaleType").upper() == UNSPECIFIED_TYPE for each in slices):
        found.append(
            "The CT does not specify the unit of its values (RescaleType US). LungTumorSeg assumed that they are HU; "
            "check the CT."
        )
    rescalings = {each.chain.rescaling for each in slices}
    if len(rescalings) > 1:
        found.append(
            f"The slices state {len(rescalings)} different conversions to HU. Each slice was converted with its own."
        )
    return all(each.is_whole for each in rescalings), found
