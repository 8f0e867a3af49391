"""Write followup.csv, followup.json, report.html and earlier-lesions.seg.nrrd: all files or none."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from .. import NOTICE, __version__
from ..core.csv_tables import CASE_COLUMN, write_table
from ..core.events import Progress, ProgressCallback, ignore_progress
from ..core.json_files import write_json
from ..core.rounding import rounded
from ..io.seg_nrrd import write_segmentation
from ..results.contents import report_files
from ..results.folder import WRITTEN, complete_or_nothing
from ..results.replaceable_files import Output
from .burden import burden
from .carried_lesions import carry_lesions
from .comparison import FollowUp
from .file_names import CSV_FILE, JSON_FILE, OUTLINES_FILE, PDF_FILE, REPORT_FILE
from .recist import Response

FOLLOW_UP = "follow-up"
"""Group of the files of ``compare``."""

SCHEMA_VERSION = 1

COLUMNS = (
    "id", "status", "size_status", "earlier_segments", "later_segments", "side", "volume_earlier_ml",
    "volume_later_ml", "volume_change_ml", "volume_change_percent", "doubling_time_days", "doubling_time_fastest_days",
    "doubling_time_slowest_days", "long_axis_earlier_mm", "long_axis_later_mm", "long_axis_change_mm",
    "mean_hu_change", "solid_change_ml", "mass_change_mg", "match_confidence", "recist_target", "later_probability",
    "returned", "later_in_view",
)  # fmt: skip
"""Columns of followup.csv; other programs rely on them, so new ones are appended."""


def follow_up_files(*, report: bool, outlines: bool, pdf: bool = False) -> set[str]:
    """Return the names of the files that ``write_follow_up`` writes."""
    optional = report_files(report=report, pdf=pdf) | ({OUTLINES_FILE} if outlines else set())
    return {CSV_FILE, JSON_FILE} | optional


def write_follow_up(
    found: FollowUp,
    folder: Path,
    *,
    report: bool = True,
    outlines: bool = False,
    pdf: bool = False,
    case: str | None = None,
    patient: str | None = None,
    overwrite: bool = False,
    on_progress: ProgressCallback = ignore_progress,
) -> dict[str, Any]:
    """Write the files of ``lungtumorseg compare``.

    Args:
        found: The comparison.
        folder: The output folder; it is created if necessary.
        report: Whether to write report.html.
        outlines: Whether to write earlier-lesions.seg.nrrd.
        pdf: Whether to print the report to report.pdf.
        case: Name of the case in all files.
        patient: Text about the patient in the heading of report.html.
        overwrite: Whether files may be replaced that LungTumorSeg did not write, or that have changed since.
        on_progress: Called while the report is printed and before the files appear; it may raise Cancelled.

    Returns:
        The content of followup.json.

    Raises:
        UnusableInput: If a file is in the way that may not be replaced.
        MachineLimit: If a file cannot be written; no file appears then.
    """
    data = as_json(found, case)
    inputs = [path for examination in found.examinations for path in examination.inputs]
    with complete_or_nothing(Output(folder, FOLLOW_UP, inputs, overwrite), on_progress) as private:
        _write_csv(data["lesions"], private / CSV_FILE, case)
        if report:
            from ..report.follow_up import write_follow_up_report  # imports jinja2, so only if needed

            write_follow_up_report(found, private / REPORT_FILE, case=case, patient=patient)
        if pdf:
            from ..report.pdf import print_report

            check = partial(on_progress, Progress("writing", 0, 1))
            data["warnings"] += print_report(private / REPORT_FILE, private / PDF_FILE, check)
        if outlines:
            grid = found.later.lungs.grid
            write_segmentation(
                carry_lesions(found.tracks, found.registration, grid), private / OUTLINES_FILE, grid=grid
            )
        write_json(private / JSON_FILE, data)
        on_progress(WRITTEN)
    return data


def _write_csv(lesions: Sequence[dict[str, Any]], path: Path, case: str | None) -> None:
    last = () if case is None else (CASE_COLUMN,)
    rows = ((*_row(entry), *((case,) if last else ())) for entry in lesions)
    write_table(path, (*COLUMNS, *last), rows)


def as_json(found: FollowUp, case: str | None = None) -> dict[str, Any]:
    """Return the content of followup.json: numbers and how they were found, without any path or patient name."""
    registration = found.registration
    data: dict[str, Any] = rounded(
        {
            "schema_version": SCHEMA_VERSION,
            "software_version": __version__,
            **({} if case is None else {"case": case}),
            "warnings": list(found.warnings),
            "days": found.days,
            "dates": [exam.day.isoformat() if exam.day else None for exam in found.examinations],
            "registration": {
                "overlap": registration.overlap,
                "residual_mm": registration.residual_mm,
                "residual_p95_mm": registration.residual_p95_mm,
                "landmarks": registration.landmarks,
                "residual_of": "landmarks" if registration.landmarks else "lung surfaces",
                "found_share": registration.found_share,
                "affine_to_earlier": registration.affine.tolist(),
            },
            "burden": [burden(exam) for exam in found.examinations],
            "lesions": [
                track.as_json(found.days) | {"recist_target": track.id in found.targets} for track in found.tracks
            ],
            "recist_1_1": _response(found.response)
            | {
                "targets": list(found.targets),
                "history": [
                    {"category": each.category, "sum_mm": each.sum_mm}
                    for each in (*found.earlier_responses, found.response)
                ],
            },
            "volume_category": found.volume_response,
            "notice": NOTICE,
            "links": [list(pair) for pair in found.choices.links],
            "unlinks": [list(pair) for pair in found.choices.unlinks],
        }
    )
    return data


def _response(response: Response) -> dict[str, Any]:
    return {
        "category": response.category,
        "rules": list(response.rules),
        "sum_mm": response.sum_mm,
        "baseline_sum_mm": response.baseline_mm,
        "smallest_sum_mm": response.nadir_mm,
    }


def _row(entry: dict[str, Any]) -> Sequence[object]:
    fastest, slowest = entry["doubling_time_range_days"] or (None, None)
    sides = {lesion["side"] for lesion in (*entry["earlier"], *entry["later"]) if lesion["side"]}
    values = entry | {
        "earlier_segments": "; ".join(lesion["segment"] for lesion in entry["earlier"]),
        "later_segments": "; ".join(lesion["segment"] for lesion in entry["later"]),
        "side": "/".join(sorted(sides)),
        "doubling_time_fastest_days": fastest,
        "doubling_time_slowest_days": slowest,
        **{name: "yes" if entry[name] else "no" for name in ("recist_target", "returned", "later_in_view")},
    }
    return [values[name] for name in COLUMNS]
