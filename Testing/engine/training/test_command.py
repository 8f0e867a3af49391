"""``lungtumorseg train`` as a process: killed without warning and started again, it ends in the same place."""

import json
import os
import subprocess
import sys
import time

import pytest
from LungTumorSegLib.io.images import write_volume
from safetensors.numpy import load_file
from shared_training import free_port, place_of
from training_cases import a_chest_ct, log_rows

CONFIG = """
output: {output}
device: cpu
precision: float32
threads: 1
workers: 1
model: {{name: sff_multires_unet3d, width: 4}}
grid: {{spacing_mm: [6, 5, 5.5]}}
data:
  cache: cache
  sources: [{{kind: folders, folder: set}}]
  split: {{file: split.json}}
sampling: {{crop: [8, 16, 16]}}
extractor: {{steps: 4, epoch_steps: 2, batch: 2}}
network: {{steps: 12, epoch_steps: 3, batch: 2, freeze_norm_at: 0.5, mined_cases: 1}}
"""

LONG, SOON = 300, 60
"""Seconds after which a training, or the end of a killed one, is not awaited any more."""


@pytest.fixture
def folder(tmp_path):
    """A data set of two patients, of whom one chooses the checkpoint, and two configurations that differ in their
    output alone."""
    for kind, volume in zip(("images", "masks"), a_chest_ct(), strict=True):
        (tmp_path / "set" / kind).mkdir(parents=True)
        for patient in ("anna", "ben"):
            write_volume(volume, tmp_path / "set" / kind / f"{patient}.nii.gz")
    (tmp_path / "split.json").write_text(json.dumps({"schema_version": 1, "training": ["anna"], "validation": ["ben"]}))
    for output in ("undisturbed", "killed"):
        (tmp_path / f"{output}.yaml").write_text(CONFIG.format(output=output))
    return tmp_path


def start(folder, name, launcher=(), **places):
    command = [sys.executable, *launcher, "-m", "LungTumorSegLib", "train", f"{name}.yaml"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, env={**os.environ, **places}, **pipes)


def wait_for(folder, pattern, process):
    deadline = time.monotonic() + LONG
    while not any(folder.glob(pattern)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, f"{pattern} did not appear in {folder}"
        time.sleep(0.02)


def kill(process):
    """Kills a training and waits for the end of its workers too, which hold its pipes as long as they live."""
    process.kill()
    process.communicate(timeout=SOON)


@pytest.mark.slow
def test_a_training_that_is_killed_twice_ends_in_the_same_place(folder):
    run = start(folder, "undisturbed")
    out, err = run.communicate(timeout=LONG)
    assert run.returncode == 0, err
    assert "Held-out cases: mean 3D Dice" in out
    for moment in ("extractor-last.safetensors", "network-last.safetensors"):
        run = start(folder, "killed")
        wait_for(folder, f"killed/{moment}", run)
        kill(run)
        assert not (folder / "killed/model").exists()
    run = start(folder, "killed")
    _, err = run.communicate(timeout=LONG)
    assert run.returncode == 0, err
    undisturbed, killed = (load_file(folder / name / "model/model.safetensors") for name in ("undisturbed", "killed"))
    assert all((killed[name] == undisturbed[name]).all() for name in undisturbed)
    measured = [json.loads((folder / name / "held-out/metrics.json").read_text()) for name in ("undisturbed", "killed")]
    assert measured[0] == measured[1]


@pytest.mark.slow
def test_a_training_that_is_killed_while_it_prepares_cases_leaves_no_process_behind(folder):
    run = start(folder, "killed")
    wait_for(folder, "cache/*", run)
    kill(run)


@pytest.mark.slow  # about a minute of an idle machine
def test_a_training_in_two_processes_ends_when_one_is_killed_and_continues_by_torchrun(folder):
    port = free_port()
    first, second = (start(folder, "killed", **place_of(rank, port)) for rank in range(2))
    wait_for(folder, "killed/network-last.safetensors", first)
    kill(second)
    out, err = first.communicate(timeout=SOON)
    assert (first.returncode, out) == (3, "")
    assert err.splitlines()[-1].startswith("Another process of this training ended, so this one ends too;")
    assert not (folder / "killed/model").exists()
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    run = start(folder, "killed", torchrun)
    out, err = run.communicate(timeout=LONG)
    assert run.returncode == 0, err
    assert out.count("Model written to") == 1
    assert [row["step"] for row in log_rows(folder / "killed") if row["loss"]][-1] == "12"


def test_a_wrong_configuration_ends_with_code_2_and_one_sentence(tmp_path, run_here):
    (tmp_path / "wrong.yaml").write_text("output: o\nnetwork: {step: 3}\n")
    code, errors = run_here("train", tmp_path / "wrong.yaml")
    assert code == 2
    assert "network has no setting 'step'" in errors[-1]
