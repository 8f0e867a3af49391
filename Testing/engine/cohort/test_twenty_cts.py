"""Twenty CTs in a batch that is killed three times, with the real engine and a fast model."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.phantom import LesionSpec, PhantomOptions, make_phantom
from result_files import names

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(os.name == "nt", reason="Locks cannot be inherited on Windows."),
]

USABLE, DAMAGED, PATIENTS = 17, 2, 3
KILLED_AFTER = (2, 7, 13)
"""Number of finished CTs at which the batch is killed."""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """17 phantoms of three patients, shifted by a few HU, two damaged files and a ball of water."""
    folder = tmp_path_factory.mktemp("cohort")
    for patient in range(PATIENTS):
        lesion = LesionSpec("solid", 20.0 + 5 * patient, "lung", "left")
        coarse = {"spacing_mm": (4.0, 3.0, 3.0), "height_mm": (-75.0, 30.0)}
        ct = make_phantom(7301 + patient, PhantomOptions(**coarse, lesions=(lesion,), distractors=(), couch="none")).ct
        for number in range(patient, USABLE, PATIENTS):
            write_volume(ct.with_array(ct.array + number), folder / f"ct{number:02}.nii.gz")
    for number in range(DAMAGED):
        whole = (folder / f"ct{number:02}.nii.gz").read_bytes()
        (folder / f"damaged{number}.nii.gz").write_bytes(whole[: len(whole) // 2])
    shape = (30, 60, 60)
    water = np.linalg.norm(np.moveaxis(np.indices(shape), 0, -1) - np.array(shape) / 2, axis=-1) < 14
    write_volume(Volume(np.where(water, 0, -1000).astype(np.int16), ct.affine), folder / "water.nii.gz")
    return folder


def start(cohort: Path, output: Path, model: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "LungTumorSegLib", "batch", str(cohort), "-o", str(output), "--model", str(model)]
    options = ["--workers", "2", "--no-picture", "--threads", "1"]
    return subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def finished(output: Path) -> int:
    return len(list(output.glob("*/summary.json")))


def test_a_batch_killed_three_times_equals_an_undisturbed_one(cohort, a_bright_model, tmp_path):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    run = start(cohort, undisturbed, a_bright_model)
    _, errors = run.communicate(timeout=1200)
    assert run.returncode == 0, errors
    for count in KILLED_AFTER:
        run = start(cohort, killed, a_bright_model)
        while run.poll() is None and finished(killed) < count:
            time.sleep(0.05)
        assert run.poll() is None, "the batch ended before it could be killed"
        run.send_signal(signal.SIGKILL)
        run.communicate()
    run = start(cohort, killed, a_bright_model)
    _, errors = run.communicate(timeout=1200)
    assert run.returncode == 0, errors

    rows = table(killed, "cohort.csv")
    states = [row["state"] for row in rows]
    assert (len(rows), states.count("done"), states.count("refused")) == (20, USABLE, DAMAGED + 1)
    assert all(row["reason"] for row in rows if row["state"] == "refused")
    places = {"result", "path"}
    assert [{k: v for k, v in row.items() if k not in places} for row in rows] == [
        {k: v for k, v in row.items() if k not in places} for row in table(undisturbed, "cohort.csv")
    ]
    assert (killed / "lesions.csv").read_bytes() == (undisturbed / "lesions.csv").read_bytes()
    for result in undisturbed.glob("ct*"):
        again = killed / result.name
        assert names(again) == names(result)
        for name in ("segmentation.seg.nrrd", "lesions.csv", "probability.nrrd"):
            assert (again / name).read_bytes() == (result / name).read_bytes(), (result.name, name)
    assert not list(killed.rglob("*.partial"))
