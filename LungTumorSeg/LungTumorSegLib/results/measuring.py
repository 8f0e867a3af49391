"""Prepare the output folder of ``measure``, and find the run that made the segmentation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.errors import UnusableInput
from ..core.volume import CTVolume
from ..io.segmentations import segmentation_file
from ..options import SEG_NRRD
from .contents import RESULT, SEGMENTATION_FILE, SUMMARY_FILE, Extras, measure_files
from .folder import check_output, files_of_group
from .reader import is_found_by_run, is_of_ct, read_summary, run_in
from .replaceable_files import Output
from .writable import check_output_folder
from .writer import LASTING_FILES


def measure_output(
    folder: Path, ct: Path, segmentation: Path, run_summary: Path | None, extras: Extras, *, overwrite: bool = False
) -> Output:
    """Check the output of ``measure`` before the work begins.

    Args:
        folder: The output folder; it may hold the result of the run.
        ct: The CT to read.
        segmentation: The segmentation to measure.
        run_summary: The summary.json of the run that made the segmentation, if given. It may be the one in ``folder``;
            its information about the run is then copied to the new summary.
        extras: The files to write in addition to the table and the summary.
        overwrite: Whether files may be replaced that LungTumorSeg did not write, or that have changed since.

    Returns:
        The output, which keeps all other files of the folder.

    Raises:
        UnusableInput: If the output cannot be used.
        MachineLimit: If the disk is full, or another run holds the folder.
    """
    check_output_folder(folder)
    segmentation = segmentation_file(segmentation)
    own_summary = folder / SUMMARY_FILE
    is_own = (
        run_summary is not None and run_summary.exists() and own_summary.exists() and run_summary.samefile(own_summary)
    )
    inputs = [ct, segmentation] if run_summary is None or is_own else [ct, segmentation, run_summary]
    output = Output(folder, RESULT, inputs, overwrite, files_of_group(folder, RESULT))
    check_output(output, measure_files(extras))
    return output


def formats_of(formats: Collection[str], folder: Path, segmentation: Path) -> tuple[str, ...]:
    """Return the formats that ``measure`` has to write.

    The segmentation in the output folder is not written again if it is the one that is measured.
    """
    check_output_folder(folder)
    own = folder / SEGMENTATION_FILE
    is_own = own.exists() and segmentation.exists() and segmentation_file(segmentation).samefile(own)
    return tuple(each for each in dict.fromkeys(formats) if not (is_own and each == SEG_NRRD))


def is_unchanged(segmentation: Path) -> bool:
    """Return whether ``segment`` wrote a segmentation and no one changed it since."""
    file = segmentation_file(segmentation)
    return is_found_by_run(file.parent, file)


def run_of(
    output: Output, segmentation: Path, run_summary: Path | None, ct: CTVolume
) -> tuple[Mapping[str, Any], Output]:
    """Find the run that made a segmentation.

    Args:
        output: The return value of ``measure_output``.
        segmentation: The segmentation that is measured.
        run_summary: The summary.json of the run; None searches the output folder.
        ct: The CT that is measured.

    Returns:
        The summary of the run, empty if the run is unknown; and the output with the files to keep. Files that were
        derived from the segmentation before it was corrected are not kept.

    Raises:
        UnusableInput: If the output folder holds the result of another CT, or ``run_summary`` describes another CT.
    """
    segmentation = segmentation_file(segmentation)
    earlier = run_in(output.folder, segmentation, ct)
    if earlier is None and not output.overwrite:
        raise UnusableInput(
            f"{output.folder} contains the result of another CT; choose another output folder, or replace that result "
            "with --overwrite."
        )
    run = read_summary(run_summary, chosen=True) if run_summary else earlier or {}
    if run_summary and not is_of_ct(run, ct):
        raise UnusableInput(
            f"{run_summary} describes a run on another CT; give the CT of that run, or omit --run-summary."
        )
    if not earlier:
        keep = frozenset[str]()
    elif is_found_by_run(output.folder, segmentation):
        keep = frozenset(files_of_group(output.folder, RESULT))
    else:
        keep = LASTING_FILES
    output = replace(output, keep=keep)
    check_output(output)
    return run, output
