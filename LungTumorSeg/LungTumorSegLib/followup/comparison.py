"""Compare two examinations of one patient: register, match, measure the change."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import UnusableInput
from ..core.events import Progress, ProgressCallback, ignore_progress
from ..core.texts import listed
from ..lesions.spread import spread_of
from .examination import Examination, read_examination
from .lesion import TimedLesion
from .links import Choices, Name, indices, read_choices
from .lung_grid import lung_grid
from .matching import Group, Placed, match
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
from .registration import Registration, register
from .track import Track, Visit, recist_mm, volume_ml
from .tracking import as_inherited, inherited

MOST_RESIDUAL_MM, LEAST_OVERLAP = 10.0, 0.85
"""Residual above which, and overlap of the lungs below which, lesions are not matched automatically."""

THICK_SLICES_MM, SMALL_LESION_MM = 2.5, 10.0
"""Slices thicker than this do not measure the volume of lesions smaller than that reliably, mm."""

NO_DATES = "The dates of the CTs are unknown, so no doubling times were computed; give them with --dates or --days."
NO_CT = (
    "The CTs were not both given, so the examinations were registered by the surfaces of the lungs only; lesions near "
    "each other may be confused."
)


@dataclass(frozen=True, eq=False)
class FollowUp:
    """A comparison of examinations.

    Attributes:
        examinations: The examinations, oldest first; the last two were compared.
        registration: How the last two were registered.
        tracks: The lesions over time.
        targets: Ids of the RECIST target lesions, largest first.
        response: The response by RECIST 1.1.
        volume_response: The category by the total volume of the targets; None without targets.
        days: Time between the last two examinations; None if unknown.
        warnings: Sentences for the user.
        choices: What was linked and unlinked by hand.
    """

    examinations: tuple[Examination, ...]
    registration: Registration
    tracks: tuple[Track, ...]
    targets: tuple[str, ...]
    response: Response
    volume_response: str | None
    days: float | None
    warnings: tuple[str, ...]
    choices: Choices = field(default_factory=Choices)

    @property
    def earlier(self) -> Examination:
        """The last examination but one."""
        return self.examinations[-2]

    @property
    def later(self) -> Examination:
        """The last examination."""
        return self.examinations[-1]

    def save(
        self, folder: str | Path, *, report: bool = True, outlines: bool = False, overwrite: bool = False
    ) -> dict[str, Any]:
        """Write followup.csv, followup.json and, if wanted, report.html and earlier-lesions.seg.nrrd into ``folder``.

        Returns:
            The content of followup.json.

        Raises:
            UnusableInput: If a file is in the way that may not be replaced.
            MachineLimit: If a file cannot be written; no file appears then.
        """
        from .files import write_follow_up  # imported here, because files imports this module

        return write_follow_up(self, Path(folder), report=report, outlines=outlines, overwrite=overwrite)


def compare(
    earlier: str | os.PathLike[str] | Examination,
    later: str | os.PathLike[str] | Examination,
    *,
    earlier_ct: str | os.PathLike[str] | None = None,
    later_ct: str | os.PathLike[str] | None = None,
    days: float | None = None,
    dates: tuple[date, date] | None = None,
    links: Collection[Name] = (),
    unlinks: Collection[Name] = (),
    links_from: str | os.PathLike[str] | None = None,
    previous: FollowUp | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> FollowUp:
    """Compare two examinations of one patient.

    Args:
        earlier: The earlier examination: a result folder, a segmentation, or an examination that was read before.
        later: The later examination.
        earlier_ct: The CT of the earlier examination, if it is a path.
        later_ct: The CT of the later examination, if it is a path.
        days: Time between both, days.
        dates: Dates of both, instead of ``days``.
        links: Pairs of an earlier and a later segment that are the same lesion; they override the automatic match.
        unlinks: Pairs that are not the same lesion.
        links_from: The followup.json of an earlier comparison of the same two examinations; what was linked and
            unlinked by hand there is kept, unless ``links`` and ``unlinks`` say otherwise.
        previous: The comparison of the earlier examination with those before it; its ids stay, and its examinations
            count for RECIST.
        on_progress: Called between steps; an exception that it raises ends the comparison.

    Returns:
        The comparison.

    Raises:
        UnusableInput: If an examination cannot be read, the dates or the links contradict, a linked segment does not
            exist, or the lungs cannot be registered and no lesions were linked by the user.
    """
    first_day, second_day = dates or (None, None)
    on_progress(Progress("reading", 0, 2))
    before = earlier if isinstance(earlier, Examination) else read_examination(earlier, earlier_ct, day=first_day)
    on_progress(Progress("reading", 1, 2))
    after = later if isinstance(later, Examination) else read_examination(later, later_ct, day=second_day)
    on_progress(Progress("reading", 2, 2))
    if previous:
        before = replace(before, lesions=as_inherited(before.lesions, previous.tracks))
    interval = _days(before, after, days)
    choices, lost = _choices(Choices(tuple(links), tuple(unlinks)), links_from, before, after)
    linked, unlinked = (indices(pairs, before, after) for pairs in (choices.links, choices.unlinks))
    registration = register(lung_grid(before.lungs, before.ct), lung_grid(after.lungs, after.ct))
    on_progress(Progress("registering", 1, 1))
    doubt = _registration_doubt(registration)
    if doubt and before.lesions and after.lesions and not linked:
        raise UnusableInput(
            f"{before.name} and {after.name} could not be registered ({doubt}), so their lesions were not matched; "
            "check that both are of one patient, or link the lesions that are the same by hand (--link)."
        )
    groups = match(
        [_placed(lesion, registration) for lesion in before.lesions],
        [_placed(lesion, None) for lesion in after.lesions],
        residual_mm=registration.residual_mm,
        links=linked,
        unlinks=unlinked,
        automatic=not doubt,
    )
    tracks = _tracks(groups, before, after, registration, previous)
    on_progress(Progress("matching", 1, 1))
    examinations = (*(previous.examinations[:-1] if previous else ()), before, after)
    targets = previous.targets if previous else _targets(tracks, before)
    response, by_volume = _response(tracks, targets)
    warnings = [
        f"{when} CT: {warning}"  # without the name, which may be a path
        for when, exam in (("Earlier", before), ("Later", after))
        for warning in exam.warnings
    ]
    warnings += [*lost, *_doubts(before, after, registration, interval, tracks, doubt)]
    return FollowUp(
        examinations,
        registration,
        tracks,
        targets,
        response,
        by_volume,
        interval,
        tuple(dict.fromkeys(warnings)),
        choices,
    )


def compare_all(
    examinations: Sequence[Examination],
    *,
    days: float | None = None,
    links: Collection[Name] = (),
    unlinks: Collection[Name] = (),
    links_from: str | os.PathLike[str] | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> FollowUp:
    """Compare any number of examinations, each with the one before it; ids stay over all of them.

    Args:
        examinations: At least two, oldest first. The first one is the baseline of RECIST.
        days: Time between the last two, days, if their dates are unknown.
        links: Pairs of segments of the last two that are the same lesion.
        unlinks: Pairs of segments of the last two that are not.
        links_from: The followup.json of an earlier comparison of the last two, of which links and unlinks are kept.
        on_progress: Called between steps.

    Raises:
        UnusableInput: See ``compare``.
    """
    found: FollowUp | None = None
    *pairs, last = pairwise(examinations)
    for before, after in pairs:
        found = compare(before, after, previous=found, on_progress=on_progress)
    choices: dict[str, Any] = {"days": days, "links": links, "unlinks": unlinks, "links_from": links_from}
    return compare(*last, **choices, previous=found, on_progress=on_progress)


def _days(before: Examination, after: Examination, days: float | None) -> float | None:
    if days is None and before.day and after.day:
        days = float((after.day - before.day).days)
        if days <= 0:
            raise UnusableInput(
                f"{after.name} ({after.day}) is not later than {before.name} ({before.day}); give the earlier "
                "examination first, or state the time between them with --days."
            )
    if days is not None and not 0 < days < np.inf:
        raise UnusableInput(f"The time between the examinations must be above 0 days, not {days:g}.")
    return days


def _choices(
    newer: Choices, links_from: str | os.PathLike[str] | None, before: Examination, after: Examination
) -> tuple[Choices, tuple[str, ...]]:
    """Return what was chosen by hand now and in an earlier comparison, and a warning for each choice left out."""
    newer.check()
    if links_from is None:
        return newer, ()
    known, lost = read_choices(Path(links_from), before, after)
    return known.followed_by(newer), lost


def _registration_doubt(found: Registration) -> str:
    """Return why lesions must not be matched automatically; "" if they may."""
    if found.overlap < LEAST_OVERLAP:
        return f"the lungs overlap by only {found.overlap:.2f}, less than {LEAST_OVERLAP}"
    if found.residual_mm > MOST_RESIDUAL_MM:
        return f"the residual is {found.residual_mm:.1f} mm, more than {MOST_RESIDUAL_MM:g} mm"
    return ""


def _placed(lesion: TimedLesion, registration: Registration | None) -> Placed:
    points = lesion.points_lps
    if registration is not None:
        points = registration.to_later(points)
    return Placed(points, lesion.volume_ml, lesion.mean_hu, max(lesion.crop.mask.spacing))


def _tracks(
    groups: Sequence[Group],
    before: Examination,
    after: Examination,
    registration: Registration,
    previous: FollowUp | None,
) -> tuple[Track, ...]:
    """Return the lesions over time; ids of a previous comparison stay."""
    known = list(previous.tracks) if previous else []
    visits_before = len(previous.examinations) - 1 if previous else 0
    used: set[str] = set()
    ids = _fresh_ids({track.id for track in known})
    tracks = []
    for group in groups:
        earlier = tuple(before.lesions[i] for i in group.earlier)
        later = inherited(earlier, [after.lesions[j] for j in group.later])
        names = {lesion.name for lesion in earlier}
        past = [track for track in known if names & {lesion.name for lesion in track.later}]
        used |= {track.id for track in past}
        history = tuple(tuple(each for t in past for each in t.visits[v]) for v in range(visits_before))
        own, *others = [track.id for track in past] or [next(ids)]
        probability = None
        if later:
            places = np.concatenate([lesion.points_lps for lesion in later])
        else:
            places = np.concatenate([registration.to_later(lesion.points_lps) for lesion in earlier])
            probability = after.highest_probability(places)
        before_points = [lesion.points_lps for lesion in earlier] or [registration.to_earlier(places)]
        tracks.append(
            Track(
                own,
                (*history, earlier, later),
                group.confidence,
                tuple(others),
                probability,
                _center(places),
                _center(np.concatenate(before_points)),
            )
        )
    gone = [_still_gone(track, registration) for track in known if track.id not in used]
    return (*tracks, *gone)


def _center(points: np.ndarray) -> tuple[float, float, float]:
    x, y, z = points.mean(axis=0).tolist()
    return x, y, z


def _still_gone(track: Track, registration: Registration) -> Track:
    place = None if track.place_lps is None else _center(registration.to_later(np.array([track.place_lps])))
    before = track.place_lps
    return replace(track, visits=(*track.visits, ()), confidence=None, place_lps=place, earlier_place_lps=before)


def _fresh_ids(taken: set[str]) -> Any:
    number = 0
    while True:
        number += 1
        if f"L{number}" not in taken:
            yield f"L{number}"


def _targets(tracks: Sequence[Track], baseline: Examination) -> tuple[str, ...]:
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


def _response(tracks: Sequence[Track], targets: Sequence[str]) -> tuple[Response, str | None]:
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


def _doubts(
    before: Examination,
    after: Examination,
    registration: Registration,
    days: float | None,
    tracks: Sequence[Track],
    doubt: str,
) -> list[str]:
    warnings = []
    if doubt:
        warnings.append(
            f"The examinations could not be registered ({doubt}); only the lesions that were linked by hand are "
            "matched."
        )
    if before.ct is None or after.ct is None:
        warnings.append(NO_CT)
    elif not registration.landmarks:
        warnings.append(
            "Too few vessels were recognized in both CTs, so the stated residual is that of the lung surfaces only."
        )
    if days is None:
        warnings.append(NO_DATES)
    thick = max(before.slice_mm, after.slice_mm)
    small = [t.id for t in tracks if t.later and max(each.long_axis_mm for each in t.later) < SMALL_LESION_MM]
    if thick > THICK_SLICES_MM and small:
        warnings.append(
            f"The slices are up to {thick:.2g} mm apart, too far for reliable volumes of lesions below "
            f"{SMALL_LESION_MM:g} mm ({listed(small)}); compare thin slices if available."
        )
    ratio = max(before.slice_mm, after.slice_mm) / min(before.slice_mm, after.slice_mm)
    if ratio > 1.5:
        warnings.append(
            f"The distance of the slices differs ({before.slice_mm:.2g} and {after.slice_mm:.2g} mm), which alone "
            "changes volumes."
        )
    return warnings


def burden(examination: Examination) -> dict[str, Any]:
    """Return number, total volume and extent of the lesions of an examination, also by side."""
    sides = {str(lesion.side) for lesion in examination.lesions if lesion.side}
    centers = [tuple(lesion.points_lps.mean(axis=0).tolist()) for lesion in examination.lesions]
    spread = spread_of([lesion.volume_ml for lesion in examination.lesions], centers, [], None)
    return {
        "lesions": spread.count,
        "volume_ml": spread.burden_ml,
        "by_side_ml": {
            side: volume_ml(tuple(lesion for lesion in examination.lesions if lesion.side == side))
            for side in sorted(sides)
        },
        "largest_distance_mm": spread.largest_distance_mm,
    }
