"""Twenty CTs, the real engine and a fast model: a batch is killed, a cluster loses a worker, and what a batch costs."""

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


COUNTED = """
import resource, sys
from LungTumorSegLib.cli import main
code = main(sys.argv[1:])
for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
    used = resource.getrusage(who)
    sys.stderr.write(f"\\n{used.ru_utime + used.ru_stime}")
sys.exit(code)
"""
"""Runs a command, and ends stderr with the processor time of its process and of all processes that it started, s."""


@pytest.fixture(scope="module")
def undisturbed(cohort, a_bright_model, tmp_path_factory) -> tuple[Path, float, float]:
    """The folder of a batch that nothing disturbs, its own processor time in seconds, and that of its runs."""
    output = tmp_path_factory.mktemp("undisturbed") / "out"
    arguments = [cohort, "-o", output, *options(a_bright_model, workers=1)]
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, "batch", *map(str, arguments)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    own, of_runs = map(float, done.stderr.split()[-2:])
    return output, own, of_runs


def options(model: Path, **places: object) -> list[str]:
    named = [text for name, value in places.items() for text in (f"--{name}", str(value))]
    return ["--model", str(model), "--no-picture", "--threads", "1", *named]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "LungTumorSegLib", *map(str, arguments)]


def table(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def finished(output: Path) -> int:
    return len(list(output.glob("*/summary.json")))


def check_equal(output: Path, undisturbed: Path) -> None:
    """Check that a cohort is complete, and equal to that of an undisturbed batch."""
    rows = table(output, "cohort.csv")
    states = [row["state"] for row in rows]
    count = USABLE + DAMAGED + 1
    assert (len(rows), states.count("done"), states.count("refused")) == (count, USABLE, DAMAGED + 1)
    assert all(row["reason"] for row in rows if row["state"] == "refused")
    places = {"result", "path"}
    assert [{k: v for k, v in row.items() if k not in places} for row in rows] == [
        {k: v for k, v in row.items() if k not in places} for row in table(undisturbed, "cohort.csv")
    ]
    assert (output / "lesions.csv").read_bytes() == (undisturbed / "lesions.csv").read_bytes()
    for result in undisturbed.glob("ct*"):
        again = output / result.name
        assert names(again) == names(result)
        for name in ("segmentation.seg.nrrd", "lesions.csv", "probability.nrrd"):
            assert (again / name).read_bytes() == (result / name).read_bytes(), (result.name, name)
    assert not list(output.rglob("*.partial"))


def test_a_batch_killed_three_times_equals_an_undisturbed_one(cohort, undisturbed, a_bright_model, tmp_path):
    killed = tmp_path / "killed"
    arguments = command("batch", cohort, "-o", killed, *options(a_bright_model, workers=2))
    for count in KILLED_AFTER:
        run = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while run.poll() is None and finished(killed) < count:
            time.sleep(0.05)
        assert run.poll() is None, "the batch ended before it could be killed"
        run.send_signal(signal.SIGKILL)
        run.communicate()
    subprocess.run(arguments, check=True, capture_output=True, timeout=1200)
    check_equal(killed, undisturbed[0])


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_loses_a_worker_equals_an_undisturbed_batch(cohort, undisturbed, a_bright_model, tmp_path):
    distributed = pytest.importorskip("distributed")
    output = tmp_path / "cluster"
    settings = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**settings, local_directory=str(tmp_path / "dask")) as cluster:
        place = {"scheduler": cluster.scheduler_address}
        run = subprocess.Popen(command("batch", cohort, "-o", output, *options(a_bright_model, **place)))
        while run.poll() is None and finished(output) < KILLED_AFTER[1]:
            time.sleep(0.05)
        busy = next(worker for worker in cluster.scheduler.workers.values() if worker.processing)
        os.kill(cluster.workers[busy.name].pid, signal.SIGKILL)
        assert run.wait(1200) == 0
    check_equal(output, undisturbed[0])


def test_a_batch_takes_little_more_than_its_runs(undisturbed):
    """Processor time, since other programs that run at the same time stretch the time on the clock."""
    _, own, of_runs = undisturbed
    assert own < 0.1 * of_runs, f"{own:.1f} s beside {of_runs:.1f} s"
