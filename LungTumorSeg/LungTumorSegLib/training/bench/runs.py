"""Train and test every entry of a bench on every fold, and write the tables after each run.

A run is one entry, one seed and one fold. Its folder holds an ordinary training, which resumes, and ``result.json``
once the run is complete. A bench that was killed therefore continues where it stopped.

All runs of a fold train on the same patients and are tested on the same others. No test case chooses a checkpoint: the
last weights count.
"""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...core.complete_files import complete_file
from ...core.errors import UnusableInput
from ...core.events import Progress, ProgressCallback, ignore_progress
from ...core.json_files import read_json, reason, write_json
from ...core.peak_memory import forget_peak, peak_bytes
from ...core.volume import Volume
from ...evaluation import evaluate_case
from ...evaluation.cases import row
from ...inference.decision import decide_on_working_grid
from ...inference.device import choose_device
from ...networks.contract import Network
from ...options import Thresholds
from ...results.folder import check_output, complete_or_nothing
from ...results.replaceable_files import Output
from ..config import TrainingConfig
from ..distributed import by_first, connect_processes, first_alone
from ..overall_progress import progress_within
from ..overlays import write_overlay
from ..preparation import PreparedData, prepare_data
from ..record import LOG
from ..splits import PatientNames
from ..stages import check_stages, keep_config, train_on
from ..store import IGNORED, StoredCase
from ..whole_volumes import WholeVolumes
from .config import BenchConfig, read_bench_config, training_config
from .page import PAGE, write_page
from .tables import CASES, STRATA, SUMMARY, write_tables

GROUP = "bench"
RUNS, RESULT, OVERLAY = "runs", "result.json", "overlay.png"
FOLD_SEED = 20
"""Seed of the folds; a bench with other training seeds has the same folds."""


@dataclass(frozen=True)
class Run:
    """One training of a bench.

    Attributes:
        entry: Name of the entry.
        seed: Seed of the training.
        fold: Number of the test fold, from 0.
        config: The training configuration; its output is the run's folder.
    """

    entry: str
    seed: int
    fold: int
    config: TrainingConfig

    @property
    def folder(self) -> Path:
        """Folder of the run."""
        return Path(self.config.output)


def run_bench(config_path: Path, on_progress: ProgressCallback = ignore_progress) -> Path:
    """Run or continue a bench.

    Args:
        config_path: The configuration.
        on_progress: Receives the progress, in runs.

    Returns:
        The page with tables, curves and overlays; the tables lie beside it as CSV files.

    Raises:
        UnusableInput: The configuration is wrong, or the data cannot be used.
        MachineLimit: A package is missing.
    """
    config = read_bench_config(config_path)
    planned = plan(config)
    for run in planned[: len(config.entries)]:  # the other runs differ in seed and fold only
        check_stages(run.config)
    shared = planned[0].config
    output = Output(Path(config.output), GROUP, [Path(config_path), *shared.data.paths])
    with connect_processes(choose_device(shared.device)):
        by_first(lambda: check_output(output, {CASES, SUMMARY, STRATA, PAGE}))
        data = first_alone(
            lambda: prepare_data(
                shared.data, shared.grid, seed=FOLD_SEED, workers=shared.workers + 1, on_progress=on_progress
            )
        )
        _run_all(config, planned, data, output, on_progress)
    on_progress(Progress("benchmarking", len(planned), len(planned)))
    return Path(config.output) / PAGE


def _run_all(
    config: BenchConfig, planned: Sequence[Run], data: PreparedData, output: Output, on_progress: ProgressCallback
) -> None:
    """Perform the runs that are not finished; write tables and page after each run."""
    names = PatientNames(config.same_patients)
    folds = assign_folds(data.training, config.folds, names)
    results: list[dict[str, Any]] = []

    def write() -> None:
        with complete_or_nothing(output) as private:
            write_tables(results, config, private)
            write_page(results, config, [(each.entry, each.folder) for each in planned[: len(results)]], private)

    for done, run in enumerate(planned):
        finished = by_first(lambda run=run: _finished(run))  # type: ignore[misc]
        results.append(
            finished or _perform(run, data, folds, names, progress_within(done, len(planned), run.config, on_progress))
        )
        by_first(write)


def plan(config: BenchConfig) -> list[Run]:
    """Return all runs, one seed and fold of all entries after the other."""
    return [
        Run(
            entry.name,
            seed,
            fold,
            training_config(
                config,
                entry,
                Path(config.output) / RUNS / entry.name.replace(" ", "_") / f"seed-{seed}-fold-{fold + 1}",
                seed,
            ),
        )
        for seed in config.seeds
        for fold in range(config.folds)
        for entry in config.entries
    ]


def assign_folds(cases: Sequence[StoredCase], folds: int, names: PatientNames) -> dict[str, int]:
    """Return the fold of each person, with CTs and phantoms spread evenly.

    Args:
        cases: All cases.
        folds: The number of folds.
        names: Knows which names belong to one person.

    Returns:
        The fold (from 0) by the name of the person.

    Raises:
        UnusableInput: There are fewer persons than folds.
    """
    scans = sorted({names.person(case.patient) for case in cases if not case.is_phantom})
    phantoms = sorted({names.person(case.patient) for case in cases if case.is_phantom} - set(scans))
    if len(scans) + len(phantoms) < folds:
        raise UnusableInput(
            f"{folds} folds need as many patients, but the data have {len(scans) + len(phantoms)}; lower folds or add "
            "cases."
        )
    random = np.random.default_rng(FOLD_SEED)
    order = [group[i] for group in (scans, phantoms) for i in random.permutation(len(group))]
    return {person: place % folds for place, person in enumerate(order)}


def outside_folds(data: PreparedData, folds: dict[str, int], names: PatientNames, left_out: set[int]) -> PreparedData:
    """Return the cases to train on: nothing of a person in one of the folds ``left_out``, and no held-out cases."""
    persons = {person for person, fold in folds.items() if fold in left_out}
    return PreparedData(
        [case for case in data.training if names.person(case.patient) not in persons],
        [],
        [nodule for nodule in data.nodules if names.person(nodule.patient) not in persons],
    )


def _finished(run: Run) -> dict[str, Any] | None:
    """Return the result of a run that is complete, or None."""
    file = run.folder / RESULT
    if not file.is_file():
        return None
    keep_config(run.config)  # refuses a result of another configuration
    try:
        result = read_json(file)
    except (OSError, ValueError) as error:
        raise UnusableInput(f"{file} cannot be read ({reason(error)}); delete it to repeat the run.") from error
    if not isinstance(result, dict):
        raise UnusableInput(f"{file} does not contain the result of a run; delete it to repeat the run.")
    return result


def _perform(
    run: Run, data: PreparedData, folds: dict[str, int], names: PatientNames, on_progress: ProgressCallback
) -> dict[str, Any]:
    """Train and test one run, and write its result."""
    by_first(lambda: keep_config(run.config))
    watched = forget_peak()
    network, volumes = train_on(run.config, outside_folds(data, folds, names, {run.fold}), on_progress)
    memory = peak_bytes() if watched else None
    cases = [case for case in data.training if folds[names.person(case.patient)] == run.fold]
    return by_first(lambda: _tested(network, cases, volumes, run, memory))


def _tested(
    network: Network, cases: Sequence[StoredCase], volumes: WholeVolumes, run: Run, memory: int | None
) -> dict[str, Any]:
    """Test a run, and write its result; ``memory`` is that of its training, bytes, if it is known."""
    result = {
        "entry": run.entry,
        "seed": run.seed,
        "fold": run.fold,
        "network": run.config.model.name,
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        **_effort(run.folder / LOG),
        "training_bytes": memory,
        "cases": [_test(network, case, volumes, run, drawn=case is cases[0]) for case in cases],
    }
    with complete_file(run.folder / RESULT) as unfinished:
        write_json(unfinished, result)
    return result


def _test(network: Network, case: StoredCase, volumes: WholeVolumes, run: Run, *, drawn: bool) -> dict[str, Any]:
    """Return the metrics of one test case; ``drawn`` also writes its overlay."""
    begin = time.perf_counter()
    probability = volumes.probability(network, case)
    seconds = time.perf_counter() - begin
    counts = case.label != IGNORED
    found = decide_on_working_grid(probability * counts, Thresholds())
    truth, affine = Volume(np.where(counts, case.label, 0), np.asarray(case.affine)), np.asarray(case.affine)
    metrics = asdict(row(case.id, evaluate_case(Volume(found, affine), truth)))
    if drawn:
        image = case.working_grid(run.config.grid.window_hu).image
        write_overlay(image.array, truth.array > 0, found, image.spacing, run.folder / OVERLAY)
    return {
        **metrics,
        "patient": case.patient,
        "phantom": case.is_phantom,
        "reference_ml": truth.mask_ml,
        "seconds": seconds,
    }


def _effort(log: Path) -> dict[str, Any]:
    """Return the steps and the seconds of a training, over all of its stages."""
    steps: dict[str, int] = {}
    seconds: dict[str, float] = {}
    with log.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            steps[line["stage"]], seconds[line["stage"]] = int(line["step"]), float(line["seconds"])
    return {"steps": sum(steps.values()), "training_seconds": sum(seconds.values())}
