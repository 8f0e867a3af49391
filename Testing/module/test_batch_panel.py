"""The Batch section of the real panel: CTs of the scene and of a folder, a line per CT, and their results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slicer
from four_d import write_4d
from LungTumorSegLib.io.headers import read_header
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml import volume_nodes
from LungTumorSegLib.mrml.segments import mask_of
from stand_in import application as stand_in

from .conftest import add_volume, process_until, whole_mask


@pytest.fixture
def widget(module, model, fake_child, tmp_path):
    widget = module.LungTumorSegWidget(stand_in.new_panel_parent())
    widget.setup()
    widget.enter()
    widget.ui.batchOutputButton.directory = str(tmp_path / "out")
    yield widget
    widget.cleanup()
    widget.parent.deleteLater()
    slicer.app.processEvents()


@pytest.fixture
def with_cts(widget, volume, ct):
    """Return the panel with three CTs in the scene, two of which have the same name."""
    for name in ("CT 5: chest", "MR?"):
        add_volume(slicer.mrmlScene, ct, name)
    process_until(lambda: widget.ui.inputSelector.nodeCount() == 3)
    return widget


def run_to_end(widget):
    widget.ui.batchButton.click()
    process_until(lambda: not widget.panel.batch.running)


def table(widget) -> dict[str, str]:
    rows = widget.ui.batchTable
    return {rows.item(row, 0).text(): rows.item(row, 1).text() for row in range(rows.rowCount)}


def load(widget, row: int):
    widget.ui.batchTable.selectRow(row)
    widget.ui.batchLoadButton.click()
    process_until(lambda: widget.ui.batchLoadButton.enabled)
    return widget.panel.parameterNode.outputSegmentation


def test_without_a_ct_only_a_folder_can_be_segmented(widget):
    assert not widget.ui.batchButton.enabled
    assert not widget.ui.batchFolderButton.enabled
    assert not widget.ui.batchLoadButton.enabled
    widget.ui.batchSourceSelector.currentIndex = 1
    assert widget.ui.batchButton.enabled
    assert widget.ui.batchFolderButton.enabled


def test_every_ct_of_the_scene_gets_a_line_with_its_result_or_the_reason(with_cts, tmp_path):
    run_to_end(with_cts)
    assert table(with_cts) == {
        "CT_5_chest": "2 lesions, 3.46 mL",
        "CT_5_chest_2": "2 lesions, 3.46 mL",
        "MR": "Refused: MR.nrrd is not a CT; choose a chest CT.",
    }
    assert with_cts.ui.batchLabel.text.startswith(f"The results are in {tmp_path / 'out'}")
    assert with_cts.ui.batchButton.text == "Start"
    assert not with_cts.ui.batchProgressBar.isVisibleTo(with_cts.parent)


def test_the_command_gets_the_cts_as_they_are_and_the_options_of_the_panel(with_cts, fake_child, ct, monkeypatch):
    with_cts.ui.strideSpinBox.value = 3
    written = {}

    def look(event):
        (private,) = Path(slicer.app.temporaryPath).glob("LungTumorSeg-*")
        written.update({path.stem: read_header(path) for path in private.glob("*.nrrd")})

    monkeypatch.setattr(with_cts.panel.batch, "_onEvent", look)
    run_to_end(with_cts)
    arguments = fake_child.arguments()
    assert arguments[arguments.index("--stride") + 1] == "3"
    assert set(written) == {"CT_5_chest", "CT_5_chest_2", "MR"}
    assert written["MR"].shape == ct.shape
    assert np.allclose(written["MR"].affine, ct.affine)


def test_results_are_loaded_one_at_a_time_beside_their_ct(with_cts, volume, tmp_path):
    run_to_end(with_cts)
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    first = load(with_cts, 0)
    assert mrml.ct_of(first) is volume
    assert with_cts.ui.lesionTable.rowCount == 2
    second = load(with_cts, 1)
    assert mrml.ct_of(second) is not volume
    assert with_cts.ui.inputSelector.currentNode() is mrml.ct_of(second)
    assert load(with_cts, 0) is first, "it is not loaded twice"
    with_cts.ui.batchTable.selectRow(2)
    assert not with_cts.ui.batchLoadButton.enabled
    slicer.mrmlScene.RemoveNode(first)
    (tmp_path / "out" / "CT_5_chest" / "summary.json").unlink()
    load(with_cts, 0)
    assert with_cts.ui.batchLabel.text.startswith("CT_5_chest was not loaded: ")
    slicer.mrmlScene.RemoveNode(volume)
    load(with_cts, 0)
    assert "no longer in the scene" in with_cts.ui.batchLabel.text


def test_the_cts_of_a_folder_are_loaded_with_their_result(widget, ct, tmp_path):
    (tmp_path / "cts").mkdir()
    for name in ("a", "b"):
        write_volume(ct, tmp_path / "cts" / f"{name}.nrrd")
    widget.ui.batchSourceSelector.currentIndex = 1
    widget.ui.batchFolderButton.directory = str(tmp_path / "cts")
    run_to_end(widget)
    assert list(table(widget)) == ["a", "b"]
    segmentation = load(widget, 1)
    read = volume_nodes.volume_of_node(mrml.ct_of(segmentation))
    assert np.array_equal(read.array, ct.array)
    assert np.allclose(read.affine, ct.affine)
    content = segmentation.GetSegmentation()
    tumor = mask_of(content, content.GetSegmentIdBySegmentName("Tumor 1"))
    assert np.count_nonzero(whole_mask(ct, tumor)) == 18
    path = write_4d([ct, ct.with_array(ct.array + 1)], tmp_path / "4d.nii")
    loading = widget.logic.startLoading(tmp_path / "out" / "a", path=path, phase=1)
    process_until(lambda: loading.finished)
    assert np.array_equal(volume_nodes.volume_of_node(mrml.ct_of(loading.result)).array, ct.array + 1), (
        "its phase is read"
    )


def test_every_phase_of_a_sequence_is_segmented_and_shown_with_its_result(widget, volume, ct, tmp_path):
    sequence = slicer.mrmlScene.AddNode(slicer.vtkMRMLSequenceNode())
    for number in range(2):
        phase = add_volume(slicer.mrmlScene, ct.with_array(ct.array + number), "phase")
        sequence.SetDataNodeAtValue(phase, str(number))
        slicer.mrmlScene.RemoveNode(phase)
    browser = slicer.mrmlScene.AddNode(slicer.vtkMRMLSequenceBrowserNode())
    browser.AddSynchronizedSequenceNode(sequence)
    browser.AddProxyNode(volume, sequence, False)
    process_until(lambda: volume.GetAttribute(volume_nodes.CT_ATTRIBUTE))
    cts = widget.logic.sceneCTs()
    assert [each.case for each in cts] == ["CT_5_chest_phase_00", "CT_5_chest_phase_01"]
    assert np.array_equal(cts[1].volume().array, ct.array + 1)
    run_to_end(widget)
    rows = (tmp_path / "fake" / "table.csv").read_text().splitlines()
    assert rows[2] == "CT_5_chest_phase_01,CT_5_chest,1,CT_5_chest_phase_01.nrrd"
    segmentation = load(widget, 1)
    assert browser.GetSelectedItemNumber() == 1
    assert mrml.ct_of(segmentation) is volume


def test_cancel_ends_the_batch_and_keeps_the_table(with_cts, fake_child):
    fake_child("slow")
    with_cts.ui.batchButton.click()
    assert with_cts.ui.batchButton.text == "Cancel"
    process_until(lambda: "0 of 3" in with_cts.ui.batchLabel.text)
    assert set(table(with_cts).values()) == {"Waiting"}
    with_cts.ui.batchButton.click()
    assert not with_cts.ui.batchButton.enabled
    process_until(lambda: not with_cts.panel.batch.running)
    assert with_cts.ui.batchLabel.text.startswith("Cancelled.")
    assert with_cts.ui.batchButton.enabled


def test_a_closed_scene_does_not_stop_the_batch_but_the_closed_panel_does(with_cts, fake_child):
    fake_child("slow")
    with_cts.ui.batchButton.click()
    process_until(lambda: "0 of 3" in with_cts.ui.batchLabel.text)
    slicer.mrmlScene.Clear(False)
    slicer.app.processEvents()
    assert with_cts.panel.batch.running
    with_cts.panel.close()
    assert not with_cts.panel.batch.running


def test_why_a_batch_ended_or_did_not_begin_is_said(with_cts, fake_child, monkeypatch):
    fake_child("error:3:There is not enough memory; close other programs.")
    run_to_end(with_cts)
    assert with_cts.ui.batchLabel.text == "There is not enough memory; close other programs."

    def refuse(openVino=False):
        raise RuntimeError("Segmenting needs torch.")

    monkeypatch.setattr(with_cts.logic, "installPackages", refuse)
    with_cts.ui.batchButton.click()
    assert with_cts.ui.batchLabel.text == "Segmenting needs torch."
    assert not with_cts.panel.batch.running
    assert with_cts.ui.batchButton.enabled
