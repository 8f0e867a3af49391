"""Bounding boxes of voxels, so that later steps can work on a small part of a volume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .volume import Array, Geometry, Grid, Mask, Volume, as_shape

Box = tuple[tuple[int, int, int], tuple[int, int, int]]
"""Start and stop index of a crop, each (slice, row, column); the stop index is exclusive."""

Slices = tuple[slice, slice, slice]
"""Slices along (slice, row, column) that index an array."""


def bounding_box(mask: Mask) -> Box | None:
    """Return the smallest box that contains every true voxel of a mask.

    Args:
        mask: Boolean array (slice, row, column).

    Returns:
        The start and stop index (stop exclusive), or None if no voxel is true.
    """
    flat = np.asarray(mask.any(axis=0))
    in_rows, in_columns, in_slices = (
        np.asarray(part).nonzero()[0] for part in (flat.any(axis=1), flat.any(axis=0), mask.any(axis=(1, 2)))
    )
    if not len(in_rows):
        return None
    along = in_slices, in_rows, in_columns
    return as_shape(each[0] for each in along), as_shape(each[-1] + 1 for each in along)


def slices_of(box: Box) -> Slices:
    """Return the box as slices that index an array (slice, row, column)."""
    (a, b, c), (d, e, f) = box
    return slice(a, d), slice(b, e), slice(c, f)


def box_of(slices: Sequence[slice]) -> Box:
    """Return slices along (slice, row, column), such as those that ``ndimage.find_objects`` returns, as a box."""
    return as_shape(part.start for part in slices), as_shape(part.stop for part in slices)


def shift_index(corner: tuple[int, int, int], by: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the index ``corner`` shifted by ``by`` voxels along (slice, row, column)."""
    return corner[0] + by[0], corner[1] + by[1], corner[2] + by[2]


def relative_box(box: Box, to: Box) -> Box:
    """Return a box as an index into an array that fills the box ``to``."""
    back = (-to[0][0], -to[0][1], -to[0][2])
    return shift_index(box[0], back), shift_index(box[1], back)


def grow_box(box: Box, by_mm: float, within: Geometry) -> Box:
    """Return the box enlarged by a margin on each side and clipped to a volume.

    Args:
        box: The box to enlarge.
        by_mm: Margin in mm; it is rounded up to whole voxels.
        within: The volume or grid that limits the box.
    """
    return widen_box(box, [int(np.ceil(by_mm / s)) for s in within.spacing], within.shape)


def widen_box(box: Box, steps: Sequence[int], shape: Sequence[int]) -> Box:
    """Return the box enlarged by a number of voxels on each side of each axis and clipped to an array.

    Args:
        box: The box to enlarge.
        steps: Number of voxels along (slice, row, column).
        shape: Size of the array (slices, rows, columns).
    """
    start = as_shape(max(0, a - n) for a, n in zip(box[0], steps, strict=True))
    return start, as_shape(min(size, b + n) for b, n, size in zip(box[1], steps, shape, strict=True))


def expand_mask(mask: Mask, box: Box, around: Box) -> Mask:
    """Return ``mask`` placed in a larger array that is false elsewhere.

    Args:
        mask: Boolean array (slice, row, column) that fills ``box``.
        box: Where the mask lies.
        around: The box that the returned array fills. It must contain ``box``.
    """
    whole = np.zeros([b - a for a, b in zip(*around, strict=True)], dtype=bool)
    whole[tuple(slice(a - o, b - o) for a, b, o in zip(*box, around[0], strict=True))] = mask
    return whole


def box_of_label(labels: Array, label: int) -> Box | None:
    """Return the bounding box of the voxels of an array (slice, row, column) that equal ``label``; None if none does.

    The search goes slice by slice, because a Boolean mask of the whole array would cost more than the search itself.
    """
    slices: list[int] = []
    rows, columns = np.zeros(labels.shape[1], dtype=bool), np.zeros(labels.shape[2], dtype=bool)
    here = np.empty(labels.shape[1:], dtype=bool)
    for k, plane in enumerate(labels):
        np.equal(plane, label, out=here)
        in_columns = here.any(axis=0)
        if in_columns.any():
            slices.append(k)
            columns |= in_columns
            rows |= here.any(axis=1)
    if not slices:
        return None
    i, j = np.flatnonzero(rows), np.flatnonzero(columns)
    return (slices[0], int(i[0]), int(j[0])), (slices[-1] + 1, int(i[-1]) + 1, int(j[-1]) + 1)


def boxes_of_labels(labels: Array) -> dict[float, Box]:
    """Return the bounding box of each nonzero value of a label array.

    The array is read once, slice by slice.

    Args:
        labels: Array (slice, row, column).

    Returns:
        Boxes by label value, in ascending order of the values.
    """
    found: dict[float, Box] = {}
    for k, plane in enumerate(labels):
        rows, columns = np.nonzero(plane)
        values = plane[rows, columns]
        order = np.argsort(values, kind="stable")
        here, first = np.unique(values[order], return_index=True)
        if not len(here):
            continue
        low_i, low_j = (np.minimum.reduceat(index[order], first).tolist() for index in (rows, columns))
        high_i, high_j = (np.maximum.reduceat(index[order], first).tolist() for index in (rows, columns))
        for value, i0, j0, i1, j1 in zip(here.tolist(), low_i, low_j, high_i, high_j, strict=True):
            box: Box = (k, i0, j0), (k + 1, i1 + 1, j1 + 1)
            found[value] = unite_boxes(found[value], box) if value in found else box
    return dict(sorted(found.items()))


def box_of_changes(before: Array, after: Array) -> Box | None:
    """Return the smallest box that contains every voxel in which two arrays differ.

    Args:
        before: Array (slice, row, column).
        after: Array of the same shape.

    Returns:
        The box, or None if the arrays are equal.
    """
    slices = [k for k, (old, new) in enumerate(zip(before, after, strict=True)) if not np.array_equal(old, new)]
    if not slices:
        return None
    first, last = slices[0], slices[-1] + 1
    (k0, i0, j0), (k1, i1, j1) = bounding_box(before[first:last] != after[first:last]) or ((0, 0, 0), (0, 0, 0))
    return (first + k0, i0, j0), (first + k1, i1, j1)


def unite_boxes(a: Box, b: Box) -> Box:
    """Return the smallest box that contains both boxes."""
    (k0, i0, j0), (k1, i1, j1) = np.minimum(a[0], b[0]).tolist(), np.maximum(a[1], b[1]).tolist()
    return (k0, i0, j0), (k1, i1, j1)


def overlap(a: Box, b: Box) -> Box | None:
    """Return the box that two boxes share; None if they share no voxel."""
    (k0, i0, j0), (k1, i1, j1) = np.maximum(a[0], b[0]).tolist(), np.minimum(a[1], b[1]).tolist()
    return ((k0, i0, j0), (k1, i1, j1)) if k0 < k1 and i0 < i1 and j0 < j1 else None


def mask_on_grid(mask: Volume, on: Geometry) -> Mask:
    """Return a mask as an array on another grid that shares its voxel lattice.

    Args:
        mask: Boolean volume whose voxels coincide with voxels of ``on``.
        on: The grid of the returned array. Voxels of the mask outside this grid are dropped.
    """
    start = np.rint(on.lps_to_index(mask.origin)).astype(int)
    first, last = np.maximum(start, 0), np.minimum(start + mask.shape, on.shape)
    whole = np.zeros(on.shape, dtype=bool)
    if (first < last).all():
        inside = tuple(slice(a - o, b - o) for a, b, o in zip(first, last, start, strict=True))
        whole[tuple(slice(a, b) for a, b in zip(first, last, strict=True))] = mask.array[inside]
    return whole


def common_grid(a: Geometry, b: Geometry) -> Grid:
    """Return the smallest grid that contains two grids with a common voxel lattice and the same axis directions."""
    start = np.rint(a.lps_to_index(b.origin)).astype(int)
    first = np.minimum(start, 0)
    slices, rows, columns = (np.maximum(a.shape, start + b.shape) - first).tolist()
    return Grid((slices, rows, columns), a.affine_from(first))


def unite_masks(a: Volume, b: Volume) -> Volume:
    """Return the union of two Boolean masks on one lattice, on the smallest grid that contains both."""
    grid = common_grid(a, b)
    return Volume(mask_on_grid(a, grid) | mask_on_grid(b, grid), grid.affine)
