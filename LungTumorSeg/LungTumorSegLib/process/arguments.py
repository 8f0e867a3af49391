"""Arguments that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path

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


def positive_number(text: str) -> int:
    """Return a whole number from 1 to ``MOST_THREADS``, a number of threads or of processes."""
    number = int(text)
    if not 1 <= number <= MOST_THREADS:
        raise argparse.ArgumentTypeError(f"must be from 1 to {MOST_THREADS}, not {number}")
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


def add_series(parser: argparse.ArgumentParser) -> None:
    """Add ``--series``."""
    parser.add_argument(
        "--series",
        metavar="UID",
        help="SeriesInstanceUID of the series to read if the folder contains several; UID#2 takes the second "
        "acquisition of that series (default: the only series)",
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
