"""Distance of a lesion to the pleura, and its contact with what lies beyond."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from ..core.boxes import grow_box, overlap, relative_box, slices_of
from ..core.crops import Crop
from ..core.points import lies_in
from ..core.surfaces import surface_of, triangles_of
from ..core.volume import Array, Mask, Volume, as_shape
from ..isolation.morphology import dilate, erode
from .components import rim_of
from .mediastinum import MedialSpace
from .zones import heights

SEARCH_MM = 20.0
"""First distance within which the pleura is searched, mm.

The distance is doubled until the pleura is found. Half of all nodules lie nearer than this.
"""

GAP_MM = 3.0
"""Width up to which slits between lung and lesion masks are closed, mm; they are partial-volume voxels or vessels."""

DOWNWARD = -0.5
"""Largest component toward the head of the outward normal of a surface that faces the diaphragm.

Such a surface is inclined 30 degrees down or more.
"""

MEDIALWARD = 0.0
"""Smallest component toward the midline of the normal of a surface that faces the mediastinum.

Other surfaces face ribs and spine.
"""

BEYOND_MM = (5.0, 10.0)
"""Depths beyond a contact at which there must be no lung again, mm.

Otherwise, the lesion touches a vessel, a fissure or consolidated lung instead of pleura.
"""

ACROSS_MM = tuple(float(depth) for depth in range(15, 125, 5))
"""Depths at which lung is searched beyond a contact, mm.

The mediastinum of an adult, with the heart, is at most this wide.
"""

LOWER_THIRD = 1 / 3
"""Share of the lung's height, from its base, in which the diaphragm is searched."""

TOUCHING_SHARE = 0.5
"""Share from which a part of the surface touches the pleura; a lesion without such a part has no contact."""

MOST_PAIRED_POINTS = 1000

PART_TRIANGLES = 1 << 18
"""Number of triangles of a surface that are looked at at a time, to bound the memory."""


@dataclass(frozen=True)
class PleuralContact:
    """The contact of a lesion with the surface of its lung.

    Attributes:
        distance_mm: The distance between the nearest faces of lesion and surface, mm; 0 if they touch.
        mediastinum_cm2: The area of the lesion's smooth surface that faces the mediastinum, cm2.
        chest_wall_cm2: The same toward the chest wall, cm2.
        diaphragm_cm2: The same toward the diaphragm, cm2.
        length_mm: The largest distance between two points of the contact, mm.
    """

    distance_mm: float
    mediastinum_cm2: float
    chest_wall_cm2: float
    diaphragm_cm2: float
    length_mm: float

    @property
    def area_cm2(self) -> float:
        """Area of contact with anything beyond the lung, cm2."""
        return self.mediastinum_cm2 + self.chest_wall_cm2 + self.diaphragm_cm2


@dataclass(frozen=True, eq=False)
class OwnLung:
    """The lung to which a lesion belongs, on its whole grid with canonical axes.

    Attributes:
        inside: The lung (bool) with its lesions filled in.
        base: Its lowest slice.
        apex: Its highest slice.
        toward_midline: The sign of the LPS x component of the direction to the other lung.
    """

    inside: Volume
    base: int
    apex: int
    toward_midline: float

    def height_of(self, points_lps: Array) -> Array:
        """Return the share of the lung's height, 0 at its base and 1 at its apex, of LPS points (n, 3)."""
        return heights(self.inside.lps_to_index(points_lps)[..., 0], self.base, self.apex)


def pleural_contact(lesion: Crop, lung: OwnLung, space: MedialSpace) -> PleuralContact:
    """Measure the contact of a lesion with the surface of its lung.

    The contact depends on the masks only: a lesion does not touch what a voxel of lung separates from it. Consolidated
    lung that belongs to neither mask counts as outside, and as chest wall if no lung lies behind it.

    Args:
        lesion: The lesion.
        lung: The lung to which it belongs.
        space: The space between the lungs.
    """
    reach_mm = SEARCH_MM
    while True:
        box = grow_box(lesion.box, reach_mm, lung.inside)
        outside = _outside(lung.inside.crop(*box))
        distance_mm = distance_to_outside_mm(outside, lesion.mask)
        if distance_mm <= reach_mm or outside.shape == lung.inside.shape:
            return _contact(lesion.mask, outside, distance_mm, lung, space)
        reach_mm *= 2


def _outside(lung: Volume) -> Volume:
    """Return what lies outside a part of the lung, with slits closed and with vessels and other holes filled."""
    closed = close_slits(lung)
    parts, count = ndimage.label(~closed)
    open_ = np.zeros(count + 1, dtype=bool)
    for axis in range(3):
        open_[np.take(parts, (0, -1), axis=axis)] = True
    open_[0] = False
    return lung.with_array(open_[parts])


def close_slits(lung: Volume) -> Mask:
    """Return a part of the lung with slits closed.

    What lies beyond the array counts as outside, so nothing is closed there.
    """
    reach = [int(np.ceil(GAP_MM / 2 / mm)) for mm in lung.spacing]
    spread = np.pad(dilate(lung.array, GAP_MM / 2, lung.spacing), [(n, n) for n in reach])
    inner = tuple(slice(n, n + size) for n, size in zip(reach, lung.shape, strict=True))
    return np.asarray(lung.array | erode(spread, GAP_MM / 2, lung.spacing)[inner])


def distance_to_outside_mm(outside: Volume, lesion: Volume) -> float:
    """Return the gap (mm) between the nearest faces of lesion and outside voxels; infinite if nothing is outside."""
    if not outside.array.any():
        return float("inf")
    start = np.rint(outside.lps_to_index(lesion.origin)).astype(int)
    spacing = np.asarray(outside.spacing)
    way = _touch_mm(outside, lesion.array, start)
    if way is None:
        # The distances of all voxels would take four times the memory of the indices of the nearest outside voxels.
        nearest = ndimage.distance_transform_edt(
            ~outside.array, sampling=outside.spacing, return_distances=False, return_indices=True
        )
        at = np.argwhere(rim_of(lesion.array)) + start
        ways = np.abs(nearest[:, *at.T].T - at) * spacing
        way = ways[np.sqrt((ways**2).sum(axis=1)).argmin()]
    length = float(np.linalg.norm(way))
    return max(0.0, length - float(way @ spacing) / length)


def _touch_mm(outside: Volume, lesion: Mask, start: Array) -> Array | None:
    """Return the way (mm, along the axes) to an outside voxel beside a lesion voxel, on an axis of the least spacing.

    Args:
        outside: What lies outside the lung.
        lesion: The mask of the lesion.
        start: Index in ``outside`` of the first voxel of ``lesion``.

    Returns:
        The way, than which none is shorter; None if the lesion touches nothing on such an axis.
    """
    least = min(outside.spacing)
    for axis in np.flatnonzero(np.equal(outside.spacing, least)).tolist():
        for step in (-1, 1):
            first = start.copy()
            first[axis] += step
            box = as_shape(first), as_shape(first + lesion.shape)
            common = overlap(box, ((0, 0, 0), outside.shape))
            if common is None:
                continue
            beside = outside.array[slices_of(common)] & lesion[slices_of(relative_box(common, box))]
            if beside.any():
                return np.where(np.arange(3) == axis, least, 0.0)
    return None


def _contact(lesion: Volume, outside: Volume, distance_mm: float, lung: OwnLung, space: MedialSpace) -> PleuralContact:
    """Measure the contact areas on the surface mesh of the lesion."""
    vertices, triangles = triangles_of(surface_of(lesion))
    parts = [
        _faces(vertices, triangles[first : first + PART_TRIANGLES], outside, lung, space)
        for first in range(0, len(triangles), PART_TRIANGLES)
    ]
    share, twice_area, diaphragm, mediastinum = (np.concatenate(each) for each in zip(*parts, strict=True))
    touching = share >= TOUCHING_SHARE
    area_cm2 = share * twice_area / 200 if touching.any() else np.zeros_like(share)
    return PleuralContact(
        distance_mm=0.0 if touching.any() else distance_mm,
        mediastinum_cm2=float(area_cm2[mediastinum].sum()),
        chest_wall_cm2=float(area_cm2[~mediastinum & ~diaphragm].sum()),
        diaphragm_cm2=float(area_cm2[diaphragm].sum()),
        length_mm=_extent_mm(vertices[np.unique(triangles[touching])]),
    )


def _faces(
    vertices: Array, triangles: Array, outside: Volume, lung: OwnLung, space: MedialSpace
) -> tuple[Array, Array, Array, Array]:
    """Return what triangles of the surface of a lesion touch.

    Returns:
        For each triangle: the share of it that touches something outside the lung, twice its area (mm2), and whether it
        faces the diaphragm and the mediastinum.
    """
    a, b, c = vertices[triangles].transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    twice_area = np.linalg.norm(normal, axis=1)
    normal = normal / np.maximum(twice_area, np.finfo(float).tiny)[:, None]
    middle = (a + b + c) / 3
    voxel_mm = np.abs(normal @ outside.direction) @ np.asarray(outside.spacing)
    probe = middle + normal * voxel_mm[:, None]
    share = _share_of(outside, (middle + probe) / 2)
    for depth_mm in BEYOND_MM:
        share[lies_in(lung.inside, probe + normal * depth_mm)] = 0.0
    diaphragm = (lung.height_of(probe) < LOWER_THIRD) & (normal[:, 2] <= DOWNWARD)
    mediastinum = np.zeros_like(diaphragm)
    seen = ~diaphragm & (share > 0)  # where nothing is touched, it does not matter what would be
    medial = space.holds(probe[seen]) & (normal[seen, 0] * lung.toward_midline >= MEDIALWARD)
    mediastinum[seen] = medial | _looks_at_lung(space, probe[seen], normal[seen])
    return share, twice_area, diaphragm, mediastinum


def _looks_at_lung(space: MedialSpace, points_lps: Array, normal: Array) -> Mask:
    """Return whether there is lung again, of either side, along the normals of points (n, 3); bool (n,).

    Lungs bulge outward. A surface that faces the ribs has no lung behind them; a surface that faces the mediastinum has
    lung on the far side.
    """
    found = np.zeros(len(points_lps), dtype=bool)
    for depth_mm in ACROSS_MM:
        found |= lies_in(space.lungs, points_lps + normal * depth_mm)
    return found


def _share_of(mask: Volume, points_lps: Array) -> Array:
    """Return how far points (n, 3) lie in ``mask``, 0 to 1.

    The mask is interpolated linearly between voxel centers, and is 0 outside the grid. The center of the next voxel
    lies half a voxel beyond a surface. Near the rim of a contact, the surface bends away from the pleura. If it counted
    entirely or not at all, the rim would add a tenth to the area.
    """
    index = mask.lps_to_index(points_lps).T
    voxels = mask.array.view(np.uint8)
    return np.asarray(ndimage.map_coordinates(voxels, index, output=np.float32, order=1, mode="constant"))


def _extent_mm(points: Array) -> float:
    """Return the largest distance between any two points (n, 3); 0 for fewer than two."""
    if len(points) < 2:
        return 0.0
    if len(points) > MOST_PAIRED_POINTS:
        # QJ joggles the points, because a flat contact has no volume.
        points = points[ConvexHull(points, qhull_options="QJ").vertices]
    return float(pdist(points).max())
