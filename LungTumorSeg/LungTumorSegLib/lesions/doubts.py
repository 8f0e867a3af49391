"""Reasons to doubt that a segment is a lesion (size, density, location), and candidates below the threshold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from ..core.crops import Crop, crop_of
from ..core.points import lies_in
from ..core.texts import counted, listed
from ..core.volume import Mask, Volume
from ..isolation.body import find_body
from ..isolation.doubts import UNEVEN_RATIO
from ..isolation.working_grid import coarsen
from .lesion import Lesion

MOSTLY_AIR_HU = -750
"""Median HU below which a segment is mostly air or lung; ground glass begins near -750 HU."""

IN_BODY_SHARE = 0.5
"""Share of a lesion's voxels in the body below which the lesion lies outside the body."""

FILLED_SHARE = 0.5
"""Share of the CT above which a segment is no lesion but its surroundings, as in an inverted mask."""

TELLING_ML = 0.5
"""Smallest volume, in mL, of a candidate below the confidence threshold that a warning mentions.

It is the volume of a ball of 10 mm; smaller candidates are often noise.
"""

OVERLAP_SHARE = 0.1
"""Share of the smaller of two lesions above which their overlap is doubtful."""

LARGEST_GAP_SLICES = 5
"""Largest number of empty slices in a row that look forgotten; a larger gap separates two lesions."""

CONTINUES_SHARE = 0.5
"""Share of the smaller of two outlines above which the one continues the other beyond a gap."""

FLAT_RATIO = 3.0
"""Ratio of width to slice distance above which a lesion in a single slice is an outline, not a volume."""


def lesion_doubts(
    lesions: Sequence[Lesion],
    crops: Sequence[Crop],
    ct: Volume,
    lungs: tuple[Volume, Volume] | None,
    *,
    body: Volume | None = None,
) -> Iterator[str]:
    """Yield a sentence for the user about each segment that is probably not a lesion.

    Args:
        lesions: The lesions.
        crops: Their masks in the same order, on the grid of ``ct``.
        ct: The CT (HU) with canonical axes.
        lungs: Left and right lung (bool, same grid); None if they are not known. A remnant of a lung that was not found
            says nothing about the size of lungs.
        body: The body (bool) on any grid, if it is known; otherwise it is found in the CT.

    Yields:
        One sentence per doubtful lesion, with all reasons.
    """
    lungs_ml = sorted(lung.mask_ml for lung in lungs or ())
    lung_ml = next((each for each in lungs_ml if UNEVEN_RATIO * each >= lungs_ml[-1] > 0), np.inf)
    outside = _outside_of_body(crops, ct, body)
    for lesion, is_outside in zip(lesions, outside, strict=True):
        found = []
        if lesion.volume_ml > lung_ml:
            found.append(f"is larger than a lung ({lesion.volume_ml:.0f} mL)")
        if (share := lesion.volume_ml / (ct.array.size * ct.voxel_volume_ml)) > FILLED_SHARE:
            found.append(f"fills {share:.0%} of the CT")
        if lesion.hu.median_hu < MOSTLY_AIR_HU:
            found.append(f"is mostly air (median {lesion.hu.median_hu:.0f} HU)")
        if is_outside:
            found.append("lies outside the body")
        if found:
            yield (
                f"The segment {lesion.segment} {' and '.join(found)}. Check whether it is a lesion, and rename or "
                "remove it if it is not."
            )


def threshold_doubts(volumes_ml: Sequence[float], min_confidence: float) -> Iterator[str]:
    """Yield a sentence for the user if large candidates lie below the confidence threshold.

    Without it, a CT with candidates could be taken for one without.

    Args:
        volumes_ml: Volumes of the candidates below the threshold, mL, largest first.
        min_confidence: The confidence threshold.
    """
    telling = [volume_ml for volume_ml in volumes_ml if volume_ml >= TELLING_ML]
    if len(telling) == 1:
        yield (
            f"1 candidate below the confidence threshold of {min_confidence:g} is not shown ({telling[0]:.1f} mL). "
            "Lower the threshold to include it."
        )
    elif telling:
        yield (
            f"{len(telling)} candidates below the confidence threshold of {min_confidence:g} are not shown (largest: "
            f"{telling[0]:.1f} mL). Lower the threshold to include them."
        )


def same_name_doubts(lesions: Sequence[Lesion]) -> Iterator[str]:
    """Yield a sentence if lesions have the same name, so that tables and comparisons cannot tell them apart.

    Args:
        lesions: The lesions.
    """
    names = [lesion.segment for lesion in lesions]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        yield (
            f"Several lesions have the same name ({listed(twice)}), and a comparison with another CT needs different "
            "ones. Rename them."
        )


def overlap_doubts(lesions: Sequence[Lesion], crops: Sequence[Crop], labels: Volume) -> Iterator[str]:
    """Yield a sentence if lesions share a large part of their voxels, which the totals count more than once.

    Args:
        lesions: The lesions.
        crops: Their masks in the same order, on the grid of ``labels``.
        labels: The number of the lesion of each voxel; of the smallest one where several lesions share it.
    """
    known = {lesion.number: lesion for lesion in lesions}
    pairs = []
    for lesion, crop in zip(lesions, crops, strict=True):
        numbers, counts = np.unique(crop.voxels_of(labels), return_counts=True)
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            other, shared_ml = known[number], count * labels.voxel_volume_ml
            if other is not lesion and shared_ml > OVERLAP_SHARE * min(lesion.volume_ml, other.volume_ml):
                pairs.append(f"{lesion.segment} and {other.segment} ({shared_ml:.3g} mL)")
    if pairs:
        yield (
            f"Lesions overlap, and all totals count what they share more than once: {listed(pairs)}. Keep one of them, "
            "or remove the shared part from the other."
        )


def outline_doubts(lesions: Sequence[Lesion], crops: Sequence[Crop]) -> Iterator[str]:
    """Yield a sentence about each lesion that was probably not outlined in all its slices, so that its volume is wrong.

    Editors that do not interpolate leave every second slice empty, and some outlines are drawn in the largest slice
    only.

    Args:
        lesions: The lesions.
        crops: Their masks in the same order, with canonical axes.
    """
    for lesion, crop in zip(lesions, crops, strict=True):
        slice_mm = crop.mask.spacing[0]
        empty = _forgotten_slices(crop.mask.array)
        found = ""
        if empty:
            found = f"is empty in {counted(empty, 'slice')} between slices that it fills"
        elif np.count_nonzero(crop.mask.array.any(axis=(1, 2))) == 1 and lesion.long_axis.length_mm > (
            FLAT_RATIO * slice_mm
        ):
            found = (
                f"fills a single slice, although it is {lesion.long_axis.length_mm:.0f} mm wide and the slices are "
                f"{slice_mm:.1f} mm apart"
            )
        if found:
            yield (
                f"The segment {lesion.segment} {found}, so its volume is probably too small. Outline it in all slices "
                "(in Slicer: Fill between slices)."
            )


def _forgotten_slices(mask: Mask) -> int:
    """Return how many slices of a mask (slice, row, column) are empty although the outline continues beyond them."""
    filled, count = np.flatnonzero(mask.any(axis=(1, 2))), 0
    for below, above in pairwise(filled.tolist()):
        smaller = min(np.count_nonzero(mask[below]), np.count_nonzero(mask[above]))
        if 1 < above - below <= LARGEST_GAP_SLICES + 1:
            shared = np.count_nonzero(mask[below] & mask[above])
            count += above - below - 1 if shared > CONTINUES_SHARE * smaller else 0
    return count


def _outside_of_body(crops: Sequence[Crop], ct: Volume, body: Volume | None) -> list[bool]:
    """Return which crops lie mostly outside the body.

    None does if no body is found, for example in a CT of a part of the lung.
    """
    if not crops:
        return []
    if body is None:
        body = find_body(coarsen(ct))  # a lesion lies either in the body or far from it
    inside = crop_of(body)
    if inside is None:
        return [False] * len(crops)
    voxels = (crop.mask.index_to_lps(np.argwhere(crop.mask.array)) for crop in crops)
    return [bool(lies_in(inside.mask, points).mean() < IN_BODY_SHARE) for points in voxels]
