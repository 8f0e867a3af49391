"""The second look of a run: how probably each candidate is a tumor, and its outline on the CT's own grid.

The first network finds candidates, the second one judges and outlines them. A lesion of more than ``LARGE_MM`` keeps
the first network's outline, because the fine view would hold it only at a coarse spacing, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np

from ..core.boxes import Box, relative, slices_of, united
from ..core.crops import Crop
from ..core.events import Progress, ProgressCallback, ignore_progress
from ..core.resampling import resample_separable
from ..core.volume import AIR_HU, Array, Volume, as_shape
from ..inference.grid import WorkingGrid
from ..networks.second_network import SecondNetwork
from ..networks.workers import Workers, torch_workers
from ..weights.manifest import SecondLook
from .borders import at_edges
from .calibration import TUMOR_LOGIT, Calibration
from .candidates import Candidate, find_candidates
from .crops import Anatomy, side_for_extent
from .fragments import as_candidate, separate
from .haze import LEAST_LOGIT, LEAST_TUMOR, apart_from, dense_parts, is_hazy, is_large_haze
from .look import Look, SecondReader
from .measures import Surroundings, measures_of
from .outline import Outline
from .overlooked import added, is_known, judged
from .spots import Spot, find_spots

LARGE_MM = 60.0
"""Extent from which a lesion keeps the first network's outline, mm."""

SECOND_SHARE = 0.3
"""Weight of the second network's outline; the rest is the first one's.

On 101 lesions of nine CTs, the mean Dice was 0.827 with 0, 0.833 with 0.3 and 0.821 with 0.5.
"""

SMALLEST_SHARE = 0.5
"""Volume of the smallest candidate, divided by that of the smallest lesion: the outline may be larger than the core."""

MOST_FRAGMENTS = 10
"""Number of separate parts per candidate, the largest ones, that are looked at again."""


def second_look(
    network: SecondNetwork,
    numbers: SecondLook,
    ct: Volume,
    lungs: Array,
    grid: WorkingGrid,
    probability: Array,
    deviation: Array,
    probability_on_ct: Volume,
    *,
    voxel_threshold: float,
    min_lesion_ml: float,
    on_progress: ProgressCallback = ignore_progress,
) -> list[Outline]:
    """Look at everything that the first network suspects.

    Args:
        network: The second network.
        numbers: Its entry in the model's manifest.
        ct: The CT (HU) with canonical axes, not limited to the isolation mask.
        lungs: Both lungs (bool) on the CT's grid.
        grid: The working grid of the first network.
        probability: Its mean probability on the working grid.
        deviation: The standard deviation across stacks on the working grid.
        probability_on_ct: The mean probability on the CT's grid.
        voxel_threshold: Probability that a voxel of a lesion exceeds.
        min_lesion_ml: Smallest volume of a lesion, mL.
        on_progress: Called after each candidate.

    Returns:
        The candidates, largest first. Each mask is one lesion, connected or not; parts of an outline that lie farther
        away are looked at again as candidates of their own, and are at most as probably a tumor as the whole. A large
        haze follows the lesions inside it and does not touch them.
    """
    working = Volume(probability, grid.image.affine)
    smallest_ml = SMALLEST_SHARE * min_lesion_ml
    candidates = find_candidates(working, min_ml=smallest_ml)
    if not candidates and numbers.spot is None:
        return []
    with torch_workers() as workers:
        anatomy = workers.start(lambda lungs: Anatomy.of(ct, lungs), lungs)
        places = workers.start(lambda lungs: find_spots(ct, lungs) if numbers.spot else [], lungs)
        around = _surroundings(ct, lungs, grid, probability, deviation)
        hazes = [is_large_haze(candidate, measures_of(candidate, around)) for candidate in candidates]
        # Beside a large haze no spots are sought: round parts of pneumonia look like nodules.
        by = None if any(hazes) else numbers.spot
        spots = [] if by is None else places.result()
        reader = SecondReader(network, ct, anatomy.result(), numbers.outline_logit)
        judge = _Judge(reader, numbers, around, any(hazes), probability_on_ct, voxel_threshold, smallest_ml)
        found: list[Outline] = []
        steps = len(candidates) + len(spots)
        outlined = workers.results(judge.all_outlines, zip(candidates, hazes, strict=True))
        for done in range(len(candidates)):
            on_progress(Progress("verifying", done, steps))
            found += next(outlined)
        if by is not None:
            for done, so_far in enumerate(judge.with_spots(found, spots, by, min_lesion_ml, workers), 1):
                found = so_far
                on_progress(Progress("verifying", len(candidates) + done, steps))
        on_progress(Progress("verifying", steps, steps))
    return found


@dataclass(frozen=True, eq=False)
class _Judge:
    """The second network, with what it needs to know about a CT."""

    reader: SecondReader
    numbers: SecondLook
    surroundings: Surroundings
    beside_haze: bool
    probability_on_ct: Volume
    voxel_threshold: float
    min_ml: float

    @property
    def ct(self) -> Volume:
        """The CT."""
        return self.reader.ct

    def seen(self, candidate: Candidate) -> tuple[Look, float]:
        """Return the look at a candidate, and the probability that the candidate is a tumor."""
        look = self.reader.look(candidate.center, side_for_extent(candidate.extent_mm))
        measures = measures_of(candidate, self.surroundings)
        if self.beside_haze and is_hazy(measures):
            return look, 0.0
        return look, self.numbers.candidate.probability({**measures, TUMOR_LOGIT: look.tumor_logit})

    def all_outlines(self, candidate_and_haze: tuple[Candidate, bool]) -> list[Outline]:
        """Return the outlines of a candidate, after those of the lesions inside it if it is a large haze."""
        candidate, is_haze = candidate_and_haze
        inside = self.lesions_inside(candidate) if is_haze else []
        whole = self.outlines(candidate, *self.seen(candidate))
        return [*inside, *(_beside(inside, each, self.ct) for each in whole)]

    def outlines(
        self, candidate: Candidate, look: Look, tumor: float, second_share: float = SECOND_SHARE
    ) -> list[Outline]:
        """Return the outline of a candidate, and those of its parts that are candidates of their own."""
        working = self.surroundings.suspected
        mask = outline(candidate, look, self.probability_on_ct, working, self.voxel_threshold, second_share)
        if mask is None:
            return [Outline(None, tumor)]
        first, *others = (at_edges(part, self.ct) for part in separate(mask, self.ct, min_ml=self.min_ml))
        found = [Outline(first, tumor)]
        for part in others[:MOST_FRAGMENTS]:
            own = as_candidate(part, candidate, working, self.ct, min_ml=self.min_ml)
            # The calibration was fitted on whole candidates, so a part may lose confidence, never gain it.
            found += [] if own is None else [Outline(part, min(tumor, self.seen(own)[1]))]
        return found + [Outline(part, tumor) for part in others[MOST_FRAGMENTS:]]

    def with_spots(
        self, found: list[Outline], spots: Sequence[Spot], by: Calibration, least_ml: float, workers: Workers
    ) -> Iterator[list[Outline]]:
        """Yield, after each spot, the outlines with those of the spots so far that are lesions.

        Args:
            found: The outlines before.
            spots: The spots.
            by: The regression that gives their probability.
            least_ml: Smallest volume of a lesion, mL.
            workers: Computes several looks at the same time.
        """

        def look(spot: Spot) -> Outline:
            return judged(spot, self.reader, by)

        unknown = [not is_known(spot, found, self.ct, min_lesion_ml=least_ml) for spot in spots]
        looks = workers.results(look, compress(spots, unknown))
        for spot, begun in zip(spots, unknown, strict=True):
            seen = next(looks) if begun else None
            if not is_known(spot, found, self.ct, min_lesion_ml=least_ml):  # the spots before it count too
                found = added(found, spot, seen or look(spot), self.ct)
            yield found

    def lesions_inside(self, haze: Candidate) -> list[Outline]:
        """Return the outlines of the dense parts of a haze that are lesions; of parts in each other, the surest one."""
        parts = [(*self.seen(part), part) for part in dense_parts(haze, self.surroundings, min_ml=self.min_ml)]
        taken = np.zeros(haze.region.mask.shape, bool)
        found: list[Outline] = []
        for look, tumor, part in sorted(parts, key=lambda each: -each[0].tumor_logit):
            here, sure = part.region.mask.array, look.tumor_logit >= LEAST_LOGIT and tumor >= LEAST_TUMOR
            if sure and not (taken & here).any():
                taken |= here
                # The first network took the whole haze for a lesion, so it says nothing about the outline.
                found += self.outlines(part, look, tumor, second_share=1.0)
        return found


def _beside(lesions: list[Outline], outline: Outline, ct: Volume) -> Outline:
    """Return an outline without what belongs to the lesions."""
    if outline.mask is None or not lesions:
        return outline
    masks = [lesion.mask for lesion in lesions if lesion.mask is not None]
    return replace(outline, mask=apart_from(outline.mask, masks, ct))


def outline(
    candidate: Candidate,
    look: Look,
    probability_on_ct: Volume,
    working: Volume,
    voxel_threshold: float,
    second_share: float = SECOND_SHARE,
) -> Crop | None:
    """Outline a candidate on the CT's grid with the weighted mean of both networks' probabilities.

    Args:
        candidate: The candidate.
        look: The answer of the second network.
        probability_on_ct: The first network's probability on the CT's grid.
        working: A volume on the working grid.
        voxel_threshold: Probability that a voxel of the lesion exceeds.
        second_share: Weight of the second network's outline.

    Returns:
        The mask, or None if no voxel exceeds the threshold.
    """
    box = _box_on(probability_on_ct, candidate.region, working)
    own = _nearest(candidate.region, working, probability_on_ct, box)
    first = np.where(own, probability_on_ct.crop(*box).array, np.float32(0))
    seen = look.mask
    if candidate.extent_mm > LARGE_MM or not seen.any():
        return _crop(first > voxel_threshold, box, probability_on_ct)
    inside, where = look.cube.carry_back(np.where(seen, look.inside, np.float32(0)), probability_on_ct)
    other: Box = tuple(part.start for part in where), tuple(part.stop for part in where)
    both = united(box, other)
    total = np.zeros([b - a for a, b in zip(*both, strict=True)], np.float32)
    for values, place in (((1 - second_share) * first, box), (second_share * inside, other)):
        total[slices_of(relative(place, both))] += values
    return _crop(total > voxel_threshold, both, probability_on_ct)


def _surroundings(ct: Volume, lungs: Array, grid: WorkingGrid, probability: Array, deviation: Array) -> Surroundings:
    shape = grid.image.shape
    hu = resample_separable(ct.array, start=grid.start, step=grid.step, size=shape, offset=-AIR_HU) + AIR_HU
    inside = resample_separable(lungs, start=grid.start, step=grid.step, size=shape) > 0.5
    return Surroundings(Volume(hu, grid.image.affine), inside, probability, deviation)


def _box_on(ct: Volume, region: Crop, working: Volume) -> Box:
    """Return the box of a region of the working grid, with one working voxel around it, on the CT's grid."""
    low, high = (np.asarray(corner, dtype=float) for corner in region.box)
    first = ct.lps_to_index(working.index_to_lps(low - 1.5))
    last = ct.lps_to_index(working.index_to_lps(high + 0.5))
    start = np.clip(np.floor(first), 0, ct.shape).astype(int)
    return as_shape(start), as_shape(np.clip(np.ceil(last) + 1, start, ct.shape))


def _nearest(region: Crop, working: Volume, ct: Volume, box: Box) -> Array:
    """Return, for the voxels of a box of the CT, whether the nearest working voxel belongs to the region."""
    picked = []
    for axis in range(3):
        index = np.zeros((box[1][axis] - box[0][axis], 3))
        index[:, axis] = np.arange(box[0][axis], box[1][axis])
        other = [a for a in range(3) if a != axis]
        index[:, other] = np.asarray(box[0])[other]
        position = np.rint(working.lps_to_index(ct.index_to_lps(index))[:, axis]).astype(int)
        picked.append(position - region.box[0][axis] + 1)
    padded = np.pad(region.mask.array, 1)
    k, i, j = (np.clip(each, 0, n - 1) for each, n in zip(picked, padded.shape, strict=True))
    return np.asarray(padded[np.ix_(k, i, j)])


def _crop(mask: Array, box: Box, ct: Volume) -> Crop | None:
    return Crop(Volume(mask, ct.crop(*box).affine), box) if mask.any() else None
