"""Which files a result holds; this module imports no numerical library, so that a run can be refused at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import UnusableInput
from ..options import DICOM, NIFTI, SEG_NRRD, SURFACES
from .replaceable_files import may_be_resampled

if TYPE_CHECKING:
    from ..io.dicom_source import DicomSource

RESULT, ISOLATION, COHORT = "result", "isolation", "cohort"
"""Groups of the files of ``segment`` and ``measure``, of ``isolate``, and of ``batch`` and a 4D CT."""

SEGMENTATION_FILE = "segmentation.seg.nrrd"
SUMMARY_FILE = "summary.json"
PROBABILITY_FILE = "probability.nrrd"
PICTURE_FILE = "spread.png"
REPORT_FILE = "report.html"
PDF_FILE = "report.pdf"
CT_FILE = "ct.nrrd"
"""The CT on a regular grid; written if the input was not on one."""

ISOLATION_FILE = "isolation.json"
ISOLATION_SEGMENTATION_FILE, ISOLATED_FILE = "isolation.seg.nrrd", "isolated.nrrd"
MARGINS_FILE = "margins.seg.nrrd"
DISAGREEMENT_FILE = "disagreement.nrrd"
LESIONS_FILE = "lesions.csv"

FILES_KEY = "files"
"""Key in the record of a run (summary.json, isolation.json ...) that lists all files of the run."""

MAP_FILES = (PROBABILITY_FILE, DISAGREEMENT_FILE, ISOLATED_FILE)
"""Images of a result that are neither a CT as it was read nor a segmentation."""

MOST_MARGIN_MM = 50.0
"""Largest margin in mm; the widest margin in use for a lung tumor is a surgeon's 20 mm."""

BYTES_PER_VOXEL, BYTES_PER_ISOLATED_VOXEL = 0.1, 0.4
"""Smallest size of the compressed files of ``segment`` and of ``isolate``, in bytes per voxel of the CT."""

DICOM_SEG_FILE, DICOM_SR_FILE, RTSTRUCT_FILE = "segmentation.dcm", "measurements.dcm", "rtstruct.dcm"
NIFTI_FILE, NAMES_FILE = "segmentation.nii.gz", "segmentation.json"

FILES: Mapping[str, tuple[str, ...]] = {
    SEG_NRRD: (SEGMENTATION_FILE,),
    NIFTI: (NIFTI_FILE, NAMES_FILE),
    DICOM: (DICOM_SEG_FILE, DICOM_SR_FILE, RTSTRUCT_FILE),
    **{suffix: (f"*.{suffix}",) for suffix in SURFACES},
}
"""The files of each format, or patterns of their names."""


def files_of(formats: Collection[str]) -> set[str]:
    """Return the names of the files of these formats."""
    return {name for each in formats for name in FILES[each]}


def check_formats(formats: Collection[str], source: Path | None) -> None:
    """Check before the work begins that a CT can be written in these formats.

    Args:
        formats: The formats.
        source: The CT; None for a synthetic CT.

    Raises:
        UnusableInput: If DICOM results are wanted, but the CT is not DICOM.
    """
    if DICOM not in formats or (source is not None and (not source.exists() or may_be_resampled(source))):
        return
    from ..io.dicom_source import not_dicom  # imports pydicom, so only if needed

    raise UnusableInput(not_dicom("The synthetic CT" if source is None else str(source)))


def check_printable(*, report: bool, pdf: bool) -> None:
    """Check that there is a report if it is to be printed.

    Raises:
        UnusableInput: If not.
    """
    if pdf and not report:
        raise UnusableInput("--pdf prints the report; omit --no-report or --pdf.")


def report_files(*, report: bool, pdf: bool) -> set[str]:
    """Return the names of the report and of its print."""
    return ({REPORT_FILE} if report else set()) | ({PDF_FILE} if pdf else set())


@dataclass(frozen=True)
class Extras:
    """Optional files and names of a result.

    Attributes:
        report: Whether to write report.html.
        patient: Text about the patient in the heading of report.html.
        margins_mm: Distances in mm around each lesion, in any order; margins.seg.nrrd is written if there are any.
        case: Name of the case in lesions.csv, summary.json and report.html.
        formats: Further formats of the segmentation, of ``FORMATS``.
        dicom: The slices of the CT, which the format DICOM needs.
        pdf: Whether to print the report to report.pdf.

    Raises:
        UnusableInput: If a margin is not above 0 and at most ``MOST_MARGIN_MM``, or if there is no report to print.
    """

    report: bool = False
    patient: str | None = None
    margins_mm: Sequence[float] = ()
    case: str | None = None
    formats: Collection[str] = ()
    dicom: DicomSource | None = None
    pdf: bool = False

    def __post_init__(self) -> None:
        if not all(0 < distance <= MOST_MARGIN_MM for distance in self.margins_mm):
            raise UnusableInput(f"Margins must be above 0 and at most {MOST_MARGIN_MM:.0f} mm.")
        check_printable(report=self.report, pdf=self.pdf)

    @property
    def files(self) -> set[str]:
        """Return the names of the optional files to write."""
        names = report_files(report=self.report, pdf=self.pdf) | ({MARGINS_FILE} if self.margins_mm else set())
        return names | files_of(self.formats)


def result_files(extras: Extras, *, picture: bool, surfaces: bool, resampled: bool) -> set[str]:
    """Return the names, or patterns of names, of all files that ``write_result`` may write with these choices."""
    names = {SEGMENTATION_FILE, LESIONS_FILE, SUMMARY_FILE, PROBABILITY_FILE, DISAGREEMENT_FILE, *extras.files}
    return names | ({PICTURE_FILE} if picture else set()) | ({"*.vtp"} if surfaces else set()) | _ct_file(resampled)


def measure_files(extras: Extras) -> set[str]:
    """Return the names of all files that ``write_measures`` may write with these choices."""
    return {LESIONS_FILE, SUMMARY_FILE, *extras.files}


def isolation_files(*, resampled: bool) -> set[str]:
    """Return the names of all files that ``write_isolation`` may write."""
    return {ISOLATION_SEGMENTATION_FILE, ISOLATED_FILE, ISOLATION_FILE} | _ct_file(resampled)


def _ct_file(resampled: bool) -> set[str]:
    return {CT_FILE} if resampled else set()
