"""One CT of a cohort, and the unique name of its result folder."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..core.portable_names import portable_name

KEY_DIGITS = 8
"""Number of hexadecimal digits that tell apart cases whose names would be equal."""


@dataclass(frozen=True)
class Item:
    """One CT of a cohort.

    Attributes:
        case: Name of the case, which is also the name of its result folder; unique within a cohort.
        path: A DICOM folder or an image file, as an absolute path.
        patient: The patient as the table names it; for a folder, the name of the subfolder.
        date: The date as the table states it; "" if unknown.
        phase: The phase of a 4D CT; "" if there is only one.
        series: The series to read, as in ``segment --series``; "" if there is only one.
        files: The files of the CT; if empty, all files below ``path``.
        note: What the user should know about the choice of this CT.
        phase_number: The phase to read, counted from 0, as in ``segment --phase``; None if path and series select a
            3D CT.
        of_4d: What the phases of one 4D CT share; "" if a table lists them, or the CT is 3D.
        problem: Why the CT cannot be segmented, if that is known before it is read.
    """

    case: str
    path: Path
    patient: str = ""
    date: str = ""
    phase: str = ""
    series: str = ""
    files: tuple[Path, ...] = ()
    note: str = ""
    phase_number: int | None = None
    of_4d: str = ""
    problem: str = ""


def with_unique_cases(items: Sequence[Item]) -> list[Item]:
    """Return the items with cases that are valid, distinct folder names on every system.

    A name that would not be unique gets a checksum of path, series and phase. It does not depend on the order of the
    items, so results keep their folders when a cohort grows.
    """
    plain = [folder_name(item.case) for item in items]
    count = Counter(name.casefold() for name in plain)
    return [
        replace(item, case=name if name == item.case and count[name.casefold()] == 1 else _with_key(name, item))
        for name, item in zip(plain, items, strict=True)
    ]


def folder_name(text: str) -> str:
    """Return a text as the name of a result folder."""
    return portable_name(text, "case")


def _with_key(name: str, item: Item) -> str:
    # Several rows with a problem may name the same CT, so the problem tells them apart.
    parts = [item.series, item.phase, *filter(None, [item.problem])]
    what = b"\0".join([os.fsencode(item.path), *(part.encode() for part in parts)])
    return f"{name}-{hashlib.sha256(what).hexdigest()[:KEY_DIGITS]}"
