"""Tracking identifiers (DICOM Tracking UID): a lesion that ``compare`` has matched keeps its identifier.

The identifier of an earlier lesion is the one that its segmentation states, or the one that DICOM results of its CT
have; ``io.dicom_source`` derives that from the series and the segment. ``compare`` stores in followup.json which later
segment inherits it, and ``measure --tracking`` writes it into DICOM results of the later CT.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.crops import crop_of
from ..core.errors import UnusableInput
from ..core.json_files import read_json
from ..core.messages import no_comparison
from ..core.selection import is_lesion
from ..core.texts import shown
from ..io.dicom_start import is_dicom_file
from ..io.regular_files import check_regular
from ..io.segment import Segment
from ..options import DICOM
from ..results.contents import DICOM_SEG_FILE

if TYPE_CHECKING:
    from .lesion import TimedLesion  # imports scipy
    from .track import Track

UID_PATTERN = re.compile(r"[0-9.]{1,64}")

SAME_VOLUME = 0.01
"""Largest difference, as a share, between the volume of a lesion and the one that a file states for it."""


def tracking_uids(segments: Sequence[Segment], result: Path, ct: Path | None) -> dict[str, str]:
    """Return the tracking identifiers of segments by their names, as far as they are known.

    Args:
        segments: The segments.
        result: The result folder or segmentation file from which they were read.
        ct: The CT; None if it was not given.
    """
    known = {segment.name: segment.tracking_uid for segment in segments if segment.tracking_uid}
    if result.is_dir() and (result / DICOM_SEG_FILE).is_file():
        known = _in_dicom_seg(result / DICOM_SEG_FILE) | known
    return _derived(segments, ct) | known


def _in_dicom_seg(path: Path) -> dict[str, str]:
    from ..io.dicom_reading import read_without_pixels  # imports pydicom, so only when needed

    items = read_without_pixels(path).get("SegmentSequence") or ()
    found = {str(item.get("SegmentLabel", "")): str(item.get("TrackingUID", "")) for item in items}
    return {name: uid for name, uid in found.items() if name and uid}


def _derived(segments: Sequence[Segment], ct: Path | None) -> dict[str, str]:
    """Return the identifiers that DICOM results of a DICOM CT have."""
    if ct is None or not (ct.is_dir() or is_dicom_file(ct)):
        return {}
    from ..io.dicom_files import find_slices
    from ..io.dicom_source import tracking_uid_of

    series = find_slices(ct).slices[0].text("SeriesInstanceUID")
    return {segment.name: tracking_uid_of(series, segment) for segment in segments if series}


def inherit_identifier(earlier: Sequence[TimedLesion], later: Sequence[TimedLesion]) -> tuple[TimedLesion, ...]:
    """Return the later pieces of one lesion, of which the largest has the identifier of the largest earlier piece."""
    if not earlier or not later:
        return tuple(later)
    uid = _largest(earlier).tracking_uid
    heir = _largest(later)
    if not uid:
        return tuple(later)
    others = (replace(each, tracking_uid="") if each.tracking_uid == uid else each for each in later)
    return tuple(replace(each, tracking_uid=uid) if each.name == heir.name else each for each in others)


def _largest(pieces: Sequence[TimedLesion]) -> TimedLesion:
    return max(pieces, key=lambda piece: piece.volume_ml)


def as_inherited(lesions: Sequence[TimedLesion], tracks: Sequence[Track]) -> tuple[TimedLesion, ...]:
    """Return lesions with the identifiers that they have in the last examination of a previous comparison."""
    known = {lesion.name: lesion.tracking_uid for track in tracks for lesion in track.later}
    return tuple(replace(lesion, tracking_uid=known.get(lesion.name, lesion.tracking_uid)) for lesion in lesions)


def with_tracking(segments: Sequence[Segment], path: Path | None) -> list[Segment]:
    """Return the segments of a later CT with the identifiers that a followup.json gives them.

    Args:
        segments: The segments.
        path: The followup.json; None changes nothing.

    Raises:
        UnusableInput: If the file is no followup.json, or belongs to another segmentation.
    """
    if path is None:
        return list(segments)
    pieces = _later_pieces(path)
    lesions = {segment.name: segment for segment in segments if is_lesion(segment)}
    if not pieces.keys() & lesions.keys() or any(
        not _fits(lesions[name], piece) for name, piece in pieces.items() if name in lesions
    ):
        raise UnusableInput(
            f"{shown(path)} compares other lesions than those of this segmentation; run compare with this segmentation "
            "as the later one, and choose the followup.json that it writes."
        )
    uids = {name: piece["tracking_uid"] or "" for name, piece in pieces.items() if name in lesions}
    return [replace(segment, tracking_uid=uids.get(segment.name) or segment.tracking_uid) for segment in segments]


def check_tracking(path: Path | None, formats: Collection[str]) -> None:
    """Check before the work begins that identifiers can be written.

    Raises:
        UnusableInput: If there is a followup.json, but no DICOM results are wanted.
    """
    if path is not None and DICOM not in formats:
        raise UnusableInput("Only DICOM results have tracking identifiers; add --format dicom, or omit --tracking.")


def _later_pieces(path: Path) -> dict[str, Mapping[str, Any]]:
    check_regular(path)
    try:
        found = {piece["segment"]: piece for lesion in read_json(path)["lesions"] for piece in lesion["later"]}
        if any(not UID_PATTERN.fullmatch(piece["tracking_uid"] or "0") for piece in found.values()):
            raise ValueError("a tracking identifier is not valid")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UnusableInput(no_comparison(shown(path))) from error
    return found


def same_volume(volume_ml: float, stated_ml: object) -> bool:
    """Return whether a lesion has the volume that a file states for it."""
    return isinstance(stated_ml, int | float) and abs(volume_ml - stated_ml) <= SAME_VOLUME * stated_ml


def _fits(segment: Segment, piece: Mapping[str, Any]) -> bool:
    crop = crop_of(segment.mask)
    if crop is None:
        return False
    volume_ml = crop.mask.mask_ml
    return same_volume(volume_ml, piece.get("volume_ml"))
