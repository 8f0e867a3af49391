"""Overlapping stacks of consecutive slices, and the statistics of their probabilities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..core.boxes import Box, slices_of
from ..core.errors import UnusableInput
from ..core.volume import Float32Array, Probability
from .stack_length import STACK_SLICES


def stack_starts(slices: int, stride: int) -> list[int]:
    """Return the first slices of the stacks that cover a number of slices.

    The last stack ends with the last slice.

    Args:
        slices: The number of slices, at least 8.
        stride: The number of slices between the starts of consecutive stacks, 1 to 8; the published stride is 1.

    Returns:
        The indices of the first slices, in ascending order.

    Raises:
        UnusableInput: The stride is outside 1 to 8.
        ValueError: There are fewer slices than a stack has.
    """
    check_stride(stride)
    if slices < STACK_SLICES:
        raise ValueError(f"At least {STACK_SLICES} slices are needed, not {slices}.")
    last = slices - STACK_SLICES
    return sorted({*range(0, last, stride), last})


def check_stride(stride: int) -> None:
    """Check that a stride leaves no slice out.

    Raises:
        UnusableInput: The stride is outside 1 to 8.
    """
    if not 1 <= stride <= STACK_SLICES:
        raise UnusableInput(f"The stride must be from 1 to {STACK_SLICES} slices, not {stride}.")


class StackStatistics:
    """Accumulate mean and population standard deviation per voxel over the stacks that cover it.

    The statistics use the number of stacks that each voxel really has. They are updated by Welford's method
    (Technometrics 4:419, 1962) in one pass, which is accurate in single precision where a sum of squares is not.

    Attributes:
        mean: Mean probability (slice, row, column), float32.
        count: Number of stacks (slice, row, column), uint16.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.mean: Probability = np.zeros(shape, np.float32)
        self._squares: Float32Array = np.zeros(shape, np.float32)
        self.count: npt.NDArray[np.uint16] = np.zeros(shape, np.uint16)

    def add(self, box: Box, probability: Probability) -> None:
        """Add the probability (slice, row, column) of one stack, or of a part of its plane, which fills ``box``."""
        here = slices_of(box)
        self.count[here] += 1
        change = probability - self.mean[here]
        self.mean[here] = self.mean[here] + change / self.count[here].astype(np.float32)
        self._squares[here] += change * (probability - self.mean[here])

    def deviation(self) -> Float32Array:
        """Return the population standard deviation (slice, row, column); 0 where at most one stack covers the voxel."""
        return np.asarray(np.sqrt(self._squares / np.maximum(self.count, 1).astype(np.float32)))
