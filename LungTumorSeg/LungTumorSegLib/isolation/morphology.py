"""Binary morphology in millimeters on (slice, row, column) arrays, and the components of masks.

Dilation by a ball is the union of shifted copies of the mask, each widened along the rows beforehand. For the radii
used here (2 to 50 mm on a grid of 2 mm), this is ten times as fast as a distance map, and exact.
"""

from __future__ import annotations

from math import floor, sqrt

import numpy as np
from scipy import ndimage

from ..core.boxes import Slices, bounding_box, slices_of, widen_box
from ..core.components import components_at
from ..core.volume import Array, Mask

Spacing = tuple[float, float, float]
"""Distance between voxel centers along (slice, row, column), mm."""

ROUNDING = 1e-6
"""Share of a voxel by which a voxel center may lie outside a ball and still count.

Spacings are derived from an affine matrix and have rounding errors.
"""

SLAB_VOXELS = 1 << 18
"""Number of voxels that are dilated at once within their slices: they stay in the processor's cache."""


def dilate(mask: Mask, radius_mm: float, spacing: Spacing, *, planar: bool = False) -> Mask:
    """Dilate a mask by a ball or a disk.

    The result contains all voxels whose centers lie within ``radius_mm`` of the center of a voxel of the mask.

    Args:
        mask: The mask, bool (slices, rows, columns).
        radius_mm: The radius, mm.
        spacing: The spacing (slice, row, column), mm.
        planar: Whether to dilate within axial slices only, by a disk instead of a ball.
    """
    grown = np.zeros_like(mask)
    if mask.any():
        slices, rows, columns = box_around(mask, radius_mm, spacing, planar=planar)
        plane = max(1, mask[0, rows, columns].size)
        step = max(1, SLAB_VOXELS // plane) if planar else slices.stop - slices.start
        for first in range(slices.start, slices.stop, step):
            slab = slice(first, min(first + step, slices.stop)), rows, columns
            _dilate_into(grown[slab], mask[slab].copy(), radius_mm, spacing, planar=planar)
    return grown


def _dilate_into(grown: Mask, wide: Mask, radius_mm: float, spacing: Spacing, *, planar: bool) -> None:
    """Add shifted copies of ``wide`` to ``grown`` and widen ``wide`` along the rows in the process."""
    reach = [0 if planar and axis == 0 else floor(radius_mm / spacing[axis] + ROUNDING) for axis in range(2)]
    shifts = []
    for dz in range(-reach[0], reach[0] + 1):
        for dy in range(-reach[1], reach[1] + 1):
            left = radius_mm**2 - (dz * spacing[0]) ** 2 - (dy * spacing[1]) ** 2
            if left >= -ROUNDING:
                shifts.append((floor(sqrt(max(left, 0.0)) / spacing[2] + ROUNDING), dz, dy))
    width = 0
    for wanted, dz, dy in sorted(shifts):
        for _ in range(width, wanted):
            wide[..., 1:] |= wide[..., :-1]
            wide[..., :-1] |= wide[..., 1:]
        width = wanted
        _unite_shifted(grown, wide, dz, dy)


def erode(mask: Mask, radius_mm: float, spacing: Spacing, *, planar: bool = False) -> Mask:
    """Erode a mask by a ball or a disk; the arguments are those of ``dilate``.

    The mask is assumed to continue beyond the border of the array.
    """
    eroded = np.zeros_like(mask)
    box = bounding_box(mask)
    if box is not None:
        # One voxel around the mask stands for all that lies outside, because balls and disks are convex.
        near = slices_of(widen_box(box, (0 if planar else 1, 1, 1), mask.shape))
        eroded[near] = ~dilate(~mask[near], radius_mm, spacing, planar=planar)
    return eroded


def close(mask: Mask, radius_mm: float, spacing: Spacing, *, planar: bool = False) -> Mask:
    """Fill gaps and notches narrower than twice ``radius_mm``; the arguments are those of ``dilate``.

    The mask does not grow from the border of the array, nor beyond its bounding box.
    """
    closed = np.zeros_like(mask)
    box = bounding_box(mask)
    if box is not None:
        here = slices_of(box)
        pad = [0 if planar and axis == 0 else floor(radius_mm / spacing[axis] + ROUNDING) for axis in range(3)]
        padded = np.pad(mask[here], [(p, p) for p in pad])
        grown = erode(dilate(padded, radius_mm, spacing, planar=planar), radius_mm, spacing, planar=planar)
        closed[here] = grown[tuple(slice(p, size - p) for p, size in zip(pad, padded.shape, strict=True))]
    return closed


def open_(mask: Mask, radius_mm: float, spacing: Spacing, *, planar: bool = False) -> Mask:
    """Remove what is thinner than twice ``radius_mm``; the arguments are those of ``dilate``.

    The result is the part of the mask that is covered by balls or disks inside it.
    """
    return dilate(erode(mask, radius_mm, spacing, planar=planar), radius_mm, spacing, planar=planar)


def _unite_shifted(target: Mask, source: Mask, dz: int, dy: int) -> None:
    """Add ``source``, shifted by ``dz`` slices and ``dy`` rows, to ``target``; what leaves the array is lost."""
    slices, rows, _ = target.shape
    if abs(dz) < slices and abs(dy) < rows:
        to = target[max(dz, 0) : slices + min(dz, 0), max(dy, 0) : rows + min(dy, 0)]
        to |= source[max(-dz, 0) : slices + min(-dz, 0), max(-dy, 0) : rows + min(-dy, 0)]


def label_components(mask: Mask) -> tuple[Array, int]:
    """Return a mask of two or three dimensions with the components, connected by faces or sides, numbered from 1 on.

    This equals ``scipy.ndimage.label``, and takes less time where the mask fills a part of the array.

    Returns:
        The number of the component of each voxel, 0 outside of the mask, and the number of components.
    """
    labels = np.zeros(mask.shape, np.int32)
    box = bounding_box(mask if mask.ndim == 3 else mask[None])
    if box is None:
        return labels, 0
    here = slices_of(box)[3 - mask.ndim :]
    return labels, ndimage.label(mask[here], output=labels[here])


def biggest_component(mask: Mask) -> Mask:
    """Return the largest component, connected by faces, of a mask (slices, rows, columns), or an empty mask itself.

    Of two components of equal size, it is the one with the first voxel.
    """
    labels, count = label_components(mask)
    if count == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


def holes(plane: Mask) -> Mask:
    """Return the holes of a 2D mask: what is not connected, over the sides of pixels, with the border of the array.

    This equals what ``scipy.ndimage.binary_fill_holes`` adds, and takes a fraction of its time.
    """
    found = np.zeros_like(plane)
    box = bounding_box(plane[None])
    if box is not None:
        here = slices_of(box)[1:]  # outside of the mask's bounding box there is no hole
        labels, count = ndimage.label(~plane[here])
        enclosed = np.ones(count + 1, bool)
        enclosed[0] = False  # the mask itself
        for side in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            enclosed[side] = False
        found[here] = enclosed[labels]
    return found


def components_touching(mask: Mask, seeds: Mask) -> Mask:
    """Return the components of a mask (bool), connected by faces, that contain a voxel of ``seeds`` (same shape)."""
    inside = seeds & mask
    return components_at(label_components(mask)[0], inside) if inside.any() else inside


def grow_by_one(mask: Mask) -> Mask:
    """Return a mask with the neighbors of its voxels over faces (in a plane, over sides)."""
    grown = np.array(mask)
    for axis in range(mask.ndim):
        to, source = np.moveaxis(grown, axis, 0), np.moveaxis(mask, axis, 0)
        to[1:] |= source[:-1]
        to[:-1] |= source[1:]
    return grown


def grow_over_corners(mask: Mask) -> Mask:
    """Return a mask with the neighbors of its voxels over faces, edges and corners."""
    grown = np.array(mask)
    for axis in range(mask.ndim):
        to, source = np.moveaxis(grown, axis, 0), np.moveaxis(grown.copy(), axis, 0)
        to[1:] |= source[:-1]
        to[:-1] |= source[1:]
    return grown


def box_around(mask: Mask, margin_mm: float, spacing: Spacing, *, planar: bool = False) -> Slices:
    """Return the smallest box around a mask, widened by a margin and limited to the array.

    Args:
        mask: The mask, bool (slices, rows, columns).
        margin_mm: The margin, mm.
        spacing: The spacing (slice, row, column), mm.
        planar: Whether to apply no margin along z.

    Returns:
        Slices that index the array (slice, row, column).

    Raises:
        ValueError: The mask is empty.
    """
    box = bounding_box(mask)
    if box is None:
        raise ValueError("An empty mask has no bounding box.")
    steps = [0 if planar and axis == 0 else int(np.ceil(margin_mm / spacing[axis])) for axis in range(3)]
    return slices_of(widen_box(box, steps, mask.shape))
