"""Implants: procedural lesions, real nodules at any size, and look-alikes that are not tumor.

Synthetic tumors replace labeled ones where those are scarce (Hu et al. 2023, doi:10.1109/CVPR52729.2023.01913).
Procedural shapes supply the large sizes, real nodules the texture. Everything changes a ``Patch`` in place, in HU,
before the window is applied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from ..core.volume import HU, Array, Float32Array, Mask
from .implant_shapes import beyond_plane, blob, texture

LESION = 254
"""Label of implanted tumor in a patch; any value except 0 and ``IGNORED`` counts as tumor."""

HEALTHY_LUNG_HU = -850.0
"""HU of aerated lung that is assumed for a patch without lung."""

BONE_HU = 150.0
"""HU from which voxels are never replaced by tumor: bone, metal, strongly enhanced vessels."""

SPILL_MM = 2.0
"""Distance by which a lesion may extend beyond the lung (into pleura or fat), mm."""

NECROSIS_FROM_MM = 12.0
"""Radius above which a fifth of the lesions is cavitary or necrotic, mm."""

GROUND_GLASS_SHARE, PART_SOLID_SHARE = 0.3, 0.2
"""Share of ground glass among the procedural lesions, and share of part-solid lesions among the others, at any size.

Networks that see few of them in training miss all of them.
"""

GROUND_GLASS_HU = (80.0, 400.0)
"""Range of the difference between ground glass and the lung around it, HU.

That lung has -850 HU, or -650 HU in expiration or disease.
"""

FAINT_SHARE, FAINT_HU = 0.4, -450.0
"""Share of the real nodules that are drawn from those with a mean below ``FAINT_HU``, mostly ground glass.

A sixth of the nodules has such a mean.
"""

COLLAPSE_REACH, COLLAPSE_HU = 2.5, (25.0, 120.0)
"""Reach of the atelectasis behind a mass, per radius of the mass, and range of its HU."""

CAVITY_SHARE = 0.2
REAL_RIM_MM = 1.0
"""Width of the surroundings that are copied with a real nodule before it fades into its new surroundings, mm."""
REAL_SCALE = (0.7, 5.0)
"""Range of the factors by which real nodules are scaled."""


@dataclass(eq=False)
class Patch:
    """A part of a case that implants change in place.

    Attributes:
        hu: HU, float32 (slice, row, column).
        label: Labels, uint8.
        lungs: The lungs, bool.
        mask: The isolation mask, bool.
        spacing_mm: Spacing along (slice, row, column), mm.
    """

    hu: Float32Array
    label: Array
    lungs: Mask
    mask: Mask
    spacing_mm: tuple[float, float, float]

    def points_mm(self, center: Array) -> Float32Array:
        """Return positions (3, slice, row, column), mm, relative to ``center`` (slice, row, column), voxels."""
        axes = [
            ((np.arange(n) - c) * s).astype(np.float32)
            for n, c, s in zip(self.hu.shape, center, self.spacing_mm, strict=True)
        ]
        return np.stack(np.broadcast_arrays(axes[0][:, None, None], axes[1][:, None], axes[2]))

    def room(self, *, anywhere: bool) -> Mask:
        """Return the voxels (bool) where a lesion may lie, never bone.

        Args:
            anywhere: If True, the room is the whole isolation mask; otherwise it is the lungs dilated by ``SPILL_MM``.
        """
        if anywhere:
            allowed = self.mask
        else:
            steps = [max(1, round(SPILL_MM / s)) if s <= 2 * SPILL_MM else 0 for s in self.spacing_mm]
            allowed = ndimage.maximum_filter(self.lungs, size=[2 * n + 1 for n in steps]) & self.mask
        return np.asarray(allowed & (self.hu < BONE_HU))


@dataclass(frozen=True, eq=False)
class Nodule:
    """A real nodule.

    Attributes:
        patient: Name of the patient.
        hu: HU of the crop, int16 (slice, row, column).
        depth_mm: Signed distance to the outline, mm, negative inside.
        spacing_mm: Spacing along (slice, row, column), mm.
        radius_mm: Radius of the ball of equal volume, mm.
    """

    patient: str
    hu: HU
    depth_mm: Float32Array
    spacing_mm: tuple[float, float, float]
    radius_mm: float

    @cached_property
    def mean_hu(self) -> float:
        """Mean HU inside the outline."""
        return float(self.hu[self.depth_mm < 0].mean())

    @classmethod
    def from_mask(cls, patient: str, hu: HU, mask: Mask, spacing_mm: tuple[float, float, float]) -> Nodule:
        """Make a nodule from the HU and the mask of a crop.

        Args:
            patient: Name of the patient.
            hu: HU (slice, row, column).
            mask: The nodule, bool, of the same shape.
            spacing_mm: Spacing along (slice, row, column), mm.

        Returns:
            The nodule; its radius is that of the ball of equal volume.
        """
        mask = np.pad(mask, 1)
        hu = np.pad(hu, 1, mode="edge")
        outside = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
        inside = ndimage.distance_transform_edt(mask, sampling=spacing_mm)
        depth = np.asarray(outside - inside, np.float32)
        radius = float((mask.sum() * np.prod(spacing_mm) * 3 / (4 * np.pi)) ** (1 / 3))
        return cls(patient, hu, depth, spacing_mm, radius)


def draw_radius_mm(rng: np.random.Generator, large_share: float, small_share: float = 0.0) -> float:
    """Draw the radius of a lesion, mm.

    Args:
        rng: The random generator.
        large_share: Probability of a radius from 28 to 60 mm, drawn uniformly.
        small_share: Probability of a radius from 3 to 8 mm, drawn log-uniformly.

    Returns:
        The radius; in all other cases it is log-uniform from 3 to 28 mm.
    """
    kind = rng.random()
    if kind < large_share:
        return float(rng.uniform(28, 60))
    if kind < large_share + small_share:
        return _log_uniform(3.0, 8.0, rng)
    return _log_uniform(3.0, 28.0, rng)


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def implant_procedural(patch: Patch, center: Array, radius_mm: float, rng: np.random.Generator) -> None:
    """Paint a tumor into HU and label.

    Args:
        patch: Changed in place.
        center: Center (slice, row, column), voxels; it may lie outside the patch.
        radius_mm: Approximate radius, mm.
        rng: The random generator.
    """
    points = patch.points_mm(center)
    depth = blob(points, radius_mm, rng)
    ground_glass = rng.random() < GROUND_GLASS_SHARE
    value = _lung_hu(patch) + rng.uniform(*GROUND_GLASS_HU) if ground_glass else rng.normal(35, 35)
    pattern = texture(points, rng) * rng.uniform(5, 30) + rng.normal(0, rng.uniform(10, 60), depth.shape)
    tissue = (value + pattern).astype(np.float32)
    if not ground_glass and rng.random() < PART_SOLID_SHARE:  # part-solid: a solid core in ground glass
        halo = depth > -radius_mm * rng.uniform(0.25, 0.6)
        tissue[halo] -= np.float32(rng.uniform(350, 650))
    if radius_mm > NECROSIS_FROM_MM and rng.random() < CAVITY_SHARE:
        hollow = blob(points, radius_mm * rng.uniform(0.3, 0.8), rng) < 0
        tissue[hollow] = (
            np.float32(rng.uniform(-980, -850))
            if rng.random() < 0.6
            else tissue[hollow] - np.float32(rng.uniform(20, 50))
        )
    if ground_glass:
        np.maximum(tissue, patch.hu, out=tissue)  # vessels stay visible in ground glass
    _paint(patch, depth, tissue, edge_mm=rng.uniform(0.4, 1.6), anywhere=_may_leave_lung(radius_mm, rng))


def implant_nodule(
    patch: Patch,
    nodule: Nodule,
    center: Array,
    radius_mm: float,
    rng: np.random.Generator,
    *,
    vary_density: bool = True,
) -> None:
    """Paint a real nodule, scaled toward ``radius_mm``, rotated and mirrored, into HU and label.

    Args:
        patch: Changed in place.
        nodule: The nodule.
        center: Center (slice, row, column), voxels.
        radius_mm: Wanted radius, mm; the scale stays within ``REAL_SCALE``.
        rng: The random generator.
        vary_density: Make half of the nodules denser, because the crops have a mean of -280 HU and advanced tumors are
            denser. Faint nodules stay unchanged.
    """
    scale = float(np.clip(radius_mm / nodule.radius_mm, *REAL_SCALE))
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    mirror = np.diag(rng.choice([-1.0, 1.0], 3))
    matrix = np.diag(1 / np.asarray(nodule.spacing_mm)) @ mirror @ turn @ np.diag(patch.spacing_mm) / scale
    middle = np.argwhere(nodule.depth_mm < 0).mean(axis=0)
    reach = (np.abs(np.linalg.inv(matrix)) @ (np.asarray(nodule.hu.shape) / 2)) + 1
    low = np.clip(np.floor(center - reach), 0, patch.hu.shape).astype(int)
    high = np.clip(np.ceil(center + reach) + 1, 0, patch.hu.shape).astype(int)
    if (high <= low).any():
        return
    offset = middle + matrix @ (low - center)
    size = tuple(high - low)
    depth = np.full(patch.hu.shape, 1e3, np.float32)
    tissue = patch.hu.copy()
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    depth[box] = scale * ndimage.affine_transform(nodule.depth_mm, matrix, offset, size, order=1, cval=1e3)
    tissue[box] = ndimage.affine_transform(nodule.hu.astype(np.float32), matrix, offset, size, order=1, mode="nearest")
    if vary_density and nodule.mean_hu >= FAINT_HU and rng.random() < 0.5:
        tissue[box] += np.float32(rng.uniform(0, 200))
    if scale > 1.5:
        tissue[box] += rng.normal(0, 15, size).astype(np.float32)  # interpolation has smoothed the noise away
    _paint(patch, depth, tissue, edge_mm=1.0, anywhere=_may_leave_lung(radius_mm, rng), rim_mm=REAL_RIM_MM)


def implant_distractor(patch: Patch, center: Array, rng: np.random.Generator) -> None:
    """Paint something that is not tumor into HU: a vessel, a scar or band, effusion, or airless lung.

    Airless lung may be brighter than tumor.

    Args:
        patch: Changed in place; its labels stay.
        center: Center (slice, row, column), voxels.
        rng: The random generator.
    """
    points = patch.points_mm(center)
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    along = np.tensordot(axis, points, 1)
    across = np.sqrt(np.maximum((points**2).sum(axis=0) - along**2, 0))
    kind = rng.choice(["vessel", "scar", "filled"])
    if kind == "vessel":
        depth = np.maximum(across - rng.uniform(1.5, 5.0), np.abs(along) - rng.uniform(15, 50))
        tissue = rng.uniform(20, 220) + rng.normal(0, 15, depth.shape)
    elif kind == "scar":
        depth = np.maximum(np.abs(along) - rng.uniform(0.7, 2.5), across - rng.uniform(8, 35))
        tissue = rng.uniform(-150, 60) + rng.normal(0, 20, depth.shape)
    else:  # beyond a plane: fluid and most airless lung lie at the back (high rows), an atelectatic lobe anywhere
        if rng.random() < 0.6:
            axis = np.array([rng.uniform(-0.3, 0.3), 1.0, rng.uniform(-0.3, 0.3)])
        depth = beyond_plane(points, axis, rng)
        value = rng.choice([rng.uniform(-10, 25), rng.uniform(25, 80), rng.uniform(70, 120)])
        tissue = value + rng.normal(0, 15, depth.shape)
    _paint(patch, depth.astype(np.float32), tissue.astype(np.float32), edge_mm=1.0, anywhere=False, label=0)


def implant_collapse(patch: Patch, center: Array, behind: Array, radius_mm: float, rng: np.random.Generator) -> None:
    """Paint atelectasis behind a mass that is painted afterwards; it is no tumor, and often as bright or brighter.

    Args:
        patch: Changed in place.
        center: Center (slice, row, column) of the mass, voxels.
        behind: Direction (slice, row, column) in mm from the mass to the atelectasis.
        radius_mm: Radius of the mass, mm; the atelectasis extends to ``COLLAPSE_REACH`` times as far.
        rng: The random generator.
    """
    points = patch.points_mm(center)
    axis = behind / np.linalg.norm(behind) + rng.normal(0, 0.3, 3)
    distance = np.sqrt((points**2).sum(axis=0))
    depth = np.maximum(beyond_plane(points, axis / np.linalg.norm(axis), rng), distance - COLLAPSE_REACH * radius_mm)
    tissue = rng.uniform(*COLLAPSE_HU) + rng.normal(0, 15, depth.shape)
    _paint(patch, depth.astype(np.float32), tissue.astype(np.float32), edge_mm=1.0, anywhere=False, label=0)


def choose_nodule(nodules: Sequence[Nodule], radius_mm: float, rng: np.random.Generator) -> Nodule:
    """Choose a nodule for a wanted radius.

    Of three random nodules it is the one nearest in size, so that scales stay moderate. With probability
    ``FAINT_SHARE`` the three are drawn from the faint nodules, if there are any.
    """
    faint = [nodule for nodule in nodules if nodule.mean_hu < FAINT_HU]
    if faint and rng.random() < FAINT_SHARE:
        nodules = faint
    drawn: list[Nodule] = [nodules[i] for i in rng.integers(len(nodules), size=3)]
    return min(drawn, key=lambda nodule: abs(math.log(nodule.radius_mm / radius_mm)))


def _lung_hu(patch: Patch) -> float:
    """Return the HU of aerated lung in a patch: the median of the lungs, or ``HEALTHY_LUNG_HU`` without lungs."""
    return float(np.median(patch.hu[patch.lungs])) if patch.lungs.any() else HEALTHY_LUNG_HU


def _paint(
    patch: Patch,
    depth: Float32Array,
    tissue: Float32Array,
    *,
    edge_mm: float,
    anywhere: bool,
    rim_mm: float = 0.0,
    label: int = LESION,
) -> None:
    """Blend ``tissue`` in where ``depth`` is negative.

    Args:
        patch: Changed in place.
        depth: Signed distance to the surface (slice, row, column), mm, negative inside.
        tissue: HU of the same shape.
        edge_mm: Half the width of the soft edge, mm.
        anywhere: See ``Patch.room``.
        rim_mm: Distance beyond the surface at which the blending is half, mm.
        label: Label of the voxels with a negative depth that lie in the room; 0 leaves the labels unchanged.
    """
    near = depth < rim_mm + edge_mm
    if not near.any():
        return
    room = patch.room(anywhere=anywhere)
    share = np.clip(0.5 - (depth - rim_mm) / (2 * edge_mm), 0, 1) * room
    patch.hu += share * (tissue - patch.hu)
    if label:
        patch.label[(depth < 0) & room] = label


def _may_leave_lung(radius_mm: float, rng: np.random.Generator) -> bool:
    """Draw whether a lesion may leave the lung.

    Large masses often fill the hilum and mediastinum; small lesions rarely do.
    """
    return bool(rng.random() < (0.4 if radius_mm > 15 else 0.08))
