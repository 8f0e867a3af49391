"""The configuration of a training of the second network; ``..config`` says how configurations are read."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from ...core.texts import quoted
from ...options import DEFAULT_MODEL
from ...weights.manifest import LARGEST_SHIFT
from ..data_config import DataConfig, check_data, check_groups
from ..settings import (
    STRICT,
    Batch,
    Count,
    NotNegative,
    OpenShare,
    Positive,
    Precision,
    Share,
    Stride,
    Text,
    Threads,
    Whole,
    Width,
    read_as,
    require,
    validated_config,
)

Measure = Literal[
    "tumor_logit",
    "log_core_ml",
    "confidence",
    "wide_probability",
    "aerated_share",
    "in_lung",
    "contrast_hu",
    "mean_hu",
    "bright_share",
]
"""The second network's logit, and the measures of ``refinement.measures``."""

PHANTOM = "phantom"
"""Source of all phantoms."""


@dataclass(frozen=True, config=STRICT)
class LookSamplingConfig:
    """What the second network sees. The four shares ``implants`` to ``anywhere`` are normalized to a sum of 1."""

    implants: NotNegative = 0.42
    """Share of the samples with an implanted lesion."""
    lesions: NotNegative = 0.10
    """Share of the samples of a labeled lesion."""
    false_positives: NotNegative = 0.24
    """Share of the samples of what the first network suspects outside all lesions."""
    anywhere: NotNegative = 0.24
    """Share of the samples at a random place of the chest."""
    real_nodules: Share = 0.6
    """Share of the implants that are real nodules; the others are procedural."""
    large: Share = 0.15
    """Share of the implants with a radius above 28 mm."""
    small: Share = 0.45
    """Share of the implants with a radius below 8 mm, in addition to those among the others."""
    border: Share = 0.45
    """Share of the implants at the border of the lung."""
    real_backgrounds: Share = 0.6
    """Share of the samples from real CTs; the others come from phantoms."""
    real_false_positives: Share = 0.7
    """The same share among the samples of ``false_positives``."""


@dataclass(frozen=True, config=STRICT)
class LookConfig:
    """How the second network is trained and its answers are calibrated."""

    first: Text = DEFAULT_MODEL
    """The model, or its folder, whose first network finds the candidates; the result is a copy with both networks."""
    first_by_source: dict[Text, Text] = field(default_factory=dict)
    """Other models that find the candidates of single sources, by the name of the source.

    A first network reports few false positives in CTs that it was trained on, and they are easy ones. Where another
    first network has not seen a source, candidates are as in new CTs.
    """
    stride: Stride = 4
    """Slices from one stack to the next when the first network finds the candidates."""
    width: Width = 8
    """Number of filters of the first level."""
    samples: Count = 10_240
    """Number of samples in the pool, which is made once and then read by every training."""
    steps: Count = 100_000
    """Number of steps of each training."""
    batch: Batch = 8
    """Number of samples in a batch."""
    learning_rate: Positive = 2.5e-3
    """Highest learning rate, which falls to 0 along a cosine."""
    warmup_steps: Whole = 40
    """Number of first steps in which the learning rate rises linearly."""
    weight_decay: NotNegative = 1e-3
    """Weight decay of AdamW."""
    clip: Positive = 5.0
    """Largest norm of the gradient; longer gradients are scaled down."""
    varied: bool = False
    """Whether samples are turned, stretched and restyled each time, so that few CTs are not learned by heart."""
    ema: OpenShare = 0.0
    """Decay of the exponential moving average of the weights, which is what the training returns; 0 is no average."""
    max_minutes: NotNegative = 0.0
    """Wall-clock limit of the training on all sources, minutes; 0 is no limit.

    With a limit, the schedule is shortened to end within it. Only without a limit does a resumed run repeat exactly.
    """
    fold_max_minutes: NotNegative = 0.0
    """Wall-clock limit of the training of each fold, minutes; 0 is no limit."""
    sources: dict[Text, tuple[Text, ...]] = field(default_factory=dict)
    """Patients of one origin, by its name. Other patients are each a source of their own; phantoms are ``phantom``."""
    folds: tuple[tuple[Text, ...], ...] = ()
    """Groups of sources. One network per group is trained without them; its answers on them calibrate the result."""
    implanted_copies: Whole = 2
    """Number of copies of each real CT with implanted lesions, whose candidates calibrate the result too."""
    outline_logit: Annotated[float, Field(ge=-LARGEST_SHIFT, le=LARGEST_SHIFT)] = 0.0
    """Added to the logit of a voxel being inside the lesion, in the finished model. Choose it on left-out sources."""
    measures: Annotated[tuple[Measure, ...], Field(min_length=1)] = ("tumor_logit", "confidence")
    """Measures of a candidate that the calibration uses; see ``refinement.measures``."""
    sampling: LookSamplingConfig = field(default_factory=LookSamplingConfig)


@dataclass(frozen=True, config=STRICT)
class LookTrainingConfig:
    """A whole configuration of a training of the second network."""

    output: Text
    """Folder for everything that the training writes, except cases and samples."""
    second_look: LookConfig
    """The second network. This section tells the configuration from one of a first network."""
    seed: Whole = 1
    """Seed of all random numbers."""
    precision: Precision = "auto"
    """``auto``, ``float32`` or ``bfloat16`` (autocast; the weights stay float32)."""
    threads: Threads = 0
    """Number of CPU threads; 0 leaves the choice to torch."""
    data: DataConfig = field(default_factory=DataConfig)
    """The training data. Held-out phantoms and patients for validation are not used."""


def read_config(path: Path) -> LookTrainingConfig:
    """Return the configuration in a YAML file.

    Raises:
        UnusableInput: The file cannot be read or is not valid; the message names the file, the key and what was
            expected.
        MachineLimit: PyYAML is not installed.
    """
    return read_as(path, config_from_dict)


def config_from_dict(values: Any) -> LookTrainingConfig:
    """Return a checked configuration from nested mappings; ``dataclasses.asdict`` converts it back.

    Raises:
        UnusableInput: A value is missing, unknown or out of range, or values contradict each other.
    """
    config = validated_config(values, LookTrainingConfig)
    check_data(config.data)
    look, shares = config.second_look, config.second_look.sampling
    require(
        shares.implants + shares.lesions + shares.false_positives + shares.anywhere > 0,
        "At least one of the shares in second_look.sampling must be above zero.",
    )
    require(shares.large + shares.small <= 1, "The shares large and small in second_look.sampling exceed 1 together.")
    left_out = {source for fold in look.folds for source in fold}
    require(len(left_out) > 1, "second_look.folds must name at least two sources; the calibration needs them.")
    check_groups(look.sources, look.folds, "second_look.")
    require(PHANTOM not in look.sources, f"second_look.sources must not contain the name {quoted(PHANTOM)}.")
    return config
