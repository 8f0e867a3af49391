"""Connected components of masks: what counts as connected, and which components contain given voxels."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .volume import Array, Mask

CONNECTIVITY = np.ones((3, 3, 3), dtype=bool)
"""26-connectivity: voxels that share a face, an edge or a corner belong to one lesion.

CT slices are thick compared with their pixels, so an oblique strand of a tumor often continues in the next slice over a
corner only. With fewer neighbors, such a tumor would count as two lesions.
"""


def components_at(labels: Array, seeds: Mask) -> Mask:
    """Return the labeled components that contain a voxel of ``seeds``.

    Args:
        labels: Components 1 ... n (slice, row, column), 0 elsewhere.
        seeds: A mask (bool) of the same shape; its voxels outside of all components do not count.

    Returns:
        A mask (bool) of the same shape.
    """
    chosen = np.bincount(labels[seeds], minlength=int(labels.max()) + 1) > 0
    chosen[0] = False
    return np.asarray(chosen[labels])


def connected_with(mask: Mask, seeds: Mask) -> Mask:
    """Return the components (26-connectivity) of a mask (bool) that contain a voxel of ``seeds``, of the same shape."""
    return components_at(ndimage.label(mask, structure=CONNECTIVITY)[0], seeds)


def largest_component(mask: Mask) -> Mask | None:
    """Return the largest component (26-connectivity) of a mask (bool), of the same shape; None if it is empty."""
    labels, count = ndimage.label(mask, structure=CONNECTIVITY)
    return np.asarray(labels == 1 + int(np.bincount(labels.ravel())[1:].argmax())) if count else None
