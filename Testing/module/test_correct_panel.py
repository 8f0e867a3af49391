"""The Correct section of the real panel: buttons, effects, quick tools, and a table that follows every edit."""

from __future__ import annotations

import json

import numpy as np
import pytest
import slicer
from LungTumorSegLib.correction.snapshot import Measures
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml.segments import mask_of, review_of, set_mask
from LungTumorSegLib.mrml.stored_lesions import is_measured, store_measures, stored_rows
from tiers import fast_only

from .conftest import add_volume, probability_map, process_until, whole_mask


@pytest.fixture
def widget(finished_panel):
    """Return the panel after a run, with the Correct section open."""
    finished_panel.ui.correctSection.collapsed = False
    settled(finished_panel)
    return finished_panel


def settled(widget) -> None:
    """Wait until every edit has been measured and shown."""
    section = widget.panel.correct
    process_until(lambda: not section.measuring.busy)


@pytest.fixture
def segmentation(widget):
    return widget.panel.parameterNode.outputSegmentation


def editor(widget):
    return widget.panel.correct.editor.widget


def cells(widget, column) -> list[str]:
    table = widget.ui.lesionTable
    return [table.item(row, column).text() for row in range(table.rowCount)]


def paint(segmentation, ct, segment_id, box) -> None:
    """Change voxels as an effect does, with the events that follow."""
    mask = whole_mask(ct, mask_of(segmentation.GetSegmentation(), segment_id))
    mask[box] = True
    set_mask(segmentation, segment_id, ct.with_array(mask))


PAINTED = np.s_[2:6, 7:9, 9:12]
"""24 voxels beside Tumor 1, which has 18."""


# The editor


def test_the_editor_works_on_the_result_with_the_effects_that_matter(widget, segmentation, volume):
    assert editor(widget).segmentationNode() is segmentation
    assert editor(widget).sourceVolumeNode() is volume
    assert not editor(widget).unorderedEffectsVisible
    node = editor(widget).mrmlSegmentEditorNode()
    assert node.GetOverwriteMode() == node.OverwriteNone, "lungs stay whole beneath what is painted"
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentEditorNode") == 1


def test_the_editor_has_views_and_keys_only_while_it_is_in_front(widget):
    qt_editor = editor(widget)._qt
    assert (qt_editor.in_views, qt_editor.has_shortcuts) == (True, True)
    widget.ui.correctSection.collapsed = True
    assert (qt_editor.in_views, qt_editor.has_shortcuts) == (False, False)
    widget.ui.correctSection.collapsed = False
    editor(widget).setActiveEffectByName("Paint")
    widget.exit()
    assert (qt_editor.in_views, qt_editor.has_shortcuts, qt_editor._effect) == (False, False, "")
    widget.enter()
    assert qt_editor.in_views


def test_painting_may_be_kept_inside_lungs_and_lesions(widget):
    node, kind = editor(widget).mrmlSegmentEditorNode(), slicer.vtkMRMLSegmentationNode
    assert node.GetMaskMode() == kind.EditAllowedEverywhere
    widget.ui.insideCheckBox.checked = True
    assert node.GetMaskMode() == kind.EditAllowedInsideAllSegments
    assert widget.panel.parameterNode.paintInside, "the scene keeps it"


def test_choosing_a_row_chooses_the_segment_to_paint(widget):
    assert editor(widget).currentSegmentID() == "Tumor_1", "not the lung, which is the first segment"
    widget.ui.lesionTable.selectRow(1)
    assert editor(widget).currentSegmentID() == "Tumor_2"


# Table updates


def test_painting_shows_the_new_volume_beside_that_before(widget, segmentation, ct):
    paint(segmentation, ct, "Tumor_1", PAINTED)
    settled(widget)
    before, after = (n * ct.voxel_volume_ml for n in (18, 42))
    assert cells(widget, 2)[0] == f"{after:.2f}\nwas {before:.2f}"
    assert cells(widget, 6) == ["0.90\ncorrected", "0.40 check"]
    assert widget.ui.burdenLabel.text.startswith(f"2 lesions, {after + 2 * ct.voxel_volume_ml:.1f} mL in total")
    assert "Volume before: " in widget.ui.lesionTable.item(0, 2).toolTip()


def test_number_and_order_stay_while_a_person_corrects(widget, segmentation, ct):
    widget.ui.lesionTable.selectRow(1)
    paint(segmentation, ct, "Tumor_2", np.s_[2:7, 6:9, 1:5])
    settled(widget)
    first, second = mrml.lesions_of(segmentation)
    assert first.volume_ml < second.volume_ml
    assert [(row.number, row.segment) for row in (first, second)] == [(1, "Tumor 1"), (2, "Tumor 2")]
    assert widget.panel.lesions.chosenIds() == ["Tumor_2"]
    assert [item.row() for item in widget.ui.lesionTable.selectedItems()] == [1] * 7


def test_a_row_shows_its_own_lesion_also_after_volumes_have_changed(widget, segmentation, ct):
    paint(segmentation, ct, "Tumor_2", np.s_[2:7, 6:9, 1:5])
    settled(widget)
    widget.ui.lesionTable.selectRow(0)
    x, y, z = next(row.centroid_lps for row in mrml.lesions_of(segmentation) if row.segment == "Tumor 1")
    node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceNode")
    assert [node.GetSliceToRAS().GetElement(axis, 3) for axis in range(3)] == pytest.approx([-x, -y, z])


def test_a_segmentation_that_no_run_made_is_measured_and_corrected_too(widget, volume, ct):
    own = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn by hand")
    own.CreateDefaultDisplayNodes()
    own.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for segment_id in ("A nodule", "Body", "Lesion margin"):
        own.GetSegmentation().AddEmptySegment(segment_id, segment_id)
    paint(own, ct, "A nodule", np.s_[2:4, 2:5, 2:6])
    paint(own, ct, "Body", np.s_[1:9, 1:11, 1:13])
    widget.ui.outputSelector.setCurrentNode(own)
    settled(widget)
    assert [(row.segment, row.correction) for row in mrml.lesions_of(own)] == [("A nodule", "")]
    assert cells(widget, 2) == [f"{24 * ct.voxel_volume_ml:.2f}"]
    widget.ui.addButton.click()
    paint(own, ct, "Tumor_2", np.s_[5:6, 2:4, 2:6])
    settled(widget)
    assert [(row.number, row.segment) for row in mrml.lesions_of(own)] == [(1, "A nodule"), (2, "Tumor 2")]
    assert not widget.ui.resetAllButton.enabled, "there is nothing to go back to"


def test_edits_made_with_the_section_closed_or_in_another_module_reach_the_table_too(widget, segmentation, ct):
    widget.ui.correctSection.collapsed = True
    widget.exit()
    paint(segmentation, ct, "Tumor_1", PAINTED)
    settled(widget)
    assert mrml.lesions_of(segmentation)[0].correction == "corrected"


def test_undo_takes_nothing_away_that_was_edited_in_another_module(widget, segmentation, ct):
    widget.ui.lesionTable.selectRow(0)
    widget.ui.confirmButton.click()
    widget.exit()
    paint(segmentation, ct, "Tumor_1", PAINTED)
    widget.enter()
    widget.ui.undoButton.click()
    assert widget.ui.correctionLabel.text == "There is nothing to undo."
    settled(widget)
    assert cells(widget, 6)[0] == "0.90\ncorrected \N{CHECK MARK}"


def test_leaving_the_panel_and_coming_back_keeps_what_can_be_undone(widget):
    widget.ui.lesionTable.selectRow(0)
    widget.ui.confirmButton.click()
    settled(widget)
    widget.exit()
    widget.enter()
    widget.ui.undoButton.click()
    settled(widget)
    assert cells(widget, 6)[0] == "0.90"


def test_a_renamed_lesion_has_its_new_name_in_the_table(widget, segmentation):
    segmentation.GetSegmentation().GetSegment("Tumor_1").SetName("Hamartoma")
    settled(widget)
    assert mrml.lesions_of(segmentation)[0].segment == "Hamartoma"
    widget.ui.lesionTable.selectRow(0)  # highlighting goes by the segment name


def test_painting_and_undoing_it_is_no_correction(widget, segmentation, ct):
    editor(widget).saveStateForUndo()  # as an effect does before its stroke
    paint(segmentation, ct, "Tumor_1", PAINTED)
    settled(widget)
    widget.ui.undoButton.click()
    settled(widget)
    assert cells(widget, 6) == ["0.90", "0.40 check"]


def test_a_segmentation_of_another_geometry_is_said(widget, segmentation, ct):
    content = segmentation.GetSegmentation()
    image = slicer.vtkOrientedImageData()
    image.DeepCopy(content.GetSegment("Tumor_1").GetRepresentation("Binary labelmap"))
    image.SetOrigin(*np.add(image.GetOrigin(), (0.3, 0, 0)))  # mm, half a voxel
    odd = slicer.vtkSegment()
    odd.SetName("odd")
    odd.AddRepresentation("Binary labelmap", image)
    content.AddSegment(odd)
    settled(widget)
    assert "does not lie on the CT's voxels" in widget.ui.correctionLabel.text


# The buttons


def test_buttons_are_there_for_what_is_chosen(widget):
    ui = widget.ui
    single = (
        ui.deleteButton,
        ui.splitButton,
        ui.confirmButton,
        ui.rejectButton,
        ui.resetButton,
        ui.lesionThresholdSlider,
    )
    assert [button.enabled for button in single] == [False] * 6
    assert (ui.addButton.enabled, ui.undoButton.enabled, ui.resetAllButton.enabled, ui.growButton.enabled) == (
        True,
    ) * 4
    ui.lesionTable.selectRow(0)
    assert [button.enabled for button in single] == [True] * 6
    assert not ui.mergeButton.enabled
    ui.lesionTable._qt.selectAll()
    assert ui.mergeButton.enabled
    assert [button.enabled for button in single] == [False] * 6


def test_adding_chooses_the_new_segment_and_the_brush(widget, segmentation):
    widget.ui.addButton.click()
    assert editor(widget).currentSegmentID() == "Tumor_3"
    assert editor(widget)._qt._effect == "Paint"
    assert "Tumor 3 is empty" in widget.ui.correctionLabel.text


def test_a_painted_new_lesion_joins_the_table(widget, segmentation, ct):
    widget.ui.addButton.click()
    paint(segmentation, ct, "Tumor_3", np.s_[1:3, 2:4, 2:4])
    settled(widget)
    assert [cells(widget, column)[2] for column in (1, 6)] == ["Right", "?\nadded"]


def test_confirming_and_rejecting_are_switches(widget, segmentation):
    ui = widget.ui
    ui.lesionTable.selectRow(1)
    ui.confirmButton.click()
    settled(widget)
    assert cells(widget, 6)[1] == "0.40 \N{CHECK MARK}"
    assert ui.confirmButton.checked
    ui.rejectButton.click()
    settled(widget)
    assert cells(widget, 6)[1] == "rejected"
    assert (ui.confirmButton.checked, ui.rejectButton.checked) == (False, True)
    assert ui.burdenLabel.text.startswith("1 lesion, ")
    ui.rejectButton.click()
    settled(widget)
    assert cells(widget, 6)[1] == "0.40 check"


def test_deleting_the_last_lesion_says_that_this_excludes_nothing(widget):
    for _ in range(2):
        widget.ui.lesionTable.selectRow(0)
        widget.ui.deleteButton.click()
        settled(widget)
    assert widget.ui.lesionTable.rowCount == 0
    assert widget.ui.burdenLabel.text == "No lesion is left; this does not exclude disease"
    for _ in range(2):
        widget.ui.undoButton.click()
    settled(widget)
    assert cells(widget, 6) == ["0.90", "0.40 check"]
    widget.ui.undoButton.click()
    assert widget.ui.correctionLabel.text == "There is nothing to undo."


def test_merging_two_rows_makes_one(widget, ct):
    widget.ui.lesionTable._qt.selectAll()
    widget.ui.mergeButton.click()
    settled(widget)
    assert cells(widget, 2) == [f"{20 * ct.voxel_volume_ml:.2f}\nwas {18 * ct.voxel_volume_ml:.2f}"]


def test_the_pieces_of_a_split_lesion_are_both_called_corrected(widget, segmentation, ct):
    mask = np.zeros(ct.shape, bool)
    mask[1:4, 3:6, 8:12] = mask[5:9, 3:8, 9:13] = True  # both hold voxels of the network's tumor 1
    set_mask(segmentation, "Tumor_1", ct.with_array(mask))
    settled(widget)
    widget.ui.lesionTable.selectRow(0)
    widget.ui.splitButton.click()
    settled(widget)
    assert cells(widget, 6) == ["0.90\ncorrected", "0.40 check", "?\ncorrected"]
    assert cells(widget, 2)[2] == f"{36 * ct.voxel_volume_ml:.2f}"
    assert "a part of a lesion that the network found" in widget.ui.lesionTable.item(2, 2).toolTip()


def test_what_cannot_be_done_is_said_without_a_box(widget):
    widget.ui.lesionTable.selectRow(0)
    widget.ui.splitButton.click()
    assert "is in one piece" in widget.ui.correctionLabel.text
    assert widget.ui.correctionLabel.isVisibleTo(widget.parent)
    widget.ui.confirmButton.click()
    assert not widget.ui.correctionLabel.isVisibleTo(widget.parent), "what was done says nothing"


def test_resetting_brings_the_networks_numbers_back(widget, segmentation, ct):
    paint(segmentation, ct, "Tumor_1", PAINTED)
    widget.ui.addButton.click()
    settled(widget)
    widget.ui.lesionTable.selectRow(0)
    widget.ui.resetButton.click()
    settled(widget)
    assert cells(widget, 6) == ["0.90", "0.40 check"]
    widget.ui.resetAllButton.click()
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 4


# Quick tools


def test_the_slider_cuts_the_chosen_lesion_at_once_and_is_one_step_to_undo(widget, segmentation, ct):
    slider = widget.ui.lesionThresholdSlider
    widget.ui.lesionTable.selectRow(0)
    assert slider.value == pytest.approx(0.4), "where the run has cut"
    for value in (0.7, 0.2):
        slider.value = value
        found = mask_of(segmentation.GetSegmentation(), "Tumor_1")
        assert np.count_nonzero(found.array) == np.count_nonzero(probability_map(ct).array >= value)
    settled(widget)
    assert mrml.lesions_of(segmentation)[0].correction == "corrected"
    widget.ui.undoButton.click()
    settled(widget)
    assert cells(widget, 6)[0] == "0.90"


def test_choosing_another_lesion_moves_the_slider_back_and_changes_nothing(widget, segmentation):
    widget.ui.lesionTable.selectRow(0)
    widget.ui.lesionThresholdSlider.value = 0.6
    settled(widget)
    voxels = mask_of(segmentation.GetSegmentation(), "Tumor_2").array.copy()
    widget.ui.lesionTable.selectRow(1)
    assert widget.ui.lesionThresholdSlider.value == pytest.approx(0.4)
    np.testing.assert_array_equal(mask_of(segmentation.GetSegmentation(), "Tumor_2").array, voxels)


@pytest.fixture
def mouse(slicer_app):
    """Provide the application's nodes for placing points, and a function that clicks with them."""
    selection = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSelectionNode")
    interaction = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLInteractionNode")

    def click(point_ras) -> None:
        assert interaction.GetCurrentInteractionMode() == interaction.Place
        slicer.mrmlScene.GetNodeByID(selection.GetActivePlaceNodeID()).AddControlPoint(*point_ras)
        slicer.app.processEvents()

    click.interaction = interaction
    return click


def beside_tumor_1(ct):
    x, y, z = ct.index_to_lps((4, 6, 10))
    return -x, -y, z


def test_a_click_grows_a_new_lesion_to_the_edge(widget, segmentation, ct, mouse):
    widget.ui.growButton.click()
    assert widget.ui.correctionLabel.text == "Click the lesion in a slice view."
    mouse(beside_tumor_1(ct))
    settled(widget)
    assert not widget.ui.growButton.checked
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 0
    assert mouse.interaction.GetCurrentInteractionMode() == mouse.interaction.ViewTransform
    assert "?\nadded" in cells(widget, 6)


def test_a_click_where_the_network_sees_nothing_is_refused_in_words(widget, segmentation, ct, mouse):
    widget.ui.growButton.click()
    x, y, z = ct.index_to_lps((1, 1, 1))
    mouse((-x, -y, z))
    assert "found no tumor at this point" in widget.ui.correctionLabel.text
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 4


@pytest.mark.parametrize("how", fast_only(["exit", "scene"], ["button", "exit", "scene"]))
def test_growing_can_be_given_up(widget, mouse, how):
    widget.ui.growButton.click()
    {"button": widget.ui.growButton.click, "exit": widget.exit, "scene": lambda: slicer.mrmlScene.Clear(0)}[how]()
    assert not widget.ui.growButton.checked
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == 0


def test_without_a_probability_map_the_quick_tools_are_off(widget, segmentation):
    slicer.mrmlScene.RemoveNode(segmentation.GetNodeReference(mrml.PROBABILITY_ROLE))
    widget.ui.lesionTable.selectRow(0)
    assert not widget.ui.lesionThresholdSlider.enabled
    assert not widget.ui.growButton.enabled


# Saving, running again, closing


def test_saving_waits_for_the_last_edit(widget, segmentation, ct, tmp_path):
    slicer.app._layout_manager.threeDViewCount = 0
    widget.ui.lesionTable.selectRow(1)
    widget.ui.rejectButton.click()
    paint(segmentation, ct, "Tumor_1", PAINTED)
    widget.ui.folderButton.directory = str(tmp_path / "out")
    widget.ui.saveButton.click()
    saved = json.loads((tmp_path / "out" / "summary.json").read_text())
    (lesion,) = saved["lesions"]
    assert saved["message"] == "1 lesion after correction by a person"
    assert lesion["volume_ml"] == pytest.approx(42 * ct.voxel_volume_ml)
    assert (lesion["correction"], lesion["network_volume_ml"]) == ("corrected", pytest.approx(18 * ct.voxel_volume_ml))
    assert [row["segment"] for row in saved["rejected"]] == ["Tumor 2"]


@pytest.mark.parametrize("how", ["painted", "confirmed"])
def test_a_corrected_segmentation_survives_a_second_run(widget, segmentation, ct, how):
    if how == "painted":
        paint(segmentation, ct, "Tumor_1", PAINTED)
    else:
        widget.ui.lesionTable.selectRow(0)
        widget.ui.confirmButton.click()
    settled(widget)
    rows = mrml.lesions_of(segmentation)
    widget.ui.segmentButton.click()
    process_until(lambda: not widget.panel.run.running)
    assert widget.panel.parameterNode.outputSegmentation is not segmentation
    assert editor(widget).segmentationNode() is widget.panel.parameterNode.outputSegmentation
    assert mrml.lesions_of(segmentation) == rows


def test_a_second_run_on_an_unedited_result_is_followed_too(widget, segmentation, ct):
    widget.ui.segmentButton.click()
    process_until(lambda: not widget.panel.run.running)
    assert widget.panel.parameterNode.outputSegmentation is segmentation
    paint(segmentation, ct, "Tumor_1", PAINTED)
    settled(widget)
    assert cells(widget, 6)[0] == "0.90\ncorrected"


@pytest.mark.parametrize(
    "when",
    fast_only(["measuring", "added"], ["open", "painted", "measuring", "trying a threshold", "added", "left"]),
)
def test_the_scene_may_be_closed_at_any_moment(widget, segmentation, ct, when):
    section = widget.panel.correct
    if when in ("painted", "measuring"):
        paint(segmentation, ct, "Tumor_1", PAINTED)
    if when == "measuring":
        process_until(lambda: section.measuring.busy)
    if when == "trying a threshold":
        widget.ui.lesionTable.selectRow(0)
        widget.ui.lesionThresholdSlider.value = 0.3
    if when == "added":
        widget.ui.addButton.click()
    if when == "left":
        widget.exit()
    slicer.mrmlScene.Clear(0)
    for _ in range(20):
        slicer.app.processEvents()
    assert not section.measuring.following
    assert widget.ui.lesionTable.rowCount == 0
    assert not widget.ui.addButton.enabled
    for button in (widget.ui.undoButton, widget.ui.addButton, widget.ui.resetAllButton):
        button._qt.clicked.emit()  # even if the button could be pressed
    if when == "left":
        widget.enter()
    again = add_volume(slicer.mrmlScene, ct, "the next CT")
    process_until(lambda: widget.ui.inputSelector.currentNode() is again)
    widget.ui.segmentButton.click()
    process_until(lambda: not widget.panel.run.running)
    settled(widget)
    paint(widget.panel.parameterNode.outputSegmentation, ct, "Tumor_1", PAINTED)
    settled(widget)
    assert cells(widget, 6)[0] == "0.90\ncorrected"


def test_after_loading_a_saved_scene_the_panel_shows_all_of_it_again_and_correction_goes_on(
    widget, segmentation, ct, tmp_path
):
    paint(segmentation, ct, "Tumor_1", PAINTED)
    widget.ui.lesionTable.selectRow(1)
    widget.ui.confirmButton.click()
    widget.ui.insideCheckBox.checked = True
    editor(widget).mrmlSegmentEditorNode().SetAttribute("Paint,BrushRelativeDiameter", "7")
    settled(widget)
    before = [cells(widget, column) for column in range(7)]
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.app.processEvents()
    assert slicer.mrmlScene.ReadFromMRB(str(tmp_path / "scene.mrb"))
    process_until(lambda: widget.ui.lesionTable.rowCount == 2)
    settled(widget)
    assert [cells(widget, column) for column in range(7)] == before
    assert widget.ui.insideCheckBox.checked
    node = editor(widget).mrmlSegmentEditorNode()
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentEditorNode") == 1
    assert (node.GetAttribute("Paint,BrushRelativeDiameter"), node.GetOverwriteMode()) == ("7", node.OverwriteNone)
    assert node.GetMaskMode() == slicer.vtkMRMLSegmentationNode.EditAllowedInsideAllSegments
    widget.ui.resetAllButton.click()
    settled(widget)
    assert cells(widget, 6) == ["0.90", "0.40 \N{CHECK MARK}"]


def test_what_was_not_measured_when_the_scene_was_saved_is_measured_when_it_is_loaded(
    widget, segmentation, ct, tmp_path
):
    settled(widget)
    right = stored_rows(segmentation)
    unfinished = Measures(
        [{**row, "long_axis_mm": 1.0} for row in right], mrml.summary_of(segmentation)["spread"], complete=False
    )
    store_measures(segmentation, unfinished)
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"))
    widget.ui.correctSection.collapsed = True
    slicer.mrmlScene.Clear(0)
    slicer.app.processEvents()
    assert slicer.mrmlScene.ReadFromMRB(str(tmp_path / "scene.mrb"))
    process_until(lambda: widget.ui.lesionTable.rowCount == 2)
    settled(widget)
    loaded = widget.panel.parameterNode.outputSegmentation
    assert is_measured(loaded)
    assert stored_rows(loaded) == right


def test_deleting_the_segmentation_empties_the_section(widget, segmentation):
    slicer.mrmlScene.RemoveNode(segmentation)
    process_until(lambda: not widget.ui.addButton.enabled)
    assert not widget.panel.correct.measuring.following


def test_deleting_the_ct_is_said_at_the_next_edit(widget, segmentation, ct, volume):
    slicer.mrmlScene.RemoveNode(volume)
    paint(segmentation, ct, "Tumor_1", PAINTED)
    process_until(lambda: "CT of this segmentation is not in the scene" in widget.ui.correctionLabel.text)


def test_marks_are_tags_of_the_segments(widget, segmentation):
    widget.ui.lesionTable.selectRow(0)
    widget.ui.confirmButton.click()
    assert review_of(segmentation.GetSegmentation().GetSegment("Tumor_1")) == "confirmed"
