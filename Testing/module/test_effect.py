"""The effect "Lung tumor" of the Segment Editor, on an editor whose segmentation is not a result of the panel."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import slicer
import vtk
from LungTumorSegLib.mrml.segments import confidence_of, mask_of, set_mask
from stand_in import application as stand_in
from stand_in.pythonqt import wrap
from stand_in.segment_editor import Editor, ThreeDViewWidget

from .conftest import MODULE_FILE, process_until, whole_mask
from .test_segment_here import NO_TUMOR, PLACE, Answers, is_running, number_of_previews, ras

OTHER = np.s_[5:6, 3:6, 9:12]
"""The lowest slice of ``PLACE``, 9 of its 27 voxels."""


@pytest.fixture
def finds(fake_child, tmp_path, ct):
    answers = Answers(tmp_path / "fake", ct)
    answers()
    return answers


@pytest.fixture
def panel(module, model, volume):
    """Return the panel's widget, which nobody has opened."""
    widget = module.LungTumorSegWidget(stand_in.new_panel_parent())
    widget.setup()
    yield widget
    widget.cleanup()
    widget.parent.deleteLater()
    slicer.app.processEvents()


@pytest.fixture
def segmentation(volume):
    """Return a segmentation as the Segment Editor creates it, with one empty segment and one beside it."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for name in ("Segment_1", "Segment_2"):
        node.GetSegmentation().AddEmptySegment(name, name)
    return node


@pytest.fixture
def editor(module, panel, segmentation, volume, finds, monkeypatch):
    """Return an editor with the effect active, as after the click on its button."""
    module.LungTumorSeg(SimpleNamespace(path=str(MODULE_FILE)))
    for started in slicer.app.started:
        if started.__name__ == "register":
            started()
    monkeypatch.setattr(slicer.util, "getModuleLogic", {"LungTumorSeg": panel.logic}.get)
    editor = Editor("Lung tumor", segmentation, "Segment_1", volume)
    editor.activate()
    slicer.app.processEvents()
    yield editor
    editor.effect.self().cleanup()


def widgets(editor):
    """Return the texts of the enabled widgets in the effect's options, the label first."""
    options = wrap(editor.options)
    return [widget.text for widget in editor.effect.widgets if widget.enabled and widget.isVisibleTo(options)]


def answered(editor) -> None:
    process_until(lambda: not editor.effect.self()._session.running)


def click(editor, ct, *indices, ctrl=False) -> None:
    """Click or drag in the slice view and wait for the answer."""
    editor.stroke(*(ras(ct, *index) for index in indices), ctrl=ctrl)
    answered(editor)


def voxels(segmentation, ct, segment_id="Segment_1"):
    return whole_mask(ct, mask_of(segmentation.GetSegmentation(), segment_id))


def at(ct, place):
    mask = np.zeros(ct.shape, bool)
    mask[place] = True
    return mask


def near(ct, *indices):
    """Return positions, LPS mm, for comparison with clicks, which lie on pixels of the view."""
    return [pytest.approx(ct.index_to_lps(index), abs=1.5) for index in indices]


def test_a_click_is_previewed_and_enter_adds_it_to_the_selected_segment(editor, segmentation, ct, finds):
    assert widgets(editor) == ["Click a lesion in a slice view."]
    click(editor, ct, (6, 4, 10))
    assert near(ct, (6, 4, 10)) == [finds.requests[0]["place"]]
    text, *buttons = widgets(editor)
    assert text.startswith("Probability of a tumor: 90%. Volume:")
    assert (buttons, number_of_previews()) == (["Apply", "Discard"], 1)
    assert mask_of(segmentation.GetSegmentation(), "Segment_1") is None, "a preview changes nothing"
    assert editor.press("Return")
    np.testing.assert_array_equal(voxels(segmentation, ct), at(ct, PLACE))
    assert confidence_of(segmentation.GetSegmentation().GetSegment("Segment_1")) == pytest.approx(0.9)
    assert number_of_previews() == 0
    assert widgets(editor)[0].startswith("Segment_1 now contains the outline and has a volume of")
    editor.history.RestorePreviousState()
    assert mask_of(segmentation.GetSegmentation(), "Segment_1") is None


def test_what_the_segment_has_stays_and_keeps_its_confidence(editor, segmentation, ct, finds):
    set_mask(segmentation, "Segment_1", ct.with_array(at(ct, np.s_[0:2, 0:2, 0:2])))
    click(editor, ct, (6, 4, 10))
    editor.press("Return")
    np.testing.assert_array_equal(voxels(segmentation, ct), at(ct, PLACE) | at(ct, np.s_[0:2, 0:2, 0:2]))
    assert confidence_of(segmentation.GetSegmentation().GetSegment("Segment_1")) is None


@pytest.mark.parametrize("masked", [True, False])
def test_masking_and_overwriting_are_those_of_the_editor(editor, segmentation, ct, finds, masked):
    set_mask(segmentation, "Segment_2", ct.with_array(at(ct, OTHER)))
    if masked:
        editor.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    click(editor, ct, (6, 4, 10))
    editor.press("Return")
    outside = at(ct, PLACE) & ~at(ct, OTHER)
    np.testing.assert_array_equal(voxels(segmentation, ct), outside if masked else at(ct, PLACE))
    np.testing.assert_array_equal(voxels(segmentation, ct, "Segment_2"), at(ct, OTHER) & masked)


def test_what_masking_excludes_entirely_is_said_and_the_outline_stays(editor, segmentation, ct, finds):
    set_mask(segmentation, "Segment_2", ct.with_array(at(ct, PLACE)))
    editor.node.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedOutsideAllSegments)
    click(editor, ct, (6, 4, 10))
    editor.press("Return")
    assert widgets(editor)[0].startswith("Nothing was added: Segment_1")
    assert number_of_previews() == 1


def test_further_clicks_extend_and_ctrl_clicks_cut_off(editor, ct, finds):
    click(editor, ct, (6, 4, 10))
    click(editor, ct, (7, 5, 11))
    click(editor, ct, (5, 3, 9), ctrl=True)
    request = finds.requests[-1]
    assert request["place"] == finds.requests[0]["place"]
    assert near(ct, (7, 5, 11)) == request["also"]
    assert near(ct, (5, 3, 9)) == request["but_not"]
    assert (number_of_previews(), len(finds.pids)) == (1, 1)


def test_a_stroke_is_one_question(editor, ct, finds):
    click(editor, ct, (6, 0, 0), (6, 1, 1), (6, 0, 13), (6, 11, 13), (6, 11, 0))
    (request,) = finds.requests
    assert near(ct, (6, 11, 13)) == [request["place"]], "the middle of the stroke"
    assert near(ct, (6, 0, 0), (6, 0, 13), (6, 11, 0)) == request["also"]


def test_a_stroke_has_few_points_along_all_of_it(slicer_app):
    from LungTumorSegPanel.strokes import MOST_POINTS, STEP_MM, Stroke  # needs the stand-in

    stroke = Stroke()
    for x in range(1001):
        stroke.add((float(x), 0.0, 0.0))
    middle, *others = stroke.points()
    assert middle[0] == pytest.approx(500, abs=STEP_MM)
    assert len(others) == MOST_POINTS - 1
    assert [others[0][0], others[-1][0]] == [0, 1000]


def test_what_does_not_look_like_a_tumor_is_outlined_only_on_request(editor, panel, ct, finds):
    panel.ui.leastConfidenceSlider.value = 0.4
    finds.nothing(NO_TUMOR)
    click(editor, ct, (6, 4, 10))
    assert widgets(editor) == [NO_TUMOR, "Outline anyway", "Discard"]
    assert editor.press("Return"), "the key must not reach the view"
    finds()
    editor.effect.widgets[2].click()
    answered(editor)
    assert finds.requests[-1]["min_confidence"] == 0
    assert number_of_previews() == 1


@pytest.mark.parametrize("how", ["key", "button", "other effect", "other CT", "scene"])
def test_the_preview_goes(editor, ct, finds, how):
    click(editor, ct, (6, 4, 10))
    giving_up = {
        "key": lambda: editor.press("Escape"),
        "button": lambda: editor.effect.widgets[3].click(),
        "other effect": editor.deactivate,
        "other CT": lambda: editor.choose_ct(None),
        "scene": lambda: (editor.deactivate(), slicer.mrmlScene.Clear(0)),
    }
    giving_up[how]()
    assert number_of_previews() == 0
    slicer.app.processEvents()
    text = "Choose the CT as source volume of the editor." if how == "other CT" else "Click a lesion in a slice view."
    assert widgets(editor) == [text]


def test_escape_drops_a_question_and_keeps_the_child(editor, ct, finds, fake_child):
    fake_child("slow")
    editor.choose_ct(editor.node.GetSourceVolumeNode())  # starts a child that is slow
    editor.stroke(ras(ct, 6, 4, 10))
    process_until(lambda: finds.pids)
    assert editor.mouse(vtk.vtkCommand.LeftButtonPressEvent, ras(ct, 6, 4, 10)), "no second question meanwhile"
    editor.press("Escape")
    assert not editor.effect.self()._session.running
    assert is_running(finds.pids[-1])


def test_what_is_not_meant_for_the_effect_reaches_the_view(editor, ct):
    press = vtk.vtkCommand.LeftButtonPressEvent
    assert not editor.mouse(press, ras(ct, 6, 4, 10), shift=True)
    assert not editor.mouse(press, ras(ct, 6, 4, 10), view=ThreeDViewWidget())
    assert not editor.mouse(vtk.vtkCommand.MouseMoveEvent, ras(ct, 6, 4, 10))
    assert not editor.press("x")


def test_a_hidden_segment_is_changed_only_with_consent(editor, segmentation, ct, finds):
    segmentation.GetDisplayNode().SetSegmentVisibility("Segment_1", False)
    click(editor, ct, (6, 4, 10))
    editor.press("Return")
    assert mask_of(segmentation.GetSegmentation(), "Segment_1") is None
    assert number_of_previews() == 1


def test_a_failure_is_said(editor, ct, fake_child, finds):
    fake_child("error:2:The model default has no second network; choose another model.")
    editor.effect.self()._session._logic.closeOutlines()
    click(editor, ct, (6, 4, 10))
    assert widgets(editor)[0] == "The model default has no second network; choose another model."


def test_transforms_of_ct_and_segmentation_may_differ(editor, segmentation, volume, ct, finds):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
    matrix = vtk.vtkMatrix4x4()
    for row, step in enumerate(np.asarray(ras(ct, 1, 0, 0)) - ras(ct, 0, 0, 0)):
        matrix.SetElement(row, 3, step)  # the CT lies one slice further
    transform.SetMatrixTransformToParent(matrix)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    click(editor, ct, (7, 4, 10))
    assert near(ct, (6, 4, 10)) == [finds.requests[0]["place"]]
    editor.press("Return")
    np.testing.assert_array_equal(voxels(segmentation, ct), at(ct, np.s_[6:9, 3:6, 9:12]))
