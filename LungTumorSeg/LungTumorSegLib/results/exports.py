"""Write a result in the formats of other programs: DICOM, NIfTI, and .seg.nrrd for what ``measure`` has read."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import __version__
from ..core import terminology
from ..core.colors import LUNG_COLOR, lesion_color
from ..core.crops import crop_of
from ..core.selection import is_lesion
from ..core.volume import CTVolume, Grid, Volume
from ..io.label_names import write_label_map
from ..io.seg_nrrd import write_segmentation
from ..io.segment import Segment
from ..lesions import Lesion, LesionReport
from ..options import DICOM, NIFTI, SEG_NRRD, SURFACES
from .contents import DICOM_SEG_FILE, DICOM_SR_FILE, NIFTI_FILE, RTSTRUCT_FILE, SEGMENTATION_FILE

if TYPE_CHECKING:
    from ..io.dicom_seg_writer import Algorithm
    from ..io.dicom_source import DicomSource


def dicom_source(ct: CTVolume, formats: Collection[str], *, deidentified: bool) -> DicomSource | None:
    """Return what DICOM results need to know about the slices of a CT; None if no DICOM results are wanted.

    Raises:
        UnusableInput: If the slices do not state it.
        ImportError: If a package that writes DICOM is missing.
    """
    if DICOM not in formats:
        return None
    from ..io import dicom_seg_writer  # noqa: F401 (a missing package is reported before the work begins)
    from ..io.dicom_source import read_source

    return read_source(ct, deidentified=deidentified)


def write_formats(
    segments: Sequence[Segment],
    lesions: Sequence[Lesion],
    grid: Grid,
    folder: Path,
    formats: Collection[str],
    *,
    source: DicomSource | None,
    algorithm: Algorithm | None,
) -> list[str]:
    """Write segments in the formats.

    Args:
        segments: The lungs and then the lesions, as ``segments_of`` returns them.
        lesions: The measures of the lesions, in the same order.
        grid: The grid of the CT.
        folder: The folder for the files.
        formats: The formats.
        source: The slices of the CT; DICOM needs them.
        algorithm: How the segments came about; DICOM states it.

    Returns:
        Warnings for the user.

    Raises:
        UnusableInput: If a mask does not lie on the grid.
        MachineLimit: If a file cannot be written.
    """
    found: list[str] = []
    if SEG_NRRD in formats:
        write_segmentation(segments, folder / SEGMENTATION_FILE, grid=grid)
    if NIFTI in formats:
        found += write_label_map(segments, grid, folder / NIFTI_FILE)
    for suffix in (each for each in SURFACES if each in formats):
        from .surfaces import write_surfaces  # imports vtk's rendering

        write_surfaces(segments, folder, suffix)
    if DICOM in formats and source is not None and algorithm is not None:
        found += _write_dicom(segments, lesions, grid, folder=folder, source=source, made_by=algorithm)
    return found


def _write_dicom(
    segments: Sequence[Segment],
    lesions: Sequence[Lesion],
    grid: Grid,
    *,
    folder: Path,
    source: DicomSource,
    made_by: Algorithm,
) -> list[str]:
    from ..io.dicom_seg_writer import write_dicom_seg  # importing highdicom takes a second
    from ..io.rtstruct_writer import write_rtstruct
    from .structured_report import write_structured_report

    if not any(crop_of(segment.mask) for segment in segments):
        return ["There is neither a lesion nor a lung, so no DICOM results were written."]
    segmentation = write_dicom_seg(segments, grid, source, made_by, folder / DICOM_SEG_FILE)
    write_structured_report(
        lesions, segments, segmentation, source=source, made_by=made_by, path=folder / DICOM_SR_FILE
    )
    write_rtstruct(segments, grid, source, folder / RTSTRUCT_FILE)
    return list(source.warnings)


def algorithm_of(run: Mapping[str, Any], *, automatic: bool) -> Algorithm:
    """Return how the segments came about.

    Args:
        run: The summary of the run that found them; empty if it is unknown.
        automatic: Whether no person changed them since.
    """
    from ..io.dicom_seg_writer import Algorithm  # importing highdicom takes a second

    model = run.get("model")
    version = str(run.get("segmented_with", run.get("software_version", __version__)))
    if not model:
        return Algorithm("LungTumorSeg measure, segments read from a file", __version__, automatic=False)
    return Algorithm(f"LungTumorSeg, model {model}", version, automatic)


def segments_of(read: Sequence[Segment], report: LesionReport, lungs: tuple[Volume, Volume] | None) -> list[Segment]:
    """Return the lungs and the measured lesions of a segmentation, as ``segment`` would write them.

    Args:
        read: The segments that were measured.
        report: Their measures.
        lungs: Left and right lung on the grid of the CT; None if unknown.

    Returns:
        The segments Left lung and Right lung, if known, without the voxels of lesions; and one segment per lesion, in
        the order of the report, with its name, id and tracking identifier.
    """
    masks = [(segment, crop_of(segment.mask)) for segment in read if is_lesion(segment)]
    counted = [(segment, np.count_nonzero(crop.mask.array)) for segment, crop in masks if crop is not None]
    counted.sort(key=lambda pair: -pair[1])  # the order of the report
    found = []
    if lungs is not None:
        rest = report.labels.array == 0
        for side, mask in zip(("Left", "Right"), lungs, strict=True):
            entry = terminology.LEFT_LUNG if side == "Left" else terminology.RIGHT_LUNG
            found.append(Segment(f"{side} lung", mask.with_array(mask.array & rest), LUNG_COLOR, entry))
    taken = {each.id for each in found}
    for lesion, (segment, _) in zip(report.lesions, counted, strict=True):
        id_ = segment.id if segment.id not in taken else f"{segment.id}_{lesion.number}"
        entry = _lesion_entry(segment.terminology, lesion.side)
        found.append(replace(segment, color=lesion_color(lesion.number), terminology=entry, id=id_, warnings=()))
        taken.add(id_)
    return found


def _lesion_entry(entry: str, side: str | None) -> str:
    """Return the terminology of a lesion: its own if it is that of a lesion and has codes."""
    is_own = terminology.category_of(entry) == terminology.MORPHOLOGICALLY_ALTERED
    return entry if is_own and terminology.meaning_of(entry).is_complete else terminology.TUMOR[side]
