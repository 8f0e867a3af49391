"""Which segments of a segmentation are lesions, and which are the lungs: by terminology and name, never by order."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol, TypeVar

from ..core.terminology import REJECTED
from ..core.volume import Volume

LESION_WORDS = frozenset(
    {
        "cancer",
        "carcinoma",
        "adenocarcinoma",
        "gtv",
        "lesion",
        "lesions",
        "mass",
        "masses",
        "metastasis",
        "metastases",
        "neoplasm",
        "nodule",
        "nodules",
        "tumor",
        "tumors",
        "tumour",
        "tumours",
    }
)
"""A text with one of these words means a lesion, even one that names its place: "Lung tumor", "Nodule, left lung"."""

ORGAN_WORDS = frozenset({"body", "isolation", "lung", "lungs"})
MARGIN_WORDS = frozenset({"margin", "margins"})


class Named(Protocol):
    """By what a segment is selected."""

    @property
    def name(self) -> str: ...

    @property
    def terminology(self) -> str: ...


class NamedSegment(Named, Protocol):
    """What selection and measurement need of a segment (see ``segmentation_file.Segment``); one with a ``review`` may be rejected."""

    @property
    def mask(self) -> Volume: ...


AnySegment = TypeVar("AnySegment", bound=Named)


def _words(text: str) -> set[str]:
    """Words in lower case; "LeftLung", "lung_left" and "Lung-1" hold the word lung."""
    return set(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()))


def _type_meaning(terminology: str) -> str:
    """The meaning of the type in Slicer's serialized terminology entry (context~category~type~modifier~...); "" where there is none."""
    parts = terminology.split("~")
    code = parts[2].split("^") if len(parts) > 2 else []
    return code[2] if len(code) > 2 else ""


def is_lesion(segment: NamedSegment) -> bool:
    """True unless the segment's name or its terminology's type says lung, body or margin, or a person has rejected it.

    A name that says lung or body as the place of a tumor ("Lung tumor") is a lesion's; a margin of a tumor is none. Only the type of
    the terminology counts: its category and its anatomic region say lung for a lung tumor too.
    """
    return getattr(segment, "review", "") != REJECTED and may_be_lesion(segment)


def may_be_lesion(segment: Named) -> bool:
    """``is_lesion`` whatever a person said."""
    for words in (_words(segment.name), _words(_type_meaning(segment.terminology))):
        if words & MARGIN_WORDS or (words & ORGAN_WORDS and not words & LESION_WORDS):
            return False
    return True


def lung_pair(segments: Iterable[AnySegment]) -> tuple[AnySegment, AnySegment] | None:
    """The left and the right lung among segments, by name; None unless both are there."""
    found: dict[str, AnySegment] = {}
    for segment in segments:
        words = _words(segment.name)
        side = words & {"left", "right"}
        if not may_be_lesion(segment) and words & {"lung", "lungs"} and not words & MARGIN_WORDS and len(side) == 1:
            found.setdefault(side.pop(), segment)
    return (found["left"], found["right"]) if len(found) == 2 else None


def lung_segments(segments: Iterable[NamedSegment]) -> tuple[Volume, Volume] | None:
    """Masks (bool) of the left and the right lung among segments, by name; None unless both are there."""
    pair = lung_pair(segments)
    return None if pair is None else (pair[0].mask, pair[1].mask)
