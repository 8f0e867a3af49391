"""Small chests, stored cases, a configuration of seconds and a kill for tests of the training."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from LungTumorSegLib.core.volume import CTVolume, Volume
from LungTumorSegLib.training.config import ModelConfig, TrainingConfig
from LungTumorSegLib.training.sampling_config import SamplingConfig
from LungTumorSegLib.training.store import IGNORED, CaseArrays, StoredCase, write_case
from volumes import affine_of

SPACING_MM = (5.0, 6.0, 7.0)
SHAPE = (24, 44, 56)

TOY = TrainingConfig(
    output="",
    device="cpu",
    precision="float32",
    threads=1,
    workers=0,
    model=ModelConfig("sff_multires_unet3d", 4),
    sampling=SamplingConfig(crop=(8, 16, 16), augmentation="none"),
)
"""A training in one process whose steps take a fraction of a second; output, data and stages are the test's."""


class Kill:
    """A progress callback that ends the run at its n-th call."""

    def __init__(self, n: int) -> None:
        """Count from ``n`` down."""
        self.left = n

    def __call__(self, _: object) -> None:
        """Count, and raise KeyboardInterrupt at the n-th call."""
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def log_rows(folder: Path, *, times: bool = False) -> list[dict[str, str]]:
    """Return the rows of a training's log, by default without times, which differ from run to run."""
    with (folder / "log.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if times or not k.startswith("seconds")} for row in csv.DictReader(file)]


def ellipsoid(
    center: Sequence[float],
    radii: Sequence[float],
    shape: Sequence[int] = SHAPE,
    spacing: Sequence[float] = SPACING_MM,
) -> np.ndarray:
    """Return a mask (bool) of an ellipsoid; center and radii are in mm along (slice, row, column)."""
    points = [(np.arange(n) * s - c) / r for n, s, c, r in zip(shape, spacing, center, radii, strict=True)]
    return np.asarray((points[0] ** 2)[:, None, None] + (points[1] ** 2)[:, None] + points[2] ** 2 <= 1)


def a_chest_ct() -> tuple[CTVolume, Volume]:
    """Make a CT and its label.

    The CT has body, bony spine, two lungs, and two lesions: label 1 in the left lung and label 2 in the right lung.
    """
    body = ellipsoid((60, 130, 196), (1e4, 100, 160))
    spine = ellipsoid((60, 205, 196), (1e4, 14, 16))
    right, left = ellipsoid((60, 125, 120), (55, 70, 52)), ellipsoid((60, 125, 272), (55, 70, 52))
    lesions = ellipsoid((60, 125, 280), (16, 16, 16)), ellipsoid((70, 110, 110), (12, 12, 12))
    hu = np.where(body, 40, -1000)
    hu[spine], hu[right | left], hu[lesions[0] | lesions[1]] = 400, -850, 30
    label = lesions[0] * np.uint8(1) + lesions[1] * np.uint8(2)
    affine = affine_of(spacing=SPACING_MM)
    return CTVolume(hu.astype(np.int16), affine), Volume(label, affine)


def a_stored_case(folder: Path, patient: str = "one", *, is_phantom: bool = False, seed: int = 0) -> StoredCase:
    """Write a case with two box-shaped lungs, lesions 1 and 2, and an ignored region.

    The HU are noise around -850 in lung and around 30 elsewhere.
    """
    shape = (14, 40, 48)
    lungs, mask, label = np.zeros(shape, bool), np.zeros(shape, bool), np.zeros(shape, np.uint8)
    mask[1:13, 2:38, 2:46] = True
    lungs[2:12, 5:35, 5:20], lungs[2:12, 5:35, 28:43] = True, True
    label[5:9, 15:22, 8:15], label[4:6, 20:24, 33:37], label[10, 8:11, 30:33] = 1, 2, IGNORED
    rng = np.random.default_rng(seed)
    hu = np.where(lungs & (label == 0), -850, 30) + rng.normal(0, 20, shape)
    hu[~mask] = -1024
    affine = affine_of(spacing=(3.0, 1.5, 1.5))
    return write_case(
        folder, CaseArrays(hu.astype(np.int16), label, mask, lungs), affine, patient=patient, is_phantom=is_phantom
    )


def a_scan_and_a_phantom(folder: Path) -> list[StoredCase]:
    """Return two cases: a real CT of the patient "one", and a phantom."""
    return [
        a_stored_case(folder / "scan", "one"),
        a_stored_case(folder / "phantom", "phantom-1", is_phantom=True, seed=1),
    ]


def toy_bench_base(*, epoch_steps: int) -> dict[str, Any]:
    """Return the common settings of a bench whose trainings take two steps."""
    return {
        "device": "cpu",
        "precision": "float32",
        "workers": 0,
        "model": {"name": "unet3d", "width": 4},
        "sampling": {"crop": [8, 16, 16], "implants": 0},
        "network": {"steps": 2, "epoch_steps": epoch_steps, "batch": 1, "mined_cases": 0, "freeze_norm_at": 1.0},
    }
