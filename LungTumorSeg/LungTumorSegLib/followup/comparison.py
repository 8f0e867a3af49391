"""Compare two examinations of one patient: register, match, measure the change."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from ..core.argument_types import expect_dates
from ..core.errors import UnusableInput
from ..core.events import Progress, ProgressCallback, ignore_progress
from ..core.texts import quoted
from .doubts import NO_DATES, comparison_doubts, registration_doubt
from .examination import Examination, read_examination
from .links import Choices, Name, indices, read_choices
from .lung_grid import lung_grid
from .matching import Group, Link, match
from .recist import Category, Response
from .registration import Registration, register
from .response import FollowedTarget, followed, response_of, targets_at_baseline
from .track import Track
from .track_building import build_tracks, placed_lesion
from .tracking import as_inherited

EARLIER, LATER = "Earlier CT:", "Later CT:"
"""How the warnings about one examination begin."""

Source = str | os.PathLike[str] | Examination
"""A result folder, a segmentation, or an examination that was read before."""


@dataclass(frozen=True, eq=False)
class FollowUp:
    """A comparison of examinations.

    Attributes:
        examinations: The examinations, oldest first; the last two were compared.
        registration: How the last two were registered.
        tracks: The lesions over time.
        followed_targets: The RECIST target lesions over time, largest first.
        response: The response by RECIST 1.1.
        volume_response: The category by the total volume of the targets; None without targets.
        days: Time between the last two examinations; None if unknown.
        warnings: Sentences for the user.
        choices: What was linked and unlinked by hand.
        earlier_responses: The responses at the examinations between the first and the last one, oldest first.
    """

    examinations: tuple[Examination, ...]
    registration: Registration
    tracks: tuple[Track, ...]
    followed_targets: tuple[FollowedTarget, ...]
    response: Response
    volume_response: Category | None
    days: float | None
    warnings: tuple[str, ...]
    choices: Choices = field(default_factory=Choices)
    earlier_responses: tuple[Response, ...] = ()

    @property
    def targets(self) -> tuple[str, ...]:
        """Ids of the RECIST target lesions, largest first."""
        return tuple(dict.fromkeys(each.track_id for each in self.followed_targets))

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
    earlier: Source,
    later: Source,
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
        UnusableInput: If an argument has another type, an examination cannot be read, the dates or the links
            contradict, a linked segment does not exist, or the lungs cannot be registered and no lesions were linked by
            the user.
    """
    if days is not None and not isinstance(days, Real):
        raise UnusableInput(f"The time between the examinations must be a number of days, not {quoted(days)}.")
    if dates is not None:
        expect_dates(dates)
    before, after = _read_both((earlier, later), (earlier_ct, later_ct), dates or (None, None), on_progress)
    known: tuple[Track, ...] = previous.tracks if previous else ()
    past = previous.examinations[:-1] if previous else ()
    if previous:
        before = replace(before, lesions=as_inherited(before.lesions, known))
    interval = _days(before, after, days)
    choices, lost = _choices(Choices(tuple(links), tuple(unlinks)), links_from, before, after)
    linked, unlinked = (indices(pairs, before, after) for pairs in (choices.links, choices.unlinks))
    registration = register(*(lung_grid(exam.lungs, exam.ct, exam.lesion_masks) for exam in (before, after)))
    on_progress(Progress("registering", 1, 1))
    doubt = registration_doubt(registration)
    groups = _matched(before, after, registration, linked=linked, unlinked=unlinked, doubt=doubt)
    tracks = build_tracks(groups, before, after, registration, known=known, visits_before=len(past))
    on_progress(Progress("matching", 1, 1))
    targets = followed(previous.followed_targets if previous else targets_at_baseline(tracks, before), tracks)
    responses = (*previous.earlier_responses, previous.response) if previous else ()
    warnings = [*_own_warnings(before, after), *lost]
    warnings += comparison_doubts(before, after, registration, days=interval, tracks=tracks, doubt=doubt)
    return FollowUp(
        (*past, before, after),
        registration,
        tracks,
        targets,
        *response_of(tracks, targets, responses),
        interval,
        tuple(dict.fromkeys(warnings)),
        choices,
        responses,
    )


def compare_all(
    examinations: Sequence[Examination],
    *,
    days: float | None = None,
    links: Collection[Name] = (),
    unlinks: Collection[Name] = (),
    links_from: Sequence[str | os.PathLike[str]] = (),
    on_progress: ProgressCallback = ignore_progress,
) -> FollowUp:
    """Compare any number of examinations, each with the one before it; ids stay over all of them.

    Args:
        examinations: At least two, oldest first. The first one is the baseline of RECIST.
        days: Time between the last two, days, if their dates are unknown.
        links: Pairs of segments of the last two that are the same lesion.
        unlinks: Pairs of segments of the last two that are not.
        links_from: The followup.json of earlier comparisons, of which links and unlinks are kept, oldest first; the
            last one is that of the last two examinations, the one before it that of the two before, and so on.
        on_progress: Called between steps.

    Raises:
        UnusableInput: See ``compare``.
    """
    found: FollowUp | None = None
    *pairs, last = pairwise(examinations)
    if len(links_from) > len(pairs) + 1:
        raise UnusableInput(
            f"--links names {len(links_from)} files, but {len(examinations)} examinations are given; "
            "name at most one followup.json for each two successive examinations."
        )
    missing: list[str | os.PathLike[str] | None] = [None] * (len(pairs) + 1 - len(links_from))
    files = [*missing, *links_from]
    passed: list[str] = []
    for number, ((before, after), file) in enumerate(zip(pairs, files[:-1], strict=True), 1):
        found = compare(before, after, links_from=file, previous=found, on_progress=on_progress)
        # the next comparison repeats what concerns its earlier CT, and states doubling times of its own only
        named = [each for each in found.warnings if each != NO_DATES and not each.startswith(LATER)]
        passed += [f"Examinations {number} and {number + 1}: {each}" for each in named]
    choices: dict[str, Any] = {"days": days, "links": links, "unlinks": unlinks, "links_from": files[-1]}
    found = compare(*last, **choices, previous=found, on_progress=on_progress)
    return replace(found, warnings=(*passed, *found.warnings))


def _read_both(
    sources: tuple[Source, Source],
    cts: tuple[str | os.PathLike[str] | None, str | os.PathLike[str] | None],
    dates: tuple[date | None, date | None],
    on_progress: ProgressCallback,
) -> list[Examination]:
    on_progress(Progress("reading", 0, 2))
    examinations = []
    for source, ct, day in zip(sources, cts, dates, strict=True):
        if not isinstance(source, Examination):
            source = read_examination(source, ct, day=day, on_progress=on_progress)
        examinations.append(source)
        on_progress(Progress("reading", len(examinations), 2))
    return examinations


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
    return None if days is None else float(days)


def _choices(
    newer: Choices, links_from: str | os.PathLike[str] | None, before: Examination, after: Examination
) -> tuple[Choices, tuple[str, ...]]:
    """Return what was chosen by hand now and in an earlier comparison, and a warning for each choice left out."""
    newer.check()
    if links_from is None:
        return newer, ()
    known, lost = read_choices(Path(links_from), before, after)
    return known.followed_by(newer), lost


def _matched(
    before: Examination,
    after: Examination,
    registration: Registration,
    *,
    linked: Collection[Link],
    unlinked: Collection[Link],
    doubt: str,
) -> list[Group]:
    """Return the lesions that belong together; with a doubt about the registration, only those linked by hand."""
    if doubt and before.lesions and after.lesions and not linked:
        raise UnusableInput(
            f"{before.name} and {after.name} could not be registered ({doubt}), so their lesions were not matched; "
            "check that both are of one patient, or link the lesions that are the same by hand (--link)."
        )
    return match(
        [placed_lesion(lesion, registration) for lesion in before.lesions],
        [placed_lesion(lesion, None) for lesion in after.lesions],
        residual_mm=registration.residual_mm,
        links=linked,
        unlinks=unlinked,
        automatic=not doubt,
    )


def _own_warnings(before: Examination, after: Examination) -> list[str]:
    """Return the warnings of both examinations, without their names, which may be paths."""
    both = ((EARLIER, before), (LATER, after))
    return [f"{when} {warning}" for when, examination in both for warning in examination.warnings]
