"""The main job: from a CT to measured lung tumors, as a sequence of calls."""

from __future__ import annotations

import time
from dataclasses import dataclass

from .core.errors import UnusableInput
from .core.events import Progress, ProgressCallback, ignore_progress
from .core.volume import CTVolume, Volume
from .inference.decision import Thresholds, decide
from .inference.grid import make_working_grid
from .inference.stacks import check_stride
from .isolation import LungIsolation, isolate_lungs
from .lesions import LesionReport, report_lesions
from .networks.stored import load_model
from .weights.manifest import DEFAULT_MODEL, Manifest

TELLING_ML = 0.5
"""What is left out for its low confidence is told from this volume on, a ball of 10 mm; smaller is often noise."""


@dataclass(frozen=True)
class SegmentOptions:
    """What a user may choose; None means the manifest's value. Raises UnusableInput for values out of range.

    ``device``: auto, cpu, cuda; ``precision``: auto, float32, bfloat16.
    """

    model: str = DEFAULT_MODEL
    device: str = "auto"
    precision: str = "auto"
    stride: int | None = None
    thresholds: Thresholds | None = None
    min_lesion_ml: float | None = None
    min_confidence: float | None = None
    mirror: bool | None = None

    def __post_init__(self) -> None:
        if self.stride is not None:
            check_stride(self.stride)
        if self.min_lesion_ml is not None and not 0 <= self.min_lesion_ml < float("inf"):
            raise UnusableInput(f"The smallest lesion must be 0 mL or more, not {self.min_lesion_ml}.")
        if self.min_confidence is not None and not 0 <= self.min_confidence <= 1:
            raise UnusableInput(f"The least confidence must lie between 0 and 1; {self.min_confidence} does not.")

    def settled(self, manifest: Manifest) -> Settings:
        """These choices with the manifest's values where none were made."""
        return Settings(
            manifest.id,
            self.device,
            self.precision,
            manifest.stride if self.stride is None else self.stride,
            manifest.thresholds if self.thresholds is None else self.thresholds,
            manifest.min_lesion_ml if self.min_lesion_ml is None else self.min_lesion_ml,
            manifest.min_confidence if self.min_confidence is None else self.min_confidence,
            manifest.mirror if self.mirror is None else self.mirror,
        )


@dataclass(frozen=True)
class Settings:
    """``SegmentOptions`` with nothing left open: what a run really used."""

    model: str
    device: str
    precision: str
    stride: int
    thresholds: Thresholds
    min_lesion_ml: float
    min_confidence: float
    mirror: bool

    @property
    def in_words(self) -> str:
        """For the report: which model found the lesions, and with which numbers."""
        mirrored = ", each stack mirrored as well" if self.mirror else ""
        limits = f"lesions from {self.min_lesion_ml:g} mL and a confidence of {self.min_confidence:g} on"
        return (
            f"{self.model} (slice threshold {self.thresholds.gate:g}, voxel threshold {self.thresholds.voxel:g}, "
            f"stride {self.stride}{mirrored}; {limits})"
        )


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


def segment(
    ct: CTVolume, options: SegmentOptions | None = None, on_progress: ProgressCallback = ignore_progress
) -> SegmentResult:
    """Finds and measures the lung tumors of ``ct``.

    Raises UnusableInput for a CT without enough lung or unusable options, MachineLimit where memory, device, weights or a package fail,
    and whatever ``on_progress`` raises to cancel.
    """
    clock = _Clock()
    options = options or SegmentOptions()
    model = load_model(options.model)
    settings = options.settled(model.manifest)
    from .inference.predictor import choose_device, choose_precision, predict_maps  # torch: only where networks run

    device = choose_device(settings.device)
    precision = choose_precision(settings.precision, device)
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
        (*ct.warnings, *isolation.warnings, *_unsure(report, settings)),
        clock.seconds,
        model.card,
    )


def _unsure(report: LesionReport, settings: Settings) -> list[str]:
    """Says what was left out because the network was not sure, so that nobody takes it for searched and clean."""
    volumes_ml = [volume_ml for volume_ml in report.unsure_ml if volume_ml >= TELLING_ML]
    if not volumes_ml:
        return []
    found = f"{len(volumes_ml)} findings were" if len(volumes_ml) > 1 else "1 finding was"
    size = f"the largest of {volumes_ml[0]:.1f} mL" if len(volumes_ml) > 1 else f"{volumes_ml[0]:.1f} mL"
    return [
        f"{found} left out for a confidence below {settings.min_confidence:g} ({size}); lower the least confidence to see more."
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
