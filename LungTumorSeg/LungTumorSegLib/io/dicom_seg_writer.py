"""Write segments as a DICOM segmentation (SEG; DICOM PS3.3 A.51 and C.8.20).

References:
    highdicom: Bridge 2022, doi:10.1007/s10278-022-00683-y.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
from highdicom.color import CIELabColor
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code as DicomCode
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from .. import __version__
from ..core.crops import Crop, place
from ..core.terminology import Code, meaning_of
from ..core.volume import Array, Grid
from .dicom_source import MANUFACTURER, NOT_CLINICAL, SEG_SERIES, UTF_8, DicomSource, long_string
from .segment import Segment


@dataclass(frozen=True)
class Algorithm:
    """How segments came about.

    Attributes:
        name: Name of the algorithm, such as the id of the model.
        version: Its version.
        automatic: Whether no person changed the segments.
    """

    name: str
    version: str
    automatic: bool = True


def identification(made_by: Algorithm) -> Any:
    """Return the algorithm as an item of a segment and of a report."""
    return highdicom.AlgorithmIdentificationSequence(
        long_string(made_by.name), codes.DCM.ArtificialIntelligence, long_string(made_by.version)
    )


def equipment() -> dict[str, Any]:
    """Return the attributes of the software as arguments of highdicom's classes."""
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": MANUFACTURER,
        "software_versions": __version__,
        "device_serial_number": __version__,
    }


def write_dicom_seg(
    segments: Sequence[Segment], grid: Grid, source: DicomSource, made_by: Algorithm, path: Path
) -> Any:
    """Write a binary segmentation that refers to the slices of its CT.

    Frames without a voxel are omitted. Overlapping segments are kept.

    Args:
        segments: At least one segment whose terminology has codes; masks lie on the voxels of ``grid``.
        grid: The grid of the CT.
        source: The slices of the CT.
        made_by: How the segments came about.
        path: The file.

    Returns:
        The data set, to which a report can refer.

    Raises:
        UnusableInput: If a mask does not lie on the grid.
    """
    crops = [place(segment.mask, grid, f"The segment {segment.name}") for segment in segments]
    described = [_description(number, segment, source, made_by) for number, segment in enumerate(segments, start=1)]
    volume = _volume(crops, grid, str(source.first.FrameOfReferenceUID))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about values of the CT's own files
        data = highdicom.seg.Segmentation(
            source.slices,
            volume,
            highdicom.seg.SegmentationTypeValues.BINARY,
            described,
            series_instance_uid=generate_uid(),
            series_number=SEG_SERIES,
            sop_instance_uid=generate_uid(),
            instance_number=1,
            content_label="LUNG_TUMORS",
            content_description=long_string(f"Lungs and lung tumors, {NOT_CLINICAL}"),
            series_description=f"{MANUFACTURER} segmentation, {NOT_CLINICAL}",
            transfer_syntax_uid=ExplicitVRLittleEndian,
            **equipment(),
        )
        data.SpecificCharacterSet = UTF_8  # highdicom 0.27 has no argument for it
        _name_segment_per_frame(data)
        data.save_as(path)
    return data


def _name_segment_per_frame(data: Any) -> None:
    """Move the number of an only segment from all frames together to each frame.

    highdicom 0.27 states it once, but its reports look for it in each frame. Either place is legal, but not both.
    """
    shared = data.SharedFunctionalGroupsSequence[0]
    stated = shared.get("SegmentIdentificationSequence")
    if stated:
        del shared.SegmentIdentificationSequence
        for frame in data.PerFrameFunctionalGroupsSequence:
            frame.SegmentIdentificationSequence = deepcopy(stated)


def _volume(crops: Sequence[Crop | None], grid: Grid, frame_of_reference: str) -> highdicom.Volume:
    pixels, channels = _pixels(crops, grid)
    return highdicom.Volume(
        pixels, grid.affine, "PATIENT", frame_of_reference_uid=frame_of_reference, channels=channels
    )


def _pixels(crops: Sequence[Crop | None], grid: Grid) -> tuple[Array, dict[Any, Any] | None]:
    """Return the voxels as highdicom takes them, and the numbers of the segments if the last axis stands for them.

    Segments that do not overlap share one label map, which takes a byte per voxel however many there are.
    """
    numbers = list(range(1, len(crops) + 1))
    labels = np.zeros(grid.shape, np.uint8 if len(crops) < 256 else np.uint16)
    for number, crop in zip(numbers, crops, strict=True):
        if crop is not None:
            part = labels[crop.slices]
            if part[crop.mask.array].any():
                return _stacked(crops, grid), {"SegmentNumber": numbers}
            part[crop.mask.array] = number
    return labels, None


def _stacked(crops: Sequence[Crop | None], grid: Grid) -> Array:
    masks = np.zeros((*grid.shape, len(crops)), np.uint8)
    for index, crop in enumerate(crops):
        if crop is not None:
            masks[(*crop.slices, index)] = crop.mask.array
    return masks


def _description(number: int, segment: Segment, source: DicomSource, made_by: Algorithm) -> Any:
    meaning = meaning_of(segment.terminology)
    red, green, blue = (round(255 * part) for part in segment.color)
    kinds = highdicom.seg.SegmentAlgorithmTypeValues
    described = highdicom.seg.SegmentDescription(
        number,
        long_string(segment.name),
        dicom_code(meaning.category),
        dicom_code(meaning.type),
        kinds.AUTOMATIC if made_by.automatic else kinds.SEMIAUTOMATIC,
        identification(made_by),
        tracking_uid=source.tracking_uid(segment),
        tracking_id=long_string(segment.name),
        anatomic_regions=None if meaning.region is None else [dicom_code(meaning.region)],
        display_color=CIELabColor.from_rgb(red, green, blue),
    )
    if meaning.type_modifier is not None:
        item = described.SegmentedPropertyTypeCodeSequence[0]
        item.SegmentedPropertyTypeModifierCodeSequence = [_concept(meaning.type_modifier)]
    if meaning.region_modifier is not None and meaning.region is not None:
        described.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [_concept(meaning.region_modifier)]
    return described


def dicom_code(code: Code) -> DicomCode:
    """Return a code as pydicom and highdicom take it."""
    scheme, value, meaning = code
    return DicomCode(value, scheme, meaning)


def _concept(code: Code) -> Any:
    return highdicom.sr.CodedConcept.from_code(dicom_code(code))
