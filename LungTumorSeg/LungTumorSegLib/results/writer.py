"""Write the result files of ``segment``, ``measure`` and ``isolate``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy import ndimage

from .. import NOTICE, __version__
from ..core import terminology
from ..core.boxes import Box
from ..core.colors import LUNG_COLOR, lesion_color, lightened
from ..core.computed import ComputedVolume
from ..core.crops import SparseMask, crop_at, crop_of
from ..core.errors import MachineLimit
from ..core.events import Progress, ProgressCallback, ignore_progress
from ..core.volume import Array, CTVolume, Volume
from ..io.images import write_volume
from ..io.seg_nrrd import Segment, write_segmentation
from ..isolation import LungIsolation
from ..lesions import Lesion, LesionReport
from ..lesions.spread import Margin, margins
from ..lesions.table import lesions_as_json, margins_as_json, spread_as_json, write_lesions_csv
from ..options import SEG_NRRD
from ..pipeline import SegmentResult
from ..report.html import Heading, write_report
from ..report.pdf import print_report
from ..report.views_3d import render_spread
from ..weights.manifest import model_folders
from ..weights.model_card import card_excerpt
from .contents import (
    CT_FILE,
    DISAGREEMENT_FILE,
    ISOLATED_FILE,
    ISOLATION,
    ISOLATION_FILE,
    ISOLATION_SEGMENTATION_FILE,
    LESIONS_FILE,
    MARGINS_FILE,
    MOST_MARGIN_MM,
    PDF_FILE,
    PICTURE_FILE,
    PROBABILITY_FILE,
    REPORT_FILE,
    RESULT,
    SEGMENTATION_FILE,
    SUMMARY_FILE,
    Extras,
)
from .ct_checksum import ct_checksum
from .exports import algorithm_of, segments_of, write_formats
from .folder import Output, complete_or_nothing, files_of_group
from .surfaces import write_surfaces

SCHEMA_VERSION = 1
FILES_KEY = "files"
"""Key in a run's JSON file that lists all files of the run."""


LASTING_FILES = frozenset({SEGMENTATION_FILE, PROBABILITY_FILE, DISAGREEMENT_FILE, CT_FILE})
"""Files that a run computed from the CT.

All other files are derived from them, and are outdated once the segmentation has been corrected and measured again.
"""

RUN_FACTS = ("model", "weights_sha256", "options", "device", "precision", "backend", "seconds")
"""Keys of summary.json that describe how a run was made; they stay when its segmentation is measured again."""

NO_RUN: Mapping[str, Any] = MappingProxyType({})

WRITING = tuple(Progress("writing", done, 20) for done in (0, 1, 2, 8, 19, 20))
"""Progress of ``write_result``; picture and report take most of its time."""

TRACE = 0.002
"""Probability and disagreement below this value are stored as 0."""

BODY_COLOR = (0.89, 0.76, 0.66)
MASK_COLOR = (0.96, 0.84, 0.35)


NOTHING_MORE = Extras()


def write_result(
    result: SegmentResult,
    folder: Path,
    *,
    picture: bool = True,
    extras: Extras = NOTHING_MORE,
    surfaces: bool = False,
    source: Path | None = None,
    overwrite: bool = False,
    on_progress: ProgressCallback = ignore_progress,
) -> dict[str, Any]:
    """Write the files of ``lungtumorseg segment``.

    These are segmentation.seg.nrrd, lesions.csv, summary.json, probability.nrrd and disagreement.nrrd, and ct.nrrd if
    the CT was resampled. Files of an earlier run that this run does not write again are removed. Files appear under
    their final names only after the last call of ``on_progress``; if writing fails, none appears.

    Args:
        result: The result to write.
        folder: The output folder; it is created if necessary.
        picture: Whether to write spread.png.
        extras: Optional files and names.
        surfaces: Whether to write the surface of each segment as ``<segment id>.vtp`` in LPS mm, so that Slicer does
            not have to compute it in the thread of its window.
        source: The file from which the CT was read; it is never removed or replaced.
        overwrite: Whether files may be replaced that LungTumorSeg did not write, or that have changed since.
        on_progress: Called between steps; it may raise Cancelled.

    Returns:
        The content of summary.json.

    Raises:
        UnusableInput: If a file is in the way that may not be replaced.
        MachineLimit: If a file cannot be written.
    """
    isolation, report = result.isolation, result.report
    found_margins = _margins(report, isolation.lungs, isolation.body, extras.margins_mm)
    summary = summary_of(result) | {"margins": margins_as_json(found_margins)} | _case(extras.case)
    output = Output(folder, RESULT, () if source is None else (source,), overwrite)
    with complete_or_nothing(output, on_progress) as private:
        on_progress(WRITING[0])
        segments = lung_and_tumor_segments(isolation, report)
        write_segmentation(segments, private / SEGMENTATION_FILE)
        summary["warnings"] += write_formats(
            segments,
            report.lesions,
            result.ct.grid,
            private,
            set(extras.formats) - {SEG_NRRD},  # it is always written
            source=extras.dicom,
            algorithm=algorithm_of(summary, automatic=True) if extras.dicom else None,
        )
        if surfaces:
            write_surfaces(segments, private)
        on_progress(WRITING[1])
        write_volume(_without_traces(result.probability), private / PROBABILITY_FILE)
        write_volume(_without_traces(result.disagreement), private / DISAGREEMENT_FILE)
        on_progress(WRITING[2])
        if result.ct.resampled:
            write_volume(result.ct, private / CT_FILE)
        write_lesions_csv(report, private / LESIONS_FILE, extras.case)
        if picture:
            summary["warnings"] += _draw_spread(isolation, report, private / PICTURE_FILE)
        on_progress(WRITING[3])
        if extras.report:
            made_by = result.settings.in_words
            heading = Heading(
                case=extras.case,
                patient=extras.patient,
                model=made_by,
                model_card=result.model_card,
                weights_sha256=result.manifest.weights_sha256,
                warnings=summary["warnings"],
            )
            write_report(
                report,
                result.ct,
                isolation.left_lung,
                isolation.right_lung,
                private / REPORT_FILE,
                heading,
                found_margins,
            )
        if extras.pdf:
            summary["warnings"] += _print_report(private, partial(on_progress, WRITING[3]))
        if found_margins:
            write_segmentation(_margin_segments(found_margins), private / MARGINS_FILE, grid=result.ct.grid)
        on_progress(WRITING[4])
        _write_record(summary, private / SUMMARY_FILE)
        on_progress(WRITING[5])
    return summary


def _draw_spread(isolation: LungIsolation, report: LesionReport, path: Path) -> list[str]:
    """Draw the picture.

    Returns:
        A warning if the machine cannot draw, since a missing picture must not prevent the result from being written.
    """
    try:
        render_spread(isolation.left_lung, isolation.right_lung, report.labels, path)
    except MachineLimit as error:
        return [f"spread.png was not written: {error}"]
    return []


def _print_report(folder: Path, check: Callable[[], object]) -> list[str]:
    return print_report(folder / REPORT_FILE, folder / PDF_FILE, check)


def _without_traces(values: Volume) -> Volume:
    """Return a map with values below ``TRACE`` set to 0.

    Its file is a tenth of the size and is written correspondingly faster.
    """

    def part(box: Box) -> Array:
        found = values.crop(*box).array
        return np.where(found < TRACE, np.float32(0), found)

    return ComputedVolume(values.grid, part)


def summary_of(result: SegmentResult) -> dict[str, Any]:
    """Return the content of summary.json: the result and how it was made, without any path or patient name."""
    return {
        **_origin(),
        "model": result.manifest.id,
        "weights_sha256": result.manifest.weights_sha256,
        "options": asdict(result.settings),
        "device": result.device,
        "precision": result.precision,
        "backend": result.backend,
        "ct_sha256": ct_checksum(result.ct),
        "warnings": list(result.warnings),
        "message": result.report.message,
        "lungs": _lung_volumes(result.isolation.left_lung, result.isolation.right_lung)
        if result.isolation.sides_known
        else None,
        "lesions": lesions_as_json(result.report),
        "spread": spread_as_json(result.report),
        "seconds": result.seconds,
        "notice": NOTICE,
    }


def _origin() -> dict[str, Any]:
    """Return the first entries of each record: its schema version and the version of the software."""
    return {"schema_version": SCHEMA_VERSION, "software_version": __version__}


def _lung_volumes(left: Volume, right: Volume) -> dict[str, float]:
    lungs = (("left_ml", left), ("right_ml", right))
    return {name: round(float(np.count_nonzero(lung.array)) * lung.voxel_volume_ml, 3) for name, lung in lungs}


def _write_record(data: dict[str, Any], path: Path, *, also: Iterable[str] = ()) -> None:
    """Write ``data``, with the names of all files beside it, as indented UTF-8 JSON; this is the last file of a run."""
    data[FILES_KEY] = sorted({*(each.name for each in path.parent.iterdir()), path.name, *also})
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def lung_and_tumor_segments(isolation: LungIsolation, report: LesionReport) -> list[Segment]:
    """Return the segments Left lung, Right lung, Tumor 1, Tumor 2 ...

    A tumor voxel belongs to its tumor, not to the surrounding lung.
    """
    lungs = [replace(lung, mask=_without(lung.mask, report.labels)) for lung in _lung_segments(isolation)]
    boxes = ndimage.find_objects(report.labels.array)
    tumors = [_tumor_segment(lesion, report.labels, boxes[lesion.number - 1]) for lesion in report.lesions]
    return lungs + tumors


def _without(lung: Volume, labels: Volume) -> Volume:
    """Return a lung (bool) without the voxels of lesions; only its bounding box is stored."""
    crop = crop_of(lung)
    if crop is None:
        return lung
    free = labels.crop(*crop.box).array == 0
    return SparseMask(crop_at(crop.mask.array & free, crop.box, lung), lung.grid)


def _tumor_segment(lesion: Lesion, labels: Volume, box: tuple[slice, slice, slice]) -> Segment:
    """Return a lesion as a segment whose mask covers only its bounding box, which keeps many lesions cheap."""
    start, stop = zip(*((part.start, part.stop) for part in box), strict=True)
    crop = labels.crop(start, stop)
    mask = crop.with_array(crop.array == lesion.number)
    return Segment(lesion.segment, mask, lesion_color(lesion.number), terminology.TUMOR[lesion.side])


def _lung_segments(isolation: LungIsolation) -> list[Segment]:
    """Return the segments Left lung and Right lung.

    If the sides are unknown, a single segment Lungs is returned, so that no reader mistakes a guess for a fact.
    """
    if not isolation.sides_known:
        return [Segment("Lungs", isolation.lungs, LUNG_COLOR, terminology.LUNGS)]
    return [
        Segment("Left lung", isolation.left_lung, LUNG_COLOR, terminology.LEFT_LUNG),
        Segment("Right lung", isolation.right_lung, LUNG_COLOR, terminology.RIGHT_LUNG),
    ]


def write_measures(
    ct: CTVolume,
    report: LesionReport,
    folder: Path,
    *,
    lungs: tuple[Volume, Volume] | None = None,
    segments: Sequence[Segment] = (),
    run: Mapping[str, Any] = NO_RUN,
    automatic: bool = False,
    extras: Extras = NOTHING_MORE,
    output: Output | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> dict[str, Any]:
    """Write lesions.csv, summary.json and ``extras`` for the measures of an existing segmentation.

    Args:
        ct: The CT that was measured.
        report: The measures.
        folder: The output folder.
        lungs: Boolean masks of the left and the right lung on the grid of the CT. They are drawn in the report and
            limit the margins; without them, the margins are not limited.
        segments: The segments that were measured; the formats of ``extras`` need them.
        run: The summary of the run that made the segmentation, if known. Its description of the run stays in
            summary.json. The report quotes the card of its model if the model is installed.
        automatic: Whether no person changed the segmentation after that run; DICOM results state it.
        extras: Optional files and names; if it names no case, the case of ``run`` stays.
        output: The output folder and the files that may be replaced. By default these are the files that LungTumorSeg
            wrote into ``folder``, except masks and maps, which stay.
        on_progress: Called while the report is printed; it may raise Cancelled.

    Returns:
        The content of summary.json.

    Raises:
        UnusableInput: If a file is in the way that may not be replaced.
        MachineLimit: If a file cannot be written; no file appears then.
    """
    output = output or Output(folder, RESULT, keep=LASTING_FILES)
    if extras.report:
        output = replace(output, keep=set(output.keep) - {PDF_FILE})  # the print of an earlier report
    case = run.get("case") if extras.case is None else extras.case
    left, right = lungs or (ct.with_array(np.zeros(ct.shape, bool)),) * 2
    within = ct.with_array((left.array | right.array) if lungs else np.ones(ct.shape, bool))
    found_margins = _margins(report, within, None, extras.margins_mm)
    warnings = [*ct.warnings, *report.warnings]
    summary = {
        **_origin(),
        **_facts_of(run),
        "ct_sha256": ct_checksum(ct),
        "warnings": list(dict.fromkeys([*run.get("warnings", []), *warnings])),
        "message": report.message,
        "lungs": None if lungs is None else _lung_volumes(left, right),
        "lesions": lesions_as_json(report),
        "spread": spread_as_json(report),
        "margins": margins_as_json(found_margins),
        "notice": NOTICE,
        **_case(case),
    }
    with complete_or_nothing(output) as private:
        write_lesions_csv(report, private / LESIONS_FILE, case)
        if extras.formats:
            summary["warnings"] += write_formats(
                segments_of(segments, report, lungs),
                report.lesions,
                ct.grid,
                private,
                extras.formats,
                source=extras.dicom,
                algorithm=algorithm_of(run, automatic=automatic) if extras.dicom else None,
            )
        if extras.report:
            model = run.get("model")
            card = card_excerpt(model_folders()[model]) if model in model_folders() else None
            heading = Heading(
                case=case, patient=extras.patient, model=model, model_card=card, warnings=summary["warnings"]
            )
            write_report(report, ct, left, right, private / REPORT_FILE, heading, found_margins)
        if extras.pdf:
            summary["warnings"] += _print_report(private, partial(on_progress, WRITING[3]))
        if found_margins:
            write_segmentation(_margin_segments(found_margins), private / MARGINS_FILE, grid=ct.grid)
        _write_record(summary, private / SUMMARY_FILE, also=files_of_group(folder, RESULT) & set(output.keep))
    return summary


def _case(case: str | None) -> dict[str, str]:
    return {} if case is None else {"case": case}


def _facts_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a run was made, from its summary; ``segmented_with`` is the software version of that run."""
    facts = {name: run[name] for name in RUN_FACTS if name in run}
    version = run.get("segmented_with", run.get("software_version"))
    return facts if version is None else {**facts, "segmented_with": version}


def _margins(report: LesionReport, lungs: Volume, body: Volume | None, distances_mm: Sequence[float]) -> list[Margin]:
    names = {lesion.number: lesion.segment for lesion in report.lesions}
    return list(margins(report.labels, lungs, body, sorted(set(distances_mm)), names)) if distances_mm else []


def _margin_segments(found: Iterable[Margin]) -> list[Segment]:
    """Return margins as segments in the color of the lesion, lighter for wider margins.

    They overlap, so the file stores them in layers.
    """
    return [
        Segment(
            margin.name,
            margin.mask,
            lightened(lesion_color(margin.number), margin.distance_mm / MOST_MARGIN_MM),
            terminology.MARGIN,
            f"Margin_{margin.number}_{margin.distance_mm:g}",
        )
        for margin in found
    ]


def write_isolation(
    ct: CTVolume,
    isolation: LungIsolation,
    folder: Path,
    *,
    source: Path | None = None,
    case: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write the files of ``lungtumorseg isolate``.

    These are isolation.seg.nrrd, isolated.nrrd and isolation.json (with the spine axis, one LPS point in mm per slice),
    and ct.nrrd if the CT was resampled.

    Args:
        ct: The CT.
        isolation: Its lung isolation.
        folder: The output folder; it is created if necessary.
        source: The file from which the CT was read; it is never removed or replaced.
        case: Name of the case in isolation.json.
        overwrite: Whether files may be replaced that LungTumorSeg did not write, or that have changed since.

    Raises:
        UnusableInput: If a file is in the way that may not be replaced.
        MachineLimit: If a file cannot be written; no file appears then.
    """
    segments = [
        Segment("Body", isolation.body, BODY_COLOR, terminology.BODY),
        *_lung_segments(isolation),
        Segment("Isolation mask", isolation.mask, MASK_COLOR, terminology.ISOLATION_MASK),
    ]
    output = Output(folder, ISOLATION, () if source is None else (source,), overwrite)
    with complete_or_nothing(output) as private:
        write_segmentation(segments, private / ISOLATION_SEGMENTATION_FILE)
        write_volume(isolation.isolated, private / ISOLATED_FILE)
        if ct.resampled:
            write_volume(ct, private / CT_FILE)
        points = [[round(float(c), 4) for c in point] for point in isolation.spine_axis.points_lps]
        warnings = [*ct.warnings, *isolation.warnings]
        record = {
            **_origin(),
            **_case(case),
            "spine_axis_lps": points,
            "carina_lps": isolation.carina_lps,
            "warnings": warnings,
        }
        _write_record(record, private / ISOLATION_FILE)
