"""The report of a comparison as one self-contained HTML file: pairs of sections, curves, response."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from .. import NOTICE, __version__
from ..core.colors import Color, lesion_color
from ..core.complete_files import complete_file
from ..core.crops import Crop, place
from ..core.html_pages import render_page
from ..core.texts import listed, signed
from ..core.volume import Array
from ..followup.carried_lesions import carry_lesions
from ..followup.growth import REPEATABILITY_PERCENT
from ..followup.track import Track, long_axis_mm, mean_hu, volume_ml
from .charts import Line, chart, side_by_side
from .follow_up_tables import (
    CLASS_HEAD,
    LESION_HEAD,
    RESPONSE_HEAD,
    burden_rows,
    class_rows,
    doubling_text,
    examination_names,
    lesion_cells,
    response_rows,
    sums_text,
)
from .sections import axial_section
from .windows import LEAST_LUNG_SHARE, SOFT_TISSUE_HU, WINDOW_HU, Window, lung_share, window_text

if TYPE_CHECKING:
    from ..followup.comparison import FollowUp
    from ..followup.examination import Examination

TEMPLATE = Path(__file__).with_name("follow_up.html.j2")
TITLE = "Lung tumor follow-up"

MOST_PICTURED = 20
"""Number of lesions, in the order of the table, that get pictures."""

AROUND_MM, LEAST_HALF_MM = 20.0, 30.0
"""Width of the surroundings of a lesion in its sections, and smallest half width of a section, mm."""

METHOD = (
    "The lungs were aligned by an affine transform and a smooth displacement of their surfaces and, where both CTs are "
    "known, of vessels and airways inside them. The residual is the median distance of landmarks that took no part in "
    "the alignment (or of the lung surfaces). Lesions are matched by their place after the alignment, their volume and "
    "their HU. Doubling time: days times ln 2 divided by the logarithm of the ratio of the volumes. Mass: volume times "
    "(mean HU + 1000). RECIST 1.1: Eisenhauer 2009, Eur J Cancer 45:228, with the clarifications of Schwartz 2016, Eur "
    "J Cancer 62:132; both lungs are one organ, segments named node or lymph are measured by their short axis, and "
    "pieces of a lesion that has split are added up. A response is that of the last examination, not confirmed by "
    "another one."
)


@dataclass(frozen=True)
class PicturedTrack:
    """What the template shows of one lesion.

    Attributes:
        id: Id of the lesion.
        status: Its status.
        shown_status: Its status in words.
        sentence: Its description.
        drawings: Name and SVG of the section in each examination.
        curves: Curves of volume and long axis, as SVG.
    """

    id: str
    status: str
    shown_status: str
    sentence: str
    drawings: list[tuple[str, Markup]]
    curves: Markup


def write_follow_up_report(
    found: FollowUp, path: str | os.PathLike[str], *, case: str | None = None, patient: str | None = None
) -> None:
    """Write the report of a comparison as HTML.

    Args:
        found: The comparison.
        path: The HTML file.
        case: Name of the case.
        patient: A line about the patient.

    Raises:
        MachineLimit: The file cannot be written.
    """
    names = examination_names(found)
    pictured = list(_pictured(found, names))
    context: dict[str, Any] = {
        "title": TITLE,
        "patient": patient,
        "notice": NOTICE,
        "warnings": found.warnings,
        "facts": _facts(found, case),
        "head": LESION_HEAD,
        "rows": [lesion_cells(track, found) for track in found.tracks],
        "repeatability": f"{REPEATABILITY_PERCENT:g}",
        "response": found.response,
        "sums": sums_text(found),
        "response_head": RESPONSE_HEAD,
        "response_rows": response_rows(found),
        "burden_head": ("", *names, "Change"),
        "burden_rows": burden_rows(found),
        "lesions": pictured,
        "pictures_note": _pictures_note(len(pictured), len(found.tracks)),
        "class_head": CLASS_HEAD,
        "class_rows": list(class_rows(found)),
        "method": METHOD,
    }
    text = render_page(TEMPLATE, context)
    with complete_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _pictures_note(pictured: int, lesions: int) -> str:
    note = (
        f"Sections: axial, at the center of the lesion; {window_text(WINDOW_HU)}. With little lung around the lesion: "
        f"{window_text(SOFT_TISSUE_HU)}. "
        "Colored: the outline in this CT. Dashed white: the earlier outline where the alignment puts it now."
    )
    return note if pictured == lesions else f"{note} Pictures of the first {pictured} of {lesions} lesions."


def _facts(found: FollowUp, case: str | None) -> list[tuple[str, str]]:
    registration = found.registration
    of = f"{registration.landmarks} landmarks in the lungs" if registration.landmarks else "the lung surfaces"
    spacings = listed([f"{exam.slice_mm:.3g}" for exam in found.examinations])
    residual = (
        f"median residual {registration.residual_mm:.1f} mm (95 %: {registration.residual_p95_mm:.1f} mm) of {of}"
    )
    if registration.found_share is not None:
        residual += f"; {100 * registration.found_share:.0f} % of the vessels that were looked up are in both CTs"
    between = "Time between the last two" if len(found.examinations) > 2 else "Time between"
    known = [
        ("Case", case),
        ("Examinations", listed(examination_names(found))),
        (between, None if found.days is None else f"{found.days:g} days"),
        ("Distance of slices", f"{spacings} mm"),
        ("Alignment", f"{residual}, overlap {registration.overlap:.2f}"),
        ("Written", datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z").strip()),
        ("Software", f"LungTumorSeg {__version__}"),
    ]
    return [(name, value) for name, value in known if value]


def _pictured(found: FollowUp, names: Sequence[str]) -> Iterator[PicturedTrack]:
    carried_crops = _carried_crops(found)
    captions = [f"Before: {names[-2]}", f"Now: {names[-1]}"]
    for number, track in enumerate(found.tracks[:MOST_PICTURED], start=1):
        color = lesion_color(number)
        centers = _centers(track, found)
        half_mm = max(
            [LEAST_HALF_MM, *(long_axis_mm((each,)) / 2 + AROUND_MM for v in track.visits[-2:] for each in v)]
        )
        window = _window(track, found)
        drawings = []
        for exam, visit, center, name in zip(
            found.examinations[-2:], track.visits[-2:], centers, captions, strict=True
        ):
            before = carried_crops.get(track.id, ()) if exam is found.later else ()
            svg = _drawn(
                exam,
                [lesion.crop for lesion in visit],
                center,
                half_mm=half_mm,
                color=color,
                compared=before,
                window=window,
            )
            if svg:
                drawings.append((name, Markup(svg)))  # noqa: S704  drawn by the program from numbers
        curves = Markup(_curves(track, found))  # noqa: S704
        yield PicturedTrack(track.id, track.status, track.shown_status, _sentence(track, found), drawings, curves)


def _carried_crops(found: FollowUp) -> dict[str, list[Crop]]:
    """Return the outlines of the earlier lesions where they would lie in the later CT, by the id of the lesion."""
    if found.later.ct is None:
        return {}
    grid = found.later.ct.grid
    segments = carry_lesions(found.tracks[:MOST_PICTURED], found.registration, grid)
    crops = {segment.id: place(segment.mask, grid, segment.name, found.later.name) for segment in segments}
    return {name: [crop] for name, crop in crops.items() if crop is not None}


def _window(track: Track, found: FollowUp) -> Window:
    """Return the window of the sections of a lesion, the same for both CTs, so that they can be compared."""
    shares = [
        lung_share(exam.ct, lesion.crop)
        for exam, visit in zip(found.examinations[-2:], track.visits[-2:], strict=True)
        if exam.ct is not None
        for lesion in visit
    ]
    return SOFT_TISSUE_HU if shares and max(shares) < LEAST_LUNG_SHARE else WINDOW_HU


def _drawn(
    exam: Examination,
    crops: Sequence[Crop],
    center: Array | None,
    *,
    half_mm: float,
    color: Color,
    compared: Sequence[Crop],
    window: Window,
) -> str:
    if exam.ct is None or center is None:
        return ""
    return axial_section(exam.ct, crops, center, half_mm=half_mm, color=color, compared=compared, window=window)


def _centers(track: Track, found: FollowUp) -> tuple[Array | None, Array | None]:
    """Return the center of the lesion in the earlier and in the later CT, LPS mm; where it is absent, its place.

    A lesion that is in neither, because it was gone before, has no center.
    """
    before, after = (
        np.concatenate([lesion.points_lps for lesion in visit]).mean(axis=0) if visit else None
        for visit in (track.earlier, track.later)
    )
    if before is None and after is not None:
        return found.registration.to_earlier(after[None])[0], after
    if after is None and before is not None:
        return before, found.registration.to_later(before[None])[0]
    return before, after


def _sentence(track: Track, found: FollowUp) -> str:
    parts = []
    for word, visit in (("before", track.earlier), ("now", track.later)):
        axes = " + ".join(f"{lesion.long_axis_mm:.0f} x {lesion.short_axis_mm:.0f} mm" for lesion in visit)
        parts.append(f"{word}: {axes}, {volume_ml(visit):.2f} mL" if visit else f"{word}: none")
    if track.change_percent is not None and track.later:
        parts.append(f"volume {signed(track.change_percent)} %")
    densities = [mean_hu(visit) for visit in (track.earlier, track.later)]
    if None not in densities:  # a lesion of the same size may have a cavity or a new solid part
        parts.append(f"mean {densities[0]:.0f} HU before, {densities[1]:.0f} HU now")
    doubling = doubling_text(track, found.days)
    if doubling and track.size_status == "grown":
        parts.append(f"doubling time {doubling} days")
    if track.returned:
        parts.append("it was there in an examination before these two")
    if not track.later_in_view:
        parts.append("the later CT does not show its place")
    if track.later_probability is not None:
        parts.append(f"highest tumor probability at its place now: {track.later_probability:.2f}")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _curves(track: Track, found: FollowUp) -> str:
    """Draw volume and long axis over the days, or over the number of the examination where dates are unknown."""
    times, axis = _times(found)
    charts = [
        chart(
            name, [Line(track.id, tuple(zip(times, map(value, track.visits), strict=True)))], axis, unit, from_zero=True
        )
        for name, value, unit in (("Volume", volume_ml, "mL"), ("Long axis", long_axis_mm, "mm"))
    ]
    return side_by_side(charts, font_px=16)


def _times(found: FollowUp) -> tuple[list[float], str]:
    days = [exam.day for exam in found.examinations]
    if all(days):
        return [float((day - days[0]).days) for day in days if day and days[0]], "days"
    if found.days is not None and len(days) == 2:
        return [0.0, found.days], "days"
    return [float(n) for n in range(1, len(days) + 1)], "examination"
