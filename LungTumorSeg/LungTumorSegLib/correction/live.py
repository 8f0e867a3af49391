"""The measurements of a segmentation under edit: after an edit, only what the edit changed is measured again.

The numbers equal those of ``lesions.measure`` for the same segments; the tests compare them after random edits. The
measurements of a lesion by itself come first: volume and HU within a tenth of a second, then diameters and shape. The
location takes about a second per lesion and comes last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..core.crops import Crop, whole
from ..core.errors import UnusableInput
from ..core.lesion_numbers import lesion_numbers
from ..core.selection import is_lesion, lung_pair
from ..core.terminology import REJECTED
from ..core.volume import CTVolume, Point, Volume
from ..isolation import carina_of
from ..isolation.hounsfield import value_doubts
from ..lesions.lesion import Lesion, measure_lesion
from ..lesions.location import Location, LungAnatomy, Sides, filled_lungs
from ..lesions.lungs import drawn_doubts, find_lungs
from ..lesions.measurements import centroid_lps, intensities_of
from ..lesions.spread import Spread, distances_from_dominant_mm, spread_of
from ..lesions.zones import Side


@dataclass(frozen=True, eq=False)
class LiveSegment:
    """A segment in its present state.

    Attributes:
        id: The id of the segment.
        name: The name of the segment.
        terminology: The terminology entry of the segment.
        crop: The mask on the CT's grid with canonical axes, None if the segment is empty.
        review: "", "confirmed" or "rejected", as in a segmentation file.
    """

    id: str
    name: str
    terminology: str
    crop: Crop | None
    review: str = ""

    @property
    def mask(self) -> Volume:
        """The voxels (bool) on a part of the CT's grid; a single false voxel if the segment is empty."""
        return self.crop.mask if self.crop is not None else Volume(np.zeros((1, 1, 1), dtype=bool), np.eye(4))


@dataclass(frozen=True, eq=False)
class LiveReport:
    """The measurements after an edit.

    Attributes:
        lesions: The lesions, largest first.
        rejected: The lesions that a person rejected. They are excluded from all totals and have no location. Their
            numbers continue those of ``lesions``.
        ids: The segment ids of ``lesions``, followed by those of ``rejected``.
        spread: The spread of ``lesions``.
        complete: Whether all measurements are up to date. Otherwise, all values of a lesion except its volume, centroid
            and HU may be those from before the edit.
        warnings: Sentences for the user about what makes the lungs doubtful; those of the last complete report until
            the lungs have been looked at.
    """

    lesions: tuple[Lesion, ...]
    rejected: tuple[Lesion, ...]
    ids: tuple[str, ...]
    spread: Spread
    complete: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Found:
    """A lesion among the segments, with its mask."""

    id: str
    name: str
    crop: Crop


class LiveMeasurement:
    """Measure one segmentation on one CT (HU, canonical axes) again and again while it is edited."""

    def __init__(self, ct: CTVolume) -> None:
        self._ct = ct
        self._lesions: dict[str, Lesion] = {}
        self._measured: dict[str, Crop] = {}
        self._located: dict[str, tuple[Crop, LungAnatomy, Location]] = {}
        self._rejected: list[_Found] = []
        self._drawn: tuple[Crop | None, Crop | None, _Lungs] | None = None
        self._isolated: tuple[_Lungs | None, tuple[str, ...]] | None = None
        self._warnings: tuple[str, ...] = ()
        self._anatomy: LungAnatomy | None = None
        self._carina_lps: tuple[Point | None] | None = None

    def update(self, segments: Sequence[LiveSegment]) -> Iterator[LiveReport]:
        """Yield the report after an edit, more complete with each step.

        A caller with a newer edit stops the iteration. A lesion whose ``crop`` is the same object as at the last call
        is not measured again.

        Args:
            segments: All segments of the segmentation.

        Yields:
            Reports; the last one is complete.
        """
        found = [_Found(s.id, s.name, s.crop) for s in segments if s.crop is not None and is_lesion(s)]
        found.sort(key=lambda lesion: -np.count_nonzero(lesion.crop.mask.array))
        self._rejected = [_Found(s.id, s.name, s.crop) for s in segments if s.crop is not None and s.review == REJECTED]
        everything = [*found, *self._rejected]
        self._lesions = {lesion.id: self._lesions[lesion.id] for lesion in everything if lesion.id in self._lesions}
        self._measured = {id_: crop for id_, crop in self._measured.items() if id_ in self._lesions}
        self._located = {lesion.id: self._located[lesion.id] for lesion in found if lesion.id in self._located}
        yield from self._measure(everything, found)
        if found:
            yield self._report(found, complete=False)
        lungs = self._lungs_of(segments) if found else None
        if lungs is None:
            self._forget_locations()
        else:
            yield from self._locate(found, lungs)
        yield self._report(found, complete=True)

    def _measure(self, lesions: Sequence[_Found], counted: Sequence[_Found]) -> Iterator[LiveReport]:
        """Measure the lesions that were edited, and yield the new volumes before the slower measurements."""
        edited = [lesion for lesion in lesions if self._measured.get(lesion.id) is not lesion.crop]
        for lesion in edited:
            known = self._lesions.get(lesion.id)
            self._lesions[lesion.id] = (
                self._all_measures(lesion) if known is None else self._first_measures(lesion, known)
            )
            if known is None:
                self._measured[lesion.id] = lesion.crop
        unfinished = [lesion for lesion in edited if self._measured.get(lesion.id) is not lesion.crop]
        if unfinished:
            yield self._report(counted, complete=False)
        for lesion in unfinished:
            self._lesions[lesion.id], self._measured[lesion.id] = self._all_measures(lesion), lesion.crop

    def _first_measures(self, lesion: _Found, before: Lesion) -> Lesion:
        """Update the volume, centroid and HU of a lesion and keep its other measurements."""
        start, stop = lesion.crop.box
        voxels = self._ct.crop(start, stop).array[lesion.crop.mask.array]
        volume_ml = float(len(voxels) * self._ct.voxel_volume_ml)
        return replace(
            before, volume_ml=volume_ml, centroid_lps=centroid_lps(lesion.crop.mask), hu=intensities_of(voxels)
        )

    def _all_measures(self, lesion: _Found) -> Lesion:
        """Measure everything about a lesion that does not depend on the lungs or on other lesions."""
        start, stop = lesion.crop.box
        here = Crop(lesion.crop.mask, ((0, 0, 0), lesion.crop.mask.shape))
        ct = CTVolume(self._ct.crop(start, stop).array, lesion.crop.mask.affine)
        return measure_lesion(
            here,
            number=0,
            segment="",
            ct=ct,
            labels=lesion.crop.mask,
            location=None,
            from_dominant_mm=0.0,
            dominant_side=None,
            maps=None,
        )

    def _lungs_of(self, segments: Sequence[LiveSegment]) -> _Lungs | None:
        """Return the lungs that the segmentation contains, or else isolate them once, which takes seconds.

        The result is None if the sides of the lungs are unknown. The reasons to doubt the lungs become the warnings.
        """
        pair = lung_pair(segments)
        if pair is None:
            if self._isolated is None:
                isolated = find_lungs(self._ct, ())
                self._isolated = None if isolated.pair is None else _Lungs(*isolated.pair), isolated.warnings
            lungs, self._warnings = self._isolated
            return lungs
        left, right = pair[0].crop, pair[1].crop
        if self._drawn is None or self._drawn[0] is not left or self._drawn[1] is not right:
            self._drawn = left, right, _Lungs(whole(left, self._ct), whole(right, self._ct))
            self._warnings = (*self._value_doubts, *drawn_doubts(self._drawn[2].left, self._drawn[2].right))
        return self._drawn[2]

    @cached_property
    def _value_doubts(self) -> list[str]:
        return value_doubts(self._ct)

    def _locate(self, found: Sequence[_Found], lungs: _Lungs) -> Iterator[LiveReport]:
        """Locate the edited lesions first.

        The other lesions follow only if the outline of the lungs with all lesions changed.
        """
        placed = [(lesion, side) for lesion in found if (side := lungs.sides.of(lesion.crop)) is not None]
        if len(placed) < len(found):
            self._forget_locations()
            return
        filled = filled_lungs([(lesion.crop, side) for lesion, side in placed], lungs.left, lungs.right)
        if self._anatomy is None or not _same_lungs(filled, self._anatomy.lungs):
            self._anatomy = LungAnatomy(filled, self._carina())
        waiting = [(lesion, side) for lesion, side in placed if not self._is_located(lesion)]
        waiting.sort(key=lambda pair: self._located.get(pair[0].id, (None,))[0] is pair[0].crop)
        for lesion, side in waiting:
            self._located[lesion.id] = (
                lesion.crop,
                self._anatomy,
                self._anatomy.location_of(lesion.crop, side),
            )
            yield self._report(found, complete=False)

    def _carina(self) -> Point | None:
        """Search for the carina at the first call only, because edits of segments do not move it."""
        if self._carina_lps is None:
            try:
                self._carina_lps = (carina_of(self._ct),)
            except UnusableInput:  # the CT shows no body
                self._carina_lps = (None,)
        return self._carina_lps[0]

    def _forget_locations(self) -> None:
        self._located, self._anatomy = {}, None

    def _is_located(self, lesion: _Found) -> bool:
        """Return whether the location of a lesion is up to date."""
        known = self._located.get(lesion.id)
        return known is not None and known[0] is lesion.crop and known[1] is self._anatomy

    def _report(self, found: Sequence[_Found], *, complete: bool) -> LiveReport:
        """Assemble the report from the measurements and locations so far."""
        measured = [self._lesions[lesion.id] for lesion in found]
        distances_mm = distances_from_dominant_mm([lesion.centroid_lps for lesion in measured])
        locations = [self._located[lesion.id][2] if lesion.id in self._located else None for lesion in found]
        dominant_side = locations[0].side if locations and locations[0] else None
        numbers = lesion_numbers([(lesion.id, lesion.name) for lesion in found])
        rows = zip(numbers, found, measured, locations, distances_mm, strict=True)
        lesions = tuple(
            replace(
                measures,
                number=number,
                segment=lesion.name,
                location=location,
                distance_from_dominant_mm=distance_mm,
                dominant_side=dominant_side,
            )
            for number, lesion, measures, location, distance_mm in rows
        )
        rejected = tuple(
            replace(self._lesions[lesion.id], number=number, segment=lesion.name)
            for number, lesion in enumerate(self._rejected, start=max(numbers, default=0) + 1)
        )
        places = [(lesion.location.side, lesion.location.zone) for lesion in lesions if lesion.location is not None]
        lung_ml = None if self._anatomy is None else self._anatomy.lung_ml
        spread = spread_of([x.volume_ml for x in lesions], [x.centroid_lps for x in lesions], places, lung_ml)
        ids = tuple(lesion.id for lesion in (*found, *self._rejected))
        return LiveReport(lesions, rejected, ids, spread, complete, self._warnings)


class _Lungs:
    """Both lungs (bool) on the whole grid of the CT."""

    def __init__(self, left: Volume, right: Volume) -> None:
        self.left, self.right = left, right
        self.sides = Sides(left, right)


def _same_lungs(a: Mapping[Side, Volume], b: Mapping[Side, Volume]) -> bool:
    return all(np.array_equal(a[side].array, b[side].array) for side in a)
