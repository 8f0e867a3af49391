"""Cases of the second network: whole CTs, and what the first network sees in them.

A case is a folder with the CT on its own grid, cropped around the isolation mask (``hu.npy``, int16; ``label.npy`` and
``region.npy``, uint8), and ``case.json``. The file ``scan.npz`` holds the same CT and the maps of the first network on
the working grid, and ``implanted-0.npz`` ... hold copies with implanted lesions. Arrays are (slice, row, column) in
canonical axial order. The folder gets its name when it is complete.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...core.boxes import bounding_box, slices_of, widen_box
from ...core.complete_files import complete_folder
from ...core.events import Progress, ProgressCallback
from ...core.json_files import write_json
from ...core.resampling import resample_separable
from ...core.volume import AIR_HU, HU, Array, CTVolume, Mask, Probability, Volume
from ...inference.device import choose_precision
from ...inference.grid import WorkingGrid, make_working_grid
from ...inference.predictor import predict_maps
from ...io.images import read_ct
from ...isolation import LungIsolation, isolate_lungs
from ...networks.stored import Model
from ...phantom import make_phantom
from ..data_config import CaseConfig
from ..datasets import read_label
from ..folds import source_of
from ..implants import Nodule, Patch, choose_nodule, draw_radius_mm, implant_nodule, implant_procedural
from ..phantoms import SECOND_LOOK
from ..preparation import cache_folder
from ..store import HIGHEST_HU, LUNG_BIT, MASK_BIT, closed_lungs, stored_array
from .config import PHANTOM, LookTrainingConfig

STORE_VERSION = 3
"""Version of the cached cases; raise it when a code change would alter them."""

BODY_BIT = 4
"""Bit of ``region`` for the body, beside those of ``..store``."""

KEPT_AROUND_MM = 40.0
"""Width of the surroundings of the isolation mask that are kept, mm."""

IMPLANTS, TRIES = 9, 60
"""Lesions implanted into a copy of a CT, and number of places tried for them."""

IMPLANT_LARGE, IMPLANT_SMALL, IMPLANT_REAL = 0.12, 0.45, 0.6
"""Shares of these lesions: radius above 28 mm, radius below 8 mm, real nodules."""

FIRST_IMPLANT = 101
"""Label of the first implanted lesion; the labels of a CT's own lesions are lower."""


@dataclass(frozen=True, eq=False)
class Scan:
    """A CT with the maps of the first network, on the working grid.

    Attributes:
        hu: HU, int16, not limited to the isolation mask.
        label: Labels, uint8: 0 background, 1 ... lesions, ``store.IGNORED``.
        region: Bits ``MASK_BIT``, ``LUNG_BIT`` and ``BODY_BIT``, uint8.
        probability: Mean probability across stacks, float32.
        deviation: Standard deviation across stacks, float32.
        affine: 4 x 4, from (slice, row, column) to LPS mm.
    """

    hu: HU
    label: Array
    region: Array
    probability: Probability
    deviation: Array
    affine: Array

    @property
    def lungs(self) -> Mask:
        """Both lungs, bool."""
        return np.asarray((self.region & LUNG_BIT) > 0)

    def volume(self, name: str) -> Volume:
        """Return one of the arrays with its geometry."""
        return Volume(getattr(self, name), self.affine)

    def write(self, path: Path) -> None:
        """Write the scan; the maps keep half precision."""
        half = {name: getattr(self, name).astype(np.float16) for name in ("probability", "deviation")}
        np.savez(path, **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)} | half)

    @classmethod
    def read(cls, path: Path) -> Scan:
        """Return what ``write`` wrote."""
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return cls(**{name: a.astype(np.float32) if a.dtype == np.float16 else a for name, a in arrays.items()})


@dataclass(frozen=True, eq=False)
class LookCase:
    """A prepared case; its arrays stay on disk until they are used.

    Attributes:
        folder: The case's folder.
        source: Where the patient comes from; ``phantom`` for phantoms.
    """

    folder: Path
    source: str

    @property
    def id(self) -> str:
        """Name of the case."""
        return self.folder.name

    @property
    def is_phantom(self) -> bool:
        """Whether the case is a phantom."""
        return self.source == PHANTOM

    @cached_property
    def affine(self) -> Array:
        """4 x 4, from (slice, row, column) of the cropped CT to LPS mm."""
        values = json.loads((self.folder / "case.json").read_text(encoding="utf-8"))
        return np.array(values["affine"])

    @property
    def ct(self) -> Volume:
        """The CT around the isolation mask (int16 HU)."""
        return Volume(stored_array(self.folder, "hu"), self.affine)

    @property
    def label(self) -> Array:
        """Labels on the grid of ``ct``, uint8."""
        return stored_array(self.folder, "label")

    @property
    def region(self) -> Array:
        """Bits ``MASK_BIT``, ``LUNG_BIT`` and ``BODY_BIT`` on the grid of ``ct``, uint8."""
        return stored_array(self.folder, "region")

    @property
    def scan(self) -> Scan:
        """The same CT with the maps of the first network."""
        return Scan.read(self.folder / "scan.npz")

    @property
    def implanted(self) -> Iterator[Scan]:
        """The copies with implanted lesions."""
        return (Scan.read(path) for path in sorted(self.folder.glob("implanted-*.npz")))


def prepare_cases(
    config: LookTrainingConfig,
    cases: list[CaseConfig],
    nodules: list[Nodule],
    model_of: Callable[[str], Model],
    on_progress: ProgressCallback,
) -> list[LookCase]:
    """Add the missing cases to the cache and return all cases.

    Args:
        config: The configuration.
        cases: The real CTs on which the network is trained.
        nodules: Real nodules to implant.
        model_of: Returns the model whose first network finds the candidates of a source.
        on_progress: Receives the progress in cases.

    Returns:
        The real CTs and the phantoms.

    Raises:
        UnusableInput: A file cannot be used; the message names it.
    """
    look, phantoms, cache = config.second_look, config.data.phantoms, Path(config.data.cache)
    copies = [look.implanted_copies, config.seed, len(nodules)]
    jobs: list[tuple[LookCase, CaseConfig | int]] = []

    def add(name: str, source: str, origin: CaseConfig | int, key: list[Any]) -> None:
        settings = [STORE_VERSION, model_of(source).manifest.weights_sha256, look.stride]
        jobs.append((LookCase(cache_folder(cache, f"look-{name}", [settings, *key]), source), origin))

    for case in cases:
        add(case.patient, source_of(case.patient, look.sources), case, [copies, dataclasses.asdict(case)])
    for seed in range(phantoms.first_seed, phantoms.first_seed + phantoms.count):
        add(f"phantom-{seed}", PHANTOM, seed, [seed])
    for done, (prepared, origin) in enumerate(jobs):
        on_progress(Progress("preparing cases", done, len(jobs)))
        model = model_of(prepared.source)
        if not (prepared.folder / "case.json").is_file():
            if isinstance(origin, CaseConfig):
                ct = read_ct(origin.ct, series=origin.series or None)
                write_case(
                    prepared.folder,
                    ct,
                    read_label(origin, ct),
                    model,
                    stride=look.stride,
                    nodules=nodules,
                    copies=copies,
                )
            else:
                phantom = make_phantom(origin, SECOND_LOOK.options(origin))
                write_case(prepared.folder, phantom.ct, phantom.tumor, model, stride=look.stride)
    return [prepared for prepared, _ in jobs]


def write_case(
    folder: Path,
    ct: CTVolume,
    label: Volume,
    model: Model,
    *,
    stride: int,
    nodules: list[Nodule] | None = None,
    copies: list[int] | None = None,
) -> None:
    """Prepare a case and store it; ``folder`` appears when it is complete.

    Args:
        folder: Where to store the case.
        ct: The CT.
        label: Labels on the CT's grid: 0, 1 ... n, ``store.IGNORED``.
        model: The model whose first network finds the candidates.
        stride: Slices from one stack to the next.
        nodules: Real nodules to implant.
        copies: Number of copies with implanted lesions, and more whole numbers that seed them; None for no copies.
    """
    order = ct.canonical_axes()
    ct, label = order.apply(ct), order.apply(label)
    isolation = isolate_lungs(ct)
    grid = make_working_grid(
        isolation.isolated,
        isolation.mask,
        spacing_mm=model.manifest.spacing_mm,
        intensity_range_hu=model.manifest.intensity_range_hu,
    )
    with complete_folder(folder) as unfinished:
        _write_ct(unfinished, ct, label, isolation)
        scan = _scan_of(ct, label, isolation, grid)
        _predicted(scan, grid, model, stride).write(unfinished / "scan.npz")
        for copy in range(copies[0] if copies else 0):
            rng = np.random.default_rng([copy, *(copies or []), *folder.name.encode()])
            implanted = implant_lesions(scan, nodules or [], rng)
            _predicted(implanted, _with_hu(grid, implanted, model), model, stride).write(
                unfinished / f"implanted-{copy}.npz"
            )


def _write_ct(folder: Path, ct: CTVolume, label: Volume, isolation: LungIsolation) -> None:
    """Store the CT on its own grid, cropped around the isolation mask."""
    box = bounding_box(isolation.mask.array)
    if box is None:
        raise ValueError("The isolation mask is empty.")
    box = widen_box(box, [int(KEPT_AROUND_MM / spacing) for spacing in ct.spacing], ct.shape)
    here, affine = slices_of(box), ct.crop(*box).affine
    np.save(folder / "hu.npy", np.clip(ct.array[here], AIR_HU, HIGHEST_HU).astype(np.int16), allow_pickle=False)
    np.save(folder / "label.npy", label.array[here].astype(np.uint8), allow_pickle=False)
    np.save(folder / "region.npy", _bits(isolation.mask.array, *_lungs_and_body(isolation))[here], allow_pickle=False)
    write_json(folder / "case.json", {"affine": affine.tolist()})


def _scan_of(ct: CTVolume, label: Volume, isolation: LungIsolation, grid: WorkingGrid) -> Scan:
    """Return CT, label and region on the working grid; the maps are still empty."""

    def resampled(array: Array, outside: float = 0.0) -> Array:
        return resample_separable(array, start=grid.start, step=grid.step, size=grid.image.shape, outside=outside)

    hu = np.rint(resampled(np.clip(ct.array, AIR_HU, HIGHEST_HU), AIR_HU)).astype(np.int16)
    stored = np.zeros(hu.shape, np.uint8)
    for value in np.unique(label.array[label.array > 0]):
        stored[resampled(label.array == value) > 0.5] = value
    lungs, body = (resampled(mask) > 0.5 for mask in _lungs_and_body(isolation))
    empty = np.zeros(hu.shape, np.float32)
    return Scan(hu, stored, _bits(grid.region.array, lungs, body), empty, empty, grid.image.affine)


def _lungs_and_body(isolation: LungIsolation) -> tuple[Mask, Mask]:
    return isolation.left_lung.array | isolation.right_lung.array, isolation.body.array


def _bits(mask: Mask, lungs: Mask, body: Mask) -> Array:
    return np.asarray(mask * np.uint8(MASK_BIT) + lungs * np.uint8(LUNG_BIT) + body * np.uint8(BODY_BIT))


def _predicted(scan: Scan, grid: WorkingGrid, model: Model, stride: int) -> Scan:
    """Return the scan with the maps of the first network, found in the way of ``segment``."""
    device = torch.device("cpu")
    maps = predict_maps(
        grid,
        model.network,
        stride=stride,
        mirror=model.manifest.mirror,
        closer_above=model.manifest.closer_above,
        device=device,
        precision=choose_precision("auto", device),
    )
    return dataclasses.replace(scan, probability=maps.mean, deviation=maps.deviation())


def _with_hu(grid: WorkingGrid, scan: Scan, model: Model) -> WorkingGrid:
    """Return the working grid with the HU of a scan; outside the isolation mask there is air."""
    low, high = model.manifest.intensity_range_hu
    image = np.where(grid.region.array, (scan.hu.astype(np.float32) - low) / (high - low), 0)
    return dataclasses.replace(grid, image=grid.image.with_array(np.clip(image, 0, 1).astype(np.float32)))


def implant_lesions(scan: Scan, nodules: list[Nodule], rng: np.random.Generator) -> Scan:
    """Return a copy of a scan with up to ``IMPLANTS`` lesions in its lungs, each with a label of its own."""
    hu, label = scan.hu.astype(np.float32), scan.label.copy()
    spacing_mm = scan.volume("hu").spacing
    mask, lungs = (scan.region & MASK_BIT) > 0, closed_lungs(scan.lungs, spacing_mm)
    sites = np.argwhere(lungs & (label == 0))
    number = 0
    for _ in range(TRIES):
        if number == IMPLANTS:
            break
        center, radius = sites[rng.integers(len(sites))], draw_radius_mm(rng, IMPLANT_LARGE, IMPLANT_SMALL)
        half = np.ceil((2.2 * radius + 12) / np.array(spacing_mm)).astype(int)
        low, high = np.maximum(0, center - half), np.minimum(hu.shape, center + half + 1)
        here = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        if (label[here] > 0).any():
            continue
        patch = Patch(hu[here].copy(), np.zeros(hu[here].shape, np.uint8), lungs[here], mask[here], spacing_mm)
        if nodules and rng.random() < IMPLANT_REAL:
            implant_nodule(patch, choose_nodule(nodules, radius, rng), center - low, radius, rng)
        else:
            implant_procedural(patch, center - low, radius, rng)
        hu[here] = patch.hu
        label[here][patch.label > 0] = FIRST_IMPLANT + number
        number += 1
    return dataclasses.replace(scan, hu=np.rint(hu).astype(np.int16), label=label)
