"""Train the second network of a model: cases, pool, one network per fold, the final network, calibration, model."""

from __future__ import annotations

import copy
import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ...core.complete_files import complete_file
from ...core.events import Progress, ProgressCallback, ignore_progress
from ...core.json_files import write_json
from ...networks.second_network import SecondNetwork
from ...networks.stored import Model, load_model, save_weights
from ...refinement.calibration import TUMOR_LOGIT
from ...report.charts import write_curves
from ...weights.manifest import SECOND_WEIGHTS_FILE, WEIGHTS_FILE, SecondLook, find_model
from ..config import NETWORK
from ..distributed import refuse_several
from ..folds import check_folds, source_of
from ..implants import Nodule
from ..overall_progress import progress_of_equals
from ..preparation import assign_parts, cache_folder
from ..record import LOG
from ..stages import keep_config
from .backgrounds import Background
from .calibration import Judged, fit, judged_candidates, leave_one_source_out, summary
from .cases import LookCase, prepare_cases
from .config import PHANTOM, LookTrainingConfig, read_config
from .loop import LookLoop
from .pool import Pool, fill_pool
from .sampling import Sampler

POOL_VERSION = 3
"""Version of the pool; raise it when a code change would alter a sample."""

FINAL = "second-look"
"""Name of the training on all sources."""

CANDIDATES, CALIBRATION = "candidates.json", "calibration.json"


def train(config_path: Path, on_progress: ProgressCallback = ignore_progress) -> Path:
    """Train a second network as a YAML file says, or resume where an interrupted run stopped.

    Args:
        config_path: The configuration, with a section ``second_look``.
        on_progress: Receives the progress.

    Returns:
        The folder of the finished model, which contains both networks. Beside it lie the log with its curves, the
        candidates of the folds (``candidates.json``) and the summary of the calibration (``calibration.json``).

    Raises:
        UnusableInput: The configuration is wrong or the data cannot be used.
        MachineLimit: A package is missing.
    """
    return run_training(read_config(config_path), on_progress, inputs=(config_path,))


def run_training(
    config: LookTrainingConfig, on_progress: ProgressCallback = ignore_progress, *, inputs: Sequence[Path] = ()
) -> Path:
    """Train as ``train`` does, from a configuration; ``inputs`` are files that must not be replaced."""
    refuse_several("The training of a second network")
    if config.threads:
        torch.set_num_threads(config.threads)
    first, look = load_model(config.second_look.first), config.second_look
    keep_config(config, inputs)
    parts = assign_parts(config.data, config.seed)
    known = {source_of(case.patient, look.sources) for case in parts.training}
    known |= {PHANTOM} if config.data.phantoms.count else set()
    check_folds(look.folds, known, "second_look.folds")
    check_folds([tuple(look.first_by_source)], known, "second_look.first_by_source")
    models = {source: load_model(name) for source, name in look.first_by_source.items()}
    cases = prepare_cases(config, parts.training, parts.nodules, lambda source: models.get(source, first), on_progress)
    pool = _pool(config, cases, parts.nodules, on_progress)
    judged: list[Judged] = []

    def of_all(number: int) -> ProgressCallback:
        return progress_of_equals(number, len(look.folds) + 1, on_progress, stage=f"training {NETWORK}")

    for number, sources in enumerate(look.folds):
        loop = LookLoop(f"fold-{number + 1}", pool, config, left_out=sources, max_minutes=look.fold_max_minutes)
        judged += judge(loop.run(of_all(number)), [case for case in cases if case.source in sources], on_progress)
    network = LookLoop(FINAL, pool, config, max_minutes=look.max_minutes).run(of_all(len(look.folds)))
    output = Path(config.output)
    _write_json(output / CANDIDATES, [dataclasses.asdict(each) for each in judged])
    write_curves(output / LOG, output / "curves.svg")
    trained_on = f"{len(parts.training)} CTs, {config.data.phantoms.count} phantoms, {len(parts.nodules)} nodules"
    return export(network, judged, config, first, trained_on)


def judge(network: SecondNetwork, cases: list[LookCase], on_progress: ProgressCallback) -> list[Judged]:
    """Look at the candidates of cases with a network that was trained without their sources."""
    judged: list[Judged] = []
    for done, case in enumerate(cases):
        on_progress(Progress("looking at candidates", done, len(cases)))
        judged += judged_candidates(network, case)
    return judged


def export(
    network: SecondNetwork, judged: list[Judged], config: LookTrainingConfig, first: Model, trained_on: str
) -> Path:
    """Calibrate the network and write it with the first one to ``<output>/model``.

    The folder is ready for ``lungtumorseg segment --model``. The weights are stored in half precision. The calibration
    of a click uses the second network's logit only, because a click has no other measure.
    """
    names = config.second_look.measures
    calibrations = {"candidate": fit(judged, names), "click": fit(judged, [TUMOR_LOGIT])}
    measured = {
        "candidate": summary(judged, leave_one_source_out(judged, names)),
        "click": summary(judged, leave_one_source_out(judged, [TUMOR_LOGIT])),
    }
    output = Path(config.output)
    _write_json(output / CALIBRATION, measured)
    folder = output / "model"
    folder.mkdir(parents=True, exist_ok=True)
    checksum = save_weights(copy.deepcopy(network).half(), folder / SECOND_WEIGHTS_FILE)
    shutil.copyfile(find_model(config.second_look.first) / WEIGHTS_FILE, folder / WEIGHTS_FILE)
    manifest = dataclasses.replace(
        first.manifest,
        id=output.name,
        training_data=f"{first.manifest.training_data}; second network: {trained_on}",
        second_look=SecondLook(
            config.second_look.width, checksum, **calibrations, outline_logit=config.second_look.outline_logit
        ),
    )
    manifest.write(folder)
    return folder


def _pool(
    config: LookTrainingConfig, cases: list[LookCase], nodules: list[Nodule], on_progress: ProgressCallback
) -> Pool:
    look = config.second_look
    sources = [(case.id, case.source) for case in cases]
    key = [POOL_VERSION, config.seed, dataclasses.asdict(look.sampling), sources, len(nodules)]
    folder = cache_folder(Path(config.data.cache), "look-pool", key)

    def make_sampler() -> Sampler:
        return Sampler([Background(case) for case in cases], nodules, look.sampling)

    return fill_pool(folder, look.samples, config.seed, make_sampler, on_progress)


def _write_json(path: Path, values: Any) -> None:
    with complete_file(path) as unfinished:
        write_json(unfinished, values)
