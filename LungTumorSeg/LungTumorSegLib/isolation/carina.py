"""The carina: the point where the trachea divides into the two main bronchi."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from ..core.volume import CTVolume, Mask, Point, Volume, as_point
from .airways import find_airways
from .body_size import as_adult, magnify_point, magnify_volume
from .morphology import label_components

BRONCHUS_MM = 9.0
"""Length over which both lumens continue below the division, mm.

A main bronchus is 20 to 50 mm long; a pocket of the trachea is shorter.
"""


def body_and_carina(ct: CTVolume) -> tuple[Volume, Point | None]:
    """Find the body and the carina of a chest CT in any orientation.

    Returns:
        The body (bool) on a grid of about 2 mm with canonical axes; and the carina, LPS mm, or None if the trachea and
        both main bronchi are not found.
    """
    axial: Volume = ct.canonical_axes().apply(ct)
    _, coarse, body, unit = as_adult(axial)
    carina = find_carina(find_airways(coarse, body))
    return magnify_volume(body, unit), None if carina is None else magnify_point(carina, unit)


def carina_of(ct: CTVolume) -> Point | None:
    """Find the carina, LPS mm, of a chest CT in any orientation; see ``body_and_carina``."""
    return body_and_carina(ct)[1]


def find_carina(airways: Volume) -> Point | None:
    """Find the carina from the airways.

    The carina is the point midway between both lumens in the uppermost axial slice in which the trachea has divided.

    Args:
        airways: The lumen of trachea and main bronchi (bool, canonical axes).

    Returns:
        The carina, LPS mm; None if the trachea does not divide.
    """
    occupied = np.flatnonzero(airways.array.any(axis=(1, 2)))
    if not len(occupied):
        return None
    trachea = airways.array[occupied[-1]]
    slices = int(np.ceil(BRONCHUS_MM / airways.spacing[0]))
    for index in range(int(occupied[-1]) - 1, -1, -1):
        lumens = _going_on(airways.array[index], trachea)
        if len(lumens) == 2 and _stay_apart(airways.array[: index + 1], lumens, slices):
            return _between(lumens, index, airways)
        if not lumens:
            return None
        trachea = np.logical_or.reduce(lumens)
    return None


def _going_on(slice_: Mask, above: Mask) -> list[Mask]:
    """Return the regions of a slice (bool) that overlap with a lumen of the slice above."""
    labels, _ = label_components(slice_)
    return [labels == label for label in np.unique(labels[above & slice_])]


def _stay_apart(airways: Mask, lumens: list[Mask], slices: int) -> bool:
    """Return whether two lumens of the last slice continue for a number of slices without merging."""
    if slices > len(airways) - 1:
        return False
    for slice_ in airways[-2 : -2 - slices : -1]:
        followed = [_going_on(slice_, lumen) for lumen in lumens]
        if not all(followed):
            return False
        lumens = [np.logical_or.reduce(regions) for regions in followed]
        if (lumens[0] & lumens[1]).any():
            return False
    return True


def _between(lumens: list[Mask], index: int, airways: Volume) -> Point:
    """Return the point midway between the nearest voxels of two lumens of a slice.

    If several pairs are equally near, the result is their mean.
    """
    first, second = (
        airways.index_to_lps(np.column_stack([np.full(lumen.sum(), index), np.argwhere(lumen)])) for lumen in lumens
    )
    distance, nearest = cKDTree(second).query(first)
    close = distance <= distance.min() + min(airways.spacing[1:]) / 2
    return as_point(((first[close] + second[nearest[close]]) / 2).mean(axis=0))
