"""The isolation mask: the lungs, their mirror image about the spine axis, and what lies between: steps 4 and 5 of lung isolation.

The published pipeline unites the lung mask with its mirror image and dilates it with a disk of radius 5, so that a collapsed lung, fluid or
a large mass stays inside. On lung1_001 that holds 98.8 % of the tumor, but only 97 % of a tumor beside the spine of 4dlung_113, whose
lungs are not
symmetric, and 21 % of the mass of ibsi1_phantom, whose other lung is outside the image. So two things are united with it: a closing,
which fills
gaps up to 40 mm wide, and each lung's hull (``hull.py``).
"""

from __future__ import annotations

import numpy as np

from ..ct import AIR_HU, Array, CTVolume, Volume
from .hull import lung_hulls
from .morphology import bounding_box, close, dilate
from .spine import SpineAxis

MARGIN_MM = 5.0
"""Radius of the dilation: the published 5 pixels of a slice of 512 x 512 over the usual field of 500 mm, 0.977 mm each; in mm, so that it
does not depend on the reconstruction."""

LONE_LUNG_MARGIN_MM = 10.0
"""Margin of the hull where there is only one lung, so that no mirror image helps (ibsi1_phantom: 5 mm 98.2 %, 10 mm 99.8 % of the mass)."""

GAP_MM = 20.0
"""Radius of the closing within the slice."""


def search_region(left: Array, right: Array, axis: SpineAxis, like: Volume) -> Array:
    """Where lung may be, without margin: both lungs, bool (slices, rows, columns) on the grid of ``like``, mirrored, closed, and their
    hulls.
    """
    lungs = left | right
    region = np.asarray(lungs | mirrored(lungs, axis.columns(like)))
    hulls = lung_hulls(left, like.spacing) | lung_hulls(right, like.spacing)
    if not (left.any() and right.any()):
        hulls = dilate(hulls, LONE_LUNG_MARGIN_MM - MARGIN_MM, like.spacing, planar=True)
    box = bounding_box(region, GAP_MM, like.spacing)
    region[box] |= close(region[box], GAP_MM, like.spacing, planar=True)
    return region | hulls


def mirrored(mask: Array, columns: Array) -> Array:
    """``mask``, bool (slices, rows, columns), reflected in each slice about that slice's column of ``columns``, which may have
    fractions.
    """
    reflected = np.zeros_like(mask)
    width = mask.shape[2]
    for index, center in enumerate(columns):
        source = np.rint(2 * center - np.arange(width)).astype(int)
        inside = (source >= 0) & (source < width)
        reflected[index][:, inside] = mask[index][:, source[inside]]
    return reflected


def isolate(ct: CTVolume, mask: Volume) -> CTVolume:
    """``ct`` with every voxel outside ``mask`` (bool, same grid) set to ``AIR_HU``."""
    return CTVolume(np.where(mask.array, ct.array, ct.array.dtype.type(AIR_HU)), ct.affine, ct.warnings, ct.resampled)
