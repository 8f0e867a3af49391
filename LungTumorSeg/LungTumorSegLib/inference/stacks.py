"""Overlapping stacks of consecutive slices, and the statistics of their answers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..core.errors import UnusableInput

STACK_SLICES = 8
"""Consecutive axial slices that the network sees at once (Najeeb & Bhuiyan 2022)."""


def stack_starts(slices: int, stride: int) -> list[int]:
    """First slices of the stacks that cover ``slices`` slices at ``stride``; the last stack ends with the last slice.

    Stride 1 is the published way. Raises UnusableInput for a stride outside 1 to 8, ValueError for fewer slices than a stack has.
    """
    check_stride(stride)
    if slices < STACK_SLICES:
        raise ValueError(f"At least {STACK_SLICES} slices are needed, not {slices}.")
    last = slices - STACK_SLICES
    return sorted({*range(0, last, stride), last})


def check_stride(stride: int) -> None:
    """Raises UnusableInput for a stride that would leave slices out."""
    if not 1 <= stride <= STACK_SLICES:
        raise UnusableInput(f"The stride must be from 1 to {STACK_SLICES} slices, not {stride}.")


class StackStatistics:
    """Mean and population standard deviation a voxel over the answers for it, with the count each slice really has.

    Welford's update (Technometrics 4:419, 1962): one pass, exact in single precision where a sum of squares is not.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.mean: npt.NDArray[np.float32] = np.zeros(shape, np.float32)
        self._squares: npt.NDArray[np.float32] = np.zeros(shape, np.float32)
        self.count: npt.NDArray[np.int64] = np.zeros(shape[0], np.int64)

    def add(self, start: int, probability: npt.NDArray[np.float32]) -> None:
        """Takes in one stack's answer (8, row, column), whose first slice is slice ``start``."""
        covered = slice(start, start + len(probability))
        self.count[covered] += 1
        change = probability - self.mean[covered]
        self.mean[covered] = self.mean[covered] + change / self.count[covered, None, None].astype(np.float32)
        self._squares[covered] += change * (probability - self.mean[covered])

    def deviation(self) -> npt.NDArray[np.float32]:
        """Population standard deviation (slice, row, column); 0 where no stack or one stack has been."""
        return np.asarray(np.sqrt(self._squares / np.maximum(self.count, 1)[:, None, None].astype(np.float32)))
