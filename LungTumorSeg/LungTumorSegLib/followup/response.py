"""The response of one patient: which lesions are targets, how their sizes change, and what is new.

The targets are chosen once, at baseline, as single lesions. Their sizes are kept from then on, so that the sums of
earlier examinations stay what they were, whatever the lesions split into or merge with later.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .examination import Examination
from .recist import (
    LEAST_NODE_MM,
    NORMAL_NODE_MM,
    Candidate,
    Category,
    Response,
    Target,
    choose_targets,
    non_target_response,
    overall_response,
    target_response,
    volume_category,
)
from .track import Track, Visit, volume_ml

if TYPE_CHECKING:
    from .lesion import TimedLesion

SMALL_NEW_NODE = (
    "New lymph nodes of less than 15 mm may not be disease; if they are the only sign of progression, the authors of "
    "RECIST suggest to wait for the next examination."
)

AFTER_PROGRESSION = (
    "The disease had progressed at an examination before this one; the best overall response counts only what was "
    "recorded before progression."
)

SEEN_PROBABILITY = 0.5
"""Tumor probability from which the network sees something at the place of a target that counts as gone."""


@dataclass(frozen=True)
class FollowedTarget:
    """A target lesion of RECIST over time.

    Attributes:
        segment: Name of its segment at baseline.
        track_id: Id of the lesion that it belongs to now.
        target: Its diameters.
        volumes_ml: Its volume in each examination, mL; None where its place was not in the CT.
    """

    segment: str
    track_id: str
    target: Target
    volumes_ml: tuple[float | None, ...]


def targets_at_baseline(tracks: Sequence[Track], baseline: Examination) -> tuple[FollowedTarget, ...]:
    """Return the targets that are chosen among the lesions of the first examination, largest first.

    Args:
        tracks: The lesions over the first two examinations.
        baseline: The first examination.
    """
    lesions = baseline.lesions
    candidates = [
        Candidate(
            lesion.name,
            "lymph nodes" if lesion.is_node else "lungs",
            lesion.long_axis_mm,
            lesion.short_axis_mm,
            lesion.is_node,
        )
        for lesion in lesions
    ]
    chosen = [lesions[n] for n in choose_targets(candidates, baseline.slice_mm)]
    ids = {lesion.name: track.id for track in tracks for lesion in track.visits[0]}
    return tuple(
        FollowedTarget(
            lesion.name,
            ids[lesion.name],
            Target((_size_mm((lesion,), is_node=lesion.is_node),), lesion.is_node),
            (lesion.volume_ml,),
        )
        for lesion in chosen
    )


def followed(targets: Sequence[FollowedTarget], tracks: Sequence[Track]) -> tuple[FollowedTarget, ...]:
    """Return the targets with their sizes in the last examination.

    Targets that have merged are measured once (the others are 0 then). A lesion whose place is not in the CT was not
    measured.
    """
    found, measured = [], set()
    for each in targets:
        track = next(track for track in tracks if each.track_id in (track.id, *track.merged_ids))
        visit: Visit = () if track.id in measured else track.later
        measured.add(track.id)
        seen = track.later_in_view
        size_mm = _size_mm(visit, is_node=each.target.is_node) if seen else None
        largest_mm = _largest_node_mm(visit) if each.target.is_node and len(visit) > 1 else None
        target = replace(each.target, sizes_mm=(*each.target.sizes_mm, size_mm), largest_mm=largest_mm)
        volumes = (*each.volumes_ml, volume_ml(visit) if seen else None)
        found.append(FollowedTarget(each.segment, track.id, target, volumes))
    return tuple(found)


def response_of(
    tracks: Sequence[Track], targets: Sequence[FollowedTarget], before: Sequence[Response]
) -> tuple[Response, Category | None]:
    """Return the response by RECIST 1.1, and the category by the total volume of the targets.

    Args:
        tracks: The lesions over time.
        targets: The targets, followed up to the last examination.
        before: The responses at the examinations between the baseline and the last one, oldest first.
    """
    ids = {each.track_id for each in targets}
    others = [track for track in tracks if track.id not in ids and _is_disease(track, track.visits[0])]
    new = [track for track in tracks if not _is_disease(track, track.visits[0]) and _is_disease(track, track.later)]
    response = overall_response(
        target_response([each.target for each in targets]) if targets else None,
        non_target_response([_is_disease(track, track.later) if track.later_in_view else None for track in others]),
        new_lesions=bool(new),
        was_complete=bool(before) and before[-1].category == "CR",
    )
    rules = [*response.rules, *_rules_of_pieces(tracks, targets), *_faint(tracks, ids)]
    if new and all(_is_node(track) and _largest_node_mm(track.later) < LEAST_NODE_MM for track in new):
        rules.append(SMALL_NEW_NODE)
    if response.category != "PD" and any(each.category == "PD" for each in before):
        rules.append(AFTER_PROGRESSION)
    return replace(response, rules=tuple(rules)), _by_volume(targets)


def _rules_of_pieces(tracks: Sequence[Track], targets: Sequence[FollowedTarget]) -> list[str]:
    """Return a sentence for each target that has split or has merged."""
    found = []
    for track in tracks:
        own = [each.segment for each in targets if each.track_id == track.id]
        if not own or not track.later:
            continue
        if len(track.later) > 1:
            found.append(f"The diameters of the {len(track.later)} pieces of {track.id} are added up (section 4.3.2).")
        if any(lesion.name not in own for lesion in track.visits[0]):
            found.append(f"{track.id} has merged with a lesion that is no target, and is measured with it.")
        elif len(own) > 1:
            found.append(f"{len(own)} targets have merged into {track.id}, which is measured once (section 4.3.2).")
    return found


def _faint(tracks: Sequence[Track], targets: Collection[str]) -> list[str]:
    """Return a sentence for each target that counts as gone although the network sees something at its place."""
    return [
        f"{track.id} is counted as 0 mm, but the network sees something at its place (tumor probability "
        f"{track.later_probability:.2f}): if it is there but too small to measure, RECIST counts 5 mm."
        for track in tracks
        if track.id in targets and track.later_in_view and (track.later_probability or 0.0) >= SEEN_PROBABILITY
    ]


def _by_volume(targets: Sequence[FollowedTarget]) -> Category | None:
    if not targets:
        return None
    sums = [
        None if None in volumes else sum(volume or 0.0 for volume in volumes)
        for volumes in zip(*(each.volumes_ml for each in targets), strict=True)
    ]
    known = [each for each in sums[:-1] if each is not None]
    if sums[-1] is None or sums[0] is None:
        return "NE"
    return volume_category(sums[0], min(known), sums[-1])


def _is_disease(track: Track, visit: Visit) -> bool:
    """Return whether a lesion is there in one examination; nodes below 10 mm of short axis are normal."""
    return _largest_node_mm(visit) >= NORMAL_NODE_MM if _is_node(track) else bool(visit)


def _is_node(track: Track) -> bool:
    """Return whether a lesion is a lymph node, by its names when it was first there; names may change later."""
    first = next((visit for visit in track.visits if visit), ())
    return bool(first) and all(lesion.is_node for lesion in first)


def _largest_node_mm(visit: Visit) -> float:
    return max((lesion.short_axis_mm for lesion in visit), default=0.0)


def _size_mm(pieces: Sequence[TimedLesion], *, is_node: bool) -> float:
    """Return the diameter that RECIST measures, mm; the diameters of pieces of a lesion are added up."""
    return float(sum(each.short_axis_mm if is_node else each.long_axis_mm for each in pieces))
