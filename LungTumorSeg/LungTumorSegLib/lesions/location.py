"""Location of a lesion: side, zone, depth, and contact with the surface of the lung."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.crops import Crop
from ..core.lesion_words import Depth
from ..core.volume import Array, Point, Volume
from .components import rim_of
from .measurements import centroid_lps
from .mediastinum import distance_to_surface_mm, medial_space
from .pleura import OwnLung, PleuralContact, pleural_contact
from .zones import Side, ZoneName, span_of, zone_at

NEAREST_LUNG_GRID_MM = 5.0
"""Approximate spacing (mm) of the grid for distances to the lungs, used for a lesion that lies mostly outside both.

The grid may be coarse, because it only decides which lung is nearer.
"""

CENTRAL_MM = 20.0
"""Distance from the mediastinum up to which a lesion is central, mm.

This follows the definition in radiotherapy (Park 2015, J Thorac Oncol 10:832): within 2 cm of the bronchial tree,
heart, great vessels, trachea or other mediastinal structures. This package does not segment the bronchial tree.
"""


@dataclass(frozen=True)
class Location:
    """The location of a lesion.

    Attributes:
        side: The lung to which the lesion belongs.
        zone: The third of the lung's height in which its centroid lies.
        depth: "central" or "peripheral"; None if that distance is infinite.
        mediastinum_mm: The distance from the lesion's nearest voxel to the medial surface of a lung, mm; infinite if no
            such surface was found, for example where the other lung is missing.
        pleura: The contact with the surface of the lung.
        carina_mm: The distance from the lesion's nearest voxel to the carina, mm; None if the carina is not known.
    """

    side: Side
    zone: ZoneName
    depth: Depth | None
    mediastinum_mm: float
    pleura: PleuralContact
    carina_mm: float | None = None

    @property
    def zone_and_depth(self) -> str:
        """The zone and, if it is known, the depth in words, such as "upper zone, central"."""
        return f"{self.zone} zone, {self.depth}" if self.depth else f"{self.zone} zone"


def locate(
    lesions: Sequence[Crop], left_lung: Volume, right_lung: Volume, carina_lps: Point | None = None
) -> tuple[list[Location], float] | None:
    """Locate lesions in the lungs.

    Args:
        lesions: The lesions.
        left_lung: The left lung (bool) on the grid of the lesions, with canonical axes.
        right_lung: The right lung, likewise.
        carina_lps: The carina, LPS mm.

    Returns:
        The location of each lesion, and the volume (mL) of both lungs with their lesions; None if there is no lung at
        all.
    """
    sides = Sides(left_lung, right_lung)
    named = [(lesion, sides.of(lesion)) for lesion in lesions]
    known = [(lesion, side) for lesion, side in named if side is not None]
    if len(known) < len(named):
        return None
    anatomy = LungAnatomy(filled_lungs(known, left_lung, right_lung), carina_lps)
    return [anatomy.location_of(lesion, side) for lesion, side in known], anatomy.lung_ml


def filled_lungs(lesions: Iterable[tuple[Crop, Side]], left_lung: Volume, right_lung: Volume) -> dict[Side, Volume]:
    """Return both lungs (bool) with their lesions filled in."""
    lungs: dict[Side, Array] = {"Left": left_lung.array.copy(), "Right": right_lung.array.copy()}
    for lesion, side in lesions:
        lungs[side][lesion.slices] |= lesion.mask.array
    return {side: left_lung.with_array(array) for side, array in lungs.items()}


class LungAnatomy:
    """The anatomy in which lesions are located.

    Attributes:
        lungs: Both lungs with all lesions filled in; see ``filled_lungs``.
    """

    def __init__(self, lungs: dict[Side, Volume], carina_lps: Point | None = None) -> None:
        self.lungs = lungs
        self._carina_lps = carina_lps
        self._space = medial_space(lungs["Left"], lungs["Right"])
        self._surface_lps = self._space.surface_lps()
        self._own = {side: _own_lung(lung, side) for side, lung in lungs.items()}

    @property
    def lung_ml(self) -> float:
        """Volume of both lungs with their lesions, mL."""
        return (
            sum(int(np.count_nonzero(lung.array)) for lung in self.lungs.values()) * self.lungs["Left"].voxel_volume_ml
        )

    def location_of(self, lesion: Crop, side: Side) -> Location:
        """Locate a lesion of one of these lungs."""
        lung, carina_lps = self._own[side], self._carina_lps
        height = float(lung.height_of(np.array(centroid_lps(lesion.mask))))
        rim_lps = lesion.mask.index_to_lps(np.argwhere(rim_of(lesion.mask.array)))
        mediastinum_mm = distance_to_surface_mm(rim_lps, self._surface_lps)
        return Location(
            side=side,
            zone=zone_at(height),
            depth=_depth(mediastinum_mm),
            mediastinum_mm=mediastinum_mm,
            pleura=pleural_contact(lesion, lung, self._space),
            carina_mm=None if carina_lps is None else distance_to_surface_mm(rim_lps, np.array([carina_lps])),
        )


def _own_lung(inside: Volume, side: Side) -> OwnLung:
    return OwnLung(inside, *span_of(inside), toward_midline=-1.0 if side == "Left" else 1.0)


def _depth(mediastinum_mm: float) -> Depth | None:
    if not np.isfinite(mediastinum_mm):
        return None
    return "central" if mediastinum_mm <= CENTRAL_MM else "peripheral"


def _every(volume: Volume, steps: tuple[int, int, int]) -> Volume:
    """Take every n-th voxel along each axis, starting with the first."""
    return Volume(volume.array[:: steps[0], :: steps[1], :: steps[2]], volume.affine_from((0, 0, 0), steps))


class Sides:
    """Determine the lung to which a lesion belongs.

    Distances are computed only when a lesion needs them.

    Args:
        left_lung: The patient's own left lung (bool), with axes in any order.
        right_lung: The right lung on the same grid.
    """

    def __init__(self, left_lung: Volume, right_lung: Volume) -> None:
        self._left, self._right = left_lung, right_lung
        self._distances: tuple[Volume, Volume] | None = None

    def of(self, lesion: Crop) -> Side | None:
        """Return the side of a lesion.

        Each voxel votes for the lung that contains it, or else for the nearest lung, and the majority decides. An exact
        tie goes to the right lung, which is the larger one.

        Returns:
            The side, or None if there is no lung at all.
        """
        left, right = (np.count_nonzero(lesion.voxels_of(lung)) for lung in (self._left, self._right))
        half = np.count_nonzero(lesion.mask.array) / 2
        if left > half or right >= half:
            return "Left" if left > half else "Right"
        distances = self._distances_mm()
        if distances is None:
            return None
        return "Left" if _nearer_to_first(lesion.mask, *distances) > half else "Right"

    def _distances_mm(self) -> tuple[Volume, Volume] | None:
        """Return the distance (mm) from the left and from the right lung on a coarse grid; None without any lung."""
        if self._distances is None:
            steps = [max(1, round(NEAREST_LUNG_GRID_MM / s)) for s in self._left.spacing]
            coarse = [_every(lung, (steps[0], steps[1], steps[2])) for lung in (self._left, self._right)]
            if not any(lung.array.any() for lung in coarse):
                return None
            left, right = (lung.with_array(_distance_mm(lung)) for lung in coarse)
            self._distances = left, right
        return self._distances


def _nearer_to_first(mask: Volume, first_mm: Volume, second_mm: Volume) -> int:
    """Return how many true voxels of a mask have a smaller value in the first of two coarse volumes, slice by slice."""
    nearer = first_mm.array < second_mm.array
    count = 0
    for k, plane in enumerate(mask.array):
        i, j = np.nonzero(plane)
        points = mask.index_to_lps(np.column_stack([np.full_like(i, k), i, j]))
        index = np.clip(np.rint(first_mm.lps_to_index(points)).astype(int), 0, np.asarray(nearer.shape) - 1)
        count += int(np.count_nonzero(nearer[tuple(index.T)]))
    return count


def _distance_mm(lung: Volume) -> Array:
    """Return the distance (mm) of each voxel from the lung; infinite if the lung is empty."""
    if not lung.array.any():
        return np.full(lung.shape, np.inf)
    return np.asarray(ndimage.distance_transform_edt(~lung.array, sampling=lung.spacing))
