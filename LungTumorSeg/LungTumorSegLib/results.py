"""What a run writes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from . import NOTICE, terminology
from .colors import LUNG_COLOR, lesion_color
from .ct import CTVolume, Volume
from .errors import MachineLimit
from .events import Progress, ProgressCallback, ignore_progress
from .io import write_volume
from .isolation import LungIsolation
from .lesions import Lesion, LesionReport
from .lesions.table import lesions_as_json, spread_as_json, write_lesions_csv
from .pipeline import SegmentResult
from .rendering import LUNG_GRID_MM, render_spread
from .result_folder import FILES_KEY, complete_or_nothing, files_of_earlier_run
from .run_files import PROBABILITY_FILE, SEGMENTATION_FILE, SUMMARY_FILE
from .segmentation_file import Segment, write_segmentation
from .surfaces import surface_of, write_surface

SCHEMA_VERSION = 1
ISOLATION_FILE = "isolation.json"

TRACE = 0.002
"""Probability and disagreement below this are stored as 0."""

BODY_COLOR = (0.89, 0.76, 0.66)
MASK_COLOR = (0.96, 0.84, 0.35)


def write_segment_result(
    result: SegmentResult,
    folder: Path,
    *,
    picture: bool = True,
    surfaces: bool = False,
    source: Path | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> dict[str, Any]:
    """Writes segmentation.seg.nrrd, lesions.csv, summary.json, the two maps, ``spread.png`` if asked, ct.nrrd where the grid is new.

    ``surfaces``: also ``<segment id>.vtp`` for each segment, LPS mm, so that Slicer need not make them in its window's thread.
    Files of an earlier run that this one does not write again vanish, but never ``source``, the file that the CT was read from.
    Returns what summary.json says. ``on_progress`` may still cancel; files appear only after its last call.
    Raises MachineLimit if a file cannot be written; then none is.
    """
    isolation, report = result.isolation, result.report
    summary = summary_of(result)
    steps = 4
    with complete_or_nothing(folder, obsolete=files_of_earlier_run(folder / SUMMARY_FILE, keep=source)) as private:
        on_progress(Progress("writing", 0, steps))
        segments = lung_and_tumor_segments(isolation, report)
        write_segmentation(segments, private / SEGMENTATION_FILE)
        for segment in segments if surfaces else ():
            is_lung = segment.terminology in (terminology.LEFT_LUNG, terminology.RIGHT_LUNG)
            write_surface(surface_of(segment.mask, grid_mm=LUNG_GRID_MM if is_lung else None), private / f"{segment.id}.vtp")
        on_progress(Progress("writing", 1, steps))
        write_volume(_without_traces(result.probability), private / PROBABILITY_FILE)
        write_volume(_without_traces(result.disagreement), private / "disagreement.nrrd")
        on_progress(Progress("writing", 2, steps))
        if result.ct.resampled:
            write_volume(result.ct, private / "ct.nrrd")
        write_lesions_csv(report, private / "lesions.csv")
        if picture:
            summary["warnings"] += _draw_spread(isolation, report, private / "spread.png")
        on_progress(Progress("writing", 3, steps))
        _write_record(summary, private / SUMMARY_FILE)
        on_progress(Progress("writing", steps, steps))
    return summary


def _draw_spread(isolation: LungIsolation, report: LesionReport, path: Path) -> list[str]:
    """Draws the picture; where the machine cannot draw, gives the warning that says so, since the result is worth more than its picture."""
    try:
        render_spread(isolation.left_lung, isolation.right_lung, report.labels, path)
    except MachineLimit as error:
        return [f"There is no spread.png: {error}"]
    return []


def _without_traces(values: Volume) -> Volume:
    """The map with 0 where it says nothing: its file shrinks tenfold and is written as much faster."""
    return values.with_array(np.where(values.array < TRACE, np.float32(0), values.array))


def summary_of(result: SegmentResult) -> dict[str, Any]:
    """What summary.json holds: how the result was made and what it is, without a path or a patient's name."""
    lungs = {side: round(float(np.count_nonzero(lung.array)) * lung.voxel_volume_ml, 3)
             for side, lung in (("left_ml", result.isolation.left_lung), ("right_ml", result.isolation.right_lung))}
    return {
        "schema_version": SCHEMA_VERSION,
        "model": result.manifest.id,
        "weights_sha256": result.manifest.weights_sha256,
        "options": asdict(result.settings),
        "device": result.device,
        "precision": result.precision,
        "warnings": list(result.warnings),
        "message": result.report.message,
        "lungs": lungs,
        "lesions": lesions_as_json(result.report),
        "spread": spread_as_json(result.report),
        "seconds": result.seconds,
        "notice": NOTICE,
    }


def _write_record(data: dict[str, Any], path: Path, *, also: Iterable[str] = ()) -> None:
    """Writes ``data`` as indented UTF-8 JSON, and into it the names of all files beside it; the last file of a run."""
    data[FILES_KEY] = sorted({*(each.name for each in path.parent.iterdir()), path.name, *also})
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def lung_and_tumor_segments(isolation: LungIsolation, report: LesionReport) -> list[Segment]:
    """Left lung, Right lung, Tumor 1, Tumor 2 ...: a tumor voxel belongs to its tumor, not to the lung around it."""
    lungs = [
        _segment("Left lung", isolation.left_lung, LUNG_COLOR, terminology.LEFT_LUNG, report.labels),
        _segment("Right lung", isolation.right_lung, LUNG_COLOR, terminology.RIGHT_LUNG, report.labels),
    ]
    boxes = ndimage.find_objects(report.labels.array)
    tumors = [_tumor_segment(lesion, report.labels, boxes[lesion.number - 1]) for lesion in report.lesions]
    return lungs + tumors


def _tumor_segment(lesion: Lesion, labels: Volume, box: tuple[slice, slice, slice]) -> Segment:
    """The lesion's voxels in its bounding box: the file needs no more, and a volume of many lesions stays cheap."""
    start, stop = zip(*((part.start, part.stop) for part in box), strict=True)
    crop = labels.crop(start, stop)
    mask = crop.with_array(crop.array == lesion.number)
    return Segment(lesion.segment, mask, lesion_color(lesion.number), terminology.TUMOR[lesion.side])


def _segment(name: str, mask: Volume, color: tuple[float, float, float], code: str, tumors: Volume) -> Segment:
    return Segment(name, mask.with_array(mask.array & (tumors.array == 0)), color, code)


def write_measures(ct: CTVolume, report: LesionReport, folder: Path) -> dict[str, Any]:
    """Writes lesions.csv and summary.json for the measures of an existing segmentation; returns what summary.json says.

    Other files of an earlier run stay: the segmentation is likely to be among them. Raises MachineLimit if a file cannot be written.
    """
    summary = {
        "schema_version": SCHEMA_VERSION, "warnings": list(ct.warnings), "message": report.message,
        "lesions": lesions_as_json(report), "notice": NOTICE,
    }
    earlier = files_of_earlier_run(folder / SUMMARY_FILE)
    with complete_or_nothing(folder) as private:
        write_lesions_csv(report, private / "lesions.csv")
        _write_record(summary, private / SUMMARY_FILE, also=earlier)
    return summary


def write_isolation(ct: CTVolume, isolation: LungIsolation, folder: Path, *, source: Path | None = None) -> None:
    """Writes isolation.seg.nrrd, isolated.nrrd, isolation.json (the spine axis, one LPS point a slice), ct.nrrd where the grid is new.

    ``source`` and errors as in ``write_segment_result``.
    """
    segments = [
        Segment("Body", isolation.body, BODY_COLOR, terminology.BODY),
        Segment("Left lung", isolation.left_lung, LUNG_COLOR, terminology.LEFT_LUNG),
        Segment("Right lung", isolation.right_lung, LUNG_COLOR, terminology.RIGHT_LUNG),
        Segment("Isolation mask", isolation.mask, MASK_COLOR, terminology.ISOLATION_MASK),
    ]
    with complete_or_nothing(folder, obsolete=files_of_earlier_run(folder / ISOLATION_FILE, keep=source)) as private:
        write_segmentation(segments, private / "isolation.seg.nrrd")
        write_volume(isolation.isolated, private / "isolated.nrrd")
        if ct.resampled:
            write_volume(ct, private / "ct.nrrd")
        points = [[round(float(c), 4) for c in point] for point in isolation.spine_axis.points_lps]
        warnings = [*ct.warnings, *isolation.warnings]
        record = {"schema_version": SCHEMA_VERSION, "spine_axis_lps": points, "warnings": warnings}
        _write_record(record, private / ISOLATION_FILE)
