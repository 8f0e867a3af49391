"""The logic of the module without a panel, blocking and not, with every possible end of a run.

A script replaces the command line.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
import time

import pytest
import slicer
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml import volume_nodes
from LungTumorSegLib.process import child

from .conftest import PATIENCE_SECONDS, add_volume, process_until


@pytest.fixture
def logic(module, fake_child):
    return module.LungTumorSegLogic()


def finished_list():
    finished = []
    return finished, finished.append


def test_segment_blocks_and_returns_the_segmentation(logic, volume):
    segmentation = logic.segment(volume)
    assert segmentation.IsA("vtkMRMLSegmentationNode")
    assert [row.segment for row in mrml.lesions_of(segmentation)] == ["Tumor 1", "Tumor 2"]


def test_segment_needs_no_window(tmp_path, fake_child, module, ct):
    from stand_in import application

    application.install(tmp_path / "temporary", views=False)
    logic = module.LungTumorSegLogic()
    segmentation = logic.segment(add_volume(slicer.mrmlScene, ct, "ct"))
    logic.showTumorSpread(segmentation)
    assert segmentation.GetDisplayNode().GetVisibility3D()


def test_options_reach_the_command_line(logic, fake_child, volume):
    numbers = {"stride": 2, "thresholds": (0.6, 0.4), "min_lesion_ml": 0.5, "min_confidence": 0.8}
    logic.segment(volume, {"model": "m", "device": "cpu", **numbers})
    arguments = fake_child.arguments()
    given = (
        ["--model", "m"],
        ["--device", "cpu"],
        ["--stride", "2"],
        ["--thresholds", "0.6", "0.4"],
        ["--min-confidence", "0.8"],
    )
    for option, *values in given:
        start = arguments.index(option) + 1
        assert arguments[start : start + len(values)] == values


@pytest.mark.parametrize("node", ["none", "empty", "segmentation"])
def test_input_that_is_no_ct_is_a_value_error(logic, node):
    given = {
        "none": lambda: None,
        "empty": lambda: slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"),
        "segmentation": lambda: slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode"),
    }[node]()
    with pytest.raises(ValueError, match=r"Choose a CT volume|has no voxels"):
        logic.segment(given)


def test_an_unknown_option_is_a_value_error(logic, volume):
    with pytest.raises(ValueError, match=r"There is no option 'colour'; the options are model"):
        logic.segment(volume, {"colour": "red"})


@pytest.mark.parametrize(
    ("how", "error", "message"),
    [
        ("error:2:Less than 150 mL of lung is in view.", ValueError, "150 mL of lung"),
        ("error:3:The weights are damaged.", RuntimeError, "weights are damaged"),
        ("killed", RuntimeError, "memory ran out"),
        ("bug", RuntimeError, "KeyError"),
    ],
)
def test_a_failed_run_raises_and_leaves_the_scene_as_it_was(logic, fake_child, volume, how, error, message):
    fake_child(how)
    before = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(error, match=message):
        logic.segment(volume)
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def test_without_pythonslicer_the_message_says_so(module, monkeypatch, volume):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FileNotFoundError, match="PythonSlicer was not found"):
        module.LungTumorSegLogic().segment(volume)


def test_damaged_results_raise_and_leave_the_scene_as_it_was(logic, tmp_path, volume):
    (tmp_path / "fake/results/segmentation.seg.nrrd").write_bytes(b"NRRD")
    before = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(RuntimeError, match="results of the run are damaged; run the segmentation again"):
        logic.segment(volume)
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def test_start_calls_back_with_progress_and_the_result(logic, volume):
    finished, on_finished = finished_list()
    seen = []

    def on_progress(progress):
        seen.append((progress.stage, progress.percent))

    run = logic.startSegmentation(volume, onProgress=on_progress, onFinished=on_finished)
    assert not run.finished
    process_until(lambda: finished)
    assert finished == [run]
    assert run.error is None
    assert run.result.IsA("vtkMRMLSegmentationNode")
    assert seen[0][0] == "reading"
    assert [percent for _, percent in seen] == sorted(percent for _, percent in seen)
    assert len({percent for _, percent in seen}) > 1  # how many depends on the machine


def test_cancel_ends_the_run_without_a_trace(logic, fake_child, volume):
    fake_child("slow")  # runs until cancelled, so a start that waits for it would never return
    before = slicer.mrmlScene.GetNumberOfNodes()
    finished, on_finished = finished_list()
    seen = []
    run = logic.startSegmentation(volume, onProgress=seen.append, onFinished=on_finished)
    process_until(lambda: seen)
    run.cancel()
    process_until(lambda: finished)
    assert run.result is None
    assert "Cancelled" in str(run.error)
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def test_a_child_that_does_not_listen_is_killed(logic, fake_child, volume, monkeypatch):
    monkeypatch.setattr(child, "GRACE_SECONDS", 0.3)
    fake_child("deaf")
    finished, on_finished = finished_list()
    seen = []
    run = logic.startSegmentation(volume, onProgress=seen.append, onFinished=on_finished)
    process_until(lambda: len(seen) > 1)
    run.cancel()
    process_until(lambda: finished)


@pytest.mark.parametrize("what", ["volume", "scene"])
@pytest.mark.parametrize("when", ["at once", "running"])
def test_a_run_whose_ct_is_gone_ends_itself(logic, fake_child, volume, what, when):
    fake_child("slow")
    finished, on_finished = finished_list()
    seen = []
    run = logic.startSegmentation(volume, onProgress=seen.append, onFinished=on_finished)
    if when == "running":
        process_until(lambda: seen)
    if what == "volume":
        slicer.mrmlScene.RemoveNode(volume)
    else:
        slicer.mrmlScene.Clear(0)
    process_until(lambda: finished)
    assert run.result is None
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_a_scene_closed_when_the_result_is_ready_gets_nothing(logic, volume):
    finished, on_finished = finished_list()
    run = logic.startSegmentation(volume, onFinished=on_finished)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while run._job.outcome() is None:  # nothing fetches the result without Qt's event loop
        assert time.monotonic() < deadline
        time.sleep(0.01)
    slicer.mrmlScene.Clear(0)
    process_until(lambda: finished)
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_close_ends_without_grace_and_calls_nobody(logic, fake_child, volume, monkeypatch):
    monkeypatch.setattr(child, "GRACE_SECONDS", 600)
    fake_child("deaf")
    finished, on_finished = finished_list()
    run = logic.startSegmentation(volume, onFinished=on_finished)
    began = time.monotonic()
    run.close()
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert run.finished
    assert finished == []


def test_an_unedited_result_is_updated_where_it_is_given(logic, volume):
    first = logic.segment(volume)
    assert logic.segment(volume, segmentationNode=first) is first


def test_an_edited_result_is_kept_and_the_new_one_stands_beside_it(logic, volume):
    first = logic.segment(volume)
    first.GetSegmentation().RemoveSegment("Tumor_2")
    second = logic.segment(volume, segmentationNode=first)
    assert second is not first
    assert first.GetSegmentation().GetNumberOfSegments() == 3
    assert second.GetSegmentation().GetNumberOfSegments() == 4


def test_an_empty_segmentation_can_be_filled(logic, volume):
    empty = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    assert logic.segment(volume, segmentationNode=empty) is empty
    assert empty.GetSegmentation().GetNumberOfSegments() == 4


def test_the_probability_map_is_loaded_only_where_it_is_asked_for(logic, tmp_path, volume, ct):
    import numpy as np
    from LungTumorSegLib.io.images import write_volume

    write_volume(ct.with_array(np.full(ct.shape, 0.25, np.float32)), tmp_path / "fake/results/probability.nrrd")
    assert logic.segment(volume).GetNodeReference(mrml.PROBABILITY_ROLE) is None
    node = logic.segment(volume, {"probability": True}).GetNodeReference(mrml.PROBABILITY_ROLE)
    assert volume_nodes.volume_of_node(node).array.mean() == pytest.approx(0.25)


def test_saving_writes_files_that_hold_no_name(logic, tmp_path, volume):
    volume.SetName("Doe^Jane")
    segmentation = logic.segment(volume)
    slicer.app._layout_manager.threeDViewCount = 0
    paths = logic.save(segmentation, tmp_path / "new" / "folder")
    assert [path.name for path in paths] == ["segmentation.seg.nrrd", "lesions.csv", "summary.json"]
    for path in paths:
        assert b"Doe" not in path.read_bytes()
        assert b"Jane" not in path.read_bytes()


def test_saved_files_read_back_with_the_engine(logic, tmp_path, volume, ct):
    import csv

    from LungTumorSegLib.io.segmentations import read_segmentation

    slicer.app._layout_manager.threeDViewCount = 0
    segmentation_path, table_path, summary_path = logic.save(logic.segment(volume), tmp_path / "out", "Jane ")
    assert segmentation_path.name == "Jane segmentation.seg.nrrd"
    assert [segment.name for segment in read_segmentation(segmentation_path)] == [
        "Left lung",
        "Right lung",
        "Tumor 1",
        "Tumor 2",
    ]
    rows = list(csv.DictReader(table_path.read_text().splitlines()))
    assert [row["side"] for row in rows] == ["Left", "Right"]
    assert float(rows[0]["volume_ml"]) == pytest.approx(18 * ct.voxel_volume_ml)
    summary = json.loads(summary_path.read_text())
    assert [row["segment"] for row in summary["lesions"]] == ["Tumor 1", "Tumor 2"]
    assert (summary["model"], summary["rejected"], summary["removed"], summary["message"]) == ("test", [], [], "")


def test_the_report_is_made_by_the_command_line_from_what_was_saved(logic, tmp_path, volume, monkeypatch):
    segmentation = logic.segment(volume)
    volume.SetName("Quexlander^Jane")
    slicer.app._layout_manager.threeDViewCount = 0
    logic.save(segmentation, tmp_path / "out")
    real = tmp_path / "real"
    real.mkdir()
    (real / "PythonSlicer").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (real / "PythonSlicer").chmod(0o755)
    monkeypatch.setenv("PATH", f"{real}{os.pathsep}{os.environ['PATH']}")
    path = logic.saveReport(segmentation, tmp_path / "out")
    html = path.read_text(encoding="utf-8")
    assert path == tmp_path / "out" / "report.html"
    assert "<td>segment</td><td>Tumor 1</td><td>Tumor 2</td>" in html
    assert "<td>confidence</td><td>0.9</td><td>0.4</td>" in html  # from the network; masks do not contain it
    assert "Quexlander" not in html
    assert str(tmp_path) not in html


def test_saving_measures_first_what_was_edited(logic, tmp_path, volume, ct):
    import csv

    from LungTumorSegLib.mrml.segments import mask_of, set_mask

    slicer.app._layout_manager.threeDViewCount = 0
    segmentation = logic.segment(volume)
    set_mask(segmentation, "Tumor_2", mask_of(segmentation.GetSegmentation(), "Tumor_1"))
    for measure, voxels in ((False, 2), (True, 18)):
        _, table_path, _ = logic.save(segmentation, tmp_path / "out", measure=measure)
        row = next(row for row in csv.DictReader(table_path.read_text().splitlines()) if row["segment"] == "Tumor 2")
        assert float(row["volume_ml"]) == pytest.approx(voxels * ct.voxel_volume_ml)
    slicer.mrmlScene.RemoveNode(volume)
    assert logic.save(segmentation, tmp_path / "out"), "without its CT it is saved as it was measured last"


@pytest.mark.parametrize("call", ["corrections", "measureLesions"])
def test_without_a_segmentation_there_is_nothing_to_correct_or_measure(logic, call):
    with pytest.raises(ValueError, match="There is no segmentation"):
        getattr(logic, call)(None)


def test_no_lesion_saves_a_table_with_its_columns_alone(logic, fake_child, tmp_path, volume):
    fake_child("good", lesions=0)
    slicer.app._layout_manager.threeDViewCount = 0
    _, table_path, _ = logic.save(logic.segment(volume), tmp_path / "out")
    columns = "number,segment,side,volume_ml,long_axis_mm,short_axis_mm,mean_hu,"
    assert table_path.read_text() == columns + "centroid_x_lps_mm,centroid_y_lps_mm,centroid_z_lps_mm,confidence\n"


def test_a_folder_that_cannot_be_written_is_said(logic, tmp_path, volume):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        logic.save(logic.segment(volume), tmp_path / "file")


def test_models_come_with_the_default_first(logic, model):
    assert list(logic.models()) == ["default", "other"]


def test_the_arguments_of_the_logic_after_the_first_three_are_given_by_name(logic):
    """So new ones can be added, and an argument is never taken for another; startSegmentation stays as it was."""
    functions = (logic.compare, logic.outline, logic.save, logic.startBatch, logic.startComparison, logic.startFiles,
                 logic.startLoading, logic.startOutline, logic.segment)  # fmt: skip
    for function in functions:
        parameters = inspect.signature(function).parameters.values()
        assert sum(each.kind is each.POSITIONAL_OR_KEYWORD for each in parameters) <= 3, function
