"""The main job as a sequence of calls: from a CT to measured lung tumors."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .core.crops import Crop
from .core.errors import UnusableInput
from .core.events import Progress, ProgressCallback, ignore_progress
from .core.volume import CTVolume, Point, Volume
from .inference.backend import choose_backend
from .inference.decision import decide
from .inference.doubts import resolution_doubts
from .inference.grid import WorkingGrid, make_working_grid
from .inference.stacks import StackStatistics
from .isolation import LungIsolation, isolate_lungs
from .lesions import LesionReport, report_lesions
from .lesions.doubts import threshold_doubts
from .networks.stored import Model, load_model
from .options import SegmentOptions, Settings
from .weights.manifest import Manifest, SecondLook

if TYPE_CHECKING:
    from .networks.second_network import SecondNetwork
    from .refinement.clicks import Outliner

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
    clock = _Clock()
    chosen = SegmentOptions.of(options, **choices)
    on_progress(Progress("model", 0, 1))
    model = load_model(chosen.model)
    settings = chosen.settled(model.manifest)
    from .inference.predictor import choose_device, choose_precision, predict_maps  # imports torch, so only here

    backend = choose_backend(settings.backend)
    device = choose_device(settings.device, backend)
    precision = choose_precision(settings.precision, device)
    on_progress(Progress("model", 1, 1))
    clock.stage("model")

    isolation = isolate_lungs(ct, on_progress)
    axes = ct.canonical_axes()
    upright = isolation.reordered(axes)
    clock.stage("isolation")

    grid = make_working_grid(
        upright.isolated,
        upright.mask,
        spacing_mm=model.manifest.spacing_mm,
        intensity_range_hu=model.manifest.intensity_range_hu,
    )
    maps = predict_maps(
        grid,
        model.network,
        stride=settings.stride,
        mirror=settings.mirror,
        device=device,
        precision=precision,
        backend=backend,
        on_progress=on_progress,
    )
    clock.stage("prediction")

    on_progress(Progress("measuring", 0, 1))
    probability = grid.carry_back(maps.mean)
    disagreement = grid.carry_back(maps.deviation())
    if settings.verify:
        clock.stage("measurement")
        tumor, certainty, together = _verified(model, settings, upright, grid, maps, probability, on_progress)
        clock.stage("verification")
    else:
        tumor, certainty, together = decide(grid, maps.mean, probability, settings.thresholds), None, ()
    report = report_lesions(
        tumor,
        upright.ct,
        upright.left_lung,
        upright.right_lung,
        probability=probability,
        disagreement=disagreement,
        certainty=certainty,
        voxel_threshold=settings.thresholds.voxel,
        min_lesion_ml=settings.min_lesion_ml,
        min_confidence=settings.min_confidence,
        carina_lps=isolation.carina_lps,
        sides_known=isolation.sides_known,
        together=together,
    )
    on_progress(Progress("measuring", 1, 1))
    clock.stage("measurement")
    return SegmentResult(
        ct,
        isolation,
        axes.undo(probability),
        axes.undo(disagreement),
        report.reordered(axes.inverse()),
        model.manifest,
        settings,
        str(device),
        precision,
        (
            *ct.warnings,
            *isolation.warnings,
            *resolution_doubts(upright.ct, model.manifest),
            *threshold_doubts(report.unsure_ml, settings.min_confidence),
        ),
        clock.seconds,
        model.card,
        backend,
    )


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
    from .refinement.clicks import Click, outlined  # imports torch

    clock = _Clock()
    chosen = SegmentOptions.of(options, **choices)
    places = [*_rows(point, 3, "point"), *_rows(box, 6, "box")]
    more, less = _points(also, "point of also"), _points(but_not, "point of but_not")
    if not places:
        raise UnusableInput("Give at least one point or box to outline.")
    if (more or less) and len(places) > 1:
        raise UnusableInput(
            "Points that correct an outline need exactly one point or box; outline one lesion at a time."
        )
    clicks = [Click(place, more, less) for place in places]
    for click in clicks:
        click.check_inside(ct, LPS_HINT)  # now, not after the long search for the lungs
    on_progress(Progress("model", 0, 1))
    model = load_model(chosen.model)
    settings = chosen.settled(model.manifest)
    _second_network(model)
    on_progress(Progress("model", 1, 1))
    clock.stage("model")
    outliner, isolation = outliner_of(ct, model, on_progress)
    axes = ct.canonical_axes()
    upright = isolation.reordered(axes)
    clock.stage("isolation")
    found = outlined(outliner, upright.ct, clicks, settings.min_confidence, on_progress)
    clock.stage("verification")
    on_progress(Progress("measuring", 0, 1))
    report = report_lesions(
        found.certainty.with_array(found.certainty.array > 0),
        upright.ct,
        upright.left_lung,
        upright.right_lung,
        probability=found.inside,
        certainty=found.certainty,
        min_lesion_ml=0.0,
        carina_lps=isolation.carina_lps,
        sides_known=isolation.sides_known,
        together=found.lesions,
    )
    on_progress(Progress("measuring", 1, 1))
    clock.stage("measurement")
    return SegmentResult(
        ct,
        isolation,
        axes.undo(found.inside),
        axes.undo(found.inside.with_array(np.zeros(upright.ct.shape, np.float32))),
        report.reordered(axes.inverse()),
        model.manifest,
        settings,
        "cpu",
        "float32",
        (*ct.warnings, *isolation.warnings, *found.warnings),
        clock.seconds,
        model.card,
    )


def outliner_of(
    ct: CTVolume, model: Model, on_progress: ProgressCallback = ignore_progress
) -> tuple[Outliner, LungIsolation]:
    """Return what answers clicks on a CT, and the lung isolation of the CT.

    Raises:
        UnusableInput: If the model has no second network, or the CT does not contain enough lung.
    """
    from .refinement.clicks import Outliner  # imports torch

    second, numbers = _second_network(model)
    isolation = isolate_lungs(ct, on_progress)
    upright = isolation.reordered(ct.canonical_axes())
    return Outliner(second, numbers, upright.ct, upright.lungs.array), isolation


def _points(values: Any, name: str) -> tuple[Point, ...]:
    return tuple((x, y, z) for x, y, z in _rows(values, 3, name))


def _rows(values: Any, length: int, name: str) -> list[tuple[float, ...]]:
    """Return one or several rows of ``length`` numbers as a list of tuples.

    Raises:
        UnusableInput: The values are something else.
    """
    try:
        rows = np.asarray(values, dtype=float).reshape(-1, length) if np.size(values) else np.empty((0, length))
    except (TypeError, ValueError):
        rows = np.full((1, length), np.nan)
    if not np.isfinite(rows).all():
        raise UnusableInput(f"A {name} needs {length} numbers, LPS coordinates in mm.")
    return [tuple(row) for row in rows.tolist()]


def _second_network(model: Model) -> tuple[SecondNetwork, SecondLook]:
    """Return the second network of a model and its entry in the manifest.

    Raises:
        UnusableInput: The model has no second network.
    """
    if model.second is None or model.manifest.second_look is None:
        raise UnusableInput(f"The model {model.manifest.id} has no second network; choose another model.")
    return model.second, model.manifest.second_look


def _verified(
    model: Model,
    settings: Settings,
    upright: LungIsolation,
    grid: WorkingGrid,
    maps: StackStatistics,
    probability: Volume,
    on_progress: ProgressCallback,
) -> tuple[Volume, Volume, tuple[Crop, ...]]:
    """Look at the candidates with the second network.

    Returns:
        The mask of all candidates (bool), the probability of the candidate in each voxel (float32), and one mask per
        candidate, on the CT's grid.

    Raises:
        UnusableInput: The model has no second network.
    """
    from .refinement.second_look import second_look  # imports torch

    candidates = second_look(
        *_second_network(model),
        upright.ct,
        upright.lungs.array,
        grid,
        maps.mean,
        maps.deviation(),
        probability,
        voxel_threshold=settings.thresholds.voxel,
        min_lesion_ml=settings.min_lesion_ml,
        on_progress=on_progress,
    )
    tumor, certainty = np.zeros(upright.ct.shape, bool), np.zeros(upright.ct.shape, np.float32)
    for candidate in candidates:
        if candidate.mask is not None:
            here, mask = candidate.mask.slices, candidate.mask.mask.array
            tumor[here] |= mask
            np.maximum(certainty[here], np.where(mask, np.float32(candidate.tumor), 0), out=certainty[here])
    lesions = tuple(candidate.mask for candidate in candidates if candidate.mask is not None)
    return probability.with_array(tumor), probability.with_array(certainty), lesions


class _Clock:
    """A clock that records the seconds of each stage by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def stage(self, name: str) -> None:
        """Record the time since the end of the previous stage."""
        now = time.perf_counter()
        self.seconds[name] = round(now - self._last, 3)
        self._last = now
