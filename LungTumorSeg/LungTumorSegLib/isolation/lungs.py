"""Both lungs as air-filled volumes inside the body: step 2 of lung isolation."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..ct import Array, Volume
from .morphology import bounding_box, close, dilate

LUNG_HU = -500
"""Below it a voxel is lung or gas, HU: halfway between air and soft tissue, so that the border lies where partial volume puts it."""

GAS_HU = -970
"""A region darker than this in the median is gas in stomach, bowel or colon; lung, emphysema included, has vessels and walls in it."""

WALL_MM = 2.0
"""Wall of trachea and main bronchi, taken out together with their lumen."""

SMALLEST_SHARE = 0.05
"""A region with at least this share of the largest one's volume is lung by itself (a lung beside a large effusion)."""

VESSEL_MM = 8.0
"""Radius of the closing that fills vessels and joins regions: twice that is the width of the largest vessels within a lung (16 mm)."""


def find_lung_air(ct: Volume, body: Volume, airways: Volume) -> Volume:
    """The air-filled regions that are lung, a bool mask on the grid of ``ct`` (axial LPS, HU): no airways, no gas in bowel or stomach.

    ``body`` and ``airways`` are masks on the same grid. Empty if there is no lung.
    """
    tubes = dilate(airways.array, WALL_MM, ct.spacing)
    return ct.with_array(_lung_regions(body.array & (ct.array < LUNG_HU) & ~tubes, ct.array))


def fill_lung(air: Volume, body: Volume, airways: Volume) -> Volume:
    """One lung's air with the vessels and small consolidations in it: closed in 3D, then without holes in any axial slice."""
    lung = air.array.copy()
    if lung.any():
        box = bounding_box(lung, VESSEL_MM, air.spacing)
        closed = close(lung[box], VESSEL_MM, air.spacing)
        for plane in closed:
            plane |= ndimage.binary_fill_holes(plane)
        lung[box] |= closed & body.array[box] & ~dilate(airways.array[box], WALL_MM, air.spacing)
    return air.with_array(lung)


def _lung_regions(air: Array, hu: Array) -> Array:
    labels, count = ndimage.label(air)
    if count == 0:
        return air
    numbers = np.arange(1, count + 1)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    largest = 0
    keep = np.zeros(count + 1, bool)
    for number in numbers[np.argsort(-sizes)]:
        size = sizes[number - 1]
        if size < SMALLEST_SHARE * largest:
            break
        if np.median(hu[labels == number]) > GAS_HU:
            keep[number] = True
            largest = max(largest, size)
    return np.asarray(keep[labels])
