"""Operations on masks that are stored as crops of one grid, such as the outlines of the lesions of a CT."""

from __future__ import annotations

from collections.abc import Iterable

from scipy import ndimage

from .boxes import overlap, relative_box, slices_of, unite_boxes, widen_box
from .components import CONNECTIVITY
from .crops import Crop, crop_at, trimmed_crop_at
from .points import voxel_at
from .volume import Geometry, Point


def contains(crop: Crop, point: Point, grid: Geometry) -> bool:
    """Return whether the voxel of a grid at a point, LPS mm, belongs to a crop of this grid."""
    index = voxel_at(point, grid) - crop.box[0]
    inside = (index >= 0).all() and (index < crop.mask.shape).all()
    return bool(inside and crop.mask.array[tuple(index)])


def unite_crops(a: Crop | None, b: Crop, grid: Geometry) -> Crop:
    """Return the union of two crops ``a`` and ``b`` of a grid; None is an empty one."""
    if a is None:
        return b
    box = unite_boxes(a.box, b.box)
    return crop_at(a.filling(box) | b.filling(box), box, grid)


def apart_from(crop: Crop, others: Iterable[Crop], grid: Geometry) -> Crop | None:
    """Return a crop without others and without the voxels that touch them, so that a gap of one voxel separates them.

    Args:
        crop: The crop, such as the outline of a haze.
        others: Crops of the same grid, such as the outlines of the lesions in it.
        grid: The grid.

    Returns:
        The rest; None if nothing is left.
    """
    rest = crop.mask.array.copy()
    for other in others:
        box = widen_box(other.box, (1, 1, 1), grid.shape)
        common = overlap(box, crop.box)
        if common is not None:
            near = ndimage.binary_dilation(other.filling(box), structure=CONNECTIVITY)
            rest[slices_of(relative_box(common, crop.box))] &= ~near[slices_of(relative_box(common, box))]
    return trimmed_crop_at(rest, crop.box, grid)
