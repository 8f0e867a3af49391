"""Arguments that several commands share, and those of a run."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..core.errors import MachineLimit
from ..core.texts import quoted
from ..options import FORMATS, OPTIONS

CT_HELP = "a DICOM folder, or a NIfTI, NRRD or MetaImage file"
"""What a command reads as a CT."""

MOST_THREADS = 4096
"""Largest number of threads or processes that a command accepts."""


def text_argument(text: str) -> str:
    """Return a text; refuse one that is not valid in the encoding of the terminal, since no file could hold it."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError("the text is not valid UTF-8") from error
    return text


def path_argument(text: str) -> Path:
    """Return a path; refuse an empty one, which would mean the current folder (often an unset shell variable)."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty; '.' is the current folder")
    return Path(text)


def _whole_number(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"must be a whole number, not {quoted(text)}") from error


def positive_number(text: str) -> int:
    """Return a whole number from 1 to ``MOST_THREADS``, a number of threads or of processes."""
    number = _whole_number(text)
    if not 1 <= number <= MOST_THREADS:
        raise argparse.ArgumentTypeError(f"must be from 1 to {MOST_THREADS}, not {number}")
    return number


def _phase(text: str) -> int:
    number = _whole_number(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, not {number}")
    return number


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Add ``--overwrite``."""
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="also replace files that LungTumorSeg did not write, or that were changed after it wrote them",
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add ``--output`` and ``--overwrite``."""
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=path_argument, required=True, help="folder for the results"
    )
    add_overwrite(parser)


def add_series(parser: argparse.ArgumentParser, default_phase: str = "a 4D CT is refused") -> None:
    """Add ``--series`` and ``--phase``; ``default_phase`` says what happens to a 4D CT without ``--phase``."""
    parser.add_argument(
        "--series",
        metavar="UID",
        help="SeriesInstanceUID of the series to read if the folder contains several; UID#2 takes the second "
        "acquisition of that series (default: the only series)",
    )
    parser.add_argument(
        "--phase",
        metavar="N",
        type=_phase,
        help=f"phase of a 4D CT to read, counted from 0 (default: {default_phase})",
    )


def add_case(parser: argparse.ArgumentParser, files: str) -> None:
    """Add ``--case``, the name of the case that ``files`` contain."""
    parser.add_argument("--case", metavar="ID", type=text_argument, help=f"case name to store in {files}")


def add_patient(parser: argparse.ArgumentParser) -> None:
    """Add ``--patient``."""
    parser.add_argument(
        "--patient",
        metavar="TEXT",
        type=text_argument,
        help="one line about the patient for report.html and report.pdf; no other file contains it (default: none)",
    )


def add_pdf(parser: argparse.ArgumentParser) -> None:
    """Add ``--pdf``."""
    parser.add_argument(
        "--pdf",
        action="store_true",
        help="also print the report to report.pdf; needs Chromium, Chrome or Edge (default: no)",
    )


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add what every command takes: how much it prints, and its threads."""
    how_much = parser.add_mutually_exclusive_group()
    how_much.add_argument("--quiet", action="store_true", help="print errors only")
    how_much.add_argument(
        "--verbose", action="store_true", help="also print log messages of libraries, and the traceback of an error"
    )
    parser.add_argument(
        "--threads",
        metavar="N",
        type=positive_number,
        help="maximum number of processor threads (default: all)",
    )


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Add ``--seed``."""
    parser.add_argument(
        "--seed", metavar="N", type=int, default=0, help="random seed of the synthetic CT, 0 or more (default: 0)"
    )


def add_input(parser: argparse.ArgumentParser) -> None:
    """Add the CT and the output folder."""
    parser.add_argument("input", metavar="INPUT", type=path_argument, help=CT_HELP)
    add_output(parser)


def add_report_options(parser: argparse.ArgumentParser, report: str, *, of_one_ct: bool = True) -> None:
    """Add the options on what is written beside the tables; ``report`` is the help of ``--report``."""
    parser.add_argument("--report", action=argparse.BooleanOptionalAction, help=report)
    add_pdf(parser)
    if of_one_ct:
        add_case(parser, "lesions.csv, summary.json and report.html")
        add_patient(parser)
    parser.add_argument(
        "--margins",
        metavar="MM ...",
        action="append",
        type=float,
        help="also write margins.seg.nrrd with margins at these distances in mm, for example 5 8 20 (default: none)",
    )
    parser.add_argument(
        "--format",
        metavar="FORMAT ...",
        dest="formats",
        action="append",
        choices=FORMATS,
        help=f"also write the segmentation in these formats: {', '.join(FORMATS)}; dicom needs a DICOM CT and contains "
        "the patient's name (default: none; segment always writes seg.nrrd)",
    )
    parser.add_argument(
        "--deidentified",
        action="store_true",
        help="write nothing about patient and study into DICOM files, except UIDs",
    )


def add_places(command: argparse.ArgumentParser) -> None:
    """Add the options that restrict a run to places that the user gives."""
    for flag, corners, help_text in (
        ("--point", ("X", "Y", "Z"), "outline only the lesion at this point, LPS mm"),
        (
            "--box",
            ("X0", "Y0", "Z0", "X1", "Y1", "Z1"),
            "outline only the lesion in the box between two corners, LPS mm",
        ),
        ("--also", ("X", "Y", "Z"), "extend the outline of the only point or box to this point, LPS mm"),
        ("--but-not", ("X", "Y", "Z"), "cut off what is nearer to this point than to those of the lesion, LPS mm"),
    ):
        corrects = flag in ("--also", "--but-not")
        command.add_argument(
            flag,
            action="append",
            type=float,
            nargs=len(corners),
            metavar=corners,
            help=f"{help_text}; may be given several times (default: {'none' if corrects else 'search the lungs'})",
        )


def add_segment_options(parser: argparse.ArgumentParser, *, of_one_ct: bool = True) -> None:
    """Add the options of a run and of its results."""
    usual = usual_values()
    for option in OPTIONS:
        option.add_to(parser, usual[option.name])
    parser.add_argument("--no-picture", action="store_true", help="do not write spread.png (default: it is written)")
    add_report_options(parser, "write report.html (default: yes, unless --no-picture is given)", of_one_ct=of_one_ct)
    parser.add_argument(
        "--surfaces", action="store_true", help="also write the surface of each segment (.vtp, LPS, mm) (default: no)"
    )
    parser.add_argument(
        "--events",
        choices=("jsonl",),
        help="write progress and result as JSON lines to stdout; the line 'cancel' on stdin cancels the run",
    )
    parser.add_argument(
        "--cancel-on-eof",
        action="store_true",
        help="with --events, also cancel the run when stdin closes (for use by a parent process)",
    )


def add_passed_on(parser: argparse.ArgumentParser, add: Callable[[argparse.ArgumentParser], None]) -> None:
    """Add the arguments that ``add`` adds, and list them as ``passed_on``: a batch gives them to each of its runs."""
    before = len(parser._actions)
    add(parser)
    parser.set_defaults(passed_on=parser._actions[before:])


def usual_values() -> dict[str, Any]:
    """Return the values that the help states as defaults.

    Even with a damaged installation, the help must work.
    """
    from ..weights.manifest import shipped_values

    try:
        return shipped_values()
    except MachineLimit:
        return {option.name: option.default or "the model's" for option in OPTIONS}
