"""From a configuration to prepared cases: make the missing cases of the cache in parallel, then load all cases."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import MachineLimit, UnusableInput
from ..core.events import Progress, ProgressCallback
from ..core.lobes import LobeName
from ..io.images import read_ct
from ..phantom import PhantomOptions, make_phantom
from .config import GridConfig
from .data_config import CaseConfig, DataConfig
from .datasets import find_cases, read_label, read_lobes
from .implants import Nodule
from .lobe_config import LobeConfig
from .nodules import read_nodules
from .phantoms import KINDS
from .splits import PatientNames, check_no_leak, draw_split, read_split, write_split
from .store import StoredCase, load_case, prepare_case
from .workers import ending_pool

STORE_VERSION = 3
"""Version of the cached cases, part of a case's folder name; raise it when a code change would alter a cached case."""


@dataclass(frozen=True)
class PreparedData:
    """The data of a training.

    Attributes:
        training: Cases on which the network is trained.
        held_out: Cases that are used only to choose between checkpoints.
        nodules: Real nodules to implant.
    """

    training: list[StoredCase]
    held_out: list[StoredCase]
    nodules: list[Nodule]


def prepare_data(
    data: DataConfig,
    grid: GridConfig,
    *,
    seed: int,
    workers: int,
    on_progress: ProgressCallback,
    lobes: LobeConfig | None = None,
) -> PreparedData:
    """Add the missing cases to the cache and load all cases.

    Args:
        data: The data configuration.
        grid: The working grid.
        seed: Draws the split, if its file does not exist.
        workers: Number of processes.
        on_progress: Receives the progress in cases.
        lobes: How masks state lobes, in a training of lobes.

    Returns:
        The prepared data.

    Raises:
        UnusableInput: A file cannot be used (the message names it), one patient is in two parts of the split, or no
            case is left to train on.
        MachineLimit: A child process was ended, mostly because there was not enough memory.
    """
    parts = assign_parts(data, seed)
    training = [*jobs_of_cases(parts.training, data, grid, lobes), *jobs_of_phantoms(data, grid, held_out=False)]
    held_out = [*jobs_of_cases(parts.validation, data, grid, lobes), *jobs_of_phantoms(data, grid, held_out=True)]
    if not training:
        raise UnusableInput("There is no case to train on; name cases, sources or phantoms in data.")
    missing = {job.folder: job for job in (*training, *held_out) if not (job.folder / "case.json").is_file()}
    try:
        with ending_pool(workers) as pool:
            futures = [pool.submit(prepare_one, job) for job in missing.values()]
            for done, future in enumerate(as_completed(futures)):
                on_progress(Progress("preparing cases", done, len(futures)))
                future.result()
        on_progress(Progress("preparing cases", len(missing), len(missing)))
    except BrokenProcessPool as error:
        raise MachineLimit(
            "A child process that prepared cases stopped, most likely because memory ran out; set fewer workers."
        ) from error
    return PreparedData(
        [load_case(job.folder) for job in training], [load_case(job.folder) for job in held_out], parts.nodules
    )


@dataclass(frozen=True)
class Parts:
    """Cases and nodules by their use.

    Attributes:
        training: Cases on which the network is trained.
        validation: Cases that choose between checkpoints.
        nodules: Nodules of training patients.
    """

    training: list[CaseConfig]
    validation: list[CaseConfig]
    nodules: list[Nodule]


def assign_parts(data: DataConfig, seed: int) -> Parts:
    """Divide cases and nodules by the split; only nodules of training patients are kept.

    If the split's file does not exist, the function draws a split and writes it.

    Raises:
        UnusableInput: The split cannot be read, has one patient in two parts, or lacks a patient.
    """
    cases = [*data.cases, *(case for source in data.sources for case in find_cases(source))]
    nodules = read_nodules(data.nodules) if data.nodules else []
    if data.split is None:
        return Parts(cases, [], nodules)
    names, path = PatientNames(data.split.same_patients), Path(data.split.file)
    patients = {*(case.patient for case in cases), *(nodule.patient for nodule in nodules)}
    if not path.is_file():
        shares = {"validation_share": data.split.validation_share, "test_share": data.split.test_share}
        write_split(draw_split(patients, seed=seed, names=names, **shares), path)
    split = read_split(path)
    check_no_leak(split, names)
    part = {patient: split.part_of(patient, names) for patient in patients}
    return Parts(
        [case for case in cases if part[case.patient] == "training"],
        [case for case in cases if part[case.patient] == "validation"],
        [nodule for nodule in nodules if part[nodule.patient] == "training"],
    )


@dataclass(frozen=True)
class CaseJob:
    """A case to prepare.

    Attributes:
        folder: Where to store the case.
        source: The files of the case, or the seed of a phantom.
        spacing_mm: Spacing of the working grid (slice, row, column), mm.
        held_out: Whether the phantom is held-out.
        kind: Kind of a training phantom.
        lobes: Values of each lobe in the masks of a CT; None if the masks show lesions.
    """

    folder: Path
    source: CaseConfig | int
    spacing_mm: tuple[float, float, float]
    held_out: bool = False
    kind: str = "plain"
    lobes: Mapping[LobeName, tuple[int, ...]] | None = None


def jobs_of_cases(
    cases: list[CaseConfig], data: DataConfig, grid: GridConfig, lobes: LobeConfig | None = None
) -> Iterator[CaseJob]:
    """Yield how each case of a training on CTs is prepared.

    Args:
        cases: The cases.
        data: Names the cache.
        grid: The working grid.
        lobes: How masks state lobes, in a training of lobes.
    """
    values = None if lobes is None else lobes.values
    for case in cases:
        key = [STORE_VERSION, dataclasses.asdict(case), grid.spacing_mm, *([] if values is None else [values])]
        yield CaseJob(cache_folder(Path(data.cache), case.patient, key), case, grid.spacing_mm, lobes=values)


def jobs_of_phantoms(data: DataConfig, grid: GridConfig, *, held_out: bool) -> Iterator[CaseJob]:
    """Yield how each phantom is prepared: the held-out ones, or those to train on."""
    phantoms = data.phantoms
    first, count = (
        (phantoms.first_held_out_seed, phantoms.held_out) if held_out else (phantoms.first_seed, phantoms.count)
    )
    for seed in range(first, first + count):
        plain = phantoms.kind == "plain" or (held_out and not KINDS[phantoms.kind].lobes)
        drawn = [seed, held_out] if plain else [seed, held_out, phantoms.kind]
        folder = cache_folder(Path(data.cache), f"phantom-{seed}", [STORE_VERSION, drawn, grid.spacing_mm])
        yield CaseJob(folder, seed, grid.spacing_mm, held_out, phantoms.kind)


def cache_folder(cache: Path, name: str, key: object) -> Path:
    """Return a folder of the cache whose name changes with ``key``: everything that would change its content."""
    checksum = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return cache / f"{re.sub(r'[^A-Za-z0-9.-]', '_', name)}-{checksum[:12]}"


def prepare_one(job: CaseJob) -> None:
    """Prepare one case and store it, in a child process.

    Raises:
        UnusableInput: A file of the case cannot be used.
    """
    if isinstance(job.source, CaseConfig):
        ct = read_ct(job.source.ct, series=job.source.series or None)
        label = read_label(job.source, ct) if job.lobes is None else read_lobes(job.source, ct, job.lobes)
        prepare_case(job.folder, ct, label, patient=job.source.patient, spacing_mm=job.spacing_mm)
        return
    seed, kind = job.source, KINDS[job.kind]
    phantom = make_phantom(seed, PhantomOptions() if job.held_out and not kind.lobes else kind.options(seed))
    label = phantom.tumor if phantom.lobes is None else phantom.lobes
    prepare_case(job.folder, phantom.ct, label, patient=f"phantom-{seed}", spacing_mm=job.spacing_mm, is_phantom=True)
