"""The training configuration: one YAML file, read into frozen dataclasses; every mistake is reported with its key.

Paths are relative to the folder in which the command is started, so that a shipped configuration fits any checkout.
"""

from __future__ import annotations

import re
from dataclasses import asdict, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, Strict
from pydantic.dataclasses import dataclass

from ..core.errors import UnusableInput
from ..core.texts import quoted
from ..inference.stack_length import STACK_SLICES
from ..weights.manifest import LARGEST_SHIFT
from .data_config import DataConfig, check_data, check_groups
from .lobe_config import LobeConfig, check_lobes
from .sampling_config import SamplingConfig
from .settings import (
    STRICT,
    Batch,
    Count,
    NotNegative,
    Number,
    OpenShare,
    Positive,
    Precision,
    Share,
    SomeOf,
    Spacing,
    Text,
    Threads,
    Whole,
    Width,
    merge_settings,
    read_as,
    require,
    validated_config,
)

Device = Literal["auto", "cpu", "cuda"]
LossName = Literal[
    "bce",
    "weighted_bce",
    "ratio_bce",
    "dice",
    "squared_dice",
    "dice_bce",
    "tversky",
    "weighted_softmax",
    "softmax",
    "multiclass_dice",
]
Schedule = Literal["cosine", "plateau", "falling", "constant"]
LOSSES: tuple[Text, ...] = get_args(LossName)

EXTRACTOR, NETWORK = "extractor", "network"
"""Names of the two stages in checkpoints and log; a chain has the names of its steps instead of the second."""

START_FROM = "start_from"
"""Name of the model before the training, among the networks of a mean."""


@dataclass(frozen=True, config=STRICT)
class ModelConfig:
    """The network to train."""

    name: Text = "sff_multires_unet3d"
    """Name of a network in ``networks.registry``."""
    width: Width = 32
    """Number of filters of the first level; 32 is the published one."""
    variant: Text = "published"
    """Variant of the network: ``published``, ``repository``, ``original`` or ``lobes``; see ``networks.registry``."""
    recurrence: Text = "rows"
    """Axis along which recurrent networks recur: ``rows`` as in the published code, ``slices`` as in the paper."""


@dataclass(frozen=True, config=STRICT)
class GridConfig:
    """The working grid on which the network computes."""

    spacing_mm: tuple[Spacing, Spacing, Spacing] = (3.0, 1.5, 1.5)
    """Spacing along (slice, row, column), mm."""
    window_hu: tuple[Number, Number] = (-1000.0, 400.0)
    """HU window that is mapped to 0 ... 1; air becomes 0."""


@dataclass(frozen=True, config=STRICT)
class LossConfig:
    """A loss of ``losses.py`` with its weights."""

    name: LossName = "dice_bce"
    """Name of the loss."""
    dice_weight: NotNegative = 1.0
    """Weight of the Dice loss that pools the batch (``dice_bce``)."""
    bce_weight: NotNegative = 2.0
    """Weight of the binary cross-entropy (``dice_bce``)."""
    sample_dice_weight: NotNegative = 0.0
    """Weight of the mean Dice loss over single samples (``dice_bce``); small lesions count as much as large ones."""
    favored_epochs: Whole = 0
    """Number of first epochs in which the Dice loss has the weight ``favored_dice_weight`` (seed paper: 50)."""
    favored_dice_weight: NotNegative = 1.0
    """Weight of the Dice loss in these epochs."""
    tversky_alpha: NotNegative = 0.5
    """Weight of false positives (``tversky``)."""
    tversky_beta: NotNegative = 0.5
    """Weight of false negatives (``tversky``)."""


@dataclass(frozen=True, config=STRICT)
class StageConfig:
    """How one network is trained.

    An epoch is ``epoch_steps`` steps. Mining, scoring and checkpoints happen at its end.
    """

    steps: Count = 1000
    """Number of steps of the whole training."""
    epoch_steps: Count = 200
    """Number of steps in an epoch."""
    batch: Batch = 4
    """Number of crops in a batch."""
    learning_rate: Positive = 3e-3
    """Highest learning rate."""
    schedule: Schedule = "cosine"
    """Schedule of the learning rate; see ``schedules``.

    ``cosine``: to 0 at the end. ``plateau``: halved when the loss stops falling, as published for the SFF networks.
    ``falling``: as in TS-FCN. ``constant``: no change.
    """
    warmup_steps: Whole = 100
    """Number of first steps in which the learning rate rises linearly."""
    clip: Positive = 5.0
    """Largest norm of the gradient; longer gradients are scaled down."""
    prior: Annotated[float, Strict(), Field(gt=0, lt=1)] = 0.01
    """Tumor probability that the untrained network predicts; at 0.01 the output bias log(p / (1 - p)) is -4.6."""
    max_minutes: NotNegative = 0.0
    """Wall-clock limit, minutes; 0 is no limit.

    With a limit, the schedule is shortened to end within it. Only without a limit does a resumed run repeat exactly.
    """
    freeze_norm_at: Share = 1.0
    """Share of the training after which batch normalization keeps its statistics; small batches gain from 0.5.

    0 freezes from the first step, for trainings that ``start_from`` a model.
    """
    mine_after: Share = 0.2
    """Share of the training after which hard sites are mined at the end of each epoch."""
    mined_cases: Whole = 6
    """Number of CTs and phantoms that are searched for hard sites (false tumor, missed tumor) per epoch."""
    selection_after: Share = 0.3
    """Share of the training after which checkpoints are scored at the end of each epoch."""
    patience: Whole = 0
    """Number of epochs without a better checkpoint score after which training stops; 0 is never."""
    ema: OpenShare = 0.0
    """Decay of the exponential moving average of the weights, such as 0.999; 0 is no average.

    Averaging begins when batch normalization keeps its statistics. The averaged weights are mined with, selected and
    kept.
    """
    loss: LossConfig = field(default_factory=LossConfig)
    """The loss."""


@dataclass(frozen=True, config=STRICT)
class StepConfig:
    """A step of a chain of trainings: what differs from the settings of the whole configuration."""

    name: Text
    """Name of the step, its checkpoints and its log rows: letters, digits, "-" and "_"."""
    start: Text = ""
    """Earlier step with whose weights this step begins; by default the step before it."""
    mean_of: tuple[Text, ...] = ()
    """Earlier steps whose weights are averaged, or ``start_from``, the model that the training began with.

    Such a step trains nothing. Only steps that continued each other should be averaged. The mean is often more accurate
    than each of them (Wortsman et al. 2022, "Model soups", ICML), and with the model before a further training it keeps
    what that model knew (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", CVPR).
    """
    mean_shares: tuple[Positive, ...] = ()
    """Weight of each network in ``mean_of``; by default all weigh the same."""
    output_logit: Annotated[float, Field(ge=-LARGEST_SHIFT, le=LARGEST_SHIFT)] = 0.0
    """Added to the logit of the output after averaging: a mean of networks is often less sure than each of them."""
    seed: Whole | None = None
    """Seed of the step; by default the seed of the training plus the number of steps before this one."""
    sampling: Annotated[dict[str, Any], SomeOf(SamplingConfig)] = field(default_factory=dict)
    """Settings of ``sampling`` that differ."""
    network: Annotated[dict[str, Any], SomeOf(StageConfig)] = field(default_factory=dict)
    """Settings of ``network`` that differ."""


@dataclass(frozen=True, config=STRICT)
class TrainingConfig:
    """A whole training configuration."""

    output: Text
    """Folder for everything that the training writes."""
    seed: Whole = 1
    """Seed of all random numbers."""
    start_from: Text = ""
    """A model, or its folder, with whose weights the training begins; the 2D stage is then skipped."""
    chain: tuple[StepConfig, ...] = ()
    """Steps that train the network one after the other; the last one is the result. Without steps there is one."""
    device: Device = "auto"
    """``auto``, ``cpu`` or ``cuda``."""
    precision: Precision = "auto"
    """``auto``, ``float32`` or ``bfloat16`` (autocast; the weights stay float32)."""
    threads: Threads = 0
    """Number of CPU threads of the training process; 0 leaves the choice to torch."""
    workers: Annotated[int, Strict(), Field(ge=0, le=1024)] = 1
    """Number of processes that make samples; with 0 the training process makes them."""
    model: ModelConfig = field(default_factory=ModelConfig)
    grid: GridConfig = field(default_factory=GridConfig)
    data: DataConfig = field(default_factory=DataConfig)
    lobes: LobeConfig | None = None
    """Makes this a training of lobes; without this section it is one of tumors."""
    sources: dict[Text, tuple[Text, ...]] = field(default_factory=dict)
    """Patients of one origin, by its name. Other patients are each a source of their own."""
    folds: tuple[tuple[Text, ...], ...] = ()
    """Groups of sources. Before the final network, one is trained without each group and evaluated on its CTs."""
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    extractor: StageConfig | None = None
    """Training of the 2D network whose encoder the SFF networks fuse; leave it out for networks without one."""
    network: StageConfig = field(default_factory=StageConfig)
    """Training of the 3D network."""


def read_config(path: Path) -> TrainingConfig:
    """Return the configuration in a YAML file.

    Raises:
        UnusableInput: The file cannot be read or is not valid; the message names the file, the key and what was
            expected.
        MachineLimit: PyYAML is not installed.
    """
    return read_as(path, config_from_dict)


def config_from_dict(values: Any) -> TrainingConfig:
    """Return a checked configuration from nested mappings; ``dataclasses.asdict`` converts it back.

    Raises:
        UnusableInput: A value is missing, unknown or out of range, or values contradict each other.
    """
    config = validated_config(values, TrainingConfig)
    _check(config)
    return config


def step_config(config: TrainingConfig, number: int) -> TrainingConfig:
    """Return the configuration of one training step of the chain, which has no chain of its own.

    Its ``start_from`` is the name of the step with whose weights it begins; that of the first step is the one of the
    whole configuration.

    Raises:
        UnusableInput: The settings of the step are not valid; the message names the step.
    """
    step = config.chain[number]
    changes: dict[str, Any] = {
        "chain": (),
        "seed": config.seed + number if step.seed is None else step.seed,
        "start_from": step.start or (config.chain[number - 1].name if number else config.start_from),
        "sampling": step.sampling,
        "network": step.network,
    }
    try:
        return config_from_dict(merge_settings(asdict(config), changes))
    except UnusableInput as error:
        raise UnusableInput(f"chain[{number}]: {error}") from error


def _check(config: TrainingConfig) -> None:
    """Check values that are valid on their own but contradict each other."""
    check_data(config.data)
    check_lobes(config)
    require(
        config.grid.window_hu[0] < config.grid.window_hu[1], "grid.window_hu must be a lower and a higher HU value."
    )
    check_groups(config.sources, config.folds)
    if config.chain:
        _check_chain(config)
        return
    slices = config.sampling.crop[0]
    require(
        slices == STACK_SLICES or config.lobes is not None,
        f"sampling.crop[0] must be {STACK_SLICES}, because the network runs on stacks of {STACK_SLICES} slices, "
        f"not {slices}.",
    )
    low, high = config.sampling.appearance.contrast_factor
    require(low <= high, "sampling.appearance.contrast_factor must be a lower and a higher factor.")
    shares = (config.sampling.implants, config.sampling.lesions, config.sampling.lung, config.sampling.hard_sites)
    require(sum(shares) > 0, "At least one of the shares in sampling must be above zero.")
    for name, stage in (("extractor", config.extractor), ("network", config.network)):
        if stage is not None:
            begun = stage.freeze_norm_at > 0 or bool(config.start_from)
            require(begun, f"{name}.freeze_norm_at must be above 0 unless training starts from a model (start_from).")
            frozen = not stage.ema or stage.freeze_norm_at < 1
            require(frozen, f"{name}.freeze_norm_at must be below 1 for {name}.ema, which begins there.")


def _check_chain(config: TrainingConfig) -> None:
    """Check the names that the steps refer to, and the settings of each step.

    Raises:
        UnusableInput: A step is not valid; the message names it.
    """
    earlier: list[str] = []
    for number, step in enumerate(config.chain):
        place = f"chain[{number}]"
        plain = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", step.name)
        require(plain is not None, f"{place}.name must consist of letters, digits, - and _, not {quoted(step.name)}.")
        require(step.name != EXTRACTOR, f"{place}.name must not be {EXTRACTOR}, the name of the 2D stage.")
        require(step.name != START_FROM, f"{place}.name must not be {START_FROM}, the model before the training.")
        known = {name.casefold() for name in earlier}
        require(step.name.casefold() not in known, f"{place}.name {quoted(step.name)} is used twice.")
        of_mean = [name for name in step.mean_of if not (name == START_FROM and config.start_from)]
        for name in (*of_mean, *([step.start] if step.start else [])):
            require(name in earlier, f"{place} refers to {quoted(name)}, which is no earlier step of the chain.")
        _check_mean(step, place)
        if not step.mean_of:
            step_config(config, number)
        earlier.append(step.name)


def _check_mean(step: StepConfig, place: str) -> None:
    trains = bool(step.start or step.sampling or step.network or step.seed is not None)
    averages = bool(step.mean_shares or step.output_logit)
    if step.mean_of:
        require(not trains, f"{place} averages weights (mean_of) and trains nothing; remove its other settings.")
        paired = len(step.mean_shares) in (0, len(step.mean_of))
        require(paired, f"{place}.mean_shares must have one number for each name in mean_of.")
    else:
        require(not averages, f"{place} must have mean_of, or neither mean_shares nor output_logit.")
