"""The main job as a sequence of calls: from a CT to measured lung tumors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .core.argument_types import as_ct
from .core.events import Progress, ProgressCallback, ignore_progress
from .core.volume import CTVolume, Point, Volume
from .inference.decision import decide
from .inference.doubts import resolution_doubts
from .inference.grid import make_working_grid
from .inference.prediction import Prediction
from .inference.run import Run, prepare_run
from .isolation import LungIsolation, isolate_lungs
from .lesions import LesionReport, Maps, report_lesions
from .lesions.doubts import threshold_doubts
from .options import SegmentOptions
from .refinement.painting import OutlinedLesions, paint_outlines
from .results.segment_result import SegmentResult

if TYPE_CHECKING:
    from .networks.stored import Model
    from .refinement.clicks import Outliner

Box = tuple[float, float, float, float, float, float]

LPS_HINT = "; give LPS coordinates in mm, whose first two have the opposite sign of those in Slicer (RAS)"
"""End of the message about a place outside of the CT: the usual reason."""


def _ignore_maps(probability: Volume, disagreement: Volume) -> None:
    """Do nothing when the maps are known."""


def segment(
    ct: CTVolume,
    options: SegmentOptions | Mapping[str, Any] | None = None,
    on_progress: ProgressCallback = ignore_progress,
    *,
    on_maps: Callable[[Volume, Volume], None] = _ignore_maps,
    **choices: Any,
) -> SegmentResult:
    """Find and measure the lung tumors in a CT.

    Args:
        ct: The CT in HU (slice, row, column).
        options: The choices for the run; everything else comes from the model.
        on_progress: Called between steps; an exception that it raises ends the run.
        on_maps: Called with ``probability`` and ``disagreement`` of the result when both are known, which is before the
            second look and the measuring.
        **choices: Single options by name, such as ``min_confidence=0.3``; they override ``options``.

    Returns:
        The lesions, with all maps and masks on the grid of ``ct``.

    Raises:
        UnusableInput: If ``ct`` is no CT or does not contain enough lung, an option is unknown, or a value is out of
            range.
        MachineLimit: If memory, device, weights or a package fail.
    """
    chosen = SegmentOptions.of(options, **choices)
    ct = as_ct(ct)
    run = prepare_run(chosen, on_progress, search=True)
    settings, clock = run.settings, run.clock

    isolation = isolate_lungs(ct, on_progress)
    upright = isolation.reordered(ct.canonical_axes())
    clock.stage("isolation")

    prediction = _predict(run, upright, on_progress)
    clock.stage("prediction")

    probability, disagreement = prediction.probability, prediction.disagreement
    on_maps(ct.canonical_axes().undo(probability), ct.canonical_axes().undo(disagreement))
    if settings.verify:
        on_progress(Progress("verifying", 0, 1))
        found = _look_again(run, upright, prediction, on_progress)
        clock.stage("verification")
    else:
        found = OutlinedLesions(decide(prediction, settings.thresholds))
    maps = Maps(probability, disagreement, found.certainty, settings.thresholds.voxel)
    min_ml, min_confidence = settings.min_lesion_ml, settings.min_confidence
    report = _measure(run, upright, found, maps, on_progress, min_lesion_ml=min_ml, min_confidence=min_confidence)
    warnings = (
        *resolution_doubts(upright.ct, run.model.manifest),
        *threshold_doubts(report.unsure_ml, min_confidence),
    )
    return _result(run, isolation, report, probability=probability, disagreement=disagreement, warnings=warnings)


def outline(
    ct: CTVolume,
    *,
    point: Point | Sequence[Point] = (),
    box: Box | Sequence[Box] = (),
    also: Point | Sequence[Point] = (),
    but_not: Point | Sequence[Point] = (),
    options: SegmentOptions | Mapping[str, Any] | None = None,
    on_progress: ProgressCallback = ignore_progress,
    **choices: Any,
) -> SegmentResult:
    """Outline and measure just what lies at points or in boxes, without searching the rest of the CT.

    Args:
        ct: The CT in HU (slice, row, column).
        point: A point (x, y, z) inside the lesion, LPS mm, or several.
        box: Two opposite corners (x0, y0, z0, x1, y1, z1) of a box around the lesion, LPS mm, or several.
        also: A point, or several, that belongs to the lesion at the only point or box: the outline is extended to it.
        but_not: A point, or several, that does not belong to that lesion: what is nearer to it is cut off.
        options: The choices for the run; everything else comes from the model.
        on_progress: Called between steps; an exception that it raises ends the run.
        **choices: Single options by name; they override ``options``.

    Returns:
        The lesions. What does not look like a tumor is left out, and a warning states its probability.

    Raises:
        UnusableInput: If ``ct`` is no CT or does not contain enough lung, a place lies outside it, the model has no
            second network, an option is unknown, or further points come with several places.
        MachineLimit: If memory, weights or a package fail.
    """
    from .refinement.clicks import outline_clicks  # imports torch
    from .refinement.places import clicks_at

    chosen = SegmentOptions.of(options, **choices)
    ct = as_ct(ct)
    clicks = clicks_at(point, box, also, but_not)
    for click in clicks:
        click.check_inside(ct, LPS_HINT)  # now, not after the long search for the lungs
    run = prepare_run(chosen, on_progress, search=False)

    outliner, isolation = outliner_of(ct, run.model, on_progress)
    upright = isolation.reordered(ct.canonical_axes())
    run.clock.stage("isolation")

    found = outline_clicks(outliner, upright.ct, clicks, run.settings.min_confidence, on_progress)
    run.clock.stage("verification")

    inside = found.tumor.with_array(found.tumor.array.astype(np.float32))
    report = _measure(run, upright, found, Maps(inside, certainty=found.certainty), on_progress)
    no_disagreement = inside.with_array(np.zeros(inside.shape, np.float32))
    return _result(run, isolation, report, probability=inside, disagreement=no_disagreement, warnings=found.warnings)


def outliner_of(
    ct: CTVolume, model: Model, on_progress: ProgressCallback = ignore_progress
) -> tuple[Outliner, LungIsolation]:
    """Return what answers clicks on a CT, and the lung isolation of the CT.

    Args:
        ct: The CT in HU (slice, row, column), in any orientation.
        model: A model with a second network.
        on_progress: Called while the lungs are found.

    Raises:
        UnusableInput: If the model has no second network, or the CT does not contain enough lung.
    """
    from .refinement.clicks import Outliner  # imports torch

    second, numbers = model.for_second_look()
    isolation = isolate_lungs(ct, on_progress)
    upright = isolation.reordered(ct.canonical_axes())
    return Outliner(second, numbers, upright.ct, upright.lungs.array), isolation


def _predict(run: Run, upright: LungIsolation, on_progress: ProgressCallback) -> Prediction:
    """Apply the network to the isolated CT on its working grid."""
    from .inference.predictor import predict_maps  # imports torch, so only here

    manifest = run.model.manifest
    grid = make_working_grid(
        upright.isolated, upright.mask, spacing_mm=manifest.spacing_mm, intensity_range_hu=manifest.intensity_range_hu
    )
    maps = predict_maps(
        grid,
        run.model.network,
        stride=run.settings.stride,
        mirror=run.settings.mirror,
        closer_above=manifest.closer_above,
        device=run.engine.device,
        precision=run.engine.precision,
        backend=run.engine.backend,
        on_progress=on_progress,
    )
    return Prediction.of(grid, maps)


def _look_again(
    run: Run, upright: LungIsolation, prediction: Prediction, on_progress: ProgressCallback
) -> OutlinedLesions:
    """Look at the candidates with the second network.

    Raises:
        UnusableInput: The model has no second network.
    """
    from .refinement.second_look import second_look  # imports torch

    candidates = second_look(
        *run.model.for_second_look(),
        upright.ct,
        upright.lungs.array,
        prediction,
        voxel_threshold=run.settings.thresholds.voxel,
        min_lesion_ml=run.settings.min_lesion_ml,
        on_progress=on_progress,
    )
    return paint_outlines(candidates, upright.ct)


def _measure(
    run: Run,
    upright: LungIsolation,
    found: OutlinedLesions,
    maps: Maps,
    on_progress: ProgressCallback,
    *,
    min_lesion_ml: float = 0.0,
    min_confidence: float = 0.0,
) -> LesionReport:
    """Measure what was found, unless it is too small or too improbable to be reported."""
    on_progress(Progress("measuring", 0, 1))
    report = report_lesions(
        found.tumor,
        upright.ct,
        upright.left_lung,
        upright.right_lung,
        maps=maps,
        min_lesion_ml=min_lesion_ml,
        min_confidence=min_confidence,
        carina_lps=upright.carina_lps,
        sides_known=upright.sides_known,
        together=found.lesions,
    )
    on_progress(Progress("measuring", 1, 1))
    run.clock.stage("measurement")
    return report


def _result(
    run: Run,
    isolation: LungIsolation,
    report: LesionReport,
    *,
    probability: Volume,
    disagreement: Volume,
    warnings: Sequence[str],
) -> SegmentResult:
    """Return what was found with canonical axes as a result on the axes of the CT."""
    ct = isolation.ct
    axes = ct.canonical_axes()
    return SegmentResult(
        ct=ct,
        isolation=isolation,
        probability=axes.undo(probability),
        disagreement=axes.undo(disagreement),
        report=report.reordered(axes.inverse()),
        manifest=run.model.manifest,
        settings=run.settings,
        device=run.engine.device,
        precision=run.engine.precision,
        warnings=(*ct.warnings, *isolation.warnings, *warnings),
        seconds=run.clock.seconds,
        model_card=run.model.card,
        backend=run.engine.backend,
    )
