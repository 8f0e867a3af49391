"""The lungs as air-filled regions inside the body: step 2 of lung isolation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.volume import Array, Mask, Volume
from .carina import find_carina
from .morphology import (
    box_around,
    close,
    components_touching,
    dilate,
    grow_by_one,
    grow_over_corners,
    holes,
    label_components,
    open_,
)

LUNG_HU = -500
"""HU below which a voxel is lung or gas.

The value is halfway between air and soft tissue, so that the border is where partial volume places it.
"""

DEPENDENT_HU = -300
"""HU below which a voxel may be dependent lung.

At the back of a supine patient, the lung's own weight compresses it to -500 to -300 HU.
"""

DEPENDENT_RADIUS_MM = 4.0
"""Radius of a disk that fits into dependent lung, mm.

The border of every lung is blurred to the same HU, but is thinner: one to two voxels. Twice the size of a voxel is
therefore used if it is larger.
"""

DEPENDENT_MM = 25.0
"""Largest depth of the dependent layer, mm: it counts within this distance of lung."""

GAS_HU = -960
"""Median HU below which a region is gas (-990 to -970 HU in stomach and colon)."""

DARK_HU = -900
"""Median HU up to which a region may be emphysema, or gas with partial volume (-955 to -920 HU).

Healthy lung has -870 to -730 HU.
"""

GAS_HEIGHT = 0.25
"""Share of the height of the lungs that are not dark, below which a dark region is gas.

The center of the region decides.
"""

FRAGMENT_GAS_HU = -920
"""Median HU below which a fragment is gas.

Colon gas with the partial volume of its wall has -950 to -925 HU; fragments of lung have -870 to -520 HU.
"""

WALL_MM = 2.0
"""Thickness of the wall of trachea and main bronchi, mm, which is removed together with their lumen."""

MAIN_SHARE = 0.05
"""Share of the volume of the largest region from which a region is lung by itself (a lung beside a large effusion)."""

SMALLEST_ML = 0.03
"""Volume below which a region is noise, mL; it corresponds to half a dozen voxels of the coarse grid."""

REMNANT_SHARE = 0.2
"""Share of a fragment's voxels next to the wall of an airway from which the fragment is a remnant of that wall.

Such a remnant is blurred by the lumen. The share is 0.22 to 1 in lidc_0001 and lidc_0003, from the larynx downward, and
0 for fragments of lung.
"""

BEHIND_TRACHEA_MM, BESIDE_TRACHEA_MM = 25.0, 5.0
"""Reach of the space of the esophagus behind the trachea, and to both sides of it, mm.

The rule takes 1.5 mL from lidc_0003 in thin slices, 1.8 mL from lung1_001 (none of it lung by the expert's mask),
0.5 mL from 4dlung_113, and nothing from the other CTs used for development.
"""

SMALLEST_LUNG_ML = 1.0
"""Volume of air on one side below which there is no lung on that side, mL.

An example is a part of a bronchus at the border of ibsi1_phantom, which shows half a chest.
"""

VESSEL_MM = 8.0
"""Radius of the closing that fills vessels and joins regions, mm.

Twice the radius is the width of the largest vessels within a lung (16 mm).
"""


@dataclass(frozen=True, eq=False)
class AirRegions:
    """The connected regions of air in the body, without airways.

    Attributes:
        labels: The number of the region of each voxel (slice, row, column), 1 ... n; 0 elsewhere.
        sizes: The number of voxels of each region, of shape (n + 1,); 0 for number 0.
    """

    labels: Array
    sizes: Array


def find_air_regions(ct: Volume, body: Volume, airways: Volume) -> AirRegions:
    """Find the connected regions of air in the body, without airways.

    Args:
        ct: The CT (HU, axial LPS).
        body: The body (bool) on the same grid.
        airways: The lumen of trachea and main bronchi (bool) on the same grid.
    """
    air = body.array & (ct.array < LUNG_HU) & ~with_walls(airways)
    labels, count = label_components(air)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    return AirRegions(labels, sizes)


def find_lung_air(ct: Volume, regions: AirRegions) -> Volume:
    """Find the large air-filled regions that are lung, without airways and bowel gas.

    Args:
        ct: The CT (HU, axial LPS).
        regions: The regions of air on the same grid.

    Returns:
        The lung air (bool) on the same grid; empty if there is no lung.
    """
    labels, sizes = regions.labels, regions.sizes
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


def find_fragments(ct: Volume, regions: AirRegions, airways: Volume, air: Volume, expected: Mask) -> Volume:
    """Find the small air-filled regions that belong to the lungs.

    They are remnants of aerated lung in atelectasis, a consolidation or a scarred apex (48 mL of lung1_001's right
    apex). At least half of a fragment lies where lung is expected. A fragment is not as dark as gas, is no remnant of
    an airway's wall, and does not lie behind the trachea, where the esophagus is.

    Args:
        ct: The CT (HU, axial LPS).
        regions: The regions of air on the same grid.
        airways: The lumen of trachea and main bronchi (bool) on the same grid.
        air: The large regions, from ``find_lung_air``.
        expected: Where lung is expected, bool (slices, rows, columns).

    Returns:
        The fragments (bool) on the same grid.
    """
    labels, sizes = regions.labels, regions.sizes.copy()
    sizes[np.unique(labels[air.array])] = 0
    inside = np.bincount(labels[expected], minlength=len(sizes))
    beside = np.bincount(labels[grow_over_corners(with_walls(airways))], minlength=len(sizes))
    behind = np.bincount(labels[_behind_trachea(airways)], minlength=len(sizes))
    keep = (sizes * ct.voxel_volume_ml >= SMALLEST_ML) & (inside >= 0.5 * sizes) & (beside < REMNANT_SHARE * sizes)
    keep &= behind < 0.5 * sizes
    boxes = ndimage.find_objects(labels)
    for label in np.flatnonzero(keep):
        box = boxes[label - 1]
        keep[label] = np.median(ct.array[box][labels[box] == label]) > FRAGMENT_GAS_HU
    return ct.with_array(keep[labels])


def _behind_trachea(airways: Volume) -> Mask:
    """Return the space of the esophagus above the carina (bool); nothing where there is no carina.

    Below the carina, collapsed lung may lie behind a main bronchus.
    """
    carina = find_carina(airways)
    space = np.zeros_like(airways.array)
    if carina is None:
        return space
    lowest = int(np.ceil(airways.lps_to_index(carina)[0]))
    _, row_mm, column_mm = airways.spacing
    sides = int(np.ceil(BESIDE_TRACHEA_MM / column_mm))
    trachea = ndimage.binary_dilation(airways.array[lowest:], np.ones((1, 1, 2 * sides + 1), bool))
    for step in range(1, int(np.ceil(BEHIND_TRACHEA_MM / row_mm)) + 1):
        space[lowest:, step:] |= trachea[:, :-step]
    return space


def find_dependent(ct: Volume, body: Volume, airways: Volume, lungs: Mask, other: Mask) -> Mask:
    """Find the dependent lung that adjoins a lung in the same slice.

    Lung density increases with depth, so this layer continues the lung without a wall between them. A region that a
    wall separates from the lung is bowel.

    Args:
        ct: The CT (HU, axial LPS).
        body: The body (bool) on the same grid.
        airways: The lumen of trachea and main bronchi (bool) on the same grid.
        lungs: The lung, bool (slices, rows, columns).
        other: The other lung, which is excluded.

    Returns:
        bool (slices, rows, columns).
    """
    found = np.zeros_like(lungs)
    if not lungs.any():
        return found
    box = box_around(lungs, DEPENDENT_MM, ct.spacing, planar=True)
    hu, near = ct.array[box], lungs[box]
    candidate = (hu < DEPENDENT_HU) & body.array[box] & ~other[box] & ~with_walls(airways)[box]
    radius_mm = max(DEPENDENT_RADIUS_MM, 2 * max(ct.spacing[1:]))
    candidate = open_(candidate & ~near, radius_mm, ct.spacing, planar=True)
    candidate &= dilate(near, DEPENDENT_MM, ct.spacing, planar=True)
    found[box] = components_touching(candidate, grow_by_one(near))
    return found


def fill_lung(air: Volume, body: Volume, airways: Volume) -> Volume:
    """Fill the vessels and small consolidations in the air of one lung.

    The air is closed in 3D, and then holes are filled in each axial slice. The result is empty if there is less than 1
    mL of air, which is no lung.
    """
    lung = air.array.copy()
    if np.count_nonzero(lung) * air.voxel_volume_ml < SMALLEST_LUNG_ML:
        lung[:] = False
    else:
        box = box_around(lung, VESSEL_MM, air.spacing)
        closed = close(lung[box], VESSEL_MM, air.spacing)
        for plane in closed:
            plane |= holes(plane)
        lung[box] |= closed & body.array[box] & ~with_walls(airways)[box]
    return air.with_array(lung)


def with_walls(airways: Volume) -> Mask:
    """Return the lumen of the airways together with its wall, bool (slices, rows, columns)."""
    return dilate(airways.array, WALL_MM, airways.spacing)
