"""Reasons to doubt that the slices of a CT are whole and in order, each as a sentence for the user.

Neighboring slices of a patient resemble each other more than any two that lie further apart. Where that is not so, the
slices were sorted wrongly, mirrored, copied or blanked before they were stored.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.texts import listed
from ..core.volume import AIR_HU, Array

CONTENT_HU = (AIR_HU, 200)
"""Range to which values are clipped before slices are compared, so that metal and contrast agent do not dominate."""

BLOCKS, PIXELS_PER_BLOCK = 32, 4
"""Number of blocks per row and column, of which slices are compared by their means; pixels per side that are used."""

FAR_MM, FAR_SLICES = 20.0, 2
"""Distance of slices, in mm and in slices, above which no slice is as similar as the next one."""

OUT_OF_ORDER = 1.6
"""Ratio of the difference of two neighbors to that of better matches above which their order is wrong.

In the CTs used for development, with slices up to 10 mm apart, it is at most 1.3 for slices further apart, 0.94 for
mirrored ones and 0.76 for the two slices around a pair. It is 1.8 or more at least once if halves are exchanged or
reversed, or slices are shuffled, sorted by name, mirrored or exchanged in pairs.
"""

LEAST_DIFFERENCE_HU = 10.0
"""Smallest difference of slices that says something about their order, HU; that of neighbors is 23 to 62 in those CTs.

Slices of a cylinder differ by their noise only, so that matches far away are no better than neighbors.
"""

COPIED_SHARE, SPANNED_SHARE = 0.4, 0.7
"""Share of copied slices above which each was repeated on purpose, or there is no noise; and share of the slices over
which evenly spread copies extend if they come from resampling without interpolation, which loses nothing."""


def slice_doubts(array: Array, step_mm: float) -> list[str]:
    """Return reasons to doubt the slices.

    Args:
        array: HU; the first axis is that of the slices.
        step_mm: Distance of neighboring slices, mm.
    """
    with_content = np.array([plane.max() > max(plane.min(), AIR_HU) for plane in array])
    levels = np.flatnonzero(with_content)
    return [*_blank_doubts(with_content, levels), *_order_doubts(array, levels, step_mm)]


def _blank_doubts(with_content: Array, levels: Array) -> list[str]:
    """Warn of slices between others that have one value throughout, or only air, because their content was lost."""
    inside = slice(levels[0], levels[-1]) if len(levels) else slice(0)
    blank = [str(levels[0] + each + 1) for each in np.flatnonzero(~with_content[inside])]
    if not blank:
        return []
    what = "1 slice between others is blank" if len(blank) == 1 else f"{len(blank)} slices between others are blank"
    return [
        f"{what} (by position: {listed(blank)}), so lesions there are cut or missing; export the CT again from its "
        "source."
    ]


def _order_doubts(array: Array, levels: Array, step_mm: float) -> list[str]:
    """Warn of slices that are copies of the one before, and of neighbors that do not continue each other."""
    if len(levels) < 2:
        return []
    seen = np.stack([_block_means(array[level]) for level in levels])
    apart = _differences(seen[1:], seen[:-1])
    copied = [
        at for at in np.flatnonzero(apart == 0).tolist() if np.array_equal(array[levels[at]], array[levels[at + 1]])
    ]
    said = []
    if copied and not _are_of_resampling(copied, len(levels)):
        what = "1 slice is a copy" if len(copied) == 1 else f"{len(copied)} slices are copies"
        said.append(
            f"{what} of the slice before (by position: {listed([str(levels[at + 1] + 1) for at in copied])}), so "
            "lesions there have a wrong size or are missing; export the CT again from its source."
        )
    is_other = np.append(True, apart > 0)  # copies repeat what the first one says
    seen, levels, apart = seen[is_other], levels[is_other], apart[is_other[1:]]
    if len(levels) < 2:
        return said
    better = np.minimum.reduce([_far_match(seen, levels, step_mm), _mirrored_match(seen), _match_around(seen)])
    broken = np.flatnonzero((apart > LEAST_DIFFERENCE_HU) & (apart > OUT_OF_ORDER * better))
    if len(broken):
        said.append(
            f"{_places(levels, broken)}, although other or mirrored slices of this CT would continue them, so the "
            "slices were likely sorted or turned wrongly; export the CT again from its source."
        )
    return said


def _are_of_resampling(copied: Sequence[int], count: int) -> bool:
    """Return whether copies, by their positions among ``count`` slices, are many or evenly spread over the CT."""
    gaps = np.diff(copied)
    is_even = len(copied) > 2 and np.ptp(gaps) <= 1 and sum(gaps) >= SPANNED_SHARE * count
    return bool(is_even or len(copied) > COPIED_SHARE * count)


def _places(levels: Array, broken: Array) -> str:
    pairs: Sequence[str] = [f"{levels[at] + 1} and {levels[at + 1] + 1}" for at in broken]
    what = "1 pair of neighboring slices does" if len(pairs) == 1 else f"{len(pairs)} pairs of neighboring slices do"
    return f"{what} not continue each other (by position: {listed(pairs)})"


def _block_means(plane: Array) -> Array:
    """Return the means (row, column) of blocks of a slice; a mirrored slice has the mirrored means."""
    blocks = []
    for axis in (0, 1):
        size = plane.shape[axis]
        count = min(BLOCKS, size)
        step = max(1, size // (count * PIXELS_PER_BLOCK))
        side = size // (count * step)
        first = (size - ((count * side - 1) * step + 1)) // 2  # what is left over is shared by both ends
        plane = plane.take(range(first, first + count * side * step, step), axis=axis)
        blocks += [count, side]
    return np.asarray(np.clip(plane, *CONTENT_HU).astype(np.float32).reshape(blocks).mean(axis=(1, 3)))


def _differences(these: Array, those: Array) -> Array:
    """Return the root mean square differences, HU, of slices (slice, row, column) one by one."""
    return np.asarray(np.sqrt(np.mean((these - those) ** 2, axis=(1, 2))))


def _far_match(seen: Array, levels: Array, step_mm: float) -> Array:
    """Return, for each pair of neighbors, the smallest difference of either one to a slice that lies far away."""
    flat = seen.reshape(len(seen), -1).astype(np.float64)
    lengths = np.einsum("ij,ij->i", flat, flat)
    apart = np.sqrt(np.maximum(lengths[:, None] + lengths - 2 * flat @ flat.T, 0) / flat.shape[1])
    order = np.arange(len(seen))
    is_near = np.abs(order[:, None] - order) <= FAR_SLICES
    is_near |= np.abs(levels[:, None] - levels) * step_mm < FAR_MM
    closest = np.where(is_near | (apart < LEAST_DIFFERENCE_HU), np.inf, apart).min(axis=1)
    return np.asarray(np.minimum(closest[:-1], closest[1:]))


def _mirrored_match(seen: Array) -> Array:
    """Return, for each pair of neighbors, their difference if one of them is mirrored or turned by 180 degrees."""
    turned = [np.flip(seen[1:], axes) for axes in ((1,), (2,), (1, 2))]
    return np.asarray(np.minimum.reduce([_differences(each, seen[:-1]) for each in turned]))


def _match_around(seen: Array) -> Array:
    """Return, for each pair of neighbors, the difference of the slice before and the slice after them."""
    around = np.full(len(seen) - 1, np.inf)
    if len(seen) > 3:
        around[1:-1] = _differences(seen[3:], seen[:-3])
    return around
