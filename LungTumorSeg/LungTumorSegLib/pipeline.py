"""The main job: from a CT to measured lung tumors, as a sequence of calls."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .core.events import Progress, ProgressCallback, ignore_progress
from .core.volume import CTVolume, Volume
from .inference.decision import decide
from .inference.grid import make_working_grid
from .isolation import LungIsolation, isolate_lungs
from .lesions import LesionReport, report_lesions
from .networks.stored import load_model
from .options import SegmentOptions, Settings
from .weights.manifest import Manifest

TELLING_ML = 0.5
"""What is left out for its low confidence is told from this volume on, a ball of 10 mm; smaller is often noise."""

COARSER = 1.05
"""A voxel longer than the model's by more than this is coarser; less is rounding."""


@dataclass(frozen=True, eq=False)
class SegmentResult:
    """Everything a run found, on the grid of ``ct`` as it was given.

    ``probability`` and ``disagreement`` are float32, 0 to 1; ``seconds`` is the time a stage took; ``settings`` are those used,
    ``device`` and ``precision`` what ``auto`` became; ``model_card`` is what the card says of use and failures.
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

    def save(self, folder: str | Path) -> dict[str, Any]:
        """Write what ``lungtumorseg segment`` writes into ``folder``, picture and report included.

        Returns:
            What summary.json says.

        Raises:
            MachineLimit: If a file cannot be written; then none is.
        """
        from .results.writer import Extras, write_result  # what writes results knows this class

        return write_result(self, Path(folder), extras=Extras(report=True))


def segment(
    ct: CTVolume,
    options: SegmentOptions | Mapping[str, Any] | None = None,
    on_progress: ProgressCallback = ignore_progress,
    **choices: Any,
) -> SegmentResult:
    """Find and measure the lung tumors of ``ct``.

    Args:
        ct: HU (slice, row, column) with their place in the patient.
        options: The choices of a run; what is left out comes from the model.
        on_progress: Called between steps; whatever it raises ends the run.
        **choices: Single options by name, such as ``min_confidence=0.3``; they win over ``options``.

    Raises:
        UnusableInput: For a CT without enough lung, an unknown option or a value out of range.
        MachineLimit: Where memory, device, weights or a package fail.
    """
    clock = _Clock()
    chosen = SegmentOptions.of(options, **choices)
    on_progress(Progress("model", 0, 1))
    model = load_model(chosen.model)
    settings = chosen.settled(model.manifest)
    from .inference.predictor import choose_device, choose_precision, predict_maps  # torch: only where networks run

    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
    on_progress(Progress("model", 1, 1))
    clock.stage("model")

    axes = ct.canonical_axes()
    upright = axes.apply(ct)
    isolation = isolate_lungs(upright, on_progress)
    clock.stage("isolation")

    grid = make_working_grid(
        isolation.isolated,
        isolation.mask,
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
        on_progress=on_progress,
    )
    clock.stage("prediction")

    on_progress(Progress("measuring", 0, 1))
    probability = grid.carry_back(maps.mean)
    disagreement = grid.carry_back(maps.deviation())
    tumor = decide(grid, maps.mean, probability, settings.thresholds)
    report = report_lesions(
        tumor,
        upright,
        isolation.left_lung,
        isolation.right_lung,
        probability=probability,
        disagreement=disagreement,
        voxel_threshold=settings.thresholds.voxel,
        min_lesion_ml=settings.min_lesion_ml,
        min_confidence=settings.min_confidence,
        carina_lps=isolation.carina_lps,
        sides_known=isolation.sides_known,
    )
    on_progress(Progress("measuring", 1, 1))
    clock.stage("measurement")
    return SegmentResult(
        ct,
        isolation.reordered(axes.inverse()),
        axes.undo(probability),
        axes.undo(disagreement),
        report.reordered(axes.inverse()),
        model.manifest,
        settings,
        str(device),
        precision,
        (*ct.warnings, *isolation.warnings, *_coarse(upright, model.manifest), *_unsure(report, settings)),
        clock.seconds,
        model.card,
    )


def _coarse(upright: CTVolume, manifest: Manifest) -> list[str]:
    """Say where the CT (canonical axes) is coarser than the grid that the network was trained on: small lesions are blurred away."""
    if not any(ct > COARSER * grid for ct, grid in zip(upright.spacing, manifest.spacing_mm, strict=True)):
        return []
    own, trained = (" x ".join(f"{mm:.3g}" for mm in spacing) for spacing in (upright.spacing, manifest.spacing_mm))
    return [
        f"The CT is coarser ({own} mm) than the grid of the model ({trained} mm); small lesions may be missed, so use thinner slices "
        "if there are any."
    ]


def _unsure(report: LesionReport, settings: Settings) -> list[str]:
    """Says what was left out because the network was not sure, so that nobody takes it for searched and clean."""
    volumes_ml = [volume_ml for volume_ml in report.unsure_ml if volume_ml >= TELLING_ML]
    if not volumes_ml:
        return []
    found = f"{len(volumes_ml)} findings were" if len(volumes_ml) > 1 else "1 finding was"
    size = f"the largest of {volumes_ml[0]:.1f} mL" if len(volumes_ml) > 1 else f"{volumes_ml[0]:.1f} mL"
    return [
        f"{found} left out for a confidence below {settings.min_confidence:g} ({size}); lower the confidence threshold to see more."
    ]


class _Clock:
    """Seconds since the last stage ended, by stage name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def stage(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = round(now - self._last, 3)
        self._last = now
