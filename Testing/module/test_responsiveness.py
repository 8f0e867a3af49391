"""Slicer's window stays responsive: at startup, during a run with a full-size CT, and while a result is loaded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import slicer
from heartbeat import Heartbeat
from LungTumorSegLib.core.surfaces import surface_of, write_surface
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.correction.measuring import SnapshotMeasurement
from LungTumorSegLib.io.nrrd import write_nrrd
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml.followup_display import show_comparison
from LungTumorSegLib.mrml.live_table import LiveTable
from LungTumorSegLib.mrml.segments import set_mask
from LungTumorSegLib.results.reader import read_run

from .conftest import MODULE_FILE, add_volume, process_until, write_results

LONGEST_BLOCK_SECONDS = 0.2
"""A delay that a person does not notice.

A slower computer may need longer for everything. The limits below are therefore shares of the time for another task,
which reveal a copy or a wait in Slicer's main thread on any computer."""

BLOCK_SHARE = 0.5
"""Limit of the longest block, as a share of the time to write the volume, for computers that write slowly."""

IDLE_BEATS, IDLE_FACTOR = 100, 3.0
"""Limit of the longest block, as a multiple of the longest block without a run, for computers that are busy.

The longest block without a run is measured over this number of timer intervals."""

START_SHARE = 0.25
"""Limit of the import time of the module, as a share of the processor time to load Slicer's own libraries.

The measured value was 0.06 (0.07 s of 1.1 s)."""

LOADING_SHARE = 5.0
"""Limit of the time to load a result, as a multiple of the time in which Slicer reads the segmentation file.

The measured value was 1.6 (0.16 s). It was 20 when Slicer had to compute the surfaces, and 13 with a copy of the
probability map and its histogram."""

STROKE_SHARE = 0.25
"""Limit of the time to measure an edited lesion, as a share of the time to measure everything.

The same limit applies to the part that runs in the main thread. The measured values were 0.02 and 0.005 (0.03 s and
0.01 s of 2 s, for 512 x 512 x 300 voxels)."""

TRIES = 4

START = """
import sys, time
sys.path[:0] = [{testing!r}, {module!r}]
from pathlib import Path
from stand_in import application
application.install(Path({temporary!r}))
import qt, vtk, numpy, vtk.util.numpy_support  # loaded with Slicer itself
loaded = time.process_time()  # others use this machine too
import LungTumorSeg
print((time.process_time() - loaded) / loaded, *(name in sys.modules for name in ("torch", "SimpleITK", "scipy")))
"""


@pytest.fixture
def waits() -> dict[str, float]:
    """Return only a short interval between polls: what yields the interpreter takes as long as in Slicer."""
    return {"LungTumorSegPanel.waiting.POLL_MILLISECONDS": 10}


@pytest.fixture
def full_size(ct) -> Volume:
    """Return a CT of 512 x 512 x 300 voxels (150 MB)."""
    return Volume(np.zeros((300, 512, 512), np.int16) - 1000, ct.affine)


def test_starting_the_module_takes_no_time_and_imports_no_torch(tmp_path):
    script = START.format(
        testing=str(MODULE_FILE.parents[1] / "Testing"), module=str(MODULE_FILE.parent), temporary=str(tmp_path)
    )
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    share, *loaded = done.stdout.split()
    assert float(share) < START_SHARE
    assert loaded == ["False", "False", "False"]


@pytest.mark.slow
def test_the_window_never_blocks_from_the_click_to_the_childs_end(module, fake_child, full_size, tmp_path):
    volume = add_volume(slicer.mrmlScene, full_size, "large CT")
    logic = module.LungTumorSegLogic()
    fake_child("error:2:The end of the child is what counts here.")
    writing, _ = _least_time(lambda: write_nrrd(full_size, tmp_path / "ct.nrrd", threading.Event()))
    tries = []
    while len(tries) < TRIES and not any(block < limit for block, limit in tries):  # as other processes use the CPU
        beat, finished = Heartbeat(), []
        process_until(lambda beat=beat: beat.count >= IDLE_BEATS)
        idle = beat.longest
        beat.restart()
        logic.startSegmentation(volume, onFinished=finished.append)
        process_until(lambda finished=finished: finished)
        beat.stop()
        tries.append((beat.longest, max(LONGEST_BLOCK_SECONDS, BLOCK_SHARE * writing, IDLE_FACTOR * idle)))
    assert any(block < limit for block, limit in tries), tries


def lungs_and_tumors(full_size: Volume) -> dict[str, Volume]:
    """Return masks of two lungs and two lesions."""
    boxes = {
        "Tumor 1": np.s_[120:160, 200:260, 300:360],
        "Tumor 2": np.s_[60:70, 150:160, 100:110],
        "Left lung": np.s_[20:280, 100:400, 280:460],
        "Right lung": np.s_[20:280, 100:400, 60:240],
    }
    taken, volumes = np.zeros(full_size.shape, bool), {}
    for name, box in boxes.items():  # as the command line writes them: a tumor voxel belongs to its tumor
        mask = np.zeros(full_size.shape, bool)
        mask[box] = ~taken[box]
        taken |= mask
        volumes[name] = full_size.with_array(mask)
    return volumes


@pytest.mark.slow
def test_the_window_never_blocks_while_two_results_are_compared_and_the_comparison_is_shown(
    module, fake_child, full_size, tmp_path
):
    volumes = lungs_and_tumors(full_size)
    results = write_results(tmp_path / "results", full_size, volumes)
    shutil.copy(results / "segmentation.seg.nrrd", tmp_path / "fake" / "outlines.seg.nrrd")
    (tmp_path / "fake" / "followup.json").write_text(json.dumps({"lesions": []}))
    january, april = (
        mrml.load_results(read_run(results), add_volume(slicer.mrmlScene, full_size, name))
        for name in ("January", "April")
    )
    logic = module.LungTumorSegLogic()
    writing, _ = _least_time(lambda: write_nrrd(full_size, tmp_path / "ct.nrrd", threading.Event()))
    tries, finished = [], []

    def shown(run):
        assert run.error is None
        show_comparison(april, run.result)
        finished.append(run)

    while len(tries) < TRIES and not any(block < limit for block, limit in tries):
        beat = Heartbeat()
        process_until(lambda beat=beat: beat.count >= IDLE_BEATS)
        idle = beat.longest
        beat.restart()
        finished.clear()
        logic.startComparison(april, january, days=90, onFinished=shown)
        process_until(lambda: finished)
        beat.stop()
        tries.append((beat.longest, max(LONGEST_BLOCK_SECONDS, BLOCK_SHARE * writing, IDLE_FACTOR * idle)))
    print(f"longest block {min(tries)[0]:.3f} s, limit {min(tries)[1]:.3f} s")  # noqa: T201  shown with -s
    assert any(block < limit for block, limit in tries), tries


@pytest.mark.slow
def test_loading_a_result_of_full_size_takes_little_more_than_reading_its_file(module, full_size, tmp_path):
    volumes = lungs_and_tumors(full_size)
    results = write_results(tmp_path / "results", full_size, volumes)
    for name, mask in volumes.items():
        write_surface(surface_of(mask, grid_mm=4.0), results / f"{name.replace(' ', '_')}.vtp")
    volume = add_volume(slicer.mrmlScene, full_size, "large CT")
    probability = full_size.with_array(np.zeros(full_size.shape, np.float32))
    run = replace(read_run(results), probability=probability)  # as in the thread of the job

    def load():
        segmentation = mrml.load_results(run, volume)
        module.LungTumorSegLogic().showTumorSpread(segmentation)
        return segmentation

    def read():
        storage = slicer.vtkMRMLSegmentationStorageNode()
        storage.SetFileName(str(run.segmentation))
        assert storage.ReadData(slicer.vtkMRMLScene().AddNewNodeByClass("vtkMRMLSegmentationNode"))

    alone, _ = _least_time(read)
    whole, segmentation = _least_time(load)
    assert whole < LOADING_SHARE * alone
    assert segmentation.GetSegmentation().ContainsRepresentation("Closed surface")


@pytest.mark.slow
def test_a_painted_lesions_volume_is_known_long_before_everything_is_measured(slicer_app, ct, tmp_path):
    half = Volume(np.full((150, 256, 256), -1000, np.int16), np.diag([1.4, 1.4, 2.0, 1.0])[:, [2, 1, 0, 3]])
    boxes = {"Left lung": np.s_[10:140, 50:200, 140:230], "Right lung": np.s_[10:140, 50:200, 30:120],
             "Tumor 1": np.s_[60:80, 100:130, 150:180], "Tumor 2": np.s_[30:35, 75:80, 50:55]}  # fmt: skip
    masks = {name: half.with_array(np.zeros(half.shape, bool)) for name in boxes}
    for name, box in boxes.items():
        masks[name].array[box] = True
    segmentation = mrml.load_results(
        read_run(write_results(tmp_path / "r", half, masks)), add_volume(slicer.mrmlScene, half, "CT")
    )
    table, measurement = LiveTable(segmentation), SnapshotMeasurement(half)

    def paint(last_row):
        masks["Tumor 2"].array[30:50, 75:last_row, 50:57] = True  # 10 mL and more
        set_mask(segmentation, "Tumor_2", masks["Tumor 2"])

    def measure_first(snapshot):
        (row,) = [row for row in next(measurement.measure(snapshot)).rows if row["segment"] == "Tumor 2"]
        return row["volume_ml"]

    everything, _ = _time_of(lambda: list(measurement.measure(table._snapshot())))
    times = []
    for last_row in range(110, 110 + TRIES):
        paint(last_row)
        in_window, snapshot = _time_of(table._snapshot)
        in_thread, volume_ml = _time_of(lambda snapshot=snapshot: measure_first(snapshot))
        assert volume_ml == pytest.approx(masks["Tumor 2"].array.sum() * half.voxel_volume_ml)
        times.append((in_window, in_thread))
    assert max(min(column) for column in zip(*times, strict=True)) < STROKE_SHARE * everything, (everything, times)


def _time_of(action):
    """Return the processor time of this thread in seconds, and the value of the action."""
    began = time.thread_time()
    value = action()
    return time.thread_time() - began, value


def _least_time(action):
    """Return the shortest processor time of this thread in seconds over several tries, and the value of the action."""
    times = []
    for _ in range(TRIES):
        began = time.thread_time()
        value = action()
        times.append(time.thread_time() - began)
    return min(times), value
