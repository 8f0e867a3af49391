"""The report of a CT as one self-contained HTML file, without external scripts, fonts or pictures."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from markupsafe import Markup

from .. import NOTICE, __version__
from ..core.colors import ZONE_COLORS, lesion_color
from ..core.complete_files import complete_file
from ..core.errors import MachineLimit
from ..core.html_pages import render_page
from ..core.volume import CTVolume, Volume
from ..lesions import Lesion, LesionReport, Margin, all_measures
from ..lesions.components import numbered_crops
from ..lesions.limits import LOW_CONFIDENCE
from .lesion_table import HEAD, cells, colored_name, is_low, number
from .sections import css, histogram, sections
from .views_3d import FROM_ABOVE, FROM_THE_LEFT, FRONT, Look, spread_pictures
from .windows import WINDOW_HU, window_text

TEMPLATE = Path(__file__).with_name("report.html.j2")

MOST_PICTURED = 12
"""Number of lesions, largest first, that get pictures; more would make the file large, and few would view them."""

SIDE_BY_SIDE = 6
"""Number of lesions side by side in a table of all measures, which must fit the width of a sheet of paper."""

VIEW_SIZE = (800, 600)
"""Width and height of each of the three 3D views, which stand side by side, pixels."""

VIEW_TEXT_HEIGHT = 0.045
"""Font size as a share of a view's height."""

METHOD = (
    "Long axis: longest in-plane diameter over all axial slices. Short axis: longest diameter perpendicular to it in "
    "that slice (RECIST 1.1). Volume: voxels of the mask. Volume range: the mask cut with the probability lowered and "
    "raised by 1.645 standard deviations across overlapping stacks. Confidence: the estimated probability that the "
    "second network gives a candidate of being a tumor; without the second look, mean of probability minus standard "
    "deviation. Neither says whether a tumor is malignant. Zones: thirds of the lung's height; a lesion belongs to "
    "the zone of its centroid. Central: within 20 mm of the mediastinum, which is the space between the lungs. "
    "Distances are measured from the lesion's nearest voxel; the carina is where the trachea's lumen divides. "
    "Contact: the part of a lesion's surface that faces out of the lung as segmented; gaps of one or two pixels are "
    "not bridged. T by size: T descriptor of the ninth edition of TNM by size alone, the axial long axis, of "
    "part-solid lesions that of the solid part (-300 HU or more); Tis and T1mi of subsolid lesions are not told apart. "
    "Shape and HU statistics conform to the Image Biomarker Standardisation Initiative."
)


@dataclass(frozen=True)
class Heading:
    """What is known about the run.

    The report reads no field from a file: patient data appear only if the caller supplies them.

    Attributes:
        title: Heading of the page.
        case: An identifier that links reports and tables.
        patient: A line about the patient.
        model: Id of the model and, if known, how it was used.
        model_card: An excerpt, one paragraph per line.
        weights_sha256: Checksum of the weights.
        warnings: Sentences.
        created: Time of writing; the local time now by default.
    """

    title: str = "Lung tumor report"
    case: str | None = None
    patient: str | None = None
    model: str | None = None
    model_card: str | None = None
    weights_sha256: str | None = None
    warnings: Sequence[str] = ()
    created: datetime = field(default_factory=lambda: datetime.now().astimezone())


def write_report(
    report: LesionReport,
    ct: CTVolume,
    left_lung: Volume,
    right_lung: Volume,
    path: str | os.PathLike[str],
    *,
    heading: Heading | None = None,
    margins: Sequence[Margin] = (),
) -> None:
    """Write the report as HTML.

    It contains facts, a table, 3D views and the spread. For each lesion it contains sections, a histogram and all
    measures. If the machine cannot draw in 3D, the report says so in place of the views.

    Args:
        report: The measured lesions.
        ct: The CT, in any orientation.
        left_lung: The left lung (bool), on the CT's grid.
        right_lung: The right lung (bool), on the CT's grid.
        path: The HTML file.
        heading: What is known about the run.
        margins: Margins around the lesions, to be drawn and listed.

    Raises:
        MachineLimit: The file cannot be written.
    """
    values = _values(report, ct, heading or Heading(), margins)
    text = render_page(TEMPLATE, values | _views(report, left_lung, right_lung, margins))
    with complete_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def _values(report: LesionReport, ct: CTVolume, heading: Heading, margins: Sequence[Margin]) -> dict[str, Any]:
    """Return what the template shows, except the 3D views."""
    return {
        "heading": heading,
        "report": report,
        "notice": NOTICE,
        "facts": _facts(heading, ct),
        "head": HEAD,
        "rows": [cells(lesion, ct) for lesion in report.lesions],
        "some_low": any(is_low(lesion) for lesion in report.lesions),
        "low_confidence": f"{LOW_CONFIDENCE:g}",
        "legend": _legend(report),
        "spread": _spread(report),
        "distances": _distances(report),
        "margins": [(margin.name, f"{margin.distance_mm:g}", f"{margin.volume_ml:.2f}") for margin in margins],
        "lesions": list(_pictured(report, ct)),
        "window": window_text(WINDOW_HU),
        "method": METHOD,
        "measures": _all_measures(report),
    }


def _facts(heading: Heading, ct: CTVolume) -> list[tuple[str, str]]:
    """Return name and value of the facts that identify CT, run and software."""
    size = " x ".join(str(n) for n in ct.shape[::-1])
    spacing = " x ".join(f"{mm:.4g}" for mm in ct.spacing[::-1])
    known = [
        ("Case", heading.case),
        ("CT", f"{size} voxels of {spacing} mm" + (", resampled to a regular grid" if ct.resampled else "")),
        ("Written", heading.created.strftime("%Y-%m-%d %H:%M %Z").strip()),
        ("Software", f"LungTumorSeg {__version__}"),
        ("Weights, SHA-256", heading.weights_sha256),
    ]
    return [(name, value) for name, value in known if value]


def _views(report: LesionReport, left_lung: Volume, right_lung: Volume, margins: Sequence[Margin]) -> dict[str, Any]:
    views = (FRONT, FROM_THE_LEFT, FROM_ABOVE)
    look = Look(margins=margins, zones=True, text_height=VIEW_TEXT_HEIGHT, legend=False)
    try:
        pictures = spread_pictures(
            left_lung, right_lung, report.labels, views, VIEW_SIZE, lesions=report.lesions, look=look
        )
    except MachineLimit as error:
        return {"pictures": [], "no_pictures": str(error)}
    drawn = zip(views, pictures, strict=True)
    return {"pictures": [(view.name, base64.b64encode(picture).decode("ascii")) for view, picture in drawn]}


def _legend(report: LesionReport) -> list[tuple[str, str]]:
    """Return name and color of everything that the 3D views show."""
    lesions = [
        (f"{lesion.segment}: {lesion.volume_ml:.1f} mL", lesion_color(lesion.number)) for lesion in report.lesions
    ]
    zones = [(f"{name} zone", color) for name, color in ZONE_COLORS.items()]
    return [(name, css(color)) for name, color in (*lesions, *zones)]


def _spread(report: LesionReport) -> str:
    spread = report.spread
    if not spread.count:
        return ""
    places = ", ".join(f"{count} {side.lower()} {zone}" for (side, zone), count in sorted(spread.places.items()))
    percent = f" ({number(spread.burden_percent, 2)} % of {spread.lung_ml:.0f} mL of lung)" if spread.lung_ml else ""
    farthest = f" Largest distance between lesions: {spread.largest_distance_mm:.0f} mm." if spread.count > 1 else ""
    where = f" By zone: {places}." if places else ""
    return f"{report.message}; burden {spread.burden_ml:.2f} mL{percent}.{where}{farthest}"


def _distances(report: LesionReport) -> list[tuple[Markup, str, str]]:
    """Return name, distance and side of the other lesions as seen from the largest one."""
    return [
        (colored_name(lesion), f"{lesion.distance_from_dominant_mm:.0f}", lesion.side_from_dominant or "")
        for lesion in report.lesions[1:]
    ]


def _all_measures(report: LesionReport) -> list[list[list[str]]]:
    """Return all numbers of lesions.csv, unchanged, as tables with one column per lesion; the first row is the head."""
    pictured = report.lesions[:MOST_PICTURED]
    return [_measures_of(pictured[first : first + SIDE_BY_SIDE]) for first in range(0, len(pictured), SIDE_BY_SIDE)]


def _measures_of(lesions: Sequence[Lesion]) -> list[list[str]]:
    columns = [all_measures(lesion) for lesion in lesions]
    head = ["Measure", *(lesion.segment for lesion in lesions)]
    return [head, *([name, *("" if c[name] is None else str(c[name]) for c in columns)] for name in columns[0])]


@dataclass(frozen=True)
class PicturedLesion:
    """What the template shows of one lesion.

    Attributes:
        name: Name of the lesion's segment.
        sentence: Its description.
        drawings: Name and SVG of each section.
        histogram: The histogram of its HU, as SVG.
    """

    name: str
    sentence: str
    drawings: list[tuple[str, Markup]]
    histogram: Markup


def _pictured(report: LesionReport, ct: CTVolume) -> Iterator[PicturedLesion]:
    order = ct.canonical_axes()
    axial, labels = order.apply(ct), order.apply(report.labels)
    crops = dict(numbered_crops(labels))
    for lesion in islice((lesion for lesion in report.lesions if lesion.number in crops), MOST_PICTURED):
        crop = crops[lesion.number]
        color = lesion_color(lesion.number)
        drawn = sections(crop, lesion, axial, color)
        yield PicturedLesion(
            lesion.segment,
            _sentence(lesion),
            [(name, Markup(svg)) for name, svg in drawn.items()],  # noqa: S704  drawn by the program from numbers
            Markup(histogram(crop.voxels_of(axial), color)),  # noqa: S704
        )


def _sentence(lesion: Lesion) -> str:
    """Describe a lesion as a radiologist would dictate it."""
    axes = f"{lesion.long_axis_mm:.0f} x {lesion.short_axis_mm:.0f} mm axial"
    parts = [f"{lesion.density.capitalize()}, {axes}, {lesion.volume_ml:.2f} mL"]
    if lesion.density == "part-solid" and lesion.solid_long_axis_mm:
        parts[0] += f" (solid part {lesion.solid_long_axis_mm:.0f} mm, {lesion.solid_ml:.2f} mL)"
    where = lesion.location
    if where is not None:
        parts.append(f"{where.side.lower()} lung, {where.zone_and_depth}")
        pleura = where.pleura
        areas = (
            ("mediastinum", pleura.mediastinum_cm2),
            ("chest wall", pleura.chest_wall_cm2),
            ("diaphragm", pleura.diaphragm_cm2),
        )
        contacts = [f"{name} {area:.1f} cm²" for name, area in areas if area >= 0.05]
        parts.append("contact: " + ", ".join(contacts) if contacts else f"{pleura.distance_mm:.0f} mm from the pleura")
        if where.carina_mm is not None:
            parts.append(f"{where.carina_mm:.0f} mm from the carina")
    return "; ".join(parts) + "."
