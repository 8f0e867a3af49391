"""Volumes that build their voxels when they are asked for."""

from __future__ import annotations

from .volume import Array, Grid, Volume


class UnstoredVolume(Volume):
    """A volume that stores its grid and builds its voxels at each access to ``array``.

    Subclasses define ``array`` and how the volume is reordered. What is derived from its voxels is a plain volume.
    """

    _grid: Grid

    def __init__(self, grid: Grid) -> None:
        """Remember the grid of the volume."""
        object.__setattr__(self, "_grid", grid)  # Volume is frozen
        object.__setattr__(self, "affine", grid.affine)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Return the number of (slices, rows, columns)."""
        return self._grid.shape

    def replaced(self, array: Array, affine: Array) -> Volume:  # type: ignore[override]
        """Return a plain volume with other voxels and another affine."""
        return Volume(array, affine)
