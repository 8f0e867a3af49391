"""Split a tumor mask into numbered lesions: connected components, largest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import ndimage

from ..core.boxes import Box, bounding_box, box_of, overlap, relative_box, shift_index, slices_of
from ..core.components import CONNECTIVITY
from ..core.crops import Crop, crop_of
from ..core.errors import UnusableInput
from ..core.volume import Array, Mask, Volume

MOST_LESIONS = int(np.iinfo(np.uint16).max)
"""Largest number of lesions that a uint16 label map can hold."""


def label_lesions(tumor: Volume, *, min_lesion_ml: float, together: Sequence[Crop] = ()) -> Volume:
    """Label the lesions of a tumor mask, largest first.

    Of two lesions with equal volume, the one with the first voxel comes first. With canonical axes, this is the lesion
    nearer to the feet, then to the front, then to the patient's right.

    Args:
        tumor: The mask (bool).
        min_lesion_ml: Components (26-connectivity) below this volume (mL) are dropped.
        together: Masks on the same grid whose components each form one lesion.

    Returns:
        Labels 1 ... n (uint16) on the same grid, 0 elsewhere.

    Raises:
        UnusableInput: More than 65,535 components remain.
    """
    labels = np.zeros(tumor.shape, dtype=np.uint16)
    crop = crop_of(tumor)
    if crop is None:
        return tumor.with_array(labels)
    components, count = ndimage.label(crop.mask.array, structure=CONNECTIVITY)
    components = _united(components, count, crop.box, together)
    voxels = np.bincount(components.ravel(), minlength=count + 1)[1:]
    kept = np.flatnonzero(voxels * tumor.voxel_volume_ml >= min_lesion_ml)
    if len(kept) > MOST_LESIONS:
        raise UnusableInput(
            f"The mask has {len(kept)} separate lesions; raise the smallest lesion volume above {min_lesion_ml:g} mL."
        )
    kept = kept[np.argsort(-voxels[kept], kind="stable")]
    number = np.zeros(count + 1, dtype=np.uint16)
    number[kept + 1] = np.arange(1, len(kept) + 1)
    labels[crop.slices] = number[components]
    return tumor.with_array(labels)


def _united(components: Array, count: int, box: Box, together: Sequence[Crop]) -> Array:
    """Give all components that a mask of ``together`` touches one number, the smallest of theirs."""
    number = np.arange(count + 1)
    for one in together:
        shared = overlap(one.box, box)  # the box of a crop may be larger than its mask
        if shared is None:
            continue
        inside = components[slices_of(relative_box(shared, box))]
        own = np.unique(number[inside[one.mask.array[slices_of(relative_box(shared, one.box))]]])
        own = own[own > 0]
        if len(own) > 1:
            number[np.isin(number, own)] = own[0]
    return number[components]


def rim_of(mask: Mask) -> Mask:
    """Return the true voxels of a mask (slice, row, column) that share a face with a false voxel or with its border."""
    return np.asarray(mask & ~ndimage.binary_erosion(mask))


def lesion_crops(labels: Volume) -> Iterator[Crop]:
    """Yield the lesions of a label map (1 ... n) in the order of their labels, each within its own bounding box."""
    for _, crop in numbered_crops(labels):
        yield crop


def numbered_crops(labels: Volume) -> Iterator[tuple[int, Crop]]:
    """Yield the lesions of a label map with their labels, as ``lesion_crops`` does.

    Labels without any voxel, such as those of lesions that lie entirely under others, are skipped.
    """
    whole = bounding_box(labels.array)
    if whole is None:
        return
    for number, part in enumerate(ndimage.find_objects(labels.array[slices_of(whole)]), start=1):
        if part is not None:
            start, stop = box_of(part)
            box = shift_index(start, whole[0]), shift_index(stop, whole[0])
            crop = labels.crop(*box)
            yield number, Crop(crop.with_array(crop.array == number), box)
