"""Dates as people and DICOM write them."""

from __future__ import annotations

import re
from datetime import date

SHAPE = re.compile(r"(\d{4})([-./]?)(\d{1,2})\2(\d{1,2})")
"""2026-01-31, 20260131 (DICOM), 2026.01.31 (DICOM before 1993) and 2026/01/31, whether or not there is such a day."""


def date_of(text: str) -> date | None:
    """Return the date that a text states in a form of ``SHAPE``; None if it has another form or does not exist."""
    found = SHAPE.fullmatch(text.strip())
    if found is None:
        return None
    year, _, month, day = found.groups()
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def has_form_of_date(text: str) -> bool:
    """Return whether a text has a form of ``SHAPE``, even if there is no such day."""
    return SHAPE.fullmatch(text.strip()) is not None
