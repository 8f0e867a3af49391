"""Compare what a DICOM header states twice; a contradiction is refused or warned of.

PixelSpacing, ImagePositionPatient, ImageOrientationPatient, RescaleSlope and RescaleIntercept are used. Statements that
are compared with them:

- PixelAspectRatio with the ratio of PixelSpacing (refused);
- RealWorldValueMappingSequence in HU with the rescaling (refused);
- ReconstructionDiameter with the width of the image (warned of);
- SpacingBetweenSlices and SliceLocation with the distance of the positions (warned of);
- GantryDetectorTilt with the tilt of the slices (warned of);
- PatientOrientation with the directions of rows and columns (warned of);
- PixelSpacing with the square pixels that every scanner reconstructs (warned of).

Other statements are ignored on purpose. SliceThickness is no distance, because slices may overlap or leave gaps.
ImagerPixelSpacing is measured at the detector. PatientPosition says nothing about the axes. The smallest and largest
pixel value, window and level describe a display. The order of InstanceNumber is that of acquisition.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from pydicom.dataset import Dataset

from ..core.errors import UnusableInput
from ..core.texts import shown
from .dicom_grouping import Stack
from .dicom_slices import CTSlice
from .dicom_values import DicomHeader
from .stored_values import Rescaling

ASPECT_TOLERANCE = 0.01
"""Largest difference, as a share, between PixelAspectRatio and the ratio of PixelSpacing."""

SPACING_TOLERANCE = 0.1
"""Largest difference, as a share, between a stated distance of slices and the distance of the positions.

If the gantry is tilted, scanners may state the feed of the table, which differs by less.
"""

WIDTH_TOLERANCE = 0.1
"""Largest difference, as a share, between ReconstructionDiameter and the width of the image."""

LEAST_MATRIX = 256
"""Smallest number of rows and columns that a scanner reconstructs; smaller slices were resampled."""

LEAST_TILT_DEGREES = 1.0
"""Smallest tilt, in degrees, that counts as one."""

DIRECTIONS = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "H": (0, 0, 1), "F": (0, 0, -1)}
"""LPS directions of the letters of PatientOrientation (DICOM PS3.3 C.7.6.1.1.1)."""

HU_UNIT = "[hnsf'U]"
"""UCUM code of the Hounsfield unit."""

STORED_NUMBERS = (0, 4095)
"""Stored numbers at which two conversions are compared: the range of a 12-bit CT."""

SAME_HU = 1.0
"""Largest difference of two conversions that counts as rounding, in HU."""


def check_slice(each: CTSlice) -> None:
    """Check the statements of one slice about its pixels and its values.

    Raises:
        UnusableInput: If the header contradicts itself.
    """
    header = each.header
    if header.has("PixelAspectRatio"):
        tall, wide = header.numbers("PixelAspectRatio", 2)
        row_mm, column_mm = each.pixel_spacing_mm
        if min(tall, wide) <= 0 or abs(tall / wide - row_mm / column_mm) > ASPECT_TOLERANCE * row_mm / column_mm:
            raise UnusableInput(
                f"{shown(each.path)} contradicts itself: its pixels measure {row_mm:g} x {column_mm:g} mm "
                f"(PixelSpacing), but the ratio of their sides is {tall:g} to {wide:g} (PixelAspectRatio); export the "
                "series again as original CT slices."
            )
    used = each.chain.rescaling
    for other in _real_world_mappings(header):
        apart = max(
            abs((used.slope - other.slope) * number + used.intercept - other.intercept) for number in STORED_NUMBERS
        )
        if apart > SAME_HU:
            raise UnusableInput(
                f"{shown(each.path)} states two conversions to HU: value x {used.slope:g} + {used.intercept:g} "
                f"(RescaleSlope, RescaleIntercept) and value x {other.slope:g} + {other.intercept:g} "
                "(RealWorldValueMappingSequence); export the series again as original CT slices."
            )


def _real_world_mappings(header: DicomHeader) -> Iterable[Rescaling]:
    """Yield the linear conversions to HU that a header states as real-world values (DICOM PS3.3 C.7.6.16.2.11)."""
    for mapping in _items(header, "RealWorldValueMappingSequence"):
        units = [unit.text("CodeValue") for unit in _items(mapping, "MeasurementUnitsCodeSequence")]
        if HU_UNIT in units and mapping.has("RealWorldValueSlope"):
            yield Rescaling(
                mapping.numbers("RealWorldValueSlope", 1)[0], mapping.numbers("RealWorldValueIntercept", 1)[0]
            )


def _items(header: DicomHeader, keyword: str) -> list[DicomHeader]:
    """Return the items of a sequence; none if the file states the attribute as something else."""
    return [
        DicomHeader(header.path, item, {}, has_pixels=False)
        for item in header.values(keyword)
        if isinstance(item, Dataset)
    ]


def geometry_doubts(stack: Stack, order: Iterable[int], step_mm: float) -> list[str]:
    """Return warnings about statements that contradict the positions and the pixel spacing, which were used.

    They name no path, because results with these warnings are shared.

    Args:
        stack: The slices.
        order: Their indices along the normal, one per position.
        step_mm: The distance of neighboring slices by their positions, in mm.
    """
    first = stack.slices[0].header
    slices = [stack.slices[index] for index in order]
    found = [
        f"The slices lie {step_mm:.4g} mm apart by their positions, which were used, but state "
        f"{stated_mm:.4g} mm ({keyword}); check that no slices are missing."
        for keyword, stated_mm in _stated_distances(first, slices)
        if stated_mm and abs(stated_mm - step_mm) > SPACING_TOLERANCE * step_mm
    ]
    if "DERIVED" in first.texts("ImageType"):  # cropped or reformatted: the statements are those of the source
        return [*found, *_side_doubt(stack.slices[0])]
    first_slice = stack.slices[0]
    return [
        *found,
        *_side_doubt(first_slice),
        *_width_doubt(first_slice),
        *_square_doubt(first_slice),
        *_tilt_doubt(stack),
    ]


def _stated_distances(first: DicomHeader, slices: list[CTSlice]) -> Iterable[tuple[str, float]]:
    """Yield the distances of neighboring slices, in mm, that the headers state in addition to the positions."""
    if first.has("SpacingBetweenSlices"):  # other modalities state it with a sign
        yield "SpacingBetweenSlices", abs(first.numbers("SpacingBetweenSlices", 1)[0])
    if all(each.header.has("SliceLocation") for each in slices):
        places = [each.header.numbers("SliceLocation", 1)[0] for each in slices]
        yield "SliceLocation", float(np.median(np.abs(np.diff(places))))


def _side_doubt(each: CTSlice) -> list[str]:
    """Return a warning if PatientOrientation names a direction that rows or columns lead away from."""
    stated = each.header.texts("PatientOrientation")
    axes = np.reshape(each.orientation, (2, 3))  # along a row, then along a column
    named = [[DIRECTIONS.get(letter, (0, 0, 0)) for letter in text.upper()] for text in stated[:2]]
    if all(axis @ np.array(one) >= 0 for axis, letters in zip(axes, named, strict=False) for one in letters[:1]):
        return []
    return [
        f"The slices state two orientations: PatientOrientation {shown(chr(92).join(stated), 20)} contradicts "
        "ImageOrientationPatient, which was used; left and right may be exchanged, so check the side of the heart."
    ]


def _width_doubt(each: CTSlice) -> list[str]:
    header = each.header
    if each.rows != each.columns or not header.has("ReconstructionDiameter"):
        return []
    stated_mm, width_mm = header.numbers("ReconstructionDiameter", 1)[0], each.columns * each.pixel_spacing_mm[1]
    if stated_mm <= 0 or abs(stated_mm - width_mm) <= WIDTH_TOLERANCE * width_mm:
        return []
    return [
        f"The slices are {width_mm:.4g} mm wide by their PixelSpacing, which was used, but state a "
        f"ReconstructionDiameter of {stated_mm:.4g} mm; unless they were cropped or padded, check the size of a known "
        "structure."
    ]


def _square_doubt(each: CTSlice) -> list[str]:
    """Return a warning if the pixels of a scanner's own slice are not square.

    A scanner's matrix is as wide as it is high; slices that were cropped or reformatted may have any pixels.
    """
    row_mm, column_mm = each.pixel_spacing_mm
    if each.rows != each.columns or each.rows < LEAST_MATRIX or abs(row_mm - column_mm) <= ASPECT_TOLERANCE * column_mm:
        return []
    return [
        f"The pixels measure {row_mm:.4g} x {column_mm:.4g} mm by their PixelSpacing, which was used, but scanners "
        "reconstruct square pixels; check the size of a known structure."
    ]


def _tilt_doubt(stack: Stack) -> list[str]:
    header = stack.slices[0].header
    if not header.has("GantryDetectorTilt"):
        return []
    stated = abs(header.numbers("GantryDetectorTilt", 1)[0])
    tilt = float(np.degrees(np.arccos(min(1.0, abs(stack.planes.normal[2])))))
    if stated < LEAST_TILT_DEGREES or tilt >= LEAST_TILT_DEGREES:
        return []
    return [
        f"The slices are not tilted by their ImageOrientationPatient, which was used, but state a "
        f"GantryDetectorTilt of {stated:g} degrees; if the tilt was not corrected, shapes are sheared: use the "
        "original series."
    ]
