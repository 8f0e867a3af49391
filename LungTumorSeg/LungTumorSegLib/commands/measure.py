"""The command ``measure``: measure an existing segmentation."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from ..core.events import Progress
from ..process.channel import Channel
from .arguments import CT_HELP, add_output, add_report_options, add_series, path_argument
from .command import Command
from .extras import extras_of, with_source
from .terminal_text import report_text

if TYPE_CHECKING:
    from ..results.contents import Extras
    from ..results.replaceable_files import Output


def run(options: argparse.Namespace, channel: Channel) -> None:
    """Measure the lesions of a segmentation and write the result."""
    from ..io.images import check_ct

    check_ct(options.input, phase=options.phase)  # Refuse a wrong file before slow packages are imported.
    channel.progress(Progress("packages", 0, 1))
    from ..results.measuring import measure_output

    extras = _checked_extras(options)
    output = measure_output(
        options.output, options.input, options.segmentation, options.run_summary, extras, overwrite=options.overwrite
    )
    _measure(options, extras, output, channel)


def _checked_extras(options: argparse.Namespace) -> Extras:
    """Return what to write in addition to table and summary.

    Raises:
        UnusableInput: If a format or the comparison of ``--tracking`` cannot be used.
    """
    from ..followup.tracking import check_tracking
    from ..results.contents import check_formats
    from ..results.measuring import formats_of

    extras = extras_of(options, report=options.report is not False)
    extras = replace(extras, formats=formats_of(extras.formats, options.output, options.segmentation))
    check_formats(extras.formats, options.input)
    check_tracking(options.tracking, extras.formats)
    return extras


def _measure(options: argparse.Namespace, extras: Extras, output: Output, channel: Channel) -> None:
    """Read CT and segmentation, measure the lesions, and write and report the result."""
    from ..followup.tracking import with_tracking
    from ..io.images import read_ct
    from ..io.segmentations import read_segmentation
    from ..lesions import find_lungs, measure, with_known
    from ..results.measuring import is_unchanged, run_of
    from ..results.reader import other_ct_doubts
    from ..results.writer import write_measures

    channel.progress(Progress("packages", 1, 1))
    channel.progress(Progress("reading", 0, 1))
    ct = read_ct(options.input, series=options.series, phase=options.phase)
    extras = with_source(extras, ct, options)
    channel.progress(Progress("reading", 1, 2))
    segments = with_tracking(read_segmentation(options.segmentation, ct), options.tracking)
    run, output = run_of(output, options.segmentation, options.run_summary, ct)
    doubts = other_ct_doubts(options.segmentation, ct)
    lungs = find_lungs(ct, segments, channel.progress)
    channel.progress(Progress("measuring", 0, 1))
    report = with_known(measure(ct, segments, lungs=lungs), run.get("lesions", []))
    report = replace(report, warnings=(*doubts, *report.warnings))
    channel.progress(Progress("writing", 0, 1))
    summary = write_measures(
        ct,
        report,
        options.output,
        lungs=lungs.pair,
        segments=segments,
        run=run,
        automatic=is_unchanged(options.segmentation),
        extras=extras,
        output=output,
        on_progress=channel.progress,
    )
    text = report_text(report, summary["warnings"], options.output)
    channel.result({"output": str(options.output.resolve()), "summary": summary}, text)


def _add_arguments(measure: argparse.ArgumentParser) -> None:
    measure.add_argument("input", metavar="CT", type=path_argument, help=CT_HELP)
    measure.add_argument(
        "segmentation", metavar="SEGMENTATION", type=path_argument, help="segmentation or label map of the CT"
    )
    add_output(measure)
    add_report_options(measure, "write report.html (default: yes)")
    add_series(measure)
    measure.add_argument(
        "--run-summary",
        metavar="JSON",
        type=path_argument,
        help="summary.json of the run that found the lesions; its model and confidence values are carried over",
    )
    measure.add_argument(
        "--tracking",
        metavar="JSON",
        type=path_argument,
        help="followup.json of compare with this segmentation as the later one; in DICOM results, a lesion that was "
        "matched keeps its tracking identifier",
    )


COMMAND = Command(
    "measure",
    run,
    "measure the lesions of an existing (corrected) segmentation",
    ("ct.nii.gz corrected.seg.nrrd -o measured --run-summary result/summary.json",),
    (_add_arguments,),
)
