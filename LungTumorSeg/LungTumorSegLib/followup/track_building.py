"""How the matched lesions of two examinations become lesions over time, which keep their ids."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count

import numpy as np

from ..core.volume import Array, Point, as_point
from .examination import Examination
from .lesion import TimedLesion
from .matching import Group, Placed, match
from .registration import Registration
from .track import Track, mean_hu, volume_ml
from .tracking import inherit_identifier


def placed_lesion(lesion: TimedLesion, registration: Registration | None) -> Placed:
    """Return a lesion as the matching sees it; with a registration, it is one of the earlier examination."""
    points = lesion.points_lps
    if registration is not None:
        points = registration.to_later(points)
    return Placed(points, lesion.volume_ml, lesion.mean_hu, max(lesion.crop.mask.spacing))


def build_tracks(
    groups: Sequence[Group],
    before: Examination,
    after: Examination,
    registration: Registration,
    *,
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
        The lesions in the order of their ids, those that were gone before among them.
    """
    absent = [replace(track, last_seen=_moved(track.last_seen, registration)) for track in known if not track.later]
    joined = _joined([(_past(group, before, known), group) for group in groups])
    joined = _with_returned(joined, absent, after, registration)
    ids = _fresh_ids({each for track in known for each in (track.id, *track.merged_ids)})
    tracks = [
        _track(
            group,
            past,
            past[0].id if past else next(ids),
            visits_before=visits_before,
            before=before,
            after=after,
            registration=registration,
        )
        for past, group in joined
    ]
    continued = {track.id for past, _ in joined for track in past}
    tracks += [_still_gone(track, after) for track in absent if track.id not in continued]
    return tuple(sorted(tracks, key=lambda track: int(track.id[1:])))


Joined = tuple[list[Track], Group]
"""A group of lesions of the last two examinations, and what they were before."""


def _past(group: Group, before: Examination, known: Sequence[Track]) -> list[Track]:
    names = {before.lesions[i].name for i in group.earlier}
    return [track for track in known if names & {lesion.name for lesion in track.later}]


def _joined(groups: Sequence[Joined]) -> list[Joined]:
    """Return the groups, where pieces of a lesion that has split before are one group."""
    found: list[Joined] = []
    for past, group in groups:
        ids = {track.id for track in past}
        same = [each for each in found if ids & {track.id for track in each[0]}]
        found = [each for each in found if each not in same]
        tracks = {track.id: track for each in (*same, (past, group)) for track in each[0]}
        found.append((list(tracks.values()), _united([*(each[1] for each in same), group])))
    return found


def _united(groups: Sequence[Group]) -> Group:
    confidences = [group.confidence for group in groups if group.confidence is not None]
    return Group(
        tuple(sorted(i for group in groups for i in group.earlier)),
        tuple(sorted(j for group in groups for j in group.later)),
        min(confidences, default=None),
    )


def _with_returned(
    groups: Sequence[Joined], absent: Sequence[Track], after: Examination, registration: Registration
) -> list[Joined]:
    """Return the groups, where new lesions at the place of one that was gone before are that lesion."""
    new = [group for past, group in groups if not past and not group.earlier]
    gone = [track for track in absent if track.last_seen is not None]
    found = match(
        [track.last_seen for track in gone if track.last_seen is not None],
        [placed_lesion(after.lesions[group.later[0]], None) for group in new],
        residual_mm=registration.residual_mm,
    )
    back = [
        ([gone[i] for i in each.earlier], Group((), tuple(new[j].later[0] for j in each.later), each.confidence))
        for each in found
        if each.earlier and each.later
    ]
    taken = {j for _, group in back for j in group.later}
    return [*(each for each in groups if not taken & set(each[1].later)), *back]


def _track(
    group: Group,
    past: Sequence[Track],
    own_id: str,
    *,
    visits_before: int,
    before: Examination,
    after: Examination,
    registration: Registration,
) -> Track:
    """Return what a group of lesions has become; ``past`` is what it was before."""
    earlier = tuple(before.lesions[i] for i in group.earlier)
    later = inherit_identifier(_known_pieces(earlier, past), [after.lesions[j] for j in group.later])
    merged = [each for track in past for each in (track.id, *track.merged_ids) if each != own_id]
    history = tuple(tuple(each for track in past for each in track.visits[v]) for v in range(visits_before))
    here = [lesion.points_lps for lesion in (later or earlier)]
    places = np.concatenate(here) if later else registration.to_later(np.concatenate(here))
    before_points = [lesion.points_lps for lesion in earlier] or [registration.to_earlier(places)]
    whole = _whole(earlier)
    return Track(
        own_id,
        (*history, earlier, later),
        group.confidence,
        tuple(dict.fromkeys(merged)),
        None if later else after.highest_probability(places),
        _center(places),
        _center(np.concatenate(before_points)),
        None if later or whole is None else replace(whole, points=places),
        bool(later) or _in_view(places, after),
    )


def _known_pieces(earlier: Sequence[TimedLesion], past: Sequence[Track]) -> Sequence[TimedLesion]:
    """Return the pieces whose identifier a lesion inherits: of one that was absent, those when it was last there."""
    return earlier or [lesion for track in past for lesion in next((v for v in reversed(track.visits) if v), ())]


def _whole(pieces: Sequence[TimedLesion]) -> Placed | None:
    """Return all pieces of a lesion as one lesion in their own examination; None if there are none."""
    if not pieces:
        return None
    return Placed(
        np.concatenate([lesion.points_lps for lesion in pieces]),
        volume_ml(tuple(pieces)),
        mean_hu(tuple(pieces)),
        max(max(lesion.crop.mask.spacing) for lesion in pieces),
    )


def _moved(lesion: Placed | None, registration: Registration) -> Placed | None:
    return None if lesion is None else replace(lesion, points=registration.to_later(lesion.points))


def _in_view(points: Array, examination: Examination) -> bool:
    """Return whether most of these points, LPS mm, lie within the CT."""
    index = examination.lungs.lps_to_index(points)
    return bool(np.mean(((index >= -0.5) & (index < np.asarray(examination.lungs.shape) - 0.5)).all(axis=1)) >= 0.5)


def _center(points: Array) -> Point:
    return as_point(points.mean(axis=0))


def _still_gone(track: Track, after: Examination) -> Track:
    """Return a lesion that was absent and is not back; ``last_seen`` lies in the later CT already."""
    points = None if track.last_seen is None else track.last_seen.points
    return replace(
        track,
        visits=(*track.visits, ()),
        confidence=None,
        later_probability=None if points is None else after.highest_probability(points),
        place_lps=None if points is None else _center(points),
        earlier_place_lps=track.place_lps,
        later_in_view=points is None or _in_view(points, after),
    )


def _fresh_ids(taken: set[str]) -> Iterator[str]:
    return (name for name in (f"L{number}" for number in count(1)) if name not in taken)
