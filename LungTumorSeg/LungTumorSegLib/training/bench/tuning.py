"""Search for good settings of one entry of a bench with Optuna.

A trial is an ordinary training with other values of the settings in ``tune.ranges``. It trains on all patients but
those of the first two folds and is scored on the second one; the patients of the first fold are never read. The trials
are stored in one file, and a search that was killed continues in the trial, and at the iteration, in which it was.

References:
    Akiba et al. 2019, "Optuna: A next-generation hyperparameter optimization framework", arXiv:1907.10902.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...core.csv_tables import write_table
from ...core.errors import MachineLimit, UnusableInput
from ...core.events import Progress, ProgressCallback, ignore_progress
from ...options import Thresholds
from ...results.folder import check_output, complete_or_nothing
from ...results.replaceable_files import Output
from ..config import TrainingConfig
from ..distributed import refuse_several
from ..overall_progress import progress_within
from ..preparation import PreparedData, prepare_data
from ..settings import merge_settings
from ..splits import PatientNames
from ..stages import check_stages, keep_config, train_on
from ..store import StoredCase
from .config import BenchConfig, EntryConfig, read_bench_config, training_config
from .runs import FOLD_SEED, assign_folds, outside_folds

FOLDER, STUDY, TRIALS = "tuning", "study.db", "trials.csv"
GROUP = "tuning"
SEARCHED = "searched"
"""Key under which the study stores what is searched."""

RESERVED, SCORED = 0, 1
"""The fold that no trial reads, and the fold that scores the trials."""


@dataclass(frozen=True)
class Tuned:
    """The result of a search.

    Attributes:
        settings: The best values by the key of their setting.
        score: Their score: mean 3D Dice, less a penalty for false positives (see ``checkpoint_score``).
        trials: Number of finished trials.
        table: The table of all trials.
    """

    settings: dict[str, float]
    score: float
    trials: int
    table: Path


def run_tuning(config_path: Path, count: int, on_progress: ProgressCallback = ignore_progress) -> Tuned:
    """Run trials until ``count`` are finished, those of earlier calls included.

    Args:
        config_path: The configuration of the bench.
        count: The number of trials.
        on_progress: Receives the progress, in trials.

    Raises:
        UnusableInput: The configuration is wrong, the data cannot be used, or another search has begun there.
        MachineLimit: A package is missing.
    """
    refuse_several("The search for settings (--tune)")
    config = read_bench_config(config_path)
    folder = Path(config.output) / FOLDER
    shared = _trial(config, folder, {})
    output = Output(folder, GROUP, [Path(config_path), *shared.data.paths])
    for end in (0, 1):
        check_stages(_trial(config, folder, {key: ends[end] for key, ends in _ranges(config).items()}))
    check_output(output, {TRIALS})
    study = _study(config, folder)
    data = prepare_data(shared.data, shared.grid, seed=FOLD_SEED, workers=shared.workers + 1, on_progress=on_progress)
    names = PatientNames(config.same_patients)
    folds = assign_folds(data.training, config.folds, names)
    training = outside_folds(data, folds, names, {RESERVED, SCORED})
    scored = [case for case in data.training if folds[names.person(case.patient)] == SCORED]
    while (done := len(_finished(study))) < count:
        number, values = _next_trial(study, config)
        trial = _trial(config, output.folder / f"trial-{number + 1}", values)
        study.tell(number, _score(trial, training, scored, progress_within(done, count, trial, on_progress)))
        with complete_or_nothing(output) as private:
            _write_trials(study, config, private / TRIALS)
    on_progress(Progress("benchmarking", count, count))
    best = study.best_trial
    return Tuned(dict(best.params), float(best.value), done, output.folder / TRIALS)


def _ranges(config: BenchConfig) -> Mapping[str, tuple[float, float]]:
    """Return the ranges to search.

    Raises:
        UnusableInput: There is nothing to search, a range is empty, or there are too few folds.
    """
    ranges = config.tune.ranges
    if not ranges:
        raise UnusableInput(
            "The bench names nothing to tune; add a section tune, such as "
            "tune: {ranges: {network.learning_rate: [0.0003, 0.01]}}."
        )
    for key, (low, high) in ranges.items():
        if low >= high:
            raise UnusableInput(f"tune.ranges: the range of {key} must be [low, high] with low below high.")
    if config.folds <= max(RESERVED, SCORED) + 1:
        raise UnusableInput("Tuning needs 3 or more folds: one is reserved, one scores, and the others train.")
    return ranges


def _trial(config: BenchConfig, output: Path, values: Mapping[str, float]) -> TrainingConfig:
    """Return the training configuration of the tuned entry with other values, whose keys are dotted."""
    name = config.tune.entry or config.baseline
    entry = next((entry for entry in config.entries if entry.name == name), None)
    if entry is None:
        raise UnusableInput(f"tune.entry is {name!r}, but no entry has that name; choose the name of an entry.")
    settings: dict[str, Any] = entry.settings
    for key, value in values.items():
        nested: Any = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        settings = merge_settings(settings, nested)
    return training_config(config, EntryConfig(entry.name, settings), output, config.seeds[0])


def _study(config: BenchConfig, folder: Path) -> Any:
    """Open or create the study in its file.

    Raises:
        UnusableInput: The file belongs to another search.
        MachineLimit: Optuna is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise MachineLimit("Tuning needs Optuna; install the extra: pip install 'lungtumorseg[tune]'.") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    storage = f"sqlite:///{(folder / STUDY).absolute()}"
    study = optuna.create_study(storage=storage, study_name=GROUP, direction="maximize", load_if_exists=True)
    searched = json.dumps([asdict(_trial(config, Path(), {})), dict(_ranges(config)), config.folds], sort_keys=True)
    if study.user_attrs.get(SEARCHED, searched) != searched:
        raise UnusableInput(f"{folder} contains a search with another configuration; choose another output.")
    study.set_user_attr(SEARCHED, searched)
    return study


def _next_trial(study: Any, config: BenchConfig) -> tuple[int, dict[str, float]]:
    """Return number and values of an interrupted trial, or of a new one; values are drawn log-uniformly at first."""
    import optuna

    ranges = _ranges(config)
    for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        if trial.params.keys() == ranges.keys():
            return trial.number, trial.params
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)  # killed before all of its values were stored
    study.sampler = optuna.samplers.TPESampler(seed=FOLD_SEED + len(study.trials))  # a resumed search repeats itself
    new = study.ask({key: optuna.distributions.FloatDistribution(*ends, log=True) for key, ends in ranges.items()})
    return new.number, new.params


def _score(
    trial: TrainingConfig, training: PreparedData, scored: list[StoredCase], on_progress: ProgressCallback
) -> float:
    """Train a trial, or continue it, and return its score."""
    keep_config(trial)
    network, volumes = train_on(trial, training, on_progress)
    return volumes.score(network, scored, Thresholds()).value


def _finished(study: Any) -> list[Any]:
    return [trial for trial in study.trials if trial.value is not None]


def _write_trials(study: Any, config: BenchConfig, path: Path) -> None:
    """Write one row per finished trial, the best one first."""
    keys = list(config.tune.ranges)
    trials = sorted(_finished(study), key=lambda trial: -trial.value)
    rows = ([trial.number + 1, trial.value, *(trial.params[key] for key in keys)] for trial in trials)
    write_table(path, ["trial", "score", *keys], rows)
