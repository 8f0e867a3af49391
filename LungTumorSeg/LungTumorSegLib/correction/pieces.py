"""Split a lesion into its connected components, and determine what surrounds it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..core.boxes import mask_on_grid
from ..core.components import CONNECTIVITY
from ..core.volume import Volume

SMALLEST_PIECE_ML = 0.03
"""Smallest volume of a component that becomes a lesion of its own, mL.

It equals the smallest lesion of a segmentation run (a nodule of about 4 mm). Smaller components stay with the largest
one.
"""


def pieces_of(mask: Volume, *, smallest_ml: float = SMALLEST_PIECE_ML) -> list[Volume]:
    """Split a mask into its connected components (26 neighbors).

    Args:
        mask: The mask (bool).
        smallest_ml: Components below this volume (mL) stay with the largest one.

    Returns:
        The components on the grid of the mask, largest first; one if the mask is connected.
    """
    parts, count = ndimage.label(mask.array, structure=CONNECTIVITY)
    voxels = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    order = np.argsort(-voxels, kind="stable")
    own = [number for number in order[1:] if voxels[number] * mask.voxel_volume_ml >= smallest_ml]
    separate = [mask.with_array(parts == number + 1) for number in own]
    rest = mask.array & ~np.isin(parts, np.asarray(own, dtype=int) + 1)
    return [mask.with_array(rest), *separate]


def surrounded_share(mask: Volume, by: Volume) -> float:
    """Return the share (0 to 1) of the voxels around a mask that belong to another mask.

    Args:
        mask: The mask (bool) with at least one true voxel. Voxels that share a face with it count.
        by: The other mask (bool), on any part of the same lattice of voxels.
    """
    padded = Volume(np.pad(mask.array, 1), mask.affine_from((-1, -1, -1)))
    rim = ndimage.binary_dilation(padded.array) & ~padded.array
    return float(np.count_nonzero(rim & mask_on_grid(by, padded)) / np.count_nonzero(rim))
