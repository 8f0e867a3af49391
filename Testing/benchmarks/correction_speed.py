"""Measure how soon a painted stroke appears in the lesion table, and how long it blocks the window.

    python Testing/benchmarks/correction_speed.py

The real panel runs on the stand-in for Slicer, with a chest of 512 x 512 x 300 voxels, three lesions and surfaces shown
in 3D. The benchmark adds three strokes of 10 mL with the function that Slicer's brush calls, and prints one JSON line
per stroke.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import tempfile
import time
import types
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Testing"), str(ROOT / "Testing/helpers"), str(ROOT / "LungTumorSeg")]

import numpy as np
import slicer
from heartbeat import Heartbeat
from LungTumorSegLib.core import terminology
from LungTumorSegLib.core.surfaces import surface_of, write_surface
from LungTumorSegLib.core.volume import CTVolume, Volume
from LungTumorSegLib.io.seg_nrrd import write_segmentation
from LungTumorSegLib.io.segment import Segment
from LungTumorSegLib.lesions import lesions_as_json, measure
from LungTumorSegLib.lesions.table import spread_as_json
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml import volume_nodes
from LungTumorSegLib.results.reader import RunFiles
from stand_in import application

SHAPE, SPACING_MM = (300, 512, 512), (1.0, 0.7, 0.7)
AFFINE = np.diag([SPACING_MM[2], SPACING_MM[1], SPACING_MM[0], 1.0])[:, [2, 1, 0, 3]]
STROKES_ROWS = (29, 58, 87)
"""Distances between the middle of a lesion of 10 mL and the brush, which is as large as the lesion, in rows."""


def ball(center: tuple[int, int, int], radius_mm: float) -> np.ndarray[Any, Any]:
    """Return the mask of a ball; its center (voxels) is along (slice, row, column)."""
    return ellipsoid(center, (radius_mm, radius_mm, radius_mm))


def ellipsoid(center: tuple[int, int, int], radii_mm: tuple[float, float, float]) -> np.ndarray[Any, Any]:
    """Return the mask of an ellipsoid; center (voxels) and radii (mm) are along (slice, row, column)."""
    axes = np.ogrid[tuple(slice(0, size) for size in SHAPE)]
    parts = [((axis - c) * s / r) ** 2 for axis, c, s, r in zip(axes, center, SPACING_MM, radii_mm, strict=True)]
    inside: np.ndarray[Any, Any] = parts[0] + parts[1] + parts[2] <= 1
    return inside


def make_result(folder: Path) -> tuple[CTVolume, RunFiles]:
    """Write segmentation and surfaces of a synthetic chest with three lesions into ``folder``; return CT and files."""
    masks = {
        "Right lung": ellipsoid((150, 256, 140), (130, 105, 66)),
        "Left lung": ellipsoid((150, 256, 372), (130, 105, 66)),
        "Tumor 1": ball((120, 250, 400), 13.4), "Tumor 2": ball((200, 200, 120), 8),
        "Tumor 3": ball((60, 330, 380), 27),
    }  # fmt: skip
    lungs = masks["Right lung"] | masks["Left lung"]
    tumors = masks["Tumor 1"] | masks["Tumor 2"] | masks["Tumor 3"]
    hu = np.where(lungs & ~tumors, -850, 35).astype(np.int16) + np.random.default_rng(1).integers(
        -15, 15, SHAPE, np.int16
    )
    for name in ("Right lung", "Left lung"):
        masks[name] &= ~tumors
    codes = {"Right lung": terminology.RIGHT_LUNG, "Left lung": terminology.LEFT_LUNG}
    tumor = terminology.TUMOR[None]
    segments = [
        Segment(name, Volume(mask, AFFINE), (0.5, 0.5, 0.5), codes.get(name, tumor)) for name, mask in masks.items()
    ]
    write_segmentation(segments, folder / "segmentation.seg.nrrd")
    for segment in segments:
        write_surface(
            surface_of(segment.mask, grid_mm=2.0 if "lung" in segment.name else None), folder / f"{segment.id}.vtp"
        )
    ct = CTVolume(hu, AFFINE)
    report = measure(ct, segments)
    return ct, RunFiles(folder, {"lesions": lesions_as_json(report), "spread": spread_as_json(report)})


def main() -> None:
    """Open the panel with the synthetic result, then time the strokes."""
    with tempfile.TemporaryDirectory() as folder:
        application.install(Path(folder))
        slicer.modules.lungtumorseg = types.SimpleNamespace(path=str(ROOT / "LungTumorSeg/LungTumorSeg.py"))
        spec = importlib.util.spec_from_file_location("LungTumorSeg", ROOT / "LungTumorSeg/LungTumorSeg.py")
        module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
        spec.loader.exec_module(module)  # type: ignore[union-attr]
        ct, files = make_result(Path(folder))
        volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
        volume_nodes.show_probability(volume, ct)
        segmentation = mrml.load_results(files, volume)
        widget = module.LungTumorSegWidget(application.new_panel_parent())
        widget.setup()
        widget.enter()
        widget.panel.parameterNode.outputSegmentation = segmentation
        widget.ui.correctSection.collapsed = False
        wait(lambda: not widget.panel.correct.measuring.busy)
        for rows in STROKES_ROWS:
            sys.stdout.write(json.dumps(stroke(widget, segmentation, rows)) + "\n")
        widget.cleanup()


def stroke(widget: Any, segmentation: Any, rows: int) -> dict[str, float]:
    """Paint one stroke and time it.

    Args:
        widget: The module's widget.
        segmentation: The segmentation node.
        rows: Distance of the stroke from the middle of the lesion, in rows.

    Returns:
        The painted volume (mL), the times (s) until the table shows it and until everything is measured, the processor
        time, and the longest time (s) for which the window was blocked.
    """
    from LungTumorSegLib.mrml.segments import _image, _lattice

    logic = slicer.vtkSlicerSegmentationsModuleLogic
    brush = Volume(ball((120, 250 + rows, 400), 13.4), AFFINE).crop((100, 230, 370), (140, 370, 430))
    image = _image(brush, _lattice(segmentation))
    before, beat = volume_ml(segmentation), Heartbeat()
    began, processor = time.perf_counter(), time.process_time()
    logic.SetBinaryLabelmapToSegment(image, segmentation, "Tumor_1", logic.MODE_MERGE_MAX, image.GetExtent(), False, [])
    wait(lambda: volume_ml(segmentation) != before)
    shown = {"shown_seconds": time.perf_counter() - began, "processor_seconds": time.process_time() - processor}
    wait(lambda: not widget.panel.correct.measuring.busy)
    times = shown | {"complete_seconds": time.perf_counter() - began, "longest_block_seconds": beat.longest}
    return {"painted_ml": round(volume_ml(segmentation) - before, 2)} | {
        name: round(value, 3) for name, value in times.items()
    }


def volume_ml(segmentation: Any) -> float:
    """Return the volume (mL) of the first lesion in the lesion table."""
    return next(float(row.volume_ml) for row in mrml.lesions_of(segmentation) if row.segment_id == "Tumor_1")


def wait(until: Any) -> None:
    """Process Qt's events until ``until`` returns True."""
    while not until():
        slicer.app.processEvents()
        time.sleep(0.002)


if __name__ == "__main__":
    main()
