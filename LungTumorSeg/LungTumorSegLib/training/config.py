"""The training configuration: one YAML file, read into frozen dataclasses, every mistake named with its place in the file.

Paths are relative to the folder in which the command is started, so that a shipped configuration fits any checkout.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import MachineLimit, UnusableInput

DEFAULT_ROIS = ("GTV-1",)
"""The primary tumor in NSCLC-Radiomics and LOTUS."""


@dataclass(frozen=True)
class ModelConfig:
    """A network of ``networks.registry``."""

    name: str = "sff_multires_unet3d"
    width: int = 32
    variant: str = "published"
    recurrence: str = "rows"


@dataclass(frozen=True)
class GridConfig:
    """The working grid: spacing (slice, row, column) in mm, and the HU window that becomes 0 ... 1 (air becomes 0)."""

    spacing_mm: tuple[float, float, float] = (3.0, 1.5, 1.5)
    window_hu: tuple[float, float] = (-1000.0, 400.0)


@dataclass(frozen=True)
class CaseConfig:
    """One whole CT (an image file or a DICOM folder) with its masks: label maps, segmentations or RTSTRUCT files on its grid.

    ``lesions`` are what the network shall find; voxels of ``ignored`` masks do not count.
    """

    ct: str
    patient: str
    lesions: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()
    """Label values of label maps that count; all above 0 where empty."""
    rois: tuple[str, ...] = DEFAULT_ROIS
    """ROIs of RTSTRUCT files that count."""
    series: str = ""
    """SeriesInstanceUID of the CT, where its folder holds several."""


@dataclass(frozen=True)
class SourceConfig:
    """A data set of labelled CT: see ``datasets``."""

    folder: str
    kind: str
    """``folders`` (images and masks of the same name), ``decathlon`` (dataset.json) or ``rtstruct`` (DICOM, a folder a patient)."""
    images: str = "images"
    masks: str = "masks"
    labels: tuple[int, ...] = ()
    rois: tuple[str, ...] = DEFAULT_ROIS
    patient_pattern: str = ""
    """Regular expression whose first group is the patient in a case's name; all of the name where empty."""


@dataclass(frozen=True)
class PhantomConfig:
    """Procedural chests. Training and held-out seeds are ranges that must not overlap; the held-out ones help to choose checkpoints."""

    count: int = 0
    first_seed: int = 100_000
    held_out: int = 0
    first_held_out_seed: int = 200_000


@dataclass(frozen=True)
class NoduleConfig:
    """A folder of nodule crops (``image`` and ``mask`` below it), implanted into other lungs. Patients in ``left_out`` are not read."""

    folder: str
    left_out: tuple[str, ...] = ()
    min_volume_ml: float = 0.12
    min_voxels: int = 60


@dataclass(frozen=True)
class SplitConfig:
    """Which patients are trained on, which choose between checkpoints, and which are not read: see ``splits``."""

    file: str
    """JSON; drawn at random and written where it is missing, obeyed where it is there."""
    validation_share: float = 0.1
    test_share: float = 0.2
    same_patients: tuple[tuple[str, ...], ...] = ()
    """Groups of names that are one person in several data sets."""


@dataclass(frozen=True)
class DataConfig:
    """``cache`` holds the cases in the working grid; it is rebuilt where a case is missing. Without ``split`` all cases are trained on."""

    cache: str = "training-cache"
    cases: tuple[CaseConfig, ...] = ()
    sources: tuple[SourceConfig, ...] = ()
    split: SplitConfig | None = None
    phantoms: PhantomConfig = field(default_factory=PhantomConfig)
    nodules: NoduleConfig | None = None


@dataclass(frozen=True)
class SamplingConfig:
    """Which crops the network sees. The four shares are normalized to 1."""

    crop: tuple[int, int, int] = (8, 96, 96)
    """(slices, rows, columns); rows and columns multiples of 8."""
    implants: float = 0.50
    lesions: float = 0.15
    lung: float = 0.15
    hard_sites: float = 0.20
    real_nodules: float = 0.40
    """Share of the implants that are real nodules (the rest is procedural)."""
    large: float = 0.22
    """Share of the implants with a radius above 28 mm."""
    small: float = 0.0
    """Share of the implants with a radius below 8 mm, beside those among the rest."""
    extra: float = 0.15
    """Chance of one more small lesion in the lung of any sample, and after each of another; below 1."""
    real_backgrounds: float = 0.6
    """Share of the samples that come from CTs (the rest from phantoms)."""
    augmentation: str = "paper"
    """``paper`` (rotation, flip, elastic deformation, contrast, noise, blur) or ``none``."""


@dataclass(frozen=True)
class LossConfig:
    """A loss of ``losses.py`` and, for ``dice_bce``, its weights."""

    name: str = "dice_bce"
    dice_weight: float = 1.0
    bce_weight: float = 2.0
    sample_dice_weight: float = 0.0
    """Of the mean Dice over single samples, beside the one that pools the batch: there small lesions count as much as large ones."""
    favored_epochs: int = 0
    """In so many first epochs Dice has ``favored_dice_weight`` (seed paper: 50)."""
    favored_dice_weight: float = 1.0
    tversky_alpha: float = 0.5
    tversky_beta: float = 0.5


@dataclass(frozen=True)
class StageConfig:
    """How one network is trained. An epoch is ``epoch_steps`` steps; mining, selection and checkpoints happen at its end."""

    steps: int = 1000
    epoch_steps: int = 200
    batch: int = 4
    learning_rate: float = 3e-3
    schedule: str = "cosine"
    """``cosine`` to 0 at the end; ``plateau`` (halved where the loss stays, as published for the SFF networks); ``falling`` (TS-FCN's);
    ``constant``. See ``schedules``."""
    warmup_steps: int = 100
    clip: float = 5.0
    prior: float = 0.01
    """Tumor probability that the untrained network answers (output bias log(p / (1 - p)) = -4.6)."""
    max_minutes: float = 0.0
    """Wall-clock limit; the schedule is shortened to end within it. 0: none (then a resumed run repeats itself exactly)."""
    freeze_norm_at: float = 1.0
    """Share of the training after which batch normalization keeps its statistics; small batches gain from 0.5. 0: from the first step
    on, for trainings that ``start_from`` a model."""
    mine_after: float = 0.2
    """Share of the training after which hard sites are mined at the end of each epoch."""
    mined_cases: int = 6
    """CTs and phantoms searched for hard sites (false tumor, missed tumor) an epoch."""
    selection_after: float = 0.3
    patience: int = 0
    """Epochs without a better selection score after which training stops; 0: never."""
    loss: LossConfig = field(default_factory=LossConfig)


@dataclass(frozen=True)
class TrainingConfig:
    """All of it. ``extractor`` trains the 2D network whose encoder the SFF networks fuse; leave it out for networks without one."""

    output: str
    seed: int = 1
    start_from: str = ""
    """A model or its folder whose weights the training begins with; then the 2D stage is left out."""
    device: str = "auto"
    precision: str = "auto"
    """``auto``, ``float32`` or ``bfloat16`` (autocast; the weights stay float32)."""
    threads: int = 0
    """CPU threads of the training process; 0 leaves the choice to torch."""
    workers: int = 1
    """Processes that make samples; 0 makes them in the training process."""
    model: ModelConfig = field(default_factory=ModelConfig)
    grid: GridConfig = field(default_factory=GridConfig)
    data: DataConfig = field(default_factory=DataConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    extractor: StageConfig | None = None
    network: StageConfig = field(default_factory=StageConfig)


CHOICES = {
    "device": ("auto", "cpu", "cuda"),
    "precision": ("auto", "float32", "bfloat16"),
    "sampling.augmentation": ("paper", "none"),
}
SOURCE_KINDS = ("folders", "decathlon", "rtstruct")
SCHEDULES = ("cosine", "plateau", "falling", "constant")
LOSSES = ("bce", "weighted_bce", "dice", "squared_dice", "dice_bce", "tversky", "weighted_softmax")


def read_config(path: Path) -> TrainingConfig:
    """The configuration in a YAML file. Raises UnusableInput with file, key and what was expected there."""
    try:
        import yaml
    except ImportError as error:
        raise MachineLimit("Training needs PyYAML; install the extra: pip install 'LungTumorSegLib[train]'.") from error
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableInput(f"The configuration {path} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        raise UnusableInput(f"The configuration {path} is not valid YAML: {' '.join(str(error).split())}.") from error
    try:
        return config_from_dict(values)
    except UnusableInput as error:
        raise UnusableInput(f"{path}: {error}") from error


def config_from_dict(values: Any) -> TrainingConfig:
    """A checked configuration from nested mappings (see ``dataclasses.asdict`` for the way back); raises UnusableInput."""
    config: TrainingConfig = _build(TrainingConfig, values, "")
    _check(config)
    return config


def _build(kind: Any, value: Any, place: str) -> Any:
    """``value`` as the annotated type ``kind``; ``place`` is its dotted key."""
    name = place or "The configuration"
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):  # only Optional[...] occurs here
        return None if value is None else _build(next(a for a in arguments if a is not type(None)), value, place)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _build_section(kind, value, place)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise UnusableInput(f"{name} must be a list, not {value!r}.")
        if arguments[-1] is Ellipsis:
            return tuple(_build(arguments[0], item, f"{place}[{i}]") for i, item in enumerate(value))
        if len(value) != len(arguments):
            raise UnusableInput(f"{name} must have {len(arguments)} values, not {len(value)}.")
        return tuple(_build(a, item, f"{place}[{i}]") for i, (a, item) in enumerate(zip(arguments, value, strict=True)))
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UnusableInput(f"{name} must be of type {kind.__name__}, not {value!r}.")
    return value


def _build_section(kind: type, value: Any, place: str) -> Any:
    name = place or "The configuration"
    if not isinstance(value, Mapping):
        raise UnusableInput(f"{name} must hold named values, not {value!r}.")
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    unknown = [str(key) for key in value if key not in fields]
    if unknown:
        raise UnusableInput(f"{name} has no setting {unknown[0]!r}; it knows {', '.join(fields)}.")
    missing = [
        f.name
        for f in fields.values()
        if f.name not in value and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise UnusableInput(f"{name} lacks the setting {missing[0]!r}.")
    return kind(**{key: _build(hints[key], item, f"{place}.{key}" if place else key) for key, item in value.items()})


def _check(config: TrainingConfig) -> None:
    """Values that are of the right type and still make no sense."""
    for place, choices in CHOICES.items():
        value: Any = config
        for part in place.split("."):
            value = getattr(value, part)
        _require(value in choices, f"{place} must be one of {', '.join(choices)}, not {value!r}.")
    _check_data(config.data)
    _require(min(config.grid.spacing_mm) > 0, "grid.spacing_mm must be above zero along every axis.")
    _require(
        config.grid.window_hu[0] < config.grid.window_hu[1], "grid.window_hu must be a lower and a higher HU value."
    )
    _, rows, columns = config.sampling.crop
    fits = min(config.sampling.crop) >= 1 and rows % 8 == 0 and columns % 8 == 0
    _require(fits, "sampling.crop needs rows and columns that are multiples of 8 (three poolings).")
    shares = (config.sampling.implants, config.sampling.lesions, config.sampling.lung, config.sampling.hard_sites)
    _require(
        min(shares) >= 0 and sum(shares) > 0,
        "The shares in sampling must not be negative, and at least one must be above zero.",
    )
    _require(0 <= config.sampling.extra < 1, "sampling.extra must be at least 0 and below 1.")
    for name, stage in (("extractor", config.extractor), ("network", config.network)):
        if stage is not None:
            _check_stage(name, stage)
            begun = stage.freeze_norm_at > 0 or bool(config.start_from)
            _require(begun, f"{name}.freeze_norm_at must be above 0 where no model is started from.")


def _check_stage(name: str, stage: StageConfig) -> None:
    _require(
        min(stage.steps, stage.epoch_steps, stage.batch) >= 1,
        f"{name} needs steps, epoch_steps and batch of at least 1.",
    )
    _require(stage.learning_rate > 0, f"{name}.learning_rate must be above zero.")
    _require(0 < stage.prior < 1, f"{name}.prior must lie between 0 and 1.")
    _require(
        stage.schedule in SCHEDULES, f"{name}.schedule must be one of {', '.join(SCHEDULES)}, not {stage.schedule!r}."
    )
    _require(
        stage.loss.name in LOSSES, f"{name}.loss.name must be one of {', '.join(LOSSES)}, not {stage.loss.name!r}."
    )


def _check_data(data: DataConfig) -> None:
    for i, source in enumerate(data.sources):
        _require(
            source.kind in SOURCE_KINDS,
            f"data.sources[{i}].kind must be one of {', '.join(SOURCE_KINDS)}, not {source.kind!r}.",
        )
    phantoms = data.phantoms
    first, last = sorted(((phantoms.first_seed, phantoms.count), (phantoms.first_held_out_seed, phantoms.held_out)))
    apart = first[0] + first[1] <= last[0] or min(first[1], last[1]) == 0
    _require(apart, "data.phantoms trains on seeds that are also held out; move first_held_out_seed.")
    if data.split is not None:
        shares = (data.split.validation_share, data.split.test_share)
        _require(
            min(shares) >= 0 and sum(shares) < 1,
            "The shares in data.split must not be negative and must leave patients to train on.",
        )


def _require(fits: bool, message: str) -> None:
    if not fits:
        raise UnusableInput(message)
