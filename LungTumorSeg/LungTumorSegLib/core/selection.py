"""Decide which segments of a segmentation are lesions and which are the lungs.

The decision uses terminology and names, never the order of segments. This is the only place that makes it: the table,
the report, the views in Slicer, training and evaluation all use it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Protocol, TypeVar

from .terminology import ANATOMICAL, MORPHOLOGICALLY_ALTERED, REJECTED, UNSAID, category_of, type_meaning
from .volume import Volume

LESION_WORDS = frozenset({
    "adenocarcinoma", "cancer", "carcinoma", "gtv", "lesion", "lesions", "mass", "masses", "metastases",
    "metastasis", "neoplasm", "nodule", "nodules", "tumor", "tumors", "tumour", "tumours",
    "karzinom", "knoten", "lasion", "metastase", "metastasen", "raumforderung", "rundherd",
    "tumore", "tumoren",  # German
    "masse", "tumeur", "tumeurs",  # French
    "masa", "nodulo", "nodulos", "tumores",  # Spanish
    "massa", "metastasi", "noduli", "tumori",  # Italian
    "lesao",  # Portuguese
    "肿瘤", "肿块", "结节", "病灶", "癌", "転移", "转移", "腫瘍", "腫瘤", "結節", "病変",  # Chinese, Japanese
})  # fmt: skip
"""Words that mark a text as a lesion, even if the text also names a place: "Lung tumor", "Liver metastasis".

Words of other languages are written without accents.
"""

MARGIN_WORDS = frozenset({
    "ctv", "itv", "margin", "margins", "prv", "ptv",
})  # fmt: skip
"""Words that mark a text as a volume around a tumor: radiotherapy volumes contain the tumor and a margin."""

REGION_WORDS = frozenset({
    "body", "isolation", "lung", "lungs",
    "lunge", "lungen", "lungenflugel", "poumon", "poumons", "pulmon", "pulmones", "polmone", "polmoni", "pulmao",
    "pulmoes",
    "肺",
})  # fmt: skip
"""Words that mark a text without a lesion word as a part of lung isolation, whatever its terminology."""

ANATOMY_WORDS = REGION_WORDS | frozenset({
    "abdomen", "adrenal", "air", "airway", "airways", "aorta", "arm", "arms", "arteries", "artery", "atrium",
    "autochthon", "background", "bladder", "bolus", "bone", "bones", "bowel", "brachial", "brain", "breast",
    "breasts", "bronchi", "bronchial", "bronchus", "canal", "carina", "carotid", "cartilage", "cava",
    "chest", "chestwall", "clavicle", "clavicles", "clavicula", "colon", "cord", "couch", "diaphragm",
    "duodenum", "esophagus", "external", "fat", "femur", "fissure", "fissures", "gallbladder", "gland", "gluteus",
    "heart", "hip",
    "hips", "humerus", "iliac", "iliopsoas", "intestine", "kidney", "kidneys", "liver", "lobe", "lobes",
    "mediastinum", "muscle", "muscles", "myocardium", "oesophagus", "pancreas", "patient", "pericardium", "pleura",
    "plexus",
    "prostate", "pulmonary", "rib", "ribs", "sacrum", "scapula", "scapulae", "skeleton", "skin", "skull",
    "spinal", "spine", "spleen", "sternum", "stomach", "subclavian", "table", "thorax", "thymus", "thyroid",
    "trachea", "trunk", "vein", "veins", "ventricle", "vertebra", "vertebrae", "vessel", "vessels",
    "haut", "herz", "knochen", "korper", "leber", "luftrohre", "magen", "milz", "niere", "nieren", "rippe", "rippen",
    "ruckenmark", "speiserohre", "wirbel", "wirbelsaule", "zwerchfell",  # German
    "coeur", "estomac", "foie", "moelle", "oesophage", "tete", "trachee", "vertebre",  # French
    "bazo", "corazon", "costilla", "costillas", "esofago", "estomago", "higado", "medula", "rinon",
    "traquea",  # Spanish
    "cuore", "fegato", "midollo", "milza", "rene", "reni", "stomaco",  # Italian
    "baco", "coracao", "coluna", "figado", "traqueia",  # Portuguese
    "心脏", "心臟", "心臓", "肝", "肾", "腎", "脾", "胃", "食管", "食道", "气管", "気管",
    "主动脉", "大動脈", "脊柱", "脊椎", "骨",
})  # fmt: skip
"""Words that mark a text without a lesion word as an organ or another part of the patient or the scan.

The words are those of TotalSegmentator's classes (Wasserthal 2023, doi:10.1148/ryai.230024) and of the organs at risk
in radiotherapy (AAPM TG-263), as they are spelled there.
"""


FINDING_WORDS = frozenset({
    "atelectases", "atelectasis", "bronchiectases", "bronchiectasis", "bulla", "bullae", "calcification",
    "calcifications", "consolidation", "consolidations", "edema", "effusion", "effusions", "embolism", "emphysema",
    "empyema", "fibrosis", "hemorrhage", "honeycombing", "oedema", "pneumonia", "pneumothorax", "scar", "thrombus",
})  # fmt: skip
"""Words that mark a text without a lesion word as a finding that is no tumor; it has no place in the tumor burden."""

PART_WORDS = frozenset({
    "lobe", "lobes", "lobus", "lower", "middle", "part", "segment", "upper", "zone", "zones",
})  # fmt: skip
"""Words that, together with the word lung, mark a text as a part of a lung, which must not stand for the whole lung."""

NOT_WHOLE = MARGIN_WORDS | PART_WORDS | LESION_WORDS
"""Words that, together with the word lung, mark a text as something other than a whole lung."""

WITHOUT_LESION = re.compile(r"-\s*i?gtv|\b(?:minus|without|w/?o|excl\w*|ohne|sans|sin|senza)\b")
"""What in the name of a lung says that the tumor is left out of it, such as "Lungs-GTV" (AAPM TG-263)."""

EXPANDED = re.compile(r"\+\s*\d+(?:[.,]\d+)?\s*[mc]m\b")
"""What in a name says that a margin of so many mm or cm was added, such as "GTV+5mm"."""

UNSPACED_WORDS = frozenset(word for word in LESION_WORDS | ANATOMY_WORDS if not word.isascii())
"""Words of languages that put no spaces between words; they are found anywhere in a text."""


class Named(Protocol):
    """The properties of a segment that decide whether it is selected."""

    @property
    def name(self) -> str:
        """Return the segment's name."""
        ...

    @property
    def terminology(self) -> str:
        """Return the segment's serialized terminology entry (see ``core.terminology``)."""
        ...


class NamedSegment(Named, Protocol):
    """The properties of a segment that selection and measurement need (see ``io.segment.Segment``).

    A segment may also have a ``review``; if it does, it can be rejected.
    """

    @property
    def mask(self) -> Volume:
        """Return the segment's Boolean mask."""
        ...


AnySegment = TypeVar("AnySegment", bound=Named)


def _words(text: str) -> set[str]:
    """Return the words of a text in lower case and without accents.

    "LeftLung", "lung_left" and "Lung-1" all contain the word lung.
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFKC", text).replace("œ", "oe"))
    plain = "".join(each for each in unicodedata.normalize("NFKD", spaced) if not unicodedata.combining(each)).lower()
    return set(re.findall(r"[a-z]+", plain)) | {word for word in UNSPACED_WORDS if word in spaced}


def is_lesion(segment: Named) -> bool:
    """Return whether a segment is a lesion that counts: ``may_be_lesion`` holds, and it has not been rejected."""
    return getattr(segment, "review", "") != REJECTED and may_be_lesion(segment)


def may_be_lesion(segment: Named) -> bool:
    """Return whether a segment is a lesion, regardless of its review.

    If the terminology has an informative category, the category decides: a morphologically altered structure is a
    lesion, unless its type is a finding such as an effusion; an anatomical structure or any other category is not.
    Slicer assigns "Tissue" to segments that nobody has described. For these, the name decides; a segment whose name
    contains no known word counts as a lesion. Regardless of the terminology, a margin is never a lesion, nor is a
    segment whose name says lung, body or effusion (``FINDING_WORDS``) but no lesion word. Undescribed segments are none
    either if they are lungs without the tumor or a tumor with a margin by their names ("Lungs-GTV", "GTV+5mm").
    """
    words = _words(segment.name)
    if _names(words, REGION_WORDS | FINDING_WORDS):
        return False
    category = category_of(segment.terminology)
    if category == MORPHOLOGICALLY_ALTERED:
        return not _names(_words(type_meaning(segment.terminology)), REGION_WORDS | FINDING_WORDS)
    if category not in UNSAID or _is_derived(segment.name, words):
        return False
    return not any(
        _names(said, ANATOMY_WORDS | FINDING_WORDS) for said in (words, _words(type_meaning(segment.terminology)))
    )


def _is_derived(name: str, words: set[str]) -> bool:
    """Return whether a name is that of lungs without the tumor, or of a tumor with a margin."""
    spaced = name.casefold().replace("_", " ")
    return bool((words & REGION_WORDS and WITHOUT_LESION.search(spaced)) or EXPANDED.search(spaced))


def _names(words: set[str], parts: frozenset[str]) -> bool:
    """Return whether words contain a margin word, or one of ``parts`` without a lesion word."""
    return bool(words & MARGIN_WORDS or (words & parts and not words & LESION_WORDS))


def contradiction(segment: Named) -> str | None:
    """Return a sentence if a segment is excluded although its name or its terminology describes a lesion.

    Returns:
        The sentence, or None if name and terminology agree.
    """
    if may_be_lesion(segment):
        return None
    words = _words(segment.name)
    category = category_of(segment.terminology)
    meaning = type_meaning(segment.terminology)
    if words & LESION_WORDS and not words & MARGIN_WORDS and category == ANATOMICAL:
        return (
            f"The segment {segment.name} was not measured because its terminology is {meaning}. If it is a lesion, "
            "choose a lesion terminology in the Segment Editor."
        )
    if category == MORPHOLOGICALLY_ALTERED and not words & MARGIN_WORDS and not _words(meaning) & FINDING_WORDS:
        return (
            f"The segment {segment.name} was not measured because its name is not that of a lesion, although its "
            f"terminology is {meaning}. If it is a lesion, rename it."
        )
    return None


def lung_pair(segments: Iterable[AnySegment]) -> tuple[AnySegment, AnySegment] | None:
    """Return the left and the right lung among segments, found by name; None unless both exist."""
    found: dict[str, AnySegment] = {}
    for segment in segments:
        words = _words(segment.name)
        side = words & {"left", "right"}
        whole = words & {"lung", "lungs"} and not words & NOT_WHOLE
        if whole and len(side) == 1 and not may_be_lesion(segment):
            found.setdefault(side.pop(), segment)
    return (found["left"], found["right"]) if len(found) == 2 else None


def lung_segments(segments: Iterable[NamedSegment]) -> tuple[Volume, Volume] | None:
    """Return the Boolean masks of the left and the right lung among segments, found by name; None unless both exist."""
    pair = lung_pair(segments)
    return None if pair is None else (pair[0].mask, pair[1].mask)


def whole_lungs(segments: Iterable[NamedSegment]) -> list[Volume]:
    """Return the Boolean masks of all segments that are a whole lung or both lungs, found by name."""
    return [
        segment.mask
        for segment in segments
        if (words := _words(segment.name)) & {"lung", "lungs"} and not words & NOT_WHOLE and not may_be_lesion(segment)
    ]
