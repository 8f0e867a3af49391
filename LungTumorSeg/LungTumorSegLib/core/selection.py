"""Decide which segments of a segmentation are lesions and which are the lungs.

The decision uses terminology and names, never the order of segments. This is the only place that makes it: the table,
the report, the views in Slicer, training and evaluation all use it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from .terminology import MORPHOLOGICALLY_ALTERED, REJECTED, UNSAID, category_of, type_meaning
from .texts import listed
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

MARGIN_WORDS = frozenset({"ctv", "itv", "margin", "margins", "prv", "ptv"})
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

PART_WORDS = frozenset({"lobe", "lobes", "lobus", "lower", "middle", "part", "segment", "upper", "zone", "zones"})
"""Words that, together with the word lung, mark a text as a part of a lung, which must not stand for the whole lung."""

NOT_WHOLE = MARGIN_WORDS | PART_WORDS | LESION_WORDS
"""Words that, together with the word lung, mark a text as something other than a whole lung."""

WITHOUT_LESION = re.compile(r"-\s*i?gtv|\b(?:minus|without|w/?o|excl\w*|ohne|sans|sin|senza)\b")
"""What in the name of an organ says that the tumor is left out of it, such as "Lungs-GTV" (AAPM TG-263)."""

PLAINLY_WITHOUT = re.compile(r"\blungs\b|\b(?:minus|without|w/?o|excl\w*|ohne|sans|sin|senza)\b")
"""What in such a name leaves no doubt. "LUNG-IGTV" could also be the tumor of a lung, "Lungs-IGTV" could not."""

EXPANDED = re.compile(r"\+\s*\d+(?:[.,]\d+)?\s*[mc]m\b")
"""What in a name says that a margin of so many mm or cm was added, such as "GTV+5mm"."""

_LESIONS = "|".join(sorted((word for word in LESION_WORDS if word.isascii()), key=len, reverse=True))

NEGATED = re.compile(
    rf"\b(?:no|non|not(?: an?)?|keine?|pas de|sin|ohne|sans|senza|without|w/?o)[\s-]*(?:i?gtv|{_LESIONS})"
)
"""What says that something is no lesion, such as "NoGTV" and "non-tumor"; "Tumor No. 2" and "non-small" do not."""

TARGET_VOLUME = re.compile(r"(non?|not|[xz]+)?i?(gtv|ctv|itv|ptv|prv)([a-z]*)")
"""A target volume of radiotherapy with what is written onto its name, such as "GTVp", "IGTVn", "zPTV" (AAPM TG-263)."""

ASIDE_WORDS = frozenset({
    "backup", "bak", "copy", "delete", "deleted", "dnu", "draft", "dummy", "helper", "ignore", "initial", "obsolete",
    "old", "original", "outdated", "prev", "previous", "prior", "temp", "test", "tmp", "unused", "wrong", "x", "z",
    "alt", "alte", "alter", "kopie", "loschen",  # German
    "ancien", "ancienne",  # French
    "antiguo", "copia", "prueba", "vecchio", "viejo",  # Spanish, Italian
})  # fmt: skip
"""Words that mark a segment as an earlier version, a copy, or an aid to planning (a leading x or z)."""

SIDE_WORDS = frozenset({"l", "left", "lt", "r", "right", "rt"})
"""Words that name a side."""

PLAIN_WORDS = frozenset({"label", "lesion", "new", "region", "roi", "seg", "segment", "segmentation", "structure"})
"""Words of names that say nothing and that programs or people give to anything, such as "Segment_1"."""

NAMED_SEGMENTS = 10
"""Largest number of segments that are named if none of them is a lesion."""

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

    "LeftLung", "lung_left" and "Lung-1" all contain the word lung. "GTVp", "IGTV" and "zGTVold" contain gtv, and the
    last one z and old too.
    """
    words: set[str] = set()
    for word in re.findall(r"[a-z]+", _plain(text)):
        volume = TARGET_VOLUME.fullmatch(word)
        words |= {*filter(None, volume.groups())} if volume else {word}
    return words | {word for word in UNSPACED_WORDS if word in unicodedata.normalize("NFKC", text)}


def _plain(text: str) -> str:
    """Return a text in lower case and without accents, with spaces between its words: "NoGTV_old" is "no gtv old"."""
    whole = unicodedata.normalize("NFKC", text).replace("œ", "oe").replace("_", " ")
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", whole)
    return "".join(each for each in unicodedata.normalize("NFKD", spaced) if not unicodedata.combining(each)).lower()


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
    either if, by their names, they are an organ without the tumor, a tumor with a margin, or expressly no tumor
    ("Lungs-GTV", "GTV+5mm", "NoGTV").
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
    """Return whether a name is that of an organ without the tumor, of a tumor with a margin, or of no tumor."""
    return bool(_is_without(name, words) or EXPANDED.search(_plain(name)) or NEGATED.search(_plain(name)))


def _is_without(name: str, words: set[str]) -> bool:
    """Return whether a name is that of an organ without the tumor."""
    return bool(words & ANATOMY_WORDS and WITHOUT_LESION.search(_plain(name)))


def _names(words: set[str], parts: frozenset[str]) -> bool:
    """Return whether words contain a margin word, or one of ``parts`` without a lesion word."""
    return bool(words & MARGIN_WORDS or (words & parts and not words & LESION_WORDS))


def contradiction(segment: Named) -> str | None:
    """Return a sentence if name and terminology of a segment contradict each other about whether it is a lesion.

    Returns:
        The sentence, which says which one was followed; None if they agree.
    """
    words = _words(segment.name)
    category = category_of(segment.terminology)
    meaning = type_meaning(segment.terminology)
    if may_be_lesion(segment):
        if category == MORPHOLOGICALLY_ALTERED and words & ANATOMY_WORDS and words <= ANATOMY_WORDS | SIDE_WORDS:
            return (
                f"The segment {segment.name} was measured because its terminology is {meaning}, although its name is "
                "that of an organ. If it is no lesion, choose the terminology of the organ in the Segment Editor."
            )
        return None
    if words & LESION_WORDS and not words & MARGIN_WORDS and category not in (*UNSAID, MORPHOLOGICALLY_ALTERED):
        return (
            f"The segment {segment.name} was not measured because its terminology is {meaning or category}. If it is "
            "a lesion, choose a lesion terminology in the Segment Editor."
        )
    if category == MORPHOLOGICALLY_ALTERED and not words & MARGIN_WORDS and not _words(meaning) & FINDING_WORDS:
        return (
            f"The segment {segment.name} was not measured because its name is not that of a lesion, although its "
            f"terminology is {meaning}. If it is a lesion, rename it."
        )
    if category in UNSAID and _is_derived(segment.name, words) and not words & MARGIN_WORDS:
        if _is_without(segment.name, words) and PLAINLY_WITHOUT.search(_plain(segment.name)):
            return None
        return (
            f"The segment {segment.name} was not measured because its name reads as an organ without the tumor, a "
            "tumor with a margin, or no tumor. If it is a lesion, rename it."
        )
    return None


def selection_doubts(segments: Sequence[Named], empty: Sequence[Named] = ()) -> list[str]:
    """Return sentences for the user about which segments of a segmentation were measured, and which were not.

    They include what was substituted when lesions were read (``warnings`` of a segment, if it has any).

    Args:
        segments: All segments.
        empty: The lesions among them that have no voxel and nothing yet that says so.
    """
    if not segments:
        return ["The segmentation contains no segments, so no lesion was measured; check that it is the right file."]
    found = [
        sentence
        for each in segments
        for sentence in (*(getattr(each, "warnings", ()) if is_lesion(each) else ()), contradiction(each))
        if sentence
    ]
    found += empty_doubts(empty)
    if not any(map(may_be_lesion, segments)):
        found.append(
            "No segment has the terminology or the name of a lesion "
            f"({listed([each.name for each in segments], most=NAMED_SEGMENTS)}), so no lesion was "
            "measured; rename a segment that is one."
        )
    return list(dict.fromkeys([*found, *name_doubts(segments)]))


def empty_doubts(empty: Sequence[Named]) -> list[str]:
    """Return a sentence about lesions without any voxel, if there are any."""
    names = listed([each.name for each in empty])
    return [f"These segments are empty and were not measured: {names}. Outline or remove them."] if empty else []


def name_doubts(segments: Sequence[Named]) -> Iterator[str]:
    """Yield a sentence about lesions that were measured although their names make that doubtful.

    Names of an earlier version, a copy or an aid to planning are doubtful ("GTV_old", "zGTV"). So are names without any
    known word ("Ring 1") beside segments that are called lesions. "Segment_2" and the like are names of Slicer.

    Args:
        segments: All segments of a segmentation.
    """
    lesions = [segment for segment in segments if is_lesion(segment)]
    aside = [each.name for each in lesions if _words(each.name) & ASIDE_WORDS or NEGATED.search(_plain(each.name))]
    if aside:
        yield (
            "By their names, these segments may be earlier versions, copies, aids to planning or no lesions, but they "
            f"were measured: {listed(aside)}. Rename or remove those that are no lesions."
        )
    called = [segment for segment in lesions if _is_called_lesion(segment)]
    unknown = [
        each.name
        for each in lesions
        if each not in called and each.name not in aside and _words(each.name) - PLAIN_WORDS
    ]
    if called and unknown:
        yield (
            f"The names of these segments do not tell what they are, and they were measured as lesions: "
            f"{listed(unknown)}. Rename or remove those that are no lesions."
        )


def _is_called_lesion(segment: Named) -> bool:
    """Return whether the name or the terminology of a segment says that it is a lesion."""
    return bool(_words(segment.name) & LESION_WORDS) or category_of(segment.terminology) == MORPHOLOGICALLY_ALTERED


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
