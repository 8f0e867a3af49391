"""Samples of the second network: a place in a chest, its two views, and what is there.

Four kinds of places are drawn: implanted lesions, labeled lesions, what the first network suspects outside all lesions,
and places anywhere in the chest. Their views are varied as scanners, contrast agents and reconstructions vary them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ...core.components import largest_component
from ...core.errors import UnusableInput
from ...core.volume import AIR_HU, Array, Float32Array, Float64Array, Mask, Point, Volume, as_point
from ...refinement.candidates import extent_mm
from ...refinement.look import UNIT_MM
from ...refinement.views import AERATED_HU, COARSE_MM, COARSE_VOXELS, Cube, side_for_extent
from ..appearance import vary_patient, vary_scan
from ..implants import (
    LESION,
    Nodule,
    Patch,
    choose_nodule,
    draw_radius_mm,
    implant_distractor,
    implant_nodule,
    implant_procedural,
)
from ..places import of_either
from ..sampling_config import AppearanceConfig
from ..store import HIGHEST_HU, IGNORED
from .backgrounds import INSIDE, SMALLEST_ML, Background, deep_voxels
from .config import LookSamplingConfig

ANYWHERE = {"dense": 0.55, "soft": 0.15, "lung": 0.23, "body": 0.07}
"""Shares of the sites of the samples anywhere in the chest."""

ANYWHERE_MM = (8.0, 80.0)
"""Range of the extents, mm, that are assumed there; they are log-uniform."""


VOLUME_POWER = 0.4
"""False positives are drawn in proportion to this power of their volume."""

OFF_CENTER = 0.08
"""Standard deviation of the distance of a sample's center from that of a false positive, per extent and axis."""


EXTENT_PER_RADIUS = 2.4
"""Extent that is expected of an implant, per radius."""


DISTRACTOR_SHARE = 0.2
APPEARANCE = AppearanceConfig(kernel=0.3, noise=0.5, thick_slices=0.35)
"""How often a sample looks as on another scanner."""

SIDE_DEVIATION = 0.3
"""Standard deviation of the logarithm of the side of the fine view: candidates and clicks give it only roughly."""

SHIFT_SHARE, SHIFT_HU = 0.3, 12.0
MIRROR_SHARE, TURN_SHARE, TURN_MM = 0.5, 0.25, 60.0
"""Shares of the samples that are mirrored (left and right), and whose fine view is also turned front to back.

Only lesions below ``TURN_MM`` are turned, because they look alike either way.
"""

MIDDLE = slice(12, 28)
"""Voxels of the fine view along each axis that decide whether ignored voxels make the answer unknown."""

IGNORED_SHARE, IGNORED_TOUCH = 0.05, 0.3
UNKNOWN, AERATED_SCALE = -1, 200.0
"""``tumor`` of a place whose nature is unknown; factor with which the share of aerated lung is stored."""

OWN, DOES_NOT_COUNT = 1, 2
"""Values of a sample's mask."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A place with its views.

    Attributes:
        fine: HU of the fine view, int16 (40, 40, 40).
        coarse: HU and aerated share times ``AERATED_SCALE`` of the coarse view, int16 (2, 32, 32, 32).
        mask: The lesion in the fine view, uint8 (40, 40, 40): 0 background, ``OWN``, ``DOES_NOT_COUNT``.
        octaves: Base-2 logarithm of the side of the fine view divided by ``UNIT_MM``.
        tumor: 1 for a tumor, 0 for none, ``UNKNOWN``.
        source: Where the chest comes from.
    """

    fine: Array
    coarse: Array
    mask: Array
    octaves: float
    tumor: int
    source: str


class Sampler:
    """Draws samples from backgrounds."""

    def __init__(
        self, backgrounds: Sequence[Background], nodules: Sequence[Nodule], config: LookSamplingConfig
    ) -> None:
        """Take the backgrounds, the real nodules to implant (may be empty), and the shares.

        A kind of sample that no background offers is not drawn; the other kinds share its part.

        Raises:
            UnusableInput: No kind is left.
        """
        self._backgrounds, self._nodules, self._config = backgrounds, nodules, config
        shares: dict[Callable[[np.random.Generator], Sample | None], float] = {
            self._implanted: config.implants if backgrounds else 0.0,
            self._labeled: config.lesions if any(each.lesions for each in backgrounds) else 0.0,
            self._false_positive: (
                config.false_positives if any(each.false_positives for each in backgrounds) else 0.0
            ),
            self._anywhere: config.anywhere if backgrounds else 0.0,
        }
        if not sum(shares.values()):
            raise UnusableInput(
                "The cases have nothing to draw for the shares in second_look.sampling; add cases or change the shares."
            )
        self._kinds = list(shares)
        self._shares = np.array(list(shares.values())) / sum(shares.values())

    def draw(self, rng: np.random.Generator) -> Sample:
        """Draw a sample; an implant that leaves too little in the chest is drawn again."""
        while True:
            sample = self._kinds[int(rng.choice(len(self._kinds), p=self._shares))](rng)
            if sample is not None:
                return sample

    def _implanted(self, rng: np.random.Generator) -> Sample | None:
        background = _background(self._backgrounds, self._config.real_backgrounds, rng)
        sites = background.sites["lung"]
        if rng.random() < self._config.border and len(background.sites["border"]):
            sites = background.sites["border"]
        radius_mm = draw_radius_mm(rng, self._config.large, self._config.small)
        view = _View(background, _any(sites, rng), EXTENT_PER_RADIUS * radius_mm, rng, radius_mm)
        self._implant(view, radius_mm, rng)
        mask = largest_component(view.patch.label == LESION)
        if mask is None or np.count_nonzero(mask) * view.volume.voxel_volume_ml < SMALLEST_ML:
            return None
        deep = deep_voxels(mask, view.volume.spacing, float(rng.choice(INSIDE)))
        center = view.volume.index_to_lps(deep[rng.integers(len(deep))] + rng.uniform(-0.5, 0.5, 3))
        return view.sample(as_point(center), extent_mm(mask, view.volume.spacing), mask, rng)

    def _implant(self, view: _View, radius_mm: float, rng: np.random.Generator) -> None:
        if self._nodules and rng.random() < self._config.real_nodules:
            nodule = choose_nodule(self._nodules, radius_mm, rng)
            implant_nodule(view.patch, nodule, view.center, radius_mm, rng)
        else:
            implant_procedural(view.patch, view.center, radius_mm, rng)

    def _labeled(self, rng: np.random.Generator) -> Sample:
        with_lesions = [each for each in self._backgrounds if each.lesions]
        background = _background(with_lesions, self._config.real_backgrounds, rng)
        lesion = background.lesions[rng.integers(len(background.lesions))]
        index = _any(lesion.inside, rng) + rng.uniform(-0.5, 0.5, 3)
        view = _View(background, index, lesion.extent_mm, rng)
        return view.sample(view.place, lesion.extent_mm, view.patch.label == lesion.value, rng)

    def _false_positive(self, rng: np.random.Generator) -> Sample:
        suspected = [each for each in self._backgrounds if each.false_positives]
        background = _background(suspected, self._config.real_false_positives, rng)
        weights = np.array([each.volume_ml for each in background.false_positives]) ** VOLUME_POWER
        chosen = background.false_positives[int(rng.choice(len(weights), p=weights / weights.sum()))]
        place = np.array(chosen.center) + rng.normal(0, OFF_CENTER * chosen.extent_mm, 3)
        view = _View(background, background.levels[0].ct.lps_to_index(place), chosen.extent_mm, rng)
        return view.sample(view.place, chosen.extent_mm, None, rng)

    def _anywhere(self, rng: np.random.Generator) -> Sample:
        background = _background(self._backgrounds, self._config.real_backgrounds, rng)
        sites = background.sites[str(rng.choice(list(ANYWHERE), p=list(ANYWHERE.values())))]
        extent = float(np.exp(rng.uniform(*np.log(ANYWHERE_MM))))
        view = _View(background, _any(sites if len(sites) else background.sites["lung"], rng), extent, rng)
        return view.sample(view.place, extent, None, rng)


class _View:
    """A part of a background in which implants are painted and from which both views are sampled.

    Attributes:
        patch: The part, changed in place; its contrast agent is varied, and it may hold a distractor.
        volume: Its geometry.
        place: The place, LPS mm.
        center: The place in voxels of the part.
    """

    def __init__(
        self, background: Background, index: Array, guess_mm: float, rng: np.random.Generator, radius_mm: float = 0.0
    ) -> None:
        """Cut a part around ``index`` (voxels of the CT) that holds a view of something of the extent ``guess_mm``."""
        self.place = as_point(background.levels[0].ct.index_to_lps(index))
        level = background.level(side_for_extent(0.75 * guess_mm))
        ct = level.ct
        reach_mm = max(0.6 * side_for_extent(1.5 * guess_mm), 2 * radius_mm) + 5
        middle, half = np.asarray(ct.lps_to_index(self.place)), np.ceil(reach_mm / np.array(ct.spacing))
        low = np.clip(np.floor(middle - half), 0, np.array(ct.shape) - 2).astype(int)
        high = np.clip(np.ceil(middle + half) + 1, low + 2, ct.shape).astype(int)
        here = tuple(slice(a, b) for a, b in zip(low.tolist(), high.tolist(), strict=True))
        affine = ct.affine_from(low)
        self.patch = Patch(
            ct.array[here].astype(np.float32),
            level.label[here].copy(),
            level.closed[here],
            level.mask[here],
            ct.spacing,
        )
        self.volume, self.center = Volume(self.patch.hu, affine), middle - low
        self._background, self._lungs, self._before = background, level.lungs[here], self.patch.hu.copy()
        vary_patient(self.patch, APPEARANCE, rng)
        if rng.random() < DISTRACTOR_SHARE:
            implant_distractor(self.patch, rng.uniform(0.15, 0.85, 3) * self.patch.hu.shape, rng)

    def sample(self, center: Point, extent: float, own: Mask | None, rng: np.random.Generator) -> Sample:
        """Sample both views.

        Args:
            center: Center of the views, LPS mm.
            extent: Extent of what is there, mm.
            own: Mask (bool) of the lesion in the part; None if the part shows no lesion.
            rng: The random generator.
        """
        side_mm = side_for_extent(extent * float(np.exp(rng.normal(0, SIDE_DEVIATION))))
        vary_scan(self.patch, APPEARANCE, rng, isolated=False)
        cube = Cube(center, side_mm)
        fine = cube.sample(self.patch.hu, self.volume, outside=AIR_HU)
        ignored = cube.sample(self.patch.label == IGNORED, self.volume) > IGNORED_TOUCH
        mask = np.zeros(fine.shape, np.uint8)
        if own is not None:
            mask[cube.sample(own, self.volume) > 0.5] = OWN
        mask[ignored] = DOES_NOT_COUNT
        coarse_hu, aerated = self._coarse(center)
        tumor = int(own is not None)
        if own is None and ignored[MIDDLE, MIDDLE, MIDDLE].mean() > IGNORED_SHARE:
            tumor = UNKNOWN
        if rng.random() < SHIFT_SHARE:
            shift = np.float32(rng.normal(0, SHIFT_HU))
            fine, coarse_hu = fine + shift, coarse_hu + shift
        coarse = np.stack([coarse_hu, np.clip(aerated, 0, 1) * np.float32(AERATED_SCALE)])
        if rng.random() < MIRROR_SHARE:
            fine, coarse, mask = fine[..., ::-1], coarse[..., ::-1], mask[..., ::-1]
        if rng.random() < TURN_SHARE and extent < TURN_MM:
            fine, mask = fine[:, ::-1], mask[:, ::-1]
        octaves = float(np.log2(side_mm / UNIT_MM))
        return Sample(
            _stored(fine), _stored(coarse), np.ascontiguousarray(mask), octaves, tumor, self._background.source
        )

    def _coarse(self, center: Point) -> tuple[Float32Array, Float32Array]:
        """Return HU and aerated share of the coarse view, with all that has changed in the part."""
        cube, anatomy = Cube(center, COARSE_MM, COARSE_VOXELS), self._background.anatomy
        hu = cube.sample(anatomy.hu.array, anatomy.hu, outside=AIR_HU)
        aerated = cube.sample(anatomy.aerated.array, anatomy.aerated)
        was, is_now = (self._lungs & (each < AERATED_HU) for each in (self._before, self.patch.hu))
        changed = is_now.astype(np.float32) - was
        return hu + cube.sample(self.patch.hu - self._before, self.volume), aerated + cube.sample(changed, self.volume)


def _background(backgrounds: Sequence[Background], real_share: float, rng: np.random.Generator) -> Background:
    real = [each for each in backgrounds if not each.is_phantom]
    return of_either(real, [each for each in backgrounds if each.is_phantom], real_share, rng)


def _any(places: Array, rng: np.random.Generator) -> Float64Array:
    return np.asarray(places[rng.integers(len(places))], dtype=float)


def _stored(values: Float32Array) -> Array:
    return np.rint(np.clip(values, AIR_HU, HIGHEST_HU)).astype(np.int16)
