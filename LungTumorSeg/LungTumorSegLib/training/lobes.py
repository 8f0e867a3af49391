"""What a training of lobes does unlike one of tumors: samples of whole lungs, whole predictions, Dice by lobe.

PDV-Net sees both lungs at once (Imran et al. 2018, arXiv:1902.06362), because a lobe is known by its place. The lungs
themselves come from lung isolation; the network divides them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ..core.complete_files import complete_file
from ..core.csv_tables import write_table
from ..core.events import Progress, ProgressCallback
from ..core.lobes import LOBES
from ..core.volume import AIR_HU, Array, CTVolume, Volume
from ..evaluation.overlap import dice
from ..inference.device import autocast
from ..inference.grid import WorkingGrid, make_working_grid
from ..isolation import isolate_lungs
from ..networks.contract import ClassNetwork
from ..options import Thresholds
from .appearance import vary_patient, vary_scan
from .augmentation import build_augmentation
from .checkpoint_score import CheckpointScore
from .config import GridConfig, TrainingConfig
from .held_out import FOLDER
from .implants import Patch
from .places import of_either
from .precision import channels_last
from .sampling import gather
from .sampling_config import SamplingConfig
from .store import IGNORED, LUNG_BIT, StoredCase
from .whole_volumes import WholeVolumes

TABLE = "lobes.csv"
SEEN_SHARE = (0.15, 0.85)
"""Range of the share of the slices with lung that a sample of a part of the lungs shows."""


class LobeSampler:
    """Draws samples of whole lungs, or of some of their slices; none is mirrored, because left and right differ."""

    def __init__(self, cases: Sequence[StoredCase], grid: GridConfig, config: SamplingConfig, partial: float) -> None:
        self._grid, self._config, self._partial = grid, config, partial
        self._augment = build_augmentation(config.augmentation, {*config.augmentation_without, "flip"})
        self._scans = [case for case in cases if not case.is_phantom]
        self._phantoms = [case for case in cases if case.is_phantom]

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Draw a sample.

        Returns:
            An image (slices, rows, columns), float32, 0 to 1, and its label, uint8: 0 background, 1 to 5 the lobe in
            ``LOBES``, 255 does not count.
        """
        case = of_either(self._scans, self._phantoms, self._config.real_backgrounds, rng)
        size, shape = np.asarray(self._config.crop), np.asarray(case.hu.shape)
        corner = rng.integers(np.minimum(0, shape - size), np.maximum(0, shape - size), endpoint=True)
        patch = gather(case, corner, size, self._grid.spacing_mm)
        vary_patient(patch, self._config.appearance, rng)
        if rng.random() < self._partial:
            _cut(patch, rng)
        vary_scan(patch, self._config.appearance, rng, isolated=True)
        low, high = self._grid.window_hu
        image = np.clip((patch.hu - low) / (high - low), 0, 1).astype(np.float32)
        return self._augment(image, patch.label, int(rng.integers(2**32)))


def _cut(patch: Patch, rng: np.random.Generator) -> None:
    """Make all slices but some neighboring ones air, as if the CT did not show them."""
    slices = np.flatnonzero(patch.lungs.any(axis=(1, 2)))
    kept = max(1, round(len(slices) * float(rng.uniform(*SEEN_SHARE))))
    first = slices[0] + int(rng.integers(len(slices) - kept + 1)) if len(slices) else 0
    hidden = np.ones(len(patch.hu), bool)
    hidden[first : first + kept] = False
    patch.hu[hidden], patch.label[hidden], patch.lungs[hidden], patch.mask[hidden] = AIR_HU, 0, False, False


class LobeVolumes(WholeVolumes):
    """Predictions of the lobes of whole stored cases."""

    def lobes(self, network: torch.nn.Module, case: StoredCase) -> Array:
        """Return the lobes in the lungs of a case (slice, row, column), uint8, labels as in ``LOBES``."""
        scores = lobe_scores(network, case.working_grid(self._grid.window_hu), self._device, self._precision)
        return np.where((case.region & LUNG_BIT) > 0, 1 + scores.argmax(0), 0).astype(np.uint8)

    def dices(self, network: torch.nn.Module, case: StoredCase) -> dict[str, float]:
        """Return the Dice of each lobe that a case shows."""
        return lobe_dices(self.lobes(network, case), case.label)

    def score(self, network: torch.nn.Module, cases: Sequence[StoredCase], thresholds: Thresholds) -> CheckpointScore:
        """Return the mean Dice over cases and lobes; ``thresholds`` are of no use."""
        found = [dice for case in cases for dice in self.dices(network, case).values()]
        return CheckpointScore(float(np.mean(found)) if found else 0.0, 0.0)


def volumes_of(config: TrainingConfig, device: torch.device, precision: str) -> WholeVolumes:
    """Return what predicts whole volumes in a training: tumors, or lobes."""
    return (WholeVolumes if config.lobes is None else LobeVolumes)(config.grid, device, precision)


def lobe_scores(network: torch.nn.Module, grid: WorkingGrid, device: torch.device, precision: str) -> Array:
    """Return the scores (lobe, slice, row, column) of a network of lobes on a whole working grid, float32.

    Afterwards, the network is in evaluation mode.

    Raises:
        TypeError: The network has no classes.
    """
    if not isinstance(network, ClassNetwork):
        raise TypeError(f"{type(network).__name__} is no network of several classes.")
    stack = channels_last(torch.from_numpy(np.ascontiguousarray(grid.image.array))[None, None].to(device))
    with torch.no_grad(), autocast(device, precision):
        scores = network.eval().class_scores(stack)[0, 1:]
    return np.asarray(scores.float().cpu().numpy())


def find_lobes(network: torch.nn.Module, ct: CTVolume, grid: GridConfig) -> Volume:
    """Divide the lungs of a CT, computing on the CPU.

    Args:
        network: A trained network of lobes.
        ct: The CT.
        grid: The working grid of the network.

    Returns:
        uint8 on the CT's grid, the number of the lobe in ``LOBES``, counted from 1; 0 outside the lungs.

    Raises:
        UnusableInput: The lungs cannot be isolated.
    """
    order = ct.canonical_axes()
    isolation = isolate_lungs(ct).reordered(order)
    working = make_working_grid(
        isolation.isolated, isolation.mask, spacing_mm=grid.spacing_mm, intensity_range_hu=grid.window_hu
    )
    scores = lobe_scores(network, working, torch.device("cpu"), "float32")
    scores -= scores.min()  # outside the working grid, the maps are 0
    found, best = np.zeros(isolation.ct.shape, np.uint8), np.full(isolation.ct.shape, -1.0, np.float32)
    for label, score in enumerate(scores, start=1):
        here = np.asarray(working.carry_back(score).array)
        found[here > best], best = label, np.maximum(here, best)
    return order.undo(Volume(np.where(isolation.lungs.array, found, 0).astype(np.uint8), isolation.ct.affine))


def lobe_dices(found: Array, truth: Array) -> dict[str, float]:
    """Return the Dice of each lobe that ``truth`` shows, by its name.

    Args:
        found: The found lobes (slice, row, column), labels as in ``LOBES`` counted from 1, 0 elsewhere.
        truth: The true lobes in the same form; voxels that are ``IGNORED`` there do not count.
    """
    counted = np.where(truth == IGNORED, 0, found)
    return {
        name: dice(counted == label, truth == label)
        for label, name in enumerate(LOBES, start=1)
        if (truth == label).any()
    }


def evaluate_lobes(
    network: torch.nn.Module,
    cases: Sequence[StoredCase],
    volumes: LobeVolumes,
    output: Path,
    on_progress: ProgressCallback,
) -> None:
    """Write the Dice of each lobe of the held-out cases, and the means, to ``output``/held-out/lobes.csv."""
    rows: list[list[object]] = []
    for done, case in enumerate(cases):
        on_progress(Progress("evaluating held-out cases", done, len(cases)))
        dices = volumes.dices(network, case)
        rows.append([case.id, *(dices.get(name) for name in LOBES)])
    means = [[row[place] for row in rows if row[place] is not None] for place in range(1, len(LOBES) + 1)]
    rows.append(["mean", *(float(np.mean(each)) if each else None for each in means)])  # type: ignore[arg-type]
    (output / FOLDER).mkdir(parents=True, exist_ok=True)
    with complete_file(output / FOLDER / TABLE) as unfinished:
        write_table(unfinished, ("case", *LOBES), rows)
    on_progress(Progress("evaluating held-out cases", len(cases), len(cases)))
