"""Slicer's window stays alive: start of the module, a whole run with a CT of full size, loading its result."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
import slicer
from LungTumorSegLib import mrml
from LungTumorSegLib.ct import Volume
from LungTumorSegLib.run_files import read_run
from LungTumorSegLib.surfaces import surface_of, write_surface

from .conftest import MODULE_FILE, add_volume, process_until, write_results

LONGEST_BLOCK_SECONDS = 0.2
LONGEST_LOADING_SECONDS = 1.0
LONGEST_START_SECONDS = 0.3

START = """
import sys, time
sys.path[:0] = [{testing!r}, {module!r}]
from pathlib import Path
from stand_in import application
application.install(Path({temporary!r}))
import qt, vtk, numpy, vtk.util.numpy_support  # loaded with Slicer itself
began = time.process_time()  # others use this machine too
import LungTumorSeg
print(time.process_time() - began, "torch" in sys.modules, "SimpleITK" in sys.modules, "scipy" in sys.modules)
"""


class Heartbeat:
    """The longest time in which Qt's event loop did nothing else, in seconds."""

    def __init__(self) -> None:
        import qt

        self.longest, self._last = 0.0, time.perf_counter()
        self._timer = qt.QTimer()
        self._timer.setInterval(5)
        self._timer.connect("timeout()", self._beat)
        self._timer.start()

    def _beat(self) -> None:
        now = time.perf_counter()
        self.longest, self._last = max(self.longest, now - self._last), now

    def restart(self) -> None:
        self.longest, self._last = 0.0, time.perf_counter()

    def stop(self) -> None:
        self._timer.stop()


@pytest.fixture
def full_size(ct) -> Volume:
    """512 x 512 x 300 voxels, 150 MB."""
    return Volume(np.zeros((300, 512, 512), np.int16) - 1000, ct.affine)


def test_starting_the_module_takes_no_time_and_imports_no_torch(tmp_path):
    script = START.format(testing=str(MODULE_FILE.parents[1] / "Testing"), module=str(MODULE_FILE.parent), temporary=str(tmp_path))
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    seconds, *loaded = done.stdout.split()
    assert float(seconds) < LONGEST_START_SECONDS
    assert loaded == ["False", "False", "False"]


def test_the_window_never_blocks_from_the_click_to_the_childs_end(module, fake_child, full_size, tmp_path):
    volume = add_volume(slicer.mrmlScene, full_size, "large CT")
    logic = module.LungTumorSegLogic()
    fake_child("error:2:The end of the child is what counts here.")
    longest = []
    for _ in range(2):  # the better of two: others use this machine too
        beat, finished = Heartbeat(), []
        process_until(lambda beat=beat: beat.longest > 0)
        beat.restart()
        logic.startSegmentation(volume, onFinished=finished.append)
        process_until(lambda finished=finished: finished, seconds=60)
        beat.stop()
        longest.append(beat.longest)
        if longest[-1] < LONGEST_BLOCK_SECONDS:
            break
    assert min(longest) < LONGEST_BLOCK_SECONDS


@pytest.mark.slow
def test_loading_a_result_of_full_size_blocks_a_second_at_most(module, full_size, tmp_path):
    masks = {name: np.zeros(full_size.shape, bool) for name in ("Left lung", "Right lung", "Tumor 1", "Tumor 2")}
    for name, box in (
        ("Left lung", np.s_[20:280, 100:400, 280:460]),
        ("Right lung", np.s_[20:280, 100:400, 60:240]),
        ("Tumor 1", np.s_[120:160, 200:260, 300:360]),
        ("Tumor 2", np.s_[60:70, 150:160, 100:110]),
    ):
        masks[name][box] = True
    volumes = {name: full_size.with_array(mask) for name, mask in masks.items()}
    results = write_results(tmp_path / "results", full_size, volumes)
    for name, mask in volumes.items():
        write_surface(surface_of(mask, grid_mm=2.0), results / f"{name.replace(' ', '_')}.vtp")
    volume = add_volume(slicer.mrmlScene, full_size, "large CT")
    run = read_run(results)  # in the job's thread
    began = time.thread_time()  # of this thread alone: others use this machine too
    segmentation = mrml.load_results(run, volume)
    module.LungTumorSegLogic().showTumorSpread(segmentation)
    assert time.thread_time() - began < LONGEST_LOADING_SECONDS
    assert segmentation.GetSegmentation().ContainsRepresentation("Closed surface")
