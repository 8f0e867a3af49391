"""The tables of a follow-up report: lesions, response over time, burden, classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from ..core.texts import signed
from ..followup.burden import burden
from ..followup.growth import days_in_words
from ..followup.track import Track, long_axis_mm, volume_ml

if TYPE_CHECKING:
    from ..followup.comparison import FollowUp

LESION_HEAD = (
    "Lesion",
    "Status",
    "Segments",
    "Volume mL",
    "Change",
    "Doubling time, days",
    "Long axis mm",
    "Mass mg",
    "Match",
    "Target",
)

RESPONSE_HEAD = ("Examination", "Sum of diameters mm", "From baseline", "From the smallest before", "Response")

CLASS_HEAD = (
    "Lesion",
    "Mean diameter mm",
    "Lung-RADS size",
    "Lung-RADS growth",
    "Fleischner size",
    "Fleischner volume",
)


def examination_names(found: FollowUp) -> list[str]:
    """Return the date of each examination, or its number where the date is unknown."""
    return [
        exam.day.isoformat() if exam.day else f"Examination {number}"
        for number, exam in enumerate(found.examinations, start=1)
    ]


def lesion_cells(track: Track, found: FollowUp) -> list[str | Markup]:
    """Return the row of a lesion in the table of lesions."""
    before, after = (" + ".join(lesion.name for lesion in visit) for visit in (track.earlier, track.later))
    masses = [_mass(visit) for visit in (track.earlier, track.later)]
    return [
        track.id,
        Markup('<span class="{}">{}</span>').format(track.status, track.shown_status),
        f"{before or '-'} → {after or '-'}",
        _pair(volume_ml(track.earlier), volume_ml(track.later), 2),
        "" if track.change_percent is None else f"{signed(track.change_percent)} %",
        doubling_text(track, found.days),
        _pair(long_axis_mm(track.earlier), long_axis_mm(track.later), 1),
        "" if None in masses else _pair(masses[0] or 0, masses[1] or 0, 0),
        "" if track.confidence is None else f"{track.confidence:.2f}",
        "yes" if track.id in found.targets else "",
    ]


def _pair(before: float, after: float, digits: int) -> str:
    return " → ".join(f"{value:.{digits}f}" if value else "-" for value in (before, after))


def _mass(visit: Sequence[Any]) -> float | None:
    masses = [lesion.mass_mg for lesion in visit]
    return None if any(mass is None for mass in masses) else sum(masses)


def doubling_text(track: Track, days: float | None) -> str:
    """Return the doubling or halving time with its range; a stable lesion has neither."""
    found = track.doubling_time(days)
    if found is None or track.size_status == "stable":
        return ""
    fast, slow = found.range_days
    limits = f"({days_in_words(fast or 0)} to {'no change' if slow is None else days_in_words(slow)})"
    return f"{'' if found.days > 0 else 'halved in '}{days_in_words(found.days)} {limits}"


def sums_text(found: FollowUp) -> str:
    """Return the targets and their sums; nothing if a sum is not known."""
    response = found.response
    if response.sum_mm is None or response.baseline_mm is None or response.nadir_mm is None:
        return ""
    now, baseline, nadir = response.sum_mm, response.baseline_mm, response.nadir_mm
    changes = [f", a change of {text}" if text else "" for text in (_percent(now, baseline), _percent(now, nadir))]
    return (
        f"Targets: {', '.join(found.targets)}. Sum of diameters: {now:.1f} mm now; {baseline:.1f} mm at baseline "
        f"({examination_names(found)[0]}){changes[0]}; {nadir:.1f} mm at its smallest before{changes[1]}. "
        f"Category by the total volume of the targets (not part of RECIST): {found.volume_response}."
    )


def response_rows(found: FollowUp) -> list[list[str]]:
    """Return the response at each examination; nothing for two examinations, of which the text says the same."""
    responses = (*found.earlier_responses, found.response)
    baseline = found.response.baseline_mm
    if len(responses) == 1 or baseline is None:
        return []
    rows = [[examination_names(found)[0], f"{baseline:.1f}", "", "", "baseline"]]
    for name, response in zip(examination_names(found)[1:], responses, strict=True):
        now = response.sum_mm
        changes = [_percent(now, before) for before in (response.baseline_mm, response.nadir_mm)]
        rows.append([name, "not measured" if now is None else f"{now:.1f}", *changes, response.category])
    return rows


def _percent(now: float | None, before: float | None) -> str:
    return f"{signed(100 * (now / before - 1))} %" if now is not None and before else ""


def burden_rows(found: FollowUp) -> list[list[str]]:
    """Return the rows of the table of burden: one column per examination, and the last change."""
    values = [burden(exam) for exam in found.examinations]
    sides = sorted({side for value in values for side in value["by_side_ml"]})
    rows = [("Lesions", [float(value["lesions"]) for value in values], 0)]
    rows += [("Volume mL", [value["volume_ml"] for value in values], 2)]
    rows += [
        (f"Volume in the {side.lower()} lung mL", [value["by_side_ml"].get(side, 0.0) for value in values], 2)
        for side in sides
    ]
    rows += [("Largest distance mm", [value["largest_distance_mm"] for value in values], 0)]
    return [
        [name, *(f"{each:.{digits}f}" for each in numbers), _shown_change(numbers[-2], numbers[-1], digits)]
        for name, numbers, digits in rows
    ]


def _shown_change(before: float, after: float, digits: int) -> str:
    """Return the change between two numbers as they are shown, so that a reader who subtracts them finds the same."""
    return signed(round(after, digits) - round(before, digits), digits)


def class_rows(found: FollowUp) -> Iterator[list[str]]:
    """Yield the size and growth classes of each lesion that has them."""
    for track in found.tracks:
        classes = track.size_and_growth_class(found.days)
        if classes is not None:
            yield [track.id, *("" if value is None else str(value) for value in classes.values())]
