"""Write the result files of ``segment`` and ``measure``."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import MachineLimit
from ..core.events import Progress, ProgressCallback, ignore_progress
from ..core.volume import CTVolume, Volume
from ..io.seg_nrrd import write_segmentation
from ..io.segment import Segment
from ..isolation import LungIsolation
from ..lesions import LesionReport
from ..lesions.spread import Margin, margins
from ..lesions.table import margins_as_json, write_lesions_csv
from ..options import SEG_NRRD
from ..report.html import Heading, write_report
from ..report.pdf import print_report
from ..report.views_3d import render_spread
from ..weights.manifest import model_folders
from ..weights.model_card import card_excerpt
from .contents import (
    CT_FILE,
    DISAGREEMENT_FILE,
    LESIONS_FILE,
    MARGINS_FILE,
    PDF_FILE,
    PICTURE_FILE,
    PROBABILITY_FILE,
    REPORT_FILE,
    RESULT,
    SEGMENTATION_FILE,
    SUMMARY_FILE,
    Extras,
)
from .exports import algorithm_of, segments_of, write_formats
from .folder import WRITTEN, complete_or_nothing, files_of_group
from .map_files import MapFiles
from .replaceable_files import Output
from .result_segments import lung_and_tumor_segments, margin_segments
from .summary import NO_RUN, case_entry, summary_of, summary_of_measures, write_record
from .surfaces import write_surfaces

if TYPE_CHECKING:  # it imports this module to save itself
    from .segment_result import SegmentResult

LASTING_FILES = frozenset({SEGMENTATION_FILE, PROBABILITY_FILE, DISAGREEMENT_FILE, CT_FILE})
"""Files that a run computed from the CT.

All other files are derived from them, and are outdated once the segmentation has been corrected and measured again.
"""

WRITING = tuple(Progress("writing", done, 20) for done in (0, 2, 8, 19, 20))
"""Progress of ``write_result``; picture and report take most of its time."""

NOTHING_MORE = Extras()


def write_result(
    result: SegmentResult,
    folder: str | os.PathLike[str],
    *,
    picture: bool = True,
    extras: Extras = NOTHING_MORE,
    surfaces: bool = False,
    source: Path | None = None,
    overwrite: bool = False,
    maps: MapFiles | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> dict[str, Any]:
    """Write the files of ``lungtumorseg segment``.

    These are segmentation.seg.nrrd, lesions.csv, summary.json, probability.nrrd and disagreement.nrrd, and ct.nrrd if
    the CT was resampled. Files of an earlier run that this run does not write again are removed. Files appear under
    their final names only after the last call of ``on_progress``; if writing fails, none appears.

    Args:
        result: The result to write.
        folder: The output folder; it is created if necessary.
        picture: Whether to write spread.png.
        extras: Optional files and names.
        surfaces: Whether to write the surface of each segment as ``<segment id>.vtp`` in LPS mm, so that Slicer does
            not have to compute it in the thread of its window.
        source: The file from which the CT was read; it is never removed or replaced.
        overwrite: Whether files may be replaced that LungTumorSeg did not write, or that have changed since.
        maps: The files of the maps of ``result``, if the run has begun them.
        on_progress: Called between steps; it may raise Cancelled.

    Returns:
        The content of summary.json.

    Raises:
        UnusableInput: If a file is in the way that may not be replaced.
        MachineLimit: If a file cannot be written.
    """
    folder, isolation, report = Path(folder), result.isolation, result.report
    found_margins = _margins(report, isolation.lungs, isolation.body, extras.margins_mm)
    summary = summary_of(result) | {"margins": margins_as_json(found_margins)} | case_entry(extras.case)
    output = Output(folder, RESULT, () if source is None else (source,), overwrite)
    with complete_or_nothing(output, on_progress) as private, maps or MapFiles() as files:
        on_progress(WRITING[0])
        if not files.begun:
            files.begin(result.probability, result.disagreement)
        if result.ct.resampled:
            files.add(CT_FILE, result.ct)
        segments = lung_and_tumor_segments(isolation, report)
        summary["warnings"] += _write_segments(segments, result, summary, private, extras)
        if surfaces:
            write_surfaces(segments, private)
        on_progress(WRITING[1])
        write_lesions_csv(report, private / LESIONS_FILE, extras.case)
        if picture:
            summary["warnings"] += _draw_spread(isolation, report, private / PICTURE_FILE)
        on_progress(WRITING[2])
        heading = _heading(result, extras, summary["warnings"]) if extras.report else None
        lungs = isolation.left_lung, isolation.right_lung
        _write_report_and_margins(
            report, result.ct, lungs, heading=heading, found_margins=found_margins, folder=private
        )
        if extras.pdf:
            summary["warnings"] += _print_report(private, on_progress)
        files.write(private)
        on_progress(WRITING[3])
        write_record(summary, private / SUMMARY_FILE)
        on_progress(WRITING[4])
    return summary


def _write_segments(
    segments: Sequence[Segment], result: SegmentResult, summary: Mapping[str, Any], folder: Path, extras: Extras
) -> list[str]:
    """Write the segmentation in all formats; return the warnings."""
    write_segmentation(segments, folder / SEGMENTATION_FILE)
    algorithm = algorithm_of(summary, automatic=True) if extras.dicom else None
    formats = set(extras.formats) - {SEG_NRRD}  # it is always written
    lesions, grid = result.report.lesions, result.ct.grid
    return write_formats(segments, lesions, grid, folder, formats, source=extras.dicom, algorithm=algorithm)


def _heading(result: SegmentResult, extras: Extras, warnings: Sequence[str]) -> Heading:
    return Heading(
        case=extras.case,
        patient=extras.patient,
        model=result.settings.in_words,
        model_card=result.model_card,
        weights_sha256=result.manifest.weights_sha256,
        warnings=warnings,
    )


def _draw_spread(isolation: LungIsolation, report: LesionReport, path: Path) -> list[str]:
    """Draw the picture.

    Returns:
        A warning if the machine cannot draw, since a missing picture must not prevent the result from being written.
    """
    try:
        render_spread(isolation.left_lung, isolation.right_lung, report.labels, path)
    except MachineLimit as error:
        return [f"spread.png was not written: {error}"]
    return []


def _write_report_and_margins(
    report: LesionReport,
    ct: CTVolume,
    lungs: tuple[Volume, Volume],
    *,
    heading: Heading | None,
    found_margins: Sequence[Margin],
    folder: Path,
) -> None:
    """Write the report unless it has no heading, and the margins if there are any."""
    if heading is not None:
        write_report(report, ct, *lungs, folder / REPORT_FILE, heading=heading, margins=found_margins)
    if found_margins:
        write_segmentation(margin_segments(found_margins), folder / MARGINS_FILE, grid=ct.grid)


def _print_report(folder: Path, on_progress: ProgressCallback) -> list[str]:
    return print_report(folder / REPORT_FILE, folder / PDF_FILE, partial(on_progress, WRITING[2]))


def write_measures(
    ct: CTVolume,
    report: LesionReport,
    folder: Path,
    *,
    lungs: tuple[Volume, Volume] | None = None,
    segments: Sequence[Segment] = (),
    run: Mapping[str, Any] = NO_RUN,
    automatic: bool = False,
    extras: Extras = NOTHING_MORE,
    output: Output | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> dict[str, Any]:
    """Write lesions.csv, summary.json and ``extras`` for the measures of an existing segmentation.

    Args:
        ct: The CT that was measured.
        report: The measures.
        folder: The output folder.
        lungs: Boolean masks of the left and the right lung on the grid of the CT. They are drawn in the report and
            limit the margins; without them, the margins are not limited.
        segments: The segments that were measured; the formats of ``extras`` need them.
        run: The summary of the run that made the segmentation, if known. Its description of the run stays in
            summary.json. The report quotes the card of its model if the model is installed.
        automatic: Whether no person changed the segmentation after that run; DICOM results state it.
        extras: Optional files and names; if it names no case, the case of ``run`` stays.
        output: The output folder and the files that may be replaced. By default these are the files that LungTumorSeg
            wrote into ``folder``, except masks and maps, which stay.
        on_progress: Called while the report is printed and before the files appear; it may raise Cancelled.

    Returns:
        The content of summary.json.

    Raises:
        UnusableInput: If a file is in the way that may not be replaced.
        MachineLimit: If a file cannot be written; no file appears then.
    """
    output = output or Output(folder, RESULT, keep=LASTING_FILES)
    if extras.report:
        output = replace(output, keep=set(output.keep) - {PDF_FILE})  # the print of an earlier report
    case = run.get("case") if extras.case is None else extras.case
    left, right = lungs or (ct.with_array(np.zeros(ct.shape, bool)),) * 2
    found_margins = []
    if extras.margins_mm:  # a mask of a large CT takes a gigabyte
        within = ct.with_array((left.array | right.array) if lungs else np.ones(ct.shape, bool))
        found_margins = _margins(report, within, None, extras.margins_mm)
    summary = summary_of_measures(ct, report, lungs, found_margins=found_margins, run=run, case=case)
    with complete_or_nothing(output, on_progress) as private:
        write_lesions_csv(report, private / LESIONS_FILE, case)
        if extras.formats:
            shown = segments_of(segments, report, lungs)
            algorithm = algorithm_of(run, automatic=automatic) if extras.dicom else None
            summary["warnings"] += write_formats(
                shown, report.lesions, ct.grid, private, extras.formats, source=extras.dicom, algorithm=algorithm
            )
        heading = _heading_of_run(run, case, extras.patient, summary["warnings"]) if extras.report else None
        _write_report_and_margins(
            report, ct, (left, right), heading=heading, found_margins=found_margins, folder=private
        )
        if extras.pdf:
            summary["warnings"] += _print_report(private, on_progress)
        write_record(summary, private / SUMMARY_FILE, also=files_of_group(folder, RESULT) & set(output.keep))
        on_progress(WRITTEN)
    return summary


def _heading_of_run(run: Mapping[str, Any], case: str | None, patient: str | None, warnings: Sequence[str]) -> Heading:
    """Return what the summary of a run says about it, with the card of its model if the model is installed."""
    model = run.get("model")
    card = card_excerpt(model_folders()[model]) if model in model_folders() else None
    return Heading(case=case, patient=patient, model=model, model_card=card, warnings=warnings)


def _margins(report: LesionReport, lungs: Volume, body: Volume | None, distances_mm: Sequence[float]) -> list[Margin]:
    names = {lesion.number: lesion.segment for lesion in report.lesions}
    return list(margins(report.labels, lungs, body, sorted(set(distances_mm)), names)) if distances_mm else []
