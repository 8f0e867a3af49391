"""Save pictures of the module's panel in its states to Resources/Screenshots and docs/images.

The panel runs on the stand-in for Slicer. The script needs the test requirements and fonts.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Testing"), str(ROOT / "LungTumorSeg")]

SCREENSHOTS, DOCS = ROOT / "Resources/Screenshots", ROOT / "docs/images"

import numpy as np
import slicer
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.refinement.clicks import Answer, Click, objection
from stand_in import application

PANEL_WIDTH = 420
"""Width of Slicer's panel in a window that is 1600 pixels wide, pixels."""

LESIONS = (
    ("Left", 41.27, 52.4, 38.9, 31.0, 0.93),
    ("Right", 3.86, 21.7, 16.2, 12.0, 0.81),
    ("Right", 0.21, 8.3, 6.9, -214.0, 0.67),
)


def load(name: str, path: Path) -> Any:
    """Import a Python file as the module ``name``."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    sys.modules[name] = module
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


def process(until: Any, seconds: float = 30.0) -> None:
    """Process Qt's events until ``until`` returns True.

    Raises:
        TimeoutError: This takes longer than ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not until():
        if time.monotonic() > deadline:
            raise TimeoutError
        slicer.app.processEvents()
        time.sleep(0.01)


class Studio:
    """A panel on the stand-in, with a script that plays the command line."""

    def __init__(self, folder: Path) -> None:
        self.tests = load("module_tests", ROOT / "Testing/module/conftest.py")
        application.install(folder)
        slicer.modules.lungtumorseg = types.SimpleNamespace(path=str(ROOT / "LungTumorSeg/LungTumorSeg.py"))
        self.module = load("LungTumorSeg", ROOT / "LungTumorSeg/LungTumorSeg.py")
        self.module.LungTumorSegLogic.installPackages = lambda self, **_: None
        self.folder, self.ct = (
            folder,
            Volume(np.full((10, 12, 14), -1000, np.int16), np.diag([0.6, 0.7, 3.0, 1.0])[:, [2, 1, 0, 3]]),
        )
        self._write_results()
        program = folder / "PythonSlicer"
        program.write_text(
            f'#!/bin/sh\nexec "{sys.executable}" "{ROOT / "Testing/module/fake_command_line.py"}" "$@"\n'
        )
        program.chmod(0o755)
        os.environ.update(PATH=f"{folder}{os.pathsep}{os.environ['PATH']}", FAKE_RESULTS=str(folder))
        self.parent = application.new_panel_parent()
        self.widget = self.module.LungTumorSegWidget(self.parent)
        self.widget.setup()
        self.widget.enter()

    def _write_results(self) -> None:
        results = self.tests.write_results(self.folder / "results", self.ct)
        summary = json.loads((results / "summary.json").read_text())
        names = ("side", "volume_ml", "long_axis_mm", "short_axis_mm", "mean_hu", "confidence")
        template = summary["lesions"][0]
        summary["lesions"] = [
            {**template, "number": number, "segment": f"Tumor {number}", **dict(zip(names, values, strict=True))}
            for number, values in enumerate(LESIONS, 1)
        ]
        summary["warnings"] = ["The lungs reach the last slice: what lies beyond is not in view."]
        (results / "summary.json").write_text(json.dumps(summary))

    def take(self, name: str, folder: Path = SCREENSHOTS) -> None:
        """Save a picture of the whole panel as ``panel-<name>.png``."""
        self.parent.show()
        slicer.app.processEvents()
        height = max(self.parent.sizeHint.height(), self.parent._qt.heightForWidth(PANEL_WIDTH))  # texts wrap
        self.parent.resize(PANEL_WIDTH, height)
        slicer.app.processEvents()
        folder.mkdir(parents=True, exist_ok=True)
        self.parent.grab().save(str(folder / f"panel-{name}.png"))

    def click(self, how: str, until: Any) -> None:
        """Start a segmentation, let the script play ``how``, and wait until ``until`` returns True."""
        os.environ["FAKE_RUN"] = how
        self.widget.ui.segmentButton.click()
        process(until)


def main() -> None:
    """Take all pictures."""
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Path(folder))
        ui = studio.widget.ui
        ui.folderButton.directory = "/data/lungs/case 12"
        studio.take("empty")
        studio.tests.add_volume(slicer.mrmlScene, studio.ct, "5: Chest 1.5 mm lung")
        process(lambda: ui.inputSelector.currentNode() is not None)
        studio.take("idle")
        studio.click(
            "error:3:The graphics card does not have enough memory; choose the device cpu.",
            lambda: not studio.widget.panel.run.running,
        )
        studio.take("error")
        studio.click("slow", lambda: ui.progressBar.value > 55)
        studio.take("running")
        studio.click("slow", lambda: not studio.widget.panel.run.running)
        studio.click("good", lambda: not studio.widget.panel.run.running)
        ui.lesionTable.selectRow(0)
        studio.take("done")
        ui.advancedSection.collapsed = False
        process(lambda: "CPU" in ui.foundDeviceLabel.text)
        studio.take("advanced")
        ui.advancedSection.collapsed = True
        correct(studio)
        segment_here(studio)
        spread(studio)
        studio.widget.cleanup()


def a_chest() -> tuple[Volume, dict[str, Volume]]:
    """Make two lungs of 2 L, a mass on the left and a nodule on the right; voxels are 3 x 2.5 x 2.5 mm."""
    shape, affine = (75, 100, 130), np.diag([2.5, 2.5, 3.0, 1.0])[:, [2, 1, 0, 3]]

    def ellipsoid(center: tuple[int, int, int], radii_mm: tuple[float, float, float]) -> Any:
        offset = (np.moveaxis(np.indices(shape), 0, -1) - center) * (3.0, 2.5, 2.5)
        return (np.square(offset / radii_mm).sum(axis=-1) <= 1)[...]

    masks = {"Tumor 1": ellipsoid((45, 55, 95), (22, 19, 20)), "Tumor 2": ellipsoid((30, 60, 30), (7, 6, 6))}
    masks["Left lung"] = ellipsoid((40, 50, 95), (110, 95, 70)) & ~masks["Tumor 1"]
    masks["Right lung"] = ellipsoid((40, 50, 35), (110, 95, 70)) & ~masks["Tumor 2"]
    lung = masks["Left lung"] | masks["Right lung"]
    body = ellipsoid((37, 50, 65), (10000, 118, 156))
    hu = np.random.default_rng(1).normal(np.where(lung, -850, np.where(body, 35, -1000)), 15).astype(np.int16)
    return Volume(hu, affine), {name: Volume(mask, affine) for name, mask in masks.items()}


def correct(studio: Studio) -> None:
    """Take pictures of the section Correct.

    They show a lesion being corrected, a selected lesion of low confidence, and the same after the scene was saved and
    loaded.
    """
    from LungTumorSegLib.mrml.segments import set_mask

    ui, section = studio.widget.ui, studio.widget.panel.correct

    def settle() -> None:
        process(lambda: not section.measuring.busy)

    ct, masks = a_chest()
    slicer.mrmlScene.Clear(0)
    shutil.rmtree(studio.folder / "results")
    studio.tests.write_results(studio.folder / "results", ct, masks)
    studio.tests.add_volume(slicer.mrmlScene, ct, "5: Chest 1.5 mm lung")
    process(lambda: ui.inputSelector.currentNode() is not None)
    studio.click("good", lambda: not studio.widget.panel.run.running)
    ui.segmentSection.collapsed = True
    ui.correctSection.collapsed = False
    settle()
    ui.lesionTable.selectRow(1)
    studio.take("low-confidence")
    segmentation = studio.widget.panel.parameterNode.outputSegmentation
    set_mask(
        segmentation, "Tumor_1", ct.with_array(masks["Tumor 1"].array | np.roll(masks["Tumor 1"].array, 4, axis=1))
    )
    ui.lesionTable.selectRow(1)
    ui.confirmButton.click()
    settle()
    ui.lesionTable.selectRow(0)
    studio.take("correcting")
    scene_file = studio.folder / "scene.mrb"
    assert slicer.mrmlScene.WriteToMRB(str(scene_file))
    slicer.mrmlScene.Clear(0)
    slicer.app.processEvents()
    assert slicer.mrmlScene.ReadFromMRB(str(scene_file))
    process(lambda: ui.lesionTable.rowCount > 0)
    studio.take("reloaded")


def segment_here(studio: Studio) -> None:
    """Take pictures of Segment here: an outline that waits for a decision, and a place that is no tumor."""
    from LungTumorSegLib.core.crops import crop_of
    from LungTumorSegLib.core.mask_json import mask_as_json

    ct, masks = a_chest()
    ui, here = studio.widget.ui, studio.widget.panel.correct.here
    selection = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSelectionNode")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLInteractionNode")
    os.environ["FAKE_RUN"] = "good"
    ui.saveSection.collapsed = True

    def click(index: tuple[int, int, int], answer: dict[str, Any]) -> None:
        (studio.folder / "answer.json").write_text(json.dumps(answer))
        ui.pointButton.click()
        x, y, z = ct.index_to_lps(index)
        slicer.mrmlScene.GetNodeByID(selection.GetActivePlaceNodeID()).AddControlPoint(-x, -y, z)
        slicer.app.processEvents()
        process(lambda: not here.running)

    nodule = ct.with_array(np.roll(masks["Tumor 2"].array, 10, axis=0))
    crop = crop_of(ct.canonical_axes().apply(nodule))
    assert crop is not None
    click((40, 60, 30), {"tumor": 0.87, "mask": mask_as_json(crop.mask), "warnings": []})
    studio.take("segment-here", DOCS)
    ui.discardButton.click()
    unlikely = objection(Click((0.0, 0.0, 0.0)), Answer(None, 0.06), min_confidence=0.45)
    click((40, 40, 60), {"tumor": 0.06, "mask": None, "warnings": [f"This {unlikely}."]})
    studio.take("no-tumor-here", DOCS)


def spread(studio: Studio) -> None:
    """Take a picture of the section Spread: lesions colored by volume, with margins and rulers."""
    ui = studio.widget.ui
    ui.correctSection.collapsed = True
    ui.spreadSection.collapsed = False
    ui.colorSelector.currentIndex = 1
    ui.marginsCheckBox.checked = True
    ui.rulersCheckBox.checked = True
    studio.take("spread")


if __name__ == "__main__":
    main()
