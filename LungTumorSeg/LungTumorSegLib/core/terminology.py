"""What a segment is, in SNOMED CT codes, as Slicer serializes it, and what a person said of it.

An entry has seven parts joined by ``~``: context, category, type, type modifier, anatomic context, region, region modifier; each
code is ``scheme^value^meaning``. Codes are those of Slicer's "DICOM master list" (DICOM PS3.16 CID 7150 and following).
"""

from __future__ import annotations

import re

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
"""Both lungs in one, where left and right are unknown."""

BODY = _entry(_ANATOMICAL_STRUCTURE, "SCT^38266002^Entire body")
ISOLATION_MASK = _entry(_SPATIAL_CONCEPT, "DCM^111099^Selected region", region=_LUNG)
MARGIN = ISOLATION_MASK
"""The lists have no code for what surrounds a tumor; the segment's name says it."""

TUMOR: dict[str | None, str] = {
    side: _entry(_MORPHOLOGICALLY_ALTERED, "SCT^108369006^Neoplasm", region=_LUNG, region_modifier=modifier)
    for side, modifier in [*_SIDES.items(), (None, _NONE)]
}
"""A neoplasm of the lung by side: "Left", "Right", or None where it is not known."""

UNSPECIFIED = _entry("SCT^85756007^Tissue", "SCT^85756007^Tissue")
"""What Slicer gives a segment of which nothing is known."""

REVIEW_TAG = "LungTumorSeg.Review"
"""Tag of a segment, in Slicer's scenes and in .seg.nrrd files, in which is kept what a person said of a lesion."""

CONFIRMED, REJECTED = "confirmed", "rejected"
"""What a person may say of a lesion; nothing is no tag."""

ANATOMICAL = "anatomical structure"
MORPHOLOGICALLY_ALTERED = "morphologically altered structure"
TISSUE = "tissue"

_CATEGORIES = {
    "123037004": ANATOMICAL, "91723000": ANATOMICAL, "T-D000A": ANATOMICAL,
    "49755003": MORPHOLOGICALLY_ALTERED, "M-01000": MORPHOLOGICALLY_ALTERED,
    "85756007": TISSUE, "T-D0050": TISSUE,
}  # fmt: skip
"""Categories by code, in SNOMED CT and in SNOMED RT, which DICOM used before (PS3.16 annex L)."""

UNSAID = ("", TISSUE)
"""Categories that say nothing of a segment: none, and that of Slicer's entry for new segments."""


def described(category: str, meaning: str) -> str:
    """An entry of a category, ``ANATOMICAL`` or ``MORPHOLOGICALLY_ALTERED``, with a type that is a meaning without a code."""
    text = re.sub(r"[~^|]", " ", meaning)
    codes = {ANATOMICAL: _ANATOMICAL_STRUCTURE, MORPHOLOGICALLY_ALTERED: _MORPHOLOGICALLY_ALTERED}
    return _entry(codes[category], f"^^{text}")


def coded(category: tuple[str, str, str], type_: tuple[str, str, str]) -> str:
    """An entry of a category and a type, each (scheme, value, meaning), as DICOM segments state them."""
    return _entry(*("^".join(re.sub(r"[~^|]", " ", part) for part in code) for code in (category, type_)))


def category_of(entry: str) -> str:
    """The category of a serialized entry: one of the words above, "" where there is none, otherwise its code's value."""
    value = _code(entry, 1)[1]
    return _CATEGORIES.get(value, value)


def type_meaning(entry: str) -> str:
    """The meaning of the type of a serialized entry; "" where there is none."""
    return _code(entry, 2)[2]


def _code(entry: str, part: int) -> tuple[str, str, str]:
    """Scheme, value and meaning of a part of an entry; empty where it has none."""
    parts = entry.split("~")
    scheme, value, meaning = [*(parts[part].split("^") if len(parts) > part else []), "", "", ""][:3]
    return scheme, value, meaning
