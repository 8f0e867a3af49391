"""A chest of tubes and ellipsoids, whose parts are known to the voxel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from LungTumorSegLib.core.volume import CTVolume, Volume

SPACING = (3.0, 1.7, 1.5)
SHAPE = (67, 142, 220)
ORIGIN = (-165.0, -115.0, -40.0)

AFFINE = np.array(
    [[0, 0, SPACING[2], ORIGIN[0]], [0, SPACING[1], 0, ORIGIN[1]], [SPACING[0], 0, 0, ORIGIN[2]], [0, 0, 0, 1]]
)
Z, Y, X = (np.arange(n).reshape([-1 if i == axis else 1 for i in range(3)]) * s + ORIGIN[2 - axis]
           for axis, (n, s) in enumerate(zip(SHAPE, SPACING, strict=True)))  # fmt: skip
"""LPS coordinates of the voxel centers, mm, broadcastable: Z (slices, 1, 1), Y (1, rows, 1), X (1, 1, columns)."""

COUCH_TOP_MM = 97.0
CANAL_Y_MM = 70.0
CARINA_Z_MM = 70.0


def ellipsoid(center: Sequence[float], radii: Sequence[float]) -> np.ndarray:
    """Return a mask of an ellipsoid with center and radii (x, y, z), mm."""
    return np.asarray(sum(((axis - c) / r) ** 2 for axis, c, r in zip((X, Y, Z), center, radii, strict=True)) <= 1)


def tube(x: float | np.ndarray, y: float | np.ndarray, radius_mm: float) -> np.ndarray:
    """Return a mask of all voxels within ``radius_mm`` of a line along z; ``x`` and ``y`` may be functions of Z."""
    return np.broadcast_to((X - x) ** 2 + (Y - y) ** 2 <= radius_mm**2, SHAPE)


@dataclass(frozen=True, eq=False)
class Chest:
    """A chest and the masks of its parts, bool arrays (slice, row, column).

    Attributes:
        hu: HU of the same shape.
        body: The whole body.
        left: The left lung.
        right: The right lung.
        airways: Trachea and main bronchi outside the lungs.
    """

    hu: np.ndarray
    body: np.ndarray
    left: np.ndarray
    right: np.ndarray
    airways: np.ndarray

    @property
    def ct(self) -> CTVolume:
        """The HU as an int16 CT."""
        return CTVolume(self.hu.astype(np.int16), AFFINE)

    @property
    def lungs(self) -> np.ndarray:
        """Both lungs."""
        return np.asarray(self.left | self.right)

    def painted(self, where: np.ndarray, hu: float) -> Chest:
        """Return the chest with other HU where a bool array (or one that broadcasts to it) is true."""
        return replace(self, hu=np.where(where, hu, self.hu))

    def volume(self, name: str) -> Volume:
        """Return one of the masks with its geometry."""
        return Volume(np.array(getattr(self, name)), AFFINE)


def every_second(ct: CTVolume) -> CTVolume:
    """Return every second row and column of a CT, which is isolated in a quarter of the time."""
    affine = ct.affine.copy()
    affine[:3, 1:3] *= 2
    return CTVolume(np.ascontiguousarray(ct.array[:, ::2, ::2]), affine)


def make_chest(bend_mm: float = 0.0) -> Chest:
    """Make a chest with lungs, trachea, main bronchi and spine.

    The right lung is larger than the left one. The spine bends sideways by ``bend_mm`` at mid height.
    """
    middle = bend_mm * np.sin(np.pi * (Z - ORIGIN[2]) / (SHAPE[0] * SPACING[0]))
    body = np.broadcast_to((X / 140) ** 2 + (Y / 95) ** 2 <= 1, SHAPE)
    right = ellipsoid((-64, -5, 55), (48, 70, 80))
    left = ellipsoid((64, -5, 60), (42, 64, 76))
    trachea = tube(0, -10, 9) & (Z >= CARINA_Z_MM)
    below = CARINA_Z_MM - Z
    bronchi = (tube(-4 - below, -10, 6) | tube(4 + below, -10, 6)) & (below > 0) & (below < 25)
    hu = np.where(body, 40.0, -1000.0)
    hu[np.broadcast_to(tube(middle, 45, 20), SHAPE)] = 250  # vertebral bodies
    hu[tube(middle, CANAL_Y_MM, 15)] = 400  # arch around the canal
    hu[tube(middle, CANAL_Y_MM, 9)] = 30
    hu[right | left] = -850
    hu[(right | left) & (tube(-70, 0, 4) | tube(66, -8, 3.5))] = 40  # a vessel in each lung
    hu[trachea | bronchi] = -1000
    inside = (trachea | bronchi) & ~right & ~left
    return Chest(hu, np.array(body), left, right, inside)


def dice(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the 3D Dice of two masks."""
    return 2 * float((found & expected).sum()) / float(found.sum() + expected.sum())


def on_a_couch(chest: Chest) -> Chest:
    """Press the back flat against a couch in every slice, and put a blanket in front.

    The couch has a shell of 4 mm and, under it, foam as dense as lung.
    """
    on_table = np.abs(X) < 150
    couch = chest.painted(on_table & (Y > 93), -900).painted(on_table & (np.abs(Y - COUCH_TOP_MM) < 2.2), -150)
    around = np.sqrt((X / 146) ** 2 + (Y / 101) ** 2)
    return couch.painted((np.abs(around - 1) < 0.012) & (Y < 40), -100)
