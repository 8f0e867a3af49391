"""Where the measures of a segmentation go, and which run made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.errors import UnusableInput
from ..core.volume import CTVolume
from .folder import Output, check_output, files_of_group
from .reader import RESULT, SEGMENTATION_FILE, SUMMARY_FILE, is_found_by_run, read_summary, run_in
from .writer import LASTING_FILES, Extras, measure_files


def measure_output(
    folder: Path, ct: Path, segmentation: Path, run_summary: Path | None, extras: Extras, *, overwrite: bool = False
) -> Output:
    """Check the output of ``measure`` before the work begins.

    Args:
        folder: The output folder; it may hold the run's result.
        ct: The CT to be read.
        segmentation: The segmentation to be measured.
        run_summary: The summary.json of its run, if given. It may be the one in ``folder``: what it says of the run stays in the new one.
        extras: What is written beside table and summary.
        overwrite: Allow files to be replaced that LungTumorSeg did not write, or that were changed since.

    Returns:
        The output, with all other files of the folder kept.

    Raises:
        UnusableInput: If the output cannot be used.
        MachineLimit: If the disk is full, or another run holds the folder.
    """
    segmentation = segmentation_file(segmentation)
    own_summary = folder / SUMMARY_FILE
    is_own = (
        run_summary is not None and run_summary.exists() and own_summary.exists() and run_summary.samefile(own_summary)
    )
    inputs = [ct, segmentation] if run_summary is None or is_own else [ct, segmentation, run_summary]
    output = Output(folder, RESULT, inputs, overwrite, files_of_group(folder, RESULT))
    check_output(output, measure_files(extras))
    return output


def segmentation_file(path: Path) -> Path:
    """Return the file of a result folder's segmentation; any other path as it is."""
    own = path / SEGMENTATION_FILE
    return own if own.is_file() else path


def run_of(
    output: Output, segmentation: Path, run_summary: Path | None, ct: CTVolume
) -> tuple[Mapping[str, Any], Output]:
    """Find the run that made a segmentation.

    Args:
        output: As ``measure_output`` gives it.
        segmentation: The segmentation that is measured.
        run_summary: The summary.json of its run; None looks into the output folder.
        ct: The CT that is measured.

    Returns:
        The run's summary, empty where it is not known; and the output with the files to be kept. What was derived from the segmentation
        before it was corrected is not kept.

    Raises:
        UnusableInput: If the output folder holds the result of another CT.
    """
    segmentation = segmentation_file(segmentation)
    earlier = run_in(output.folder, segmentation, ct)
    if earlier is None and not output.overwrite:
        raise UnusableInput(
            f"{output.folder} holds the result of another CT; choose another output folder, or replace it with --overwrite."
        )
    run = read_summary(run_summary) if run_summary else earlier or {}
    if not earlier:
        keep = frozenset[str]()
    elif is_found_by_run(output.folder, segmentation):
        keep = frozenset(files_of_group(output.folder, RESULT))
    else:
        keep = LASTING_FILES
    output = replace(output, keep=keep)
    check_output(output)
    return run, output
