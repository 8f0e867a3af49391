"""The configuration of a bench: one training configuration, and a list of what differs from it."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, Strict
from pydantic.dataclasses import dataclass

from ...core.errors import UnusableInput
from ...core.texts import quoted
from ..config import TrainingConfig, config_from_dict
from ..settings import STRICT, Positive, Text, Whole, merge_settings, read_as, validated_config

OWN_SETTINGS = ("output", "seed")
"""Settings of a training that the bench sets itself."""


@dataclass(frozen=True, config=STRICT)
class EntryConfig:
    """One network, or one way to train it."""

    name: Text
    """Name in the tables; also a folder's name, so letters, digits, "-", "_", "+" and spaces only."""
    settings: dict[str, Any] = field(default_factory=dict)
    """What differs from ``base``, nested like a training configuration; null removes a section."""


@dataclass(frozen=True, config=STRICT)
class TuneConfig:
    """What ``--tune`` searches; see ``tuning``."""

    entry: Text = ""
    """Name of the entry whose settings are tuned; by default the baseline."""
    ranges: dict[Text, tuple[Positive, Positive]] = field(default_factory=dict)
    """Lowest and highest value by setting, such as {network.learning_rate: [0.0003, 0.01]}; searched on a log scale."""


@dataclass(frozen=True, config=STRICT)
class BenchConfig:
    """A whole bench."""

    output: Text
    """Folder for everything that the bench writes."""
    baseline: Text
    """Name of the entry with which all others are compared."""
    base: dict[str, Any]
    """A training configuration without ``output`` and ``seed``; all entries share its data and its grid."""
    entries: tuple[EntryConfig, ...]
    """What is compared."""
    folds: Annotated[int, Strict(), Field(ge=2, le=100)] = 3
    """Number of parts into which the patients are divided; each part is the test set once."""
    seeds: tuple[Whole, ...] = (1,)
    """Seeds; each entry is trained once per seed and fold."""
    same_patients: tuple[tuple[Text, ...], ...] = ()
    """Groups of names that belong to one person in several data sets."""
    strata: dict[Text, dict[Text, tuple[Text, ...]]] = field(default_factory=dict)
    """Groups of patients to be reported apart, such as {slice thickness: {thin: [anna], thick: [ben]}}."""
    tune: TuneConfig = field(default_factory=TuneConfig)
    """What ``--tune`` searches."""


def read_bench_config(path: Path) -> BenchConfig:
    """Return the bench configuration in a YAML file.

    Raises:
        UnusableInput: The file cannot be read or is not valid; the message names the file and the key.
        MachineLimit: PyYAML is not installed.
    """
    return read_as(path, bench_config_from_dict)


def bench_config_from_dict(values: Any) -> BenchConfig:
    """Return a checked bench configuration from nested mappings.

    Raises:
        UnusableInput: A value is missing, unknown or out of range, or the entries cannot be compared.
    """
    config = validated_config(values, BenchConfig)
    names = [entry.name for entry in config.entries]
    for name in names:
        if not name.strip() or not all(sign.isalnum() or sign in "-_+ " for sign in name):
            raise UnusableInput(f"The entry name {quoted(name)} must consist of letters, digits, -, _, + and spaces.")
    if len({name.casefold() for name in names}) < len(names):
        raise UnusableInput("Two entries have the same name; give each entry its own.")
    if config.baseline not in names:
        raise UnusableInput(
            f"baseline is {quoted(config.baseline)}, but no entry has that name; the entries are {', '.join(names)}."
        )
    if not config.seeds or len(set(config.seeds)) < len(config.seeds):
        raise UnusableInput("seeds must be one or more different numbers.")
    trainings = {entry.name: training_config(config, entry, Path(), config.seeds[0]) for entry in config.entries}
    first = trainings[config.baseline]
    for name, training in trainings.items():
        if (training.data, training.grid) != (first.data, first.grid):
            raise UnusableInput(f"The entry {quoted(name)} changes data or grid, which all entries must share.")
    if any(training.lobes is not None for training in trainings.values()):
        raise UnusableInput("A bench compares networks that find tumors; remove lobes, and train lobes by themselves.")
    if first.data.split is not None or first.data.phantoms.held_out:
        raise UnusableInput("A bench draws its own folds; remove data.split and data.phantoms.held_out from base.")
    return config


def training_config(config: BenchConfig, entry: EntryConfig, output: Path, seed: int) -> TrainingConfig:
    """Return the training configuration of an entry.

    Raises:
        UnusableInput: The settings are not valid; the message names the entry.
    """
    for place, values in (("base", config.base), (f"The entry {entry.name}", entry.settings)):
        if own := [name for name in OWN_SETTINGS if name in values]:
            raise UnusableInput(f"{place} must not set {own[0]}; the bench sets it.")
    try:
        return config_from_dict({**merge_settings(config.base, entry.settings), "output": str(output), "seed": seed})
    except UnusableInput as error:
        raise UnusableInput(f"The entry {quoted(entry.name)}: {error}") from error
