"""Guarded access to the attributes of one DICOM file.

pydicom decodes a value on access and lets any exception of its decoder through. The accessors here either return a
value of the requested kind or refuse the file, which the message names.
"""

from __future__ import annotations

import math
import struct
import warnings
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import BaseTag, Tag

from ..core.errors import UnusableInput
from ..core.texts import shown

DAMAGE = (
    ArithmeticError, AssertionError, AttributeError, BytesLengthException, EOFError, InvalidDicomError, LookupError,
    MemoryError,
    NotImplementedError, OSError, RuntimeError, TypeError, UserWarning, ValueError, struct.error, zlib.error,
)  # fmt: skip
"""Exceptions that pydicom and its decoders raise on damaged files."""

LONGEST_VALUE = 60
"""Largest number of characters of a header value in a message."""


def damaged_file_error(path: Path) -> UnusableInput:
    """Return the error for a file that cannot be parsed."""
    return UnusableInput(f"{shown(path)} is a damaged or truncated DICOM file; copy or export the series again.")


@dataclass(frozen=True, eq=False)
class DicomHeader:
    """The attributes of one DICOM file.

    Attributes:
        path: The file.
        dataset: The data set as pydicom read it.
        meta: Group 2 (file meta information).
        has_pixels: Whether pixel data follow the attributes.
    """

    path: Path
    dataset: Any
    meta: Any
    has_pixels: bool
    _decoded: dict[str, list[Any]] = field(default_factory=dict)

    def has(self, keyword: str) -> bool:
        """Return whether the attribute exists and is not empty."""
        return bool(self.values(keyword))

    def values(self, keyword: str) -> list[Any]:
        """Return the values of an attribute; an empty list if it is missing or empty.

        Raises:
            UnusableInput: If the attribute cannot be decoded.
        """
        if keyword not in self._decoded:
            self._decoded[keyword] = self._decode(keyword)
        return self._decoded[keyword]

    def _decode(self, keyword: str) -> list[Any]:
        tag = _tag_of(keyword)
        source = self.meta if tag in self.meta else self.dataset
        if tag not in source:
            return []
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = source[tag].value
                if value is None or (isinstance(value, str | bytes) and not value):
                    return []
                return list(value) if _is_list(value) else [value]
        except DAMAGE as error:
            raise UnusableInput(
                f"{shown(self.path)} states a {keyword} that cannot be read; copy or export the series again."
            ) from error

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Return the values of an attribute as texts without surrounding spaces."""
        return tuple(str(value).strip() for value in self.values(keyword))

    def text(self, keyword: str) -> str:
        """Return the values of an attribute as one text; "" if it is missing."""
        return "\\".join(self.texts(keyword))

    def numbers(self, keyword: str, count: int) -> list[float]:
        """Return the ``count`` finite numbers of an attribute.

        Raises:
            UnusableInput: If the attribute is missing, or does not hold exactly ``count`` finite numbers.
        """
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
                f"{shown(self.path)} states an impossible {keyword} ({stated}); export the series again as original "
                "CT slices."
            )
        return numbers

    def integer(self, keyword: str, default: int | None = None) -> int:
        """Return the single whole number of an attribute, or ``default`` if the attribute is missing.

        Raises:
            UnusableInput: If the attribute holds anything else, or is missing and has no default.
        """
        if default is not None and not self.values(keyword):
            return default
        number = self.numbers(keyword, 1)[0]
        if not number.is_integer():
            raise UnusableInput(
                f"{shown(self.path)} states an impossible {keyword} ({number:g}); export the series again as "
                "original CT slices."
            )
        return int(number)


def decimals(value: Any) -> list[float]:
    """Return the numbers of a value with the VR DS, such as ContourData.

    Texts of more than 64 KB are stored with the VR UN (DICOM PS3.5 6.2.2), and pydicom leaves these as bytes.

    Raises:
        ValueError: If the value holds anything else.
    """
    texts = value.decode("ascii").rstrip(" \0").split("\\") if isinstance(value, bytes) else value
    return [float(each) for each in texts]


@cache
def _tag_of(keyword: str) -> BaseTag:
    """Return the tag of an attribute, which pydicom would look up at each use; a series has thousands of them."""
    return Tag(keyword)


def _is_list(value: object) -> bool:
    # A person's name is iterable, but it is one value.
    return isinstance(value, Iterable) and not isinstance(value, str | bytes) and not hasattr(value, "components")
