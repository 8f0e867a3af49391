"""Samples for training: a part of a case around a place, with implants and augmentation.

A sample depends only on its random generator, so a resumed run repeats itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.volume import AIR_HU, Array
from .appearance import vary_patient, vary_scan
from .augmentation import build_augmentation
from .config import GridConfig
from .implants import (
    Nodule,
    Patch,
    choose_nodule,
    draw_radius_mm,
    implant_collapse,
    implant_distractor,
    implant_nodule,
    implant_procedural,
)
from .places import MASSES, Place, Places, Site
from .sampling_config import SamplingConfig
from .store import LUNG_BIT, MASK_BIT, StoredCase
from .walls import MEDIASTINUM

MARGIN_VOXELS = 12
"""Extra rows and columns on each side of a crop, so that rotation and deformation move tissue into it, not air."""

DISTRACTOR_SHARE = 0.25
"""Share of the samples that get a look-alike that is not tumor, before any lesion is painted."""

MASS_RADIUS_MM, COLLAPSE_SHARE = (20.0, 60.0), 0.5
"""Range of the radius of a mass at a wall of the lungs, mm, and share of these masses with atelectasis behind."""


class Sampler:
    """Draws samples: a background case, a place in it, possibly implants, augmentation, a crop."""

    def __init__(
        self,
        cases: Sequence[StoredCase],
        nodules: Sequence[Nodule],
        grid: GridConfig,
        config: SamplingConfig,
        hard_sites: Sequence[Site] = (),
    ) -> None:
        self._nodules, self._grid, self._config = nodules, grid, config
        self._places = Places(cases, config, hard_sites)
        self._augment = build_augmentation(config.augmentation, config.augmentation_without)

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw a sample.

        Returns:
            An image (slices, rows, columns), float32, 0 to 1, and its label, uint8: 0 background, 1 tumor, 255 does not
            count.

        Raises:
            UnusableInput: A case has no lung on the working grid.
        """
        kind = self._places.kind(rng)
        place = self._places.draw(kind, rng)
        radius = (
            float(rng.uniform(*MASS_RADIUS_MM))
            if kind == MASSES
            else draw_radius_mm(rng, self._config.large, self._config.small)
        )
        lesion = kind in ("implants", MASSES)
        corner = draw_corner(place, self._config.crop, radius if lesion else 0.0, self._grid.spacing_mm, rng)
        size = np.add(self._config.crop, (0, 2 * MARGIN_VOXELS, 2 * MARGIN_VOXELS))
        patch = gather(place.case, corner, size, self._grid.spacing_mm)
        vary_patient(patch, self._config.appearance, rng)
        if rng.random() < DISTRACTOR_SHARE:
            implant_distractor(patch, rng.uniform(0.1, 0.9, 3) * size, rng)
        if place.wall and rng.random() < COLLAPSE_SHARE:
            implant_collapse(patch, place.voxel - corner, _behind(place), radius, rng)
        if lesion:
            self._implant(patch, place.voxel - corner, radius, rng)
        while rng.random() < self._config.extra:
            self._implant_small(patch, rng)
        vary_scan(patch, self._config.appearance, rng, isolated=True)
        low, high = self._grid.window_hu
        image = np.clip((patch.hu - low) / (high - low), 0, 1)
        label = np.where((patch.label > 0) & (patch.label < 255), 1, patch.label).astype(np.uint8)
        image, label = self._augment(image.astype(np.float32), label, int(rng.integers(2**32)))
        inner = (slice(None), slice(MARGIN_VOXELS, -MARGIN_VOXELS), slice(MARGIN_VOXELS, -MARGIN_VOXELS))
        return np.ascontiguousarray(image[inner]), np.ascontiguousarray(label[inner])

    def _implant_small(self, patch: Patch, rng: np.random.Generator) -> None:
        """Implant one more small lesion anywhere in the lung.

        Among true lesions and look-alikes, the network must learn to distinguish small lesions from vessels.
        """
        inside = np.argwhere(patch.lungs & (patch.label == 0))
        if len(inside):
            self._implant(patch, inside[rng.integers(len(inside))].astype(float), draw_radius_mm(rng, 0.0, 1.0), rng)

    def _implant(self, patch: Patch, center: Array, radius_mm: float, rng: np.random.Generator) -> None:
        if self._nodules and rng.random() < self._config.real_nodules:
            implant_nodule(patch, choose_nodule(self._nodules, radius_mm, rng), center, radius_mm, rng)
        else:
            implant_procedural(patch, center, radius_mm, rng)


def _behind(place: Place) -> Array:
    """Return the direction (slice, row, column) in which lung behind a mass collapses.

    Behind a mass at the mediastinum it is the lung at its side, otherwise the lung below and at the back.
    """
    if place.wall == MEDIASTINUM:
        middle = (place.case.hu.shape[2] - 1) / 2
        return np.array([0.0, 0.3, 1.0 if place.voxel[2] > middle else -1.0])
    return np.array([-0.5, 1.0, 0.0])


def draw_corner(
    place: Place,
    crop: tuple[int, int, int],
    radius_mm: float,
    spacing_mm: tuple[float, float, float],
    rng: np.random.Generator,
) -> Array:
    """Draw the first voxel of a patch around a place.

    A lesion's center may be off the patch's center by most of the lesion's radius. Slices stay inside the case, as the
    stacks of inference do.

    Args:
        place: The place.
        crop: Size of the crop (slices, rows, columns); the patch has ``MARGIN_VOXELS`` more in the plane.
        radius_mm: Radius of the lesion at the place, mm; 0 without a lesion.
        spacing_mm: Spacing of the case along (slice, row, column), mm.
        rng: The random generator.

    Returns:
        The index (slice, row, column); rows and columns may lie outside the case.
    """
    size = np.add(crop, (0, 2 * MARGIN_VOXELS, 2 * MARGIN_VOXELS))
    spread = np.maximum(0.7 * radius_mm / np.asarray(spacing_mm), (np.asarray(crop) - 1) * 0.3)
    spread = np.minimum(spread, (10_000, crop[1] * 0.45, crop[2] * 0.45))
    corner = np.rint(place.voxel - size / 2 + rng.uniform(-1, 1, 3) * spread).astype(int)
    corner[0] = np.clip(corner[0], 0, max(0, place.case.hu.shape[0] - size[0]))
    return corner


def gather(case: StoredCase, corner: Array, size: Array, spacing_mm: tuple[float, float, float]) -> Patch:
    """Copy a patch from a case; voxels outside the case are air.

    Args:
        case: The case.
        corner: Its first index (slice, row, column); it may lie outside the case.
        size: Number of (slices, rows, columns).
        spacing_mm: Spacing of the case along (slice, row, column), mm.
    """
    shape = np.asarray(case.hu.shape)
    low, high = np.clip(corner, 0, shape), np.clip(corner + size, 0, shape)
    source = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    target = tuple(slice(a, b) for a, b in zip(low - corner, high - corner, strict=True))
    hu = np.full(size, AIR_HU, np.float32)
    label, region = np.zeros(size, np.uint8), np.zeros(size, np.uint8)
    hu[target], label[target], region[target] = case.hu[source], case.label[source], case.region[source]
    return Patch(hu, label, (region & LUNG_BIT) > 0, (region & MASK_BIT) > 0, spacing_mm)
