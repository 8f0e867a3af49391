"""How the matched lesions of two examinations become lesions over time, which keep their ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count

import numpy as np

from ..core.volume import Array, Point, as_point
from .examination import Examination
from .matching import Group
from .registration import Registration
from .track import Track, Visit
from .tracking import inherited


def build_tracks(
    groups: Sequence[Group],
    before: Examination,
    after: Examination,
    registration: Registration,
    known: Sequence[Track],
    visits_before: int,
) -> tuple[Track, ...]:
    """Return the lesions over time.

    Args:
        groups: The lesions of both examinations that belong together.
        before: The earlier examination.
        after: The later examination.
        registration: How they were registered.
        known: The lesions of the comparison of ``before`` with those before it; their ids stay.
        visits_before: The number of examinations before ``before``.

    Returns:
        The lesions of ``groups``, then those that were gone before.
    """
    ids = _fresh_ids({track.id for track in known})
    continued: set[str] = set()
    tracks = []
    for group in groups:
        earlier = tuple(before.lesions[i] for i in group.earlier)
        later = inherited(earlier, [after.lesions[j] for j in group.later])
        names = {lesion.name for lesion in earlier}
        past = [track for track in known if names & {lesion.name for lesion in track.later}]
        continued |= {track.id for track in past}
        history = tuple(tuple(each for t in past for each in t.visits[v]) for v in range(visits_before))
        own, *others = [track.id for track in past] or [next(ids)]
        places, places_before, probability = _places(earlier, later, registration, after)
        visits = (*history, earlier, later)
        tracks.append(Track(own, visits, group.confidence, tuple(others), probability, places, places_before))
    gone = [_still_gone(track, registration) for track in known if track.id not in continued]
    return (*tracks, *gone)


def _places(
    earlier: Visit, later: Visit, registration: Registration, after: Examination
) -> tuple[Point, Point, float | None]:
    """Return where a lesion lies in the later and in the earlier CT, LPS mm.

    If it lies in one of them only, its place in the other one is where the registration puts it. A lesion that has
    disappeared also has the highest tumor probability at its place in the later CT.
    """
    if later:
        points, probability = np.concatenate([lesion.points_lps for lesion in later]), None
    else:
        points = np.concatenate([registration.to_later(lesion.points_lps) for lesion in earlier])
        probability = after.highest_probability(points)
    points_before = [lesion.points_lps for lesion in earlier] or [registration.to_earlier(points)]
    return _center(points), _center(np.concatenate(points_before)), probability


def _center(points: Array) -> Point:
    return as_point(points.mean(axis=0))


def _still_gone(track: Track, registration: Registration) -> Track:
    place = None if track.place_lps is None else _center(registration.to_later(np.array([track.place_lps])))
    before = track.place_lps
    return replace(track, visits=(*track.visits, ()), confidence=None, place_lps=place, earlier_place_lps=before)


def _fresh_ids(taken: set[str]) -> Iterator[str]:
    return (name for name in (f"L{number}" for number in count(1)) if name not in taken)
