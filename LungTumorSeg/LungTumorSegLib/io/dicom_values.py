"""The attributes of one DICOM file, each read through a guarded accessor.

pydicom decodes a value when it is asked for, and raises whatever its decoder meets. Here a value is of the asked kind, or the file
is refused by name.
"""

from __future__ import annotations

import math
import struct
import warnings
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.errors import BytesLengthException, InvalidDicomError

from ..core.errors import UnusableInput
from ..core.texts import shown

DAMAGE = (
    ArithmeticError, AssertionError, AttributeError, BytesLengthException, EOFError, InvalidDicomError, LookupError, MemoryError,
    NotImplementedError, OSError, RuntimeError, TypeError, UserWarning, ValueError, struct.error, zlib.error,
)  # fmt: skip
"""What pydicom and its decoders raise on damaged files."""

LONGEST_VALUE = 60
"""Characters of a header's value that a message shows."""


def damaged(path: Path) -> UnusableInput:
    """Return the refusal of a file that cannot be parsed."""
    return UnusableInput(f"{shown(path)} is a damaged or truncated DICOM file; copy or export the series again.")


@dataclass(frozen=True, eq=False)
class DicomHeader:
    """One file's attributes: ``dataset`` as pydicom read it, ``meta`` its group 2, and whether pixels follow them."""

    path: Path
    dataset: Any
    meta: Any
    has_pixels: bool
    _decoded: dict[str, list[Any]] = field(default_factory=dict)

    def has(self, keyword: str) -> bool:
        """Return whether the attribute is there and not empty."""
        return bool(self.values(keyword))

    def values(self, keyword: str) -> list[Any]:
        """Return an attribute's values, none where it is missing or empty. Raises UnusableInput if it cannot be decoded."""
        if keyword not in self._decoded:
            self._decoded[keyword] = self._decode(keyword)
        return self._decoded[keyword]

    def _decode(self, keyword: str) -> list[Any]:
        source = self.meta if keyword in self.meta else self.dataset
        if keyword not in source:
            return []
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = source[keyword].value
                if value is None or (isinstance(value, str | bytes) and not value):
                    return []
                return list(value) if _is_list(value) else [value]
        except DAMAGE as error:
            raise UnusableInput(
                f"{shown(self.path)} states a {keyword} that cannot be read; copy or export the series again."
            ) from error

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Return an attribute's values as texts without spaces around them."""
        return tuple(str(value).strip() for value in self.values(keyword))

    def text(self, keyword: str) -> str:
        """Return an attribute's values as one text, "" where it is missing."""
        return "\\".join(self.texts(keyword))

    def numbers(self, keyword: str, count: int) -> list[float]:
        """Return the ``count`` finite numbers of an attribute. Raises UnusableInput if there are others, or none."""
        values = self.values(keyword)
        if not values:
            raise UnusableInput(
                f"{shown(self.path)} does not state its {keyword}; export the series again as original CT slices."
            )
        try:
            numbers = [float(value) for value in values]
        except DAMAGE:
            numbers = []
        if len(numbers) != count or not all(map(math.isfinite, numbers)):
            stated = shown("\\".join(map(str, values[: count + 1])), LONGEST_VALUE)
            raise UnusableInput(
                f"{shown(self.path)} states an impossible {keyword} ({stated}); export the series again as original CT slices."
            )
        return numbers

    def integer(self, keyword: str, default: int | None = None) -> int:
        """Return an attribute's one whole number, or ``default`` where it is missing. Raises UnusableInput for anything else."""
        if default is not None and not self.values(keyword):
            return default
        number = self.numbers(keyword, 1)[0]
        if not number.is_integer():
            raise UnusableInput(
                f"{shown(self.path)} states an impossible {keyword} ({number:g}); export the series again as original CT slices."
            )
        return int(number)


def _is_list(value: object) -> bool:
    # A person's name can be iterated over, and is one value.
    return isinstance(value, Iterable) and not isinstance(value, str | bytes) and not hasattr(value, "components")
