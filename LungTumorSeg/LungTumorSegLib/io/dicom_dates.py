"""The day on which a DICOM CT was acquired."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from ..core.dates import date_of
from ..core.texts import shown
from .dicom_reading import read_header

DAY_KEYWORDS = ("AcquisitionDate", "SeriesDate", "StudyDate")
"""Attributes that state the day, the most reliable one first."""

MOST_DAYS_APART = 7
"""Largest number of days between the dates of one CT; a series may be stored some days after its acquisition."""


def acquisition_day(path: Path) -> tuple[date | None, list[str]]:
    """Return the day on which a slice was acquired, and warnings about its dates.

    Args:
        path: A slice.

    Returns:
        The first date that exists, or None; and what is wrong with the others.
    """
    header = read_header(path)
    stated = {keyword: header.text(keyword) for keyword in DAY_KEYWORDS if header.has(keyword)}
    days = {keyword: day for keyword, text in stated.items() if (day := date_of(text))}
    warnings = [
        f"{shown(path)} states the {keyword} {shown(text, 60)}, which is no date; check the time between "
        "the examinations."
        for keyword, text in stated.items()
        if keyword not in days
    ]
    if not days:
        return None, warnings
    if (max(days.values()) - min(days.values())).days > MOST_DAYS_APART:
        listed = ", ".join(f"{keyword} {day}" for keyword, day in days.items())
        warnings.append(
            f"The dates that {shown(path)} states contradict each other ({listed}); check the time between the "
            "examinations."
        )
    return next(iter(days.values())), warnings
