"""The main job as a sequence of calls: from a CT to measured lung tumors."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .core.events import Progress, ProgressCallback, ignore_progress
from .core.volume import CTVolume, Point, Volume
from .inference.backend import TORCH, choose_backend
from .inference.decision import decide
from .inference.doubts import resolution_doubts
from .inference.grid import WorkingGrid, make_working_grid
from .inference.stacks import StackStatistics
from .isolation import LungIsolation, isolate_lungs
from .lesions import LesionReport, report_lesions
from .lesions.doubts import threshold_doubts
from .networks.stored import Model, load_model
from .options import SegmentOptions, Settings
from .weights.manifest import Manifest

if TYPE_CHECKING:
    from .refinement.clicks import Outliner
    from .refinement.painting import OutlinedLesions

Box = tuple[float, float, float, float, float, float]

LPS_HINT = "; give LPS coordinates in mm, whose first two have the opposite sign of those in Slicer (RAS)"
"""End of the message about a place outside of the CT: the usual reason."""


@dataclass(frozen=True, eq=False)
class SegmentResult:
    """The result of a run, on the grid of the CT as it was given.

    Attributes:
        ct: The CT.
        isolation: Its lung isolation.
        probability: Tumor probability from 0 to 1, float32.
        disagreement: Standard deviation of the probability across stacks, float32, 0 to 1.
        report: The measured lesions.
        manifest: The manifest of the model.
        settings: The settings that the run used.
        device: The device on which the network ran, never ``auto``.
        precision: The number format of the network, never ``auto``.
        warnings: Sentences for the user.
        seconds: Time of each stage in seconds.
        model_card: The sections of the model card on intended use and failures.
        backend: The library that computed the network, never ``auto``.
    """

    ct: CTVolume
    isolation: LungIsolation
    probability: Volume
    disagreement: Volume
    report: LesionReport
    manifest: Manifest
    settings: Settings
    device: str
    precision: str
    warnings: tuple[str, ...]
    seconds: dict[str, float]
    model_card: str = ""
    backend: str = "torch"

    def save(self, folder: str | Path) -> dict[str, Any]:
        """Write the files of ``lungtumorseg segment`` into ``folder``, including picture and report.

        Returns:
            The content of summary.json.

        Raises:
            UnusableInput: If a file is in the way that may not be replaced.
            MachineLimit: If a file cannot be written; no file appears then.
        """
        from .results.contents import Extras
        from .results.writer import write_result  # imported here, because the writer imports this module

        return write_result(self, Path(folder), extras=Extras(report=True))


def segment(
    ct: CTVolume,
    options: SegmentOptions | Mapping[str, Any] | None = None,
    on_progress: ProgressCallback = ignore_progress,
    **choices: Any,
) -> SegmentResult:
    """Find and measure the lung tumors in a CT.

    Args:
        ct: The CT in HU (slice, row, column).
        options: The choices for the run; everything else comes from the model.
        on_progress: Called between steps; an exception that it raises ends the run.
        **choices: Single options by name, such as ``min_confidence=0.3``; they override ``options``.

    Returns:
        The lesions, with all maps and masks on the grid of ``ct``.

    Raises:
        UnusableInput: If the CT does not contain enough lung, an option is unknown, or a value is out of range.
        MachineLimit: If memory, device, weights or a package fail.
    """
    run = _started(SegmentOptions.of(options, **choices), on_progress, search=True)
    settings, clock = run.settings, run.clock

    isolation = isolate_lungs(ct, on_progress)
    upright = isolation.reordered(ct.canonical_axes())
    clock.stage("isolation")

    grid, maps = _predicted(run, upright, on_progress)
    clock.stage("prediction")

    probability, disagreement = grid.carry_back(maps.mean), grid.carry_back(maps.deviation())
    if settings.verify:
        on_progress(Progress("verifying", 0, 1))
        found = _looked_at_again(run, upright, grid, maps, probability, on_progress)
        tumor, seen = found.tumor, {"certainty": found.certainty, "together": found.lesions}
        clock.stage("verification")
        on_progress(Progress("measuring", 0, 1))
    else:
        on_progress(Progress("measuring", 0, 1))
        tumor, seen = decide(grid, maps.mean, probability, settings.thresholds), {}
    limits = {"min_lesion_ml": settings.min_lesion_ml, "min_confidence": settings.min_confidence}
    mapped = {"probability": probability, "disagreement": disagreement, "voxel_threshold": settings.thresholds.voxel}
    report = _measured(run, upright, tumor, on_progress, **mapped, **limits, **seen)
    warnings = (
        *resolution_doubts(upright.ct, run.model.manifest),
        *threshold_doubts(report.unsure_ml, settings.min_confidence),
    )
    return _result(run, isolation, probability, disagreement, report, warnings)


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
        UnusableInput: If a place lies outside the CT, the model has no second network, the CT does not contain enough
            lung, an option is unknown, or further points come with several places.
        MachineLimit: If memory, weights or a package fail.
    """
    from .refinement.clicks import outlined  # imports torch
    from .refinement.places import clicks_at

    chosen = SegmentOptions.of(options, **choices)
    clicks = clicks_at(point, box, also, but_not)
    for click in clicks:
        click.check_inside(ct, LPS_HINT)  # now, not after the long search for the lungs
    run = _started(chosen, on_progress, search=False)

    outliner, isolation = outliner_of(ct, run.model, on_progress)
    upright = isolation.reordered(ct.canonical_axes())
    run.clock.stage("isolation")

    found = outlined(outliner, upright.ct, clicks, run.settings.min_confidence, on_progress)
    run.clock.stage("verification")

    on_progress(Progress("measuring", 0, 1))
    inside = found.tumor.with_array(found.tumor.array.astype(np.float32))
    seen = {"certainty": found.certainty, "together": found.lesions}
    report = _measured(run, upright, found.tumor, on_progress, probability=inside, min_lesion_ml=0.0, **seen)
    no_disagreement = inside.with_array(np.zeros(inside.shape, np.float32))
    return _result(run, isolation, inside, no_disagreement, report, found.warnings)


def outliner_of(
    ct: CTVolume, model: Model, on_progress: ProgressCallback = ignore_progress
) -> tuple[Outliner, LungIsolation]:
    """Return what answers clicks on a CT, and the lung isolation of the CT.

    Raises:
        UnusableInput: If the model has no second network, or the CT does not contain enough lung.
    """
    from .refinement.clicks import Outliner  # imports torch

    second, numbers = model.for_second_look()
    isolation = isolate_lungs(ct, on_progress)
    upright = isolation.reordered(ct.canonical_axes())
    return Outliner(second, numbers, upright.ct, upright.lungs.array), isolation


@dataclass(frozen=True)
class _Engine:
    """What computes the network; by default what computes the second one."""

    backend: str = TORCH
    device: str = "cpu"
    precision: str = "float32"

    @classmethod
    def of(cls, settings: Settings) -> _Engine:
        """Return what the settings choose on this machine.

        Raises:
            UnusableInput: The choices contradict each other.
            MachineLimit: The machine lacks a device or a package.
        """
        from .inference.predictor import choose_device, choose_precision  # imports torch, so only here

        backend = choose_backend(settings.backend)
        device = choose_device(settings.device, backend)
        return cls(backend, str(device), choose_precision(settings.precision, device, backend))


class _Clock:
    """A clock that records the seconds of each stage by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def stage(self, name: str) -> None:
        """Add the time since the end of the previous stage to a stage."""
        now = time.perf_counter()
        self.seconds[name] = round(self.seconds.get(name, 0.0) + now - self._last, 3)
        self._last = now


@dataclass(frozen=True)
class _Run:
    """What a run uses, and the time of its stages."""

    model: Model
    settings: Settings
    engine: _Engine
    clock: _Clock


def _started(chosen: SegmentOptions, on_progress: ProgressCallback, *, search: bool) -> _Run:
    """Load the model, and check that the run will be possible, before anything takes long.

    Args:
        chosen: The choices for the run.
        on_progress: Called before and after.
        search: Whether the first network searches the CT; otherwise only the second one is needed.

    Raises:
        UnusableInput: The model is unknown, or has no second network where only that one is needed.
        MachineLimit: A device, weights or a package fail.
    """
    clock = _Clock()
    on_progress(Progress("model", 0, 1))
    model = load_model(chosen.model)
    settings = chosen.settled(model.manifest)
    if not search:
        model.for_second_look()
    engine = _Engine.of(settings) if search else _Engine()
    on_progress(Progress("model", 1, 1))
    clock.stage("model")
    return _Run(model, settings, engine, clock)


def _predicted(run: _Run, upright: LungIsolation, on_progress: ProgressCallback) -> tuple[WorkingGrid, StackStatistics]:
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
    return grid, maps


def _looked_at_again(
    run: _Run,
    upright: LungIsolation,
    grid: WorkingGrid,
    maps: StackStatistics,
    probability: Volume,
    on_progress: ProgressCallback,
) -> OutlinedLesions:
    """Look at the candidates with the second network.

    Raises:
        UnusableInput: The model has no second network.
    """
    from .refinement.painting import painted
    from .refinement.second_look import second_look  # imports torch

    candidates = second_look(
        *run.model.for_second_look(),
        upright.ct,
        upright.lungs.array,
        grid,
        maps.mean,
        maps.deviation(),
        probability,
        voxel_threshold=run.settings.thresholds.voxel,
        min_lesion_ml=run.settings.min_lesion_ml,
        on_progress=on_progress,
    )
    return painted(candidates, probability)


def _measured(
    run: _Run, upright: LungIsolation, tumor: Volume, on_progress: ProgressCallback, **choices: Any
) -> LesionReport:
    """Measure the lesions of a mask; ``choices`` are those of ``report_lesions``."""
    report = report_lesions(
        tumor,
        upright.ct,
        upright.left_lung,
        upright.right_lung,
        carina_lps=upright.carina_lps,
        sides_known=upright.sides_known,
        **choices,
    )
    on_progress(Progress("measuring", 1, 1))
    run.clock.stage("measurement")
    return report


def _result(
    run: _Run,
    isolation: LungIsolation,
    probability: Volume,
    disagreement: Volume,
    report: LesionReport,
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
