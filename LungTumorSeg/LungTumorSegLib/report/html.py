"""The report of a CT as one HTML file that needs nothing else: no script, no font, no picture from elsewhere."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import islice

from .. import NOTICE
from ..core.colors import ZONE_COLORS, Color, lesion_color
from ..core.errors import MachineLimit
from ..core.volume import CTVolume, Volume
from ..io.images import complete_file
from ..lesions import Lesion, LesionReport, Margin, all_measures
from ..lesions.components import numbered_crops
from .sections import css, histogram, sections
from .views_3d import FROM_ABOVE, FROM_THE_LEFT, FRONT, Look, spread_pictures

MOST_PICTURED = 12
"""Lesions, largest first, that get pictures; more would make the file large and nobody looks at them one by one."""

VIEW_SIZE = (800, 600)
"""Pixels of each 3D view; three of them stand side by side."""

VIEW_TEXT_HEIGHT = 0.045
"""As a share of a view's height."""

METHOD = (
    "Long axis: longest in-plane diameter over all axial slices; short axis: longest diameter perpendicular to it in that slice "
    "(RECIST 1.1). Volume: voxels of the mask. Volume range: the mask cut with the probability lowered and raised by 1.645 times the "
    "disagreement of overlapping stacks. Confidence: mean of probability minus disagreement; no probability of malignancy. "
    "Zones: thirds of the lung's height, a lesion in that of its centroid. Central: within 20 mm of the mediastinum, which is what lies "
    "between the lungs. Distances run from the lesion's nearest voxel; the carina lies where the trachea's lumen divides. Contact: the "
    "part of a lesion's surface that looks out of the lung as segmented. Size category: T descriptor of the ninth edition of TNM by size "
    "alone, of part-solid lesions "
    "by their solid part (at and above -300 HU). Shape and HU statistics conform to the Image Biomarker Standardisation Initiative."
)

HEAD = (
    "Lesion",
    "Place",
    "Volume mL",
    "5 % to 95 %",
    "Long mm",
    "Short mm",
    "Mean HU",
    "Density",
    "Size",
    "Pleura mm",
    "Contact cm²",
    "Confidence",
)

STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#1f2933;max-width:1100px;margin:24px auto;padding:0 16px}
h1{font-size:24px}h2{font-size:19px;margin-top:32px;border-bottom:1px solid #d5dbe1}h3{font-size:16px}
table{border-collapse:collapse;width:100%;font-size:13.5px}th,td{padding:4px 8px;text-align:right;border-bottom:1px solid #e3e8ec}
th:first-child,td:first-child,th:nth-child(2),td:nth-child(2){text-align:left}td:first-child{white-space:nowrap}
.notice{background:#fff4e0;border:1px solid #f0c36d;padding:8px 12px}.views img{width:32.5%}
.row{display:flex;flex-wrap:wrap;gap:12px;align-items:flex-start}figure{margin:0}figcaption{font-size:12px;color:#52606d}
.row svg{background:#000;max-width:100%;height:225px;width:auto}.row .plain svg{background:none;height:120px}
summary{font-size:19px;font-weight:bold;margin:24px 0 8px}.key{margin-left:14px}.all{overflow-x:auto}
.mark{display:inline-block;width:11px;height:11px;margin-right:6px}
@media print{h2{break-after:avoid}.lesion{break-inside:avoid}}
"""


@dataclass(frozen=True)
class Heading:
    """What stands above the numbers. No field is filled from a file by itself: patient data appear only where the caller gives them.

    ``model``: its id, and how it was used where that is known; ``model_card``: an excerpt, one paragraph a line. ``warnings``: sentences.
    """

    title: str = "Lung tumor report"
    case: str | None = None
    patient: str | None = None
    model: str | None = None
    model_card: str | None = None
    warnings: Sequence[str] = ()


def write_report(
    report: LesionReport,
    ct: CTVolume,
    left_lung: Volume,
    right_lung: Volume,
    path: str | os.PathLike[str],
    heading: Heading | None = None,
    margins: Sequence[Margin] = (),
) -> None:
    """Writes the report as HTML: table, 3D views, spread, and of each lesion sections with outline and rulers, histogram, all measures.

    Volumes lie on one grid, in any orientation. Where the machine cannot draw in 3D the report says so in place of the views.
    Raises MachineLimit if the file cannot be written.
    """
    heading = heading or Heading()
    parts = [
        _head(heading),
        _table(report),
        _views(report, left_lung, right_lung, margins),
        _spread(report, margins),
        *_lesions(report, ct),
        f"<h2>Method</h2><p>{escape(METHOD)}</p>",
        _model(heading),
        _all_measures(report),
        f'<p class="notice">{escape(NOTICE)}</p></body></html>',
    ]
    with complete_file(path) as unfinished:
        unfinished.write_text("\n".join(parts), encoding="utf-8")


def _head(heading: Heading) -> str:
    patient = f"<p>Case: {escape(heading.case)}</p>" if heading.case else ""
    patient += f"<p>{escape(heading.patient)}</p>" if heading.patient else ""
    warnings = "".join(f'<p class="notice">{escape(warning)}</p>' for warning in heading.warnings)
    title = escape(heading.title)
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style></head>'
        f'<body><h1>{title}</h1>{patient}<p class="notice">{escape(NOTICE)} Every number and outline must be checked by a physician.</p>'
        f"{warnings}"
    )


def _number(value: float | None, digits: int = 1) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _table(report: LesionReport) -> str:
    if not report.lesions:
        return f"<h2>Lesions</h2><p>{escape(report.message)}.</p>"
    return f"<h2>Lesions</h2>{_html_table(HEAD, map(_cells, report.lesions))}"


def _cells(lesion: Lesion) -> list[str]:
    where = lesion.location
    low, high = lesion.volume_range_ml or (None, None)
    return [
        _named(lesion),
        f"{where.side} {where.zone}, {where.depth}" if where else "",
        _number(lesion.volume_ml, 2),
        f"{_number(low, 2)} to {_number(high, 2)}" if low is not None else "",
        _number(lesion.long_axis_mm),
        _number(lesion.short_axis_mm),
        _number(lesion.mean_hu, 0),
        lesion.density,
        lesion.size_category,
        _number(where.pleura.distance_mm) if where else "",
        _number(where.pleura.area_cm2) if where else "",
        _number(lesion.confidence, 2),
    ]


def _views(report: LesionReport, left_lung: Volume, right_lung: Volume, margins: Sequence[Margin]) -> str:
    views = (FRONT, FROM_THE_LEFT, FROM_ABOVE)
    look = Look(margins=margins, zones=True, text_height=VIEW_TEXT_HEIGHT)
    try:
        pictures = spread_pictures(
            left_lung, right_lung, report.labels, views, VIEW_SIZE, lesions=report.lesions, look=look
        )
    except MachineLimit as error:
        return f"<h2>3D views</h2><p>{escape(str(error))}</p>"
    images = "".join(
        f'<img alt="{view.name}" src="data:image/png;base64,{base64.b64encode(picture).decode("ascii")}">'
        for view, picture in zip(views, pictures, strict=True)
    )
    legend = "".join(f'<span class="key">{_mark(color)}{name} zone</span>' for name, color in ZONE_COLORS.items())
    caption = f"From the front, from the patient's left, from above. {legend}"
    return f'<h2>3D views</h2><div class="views">{images}</div><p>{caption}</p>'


def _mark(color: Color) -> str:
    return f'<span class="mark" style="background:{css(color)}"></span>'


def _spread(report: LesionReport, margins: Sequence[Margin]) -> str:
    spread = report.spread
    if not spread.count:
        return ""
    places = ", ".join(f"{count} {side.lower()} {zone}" for (side, zone), count in sorted(spread.places.items()))
    percent = f" ({_number(spread.burden_percent, 2)} % of {spread.lung_ml:.0f} mL of lung)" if spread.lung_ml else ""
    farthest = f" Largest distance between lesions: {spread.largest_distance_mm:.0f} mm." if spread.count > 1 else ""
    where = f" By zone: {places}." if places else ""
    text = f"{escape(report.message)}; burden {spread.burden_ml:.2f} mL{percent}.{where}{farthest}"
    return f"<h2>Spread</h2><p>{text}</p>{_distances(report)}{_margins(margins)}"


def _distances(report: LesionReport) -> str:
    """Where the other lesions lie, seen from the dominant one."""
    if report.spread.count < 2:
        return ""
    rows = [
        (_named(lesion), f"{lesion.distance_from_dominant_mm:.0f}", lesion.side_from_dominant or "")
        for lesion in report.lesions[1:]
    ]
    return _html_table(("Lesion", "mm from the dominant lesion", "Side"), rows)


def _margins(margins: Sequence[Margin]) -> str:
    if not margins:
        return ""
    rows = [(escape(margin.name), f"{margin.distance_mm:g}", f"{margin.volume_ml:.2f}") for margin in margins]
    return "<p>What surrounds the lesions, within the lungs:</p>" + _html_table(
        ("Margin", "Width mm", "Volume mL"), rows
    )


def _html_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """``rows`` are HTML already."""
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{escape(name)}</th>' for name in head)}</tr>{lines}</table>"


def _named(lesion: Lesion) -> str:
    return _mark(lesion_color(lesion.number)) + escape(lesion.segment)


def _all_measures(report: LesionReport) -> str:
    """Every number of lesions.csv as it stands there, a column a lesion."""
    if not report.lesions:
        return ""
    columns = [all_measures(lesion) for lesion in report.lesions[:MOST_PICTURED]]
    rows = [
        (name, *("" if column[name] is None else escape(str(column[name])) for column in columns))
        for name in columns[0]
    ]
    head = ("Measure", *(lesion.segment for lesion in report.lesions[:MOST_PICTURED]))
    return f'<details><summary>All measures, as in lesions.csv</summary><div class="all">{_html_table(head, rows)}</div></details>'


def _lesions(report: LesionReport, ct: CTVolume) -> list[str]:
    order = ct.canonical_axes()
    axial, labels = order.apply(ct), order.apply(report.labels)
    parts = []
    for number, crop in islice(numbered_crops(labels), MOST_PICTURED):
        lesion = report.lesions[number - 1]
        color = lesion_color(lesion.number)
        figures = "".join(
            f"<figure>{svg}<figcaption>{name}</figcaption></figure>"
            for name, svg in sections(crop, lesion, axial, color).items()
        )
        figures += f'<figure class="plain">{histogram(crop.voxels_of(axial), color)}<figcaption>HU in the lesion</figcaption></figure>'
        name = f"<h2>{escape(lesion.segment)}</h2><p>{_sentence(lesion)}</p>"
        parts.append(f'<div class="lesion">{name}<div class="row">{figures}</div></div>')
    if len(report.lesions) > MOST_PICTURED:
        parts.append(f"<p>Pictures of the {MOST_PICTURED} largest of {len(report.lesions)} lesions.</p>")
    return parts


def _sentence(lesion: Lesion) -> str:
    """What a radiologist would dictate."""
    parts = [
        f"{lesion.density.capitalize()}, {lesion.long_axis_mm:.0f} x {lesion.short_axis_mm:.0f} mm axial, {lesion.volume_ml:.2f} mL"
    ]
    if lesion.density == "part-solid" and lesion.solid_long_axis:
        parts[0] += f" (solid part {lesion.solid_long_axis.length_mm:.0f} mm, {lesion.solid_ml:.2f} mL)"
    where = lesion.location
    if where is not None:
        parts.append(f"{where.side.lower()} lung, {where.zone} zone, {where.depth}")
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
    return escape("; ".join(parts) + ".")


def _model(heading: Heading) -> str:
    name = f"<p>Model: {escape(heading.model)}</p>" if heading.model else ""
    card = "".join(f"<p>{escape(line)}</p>" for line in (heading.model_card or "").splitlines() if line.strip())
    return f"<h2>Model</h2>{name}{card}" if name or card else ""
