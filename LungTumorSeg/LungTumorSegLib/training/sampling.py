"""Samples for training: where the network looks.

A sample depends only on its random generator, so a resumed run repeats itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from ..core.errors import UnusableInput
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
from .sampling_config import SamplingConfig
from .store import LUNG_BIT, MASK_BIT, StoredCase
from .walls import MEDIASTINUM

MARGIN_VOXELS = 12
"""Extra rows and columns on each side of a crop, so that rotation and deformation move tissue into it, not air."""

DISTRACTOR_SHARE = 0.25
"""Share of the samples that get a look-alike that is not tumor, before any lesion is painted."""

BORDER_SHARE = 0.55
"""Share of the implants at the lung's surface: pleura, hilum, mediastinum, diaphragm."""

MASSES = "masses"
"""Kind of the samples with a mass at a wall of the lungs."""

MASS_RADIUS_MM, COLLAPSE_SHARE = (20.0, 60.0), 0.5
"""Range of the radius of these masses, mm, and share of them with atelectasis behind."""

T = TypeVar("T")

Site = tuple[int, int, int, int]
"""A position: (case index, slice, row, column)."""


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
        self._cases, self._nodules, self._grid, self._config = cases, nodules, grid, config
        self._hard = hard_sites
        self._augment = build_augmentation(config.augmentation, config.augmentation_without)
        self._scans = [i for i, case in enumerate(cases) if not case.is_phantom]
        self._phantoms = [i for i, case in enumerate(cases) if case.is_phantom]

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw a sample.

        Returns:
            An image (slices, rows, columns), float32, 0 to 1, and its label, uint8: 0 background, 1 tumor, 255 does not
            count.

        Raises:
            UnusableInput: A case has no lung on the working grid.
        """
        kind = self._kind(rng)
        size = np.add(self._config.crop, (0, 2 * MARGIN_VOXELS, 2 * MARGIN_VOXELS))
        if kind == MASSES:
            case, place, wall = self._wall_site(rng)
            radius = float(rng.uniform(*MASS_RADIUS_MM))
        else:
            (case, place), wall = self._place(kind, rng), ""
            radius = draw_radius_mm(rng, self._config.large, self._config.small)
        lesion = kind in ("implants", MASSES)
        corner = self._corner(case, place, size, radius if lesion else 0.0, rng)
        patch = gather(case, corner, size, self._grid.spacing_mm)
        vary_patient(patch, self._config.appearance, rng)
        if rng.random() < DISTRACTOR_SHARE:
            implant_distractor(patch, rng.uniform(0.1, 0.9, 3) * size, rng)
        if wall and rng.random() < COLLAPSE_SHARE:
            middle = (np.asarray(case.hu.shape) - 1) / 2
            implant_collapse(patch, place - corner, _behind(wall, place, middle), radius, rng)
        if lesion:
            self._implant(patch, place - corner, radius, rng)
        while rng.random() < self._config.extra:
            self._implant_small(patch, rng)
        vary_scan(patch, self._config.appearance, rng, isolated=True)
        low, high = self._grid.window_hu
        image = np.clip((patch.hu - low) / (high - low), 0, 1)
        label = np.where((patch.label > 0) & (patch.label < 255), 1, patch.label).astype(np.uint8)
        image, label = self._augment(image.astype(np.float32), label, int(rng.integers(2**32)))
        inner = (slice(None), slice(MARGIN_VOXELS, -MARGIN_VOXELS), slice(MARGIN_VOXELS, -MARGIN_VOXELS))
        return np.ascontiguousarray(image[inner]), np.ascontiguousarray(label[inner])

    def _kind(self, rng: np.random.Generator) -> str:
        if self._config.masses and rng.random() < self._config.masses:
            return MASSES
        names = ["implants", "lesions", "lung", "hard_sites"]
        shares = np.array([getattr(self._config, name) for name in names])
        if not self._hard:
            shares[3] = 0.0
        return str(names[_pick(shares if shares.any() else np.ones(3), rng)])

    def _place(self, kind: str, rng: np.random.Generator) -> tuple[StoredCase, Array]:
        """Draw a case and a position (voxels) in it."""
        if kind == "hard_sites":
            case, *position = self._hard_site(rng)
            return self._cases[case], np.asarray(position, float)
        case_index = self._background(rng)
        sites = self._cases[case_index].sites
        names = self._cases[case_index].lesion_names if kind == "lesions" else []
        name = (
            str(rng.choice(names))
            if names
            else ("border" if kind == "implants" and rng.random() < BORDER_SHARE else "lung")
        )
        places = sites[name] if len(sites[name]) else sites["lung"]  # a coarse grid has no border
        if not len(places):
            raise UnusableInput(
                f"{self._cases[case_index].folder.name} has no lung on a grid of this spacing; choose a finer spacing."
            )
        return self._cases[case_index], places[rng.integers(len(places))].astype(float)

    def _wall_site(self, rng: np.random.Generator) -> tuple[StoredCase, Array, str]:
        """Draw a case, a position (voxels) at one of the walls of its lungs, and the wall; each wall is as likely.

        A case in which no wall is clear has its masses anywhere in the lung, without a wall.
        """
        case = self._cases[self._background(rng)]
        walls = [wall for wall, sites in case.walls.items() if len(sites)]
        if not walls:
            return *self._place("lung", rng), ""
        wall = walls[int(rng.integers(len(walls)))]
        return case, case.walls[wall][rng.integers(len(case.walls[wall]))].astype(float), wall

    def _background(self, rng: np.random.Generator) -> int:
        return of_either(self._scans, self._phantoms, self._config.real_backgrounds, rng)

    def _hard_site(self, rng: np.random.Generator) -> Site:
        """Draw a hard site, from real CTs in the configured share.

        The few CTs teach more than the many phantoms, whose sites would outnumber theirs.
        """
        scans = [site for site in self._hard if not self._cases[site[0]].is_phantom]
        phantoms = [site for site in self._hard if self._cases[site[0]].is_phantom]
        return of_either(scans, phantoms, self._config.real_backgrounds, rng)

    def _corner(self, case: StoredCase, place: Array, size: Array, radius_mm: float, rng: np.random.Generator) -> Array:
        """Draw the first voxel of a patch around ``place``.

        A lesion's center may be off the patch's center by most of the lesion's radius. Slices stay inside the case, as
        the stacks of inference do.
        """
        spread = np.maximum(
            0.7 * radius_mm / np.asarray(self._grid.spacing_mm), (np.asarray(self._config.crop) - 1) * 0.3
        )
        spread = np.minimum(spread, (10_000, self._config.crop[1] * 0.45, self._config.crop[2] * 0.45))
        corner = np.rint(place - size / 2 + rng.uniform(-1, 1, 3) * spread).astype(int)
        corner[0] = np.clip(corner[0], 0, max(0, case.hu.shape[0] - size[0]))
        return corner

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


def _behind(wall: str, place: Array, middle: Array) -> Array:
    """Return the direction (slice, row, column) in which lung behind a mass collapses.

    Behind a mass at the mediastinum it is the lung at its side, otherwise the lung below and at the back.
    """
    if wall == MEDIASTINUM:
        return np.array([0.0, 0.3, 1.0 if place[2] > middle[2] else -1.0])
    return np.array([-0.5, 1.0, 0.0])


def of_either(scans: Sequence[T], phantoms: Sequence[T], share: float, rng: np.random.Generator) -> T:
    """Draw one item, with probability ``share`` from those of real CTs; an empty group leaves the other one."""
    from_scans = bool(scans) and (not phantoms or rng.random() < share)
    group = scans if from_scans else phantoms
    return group[int(rng.integers(len(group)))]


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


def _pick(shares: Array, rng: np.random.Generator) -> int:
    return int(rng.choice(len(shares), p=shares / shares.sum()))
