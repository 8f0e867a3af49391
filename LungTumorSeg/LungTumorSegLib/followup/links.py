"""What a person has said about matches: which lesions of two examinations are the same, and which are not.

The choices are stored in followup.json by the names of the segments, so that a later comparison of the same two results
can keep them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import UnusableInput
from ..core.json_files import read_json
from ..core.messages import no_comparison
from ..core.texts import listed, shown
from ..io.regular_files import check_regular
from .tracking import same_volume

if TYPE_CHECKING:
    from .examination import Examination
    from .matching import Link

Name = tuple[str, str]
"""Names of an earlier and of a later segment."""


@dataclass(frozen=True)
class Choices:
    """What was linked and unlinked by hand.

    Attributes:
        links: Pairs that are the same lesion; nothing is added to them automatically.
        unlinks: Pairs that are not the same lesion.
    """

    links: tuple[Name, ...] = ()
    unlinks: tuple[Name, ...] = ()

    def __bool__(self) -> bool:
        """Return whether anything was chosen."""
        return bool(self.links or self.unlinks)

    @staticmethod
    def of(data: Any) -> Choices:
        """Return the choices that the content of a followup.json states."""
        return Choices(_pairs(data.get("links", [])), _pairs(data.get("unlinks", [])))

    def followed_by(self, newer: Choices) -> Choices:
        """Return these choices with newer ones, which win."""
        links = [pair for pair in self.links if pair not in newer.unlinks]
        unlinks = [pair for pair in self.unlinks if pair not in newer.links]
        return Choices(tuple(dict.fromkeys([*links, *newer.links])), tuple(dict.fromkeys([*unlinks, *newer.unlinks])))

    def check(self) -> None:
        """Check that no pair is both linked and unlinked.

        Raises:
            UnusableInput: If one is.
        """
        for earlier, later in sorted({*self.links} & {*self.unlinks}):
            raise UnusableInput(f"{shown(earlier)}={shown(later)} is both linked and unlinked; choose one of them.")


def read_choices(path: Path, before: Examination, after: Examination) -> tuple[Choices, tuple[str, ...]]:
    """Return the choices of an earlier comparison of two examinations.

    Args:
        path: The followup.json of that comparison.
        before: The earlier examination, as it is now.
        after: The later examination, as it is now.

    Returns:
        The choices about lesions that still exist, and a warning for each of the others.

    Raises:
        UnusableInput: If the file is no followup.json, or compares other results.
    """
    check_regular(path)
    try:
        data = read_json(path)
        known = Choices.of(data)
        volumes = [
            {piece["segment"]: float(piece["volume_ml"]) for lesion in data["lesions"] for piece in lesion[when]}
            for when in ("earlier", "later")
        ]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UnusableInput(no_comparison(shown(path))) from error
    for stated, exam in zip(volumes, (before, after), strict=True):
        if stated and not any(same_volume(lesion.volume_ml, stated.get(lesion.name)) for lesion in exam.lesions):
            raise UnusableInput(
                f"{shown(path)} compares other lesions than those of {exam.name}; choose the followup.json of "
                "these two results."
            )
    names = [{lesion.name for lesion in exam.lesions} for exam in (before, after)]
    lost = [pair for pair in (*known.links, *known.unlinks) if pair[0] not in names[0] or pair[1] not in names[1]]
    warnings = tuple(
        f"{shown(earlier)}={shown(later)} was linked or unlinked by hand, but one of these lesions no longer exists, "
        "so this choice was left out."
        for earlier, later in lost
    )
    kept = [tuple(pair for pair in pairs if pair not in lost) for pairs in (known.links, known.unlinks)]
    return Choices(*kept), warnings


def indices(pairs: Collection[Name], before: Examination, after: Examination) -> list[Link]:
    """Return pairs of names as pairs of places in the two lists of lesions.

    Raises:
        UnusableInput: If there is no lesion of a name.
    """
    return [(_index(a, before), _index(b, after)) for a, b in pairs]


def _index(name: str, examination: Examination) -> int:
    names = [lesion.name for lesion in examination.lesions]
    if name not in names:
        known = listed(names) or "none"
        raise UnusableInput(f"{examination.name} has no lesion named {shown(name)}; its lesions are: {known}.")
    return names.index(name)


def _pairs(stated: Sequence[Any]) -> tuple[Name, ...]:
    pairs = tuple((earlier, later) for earlier, later in stated)
    if not all(isinstance(name, str) for pair in pairs for name in pair):
        raise ValueError("the name of a segment is not a text")
    return pairs
