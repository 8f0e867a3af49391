"""Check the types of what Python users pass: take what is meant, and refuse anything else in one sentence."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from numbers import Integral
from typing import Any

from .errors import UnusableInput
from .texts import quoted, shown
from .volume import CTVolume, Volume


def as_ct(value: Any) -> CTVolume:
    """Return a CT itself, and any other volume (a part of a CT, for example) as a CT.

    Raises:
        UnusableInput: ``value`` is no volume, or has values that are not finite.
    """
    if isinstance(value, CTVolume):
        return value
    if isinstance(value, Volume):
        return CTVolume(value.array, value.affine)
    raise UnusableInput(f"The CT must be a CTVolume, not {_what(value)}; read a file or folder with read_ct(path).")


def expect_segments(value: Any) -> None:
    """Raise UnusableInput unless ``value`` is a sequence of segments."""
    if isinstance(value, Sequence) and all(hasattr(each, "name") and not _is_path(each) for each in value):
        return
    raise UnusableInput(
        f"The segments must be a list of segments, not {_what(value)}; read a file with read_segmentation(path, ct)."
    )


def expect_ct_source(path: Any, series: Any = None, phase: Any = None) -> None:
    """Raise UnusableInput unless a CT to read is given by a path and, if necessary, its series or phase."""
    if not _is_path(path):
        raise UnusableInput(f"A CT is read from the path of a file or folder, not from {_what(path)}; give its path.")
    if series is not None and not isinstance(series, str):
        raise UnusableInput(f"The series of a CT must be a text (its SeriesInstanceUID), not {_what(series)}.")
    if phase is not None and not isinstance(phase, Integral):
        raise UnusableInput(f"The phase of a 4D CT must be a whole number, counted from 0, not {_what(phase)}.")


def expect_segmentation_path(path: Any) -> None:
    """Raise UnusableInput unless a segmentation to read is given by a path."""
    if not _is_path(path):
        raise UnusableInput(
            f"A segmentation is read from the path of a file or folder, not from {_what(path)}; give its path."
        )


def expect_dates(dates: Any) -> None:
    """Raise UnusableInput unless ``dates`` is a pair of dates, each of which may be None."""
    if isinstance(dates, Sequence) and not isinstance(dates, str) and len(dates) == 2:
        return  # read_examination checks each
    what = f"{len(dates)} of them" if isinstance(dates, list | tuple) else _what(dates)
    raise UnusableInput(f"The dates of a comparison must be a pair: (earlier date, later date), not {what}.")


def expect_examination_files(result: Any, ct: Any, day: Any) -> None:
    """Raise UnusableInput unless an examination is given by paths and, if known, a date."""
    if not _is_path(result):
        raise UnusableInput(
            f"An examination must be the path of a result folder or of a segmentation, not {_what(result)}; write a "
            "result with its method save(folder)."
        )
    if ct is not None and not _is_path(ct):
        raise UnusableInput(
            f"The CT of an examination must be the path of a file or folder, not {_what(ct)}; give the path that "
            "read_ct(path) reads."
        )
    if day is not None and not isinstance(day, date):
        raise UnusableInput(f"The date of an examination must be a datetime.date, not {_what(day)}.")


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike)


def _what(value: Any) -> str:
    """Return a text or path as it is, of anything else the type; volumes are too long to be shown."""
    if isinstance(value, str | int | float | None):
        return quoted(value)
    return shown(value) if isinstance(value, os.PathLike) else f"an object of type {type(value).__name__}"
