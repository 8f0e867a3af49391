"""Small chests of simple shapes, in which the place of everything is known without a computation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from LungTumorSegLib.core.volume import AxisOrder, CTVolume, Volume
from volumes import affine_of


@dataclass(frozen=True, eq=False)
class Chest:
    """A CT with two lungs and lesions of known HU.

    Attributes:
        ct: The CT.
        left_lung: The left lung, bool.
        right_lung: The right lung, bool.
        tumor: All lesions, bool.
    """

    ct: CTVolume
    left_lung: Volume
    right_lung: Volume
    tumor: Volume

    def reordered(self, order: AxisOrder) -> Chest:
        """Return the same chest, stored along other axes."""
        masks = (order.apply(mask) for mask in (self.left_lung, self.right_lung, self.tumor))
        return Chest(order.apply(self.ct), *masks)

    def with_tumor(self, mask: np.ndarray, hu: float = 40.0) -> Chest:
        """Return the same chest with other tumor voxels, which have ``hu``."""
        array = np.where(
            mask,
            np.float32(hu),
            np.where(self.left_lung.array | self.right_lung.array, np.float32(-850), np.float32(30)),
        )
        return replace(self, ct=CTVolume(array, self.ct.affine), tumor=self.tumor.with_array(mask))


def make_chest(shape: tuple[int, int, int] = (30, 40, 60), **geometry: Any) -> Chest:
    """Make a chest without tumor.

    The lungs are boxes with 4 columns between them, nearer to the patient's right edge. The axes are canonical unless
    ``geometry`` says otherwise.
    """
    affine = affine_of(**geometry)
    right, left = np.zeros((2, *shape), dtype=bool)
    right[3:-3, 5:-5, 4:24] = True  # columns run to the patient's left
    left[3:-3, 5:-5, 28:-4] = True
    nothing = Volume(np.zeros(shape, dtype=bool), affine)
    chest = Chest(
        CTVolume(np.zeros(shape, dtype=np.float32), affine),
        nothing.with_array(left),
        nothing.with_array(right),
        nothing,
    )
    return chest.with_tumor(nothing.array)


def block(shape: Sequence[int], start: Sequence[int], stop: Sequence[int]) -> np.ndarray:
    """Return a mask (bool) that is true from ``start`` up to, but not including, ``stop``."""
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return mask
