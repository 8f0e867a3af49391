"""From stored values to HU: the one place that knows what a header says about the values of voxels.

The chain of DICOM PS3.3 C.7.6.3, C.7.5.1.1.2 and C.11.1: the bits that are stored, the values that mark padding, and the rescaling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.volume import Array
from .plausibility import MAX_HU

PADDING_HU = -2048
"""What padding becomes: less than any substance has, so that nobody counts it as air; ``CTVolume`` raises it to air."""

TISSUE_HU = (-950.0, 3071.0)
"""HU above the first, up to the second, can be tissue, bone or metal (the highest value of 12-bit CT)."""


@dataclass(frozen=True)
class BitField:
    """Where a voxel's number stands: ``stored`` of the ``allocated`` bits, lowest bit at ``shift``, ``signed`` or not."""

    allocated: int
    stored: int
    signed: bool
    shift: int = 0

    def numbers(self, raw: Array) -> Array:
        """Return the numbers in ``raw`` integers, as int32 (int64 above 16 bits), without the bits beside them (overlays).

        Bits above an unsigned number that are all set are the sign of a negative one that was written nevertheless.
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
        """Return a number that the header states, in this field's sign: headers state 63536 for -2000, and the other way round."""
        if self.signed and (1 << (self.stored - 1)) <= stated < (1 << self.stored):
            return stated - (1 << self.stored)
        if stated >= (1 << (self.allocated - 1)) and (self.signed or self.stored < self.allocated):
            return stated - (1 << self.allocated)
        if stated < 0 and not self.signed and self.stored == self.allocated:
            return stated + (1 << self.allocated)
        return stated


@dataclass(frozen=True)
class Rescaling:
    """HU = ``slope`` x number + ``intercept``."""

    slope: float = 1.0
    intercept: float = 0.0

    @property
    def is_whole(self) -> bool:
        """Whether whole numbers stay whole."""
        return self.slope.is_integer() and self.intercept.is_integer()

    def hu(self, numbers: Array, *, whole: bool) -> Array:
        """Return HU: int16 within its range where ``whole``, float32 otherwise; nothing lies below ``PADDING_HU``."""
        if whole:
            wide = numbers if self.slope == 1 else numbers * int(self.slope)  # 16 bits x 10,000 fit into 32
            return np.asarray(np.clip(wide + int(self.intercept), PADDING_HU, MAX_HU).astype(np.int16))
        return np.asarray(
            np.maximum(numbers.astype(np.float32) * np.float32(self.slope) + np.float32(self.intercept), PADDING_HU)
        )

    def real(self, stored: Array) -> Array:
        """Return real values of any meaning (HU, a map, labels), slice by slice, so that no wider copy of the whole is needed.

        Whole numbers stay whole where slope and intercept are (int32 where it holds them); others become float32.
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
    """All that turns the raw integers of one slice into HU; ``padding`` are the lowest and highest number that mark padding."""

    bits: BitField
    rescaling: Rescaling
    padding: tuple[int, int] | None = None

    def hu(self, raw: Array, *, whole: bool) -> Array:
        """Return the HU of a slice's ``raw`` integers (row, column), padding as ``PADDING_HU``.

        Where a padding value could be tissue, it is padding only if a corner of the slice has it.
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
        """Whether a padding value lies among the HU of tissue."""
        if self.padding is None:
            return False
        low, high = (self.rescaling.slope * number + self.rescaling.intercept for number in self.padding)
        return high > TISSUE_HU[0] and low <= TISSUE_HU[1]
