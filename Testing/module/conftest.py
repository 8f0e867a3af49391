"""Fixtures of the module's tests: a real MRML scene of slicer-core, a CT in it, and the files of a run on that CT."""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import shutil
import sys
import time
import types
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import numpy as np
import pytest
import slicer
from LungTumorSegLib.core import terminology
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.io.seg_nrrd import write_segmentation
from LungTumorSegLib.io.segment import Segment
from LungTumorSegLib.options import Thresholds
from LungTumorSegLib.weights import manifest as manifest_module
from LungTumorSegLib.weights.manifest import Manifest

sys.path.insert(0, str(Path(__file__).parents[1]))  # the stand-in is a package beside this folder

from stand_in import application as stand_in
from stand_in.pythonqt import failed_connections

PATIENCE_SECONDS = 60.0
"""Longest wait for any condition.

A busy computer needs a second or two to start an interpreter; everything else that the tests wait for is faster."""

MODULE_FILE = Path(__file__).parents[2] / "LungTumorSeg" / "LungTumorSeg.py"

LARGE = 1_000_000
"""From this number of voxels on, a test has to request the probability map explicitly."""

GREEN, BLUE, RED = (0.2, 0.8, 0.3), (0.3, 0.4, 0.9), (0.9, 0.2, 0.1)


@pytest.fixture(autouse=True)
def garbage_is_collected_here():
    """Collect the garbage of earlier tests, in the main thread, and exempt the rest, so that this takes milliseconds.

    A panel that nobody needs any more is cyclic garbage, from the moment at which pytest has let go of a test's
    fixtures. Otherwise, a thread that reads from a child process may happen to destroy it, and Qt's widgets must be
    destroyed in the thread of the application.
    """
    gc.disable()
    gc.collect()
    gc.freeze()
    yield
    gc.enable()


@pytest.fixture
def waits() -> dict[str, float]:
    """Return how long the panel waits, by constant; shorter than in Slicer, whose event loop holds the interpreter."""
    return SHORT_WAITS


SHORT_WAITS = {
    "LungTumorSegPanel.waiting.POLL_MILLISECONDS": 10,
    "LungTumorSegPanel.waiting.TURN_SECONDS": 0.001,
    "LungTumorSegLib.mrml.live_table.TURN_SECONDS": 0.002,
    "LungTumorSegLib.process.segmentation_run.POLL_SECONDS": 0.01,
    "LungTumorSegLib.process.command_run.POLL_SECONDS": 0.01,
}


@pytest.fixture
def scene():
    scene = slicer.vtkMRMLScene()
    logic = slicer.vtkSlicerSegmentationsModuleLogic()  # registers the conversion from label maps to surfaces
    logic.SetMRMLScene(scene)
    yield scene
    logic.SetMRMLScene(None)
    scene.Clear(True)


@pytest.fixture
def ct() -> Volume:
    """Return the usual CT."""
    return usual_ct()


def usual_ct() -> Volume:
    """Return a CT with unusual geometry.

    It has 10 x 12 x 14 voxels (slices, rows, columns) of 3.0 x 0.7 x 0.6 mm, axes rotated by 20 degrees, slices that
    run to the feet and a distant origin.
    """
    cosine, sine = np.cos(np.radians(20)), np.sin(np.radians(20))
    slices, rows, columns = (
        np.array([0, 0, -3.0]),
        0.7 * np.array([-sine, cosine, 0]),
        0.6 * np.array([cosine, sine, 0]),
    )
    affine = np.eye(4)
    affine[:3] = np.column_stack([slices, rows, columns, (101.25, -33.5, 250.0)])
    return Volume(np.arange(10 * 12 * 14, dtype=np.int16).reshape(10, 12, 14) - 1000, affine)


@pytest.fixture
def ct_node(scene, ct):
    return add_volume(scene, ct, "CT 5: chest")


def add_volume(scene, volume: Volume, name: str, class_name: str = "vtkMRMLScalarVolumeNode"):
    """Create a volume node with VTK alone, so that it does not depend on the code under test."""
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData()
    image.SetDimensions(volume.shape[2], volume.shape[1], volume.shape[0])
    image.GetPointData().SetScalars(numpy_to_vtk(volume.array.ravel(), deep=True))
    node = scene.AddNewNodeByClass(class_name, name)
    node.SetAndObserveImageData(image)
    matrix = vtk.vtkMatrix4x4()
    for to_axis, from_axis in enumerate((2, 1, 0)):  # IJK is (column, row, slice)
        x, y, z = volume.affine[:3, from_axis]
        for row, value in enumerate((-x, -y, z)):
            matrix.SetElement(row, to_axis, value)
    x, y, z = volume.affine[:3, 3]
    for row, value in enumerate((-x, -y, z)):
        matrix.SetElement(row, 3, value)
    node.SetIJKToRASMatrix(matrix)
    return node


def lung_and_tumor_masks(ct: Volume) -> dict[str, Volume]:
    """Return asymmetric boxes in index space (slice, row, column)."""
    masks = {name: np.zeros(ct.shape, bool) for name in ("Left lung", "Right lung", "Tumor 1", "Tumor 2")}
    masks["Left lung"][1:9, 2:10, 8:13] = True
    masks["Right lung"][1:9, 2:10, 1:6] = True
    masks["Tumor 1"][3:6, 4:6, 9:12] = True
    masks["Tumor 2"][7:8, 8:9, 2:4] = True
    masks["Left lung"] &= ~masks["Tumor 1"]
    masks["Right lung"] &= ~masks["Tumor 2"]
    return {name: ct.with_array(mask) for name, mask in masks.items()}


def write_results(folder: Path, ct: Volume, masks=None, *, lesions: int = 2, warnings: tuple[str, ...] = ()) -> Path:
    """Write the files of ``lungtumorseg segment`` that the module reads, with up to two lesions."""
    folder.mkdir(parents=True)
    masks = masks or lung_and_tumor_masks(ct)
    colors = {"Left lung": GREEN, "Right lung": BLUE, "Tumor 1": RED, "Tumor 2": RED}
    codes = {
        "Left lung": terminology.LEFT_LUNG, "Right lung": terminology.RIGHT_LUNG,
        "Tumor 1": terminology.TUMOR["Left"], "Tumor 2": terminology.TUMOR["Right"],
    }  # fmt: skip
    names = ["Left lung", "Right lung", "Tumor 1", "Tumor 2"][: 2 + lesions]
    segments = [Segment(name, masks[name], colors[name], codes[name], name.replace(" ", "_")) for name in names]
    write_segmentation(segments, folder / "segmentation.seg.nrrd")
    summary = {
        "schema_version": 1,
        "model": "test",
        "weights_sha256": "0",
        "options": {"stride": 2, "thresholds": {"gate": 0.7, "voxel": 0.4}},
        "device": "cpu",
        "precision": "float32",
        "backend": "torch",
        "warnings": list(warnings),
        "message": "" if lesions else "No lesion found; this does not exclude disease",
        "lungs": {"left_ml": 2000.0, "right_ml": 2500.0},
        "spread": {"burden_percent": 0.347},
        "lesions": [lesion_row(ct, masks[name], number) for number, name in enumerate(names[2:], start=1)],
        "seconds": {"prediction": 1.0},
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    if ct.array.size < LARGE:
        write_volume(probability_map(ct), folder / "probability.nrrd")
    return folder


def probability_map(ct: Volume) -> Volume:
    """Return probabilities that fall by 0.25 per mm from 0.9 at the center of Tumor 1."""
    offset = (np.moveaxis(np.indices(ct.shape, dtype=np.float32), 0, -1) - (4, 5, 10)) * ct.spacing
    return ct.with_array(np.clip(0.9 - 0.25 * np.linalg.norm(offset, axis=-1), 0, 1).astype(np.float32))


def lesion_row(ct: Volume, mask: Volume, number: int) -> dict[str, object]:
    x, y, z = ct.index_to_lps(np.argwhere(mask.array).mean(axis=0))
    return {
        "number": number, "segment": f"Tumor {number}", "side": "Left" if number == 1 else "Right",
        "volume_ml": float(mask.array.sum() * ct.voxel_volume_ml), "long_axis_mm": 12.5 / number,
        "short_axis_mm": 7.25 / number,
        "mean_hu": 30.5 - number, "centroid_x_lps_mm": x, "centroid_y_lps_mm": y, "centroid_z_lps_mm": z,
        "confidence": 0.9 if number == 1 else 0.4,
    }  # fmt: skip


def whole_mask(ct: Volume, mask: Volume | None) -> np.ndarray:
    """Return a cropped mask with canonical axes as an array on the CT's grid; None stands for an empty mask."""
    whole = np.zeros(ct.shape, bool)
    if mask is not None:
        mask = ct.canonical_axes().undo(mask)
        start = np.rint(ct.lps_to_index(mask.origin)).astype(int)
        whole[tuple(slice(a, a + n) for a, n in zip(start, mask.shape, strict=True))] = mask.array
    return whole


@pytest.fixture(scope="session")
def usual_results(tmp_path_factory) -> Path:
    """The files of a run on the usual CT."""
    return write_results(tmp_path_factory.mktemp("usual") / "results", usual_ct())


@pytest.fixture
def fake_child(tmp_path, ct, usual_results, monkeypatch):
    """Put a PythonSlicer on the path that imitates the command line.

    ``fake_child("slow")`` and so on set its behavior; ``write_results`` sets its result.
    """
    home = tmp_path / "fake"
    shutil.copytree(usual_results, home / "results")
    script = Path(__file__).with_name("fake_command_line.py")
    program = home / "PythonSlicer"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{script}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_RESULTS", str(home))

    def play(how: str = "good", **results) -> None:
        monkeypatch.setenv("FAKE_RUN", how)
        if results:
            shutil.rmtree(home / "results")
            write_results(home / "results", ct, **results)

    play.arguments = lambda: json.loads((home / "last_arguments.json").read_text())
    return play


@pytest.fixture
def model(tmp_path, monkeypatch):
    """Install two models of which the module reads only the manifests."""
    for name, gate, own in (("default", 0.7, {"mirror": True}), ("other", 0.6, {})):
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        grid = {"spacing_mm": (3.0, 2.0, 2.0), "intensity_range_hu": (-1000.0, 400.0)}
        manifest = Manifest(
            name, f"The {name} model", "unet3d", 8, weights_sha256="0", thresholds=Thresholds(gate, 0.4), **own, **grid
        )
        manifest.write(folder)
    monkeypatch.setattr(manifest_module, "SHIPPED", tmp_path / "models")


@pytest.fixture
def slicer_app(tmp_path):
    """Install the stand-in with a new scene, views and settings; afterwards its temporary folder must be empty."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    stand_in.install(temporary)
    failed_connections.clear()
    yield slicer.app
    assert failed_connections == [], "connected to signals that do not exist"
    assert [path.name for path in temporary.iterdir() if path.name.startswith("LungTumorSeg-")] == [], (
        "a folder was left behind"
    )
    slicer.mrmlScene.Clear(True)


@pytest.fixture
def module(slicer_app, waits, monkeypatch):
    """Load LungTumorSeg.py from its file, as Slicer does."""
    if "LungTumorSeg" not in sys.modules or not hasattr(sys.modules["LungTumorSeg"], "LungTumorSegLogic"):
        spec = importlib.util.spec_from_file_location("LungTumorSeg", MODULE_FILE)
        loaded = importlib.util.module_from_spec(spec)
        sys.modules["LungTumorSeg"] = loaded
        spec.loader.exec_module(loaded)
    slicer.modules.lungtumorseg = types.SimpleNamespace(path=str(MODULE_FILE))
    for name, value in waits.items():
        monkeypatch.setattr(name, value)
    return sys.modules["LungTumorSeg"]


@pytest.fixture
def volume(slicer_app, ct):
    """Add the CT to the stand-in's scene."""
    return add_volume(slicer.mrmlScene, ct, "CT 5: chest")


def process_until(condition, seconds: float = PATIENCE_SECONDS):
    """Run Qt's event loop until the condition holds, and return its value."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        slicer.app.processEvents()
        time.sleep(0.005)
    return value


@pytest.fixture
def finished_panel(module, model, fake_child, volume):
    """Return the panel after a run."""
    widget = module.LungTumorSegWidget(stand_in.new_panel_parent())
    widget.setup()
    widget.enter()
    process_until(lambda: widget.ui.inputSelector.currentNode() is volume)
    widget.ui.segmentButton.click()
    process_until(lambda: not widget.panel.run.running)
    yield widget
    widget.cleanup()
    widget.parent.deleteLater()
    slicer.app.processEvents()
