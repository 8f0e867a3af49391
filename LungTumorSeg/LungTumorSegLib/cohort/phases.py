"""The phases of 4D CTs as CTs of a cohort."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..core.errors import SeveralPhases, UnusableInput
from ..io.headers import read_header
from .items import Item


def with_phases(items: Sequence[Item]) -> list[Item]:
    """Return the items, with one item per phase in place of each 4D image file.

    DICOM is not read here: ``discovery`` finds the phases of a series in its headers.
    """
    return [each for item in items for each in (phase_items(item, _phases_in(item)) or [item])]


def phase_items(item: Item, phases: Sequence[str]) -> list[Item]:
    """Return one item per phase of a 4D CT.

    Args:
        item: The 4D CT; the names of the phases begin with its case, if it has one.
        phases: What tells the phases apart, which the items state as a note.
    """
    begin = f"{item.case}_" if item.case else ""
    return [
        replace(
            item,
            case=f"{begin}phase_{number:02d}",
            phase=str(number),
            phase_number=number,
            of_4d="\0".join((str(item.path), item.series)),
            note=". ".join(filter(None, (item.note, phase))),
        )
        for number, phase in enumerate(phases)
    ]


def _phases_in(item: Item) -> Sequence[str]:
    if item.problem or item.phase_number is not None or item.path.is_dir():
        return ()
    try:
        read_header(item.path)
    except SeveralPhases as found:
        return found.phases
    except (UnusableInput, OSError):  # The run will state the reason.
        return ()
    return ()


def series_of_phases(items: Sequence[Item]) -> Iterator[list[Item]]:
    """Yield the items that are phases of the same CT, in their order, if there are at least two.

    They are those of one 4D CT, or those that a table lists with a phase for the same patient and date.
    """
    groups: dict[tuple[str, ...], list[Item]] = {}
    for item in items:
        if item.phase:
            groups.setdefault((item.patient, item.date, item.of_4d), []).append(item)
    yield from (group for group in groups.values() if len(group) > 1)
