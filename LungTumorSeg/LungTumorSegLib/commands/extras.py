"""What a command writes beside the tables, as its arguments say."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.volume import CTVolume
    from ..results.contents import Extras


def result_extras(options: argparse.Namespace) -> Extras:
    """Return what ``segment``, ``demo`` and ``batch`` write: the report unless there is no picture to show in it."""
    return extras_of(
        options, report=options.report if options.report is not None else options.pdf or not options.no_picture
    )


def extras_of(options: argparse.Namespace, *, report: bool) -> Extras:
    """Return the optional files that the arguments name, with or without a report.

    Raises:
        UnusableInput: If a value is out of range.
    """
    from ..results.contents import Extras

    formats = frozenset(options.formats or ())
    return Extras(report, options.patient, options.margins or (), options.case, formats, pdf=options.pdf)


def with_source(extras: Extras, ct: CTVolume, options: argparse.Namespace) -> Extras:
    """Return the extras with the slices of the CT, if DICOM results are wanted."""
    from ..results.exports import dicom_source

    return replace(extras, dicom=dicom_source(ct, extras.formats, deidentified=options.deidentified))
