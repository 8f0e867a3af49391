"""The two stages of the paper (Najeeb & Bhuiyan 2022): the 2D network on slices, then the 3D network with its encoder.

The 2D encoder is frozen during the second stage, which may be a chain of several steps (see ``chain``).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ..core.errors import UnusableInput
from ..core.events import ProgressCallback, ignore_progress
from ..core.json_files import read_json, reason, write_json
from ..core.texts import quoted
from ..inference.device import choose_device, choose_precision
from ..networks import build_network
from ..networks.contract import Network
from ..networks.fusion import FusionNetwork
from ..networks.stored import load_model, save_model
from ..report.charts import write_curves
from ..results.folder import check_output, complete_or_nothing, files_of_group
from ..results.replaceable_files import Output
from ..weights.manifest import Manifest
from .chain import run_steps
from .config import EXTRACTOR, NETWORK, ModelConfig, TrainingConfig, read_config, step_config
from .distributed import by_first, connect_processes, first_alone, own_device, share_of
from .folds import check_folds, leave_out, source_of
from .held_out import FOLDER as HELD_OUT_FOLDER
from .held_out import evaluate_held_out
from .launch import rank
from .lobes import LobeVolumes, evaluate_lobes, volumes_of
from .loop import TrainingLoop
from .overall_progress import progress_within
from .preparation import PreparedData, prepare_data
from .record import LOG
from .second_look.config import LookTrainingConfig
from .settings import WrongConfig
from .store import StoredCase
from .whole_volumes import WholeVolumes

EXTRACTORS = {
    "sff_unet3d": "unet2d",
    "sff_multires_unet3d": "multires_unet2d",
    "sff_recurrent_dense_unet3d": "dense_unet2d",
}
"""The 2D network whose encoder each SFF network fuses."""

TRAINING = "training"
"""Name of the group of the file that shows that a training has begun in a folder."""

TRAINING_FILES = (
    LOG,
    "curves.svg",
    "*.safetensors",
    "model",
    HELD_OUT_FOLDER,
    "fold-*",
    "candidates.json",
    "calibration.json",
)
"""Files and folders that a training writes beside its configuration."""

EXTRACTOR_STREAM = 1
"""Random stream of the samples of the 2D stage."""

FREE_SETTINGS = ("output", "cache", "device", "precision", "threads", "workers", "max_minutes")
"""Settings that may change when a training is resumed: where, how fast and how long it runs.

A change of any other setting would make it a different training.
"""


def train(config_path: Path, on_progress: ProgressCallback = ignore_progress) -> Path:
    """Train as a YAML file says, or resume where an interrupted run stopped.

    On a CPU with the same number of threads, an interrupted run ends with the same weights as an undisturbed one,
    unless ``max_minutes`` limits it. The log, its curves and the evaluation on the held-out cases (see ``held_out``)
    lie beside the model.

    Args:
        config_path: The configuration.
        on_progress: Receives the progress.

    Returns:
        The folder of the finished model.

    Raises:
        UnusableInput: The configuration is wrong or the data cannot be used.
        MachineLimit: A package is missing.
    """
    return run_training(read_config(config_path), on_progress, inputs=(config_path,))


def run_training(
    config: TrainingConfig, on_progress: ProgressCallback = ignore_progress, *, inputs: Sequence[Path] = ()
) -> Path:
    """Train as ``train`` does, from a configuration; ``inputs`` are files that must not be replaced.

    The processes that ``torchrun`` starts train together (see ``distributed``).
    """
    check_stages(config)
    with connect_processes(choose_device(config.device)):
        return _run_training(config, on_progress, inputs)


def _run_training(config: TrainingConfig, on_progress: ProgressCallback, inputs: Sequence[Path]) -> Path:
    by_first(lambda: keep_config(config, inputs))
    output = Path(config.output)
    data = first_alone(
        lambda: prepare_data(
            config.data,
            config.grid,
            seed=config.seed,
            workers=config.workers + 1,
            on_progress=on_progress,
            lobes=config.lobes,
        )
    )
    scans = [case.patient for case in data.training if not case.is_phantom]
    check_folds(config.folds, {source_of(patient, config.sources) for patient in scans}, "folds")

    def of_all(number: int) -> ProgressCallback:
        if not config.folds:
            return on_progress
        return progress_within(number - 1, len(config.folds) + 1, config, on_progress, stage=f"training {NETWORK}")

    for number, fold in enumerate(config.folds, start=1):
        part = dataclasses.replace(config, output=str(output / f"fold-{number}"), folds=())
        by_first(lambda part=part: keep_config(part))  # type: ignore[misc]
        kept, left_out = leave_out(data, fold, config.sources)
        _train_and_evaluate(part, kept, left_out, of_all(number))
    return _train_and_evaluate(config, data, data.held_out, of_all(len(config.folds) + 1))


def _train_and_evaluate(
    config: TrainingConfig, data: PreparedData, tested: list[StoredCase], on_progress: ProgressCallback
) -> Path:
    """Train a network, write its model, and evaluate it on cases that it has not seen; return the model's folder."""
    network, volumes = train_on(config, data, on_progress)

    def finish() -> str:
        model = export(network, config, data)
        if tested and isinstance(volumes, LobeVolumes):
            evaluate_lobes(network, tested, volumes, Path(config.output), on_progress)
        elif tested:
            evaluate_held_out(
                network, tested, config.grid, volumes, output=Path(config.output), on_progress=on_progress
            )
        return str(model)

    return Path(by_first(finish))


def train_on(
    config: TrainingConfig, data: PreparedData, on_progress: ProgressCallback = ignore_progress
) -> tuple[Network, WholeVolumes]:
    """Train a network on prepared data, or resume, and draw its curves.

    Returns:
        The network in evaluation mode, and what predicts whole volumes as the training does.
    """
    if config.threads:
        torch.set_num_threads(config.threads)
    device = own_device(choose_device(config.device))
    precision = choose_precision(config.precision, device)

    def begin(first: TrainingConfig) -> Network:
        return _begin(first, data, device, precision, on_progress)

    network = run_steps(config, data, device=device, precision=precision, begin=begin, on_progress=on_progress)
    output = Path(config.output)
    if rank() == 0:
        write_curves(output / LOG, output / "curves.svg")
    return network, volumes_of(config, device, precision)


def _begin(
    config: TrainingConfig, data: PreparedData, device: torch.device, precision: str, on_progress: ProgressCallback
) -> Network:
    """Return the network at the start of its own training.

    It is new, has a trained 2D encoder, or has the weights of a stored model.
    """
    torch.manual_seed(config.seed)
    network = _new_network(config.model)
    if config.start_from:
        _copy_weights(config.start_from, network)
        return network
    network.set_prior(config.network.prior)
    if isinstance(network, FusionNetwork) and config.extractor is not None:
        extractor = build_network(EXTRACTORS[config.model.name], config.model.width)
        extractor.set_prior(config.extractor.prior)
        loop = TrainingLoop(
            EXTRACTOR,
            EXTRACTOR_STREAM,
            extractor,
            config.extractor,
            config=config,
            data=data,
            volumes=volumes_of(config, device, precision),
            device=device,
            precision=precision,
        )
        network.load_extractor(loop.run(on_progress))
    return network


def check_stages(config: TrainingConfig) -> None:
    """Check that the stages fit the network, and their batches the processes.

    Raises:
        WrongConfig: The network is unknown or not 3D, the stages do not fit it, or a batch cannot be divided.
    """
    if config.chain:
        config = step_config(config, 0)
    for stage, settings in ((EXTRACTOR, config.extractor), (NETWORK, config.network)):
        if settings is not None:
            share_of(settings.batch, f"{stage}.batch")
    name = config.model.name
    try:
        network = _new_network(config.model)
    except UnusableInput as error:
        raise WrongConfig(str(error)) from error
    if network.dims != 3:
        raise WrongConfig(f"model.name must be a 3D network, not {name}; the extractor stage trains 2D networks.")
    if not isinstance(network, FusionNetwork) and config.extractor is not None:
        raise WrongConfig(f"{name} does not fuse 2D features; remove the extractor stage.")
    if isinstance(network, FusionNetwork) and config.extractor is None and not config.start_from:
        raise WrongConfig(
            f"{name} fuses 2D features that must be trained first; add the extractor stage, or set start_from to a "
            "trained model."
        )


def _new_network(model: ModelConfig) -> Network:
    return build_network(model.name, model.width, variant=model.variant, recurrence=model.recurrence)


def _copy_weights(model: str, network: torch.nn.Module) -> None:
    """Give ``network`` the weights of a stored model.

    Raises:
        UnusableInput: The weights belong to another network.
    """
    stored = load_model(model, lobes=True)
    try:
        network.load_state_dict(stored.network.state_dict())
    except RuntimeError as error:
        raise UnusableInput(
            f"start_from: the model {stored.manifest.id} has another network or width than configured; choose a "
            "matching model."
        ) from error


def keep_config(config: TrainingConfig | LookTrainingConfig, inputs: Sequence[Path] = ()) -> None:
    """Write ``config.json`` into the output folder.

    Raises:
        UnusableInput: A training with another configuration has begun there, or the folder contains files that no
            training wrote.
    """
    output, values = Path(config.output), json.loads(json.dumps(dataclasses.asdict(config)))
    file = output / "config.json"
    if any(output.glob("*.safetensors")) and file.is_file():
        change = next(_changes(_earlier_config(file), values), None)
        if change is not None:
            key, before, now = change
            raise UnusableInput(
                f"{output} contains a training run with another configuration ({key} was {quoted(before)}, now "
                f"{quoted(now)}); restore the old value, or choose another output."
            )
    place = Output(output, TRAINING, [*inputs, *config.data.paths])
    check_output(place, {file.name} if files_of_group(output, TRAINING) else {file.name, *TRAINING_FILES})
    with complete_or_nothing(place) as private:
        write_json(private / file.name, values)


def _earlier_config(file: Path) -> dict[str, Any]:
    try:
        values = read_json(file, nan=True)
    except (OSError, ValueError) as error:
        raise UnusableInput(f"{file} cannot be read ({reason(error)}); choose another output.") from error
    if not isinstance(values, dict):
        raise UnusableInput(f"{file} does not contain a training configuration; choose another output.")
    return values


def _changes(before: dict[str, Any], now: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield key, old and new value of the settings in which a training differs from the one that has begun.

    Settings that the earlier file does not know do not count, nor do ``FREE_SETTINGS``, nor further steps at the end of
    a chain.
    """
    old, new = before.get("chain", []), now.get("chain", [])
    if bool(old) != bool(new) or len(old) > len(new):
        first, second = (", ".join(step["name"] for step in steps) for steps in (old, new))
        yield "chain", first, second
    pairs = [("", {**before, "chain": None}, {**now, "chain": None})]
    pairs += [(f"chain[{number}].", *each) for number, each in enumerate(zip(old, new, strict=False))]
    for place, *both in pairs:
        flat, changed = (_flat(each) for each in both)
        for key in dict.fromkeys([*changed, *(flat if place else ())]):
            known = place or key in flat
            if known and flat.get(key) != changed.get(key) and not key.endswith(FREE_SETTINGS):
                yield place + key, flat.get(key), changed.get(key)


def _flat(values: dict[str, Any], place: str = "") -> dict[str, Any]:
    """Return nested settings by their dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{place}{key}.") if isinstance(value, dict) else {place + key: value}
    return flat


def export(network: torch.nn.Module, config: TrainingConfig, data: PreparedData) -> Path:
    """Write weights and manifest of a trained network to ``<output>/model``.

    The folder is ready for ``lungtumorseg segment --model``.
    """
    folder = Path(config.output) / "model"
    manifest = Manifest(
        id=folder.parent.name,
        description=f"{config.model.name}, width {config.model.width}, seed {config.seed}",
        network=config.model.name,
        width=config.model.width,
        variant=config.model.variant,
        recurrence=config.model.recurrence,
        spacing_mm=config.grid.spacing_mm,
        intensity_range_hu=config.grid.window_hu,
        weights_sha256="",
        training_data=f"{sum(not c.is_phantom for c in data.training)} CTs, "
        f"{sum(c.is_phantom for c in data.training)} phantoms, "
        f"{len(data.nodules)} nodules to implant",
    )
    save_model(network, manifest, folder)
    return folder
