"""A scan from head to thigh, like that of a PET-CT, around the chest of a phantom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from LungTumorSegLib.core.volume import CTVolume
from LungTumorSegLib.phantom import PhantomOptions, make_phantom
from scipy import ndimage

SPACING = (6.0, 4.0, 4.0)
CHEST_MM = (-240.0, 130.0)
"""Range of the phantom's chest, mm relative to its carina."""

ABOVE, BELOW = 40, 80
"""Number of slices of neck and head, and of abdomen, pelvis and thighs."""

DRAPE_MM = 60.0
"""Half the width of the gaps that the cloth bridges, mm."""

SKIN_HU, BONE_HU, CLOTH_HU, FOAM_HU, SHELL_HU = 20.0, 600.0, -450.0, -930.0, -50.0


@dataclass(frozen=True, eq=False)
class WholeBody:
    """A scan from head to thigh.

    Attributes:
        ct: The scan.
        lungs: The true lungs (bool) on its voxels.
        chest: The slices of the chest alone.
    """

    ct: CTVolume
    lungs: np.ndarray
    chest: slice

    @property
    def chest_ct(self) -> CTVolume:
        """The same patient, tables and blankets, scanned from neck to abdomen only."""
        part = self.ct.crop((self.chest.start, 0, 0), (self.chest.stop, *self.ct.shape[1:]))
        return CTVolume(part.array, part.affine)


def make_whole_body(seed: int = 0) -> WholeBody:
    """Put the chest of ``seed`` between head and thighs.

    The patient lies on two tables (PET and CT), under blankets, with the arms on a rest beside the head.
    """
    options = PhantomOptions(
        SPACING, height_mm=CHEST_MM, field_of_view_mm=600.0, couch="none", arms="up", blanket=False, leads=False,
        circle=False, lesions=(), distractors=(), scoliosis_mm=0.0, emphysema=0.0,
    )  # fmt: skip
    phantom = make_phantom(seed, options)
    hu = phantom.ct.array.astype(np.float32)
    body = hu > -300
    rows = np.flatnonzero(body.any(axis=(0, 2)))
    columns = np.flatnonzero(body.any(axis=(0, 1)))
    y = (np.arange(hu.shape[1])[:, None] - rows[-1]) * SPACING[1]  # mm behind the back
    x = (np.arange(hu.shape[2])[None, :] - columns.mean()) * SPACING[2]  # mm left of the middle
    below = np.stack([_legs(hu[0], x, y, share) for share in np.linspace(1, 0, BELOW)])
    above = np.stack([_head(hu[-1], x, y, share) for share in np.linspace(0, 1, ABOVE)])
    whole = _under_blankets(np.concatenate([below, hu, above]), x, y)
    whole = _on_two_tables(whole, x, y)
    affine = phantom.ct.affine_from((-BELOW, 0, 0))
    lungs = np.pad(phantom.lungs.array > 0, ((BELOW, ABOVE), (0, 0), (0, 0)))
    return WholeBody(CTVolume(np.rint(whole).astype(np.int16), affine), lungs, slice(BELOW, BELOW + hu.shape[0]))


def _oval(x: np.ndarray, y: np.ndarray, center: Sequence[float], radii: Sequence[float]) -> np.ndarray:
    return np.asarray(((x - center[0]) / radii[0]) ** 2 + ((y - center[1]) / radii[1]) ** 2 <= 1)


def _legs(belly: np.ndarray, x: np.ndarray, y: np.ndarray, share: float) -> np.ndarray:
    """Continue the abdomen as a pelvis that ends in two thighs; ``share`` is 1 at the abdomen, 0 at the thighs."""
    if share > 0.7:
        return belly
    plane = np.full_like(belly, -1000.0)
    if share > 0.35:
        plane[_oval(x, y, (0, -92), (180, 98))] = SKIN_HU
        plane[_oval(np.abs(x), y, (90, -80), (22, 30))] = BONE_HU
    else:
        plane[_oval(np.abs(x), y, (85, -80), (75, 78))] = SKIN_HU
        plane[_oval(np.abs(x), y, (85, -80), (15, 15))] = BONE_HU
    return plane


def _head(neck: np.ndarray, x: np.ndarray, y: np.ndarray, share: float) -> np.ndarray:
    """Continue the neck as a head between two arms that lie on a board; ``share`` is 0 at the neck, 1 at the crown."""
    plane = np.full_like(neck, -1000.0)
    radii = (62.0, 62.0) if share < 0.35 else (75.0, 95.0)
    plane[_oval(x, y, (0, -120), radii)] = BONE_HU if share > 0.35 else SKIN_HU
    plane[_oval(x, y, (0, -120), (radii[0] - 8, radii[1] - 8))] = SKIN_HU
    arm = _oval(np.abs(x), y, (165, -130), (45, 48))
    plane[arm] = SKIN_HU
    plane[_oval(np.abs(x), y, (165, -130), (12, 12))] = BONE_HU
    board = (np.abs(y + 72) < 5) & (np.abs(x) < 230) & ~arm
    return np.where(board & (plane < -300), SHELL_HU, plane)


def _under_blankets(hu: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Add two layers of cloth, 8 and 20 mm from the skin, down to the table on both sides."""
    wrapped = hu.copy()
    for plane, out in zip(hu, wrapped, strict=True):
        near = ndimage.distance_transform_edt(plane <= -300, sampling=SPACING[1:]) <= DRAPE_MM
        hull = ndimage.distance_transform_edt(near, sampling=SPACING[1:]) > DRAPE_MM
        distance = ndimage.distance_transform_edt(~hull, sampling=SPACING[1:])
        for layer in (8, 20):
            cloth = (np.abs(distance - layer) < 2.6) & (y < -25) & (plane < -300)
            out[cloth] = CLOTH_HU
    return wrapped


def _on_two_tables(hu: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Add a curved table top with foam under the back, and a flat one 70 mm behind it, in every slice."""
    whole = hu.copy()
    curved = 12 - (x / 40) ** 2 * 1.2 - y  # mm in front of the curved top
    air = hu < -300
    sheet = (np.abs(x) < 215) & np.ones_like(y, bool)
    whole[:, sheet & (np.abs(curved) <= 2.6)] = SHELL_HU
    whole[:, sheet & (curved < -2.6) & (curved > -30)] = FOAM_HU
    whole[:, sheet & (np.abs(curved + 32) <= 2.6)] = SHELL_HU
    whole[:, (np.abs(x) < 265) & (np.abs(y - 82) <= 2.6)] = SHELL_HU
    whole[:, (np.abs(x) < 265) & (np.abs(y - 112) <= 2.6)] = SHELL_HU
    return np.where(air, whole, hu)
