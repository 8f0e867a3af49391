"""Masks kept as crops, and the one place that puts a mask on another grid.

A segmentation of 200 lesions has 200 masks; each as large as its CT they would take gigabytes. A ``Crop`` holds the box of a mask
and nothing else, and a ``SparseMask`` is a ``Volume`` that stores a crop and builds the whole array on demand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .boxes import Box, bounding_box, moved, put, slices_of
from .errors import UnusableInput
from .volume import Array, Geometry, Grid, Volume

SAME_LATTICE_VOXELS = 0.05
"""Two grids share a lattice if voxels meet within this share of a voxel: headers round positions and spacings."""


@dataclass(frozen=True, eq=False)
class Crop:
    """A mask cut out of its volume: ``mask`` (bool) and the ``box`` of the volume that it fills."""

    mask: Volume
    box: Box

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box as an index into an array of the whole volume."""
        return slices_of(self.box)

    def voxels_of(self, volume: Volume) -> Array:
        """Return the values of another volume on the whole grid in the mask's voxels, shape (n,)."""
        return np.asarray(volume.array[self.slices][self.mask.array])


class SparseMask(Volume):
    """A mask (bool) on ``grid`` of which only the box with its true voxels is stored.

    ``array`` builds the whole mask each time it is asked for; ``crop_of`` and ``place`` never do.
    """

    def __init__(self, stored: Crop | None, grid: Grid) -> None:
        """Keep ``stored``, whose box lies on ``grid``; None is a mask without a true voxel."""
        object.__setattr__(self, "stored", stored)
        object.__setattr__(self, "_grid", grid)
        object.__setattr__(self, "affine", grid.affine)

    stored: Crop | None
    _grid: Grid

    @property
    def array(self) -> Array:  # a field of Volume, which is frozen, so nobody sets it
        """The whole mask, made anew."""
        if self.stored is None:
            return np.zeros(self.shape, dtype=bool)
        return put(self.stored.mask.array, self.stored.box, ((0, 0, 0), self.shape))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of (slices, rows, columns)."""
        return self._grid.shape

    def replaced(self, array: Array, affine: Array) -> Volume:  # type: ignore[override]
        """Return a plain volume of other voxels elsewhere."""
        return Volume(array, affine)

    def with_array(self, array: Array) -> Volume:
        """Return a volume of other voxels on this grid; raises ValueError if the shape differs."""
        if array.shape != self.shape:
            raise ValueError(f"An array of shape {array.shape} does not fit a grid of shape {self.shape}.")
        return Volume(array, self.affine)


def sparse(mask: Volume) -> SparseMask:
    """Return ``mask`` (bool) with a copy of its box alone, so that the array it came from can be freed."""
    crop = crop_of(mask)
    if crop is not None:
        crop = Crop(crop.mask.with_array(crop.mask.array.copy()), crop.box)
    return SparseMask(crop, mask.grid)


def crop_of(mask: Volume) -> Crop | None:
    """Return a whole mask (bool) as one crop, in one piece or not; None where no voxel is true."""
    if isinstance(mask, SparseMask):
        return mask.stored
    box = bounding_box(mask.array)
    return None if box is None else Crop(mask.crop(*box), box)


def whole(crop: Crop | None, grid: Geometry) -> Volume:
    """Return a crop of ``grid`` as a mask (bool) on all of it; None is empty."""
    return Volume(SparseMask(crop, grid.grid).array, grid.affine)


def crop_at(array: Array, box: Box, grid: Geometry) -> Crop:
    """Return ``array`` (bool), which fills ``box`` of ``grid``, with its place."""
    affine = grid.affine.copy()
    affine[:3, 3] = grid.index_to_lps(box[0])
    return Crop(Volume(array, affine), box)


def start_on(part: Volume, grid: Geometry, what: str, of: str = "the CT's voxels") -> tuple[int, int, int]:
    """Return the index on ``grid`` of the first voxel of ``part``, whose axes run as the grid's; it may lie outside.

    Args:
        part: A volume on the same lattice of voxels.
        grid: The grid to find it on.
        what: What ``part`` is, for the message: "The segment Tumor 1".
        of: What it should lie on, for the message.

    Raises:
        UnusableInput: If a voxel of ``part`` lies farther than ``SAME_LATTICE_VOXELS`` from the nearest of the lattice.
    """
    last = np.asarray(part.shape) - 1
    corners = np.array(np.meshgrid(*[(0, n) for n in last], indexing="ij")).reshape(3, -1).T
    found = grid.lps_to_index(part.index_to_lps(corners))
    start = np.rint(found[0])
    off = found - (start + corners)
    if np.abs(off).max() > SAME_LATTICE_VOXELS:
        distance_mm = np.linalg.norm(off @ grid.affine[:3, :3].T, axis=1).max()
        raise UnusableInput(
            f"{what} does not lie on {of}: it is off by up to {distance_mm:.2f} mm ({np.abs(off).max():.2f} voxels); "
            "resample it first."
        )
    k, i, j = start.astype(int).tolist()
    return k, i, j


def place(mask: Volume, grid: Geometry, what: str, of: str = "the CT's voxels") -> Crop | None:
    """Return the true voxels of ``mask`` as a crop of ``grid``; None where none is true.

    The mask's own grid may have other axes (Slicer turns the slices of a left-handed CT when it loads it), be smaller, larger or
    shifted by whole voxels: only its true voxels must lie on voxels of ``grid``.

    Raises:
        UnusableInput: If they do not; the message states the distance.
    """
    crop = crop_of(mask)
    if crop is None:
        return None
    part = grid.canonical_axes().undo(crop.mask.canonical_axes().apply(crop.mask))
    start = start_on(part, grid, what, of)
    box = start, moved(start, part.shape)
    beyond = np.maximum(np.maximum(-np.asarray(start), np.subtract(box[1], grid.shape)), 0)
    if beyond.any():
        distance_mm = float((beyond * np.asarray(grid.spacing)).max())
        raise UnusableInput(
            f"{what} does not lie on {of}: it reaches {distance_mm:.2f} mm beyond; give the CT that it was drawn on."
        )
    return crop_at(part.array.astype(bool, copy=False), box, grid)
