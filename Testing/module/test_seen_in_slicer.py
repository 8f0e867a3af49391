"""Regression tests for defects that were seen when the panel ran in Slicer 5.13."""

from __future__ import annotations

import time
import types
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import slicer
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml.segments import set_mask
from LungTumorSegLib.options import OPTIONS, Thresholds, usual_values
from LungTumorSegLib.process import command_run
from stand_in import application as stand_in

from .conftest import PATIENCE_SECONDS, add_volume, process_until


def settled(widget) -> None:
    process_until(lambda: not widget.panel.correct.measuring.busy)


@pytest.fixture
def segmentation(finished_panel):
    return finished_panel.panel.parameterNode.outputSegmentation


@pytest.fixture
def correcting(finished_panel):
    finished_panel.ui.correctSection.collapsed = False
    settled(finished_panel)
    return finished_panel


def reload_scene(widget, tmp_path, *, close: bool = True):
    path = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(path)
    if close:
        slicer.mrmlScene.Clear(0)
        slicer.app.processEvents()
    assert slicer.mrmlScene.ReadFromMRB(path)
    process_until(lambda: widget.ui.lesionTable.rowCount == 2)
    slicer.app.processEvents()
    settled(widget)
    return widget.panel.parameterNode.outputSegmentation


def column(widget, number: int) -> list[str]:
    table = widget.ui.lesionTable
    return [table.item(row, number).text() for row in range(table.rowCount)]


# Scenes


def test_a_scene_that_is_loaded_with_the_panel_in_front_can_be_corrected_at_once(correcting, tmp_path):
    loaded = reload_scene(correcting, tmp_path)
    editor = correcting.panel.correct.editor.widget
    assert loaded is not None
    assert editor.segmentationNode() is loaded
    assert editor.sourceVolumeNode() is mrml.ct_of(loaded)
    assert editor.currentSegmentID() == "Tumor_1"


def test_lesions_are_shown_after_loading_whatever_slicers_lists_did_to_them(correcting, tmp_path):
    correcting.ui.lesionTable.selectRow(1)
    correcting.ui.rejectButton.click()
    settled(correcting)
    segmentation = correcting.panel.parameterNode.outputSegmentation
    segmentation.GetDisplayNode().SetSegmentVisibility("Tumor_1", False)  # as Slicer's segment selector does
    display = reload_scene(correcting, tmp_path).GetDisplayNode()
    assert display.GetSegmentVisibility("Tumor_1")
    assert not display.GetSegmentVisibility("Tumor_2"), "rejected"


def test_the_choice_of_colors_is_restored_with_the_scene(correcting, tmp_path):
    correcting.ui.colorSelector.currentIndex = 1
    reload_scene(correcting, tmp_path)
    assert correcting.ui.colorSelector.currentIndex == 1
    assert correcting.ui.legendLabel.text


@pytest.mark.parametrize("stage", ["done", "running"])
def test_after_a_scene_was_closed_the_panel_says_what_to_do_next(finished_panel, fake_child, stage):
    if stage == "running":
        fake_child("slow")
        finished_panel.ui.segmentButton.click()
        process_until(lambda: finished_panel.ui.progressBar.value > 25)
    slicer.mrmlScene.Clear(0)
    process_until(lambda: not finished_panel.panel.run.running)
    process_until(lambda: "Load a chest CT" in finished_panel.ui.statusLabel.text)


def test_a_module_that_is_reloaded_in_front_is_entered(module, model, fake_child, volume, monkeypatch):
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: object())
    monkeypatch.setattr(slicer.util, "selectedModule", lambda: "LungTumorSeg")
    widget = module.LungTumorSegWidget(stand_in.new_panel_parent())
    widget.setup()
    widget.ui.correctSection.collapsed = False
    widget.panel.parameterNode.outputSegmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert widget.panel.correct.editor.widget._qt.in_views
    widget.cleanup()


# Threads


def test_each_look_at_a_run_gives_the_interpreter_to_other_threads(finished_panel, monkeypatch):
    """Slicer's event loop holds the interpreter while it is idle, so a look that does not sleep would starve them."""
    from LungTumorSegPanel import waiting

    slept, looks = [], []
    monkeypatch.setattr(waiting, "time", types.SimpleNamespace(sleep=slept.append))
    finished_panel.ui.segmentButton.click()
    run = finished_panel.panel.run._run
    poll = run.poll
    monkeypatch.setattr(run, "poll", lambda: (looks.append(1), poll()))
    process_until(lambda: not finished_panel.panel.run.running)
    assert slept
    assert set(slept) == {waiting.TURN_SECONDS}
    assert len(slept) == len(looks) - 1  # the last look found the end


def test_when_the_child_has_done_all_the_panel_says_that_the_result_is_loaded(finished_panel):
    from LungTumorSegLib.core.events import Progress
    from LungTumorSegLib.process.progress import RunProgress

    progress = RunProgress()
    progress.update(Progress("writing", 3, 3))
    finished_panel.panel.run._onProgress(progress)
    assert finished_panel.ui.statusLabel.text == "Loading the result"


def test_the_report_is_drawn_beside_a_window_that_lives(finished_panel, tmp_path):
    slicer.app._layout_manager.threeDViewCount = 0
    finished_panel.ui.folderButton.directory = str(tmp_path / "out")
    finished_panel.ui.saveButton.click()
    assert finished_panel.ui.savedLabel.text == "Drawing the report ..."
    assert not finished_panel.ui.saveButton.enabled
    process_until(lambda: finished_panel.ui.saveButton.enabled)
    assert "report.html" in finished_panel.ui.savedLabel.text
    finished_panel.panel.refresh()  # as when lesions have been measured
    assert "report.html" in finished_panel.ui.savedLabel.text


def test_a_command_that_is_closed_leaves_nothing_and_calls_nobody(slicer_app, fake_child, tmp_path):
    fake_child("deaf")
    called = []
    run = command_run.CommandRun(
        lambda folder: ["segment", "-o", str(folder)],
        lambda folder: folder,
        temporary_folder=slicer.app.temporaryPath,
        failure="It failed.",
        on_finished=called.append,
    )
    began = time.monotonic()
    run.close()
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert (run.finished, run.result, called) == (True, None, [])
    assert run.error is not None


# The panel


def test_the_panel_has_its_width_from_the_start_and_the_editor_no_second_buttons(finished_panel):
    editor = finished_panel.panel.correct.editor.widget
    assert finished_panel.ui.segmentSection.parent().minimumWidth >= 420
    for name in ("maskingSectionVisible", "addRemoveSegmentButtonsVisible", "show3DButtonVisible", "undoEnabled"):
        assert not getattr(editor, name), name


def test_opening_correct_folds_segment_and_keeps_sides_and_the_share_of_the_lungs(finished_panel):
    sides, burden = column(finished_panel, 1), finished_panel.ui.burdenLabel.text
    seen = []
    refresh = finished_panel.panel.lesions.refresh
    finished_panel.panel.lesions.refresh = lambda: (refresh(), seen.append(column(finished_panel, 1)))
    finished_panel.ui.correctSection.collapsed = False
    assert finished_panel.ui.segmentSection.collapsed
    settled(finished_panel)
    assert sides == ["Left", "Right"]
    assert seen
    assert not any("?" in row for row in seen), "what was known stays until something better is"
    assert "% of the lungs" in burden
    assert "% of the lungs" in finished_panel.ui.burdenLabel.text


def test_a_click_after_add_fills_the_new_lesion_and_no_other(correcting, segmentation, ct):
    correcting.ui.lesionTable.selectRow(0)
    correcting.ui.addButton.click()
    assert correcting.panel.lesions.chosenIds() == []
    x, y, z = ct.index_to_lps((4, 6, 10))
    correcting.panel.correct._placement = type("Placed", (), {"close": lambda self: None})()
    correcting.panel.correct._grow((-x, -y, z))
    settled(correcting)
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 5
    assert column(correcting, 0) == ["1", "2", "3"]


def test_a_mark_stands_in_the_table_at_once(correcting):
    correcting.ui.lesionTable.selectRow(1)
    correcting.ui.confirmButton.click()
    assert column(correcting, 6)[1] == "0.40 \N{CHECK MARK}"
    correcting.ui.rejectButton.click()
    assert column(correcting, 6)[1] == "rejected"
    assert correcting.ui.burdenLabel.text.startswith("1 lesion, ")


def test_the_first_column_has_the_color_of_the_views(finished_panel, segmentation):
    import qt

    def shown(row: int) -> list[int]:
        color = finished_panel.ui.lesionTable.item(row, 0).data(qt.Qt.DecorationRole)
        return [color.red(), color.green(), color.blue()]

    color = segmentation.GetSegmentation().GetSegment("Tumor_1").GetColor()
    assert shown(0) == [round(255 * part) for part in color]
    segmentation.GetSegmentation().GetSegment("Tumor_2").SetColor(0.0, 1.0, 0.0)
    finished_panel.panel.refresh()
    assert shown(1) == [0, 255, 0]


def test_the_tooltips_say_which_colors_the_editors_list_shows(finished_panel, segmentation):
    """Slicer's list of segments reads the segments' own colors; override colors appear in the views and the table."""
    content, ui = segmentation.GetSegmentation(), finished_panel.ui
    own = [content.GetSegment(name).GetColor() for name in content.GetSegmentIDs()]
    ui.colorSelector.currentIndex = 1
    assert [content.GetSegment(name).GetColor() for name in content.GetSegmentIDs()] == own
    assert segmentation.GetDisplayNode().GetSegmentColor("Tumor_1") != own[content.GetSegmentIndex("Tumor_1")]
    for widget in (ui.colorSelector, ui.growthColorsCheckBox):
        assert "the Segment Editor's list" in widget.toolTip


def test_the_table_is_as_high_as_its_rows(finished_panel):
    table = finished_panel.ui.lesionTable
    two = table.maximumHeight
    assert table.minimumHeight == two
    finished_panel.ui.outputSelector.setCurrentNode(None)
    assert table.maximumHeight < two


def test_the_ct_is_shown_in_the_lung_window_and_switched_by_buttons(finished_panel, volume):
    from LungTumorSegPanel import views

    display = volume.GetDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == views.LUNG_WINDOW == (1500, -600)
    finished_panel.ui.mediastinumWindowButton.click()
    assert (display.GetWindow(), display.GetLevel()) == views.MEDIASTINUM_WINDOW == (400, 40)
    finished_panel.ui.lungWindowButton.click()
    assert display.GetLevel() == -600


def test_the_result_fills_the_3d_view_without_its_box_unless_the_user_shows_it_again(finished_panel):
    layout = slicer.app.layoutManager()
    assert layout.threeDWidget(0).threeDView().reset_cameras == 1
    node = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLViewNode")
    assert (node.GetBoxVisible(), node.GetAxisLabelsVisible()) == (0, 0)
    node.SetBoxVisible(True)
    finished_panel.ui.segmentButton.click()
    process_until(lambda: not finished_panel.panel.run.running)
    assert node.GetBoxVisible(), "the user's choice"
    assert layout.threeDWidget(0).threeDView().reset_cameras == 2


def test_a_second_run_into_the_same_node_shows_its_numbers_and_warnings(finished_panel, fake_child, segmentation):
    fake_child("good", lesions=1, warnings=("The lung is cut.",))
    finished_panel.ui.segmentButton.click()
    process_until(lambda: not finished_panel.panel.run.running)
    assert finished_panel.panel.parameterNode.outputSegmentation is segmentation
    assert finished_panel.ui.lesionTable.rowCount == 1
    assert finished_panel.ui.warningsLabel.text == "The lung is cut."


def test_a_removed_lesion_leaves_the_table_at_once(correcting):
    correcting.ui.lesionTable.selectRow(0)
    correcting.ui.deleteButton.click()
    assert column(correcting, 0) == ["2"]


def sections_of(widgets: ElementTree.Element, outer: tuple[str, ...] = ()) -> dict[str, tuple[str, ...]]:
    """Return the collapsible sections around each widget of a .ui file, outermost first."""
    found: dict[str, tuple[str, ...]] = {}
    for child in widgets:
        if child.tag == "widget":
            found[child.get("name", "")] = outer
        section = (child.get("name", ""),) if child.get("class") == "ctkCollapsibleButton" else ()
        found |= sections_of(child, outer + section)
    return found


def test_what_belongs_together_is_in_one_section(module):
    ui = ElementTree.parse(Path(module.__file__).parent / "Resources" / "UI" / "LungTumorSeg.ui").getroot()  # noqa: S314
    sections = sections_of(ui)
    assert sections["confirmButton"] == sections["rejectButton"] == sections["lesionTable"] == ("lesionsSection",)
    assert sections["modelSelector"] == ("segmentSection", "advancedSection")
    assert sections["savedLabel"] == sections["saveButton"] == ("saveSection",)
    gaps = ui.find("widget/layout[@name='panelLayout']/property[@name='spacing']/number")
    assert gaps is not None
    assert int(gaps.text or 0) <= 3


# Parameters


def test_the_parameter_node_begins_with_the_models_own_numbers_also_without_a_panel(module, model, volume):
    logic = module.LungTumorSegLogic()
    node, usual = logic.getParameterNode(), usual_values(logic.models()["default"])
    for option in OPTIONS:
        values = [getattr(node, name) for name in option.parameters]
        if option.kind is Thresholds:
            assert values == [usual[option.name].gate, usual[option.name].voxel]
        elif values:
            assert [getattr(value, "value", value) for value in values] == [usual[option.name]]


def test_painting_beside_a_lesion_keeps_its_row_under_the_hand(correcting, segmentation, ct):
    mask = np.zeros(ct.shape, bool)
    mask[2:7, 6:9, 1:5] = True
    correcting.ui.lesionTable.selectRow(1)
    set_mask(segmentation, "Tumor_2", ct.with_array(mask))
    settled(correcting)
    assert correcting.ui.lesionTable.currentRow() == 1
    correcting.ui.lesionTable.selectRow(0)
    assert correcting.panel.correct.editor.widget.currentSegmentID() == "Tumor_1"


def test_a_ct_without_a_display_gets_the_window_too(slicer_app, ct):
    from LungTumorSegPanel import views

    node = add_volume(slicer.mrmlScene, ct, "CT")
    views.setWindow(node, views.LUNG_WINDOW)
    assert node.GetDisplayNode().GetWindow() == 1500
