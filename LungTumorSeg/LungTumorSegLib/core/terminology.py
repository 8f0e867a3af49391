"""Meaning of segments as SNOMED CT codes in Slicer's serialization, and the state of their review.

A serialized entry has seven parts joined by ``~``: context, category, type, type modifier, anatomic context, region and
region modifier. Each code is ``scheme^value^meaning``. The codes are those of Slicer's "DICOM master list" (DICOM
PS3.16, CID 7150 and following).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CONTEXT = "Segmentation category and type - DICOM master list"
_ANATOMIC_CONTEXT = "Anatomic codes - DICOM master list"
_NONE = "^^"

_ANATOMICAL_STRUCTURE = "SCT^123037004^Anatomical Structure"
_MORPHOLOGICALLY_ALTERED = "SCT^49755003^Morphologically Altered Structure"
_SPATIAL_CONCEPT = "SCT^309825002^Spatial and Relational Concept"

_LUNG = "SCT^39607008^Lung"
_SIDES = {"Left": "SCT^7771000^Left", "Right": "SCT^24028007^Right"}


def _entry(category: str, type_: str, modifier: str = _NONE, region: str = _NONE, region_modifier: str = _NONE) -> str:
    return "~".join((_CONTEXT, category, type_, modifier, _ANATOMIC_CONTEXT, region, region_modifier))


LEFT_LUNG = _entry(_ANATOMICAL_STRUCTURE, _LUNG, _SIDES["Left"])
RIGHT_LUNG = _entry(_ANATOMICAL_STRUCTURE, _LUNG, _SIDES["Right"])
LUNGS = _entry(_ANATOMICAL_STRUCTURE, _LUNG)
"""Both lungs in one segment, used if left and right are unknown."""

BODY = _entry(_ANATOMICAL_STRUCTURE, "SCT^38266002^Entire body")
ISOLATION_MASK = _entry(_SPATIAL_CONCEPT, "DCM^111099^Selected region", region=_LUNG)
MARGIN = ISOLATION_MASK
"""The code lists have no code for the surroundings of a tumor; the segment's name states it."""

TUMOR: dict[str | None, str] = {
    side: _entry(_MORPHOLOGICALLY_ALTERED, "SCT^108369006^Neoplasm", region=_LUNG, region_modifier=modifier)
    for side, modifier in [*_SIDES.items(), (None, _NONE)]
}
"""A neoplasm of the lung by side: "Left", "Right", or None if the side is unknown."""

UNSPECIFIED = _entry("SCT^85756007^Tissue", "SCT^85756007^Tissue")
"""The entry that Slicer assigns to a segment that the user has not described."""

REVIEW_TAG = "LungTumorSeg.Review"
"""Segment tag, in Slicer's scenes and in .seg.nrrd files, that stores the review of a lesion."""

CONFIDENCE_TAG = "LungTumorSeg.Confidence"
"""Segment tag that stores the probability of a tumor of a lesion that was outlined at a place."""

CONFIRMED, REJECTED = "confirmed", "rejected"
"""Values of the review tag. A lesion that has not been reviewed has no tag."""

ANATOMICAL = "anatomical structure"
MORPHOLOGICALLY_ALTERED = "morphologically altered structure"
TISSUE = "tissue"

_CATEGORIES = {
    "123037004": ANATOMICAL, "91723000": ANATOMICAL, "T-D000A": ANATOMICAL,
    "49755003": MORPHOLOGICALLY_ALTERED, "M-01000": MORPHOLOGICALLY_ALTERED,
    "85756007": TISSUE, "T-D0050": TISSUE,
}  # fmt: skip
"""Categories by code, in SNOMED CT and in SNOMED RT, which DICOM used before (PS3.16, annex L)."""

UNSAID = ("", TISSUE)
"""Categories that say nothing about a segment: none, and the category of Slicer's entry for new segments."""


def entry_without_code(category: str, meaning: str) -> str:
    """Return an entry whose type has a meaning but no code.

    Args:
        category: ``ANATOMICAL`` or ``MORPHOLOGICALLY_ALTERED``.
        meaning: The meaning of the type.
    """
    text = re.sub(r"[~^|]", " ", meaning)
    codes = {ANATOMICAL: _ANATOMICAL_STRUCTURE, MORPHOLOGICALLY_ALTERED: _MORPHOLOGICALLY_ALTERED}
    return _entry(codes[category], f"^^{text}")


Code = tuple[str, str, str]
"""A code as (scheme, value, meaning)."""


@dataclass(frozen=True)
class Meaning:
    """The codes of a serialized entry, as DICOM segments state them (PS3.3 C.8.20.4).

    Attributes:
        category: The category of the segment.
        type: The type of the segment.
        type_modifier: A modifier of the type, such as the side; None if the code has none.
        region: The anatomic region; None if the code has none.
        region_modifier: A modifier of the region, such as the side; None if the code has none.
    """

    category: Code
    type: Code
    type_modifier: Code | None = None
    region: Code | None = None
    region_modifier: Code | None = None

    @property
    def is_complete(self) -> bool:
        """Return whether category and type have codes; a type can have a meaning alone."""
        return all(part for code in (self.category, self.type) for part in code)


def entry_of_codes(
    category: Code,
    type_: Code,
    type_modifier: Code | None = None,
    region: Code | None = None,
    region_modifier: Code | None = None,
) -> str:
    """Return Slicer's serialized entry of these codes.

    Args:
        category: Category of the segment, such as "Tissue".
        type_: What it is.
        type_modifier: Which one, such as the side; None without one.
        region: Where it lies; None if that is not stated.
        region_modifier: Which one of these; None without one.
    """
    codes = (category, type_, type_modifier, region, region_modifier)
    parts = (_NONE if code is None else "^".join(re.sub(r"[~^|]", " ", part) for part in code) for code in codes)
    return _entry(*parts)


def meaning_of(entry: str) -> Meaning:
    """Return the codes of a serialized entry; the opposite of ``entry_of_codes``."""
    modifier, region, region_modifier = (code if all(code := _code(entry, part)) else None for part in (3, 5, 6))
    return Meaning(_code(entry, 1), _code(entry, 2), modifier, region, region_modifier)


def category_of(entry: str) -> str:
    """Return the category of a serialized entry.

    Returns:
        ``ANATOMICAL``, ``MORPHOLOGICALLY_ALTERED`` or ``TISSUE``; "" if the entry has no category; otherwise the code's
        value.
    """
    value = _code(entry, 1)[1]
    return _CATEGORIES.get(value, value)


def type_meaning(entry: str) -> str:
    """Return the meaning of the type in a serialized entry; "" if it has none."""
    return _code(entry, 2)[2]


def _code(entry: str, part: int) -> Code:
    """Return scheme, value and meaning of one part of an entry; each is "" if missing."""
    parts = entry.split("~")
    scheme, value, meaning = [*(parts[part].split("^") if len(parts) > part else []), "", "", ""][:3]
    return scheme, value, meaning
