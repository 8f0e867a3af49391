"""The target lesions of a comparison and the response of the patient, by RECIST 1.1 and by volume."""

from __future__ import annotations

from collections.abc import Sequence

from .examination import Examination
from .recist import (
    NORMAL_NODE_MM,
    Candidate,
    Response,
    Target,
    choose_targets,
    non_target_response,
    overall_response,
    target_response,
    volume_category,
)
from .track import Track, Visit, recist_mm, volume_ml


def targets_among(tracks: Sequence[Track], baseline: Examination) -> tuple[str, ...]:
    """Return the ids of the target lesions that RECIST chooses in the baseline, largest first."""
    present = [track for track in tracks if track.visits[0]]
    candidates = [
        Candidate(
            track.id,
            "lymph nodes" if _is_node(track.visits[0]) else "lungs",
            max(lesion.long_axis_mm for lesion in track.visits[0]),
            max(lesion.short_axis_mm for lesion in track.visits[0]),
            _is_node(track.visits[0]),
        )
        for track in present
    ]
    return tuple(present[n].id for n in choose_targets(candidates, baseline.slice_mm))


def _is_node(visit: Visit) -> bool:
    return any(lesion.is_node for lesion in visit)


def response_of(tracks: Sequence[Track], targets: Sequence[str]) -> tuple[Response, str | None]:
    """Return the response by RECIST 1.1, and the category by the total volume of the targets."""
    chosen = [track for track in tracks if {track.id, *track.merged_ids} & set(targets)]
    others = [track for track in tracks if track not in chosen and track.visits[0]]
    nodes = [any(_is_node(visit) for visit in track.visits) for track in chosen]
    by_size = [
        Target(tuple(recist_mm(visit) for visit in track.visits), is_node)
        for track, is_node in zip(chosen, nodes, strict=True)
    ]
    present = [
        recist_mm(track.later) >= NORMAL_NODE_MM if _is_node(track.visits[0]) else bool(track.later) for track in others
    ]
    new = any(not track.visits[0] and track.later for track in tracks)
    response = overall_response(
        target_response(by_size) if chosen else None, non_target_response(present), new_lesions=new
    )
    if not chosen:
        return response, None
    totals = [sum(volume_ml(track.visits[v]) for track in chosen) for v in range(len(chosen[0].visits))]
    return response, volume_category(totals[0], min(totals[:-1]), totals[-1])
