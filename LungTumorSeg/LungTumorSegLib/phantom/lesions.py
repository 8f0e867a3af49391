"""Procedural lung lesions, for phantoms and for implanting into real lungs.

A lesion is a star-shaped body. Its surface lies at distance R(u) from the center in direction u: an ellipsoid with
low-frequency waves, scaled to the volume of a ball of the specified diameter. ``lesion_shape`` draws a lesion,
``LesionShape`` evaluates it at any points, and ``blend_lesion`` blends it into HU. To implant a lesion into a CT::

    rng = np.random.default_rng(7)
    shape = lesion_shape(LesionSpec("spiculated", 24.0), rng)
    at = ...   # x, y, z of the patch's voxels from the lesion's center, LPS mm, broadcastable
    truth = blend_lesion(hu_patch, shape, at, rng, room=closed_lung, edge_mm=1.0)  # changes hu_patch

``shape.extent_mm`` bounds the patch. The room should be a soft mask (a closed lung, slightly dilated and blurred)
without bone.

The truth contains every voxel whose center lies inside the star-shaped surface and in the room. Ground glass and
cavities belong to the tumor; the thin spicules outside the surface do not, because readers leave them out of their
outlines too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..core.errors import UnusableInput
from ..core.volume import Array
from .shapes import TINY, Coordinates, merge_tube

KINDS = ("solid", "part_solid", "ground_glass", "spiculated", "cavitary")
PLACES = ("lung", "pleura", "fissure", "diaphragm", "hilum", "mediastinum")
DIAMETER_RANGE_MM = (3.0, 100.0)
"""Allowed diameters, mm: from the smallest nodule that is reported to a mass that fills a lobe."""

ROUGHNESS_RANGE = (0.05, 0.20)
"""Range of the waves' standard deviation as a share of the radius; 0.03 to 0.22 worked well in a training trial."""

LEAST_RIPPLE = 0.25
"""Smallest distance of the surface from the center, as a share of the radius."""

GROUND_GLASS_HU = (-680.0, -420.0)
SOLID_HU = (10.0, 70.0)
CAVITY_HU = (-980.0, -850.0)
NECROSIS_HU = (-5.0, 25.0)

INNER_PHASE = 1.0
"""Phase shift (radians) between the ripples of the surface and of the inner part; makes a cavity's wall uneven."""

SPICULES, SPICULE_RADIUS_MM, SPICULE_TIP_MM, SPICULE_FAR_MM = (40, 90), (0.7, 1.6), 0.35, 4.0
"""Spicules of a lesion of 20 mm.

In this order: the range of their number, the range of their radius at the base, their radius at the tip, and the
distance beyond which their field is cut off.
"""

SPHERE_POINTS = 2000
"""Number of directions in the quadrature of the volume; its error for these shapes is below 0.1 %."""


@dataclass(frozen=True)
class LesionSpec:
    """What a lesion should be.

    Attributes:
        kind: One of ``KINDS``.
        diameter_mm: Diameter of the ball of equal volume, mm, within ``DIAMETER_RANGE_MM``.
        place: One of ``PLACES``.
        side: "left", "right", or None for either.
        center_lps_mm: A fixed center (x, y, z), LPS mm, which replaces the search at the place.

    Raises:
        UnusableInput: A value is not one of the choices, or the diameter is out of range.
    """

    kind: str = "solid"
    diameter_mm: float = 20.0
    place: str = "lung"
    side: str | None = None
    center_lps_mm: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        for what, value, choices in (
            ("kind", self.kind, KINDS),
            ("place", self.place, PLACES),
            ("side", self.side, (None, "left", "right")),
        ):
            if value not in choices:
                raise UnusableInput(f"There is no lesion {what} {value!r}; choose from {', '.join(map(str, choices))}.")
        low, high = DIAMETER_RANGE_MM
        if not low <= self.diameter_mm <= high:
            raise UnusableInput(f"A lesion's diameter must be from {low:g} to {high:g} mm, not {self.diameter_mm}.")


@dataclass(frozen=True, eq=False)
class LesionShape:
    """A drawn lesion around the origin.

    The methods take coordinates from the lesion's center.

    Attributes:
        spec: The specification it was drawn from.
        radius_mm: Radius before the ripples, mm.
        axes: 3 x 3, rotation times stretch; the model direction of a point p is ``axes @ p``.
        waves: (n, 5), the wave vector, phase and amplitude of each ripple.
        spicules: (n, 7), the start, end and radius of each spicule, mm.
        inner_center: Center (x, y, z) of the inner part, mm.
        inner_share: Size of the inner part (solid core, cavity or necrosis) relative to the surface. The inner part is
            a smaller copy of the surface around ``inner_center``; 0 means that there is none.
        rim_hu: HU outside the inner part.
        inner_hu: HU of the inner part.
        texture_hu: Standard deviation of the texture, HU.
        edge_mm: Blur of the tumor's own edge, mm, in addition to the scanner's.
    """

    spec: LesionSpec
    radius_mm: float
    axes: Array
    waves: Array
    spicules: Array
    inner_center: Array
    inner_share: float
    rim_hu: float
    inner_hu: float
    texture_hu: float
    edge_mm: float

    @property
    def extent_mm(self) -> float:
        """Upper bound of the distance from the center to any part of the lesion, spicules included, mm."""
        reach = np.linalg.norm(self.spicules[:, 3:6], axis=1).max() if len(self.spicules) else 0.0
        stretch = 1 / np.linalg.norm(self.axes, axis=1).min()
        return float(max(reach, self.radius_mm * stretch * (1 + np.abs(self.waves[:, 4]).sum()))) + self.edge_mm

    def distance(self, at: Coordinates) -> Array:
        """Return the distance to the surface along the ray from the center: the level set that defines the truth.

        Args:
            at: Points x, y, z from the lesion's center, LPS mm, broadcastable against each other.

        Returns:
            Distances, mm, negative inside, in the points' common shape.
        """
        return self._level(at, 1.0, 0.0)

    def inner_distance(self, at: Coordinates) -> Array:
        """Return the same distance for the inner part: the core, the cavity or the necrosis.

        Args:
            at: Points x, y, z from the lesion's center (not that of the inner part), LPS mm.

        Returns:
            Distances, mm, negative inside, in the points' common shape.
        """
        x, y, z = (c - np.float32(c0) for c, c0 in zip(at, self.inner_center, strict=True))
        return self._level((x, y, z), self.inner_share, INNER_PHASE)

    def spicule_distance(self, at: Coordinates) -> Array:
        """Return the distance to the nearest spicule.

        Args:
            at: Points x, y, z from the lesion's center, LPS mm.

        Returns:
            Signed distances, mm, negative inside, at most ``SPICULE_FAR_MM``, in the points' common shape.
        """
        nearest = np.full(np.broadcast_shapes(*(c.shape for c in at)), SPICULE_FAR_MM, np.float32)
        for row in self.spicules:
            merge_tube(nearest, at, [row[:3], row[3:6]], [row[6], SPICULE_TIP_MM], 0.0, farthest_mm=SPICULE_FAR_MM)
        return nearest

    def _level(self, at: Coordinates, share: float, phase: float) -> Array:
        x, y, z = at
        a = self.axes.astype(np.float32)
        p = [a[i, 0] * x + a[i, 1] * y + a[i, 2] * z for i in range(3)]
        length = np.sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]) + np.float32(TINY)
        waves = self.waves + np.array([0, 0, 0, phase, 0])
        ripple = _ripple(waves.astype(np.float32), p[0] / length, p[1] / length, p[2] / length)
        along_ray = (
            np.sqrt(x * x + y * y + z * z) + np.float32(TINY)
        ) / length  # converts a length in the stretched space to mm
        return np.asarray((length - np.float32(self.radius_mm * share) * ripple) * along_ray)


def _ripple(waves: Array, ux: Array, uy: Array, uz: Array) -> Array:
    """Return the ratio of the surface's distance from the center to the radius, in the directions (ux, uy, uz)."""
    total = np.ones(np.broadcast_shapes(ux.shape, uy.shape, uz.shape), np.float32)
    for wx, wy, wz, phase, amplitude in waves:
        total += amplitude * np.sin(wx * ux + wy * uy + wz * uz + phase)
    return np.asarray(np.maximum(total, np.float32(LEAST_RIPPLE)))


def lesion_shape(spec: LesionSpec, rng: np.random.Generator) -> LesionShape:
    """Draw the surface, the texture and the HU of a lesion.

    Args:
        spec: Kind and diameter of the lesion; place, side and center are not used.
        rng: Draws everything else.

    Returns:
        The lesion, around the origin.
    """
    stretch = np.exp(rng.normal(0, 0.13, 3))
    stretch /= np.prod(stretch) ** (1 / 3)
    axes = np.diag(1 / stretch) @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    waves = _draw_waves(spec, rng)
    directions = _sphere(SPHERE_POINTS)
    ripple = _ripple(waves, *directions.T)
    radius = spec.diameter_mm / 2 / float(np.mean(ripple**3)) ** (1 / 3)
    inner_share, rim_hu, inner_hu = _draw_texture(spec, rng)
    return LesionShape(
        spec=spec,
        radius_mm=radius,
        axes=axes,
        waves=waves,
        spicules=_draw_spicules(spec, axes, waves, radius, rng),
        inner_center=rng.normal(0, 0.08, 3) * radius,
        inner_share=inner_share,
        rim_hu=rim_hu,
        inner_hu=inner_hu,
        texture_hu=float(rng.uniform(5, 25) if rim_hu > -200 else rng.uniform(20, 60)),
        edge_mm=float(rng.uniform(1.0, 2.5) if spec.kind == "ground_glass" else rng.uniform(0.2, 1.2)),
    )


def _draw_waves(spec: LesionSpec, rng: np.random.Generator) -> Array:
    """Draw ripples (n, 5) of 1 to about 4 periods around the lesion, as ``LesionShape.waves`` has them.

    Finer ripples are weaker, and larger lesions are more lobulated.
    """
    count = 10
    frequency = rng.uniform(1.5, 7.0, count)
    vectors = rng.normal(size=(count, 3))
    vectors *= (frequency / np.linalg.norm(vectors, axis=1))[:, None]
    roughness = rng.uniform(*ROUGHNESS_RANGE) * np.clip(spec.diameter_mm / 25, 0.6, 1.2)
    amplitude = rng.normal(size=count) / frequency
    amplitude *= roughness * np.sqrt(2) / np.linalg.norm(amplitude)
    return np.column_stack([vectors, rng.uniform(0, 2 * np.pi, count), amplitude])


def _draw_texture(spec: LesionSpec, rng: np.random.Generator) -> tuple[float, float, float]:
    """Draw the share of the radius that the inner part takes, the HU of the rim and the HU of the inner part."""
    solid, glass = float(rng.uniform(*SOLID_HU)), float(rng.uniform(*GROUND_GLASS_HU))
    if spec.kind == "ground_glass":
        return 0.0, glass, glass
    if spec.kind == "part_solid":
        return float(rng.uniform(0.35, 0.75)), glass, solid
    if spec.kind == "cavitary":
        return float(rng.uniform(0.35, 0.75)), solid, float(rng.uniform(*CAVITY_HU))
    if spec.diameter_mm > 25 and rng.random() < 0.4:
        return float(rng.uniform(0.4, 0.75)), solid, float(rng.uniform(*NECROSIS_HU))
    return 0.0, solid, solid


def _draw_spicules(spec: LesionSpec, axes: Array, waves: Array, radius: float, rng: np.random.Generator) -> Array:
    """Draw spicules (n, 7), as ``LesionShape.spicules`` has them; none unless the lesion is spiculated."""
    if spec.kind != "spiculated":
        return np.zeros((0, 7))
    count = int(rng.integers(*SPICULES) * np.clip(radius / 10, 0.4, 2.0))
    u = rng.normal(size=(count, 3))
    u /= np.linalg.norm(u, axis=1)[:, None]
    length = np.linalg.norm(u @ axes.T, axis=1)
    turned = u @ axes.T / length[:, None]
    surface = radius * _ripple(waves, *turned.T) / length
    reach = surface + rng.uniform(0.2, 1.1, count) * min(radius, 14.0) + 1.5
    bend = rng.normal(0, 0.12, (count, 3)) * reach[:, None]
    thickness = rng.uniform(*SPICULE_RADIUS_MM, count) * np.clip(radius / 10, 0.5, 1.5)
    return np.column_stack([u * (0.8 * surface)[:, None], u * reach[:, None] + bend, thickness])


def _sphere(count: int) -> Array:
    """Return nearly uniform unit vectors (count, 3).

    They are a Fibonacci lattice (González 2010, doi:10.1007/s11004-009-9257-x).
    """
    k = np.arange(count) + 0.5
    height = 1 - 2 * k / count
    angle = np.pi * (1 + np.sqrt(5)) * k
    ring = np.sqrt(1 - height**2)
    return np.column_stack([ring * np.cos(angle), ring * np.sin(angle), height])


def blend_lesion(
    hu: Array,
    shape: LesionShape,
    at: Coordinates,
    rng: np.random.Generator,
    *,
    room: Array | None = None,
    edge_mm: float = 1.0,
    texture_voxels: float = 1.0,
) -> Array:
    """Blend a lesion into ``hu`` and return its truth.

    Tissue denser than the lesion (vessels, bone) shows through ground glass and spicules.

    Args:
        hu: A patch (slice, row, column) of HU, float32, changed in place.
        shape: The lesion.
        at: The patch's points from the lesion's center, broadcastable to the patch.
        rng: Draws the texture.
        room: Share (0 to 1) of each voxel that the lesion may fill, such as a closed lung. Where it is 0.5 or less, no
            voxel belongs to the truth. The default is 1 everywhere.
        edge_mm: Width of the scanner's edge, mm.
        texture_voxels: Correlation length of the lesion's own texture, voxels.

    Returns:
        The lesion's voxels, a bool array of the patch's shape.
    """
    distance = shape.distance(at)
    room = np.ones(hu.shape, np.float32) if room is None else room
    edge = np.float32(np.hypot(edge_mm, shape.edge_mm))
    share = _soft(distance, edge)
    inside = np.full(hu.shape, shape.rim_hu, np.float32)
    if shape.inner_share > 0:
        inside += _soft(shape.inner_distance(at), edge) * np.float32(shape.inner_hu - shape.rim_hu)
    inside += _texture(hu.shape, shape.texture_hu, texture_voxels, rng)
    if shape.rim_hu < -200:  # vessels stay visible through ground glass
        inside = np.maximum(inside, hu)
    hu += share * room * (inside - hu)
    if len(shape.spicules):
        stroke = _soft(shape.spicule_distance(at), np.float32(edge_mm)) * (1 - share) * room
        hu += stroke * np.maximum(np.float32(shape.rim_hu - 40) - hu, 0)
    return np.asarray((distance < 0) & (room > 0.5))


def _texture(shape: tuple[int, ...], deviation_hu: float, voxels: float, rng: np.random.Generator) -> Array:
    """Return noise with a standard deviation in HU and a correlation length in voxels."""
    texture = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), voxels)
    return np.asarray(texture * np.float32(deviation_hu / max(float(texture.std()), TINY)))


def _soft(distance: Array, edge_mm: float | np.floating) -> Array:
    return np.clip(0.5 - distance / edge_mm, 0, 1).astype(np.float32)
