"""The lungs united with their mirror image about the spine axis: step 4 of lung isolation.

What atelectasis, an effusion or a large mass hides in one lung, the other lung shows.
"""

from __future__ import annotations

import numpy as np

from ..core.volume import Array, Mask, Volume
from .morphology import box_around, close
from .spine import SpineAxis

GAP_MM = 20.0
"""Radius of the closing of the union within the slice, mm.

It fills gaps of up to 40 mm between lung and mirror image. Of 4dlung_113's tumor beside the spine, the region contains
97% without the closing and 99.5% with it.
"""


def mirrored_lungs(lungs: Volume, axis: SpineAxis) -> Mask:
    """Return both lungs (bool, axial LPS) united with their mirror image and closed, without margin."""
    region = lungs.array | mirror_mask(lungs.array, axis.columns(lungs))
    box = box_around(region, GAP_MM, lungs.spacing)
    region[box] |= close(region[box], GAP_MM, lungs.spacing, planar=True)
    return region


def mirror_mask(mask: Mask, columns: Array) -> Mask:
    """Reflect ``mask``, bool (slices, rows, columns), in each slice about that slice's entry of ``columns``.

    The entries of ``columns``, shape (slices,), are fractional columns.
    """
    reflected = np.zeros_like(mask)
    width = mask.shape[2]
    for index, center in enumerate(columns):
        source = np.rint(2 * center - np.arange(width)).astype(int)
        inside = (source >= 0) & (source < width)
        reflected[index][:, inside] = mask[index][:, source[inside]]
    return reflected
