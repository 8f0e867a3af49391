"""Read DICOM segmentations (SEG; DICOM PS3.3 A.51 and C.8.20).

References:
    highdicom: Bridge 2022, doi:10.1007/s10278-022-00683-y.
"""

from __future__ import annotations

import sqlite3
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from highdicom.color import CIELabColor
from pydicom.pixels.utils import iter_pixels

from ..core.colors import Color
from ..core.crops import SparseMask, crop_at, crop_of
from ..core.errors import UnusableInput
from ..core.terminology import Code, entry_of_codes
from ..core.volume import Volume
from .dicom_seg_header import opened_seg
from .dicom_series import DAMAGE
from .segment import UNSPECIFIED_COLORS, Segment

SEG_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""SOP classes of Segmentation Storage and Label Map Segmentation Storage."""

BINARY, FRACTIONAL, LABELMAP = "BINARY", "FRACTIONAL", "LABELMAP"
UNDEFINED_LENGTH = 0xFFFFFFFF
"""Length of pixels that are compressed: each frame has a length of its own."""

UNCODED: Code = ("", "", "")


def read_dicom_seg(path: Path, ct: Volume | None = None) -> list[Segment]:
    """Read the segments of a DICOM segmentation.

    The masks lie on the grid of the file's frames; frames that the file omits are empty.

    Args:
        path: The file.
        ct: The CT, whose slices tell which frames were omitted if the file does not state the distance of its frames.

    Raises:
        UnusableInput: If the file is damaged; if its segments are fractional, because the file does not state which
            voxels belong to them; or if its frames do not form a regular grid.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # from highdicom and pydicom, about files of other software
            data = opened_seg(path, ct)
            if str(data.SegmentationType) == FRACTIONAL:
                raise _fractional(path)
            _check_frames(data, path)
            _check_values(data, path)
            return [_segment(data, number) for number in data.segment_numbers]
    except UnusableInput:
        raise
    # highdicom keeps the descriptions of the frames in a database in memory
    except (*DAMAGE, sqlite3.Error) as error:
        raise UnusableInput(
            f"{path} is damaged or incomplete, or its frames do not form a regular voxel grid; export the segmentation "
            "again."
        ) from error


def _fractional(path: Path) -> UnusableInput:
    return UnusableInput(
        f"The segments of {path} are fractional and do not define which voxels belong to them; export a binary "
        "segmentation."
    )


def _check_values(data: Any, path: Path) -> None:
    """Check the values of segments that are not packed into single bits.

    Raises:
        UnusableInput: If a segment that is called binary has several values.
        ValueError: If a label map has a label that is not described.
    """
    if int(data.BitsAllocated) == 1:
        return
    values: set[int] = set()
    for frame in iter_pixels(path):
        values |= {*np.unique(frame).tolist()}
    if str(data.SegmentationType) == BINARY and len(values - {0}) > 1:
        raise _fractional(path)
    if str(data.SegmentationType) == LABELMAP:
        described = {int(each.SegmentNumber) for each in data.SegmentSequence}
        if not values <= {0, data.get("PixelPaddingValue", 0), *described}:
            raise ValueError("a label is not described")


def _check_frames(data: Any, path: Path) -> None:
    """Check what a file states twice about its frames: their number, their size, and the segments that they show.

    Raises:
        ValueError: If the statements contradict each other, so that frames would be left out or read displaced.
    """
    count, frames = int(data.NumberOfFrames), data.PerFrameFunctionalGroupsSequence
    if count != len(frames):
        raise ValueError("the number of frames is not that of their descriptions")
    groups = (group for each in (*frames, *data.SharedFunctionalGroupsSequence) for group in _identified(each))
    if not {int(group.ReferencedSegmentNumber) for group in groups} <= {*data.segment_numbers}:
        raise ValueError("a frame belongs to no segment")
    stored: Any = pydicom.dcmread(path, defer_size=1024).get_item("PixelData", keep_deferred=True)
    expected = -(-count * int(data.Rows) * int(data.Columns) * int(data.BitsAllocated) // 8)
    if stored.length != UNDEFINED_LENGTH and not expected <= stored.length <= expected + 1:
        raise ValueError("the pixels are not those of so many frames of this size")


def _identified(group: Any) -> Any:
    return group.get("SegmentIdentificationSequence") or []


def _segment(data: Any, number: int) -> Segment:
    described = data.get_segment_description(number)
    found = data.get_volume(segment_numbers=[number], dtype=np.uint8, skip_overlap_checks=True)
    whole = Volume(found.array.reshape(found.array.shape[:3]) > 0, found.affine)
    crop = crop_of(whole)
    kept = None if crop is None else crop_at(crop.mask.array.copy(), crop.box, whole)
    return Segment(
        str(described.segment_label),
        SparseMask(kept, whole.grid),
        _color(described) or UNSPECIFIED_COLORS[(number - 1) % len(UNSPECIFIED_COLORS)],
        _terminology(described),
        f"Segment_{number}",
        tracking_uid=str(described.tracking_uid or ""),
    )


def _color(described: Any) -> Color | None:
    """Return the recommended display color; None if the segment states none."""
    stated = described.get("RecommendedDisplayCIELabValue")
    if stated is None or len(stated) != 3:
        return None
    red, green, blue = (part / 255 for part in CIELabColor.from_dicom_value(tuple(stated)).to_rgb())
    return red, green, blue


def _terminology(described: Any) -> str:
    type_ = described.segmented_property_type
    region = _first(described.get("AnatomicRegionSequence"))
    category = _code(described.segmented_property_category)
    return entry_of_codes(
        category or UNCODED,
        _code(type_) or UNCODED,
        _code(_first(type_.get("SegmentedPropertyTypeModifierCodeSequence"))),
        _code(region),
        None if region is None else _code(_first(region.get("AnatomicRegionModifierSequence"))),
    )


def _first(sequence: Any) -> Any:
    return sequence[0] if sequence else None


def _code(item: Any) -> Code | None:
    """Return a code sequence item as (scheme, value, meaning); None if there is none."""
    if item is None:
        return None
    value = next((item.get(name) for name in ("CodeValue", "LongCodeValue", "URNCodeValue") if item.get(name)), "")
    return str(item.get("CodingSchemeDesignator", "")), str(value), str(item.get("CodeMeaning", ""))
