"""Decide whether slices come from one pass over the patient.

The decision uses the heights of the slices (mm along their normal) and the order of their numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ..core.volume import Array
from .slice_stack import MAX_MISSING_SLICES

STEP_TOLERANCE_MM = 0.05
"""Largest difference between the steps of one pass, in mm, in addition to rounding."""

STEP_TOLERANCE = 0.01
"""The same limit as a share of the step; the larger of the two applies."""

MOST_PASSES = 4
"""Largest number of passes to look for among interleaved slices."""

LEAST_BEYOND = 3
"""Smallest number of slices that a pass must have beyond each end of another pass that overlaps it in part."""

UNIT_SHARE = 1.25
"""Largest ratio of two distances that count as one step."""

MOST_STEPS = MAX_MISSING_SLICES + 1
"""Largest number of steps from one slice of a pass to the next: the missing slices that can be bridged, plus one."""


def runs_of_blocks(blocks: Sequence[Array]) -> list[list[int]]:
    """Divide blocks of heights, in the order of their numbers, wherever they change direction or overlap.

    Returns:
        The indices of the blocks of each run. Within a run, each block lies beyond the previous one, in the same
        direction.
    """
    runs: list[list[int]] = [[0]]
    direction = 0
    for index in range(1, len(blocks)):
        before, block = blocks[index - 1], blocks[index]
        step = int(block.min() > before.max()) - int(block.max() < before.min())
        if step and direction in (0, step):
            runs[-1].append(index)
            direction = step
        else:
            runs.append([index])
            direction = 0
    return runs


def are_apart(blocks: Sequence[Array]) -> bool:
    """Return whether no two blocks of heights (n,), mm, overlap."""
    in_order = sorted(blocks, key=lambda heights: float(heights.min()))
    return all(below.max() < above.min() for below, above in pairwise(in_order))


def follow_each_other(blocks: Sequence[Array], rounding_mm: float) -> bool:
    """Return whether blocks of slices continue each other's steps and so form one stack, as in step-and-shoot scans.

    Args:
        blocks: The heights (n,) of each block, mm.
        rounding_mm: Largest error of a height, mm.
    """
    in_order = [np.sort(heights) for heights in sorted(blocks, key=lambda heights: float(heights.min()))]
    for below, above in pairwise(in_order):
        steps = [np.ptp(heights) / (len(heights) - 1) for heights in (below, above) if len(heights) > 1]
        gap = above[0] - below[-1]
        if gap <= 0:
            return False
        for step in steps:
            allowed = _tolerance(step, rounding_mm)
            if abs(gap - max(1, np.rint(gap / step)) * step) > allowed or abs(step - steps[0]) > allowed:
                return False
    return True


def interleaved_passes(heights: Array, rounding_mm: float) -> list[Array]:
    """Divide slices into passes of equal steps whose slices interleave.

    Where two passes overlap, distances alternate, and every second slice is one step apart (every third for three
    passes).

    Args:
        heights: Heights (n,) in ascending order, in mm.
        rounding_mm: Half the last decimal of the heights.

    Returns:
        The indices of each pass; a single pass with all indices if nothing indicates several.
    """
    distances = np.diff(heights)
    everything = [np.arange(len(heights))]
    for passes in range(2, MOST_PASSES + 1):
        if len(heights) < 3 * passes:
            break
        spans = heights[passes:] - heights[:-passes]
        allowed = _tolerance(float(np.median(spans)), rounding_mm)
        varied = np.ptp(np.lib.stride_tricks.sliding_window_view(distances, passes), axis=1) > allowed
        repeats = (np.abs(np.diff(spans)) <= allowed) & varied[1:] & varied[:-1]
        start, length = _longest_run(repeats)
        if length < 2 * passes - 2:
            continue
        chains = _chains(heights, float(np.median(spans[start : start + length + 1])), rounding_mm)
        if len(chains) <= MOST_PASSES and _interlock(heights, chains):
            return chains
    return everything


def overlapping_passes(heights: Array, rounding_mm: float) -> list[Array]:
    """Divide slices into passes that overlap in part, if the slices of one lie midway between those of the other.

    Distances then alternate nowhere: they are equal, and smaller where the passes overlap. One pass with slices missing
    at both ends would look the same only if every second slice were missing there, and no slice in the middle.

    Args:
        heights: Heights (n,) in ascending order, in mm.
        rounding_mm: Half the last decimal of the heights.

    Returns:
        The indices of each pass, lowest first; a single pass with all indices if nothing indicates several.
    """
    everything = [np.arange(len(heights))]
    distances = np.diff(heights)
    unit = float(np.median(distances[distances < UNIT_SHARE * distances.min()]))
    counts = np.rint(distances / unit).astype(int)
    step = int(counts.max())
    if not 1 < step <= MOST_STEPS or np.abs(distances - counts * unit).max() > _tolerance(unit, rounding_mm):
        return everything
    levels = np.concatenate([[0], np.cumsum(counts)])
    passes = [found for phase in range(step) if len(found := np.flatnonzero(levels % step == phase))]
    passes.sort(key=lambda indices: int(indices[0]))
    complete = all((np.diff(levels[each]) == step).all() for each in passes)
    beyond = all(
        min(levels[above[0]] - levels[below[0]], levels[above[-1]] - levels[below[-1]]) >= LEAST_BEYOND * step
        for below, above in pairwise(passes)
    )
    return passes if len(passes) > 1 and complete and beyond else everything


def _tolerance(step: float, rounding_mm: float) -> float:
    return max(STEP_TOLERANCE_MM, STEP_TOLERANCE * step) + 2 * rounding_mm


def _longest_run(flags: Array) -> tuple[int, int]:
    """Return the start and the length of the longest run of true flags."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    if not len(edges):
        return 0, 0
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    longest = int(np.argmax(lengths))
    return int(starts[longest]), int(lengths[longest])


def _chains(heights: Array, step: float, rounding_mm: float) -> list[Array]:
    """Follow ``step`` from the lowest slice as far as possible, then from the lowest remaining one, and so on."""
    left = list(range(len(heights)))
    chains = []
    while left:
        chain = [left[0]]
        while True:
            distances = heights[left] - heights[chain[-1]]
            steps = np.rint(distances / step)
            fits = (
                (steps >= 1)
                & (steps <= MOST_STEPS)
                & (np.abs(distances - steps * step) <= _tolerance(step, rounding_mm))
            )
            if not fits.any():
                break
            chain.append(left[int(np.argmax(fits))])
        chains.append(np.array(chain))
        left = [index for index in left if index not in chain]
    return chains


def _interlock(heights: Array, chains: list[Array]) -> bool:
    """Return whether two chains each have at least two slices within the range of the other."""

    def within(one: Array, other: Array) -> int:
        return int(((heights[one] > heights[other[0]]) & (heights[one] < heights[other[-1]])).sum())

    return any(
        within(one, other) >= 2 and within(other, one) >= 2 for i, one in enumerate(chains) for other in chains[i + 1 :]
    )
