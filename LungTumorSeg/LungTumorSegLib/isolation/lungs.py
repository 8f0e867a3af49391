"""The lungs as air-filled volumes inside the body: step 2 of lung isolation."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..ct import Array, Volume
from .morphology import bounding_box, close, dilate

LUNG_HU = -500
"""Below it a voxel is lung or gas, HU: halfway between air and soft tissue, so that the border lies where partial volume puts it."""

GAS_HU = -960
"""A large region darker than this in the median is gas in stomach or colon (-990 to -970); lung, emphysema included, has walls in it."""

FRAGMENT_GAS_HU = -920
"""The same for fragments: colon gas mixed with the partial volume of its wall has -950 to -925, fragments of lung -870 to -520."""

WALL_MM = 2.0
"""Wall of trachea and main bronchi, taken out together with their lumen."""

MAIN_SHARE = 0.05
"""A region with at least this share of the largest one's volume is lung by itself (a lung beside a large effusion)."""

SMALLEST_ML = 0.03
"""Regions below this, mL, are noise; half a dozen voxels of the coarse grid."""

VESSEL_MM = 8.0
"""Radius of the closing that fills vessels and joins regions: twice that is the width of the largest vessels within a lung (16 mm)."""


def find_lung_air(ct: Volume, body: Volume, airways: Volume) -> Volume:
    """The large air-filled regions that are lung, a bool mask on the grid of ``ct`` (axial LPS, HU): no airways, no gas in a bowel.

    ``body`` and ``airways`` are masks on the same grid. Empty if there is no lung.
    """
    labels, sizes = _air_regions(ct, body, airways)
    keep = np.zeros(len(sizes), bool)
    largest = 0
    for label in np.argsort(-sizes):
        if sizes[label] == 0 or sizes[label] < MAIN_SHARE * largest:
            break
        if np.median(ct.array[labels == label]) > GAS_HU:
            keep[label] = True
            largest = max(largest, int(sizes[label]))
    return ct.with_array(keep[labels])


def find_fragments(ct: Volume, body: Volume, airways: Volume, air: Volume, region: Array) -> Volume:
    """The small air-filled regions that belong to the lungs, a bool mask on the grid of ``ct``.

    They are remnants of aerated lung in a collapse, a consolidation or a scarred apex (48 mL of lung1_001's right apex). ``air`` holds the
    large regions; a fragment lies by half or more within ``region``, where lung is expected, and is not as dark as gas.
    """
    labels, sizes = _air_regions(ct, body, airways)
    labels[air.array] = 0
    left = np.bincount(labels.ravel(), minlength=len(sizes))
    inside = np.bincount(labels[region], minlength=len(sizes))
    keep = (left * ct.voxel_volume_ml >= SMALLEST_ML) & (2 * inside >= left)
    keep[0] = False
    boxes = ndimage.find_objects(labels)
    for label in np.flatnonzero(keep):
        box = boxes[label - 1]
        keep[label] = np.median(ct.array[box][labels[box] == label]) > FRAGMENT_GAS_HU
    return ct.with_array(keep[labels])


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


def _air_regions(ct: Volume, body: Volume, airways: Volume) -> tuple[Array, Array]:
    """The connected regions of air in the body, without airways, as labels 1 ... n, and their voxel counts (0 for label 0)."""
    air = body.array & (ct.array < LUNG_HU) & ~dilate(airways.array, WALL_MM, ct.spacing)
    labels, count = ndimage.label(air)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    return labels, sizes
