"""Warnings that make a comparison doubtful: its registration, its dates, the slices of its CTs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np

from ..core.texts import listed, shown
from .examination import IDENTITY, Examination
from .matching import Placed, match
from .registration import Registration
from .track import Track
from .track_building import placed_lesion

MOST_RESIDUAL_MM, LEAST_OVERLAP = 10.0, 0.85
"""Residual above which, and overlap of the lungs below which, lesions are not matched automatically."""

LEAST_FOUND_SHARE = 0.2
"""Share of the landmarks found in both CTs below which lesions are not matched automatically.

Measured: at most 0.09 in CTs of different patients, at least 0.5 in those of the same one (docs/accuracy.md).
"""

THICK_SLICES_MM, SMALL_LESION_MM = 2.5, 10.0
"""Slices thicker than this do not measure the volume of lesions smaller than that reliably, mm."""

MOST_DAYS = 7305
"""Number of days between two examinations above which a date is probably wrong: 20 years."""

FIRST_CT = date(1971, 10, 1)
"""Day of the first CT of a patient (Beckmann 2006, doi:10.1259/bjr/29444122); an earlier date is wrong."""

MOST_DAYS_APART = 7
"""Largest difference between the time that the user states and that of the dates in DICOM files, days."""

NO_DATES = "The dates of the CTs are unknown, so no doubling times were computed; give them with --dates or --days."
NO_CT = (
    "The CTs were not both given, so the examinations were registered by the surfaces of the lungs only; lesions near "
    "each other may be confused."
)


def registration_doubt(found: Registration) -> str:
    """Return why lesions must not be matched automatically; "" if they may."""
    if found.overlap < LEAST_OVERLAP:
        return f"the lungs overlap by only {found.overlap:.2f}, less than {LEAST_OVERLAP}"
    if found.residual_mm > MOST_RESIDUAL_MM:
        return f"the residual is {found.residual_mm:.1f} mm, more than {MOST_RESIDUAL_MM:g} mm"
    if found.found_share is not None and found.found_share < LEAST_FOUND_SHARE:
        return (
            f"only {100 * found.found_share:.0f} % of the vessels that were looked up are in both CTs, less than "
            f"{100 * LEAST_FOUND_SHARE:.0f} %"
        )
    return ""


def comparison_doubts(
    before: Examination,
    after: Examination,
    registration: Registration,
    *,
    days: float | None,
    tracks: Sequence[Track],
    doubt: str,
) -> list[str]:
    """Return the warnings about a comparison.

    Args:
        before: The earlier examination.
        after: The later examination.
        registration: How they were registered.
        days: Time between them; None if unknown.
        tracks: The lesions over time.
        doubt: What ``registration_doubt`` returned.
    """
    warnings = [*_patient_doubts(before, after), *_registration_doubts(before, after, registration, doubt)]
    if _are_the_same(before, after):
        warnings.append(
            "Both examinations have the same lesions, voxel for voxel, so they are probably one and the same; check "
            "which files were given."
        )
    if days is None:
        warnings.append(NO_DATES)
    elif days > MOST_DAYS:
        warnings.append(
            f"The examinations are {days:.0f} days apart, more than {MOST_DAYS / 365.25:.0f} years, so a date is "
            "probably wrong; check the time between them."
        )
    warnings += _date_doubts(before, after, days)
    hidden = [track.id for track in tracks if not track.later_in_view]
    if hidden:
        warnings.append(
            f"The later CT does not show the place of {listed(hidden)}, so it is not known whether this is gone."
        )
    if not doubt:
        warnings += _review_doubts(before, after, registration, tracks)
    return warnings + _slice_doubts(before, after, tracks)


def _review_doubts(
    before: Examination, after: Examination, registration: Registration, tracks: Sequence[Track]
) -> list[str]:
    """Warn of lesions that are new or gone only because a reader rejected them in one of the examinations."""

    def pairs(earlier: Sequence[Placed], later: Sequence[Placed]) -> list[tuple[int, int]]:
        groups = match(earlier, later, residual_mm=registration.residual_mm)
        return [(i, j) for group in groups for i in group.earlier for j in group.later]

    gone = [track for track in tracks if track.earlier and not track.later and track.last_seen is not None]
    new = [track for track in tracks if track.later and not track.earlier]
    pieces = [(track, placed_lesion(lesion, None)) for track in new for lesion in track.later]
    rejected_then = [placed_lesion(lesion, registration) for lesion in before.rejected]
    rejected_now = [placed_lesion(lesion, None) for lesion in after.rejected]
    found = [
        (gone[i], after.rejected[j].name, "later", "earlier")
        for i, j in pairs([track.last_seen for track in gone if track.last_seen is not None], rejected_now)
    ]
    found += [
        (pieces[j][0], before.rejected[i].name, "earlier", "later")
        for i, j in pairs(rejected_then, [piece for _, piece in pieces])
    ]
    return [
        f"{track.id} counts as {track.shown_status} because {shown(name)} was rejected in the {here} CT; reject it in "
        f"the {there} CT too, or confirm it in the {here} one, because response and burden depend on it."
        for track, name, here, there in found
    ]


def _patient_doubts(before: Examination, after: Examination) -> list[str]:
    """Warn of DICOM files that state different patients, without saying who they are."""
    both = [keyword for keyword in IDENTITY if keyword in before.patient and keyword in after.patient]
    differing = [keyword for keyword in both if before.patient[keyword] != after.patient[keyword]]
    if not differing:
        return []
    return [
        f"The DICOM files of the CTs state different patients (they differ in {listed(differing)}); make sure that "
        "both CTs are of the same patient."
    ]


def _date_doubts(before: Examination, after: Examination, days: float | None) -> list[str]:
    """Warn of dates on which no CT can have been acquired, and of a stated time that DICOM files contradict."""
    warnings = []
    for when, exam in (("earlier", before), ("later", after)):
        if exam.day and not FIRST_CT <= exam.day <= date.today():
            why = "when there was no CT yet" if exam.day < FIRST_CT else "which is in the future"
            warnings.append(
                f"The {when} CT is dated {exam.day}, {why}; check the date, on which doubling times and response "
                "depend."
            )
    if days is not None and before.stated_day and after.stated_day:
        stated = (after.stated_day - before.stated_day).days
        if abs(stated - days) > MOST_DAYS_APART:
            warnings.append(
                f"The examinations are {days:g} days apart as you stated, which was used, but {stated} days by the "
                f"dates in their DICOM files ({before.stated_day} and {after.stated_day}); check the time between them."
            )
    return warnings


def _are_the_same(before: Examination, after: Examination) -> bool:
    """Return whether both examinations have lesions, and all of them have the same voxels at the same places."""
    pairs = list(zip(before.lesion_masks, after.lesion_masks, strict=False))
    return (
        bool(pairs)
        and len(before.lesions) == len(after.lesions)
        and all(one.same_grid(other) and np.array_equal(one.array, other.array) for one, other in pairs)
    )


def _registration_doubts(before: Examination, after: Examination, registration: Registration, doubt: str) -> list[str]:
    """Warn of a registration that failed (``doubt`` says why) or that rests on the surfaces of the lungs alone."""
    warnings = []
    if doubt:
        warnings.append(
            f"The examinations could not be registered ({doubt}); only the lesions that were linked by hand are "
            "matched. All others count as gone or new, also in the response; link every lesion that is in both."
        )
    if before.ct is None or after.ct is None:
        warnings.append(NO_CT)
    elif not registration.landmarks:
        warnings.append(
            "Too few vessels were recognized in both CTs, so the stated residual is that of the lung surfaces only; "
            "make sure that both CTs are of the same patient."
        )
    return warnings


def _slice_doubts(before: Examination, after: Examination, tracks: Sequence[Track]) -> list[str]:
    """Warn of slices that are too thick for the volumes of small lesions, or that differ between the CTs."""
    warnings = []
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
