"""Which segments of a segmentation are lesions, and which are the lungs: by terminology and name, never by order.

The one place that decides it, for the table, the report, the views in Slicer, training and evaluation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol, TypeVar

from .terminology import ANATOMICAL, MORPHOLOGICALLY_ALTERED, REJECTED, UNSAID, category_of, type_meaning
from .volume import Volume

LESION_WORDS = frozenset({
    "adenocarcinoma", "cancer", "carcinoma", "gtv", "lesion", "lesions", "mass", "masses", "metastases",
    "metastasis", "neoplasm", "nodule", "nodules", "tumor", "tumors", "tumour", "tumours",
})  # fmt: skip
"""A text with one of these words means a lesion, even one that names its place: "Lung tumor", "Liver metastasis"."""

MARGIN_WORDS = frozenset({
    "ctv", "itv", "margin", "margins", "prv", "ptv",
})  # fmt: skip
"""A text with one of these words means what surrounds a tumor: radiotherapy's volumes hold the tumor and its margin."""

REGION_WORDS = frozenset({
    "body", "isolation", "lung", "lungs",
})  # fmt: skip
"""A text with one of these words and no lesion word means a part of lung isolation, whatever its terminology says."""

ANATOMY_WORDS = REGION_WORDS | frozenset({
    "abdomen", "adrenal", "airway", "airways", "aorta", "arm", "arms", "arteries", "artery", "atrium",
    "autochthon", "background", "bladder", "bolus", "bone", "bones", "bowel", "brachial", "brain", "breast",
    "breasts", "bronchi", "bronchial", "bronchus", "canal", "carina", "carotid", "cartilage", "cava",
    "chest", "chestwall", "clavicle", "clavicles", "clavicula", "colon", "cord", "couch", "diaphragm",
    "duodenum", "esophagus", "external", "fat", "femur", "gallbladder", "gland", "gluteus", "heart", "hip",
    "hips", "humerus", "iliac", "iliopsoas", "intestine", "kidney", "kidneys", "liver", "lobe", "lobes",
    "mediastinum", "muscle", "muscles", "myocardium", "oesophagus", "pancreas", "pericardium", "plexus",
    "prostate", "pulmonary", "rib", "ribs", "sacrum", "scapula", "scapulae", "skeleton", "skin", "skull",
    "spinal", "spine", "spleen", "sternum", "stomach", "subclavian", "table", "thorax", "thymus", "thyroid",
    "trachea", "trunk", "vein", "veins", "ventricle", "vertebra", "vertebrae", "vessel", "vessels",
})  # fmt: skip
"""A text with one of these words and no lesion word means an organ or another part of the patient or the scan: the classes of
TotalSegmentator (Wasserthal 2023, doi:10.1148/ryai.230024) and the organs at risk of radiotherapy (AAPM TG-263) as they are written."""


PART_WORDS = frozenset({
    "lobe", "lobes", "lobus", "lower", "middle", "part", "segment", "upper", "zone", "zones",
})  # fmt: skip
"""A text with one of these words and the word lung means a part of a lung, which must not stand for the whole."""


class Named(Protocol):
    """By what a segment is selected."""

    @property
    def name(self) -> str: ...

    @property
    def terminology(self) -> str: ...


class NamedSegment(Named, Protocol):
    """What selection and measurement need of a segment (see ``io.segment.Segment``); one with a ``review`` may be rejected."""

    @property
    def mask(self) -> Volume: ...


AnySegment = TypeVar("AnySegment", bound=Named)


def _words(text: str) -> set[str]:
    """Words in lower case; "LeftLung", "lung_left" and "Lung-1" hold the word lung."""
    return set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()))


def is_lesion(segment: Named) -> bool:
    """Return whether a segment is a lesion that counts: ``may_be_lesion``, and nobody has rejected it."""
    return getattr(segment, "review", "") != REJECTED and may_be_lesion(segment)


def may_be_lesion(segment: Named) -> bool:
    """Return whether a segment is a lesion, whatever a person said of it.

    Where the terminology has a category, it decides: a morphologically altered structure is a lesion, an anatomical structure and any
    other category are none. Slicer gives "Tissue" to what nobody has described: then the name decides, and what no word tells is taken
    for a lesion. Whatever the terminology says, a margin is none, nor what is called lung or body and not tumor.
    """
    words = _words(segment.name)
    if words & MARGIN_WORDS or (words & REGION_WORDS and not words & LESION_WORDS):
        return False
    category = category_of(segment.terminology)
    if category == MORPHOLOGICALLY_ALTERED:
        return not _names(_words(type_meaning(segment.terminology)), REGION_WORDS)
    if category not in UNSAID:
        return False
    return not any(_names(said, ANATOMY_WORDS) for said in (words, _words(type_meaning(segment.terminology))))


def _names(words: set[str], parts: frozenset[str]) -> bool:
    """Whether words name one of ``parts``, or a margin, and no lesion."""
    return bool(words & MARGIN_WORDS or (words & parts and not words & LESION_WORDS))


def contradiction(segment: Named) -> str | None:
    """Return a sentence where a segment is left out though its name, or its terminology, means a lesion; None where they agree."""
    if may_be_lesion(segment):
        return None
    words = _words(segment.name)
    category = category_of(segment.terminology)
    meaning = type_meaning(segment.terminology)
    if words & LESION_WORDS and not words & MARGIN_WORDS and category == ANATOMICAL:
        return (
            f"The segment {segment.name} was not measured, since its terminology says {meaning}; "
            "choose a lesion's terminology in the Segment Editor if it is a lesion."
        )
    if category == MORPHOLOGICALLY_ALTERED and not words & MARGIN_WORDS:
        return (
            f"The segment {segment.name} was not measured, since its name means no lesion, though its terminology says {meaning}; "
            "rename it if it is a lesion."
        )
    return None


def lung_pair(segments: Iterable[AnySegment]) -> tuple[AnySegment, AnySegment] | None:
    """Return the left and the right lung among segments, by name; None unless both are there."""
    found: dict[str, AnySegment] = {}
    for segment in segments:
        words = _words(segment.name)
        side = words & {"left", "right"}
        whole = words & {"lung", "lungs"} and not words & (MARGIN_WORDS | PART_WORDS)
        if whole and len(side) == 1 and not may_be_lesion(segment):
            found.setdefault(side.pop(), segment)
    return (found["left"], found["right"]) if len(found) == 2 else None


def lung_segments(segments: Iterable[NamedSegment]) -> tuple[Volume, Volume] | None:
    """Return masks (bool) of the left and the right lung among segments, by name; None unless both are there."""
    pair = lung_pair(segments)
    return None if pair is None else (pair[0].mask, pair[1].mask)
