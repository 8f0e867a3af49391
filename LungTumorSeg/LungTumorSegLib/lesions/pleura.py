"""Distance of a lesion to the pleura and its contact with what lies beyond."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from ..core.boxes import grown
from ..core.surfaces import surface_of, triangles_of
from ..core.volume import Array, Volume
from .components import LesionCrop
from .mediastinum import MedialSpace
from .zones import heights

SEARCH_MM = 20.0
"""First distance in which the pleura is looked for; doubled until it is found. Half of all nodules lie nearer."""

GAP_MM = 3.0
"""Slits up to this width between lung and lesion masks are closed: they are partial-volume voxels or vessels, not pleura."""

DOWNWARD = -0.5
"""A surface whose outward normal has at most this component to the head (30 degrees down or more) looks at the diaphragm."""

MEDIALWARD = 0.0
"""A surface that looks at the mediastinum has at least this component toward the midline; others look at ribs and spine."""

BEYOND_MM = (5.0, 10.0)
"""So far beyond a contact there is no lung again: else the lesion touches a vessel, a fissure or consolidated lung, which is no pleura."""

ACROSS_MM = tuple(float(depth) for depth in range(15, 125, 5))
"""Depths at which lung is looked for beyond a contact; the mediastinum of an adult is at most this wide, the heart with it."""

LOWER_THIRD = 1 / 3
"""The diaphragm is looked for in this share of the lung's height, from its base."""

TOUCHING_SHARE = 0.5
"""From this share on a piece of surface touches; a lesion without such a piece has no contact."""

MOST_PAIRED_POINTS = 1000


@dataclass(frozen=True)
class PleuralContact:
    """Where a lesion reaches the surface of its lung.

    ``distance_mm``: between the nearest faces of lesion and surface, 0 where they touch. Areas (cm2) are of the lesion's smooth
    surface that looks out of the lung, ``length_mm`` the largest distance between two of its points.
    """

    distance_mm: float
    mediastinum_cm2: float
    chest_wall_cm2: float
    diaphragm_cm2: float
    length_mm: float

    @property
    def area_cm2(self) -> float:
        """Contact with anything beyond the lung, cm2."""
        return self.mediastinum_cm2 + self.chest_wall_cm2 + self.diaphragm_cm2


@dataclass(frozen=True, eq=False)
class OwnLung:
    """A lung on its whole grid, with canonical axes: ``inside`` (bool) with its lesions filled in, its lowest and highest slice.

    ``toward_midline``: sign of the LPS x component of what points to the other lung.
    """

    inside: Volume
    base: int
    apex: int
    toward_midline: float

    def height_of(self, points_lps: Array) -> Array:
        """Share of the lung's height, 0 at its base, 1 at its apex, of LPS points (n, 3)."""
        return heights(self.inside.lps_to_index(points_lps)[..., 0], self.base, self.apex)


def pleural_contact(lesion: LesionCrop, lung: OwnLung, space: MedialSpace) -> PleuralContact:
    """Contact of a lesion with the surface of its lung, by the masks: what a voxel of lung parts does not touch.

    What is consolidated and in neither mask counts as outside, and as chest wall where no lung lies behind it.
    """
    reach_mm = SEARCH_MM
    while True:
        box = grown(lesion.box, reach_mm, lung.inside)
        outside = _outside(lung.inside.crop(*box))
        distance_mm = _distance_mm(outside, lesion.mask)
        if distance_mm <= reach_mm or outside.shape == lung.inside.shape:
            return _contact(lesion.mask, outside, distance_mm, lung, space)
        reach_mm *= 2


def _outside(lung: Volume) -> Volume:
    """What lies beyond a part of the lung: slits closed, vessels and other holes left out."""
    radius = [int(GAP_MM / 2 / s) for s in lung.spacing]
    ball = np.stack(
        np.meshgrid(*[np.arange(-n, n + 1) * s for n, s in zip(radius, lung.spacing, strict=True)], indexing="ij")
    )
    closed = lung.array | ndimage.binary_closing(lung.array, structure=np.linalg.norm(ball, axis=0) <= GAP_MM / 2)
    parts, count = ndimage.label(~closed)
    open_ = np.zeros(count + 1, dtype=bool)
    for axis in range(3):
        open_[np.take(parts, (0, -1), axis=axis)] = True
    open_[0] = False
    return lung.with_array(open_[parts])


def _distance_mm(outside: Volume, lesion: Volume) -> float:
    """Gap between the faces of the nearest lesion voxel and voxel outside, infinite where nothing is outside."""
    if not outside.array.any():
        return float("inf")
    distance, nearest = ndimage.distance_transform_edt(~outside.array, sampling=outside.spacing, return_indices=True)
    start = np.rint(outside.lps_to_index(lesion.origin)).astype(int)
    here = distance[tuple(slice(a, a + n) for a, n in zip(start, lesion.shape, strict=True))]
    at = start + np.unravel_index(np.where(lesion.array, here, np.inf).argmin(), here.shape)
    spacing = np.asarray(outside.spacing)
    k, i, j = at
    way = np.abs(nearest[:, k, i, j] - at) * spacing
    length = float(np.linalg.norm(way))
    return max(0.0, length - float(way @ spacing) / length)


def _contact(lesion: Volume, outside: Volume, distance_mm: float, lung: OwnLung, space: MedialSpace) -> PleuralContact:
    vertices, triangles = triangles_of(surface_of(lesion))
    a, b, c = vertices[triangles].transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    twice_area = np.linalg.norm(normal, axis=1)
    normal = normal / np.maximum(twice_area, np.finfo(float).tiny)[:, None]
    middle = (a + b + c) / 3
    voxel_mm = np.abs(normal @ outside.direction) @ np.asarray(outside.spacing)
    probe = middle + normal * voxel_mm[:, None]
    share = _share_of(outside, (middle + probe) / 2)
    for depth_mm in BEYOND_MM:
        share[_lies_in(lung.inside, probe + normal * depth_mm)] = 0.0
    touching = share >= TOUCHING_SHARE
    diaphragm = (lung.height_of(probe) < LOWER_THIRD) & (normal[:, 2] <= DOWNWARD)
    medial = space.holds(probe) & (normal[:, 0] * lung.toward_midline >= MEDIALWARD)
    mediastinum = ~diaphragm & (medial | _looks_at_lung(space, probe, normal))
    area_cm2 = share * twice_area / 200 if touching.any() else np.zeros_like(share)
    return PleuralContact(
        distance_mm=0.0 if touching.any() else distance_mm,
        mediastinum_cm2=float(area_cm2[mediastinum].sum()),
        chest_wall_cm2=float(area_cm2[~mediastinum & ~diaphragm].sum()),
        diaphragm_cm2=float(area_cm2[diaphragm].sum()),
        length_mm=_extent_mm(vertices[np.unique(triangles[touching])]),
    )


def _looks_at_lung(space: MedialSpace, points_lps: Array, normal: Array) -> Array:
    """Whether there is lung again, of either side, where the points (n, 3) look along their normals; bool (n,).

    Lungs bulge outward: who looks at ribs sees no lung behind them, who looks into the mediastinum does on its far side.
    """
    found = np.zeros(len(points_lps), dtype=bool)
    for depth_mm in ACROSS_MM:
        found |= _lies_in(space.lungs, points_lps + normal * depth_mm)
    return found


def _share_of(mask: Volume, points_lps: Array) -> Array:
    """How far the points (n, 3) lie in ``mask``, 0 to 1 by linear interpolation between voxel centers; 0 outside the grid.

    Half a voxel beyond a surface is the center of the next voxel. Near a contact's rim the surface bends away from the pleura; if
    it counted whole or not at all, the rim would add a tenth to the area.
    """
    index = mask.lps_to_index(points_lps).T
    return np.asarray(ndimage.map_coordinates(mask.array.astype(np.float32), index, order=1, mode="constant"))


def _lies_in(mask: Volume, points_lps: Array) -> Array:
    """Which of the points (n, 3) lie in a true voxel; bool (n,), false outside the grid."""
    index = np.rint(mask.lps_to_index(points_lps)).astype(int)
    on_grid = np.asarray(((index >= 0) & (index < mask.shape)).all(axis=1))
    k, i, j = np.where(on_grid[:, None], index, 0).T
    return np.asarray(on_grid & mask.array[k, i, j])


def _extent_mm(points: Array) -> float:
    """The largest distance between any two points (n, 3); 0 for fewer than two."""
    if len(points) < 2:
        return 0.0
    if len(points) > MOST_PAIRED_POINTS:
        points = points[ConvexHull(points, qhull_options="QJ").vertices]  # joggled: a flat contact has no volume
    return float(pdist(points).max())
