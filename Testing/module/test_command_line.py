"""The module with the real command line as its child process, on a phantom, with a network of random weights."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
import slicer
import vtk
from LungTumorSegLib.core.volume import AxisOrder
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml import volume_nodes
from LungTumorSegLib.networks.stored import save_model
from LungTumorSegLib.phantom import make_phantom
from LungTumorSegLib.phantom.options import PhantomOptions
from LungTumorSegLib.weights.manifest import Manifest
from vtk.util.numpy_support import vtk_to_numpy

from .conftest import add_volume, process_until

FLIPPED = AxisOrder((1, 0, 2), (True, False, True))
"""Coronal slices that start at the back, with columns that run to the right."""


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(3, PhantomOptions(spacing_mm=(5.0, 2.5, 2.5), lesion_count=1))


@pytest.fixture
def real_child(tmp_path, monkeypatch):
    """Install a PythonSlicer that is this Python without ``slicer``, and one model with random weights."""
    torch = pytest.importorskip("torch")
    from LungTumorSegLib.networks import build_network

    torch.manual_seed(0)
    manifest = Manifest("random", "Random weights", "unet3d", 4, (5.0, 5.0, 5.0), (-1000.0, 400.0), "", stride=8)
    save_model(build_network("unet3d", 4), manifest, tmp_path / "models" / "random")
    monkeypatch.setenv("LUNGTUMORSEG_MODELS", str(tmp_path / "models"))
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for name in ("slicer", "qt"):
        (blocked / f"{name}.py").write_text(f"raise ImportError('{name} does not belong into the child')")
    monkeypatch.setenv("PYTHONPATH", str(blocked))
    program = tmp_path / "PythonSlicer"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return {"model": "random", "device": "cpu"}


def segment_mask(segmentation, name: str, volume_node) -> np.ndarray:
    """Return a segment on the volume's grid, resampled by Slicer's own code."""
    ids = vtk.vtkStringArray()
    ids.InsertNextValue(segmentation.GetSegmentation().GetSegmentIdBySegmentName(name))
    labels = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    assert slicer.vtkSlicerSegmentationsModuleLogic.ExportSegmentsToLabelmapNode(segmentation, ids, labels, volume_node)
    image = labels.GetImageData()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1]) > 0


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.mark.slow
def test_a_flipped_ct_under_a_transform_comes_back_with_its_lungs_on_the_right_sides(module, real_child, phantom):
    ct, lungs = FLIPPED.apply(phantom.ct), FLIPPED.apply(phantom.lungs)
    volume = add_volume(slicer.mrmlScene, ct, "flipped CT")
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    turned = vtk.vtkTransform()
    turned.RotateX(25)
    transform.SetMatrixTransformToParent(turned.GetMatrix())
    volume.SetAndObserveTransformNodeID(transform.GetID())

    segmentation = module.LungTumorSegLogic().segment(volume, real_child)

    assert segmentation.GetTransformNodeID() == transform.GetID()
    for name, label in (("Left lung", 1), ("Right lung", 2)):
        assert dice(segment_mask(segmentation, name, volume), lungs.array == label) > 0.8  # 0 if the sides are swapped
    assert segmentation.GetSegmentation().ContainsRepresentation("Closed surface"), "surfaces come ready-made"
    summary = mrml.summary_of(segmentation)
    assert summary["model"] == "random"
    names = [
        segmentation.GetSegmentation().GetNthSegment(i).GetName()
        for i in range(segmentation.GetSegmentation().GetNumberOfSegments())
    ]
    assert names == ["Left lung", "Right lung", *(row.segment for row in mrml.lesions_of(segmentation))]


@pytest.mark.slow
def test_the_real_child_heeds_cancel(module, real_child, phantom):
    volume = add_volume(slicer.mrmlScene, phantom.ct, "CT")
    seen, finished = [], []
    run = module.LungTumorSegLogic().startSegmentation(volume, real_child, seen.append, finished.append)
    process_until(lambda: seen)
    run.cancel()
    process_until(lambda: finished)
    assert str(run.error) == "Cancelled."
    assert run.result is None


@pytest.mark.slow
def test_what_the_engine_refuses_arrives_as_its_sentence(module, real_child, phantom):
    head = phantom.ct.with_array(np.full_like(phantom.ct.array, 40))
    volume = add_volume(slicer.mrmlScene, head, "nothing but 40 HU")
    with pytest.raises(ValueError, match=r"Every voxel of the CT has the value 40"):
        module.LungTumorSegLogic().segment(volume, real_child)


@pytest.mark.slow
def test_a_batch_of_the_scene_has_a_result_and_a_refusal_and_the_result_comes_into_the_scene(
    module, real_child, phantom, tmp_path
):
    logic, ends, items = module.LungTumorSegLogic(), [], []
    for name, hu in (("chest", phantom.ct.array), ("nothing", np.full_like(phantom.ct.array, 40))):
        volume_nodes.mark_if_ct(add_volume(slicer.mrmlScene, phantom.ct.with_array(hu), name))
    cts = logic.sceneCTs()
    assert [ct.case for ct in cts] == ["chest"], "40 HU everywhere is no CT for the panel"
    cts.append(type(cts[0])("nothing", slicer.util.getNode("nothing")))
    logic.startBatch(cts, tmp_path / "out", real_child, onEvent=items.append, onFinished=ends.append)
    process_until(lambda: ends, 600)
    assert ends[0].error is None
    last = {item["case"]: item for item in items if item["event"] == "item"}
    assert last["chest"]["state"] == "done"
    assert last["nothing"]["reason"].startswith("Every voxel of nothing.nrrd has the value 40")
    assert (tmp_path / "out" / "overview.html").is_file()
    loading = logic.startLoading(tmp_path / "out" / "chest", cts[0].node)
    process_until(lambda: loading.finished)
    assert mrml.ct_of(loading.result) is cts[0].node
    assert loading.result.GetSegmentation().ContainsRepresentation("Closed surface")
