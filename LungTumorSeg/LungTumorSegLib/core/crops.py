"""Masks stored as crops, and the only code that transfers a mask to another grid.

A segmentation with 200 lesions has 200 masks, which would take gigabytes if each covered the whole CT. A ``Crop``
therefore holds only the bounding box of a mask. A ``SparseMask`` is a ``Volume`` that stores a crop and builds the
whole array on demand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .boxes import Box, Slices, bounding_box, expand_mask, shift_index, slices_of
from .errors import UnusableInput
from .unstored import UnstoredVolume
from .volume import Array, AxisOrder, Geometry, Grid, Mask, Volume, as_shape

SAME_LATTICE_VOXELS = 0.05
"""Largest distance between corresponding voxels of two grids on the same lattice, as a share of a voxel.

The tolerance is needed because file headers round positions and spacings.
"""


SAME_SIZE = 0.01
"""Largest relative difference of voxel sizes from which distances of single voxels are stated, not the sizes."""


@dataclass(frozen=True, eq=False)
class Crop:
    """A mask that is cut out of a larger volume.

    Attributes:
        mask: Boolean mask on its own small grid.
        box: The part of the larger volume that the mask fills.
    """

    mask: Volume
    box: Box

    @property
    def slices(self) -> Slices:
        """Return the box as a tuple of slices that indexes an array of the whole volume."""
        return slices_of(self.box)

    def filling(self, box: Box) -> Mask:
        """Return the mask as an array that fills ``box``, which contains the own box, on the larger volume."""
        return expand_mask(self.mask.array, self.box, box)

    def voxels_of(self, volume: Volume) -> Array:
        """Return the values of another volume inside the mask, shape (n,).

        Args:
            volume: A volume on the whole grid from which the mask was cut.
        """
        return np.asarray(volume.crop(*self.box).array[self.mask.array])


class SparseMask(UnstoredVolume):
    """A Boolean mask on ``grid`` that stores only the box with its true voxels.

    Each access to ``array`` builds the whole mask; ``crop_of`` and ``place`` never do.
    """

    def __init__(self, stored: Crop | None, grid: Grid) -> None:
        """Store a crop whose box lies on ``grid``.

        Args:
            stored: The crop, or None for a mask without any true voxel.
            grid: The whole grid of the mask.
        """
        super().__init__(grid)
        object.__setattr__(self, "stored", stored)

    stored: Crop | None

    @property
    def array(self) -> Mask:  # Volume is frozen, so this field is never assigned
        """Build and return the whole mask (slice, row, column)."""
        if self.stored is None:
            return np.zeros(self.shape, dtype=bool)
        return self.stored.filling(((0, 0, 0), self.shape))

    def reordered(self, order: AxisOrder) -> SparseMask:
        """Return the mask with its axes in another order, still sparse."""
        grid = order.apply_to_grid(self._grid)
        if self.stored is None:
            return SparseMask(None, grid)
        mask = self.stored.mask.reordered(order)
        k, i, j = np.rint(grid.lps_to_index(mask.origin)).astype(int).tolist()
        return SparseMask(Crop(mask, ((k, i, j), shift_index((k, i, j), mask.shape))), grid)


def sparse(mask: Volume) -> SparseMask:
    """Return a sparse copy of a Boolean mask.

    The box is copied, so that the array from which it came can be freed.
    """
    crop = crop_of(mask)
    if crop is not None:
        crop = Crop(crop.mask.with_array(crop.mask.array.copy()), crop.box)
    return SparseMask(crop, mask.grid)


def crop_of(mask: Volume) -> Crop | None:
    """Return a Boolean mask as one crop, whether or not the mask is connected; None if no voxel is true."""
    if isinstance(mask, SparseMask):
        return mask.stored
    box = bounding_box(mask.array)
    return None if box is None else Crop(mask.crop(*box), box)


def whole(crop: Crop | None, grid: Geometry) -> Volume:
    """Return a crop as a Boolean mask on the whole ``grid``; a crop of None gives an empty mask."""
    return Volume(SparseMask(crop, grid.grid).array, grid.affine)


def crop_at(array: Mask, box: Box, grid: Geometry) -> Crop:
    """Return the Boolean array that fills ``box`` of ``grid`` as a crop."""
    return Crop(Volume(array, grid.affine_from(box[0])), box)


def trimmed_crop_at(array: Mask, box: Box, grid: Geometry) -> Crop | None:
    """Return the true voxels of a Boolean array that fills ``box`` of ``grid`` as a crop; None if no voxel is true."""
    inside = bounding_box(array)
    if inside is None:
        return None
    return crop_at(array[slices_of(inside)], (shift_index(box[0], inside[0]), shift_index(box[0], inside[1])), grid)


def start_on(part: Volume, grid: Geometry, what: str, of: str = "the CT's voxels") -> tuple[int, int, int]:
    """Return the index on ``grid`` of the first voxel of ``part``; the index may lie outside the grid.

    Args:
        part: A volume on the same voxel lattice, with its axes in the same directions as those of the grid.
        grid: The grid on which to locate the part.
        what: Name of ``part`` in the error message, for example "The segment Tumor 1".
        of: Name of the grid in the error message.

    Raises:
        UnusableInput: If a corner voxel of ``part`` lies more than ``SAME_LATTICE_VOXELS`` from the nearest voxel of
            the lattice.
    """
    corners = part.corners
    found = grid.lps_to_index(part.index_to_lps(corners))
    start = np.rint(found[0])
    off = found - (start + corners)
    if np.abs(off).max() > SAME_LATTICE_VOXELS:
        if not np.allclose(part.spacing, grid.spacing, rtol=SAME_SIZE, atol=0):
            own, others = (" x ".join(f"{mm:.4g}" for mm in each.spacing) for each in (part, grid))
            raise UnusableInput(
                f"{what} does not lie on {of}: its voxels measure {own} mm instead of {others} mm; resample it first."
            )
        distance_mm = np.linalg.norm(off @ grid.affine[:3, :3].T, axis=1).max()
        raise UnusableInput(
            f"{what} does not lie on {of}: it is off by up to {distance_mm:.2f} mm ({np.abs(off).max():.2f} voxels); "
            "resample it first."
        )
    return as_shape(start)


def place(mask: Volume, grid: Geometry, what: str, of: str = "the CT's voxels") -> Crop | None:
    """Return the true voxels of a mask as a crop of ``grid``; None if no voxel is true.

    Only the true voxels have to coincide with voxels of ``grid``. The mask's own grid may have other axes (Slicer
    reverses the slices of a left-handed CT when it loads one), and it may be smaller, larger or shifted by whole
    voxels.

    Args:
        mask: Boolean mask on its own grid.
        grid: The target grid.
        what: Name of the mask in the error message, for example "The segment Tumor 1".
        of: Name of the grid in the error message.

    Raises:
        UnusableInput: If the true voxels do not coincide with voxels of ``grid``; the message states the distance.
    """
    crop = crop_of(mask)
    if crop is None:
        return None
    part = grid.canonical_axes().undo(crop.mask.canonical_axes().apply(crop.mask))
    start = start_on(part, grid, what, of)
    box = start, shift_index(start, part.shape)
    beyond = np.maximum(np.maximum(-np.asarray(start), np.subtract(box[1], grid.shape)), 0)
    if beyond.any():
        distance_mm = float((beyond * np.asarray(grid.spacing)).max())
        raise UnusableInput(
            f"{what} does not lie on {of}: it extends {distance_mm:.2f} mm beyond them; choose the CT on which it was "
            "drawn."
        )
    return crop_at(part.array.astype(bool, copy=False), box, grid)
