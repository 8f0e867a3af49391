"""Convert stored values to HU: the only code that interprets what a header states about voxel values.

References:
    DICOM PS3.3 C.7.6.3 (bits that are stored), C.7.5.1.1.2 (values that mark padding) and C.11.1 (rescaling).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.volume import Array
from .plausibility import MAX_HU

PADDING_HU = -2048
"""HU that replaces padding.

No substance has so low a value, so padding is never counted as air. ``CTVolume`` raises it to air.
"""

TISSUE_HU = (-950.0, 3071.0)
"""Range of HU (lower bound exclusive, upper bound inclusive) that can be tissue, bone or metal.

The upper bound is the highest value of a 12-bit CT.
"""


@dataclass(frozen=True)
class BitField:
    """The bits of a stored integer that hold a voxel's value.

    Attributes:
        allocated: Number of bits per voxel.
        stored: Number of bits that hold the value.
        signed: Whether the value has a sign.
        shift: Position of the lowest bit of the value.
    """

    allocated: int
    stored: int
    signed: bool
    shift: int = 0

    def numbers(self, raw: Array) -> Array:
        """Return the values in stored integers, without the remaining bits (overlays).

        If all bits above an unsigned value are set, they are the sign of a negative value that was written in spite of
        the header.

        Args:
            raw: Stored integers of any shape.

        Returns:
            int32, or int64 if more than 16 bits are allocated.
        """
        wide: Any = raw.astype(np.int32 if self.allocated <= 16 else np.int64)
        if self.stored == self.allocated:
            return np.asarray(wide)
        number = (wide >> self.shift) & ((1 << self.stored) - 1)
        if self.signed:
            return np.asarray(number - ((number >> (self.stored - 1)) << self.stored))
        above = self.allocated - self.stored - self.shift
        if above > 1:
            is_negative = (wide >> (self.stored + self.shift)) & ((1 << above) - 1) == (1 << above) - 1
            number[is_negative] -= 1 << self.stored
        return np.asarray(number)

    def number(self, stated: int) -> int:
        """Return a value from the header with the sign that this field gives it.

        Some headers state 63536 for -2000, others the reverse.
        """
        if self.signed and (1 << (self.stored - 1)) <= stated < (1 << self.stored):
            return stated - (1 << self.stored)
        if stated >= (1 << (self.allocated - 1)) and (self.signed or self.stored < self.allocated):
            return stated - (1 << self.allocated)
        if stated < 0 and not self.signed and self.stored == self.allocated:
            return stated + (1 << self.allocated)
        return stated


@dataclass(frozen=True)
class Rescaling:
    """The conversion HU = ``slope`` x number + ``intercept``."""

    slope: float = 1.0
    intercept: float = 0.0

    @property
    def is_whole(self) -> bool:
        """Return whether whole numbers stay whole."""
        return self.slope.is_integer() and self.intercept.is_integer()

    def hu(self, numbers: Array, *, whole: bool) -> Array:
        """Return HU, none below ``PADDING_HU``.

        Args:
            numbers: Values of any shape.
            whole: Return int16, clipped to its range, if true; float32 otherwise.
        """
        if whole:
            wide = numbers if self.slope == 1 else numbers * int(self.slope)  # 16 bits x 10,000 fit into 32 bits
            return np.asarray(np.clip(wide + int(self.intercept), PADDING_HU, MAX_HU).astype(np.int16))
        return np.asarray(
            np.maximum(numbers.astype(np.float32) * np.float32(self.slope) + np.float32(self.intercept), PADDING_HU)
        )

    def real(self, stored: Array) -> Array:
        """Return real values of any meaning (HU, a map, labels).

        Whole numbers stay whole if slope and intercept are whole (as int32, if it can hold them); other values become
        float32. The conversion goes slice by slice, so that no wider copy of the whole array is needed.
        """
        unchanged = (self.slope, self.intercept) == (1.0, 0.0)
        if unchanged and (stored.dtype.kind in "iu" or stored.dtype == np.float32):
            return stored
        whole = stored.dtype.kind in "iu" and self.is_whole
        if whole:
            ends = [int(end) * int(self.slope) + int(self.intercept) for end in (stored.min(), stored.max())]
            whole = max(map(abs, ends)) <= np.iinfo(np.int32).max
        result = np.empty(stored.shape, np.int32 if whole else np.float32)
        for real, plane in zip(result, stored, strict=True):
            with np.errstate(over="ignore", invalid="ignore"):
                real[...] = plane if unchanged else plane * np.float64(self.slope) + self.intercept
        return result


@dataclass(frozen=True)
class ValueChain:
    """The conversion from the stored integers of one slice to HU.

    Attributes:
        bits: Position of the value among the stored bits.
        rescaling: From the value to HU.
        padding: Lowest and highest value that mark padding; None if the header states none.
    """

    bits: BitField
    rescaling: Rescaling
    padding: tuple[int, int] | None = None

    def hu(self, raw: Array, *, whole: bool) -> Array:
        """Return the HU of one slice, with padding as ``PADDING_HU``.

        A padding value that could be tissue counts as padding only if a corner of the slice has it.

        Args:
            raw: Stored integers (row, column).
            whole: Return int16 if true, float32 otherwise.
        """
        numbers = self.bits.numbers(raw)
        hu = self.rescaling.hu(numbers, whole=whole)
        if self.padding is not None:
            is_padding = (numbers >= self.padding[0]) & (numbers <= self.padding[1])
            if not self.padding_may_be_tissue or is_padding[[0, 0, -1, -1], [0, -1, 0, -1]].any():
                hu[is_padding] = PADDING_HU
        return hu

    @property
    def padding_may_be_tissue(self) -> bool:
        """Return whether a padding value lies within the HU range of tissue."""
        if self.padding is None:
            return False
        low, high = (self.rescaling.slope * number + self.rescaling.intercept for number in self.padding)
        return high > TISSUE_HU[0] and low <= TISSUE_HU[1]
