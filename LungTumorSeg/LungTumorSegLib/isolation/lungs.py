"""The lungs as air-filled volumes inside the body: step 2 of lung isolation."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..core.volume import Array, Volume
from .morphology import bounding_box, close, dilate, open_

LUNG_HU = -500
"""Below it a voxel is lung or gas, HU: halfway between air and soft tissue, so that the border lies where partial volume puts it."""

DEPENDENT_HU = -300
"""Below it a voxel may be dependent lung, HU: what its own weight has pressed to -500 to -300 at the back of a supine patient."""

DEPENDENT_RADIUS_MM = 4.0
"""Dependent lung holds a disk of this radius. The border of every lung, blurred to the same HU, is thinner: one to two voxels, so that
twice the voxel's size counts where that is more."""

DEPENDENT_MM = 25.0
"""How deep the dependent layer may be: it counts within this distance of lung."""

GAS_HU = -960
"""A region darker than this in the median is gas (-990 to -970 in stomach and colon), HU."""

DARK_HU = -900
"""A region as dark as this may be emphysema or gas blurred by partial volume (-955 to -920), HU; healthy lung has -870 to -730."""

GAS_HEIGHT = 0.25
"""Such a region is gas if its center lies below this share of the height of the lungs that are not dark."""

FRAGMENT_GAS_HU = -920
"""The same for fragments: colon gas mixed with the partial volume of its wall has -950 to -925, fragments of lung -870 to -520."""

WALL_MM = 2.0
"""Wall of trachea and main bronchi, taken out together with their lumen."""

MAIN_SHARE = 0.05
"""A region with at least this share of the largest one's volume is lung by itself (a lung beside a large effusion)."""

SMALLEST_ML = 0.03
"""Regions below this, mL, are noise; half a dozen voxels of the coarse grid."""

REMNANT_SHARE = 0.2
"""A fragment with at least this share of its voxels right beside an airway's wall is a rest of that wall, blurred by the lumen
(0.22 to 1 in lidc_0001 and lidc_0003, from the larynx down; fragments of lung: 0)."""

SMALLEST_LUNG_ML = 1.0
"""Air on one side below this, mL, is no lung: a bit of a bronchus at the border of ibsi1_phantom, which shows half a chest."""

CORNERS = np.ones((3, 3, 3), dtype=bool)
"""A voxel's neighbors over faces, edges and corners."""

VESSEL_MM = 8.0
"""Radius of the closing that fills vessels and joins regions: twice that is the width of the largest vessels within a lung (16 mm)."""


def find_lung_air(ct: Volume, body: Volume, airways: Volume) -> Volume:
    """The large air-filled regions that are lung, a bool mask on the grid of ``ct`` (axial LPS, HU): no airways, no gas in a bowel.

    ``body`` and ``airways`` are masks on the same grid. Empty if there is no lung.
    """
    labels, sizes = _air_regions(ct, body, airways)
    large = [
        int(label) for label in np.argsort(-sizes) if sizes[label] > 0 and sizes[label] >= MAIN_SHARE * sizes.max()
    ]
    medians = {label: float(np.median(ct.array[labels == label])) for label in large}
    keep = np.zeros(len(sizes), bool)
    keep[[label for label in large if medians[label] > DARK_HU]] = True
    slices = np.flatnonzero(keep[labels].any(axis=(1, 2)))
    floor = slices[0] + GAS_HEIGHT * (slices[-1] - slices[0]) if len(slices) else -1.0
    for label in large:
        if GAS_HU < medians[label] <= DARK_HU:
            keep[label] = np.nonzero(labels == label)[0].mean() > floor
    return ct.with_array(keep[labels])


def find_fragments(ct: Volume, body: Volume, airways: Volume, air: Volume, region: Array) -> Volume:
    """The small air-filled regions that belong to the lungs, a bool mask on the grid of ``ct``.

    They are remnants of aerated lung in a collapse, a consolidation or a scarred apex (48 mL of lung1_001's right apex). ``air`` holds the
    large regions; a fragment lies by half or more within ``region``, where lung is expected, is not as dark as gas, and is no rest of an
    airway's wall.
    """
    labels, sizes = _air_regions(ct, body, airways)
    sizes[np.unique(labels[air.array])] = 0
    inside = np.bincount(labels[region], minlength=len(sizes))
    beside = np.bincount(labels[ndimage.binary_dilation(with_walls(airways), CORNERS)], minlength=len(sizes))
    keep = (sizes * ct.voxel_volume_ml >= SMALLEST_ML) & (inside >= 0.5 * sizes) & (beside < REMNANT_SHARE * sizes)
    boxes = ndimage.find_objects(labels)
    for label in np.flatnonzero(keep):
        box = boxes[label - 1]
        keep[label] = np.median(ct.array[box][labels[box] == label]) > FRAGMENT_GAS_HU
    return ct.with_array(keep[labels])


def find_dependent(ct: Volume, body: Volume, airways: Volume, lungs: Array, other: Array) -> Array:
    """Find the dependent lung that lies right at ``lungs`` in the same slice and is not the ``other`` lung; bool (slices, rows, columns).

    Lung grows denser with depth, so this layer goes on from lung without a wall between; what a wall parts from lung is bowel.
    """
    found = np.zeros_like(lungs)
    if not lungs.any():
        return found
    box = bounding_box(lungs, DEPENDENT_MM, ct.spacing, planar=True)
    hu, near = ct.array[box], lungs[box]
    candidate = (hu < DEPENDENT_HU) & body.array[box] & ~other[box] & ~with_walls(airways)[box]
    radius_mm = max(DEPENDENT_RADIUS_MM, 2 * max(ct.spacing[1:]))
    candidate = open_(candidate & ~near, radius_mm, ct.spacing, planar=True)
    candidate &= dilate(near, DEPENDENT_MM, ct.spacing, planar=True)
    labels, _ = ndimage.label(candidate)
    touching = labels[ndimage.binary_dilation(near) & candidate]
    found[box] = np.isin(labels, np.unique(touching)) & candidate
    return found


def fill_lung(air: Volume, body: Volume, airways: Volume) -> Volume:
    """One lung's air with the vessels and small consolidations in it: closed in 3D, then without holes in any axial slice.

    Empty where there is less than 1 mL of air, which is no lung.
    """
    lung = air.array.copy()
    if np.count_nonzero(lung) * air.voxel_volume_ml < SMALLEST_LUNG_ML:
        lung[:] = False
    else:
        box = bounding_box(lung, VESSEL_MM, air.spacing)
        closed = close(lung[box], VESSEL_MM, air.spacing)
        for plane in closed:
            plane |= ndimage.binary_fill_holes(plane)
        lung[box] |= closed & body.array[box] & ~with_walls(airways)[box]
    return air.with_array(lung)


def with_walls(airways: Volume) -> Array:
    """The airways' lumen together with its wall, a bool array (slices, rows, columns)."""
    return dilate(airways.array, WALL_MM, airways.spacing)


def _air_regions(ct: Volume, body: Volume, airways: Volume) -> tuple[Array, Array]:
    """The connected regions of air in the body, without airways, as labels 1 ... n, and their voxel counts (0 for label 0)."""
    air = body.array & (ct.array < LUNG_HU) & ~with_walls(airways)
    labels, count = ndimage.label(air)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    return labels, sizes
