"""Boxes of voxels: most work is done in the small box that holds what matters."""

from __future__ import annotations

import numpy as np

from .volume import Array, Geometry, Grid, Volume

Box = tuple[tuple[int, int, int], tuple[int, int, int]]
"""First and last-plus-one (slice, row, column) index of a crop."""


def bounding_box(mask: Array) -> Box | None:
    """The smallest box (start, stop) that holds every true voxel of ``mask`` (slice, row, column); None where none is true."""
    rows_columns = np.any(mask, axis=0)
    along = [
        np.flatnonzero(a)
        for a in (np.any(mask, axis=(1, 2)), np.any(rows_columns, axis=1), np.any(rows_columns, axis=0))
    ]
    if not len(along[0]):
        return None
    first, last = [int(a[0]) for a in along], [int(a[-1]) + 1 for a in along]
    return (first[0], first[1], first[2]), (last[0], last[1], last[2])


def slices_of(box: Box) -> tuple[slice, slice, slice]:
    """The box as an index into an array."""
    (a, b, c), (d, e, f) = box
    return slice(a, d), slice(b, e), slice(c, f)


def moved(corner: tuple[int, int, int], by: tuple[int, int, int]) -> tuple[int, int, int]:
    """The index ``by`` voxels farther along each axis."""
    return corner[0] + by[0], corner[1] + by[1], corner[2] + by[2]


def grown(box: Box, by_mm: float, within: Geometry) -> Box:
    """The box with at least ``by_mm`` more on each side, as far as the volume reaches."""
    steps = [int(np.ceil(by_mm / s)) for s in within.spacing]
    start = [max(0, a - n) for a, n in zip(box[0], steps, strict=True)]
    stop = [min(size, b + n) for b, n, size in zip(box[1], steps, within.shape, strict=True)]
    return (start[0], start[1], start[2]), (stop[0], stop[1], stop[2])


def put(mask: Array, box: Box, around: Box) -> Array:
    """``mask`` (bool), which fills ``box``, in an array that fills ``around``; false elsewhere."""
    whole = np.zeros([b - a for a, b in zip(*around, strict=True)], dtype=bool)
    whole[tuple(slice(a - o, b - o) for a, b, o in zip(*box, around[0], strict=True))] = mask
    return whole


def box_of_label(labels: Array, label: int) -> Box | None:
    """The bounding box of the voxels equal to ``label``, slice by slice: a mask of the whole array would cost more than the search."""
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
    """The bounding box of each value of ``labels`` (slice, row, column) but 0, ascending by value, in one pass over the array."""
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
            found[value] = united(found[value], box) if value in found else box
    return dict(sorted(found.items()))


def box_of_changes(before: Array, after: Array) -> Box | None:
    """The smallest box that holds every voxel in which two arrays of one shape differ; None where they are equal."""
    slices = [k for k, (old, new) in enumerate(zip(before, after, strict=True)) if not np.array_equal(old, new)]
    if not slices:
        return None
    first, last = slices[0], slices[-1] + 1
    (k0, i0, j0), (k1, i1, j1) = bounding_box(before[first:last] != after[first:last]) or ((0, 0, 0), (0, 0, 0))
    return (first + k0, i0, j0), (first + k1, i1, j1)


def united(a: Box, b: Box) -> Box:
    """The smallest box that holds both."""
    (k0, i0, j0), (k1, i1, j1) = np.minimum(a[0], b[0]).tolist(), np.maximum(a[1], b[1]).tolist()
    return (k0, i0, j0), (k1, i1, j1)


def placed(mask: Volume, on: Geometry) -> Array:
    """``mask`` (bool), on the same lattice of voxels as ``on``, in an array of its shape; what lies beyond it is left out."""
    start = np.rint(on.lps_to_index(mask.origin)).astype(int)
    first, last = np.maximum(start, 0), np.minimum(start + mask.shape, on.shape)
    whole = np.zeros(on.shape, dtype=bool)
    if (first < last).all():
        inside = tuple(slice(a - o, b - o) for a, b, o in zip(first, last, start, strict=True))
        whole[tuple(slice(a, b) for a, b in zip(first, last, strict=True))] = mask.array[inside]
    return whole


def common_grid(a: Geometry, b: Geometry) -> Grid:
    """The smallest grid that holds two grids of one lattice of voxels and one order of axes."""
    start = np.rint(a.lps_to_index(b.origin)).astype(int)
    first = np.minimum(start, 0)
    slices, rows, columns = (np.maximum(a.shape, start + b.shape) - first).tolist()
    affine = a.affine.copy()
    affine[:3, 3] = a.index_to_lps(first)
    return Grid((slices, rows, columns), affine)


def union(a: Volume, b: Volume) -> Volume:
    """The voxels of two masks (bool) on one lattice, on the smallest grid that holds both."""
    grid = common_grid(a, b)
    return Volume(placed(a, grid) | placed(b, grid), grid.affine)
