"""The command ``compare``: compare two examinations of one patient."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from .. import NOTICE
from ..core.dates import date_of
from ..core.errors import UnusableInput
from ..core.events import Progress
from ..core.texts import shown_last
from ..process.channel import Channel
from .arguments import add_case, add_output, add_patient, add_pdf, path_argument
from .command import Command
from .terminal_text import warning_lines

if TYPE_CHECKING:
    from ..followup import FollowUp


def run(options: argparse.Namespace, channel: Channel) -> None:
    """Compare the last two examinations, and write the comparison."""
    from ..io.regular_files import existing_mode
    from ..results.contents import check_printable

    results = [*options.before, options.earlier, options.later]
    cts = [*(None for _ in options.before), options.earlier_ct, options.later_ct]
    inputs = [path for path in (*results, *cts) if path]
    for path in inputs:
        existing_mode(path)  # Refuse a missing file before slow packages are imported.
    check_printable(report=options.report, pdf=options.pdf)
    from ..followup.comparison import compare_all
    from ..followup.examination import read_examination
    from ..followup.files import FOLLOW_UP, follow_up_files, write_follow_up
    from ..results.folder import check_output
    from ..results.replaceable_files import Output

    wanted = {"report": options.report, "outlines": options.outlines, "pdf": options.pdf}
    check_output(Output(options.output, FOLLOW_UP, inputs, options.overwrite), follow_up_files(**wanted))
    days = _checked_dates(options.dates, len(results))
    examinations = []
    for number, (result, ct, day) in enumerate(zip(results, cts, days, strict=True)):
        channel.progress(Progress("reading", number, len(results)))
        examinations.append(read_examination(result, ct, day=day, on_progress=channel.progress))
    found = compare_all(
        examinations,
        days=options.days,
        links=options.link,
        unlinks=options.unlink,
        links_from=options.links,
        on_progress=channel.progress,
    )
    names = {"case": options.case, "patient": options.patient}
    data = write_follow_up(
        found, options.output, **wanted, **names, overwrite=options.overwrite, on_progress=channel.progress
    )
    channel.result(
        {"output": str(options.output.resolve()), "followup": data}, _text(found, data["warnings"], options.output)
    )


def _checked_dates(dates: Sequence[date], count: int) -> Sequence[date | None]:
    """Return one date per examination, or None for each if no dates are given."""
    if not dates:
        return [None] * count
    if len(dates) != count:
        raise UnusableInput(f"--dates must name one date per examination ({count}), but names {len(dates)}.")
    if list(dates) != sorted(set(dates)):
        raise UnusableInput("--dates must name the earlier date first; they are equal or in another order.")
    return dates


def _text(found: FollowUp, warnings: Sequence[str], output: Path) -> str:
    """Return the text for the terminal: warnings, one line per lesion, the response, and the output folder."""
    from ..followup.growth import days_in_words

    lines = warning_lines(warnings)
    for track in found.tracks:
        names = [" + ".join(lesion.name for lesion in visit) for visit in (track.earlier, track.later)]
        change = ""
        if track.later and track.change_percent is not None:
            change = f", {track.change_percent:+.0f} % in volume"
        doubling = track.doubling_time(found.days)
        if doubling and track.size_status == "grown":
            change += f", doubling time {days_in_words(doubling.days)} days"
        lines.append(f"{track.id}: {track.shown_status} ({names[0] or '-'} to {names[1] or '-'}){change}")
    lines.append(f"RECIST 1.1: {found.response.category}. {' '.join(found.response.rules)}")
    return "\n".join([*lines, f"Results written to {shown_last(output)}. {NOTICE}"])


def _date(text: str) -> date:
    day = date_of(text)
    if day is None:
        raise argparse.ArgumentTypeError(f"must be a date such as 2026-01-31, not {text!r}")
    return day


def _pair(text: str) -> tuple[str, str]:
    earlier, sign, later = text.partition("=")
    if not sign or not earlier.strip() or not later.strip():
        raise argparse.ArgumentTypeError(f"must be two segment names such as 'Tumor 1=Tumor 2', not {text!r}")
    return earlier.strip(), later.strip()


def _add_examinations(parser: argparse.ArgumentParser) -> None:
    about = "result folder of segment, or a segmentation or label map"
    parser.add_argument("earlier", metavar="EARLIER", type=path_argument, help=f"earlier examination: {about}")
    parser.add_argument("later", metavar="LATER", type=path_argument, help=f"later examination: {about}")
    for when in ("earlier", "later"):
        parser.add_argument(
            f"--{when}-ct",
            metavar="CT",
            type=path_argument,
            help=f"CT of the {when} examination: a DICOM folder or an image file (default: ct.nrrd in its result "
            "folder, if there is one; otherwise the lungs are registered by their surfaces only)",
        )
    parser.add_argument(
        "--earlier",
        dest="before",
        metavar="RESULT",
        action="append",
        default=[],
        type=path_argument,
        help="examination before EARLIER; may be repeated, oldest first. The oldest one is the baseline of RECIST",
    )


def _add_dates(parser: argparse.ArgumentParser) -> None:
    interval = parser.add_mutually_exclusive_group()
    interval.add_argument(
        "--dates",
        metavar="DATE",
        action="append",
        default=[],
        type=_date,
        help="dates of all examinations, oldest first, YYYY-MM-DD (default: those of DICOM CTs)",
    )
    interval.add_argument("--days", metavar="N", type=float, help="days between EARLIER and LATER, instead of --dates")


def _add_links(parser: argparse.ArgumentParser) -> None:
    for name, meaning in (("link", "are"), ("unlink", "are not")):
        parser.add_argument(
            f"--{name}",
            metavar="EARLIER=LATER",
            action="append",
            default=[],
            type=_pair,
            help=f"the earlier and the later segment of these names {meaning} the same lesion; may be repeated",
        )
    parser.add_argument(
        "--links",
        metavar="JSON",
        action="append",
        default=[],
        type=path_argument,
        help="followup.json of an earlier comparison of these two results; what was linked and unlinked there is kept, "
        "unless --link or --unlink says otherwise. With --earlier, it may be repeated, oldest first: the last one is "
        "that of EARLIER and LATER, the one before it that of the two before",
    )


def _add_files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--report", action=argparse.BooleanOptionalAction, default=True, help="write report.html (default: yes)"
    )
    add_pdf(parser)
    parser.add_argument(
        "--outlines",
        action="store_true",
        help="also write earlier-lesions.seg.nrrd: the earlier lesions where they would lie in the later CT (default: "
        "no)",
    )
    add_case(parser, "all files")
    add_patient(parser)


COMMAND = Command(
    "compare",
    run,
    "compare two examinations of one patient: which lesions have grown",
    (
        "result-january result-april -o followup --dates 2026-01-12 2026-04-20",
        "january.seg.nrrd april.seg.nrrd --earlier-ct january.nii.gz --later-ct april-dicom -o followup --days 98",
    ),
    (_add_examinations, _add_dates, _add_links, _add_files, add_output),
)
