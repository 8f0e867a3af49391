"""A lesion taken apart into what is not connected, and what lies around it."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from ..core.boxes import placed
from ..core.volume import Volume
from ..lesions.components import CONNECTIVITY

SMALLEST_PIECE_ML = 0.03
"""A smaller piece is no lesion of its own, as in a run (a nodule below 4 mm); it stays with the largest piece."""


def pieces_of(mask: Volume, *, smallest_ml: float = SMALLEST_PIECE_ML) -> list[Volume]:
    """The connected pieces (26 neighbors) of a mask (bool), largest first, each on the mask's grid; one where it is connected."""
    parts, count = ndimage.label(mask.array, structure=CONNECTIVITY)
    voxels = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    order = np.argsort(-voxels, kind="stable")
    own = [number for number in order[1:] if voxels[number] * mask.voxel_volume_ml >= smallest_ml]
    separate = [mask.with_array(parts == number + 1) for number in own]
    rest = mask.array & ~np.isin(parts, np.asarray(own, dtype=int) + 1)
    return [mask.with_array(rest), *separate]


def surrounded_share(mask: Volume, by: Volume) -> float:
    """The share of the voxels next to ``mask`` (over a face; bool, at least one true voxel) that belong to another mask on its lattice."""
    affine = mask.affine.copy()
    affine[:3, 3] = mask.index_to_lps((-1, -1, -1))
    padded = Volume(np.pad(mask.array, 1), affine)
    rim = ndimage.binary_dilation(padded.array) & ~padded.array
    return float(np.count_nonzero(rim & placed(by, padded)) / np.count_nonzero(rim))
