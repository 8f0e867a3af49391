"""From a configuration to prepared cases: what is missing in the cache is made, in parallel, then everything is loaded."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..ct import Volume
from ..errors import UnusableInput
from ..events import Progress, ProgressCallback
from ..io import read_ct, read_volume
from ..phantom import PhantomOptions, make_phantom
from .config import CaseConfig, DataConfig, GridConfig, NoduleConfig
from .implants import Nodule
from .store import IGNORED, StoredCase, load_case, prepare_case

STORE_VERSION = 1
"""Counts changes of the code that would make a cached case differ; part of a case's name."""

TUMOR_FREE_SHARE = 0.15
"""Share of the phantoms without a lesion."""

TRAINING_SPACING_MM = ((2.5, 4.0), (1.3, 1.8))
"""Slice and in-plane spacing of training phantoms: about the working grid's, which is several times faster than a scanner's."""


@dataclass(frozen=True)
class PreparedData:
    """What training works on. ``held_out`` is only looked at to choose between checkpoints."""

    training: list[StoredCase]
    held_out: list[StoredCase]
    nodules: list[Nodule]


def prepare_data(data: DataConfig, grid: GridConfig, workers: int, on_progress: ProgressCallback) -> PreparedData:
    """Fill the cache with what is missing and load it. Raises UnusableInput where a file cannot be used, naming it."""
    training = [*((_case_folder(c, data, grid), c) for c in data.cases), *_phantoms(data, grid, held_out=False)]
    held_out = list(_phantoms(data, grid, held_out=True))
    missing = [(folder, source) for folder, source in [*training, *held_out] if not (folder / "case.json").is_file()]
    jobs = [(folder, source, grid.spacing_mm) for folder, source in missing]
    with ProcessPoolExecutor(max(1, workers), mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [pool.submit(_prepare, *job) for job in jobs]
        for done, future in enumerate(as_completed(futures)):
            on_progress(Progress("preparing cases", done, len(futures)))
            future.result()
    return PreparedData(
        [load_case(folder) for folder, _ in training],
        [load_case(folder) for folder, _ in held_out],
        read_nodules(data.nodules) if data.nodules else [],
    )


def read_nodules(config: NoduleConfig) -> list[Nodule]:
    """The nodule crops of a folder that have a mask; a file name begins with the patient (``LIDC-IDRI-0001_R_1.nii.gz``)."""
    folder = Path(config.folder)
    paths = sorted(path for path in (folder / "image").glob("*.nii.gz") if (folder / "mask" / path.name).is_file())
    if not paths:
        raise UnusableInput(f"There are no nodule crops with masks in {folder}.")
    nodules = []
    for path in paths:
        patient = path.name.split("_")[0]
        if patient in config.left_out:
            continue
        image, mask = read_volume(path), read_volume(folder / "mask" / path.name)
        inside = mask.array > 0
        if inside.sum() >= config.min_voxels and inside.sum() * mask.voxel_volume_ml >= config.min_volume_ml:
            nodules.append(Nodule.from_mask(patient, image.array.astype(np.int16), inside, image.spacing))
    return nodules


def read_label(case: CaseConfig, grid: Volume) -> Volume:
    """The label of a case on its CT's grid: each lesion mask's components of labels 1 ... n, ``IGNORED`` where masks say so."""
    label = np.zeros(grid.shape, np.uint8)
    for path in case.ignored:
        label[_mask(path, grid) > 0] = IGNORED
    number = 0
    for path in case.lesions:
        mask = _mask(path, grid)
        for value in np.unique(mask[mask > 0]):
            if not case.labels or int(value) in case.labels:
                number += 1
                label[mask == value] = number
    return grid.with_array(label)


def _mask(path: str, grid: Volume) -> np.ndarray:
    mask = read_volume(path)
    if not mask.same_grid(grid):
        raise UnusableInput(f"The mask {path} does not lie on its CT's grid; resample it to the CT first.")
    return mask.array


def _case_folder(case: CaseConfig, data: DataConfig, grid: GridConfig) -> Path:
    return _folder(Path(data.cache), case.patient, dataclasses.asdict(case), grid)


def _folder(cache: Path, name: str, source: object, grid: GridConfig) -> Path:
    """A name that changes with everything that would change the case."""
    key = json.dumps([STORE_VERSION, source, grid.spacing_mm], sort_keys=True)
    return cache / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def _phantoms(data: DataConfig, grid: GridConfig, *, held_out: bool) -> Iterator[tuple[Path, tuple[int, bool]]]:
    phantoms = data.phantoms
    first, count = (phantoms.first_held_out_seed, phantoms.held_out) if held_out else (phantoms.first_seed, phantoms.count)
    for seed in range(first, first + count):
        yield _folder(Path(data.cache), f"phantom-{seed}", [seed, held_out], grid), (seed, held_out)


def _prepare(folder: Path, source: CaseConfig | tuple[int, bool], spacing_mm: tuple[float, float, float]) -> None:
    """One case, in a worker process."""
    if isinstance(source, CaseConfig):
        ct = read_ct(source.ct)
        prepare_case(folder, ct, read_label(source, ct), patient=source.patient, spacing_mm=spacing_mm)
        return
    seed, held_out = source
    phantom = make_phantom(seed, PhantomOptions() if held_out else training_phantom_options(seed))
    prepare_case(folder, phantom.ct, phantom.tumor, patient=f"phantom-{seed}", spacing_mm=spacing_mm, is_phantom=True)


def training_phantom_options(seed: int) -> PhantomOptions:
    """Options of a training phantom: spacing near the working grid's, some patients without a lesion, the rest drawn by the phantom."""
    rng = np.random.default_rng([seed, 7])
    (low, high), (fine, coarse) = TRAINING_SPACING_MM
    in_plane = float(rng.uniform(fine, coarse))
    spacing_mm = (float(rng.uniform(low, high)), in_plane, in_plane)
    if rng.random() < TUMOR_FREE_SHARE:
        return PhantomOptions(spacing_mm=spacing_mm, lesions=())
    return PhantomOptions(spacing_mm=spacing_mm)


