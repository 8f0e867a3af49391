"""The second look of a run: how probably each candidate is a tumor, and its outline on the CT's own grid.

The first network finds candidates, the second one judges and outlines them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np

from ..core.crop_operations import apart_from
from ..core.events import Progress, ProgressCallback, ignore_progress
from ..core.resampling import resample_separable
from ..core.volume import AIR_HU, Mask, Volume
from ..inference.prediction import Prediction
from ..networks.second_network import SecondNetwork
from ..networks.workers import Workers, torch_workers
from ..weights.manifest import SecondLook
from .borders import at_edges
from .calibration import TUMOR_LOGIT, Calibration
from .candidates import Candidate, find_candidates
from .fragments import as_candidate, separate
from .haze import LEAST_LOGIT, LEAST_TUMOR, dense_parts, is_hazy, is_large_haze
from .look import Look, SecondReader
from .mean_outline import SECOND_SHARE, mean_outline
from .measures import Surroundings, measures_of
from .outline import Outline
from .overlooked import is_known, outline_spot, with_spot
from .spots import Spot, find_spots
from .views import Anatomy, side_for_extent

SMALLEST_SHARE = 0.5
"""Volume of the smallest candidate, divided by that of the smallest lesion: the outline may be larger than the core."""

MOST_FRAGMENTS = 10
"""Number of separate parts per candidate, the largest ones, that are looked at again."""


def second_look(
    network: SecondNetwork,
    numbers: SecondLook,
    ct: Volume,
    lungs: Mask,
    prediction: Prediction,
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
        prediction: What the first network predicts.
        voxel_threshold: Probability that a voxel of a lesion exceeds.
        min_lesion_ml: Smallest volume of a lesion, mL.
        on_progress: Called after each candidate.

    Returns:
        The candidates, largest first. Each mask is one lesion, connected or not; parts of an outline that lie farther
        away are looked at again as candidates of their own, and are at most as probably a tumor as the whole. A large
        haze follows the lesions inside it and does not touch them.
    """
    smallest_ml = SMALLEST_SHARE * min_lesion_ml
    candidates = find_candidates(prediction.suspected, min_ml=smallest_ml)
    if not candidates and numbers.spot is None:
        return []
    with torch_workers() as workers:
        anatomy = workers.start(lambda lungs: Anatomy.of(ct, lungs), lungs)
        places = workers.start(lambda lungs: find_spots(ct, lungs) if numbers.spot else [], lungs)
        around = _surroundings(ct, lungs, prediction)
        hazes = [is_large_haze(candidate, measures_of(candidate, around)) for candidate in candidates]
        # Beside a large haze no spots are sought: round parts of pneumonia look like nodules.
        by = None if any(hazes) else numbers.spot
        spots = [] if by is None else places.result()
        reader = SecondReader(network, ct, anatomy.result(), numbers.outline_logit)
        judge = _Judge(
            reader,
            numbers,
            prediction,
            around,
            beside_haze=any(hazes),
            voxel_threshold=voxel_threshold,
            min_ml=smallest_ml,
        )
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
    """The second network, with what it needs to know about a CT.

    Attributes:
        reader: The second network with the CT.
        numbers: Its entry in the model's manifest.
        prediction: What the first network predicts.
        surroundings: What the measures of a candidate need.
        beside_haze: Whether one of the candidates is a large haze.
        voxel_threshold: Probability that a voxel of a lesion exceeds.
        min_ml: Smallest volume of the core of a candidate, mL.
    """

    reader: SecondReader
    numbers: SecondLook
    prediction: Prediction
    surroundings: Surroundings
    beside_haze: bool
    voxel_threshold: float
    min_ml: float

    @property
    def ct(self) -> Volume:
        """The CT."""
        return self.reader.ct

    def look_at(self, candidate: Candidate) -> tuple[Look, float]:
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
        whole = self.outlines(candidate, *self.look_at(candidate))
        return [*inside, *(_beside(inside, each, self.ct) for each in whole)]

    def outlines(
        self, candidate: Candidate, look: Look, tumor: float, second_share: float = SECOND_SHARE
    ) -> list[Outline]:
        """Return the outline of a candidate, and those of its parts that are candidates of their own.

        Args:
            candidate: The candidate.
            look: The look at it.
            tumor: Probability that it is a tumor.
            second_share: Weight of the second network's outline; see ``mean_outline``.
        """
        mask = mean_outline(
            candidate, look, self.prediction, voxel_threshold=self.voxel_threshold, second_share=second_share
        )
        if mask is None:
            return [Outline(None, tumor)]
        first, *others = (at_edges(part, self.ct) for part in separate(mask, self.ct, min_ml=self.min_ml))
        found = [Outline(first, tumor)]
        for part in others[:MOST_FRAGMENTS]:
            own = as_candidate(part, candidate, self.prediction.suspected, self.ct, min_ml=self.min_ml)
            # The calibration was fitted on whole candidates, so a part may lose confidence, never gain it.
            found += [] if own is None else [Outline(part, min(tumor, self.look_at(own)[1]))]
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
            return outline_spot(spot, self.reader, by)

        unknown = [not is_known(spot, found, self.ct, min_lesion_ml=least_ml) for spot in spots]
        looks = workers.results(look, compress(spots, unknown))
        for spot, begun in zip(spots, unknown, strict=True):
            seen = next(looks) if begun else None
            if not is_known(spot, found, self.ct, min_lesion_ml=least_ml):  # the spots before it count too
                found = with_spot(found, spot, seen or look(spot), self.ct)
            yield found

    def lesions_inside(self, haze: Candidate) -> list[Outline]:
        """Return the outlines of the dense parts of a haze that are lesions; of parts in each other, the surest one."""
        parts = [(*self.look_at(part), part) for part in dense_parts(haze, self.surroundings, min_ml=self.min_ml)]
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


def _surroundings(ct: Volume, lungs: Mask, prediction: Prediction) -> Surroundings:
    grid = prediction.grid
    shape = grid.image.shape
    hu = resample_separable(ct.array, start=grid.start, step=grid.step, size=shape, outside=AIR_HU)
    inside = resample_separable(lungs, start=grid.start, step=grid.step, size=shape) > 0.5
    return Surroundings(grid.image.with_array(hu), inside, prediction.mean, prediction.deviation)
