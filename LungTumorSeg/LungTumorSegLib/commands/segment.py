"""The command ``segment``: find and measure the lung tumors of a CT."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import SeveralPhases, UnusableInput
from ..core.events import Progress
from ..core.texts import listed
from ..options import OPTION, OPTIONS
from ..process.channel import Channel
from .arguments import add_input, add_passed_on, add_places, add_segment_options, add_series
from .command import Command
from .extras import result_extras, with_source
from .terminal_text import report_text

if TYPE_CHECKING:
    from ..core.volume import CTVolume
    from ..lesions import LesionReport


PLACES = ("point", "box", "also", "but_not")
"""Options that restrict a run to places that the user gives."""

SEARCH = ("backend", "stride", "thresholds", "min_lesion_ml", "mirror", "verify")
"""Options that concern the search of the lungs only."""


def run(options: argparse.Namespace, channel: Channel) -> None:
    """Segment a CT and write the result; of a 4D CT, each phase."""
    from ..io.images import read_ct
    from ..results.contents import COHORT
    from ..results.folder import files_of_group

    if any(getattr(options, name) for name in PLACES):  # They need only the second network, which torch computes.
        _check_no_search(options)
    else:
        check_backend(options)
    may_be_4d = bool(files_of_group(options.output, COHORT))  # An earlier run found phases there.
    if not may_be_4d:
        check_result_output(options, options.input)
    channel.progress(Progress("reading", 0, 1))
    try:
        ct = read_ct(options.input, series=options.series, phase=options.phase)
    except SeveralPhases as found:
        if not options.phases or any(getattr(options, name) for name in PLACES):
            raise
        from ..cohort.batch import segment_phases

        segment_phases(options, found.phases, channel)
        return
    if may_be_4d:
        check_result_output(options, options.input)
    channel.progress(Progress("reading", 1, 1))
    _, data, text = segment_and_write(ct, options, channel, source=options.input)
    channel.result(data, text)


def segment_and_write(
    ct: CTVolume, options: argparse.Namespace, channel: Channel, *, source: Path | None = None
) -> tuple[LesionReport, dict[str, Any], str]:
    """Segment a CT and write the result; return the lesions, the data for programs and the text for people."""
    from ..pipeline import outline, segment
    from ..results.contents import BYTES_PER_VOXEL
    from ..results.map_files import MapFiles
    from ..results.writable import check_room
    from ..results.writer import write_result

    extras = with_source(result_extras(options), ct, options)
    check_room(options.output, int(BYTES_PER_VOXEL * ct.array.size))
    choices = {option.name: getattr(options, option.name) for option in OPTIONS}
    places = {name: getattr(options, name, None) or () for name in PLACES}
    files = {"picture": not options.no_picture, "surfaces": options.surfaces, "overwrite": options.overwrite}
    with MapFiles() as maps:
        if any(places.values()):
            result = outline(ct, **places, options=choices, on_progress=channel.progress)
        else:
            result = segment(ct, choices, channel.progress, on_maps=maps.begin)
        summary = write_result(
            result, options.output, **files, source=source, maps=maps, extras=extras, on_progress=channel.progress
        )
    text = report_text(result.report, summary["warnings"], options.output)
    return result.report, {"output": str(options.output.resolve()), "summary": summary}, text


def _check_no_search(options: argparse.Namespace) -> None:
    """Check that no option of the search is given beside a place, where it would have no effect.

    Raises:
        UnusableInput: One is given.
    """
    given = [OPTION[name].flag for name in SEARCH if getattr(options, name) is not None]
    if given:
        raise UnusableInput(
            f"Only a search of the lungs uses {listed(given)}, and a point or box replaces the search; omit one of "
            "them."
        )


def check_backend(options: argparse.Namespace) -> None:
    """Check before the work begins that the library for the network is installed."""
    from ..inference.backend import choose_backend

    choose_backend(options.backend or OPTION["backend"].default)


def check_result_output(options: argparse.Namespace, source: Path | None = None) -> None:
    """Check the output of ``segment`` and ``demo`` before the work begins."""
    from ..results.contents import RESULT, check_formats, result_files
    from ..results.folder import check_output
    from ..results.replaceable_files import Output, may_be_resampled

    check_formats(options.formats or (), source)
    resampled = source is not None and may_be_resampled(source)
    files = {"picture": not options.no_picture, "surfaces": options.surfaces, "resampled": resampled}
    output = Output(options.output, RESULT, () if source is None else (source,), options.overwrite)
    check_output(output, result_files(result_extras(options), **files))


def _add_own_options(segment: argparse.ArgumentParser) -> None:
    add_series(segment, "every phase; with --point or --box, a 4D CT is refused")
    add_passed_on(segment, add_segment_options)
    segment.set_defaults(workers=None, scheduler=None)
    segment.add_argument(
        "--no-phases",
        dest="phases",
        action="store_false",
        help="refuse a 4D CT (default: segment each phase, into folders of its own)",
    )


COMMAND = Command(
    "segment",
    run,
    "find and measure the lung tumors of a CT",
    (
        "ct.nii.gz -o result",
        "dicom-folder -o result --margins 5 8 --case P007",
        "ct.nii.gz -o nodule --point 61.5 -12 -310 --but-not 70 -12 -310",
        "4d-ct.nii.gz -o phases",
    ),
    (add_input, _add_own_options, add_places),
)
