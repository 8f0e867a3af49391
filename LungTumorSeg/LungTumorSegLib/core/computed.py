"""A volume whose voxels are computed where they are needed, because all of them would take too much memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .boxes import Box
from .unstored import UnstoredVolume
from .volume import Array, AxisOrder, Grid, Volume, as_shape

SLAB_SLICES = 32
"""Number of slices that are computed at a time."""


class ComputedVolume(UnstoredVolume):
    """A volume on ``grid`` that stores no voxels.

    Each access to ``array`` computes the whole array again; ``crop`` and ``slabs`` compute a part.
    """

    def __init__(self, grid: Grid, part: Callable[[Box], Array]) -> None:
        """Remember how to compute voxels.

        Args:
            grid: The grid of the volume.
            part: Returns the voxels of a box (slice, row, column) of the grid.
        """
        super().__init__(grid)
        object.__setattr__(self, "_part", part)

    _part: Callable[[Box], Array]

    @property
    def array(self) -> Array:  # Volume is frozen, so this field is never assigned
        """Compute and return all voxels (slice, row, column)."""
        return self._part(((0, 0, 0), self.shape))

    def crop(self, start: tuple[int, int, int], stop: tuple[int, int, int]) -> Volume:
        """Compute a part of the volume; see ``Volume.crop``."""
        return Volume(self._part((start, stop)), self.affine_from(start))

    def reordered(self, order: AxisOrder) -> ComputedVolume:
        """Return the volume with its axes in another order, computed like this one."""
        if order.is_identity:
            return self

        def part(box: Box) -> Array:
            start, stop = [0, 0, 0], [0, 0, 0]
            for axis, old, flip in zip(range(3), order.permutation, order.flips, strict=True):
                first, last = box[0][axis], box[1][axis]
                start[old], stop[old] = (self.shape[old] - last, self.shape[old] - first) if flip else (first, last)
            return self.crop(as_shape(start), as_shape(stop)).reordered(order).array

        return ComputedVolume(order.apply_to_grid(self._grid), part)


def slabs(volume: Volume) -> Iterator[tuple[int, Array]]:
    """Yield the voxels of a volume in slabs of ``SLAB_SLICES`` slices, each with the index of its first slice."""
    slices, rows, columns = volume.shape
    for first in range(0, slices, SLAB_SLICES):
        yield first, volume.crop((first, 0, 0), (min(first + SLAB_SLICES, slices), rows, columns)).array
