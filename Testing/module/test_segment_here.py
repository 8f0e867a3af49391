"""Segment here in the real panel: a place is clicked, a run outlines it, the user accepts or discards the outline."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import slicer
import vtk
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml.outlines import PREVIEW, place_arguments
from LungTumorSegLib.mrml.segments import mask_of, set_mask

from .conftest import lung_and_tumor_masks, process_until, whole_mask

NO_TUMOR = (
    "What lies at (1, 2, 3) does not look like a tumor (probability 12%); lower the confidence threshold to outline it "
    "anyway."
)

PLACE = np.s_[5:8, 3:6, 9:12]
"""The outline that the run gives: 27 voxels, of which 6 belong to Tumor 1."""

COVERED = np.s_[5:6, 4:6, 9:12]


@pytest.fixture
def widget(finished_panel):
    """Return the panel after a run, with the Correct section open."""
    finished_panel.ui.correctSection.collapsed = False
    settled(finished_panel)
    return finished_panel


@pytest.fixture
def segmentation(widget):
    return widget.panel.parameterNode.outputSegmentation


@pytest.fixture
def mouse(slicer_app):
    """Provide the application's nodes for placing points, and a function that clicks with them."""
    selection = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSelectionNode")
    interaction = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLInteractionNode")

    def click(*point_ras: float) -> None:
        assert interaction.GetCurrentInteractionMode() == interaction.Place
        slicer.mrmlScene.GetNodeByID(selection.GetActivePlaceNodeID()).AddControlPoint(*point_ras)
        slicer.app.processEvents()

    click.interaction = interaction
    return click


@pytest.fixture
def finds(fake_child, ct):
    """Let the run outline ``PLACE``, or nothing if a warning is given."""

    def play(*warnings: str) -> None:
        masks = lung_and_tumor_masks(ct)
        place = np.zeros(ct.shape, bool)
        place[PLACE] = True
        fake_child(masks={**masks, "Tumor 1": ct.with_array(place)}, lesions=0 if warnings else 1, warnings=warnings)

    return play


def settled(widget) -> None:
    process_until(lambda: not widget.panel.correct.measuring.busy)


def ras(ct, *index: float) -> tuple[float, float, float]:
    x, y, z = ct.index_to_lps(index)
    return -x, -y, z


def outline(widget, mouse, ct) -> None:
    """Click the point in the middle of ``PLACE`` and wait for the answer."""
    widget.ui.pointButton.click()
    mouse(*ras(ct, 6, 4, 10))
    process_until(lambda: not widget.panel.correct.here.running)


def shown(widget) -> list[str]:
    """Return the names of the answer's buttons that are visible."""
    names = ("acceptButton", "replaceButton", "anywayButton", "discardButton")
    return [name for name in names if getattr(widget.ui, name).isVisibleTo(widget.parent)]


def voxels(segmentation, ct, segment_id):
    return whole_mask(ct, mask_of(segmentation.GetSegmentation(), segment_id))


def number_of_previews() -> int:
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return sum(node.GetSegmentation().GetSegment(PREVIEW) is not None for node in nodes)


def values(arguments: list[str], flag: str, count: int) -> list[float]:
    start = arguments.index(flag) + 1
    return [float(text) for text in arguments[start : start + count]]


def test_a_click_shows_an_outline_that_accept_makes_a_lesion_and_undo_takes_back(
    widget, segmentation, ct, mouse, finds, fake_child
):
    finds()
    outline(widget, mouse, ct)
    assert values(fake_child.arguments(), "--point", 3) == pytest.approx(ct.index_to_lps((6, 4, 10)), abs=0.001)
    assert widget.ui.hereLabel.text == f"Probability of a tumor: 90%. Volume: {27 * ct.voxel_volume_ml:.2f} mL."
    assert shown(widget) == ["acceptButton", "discardButton"]
    assert number_of_previews() == 1
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 4, "a preview changes nothing"
    widget.ui.acceptButton.click()
    settled(widget)
    assert number_of_previews() == 0
    expected = np.zeros(ct.shape, bool)
    expected[PLACE], expected[COVERED] = True, False
    np.testing.assert_array_equal(voxels(segmentation, ct, "Tumor_3"), expected)
    assert [(row.segment, row.correction) for row in mrml.lesions_of(segmentation)][2] == ("Tumor 3", "added")
    assert shown(widget) == []
    widget.ui.undoButton.click()
    settled(widget)
    assert [row.segment for row in mrml.lesions_of(segmentation)] == ["Tumor 1", "Tumor 2"]


def test_the_outline_may_replace_the_selected_lesion(widget, segmentation, ct, mouse, finds):
    finds()
    widget.ui.lesionTable.selectRow(0)
    outline(widget, mouse, ct)
    assert "replaceButton" in shown(widget)
    widget.ui.replaceButton.click()
    settled(widget)
    assert np.argwhere(voxels(segmentation, ct, "Tumor_1")).min(axis=0).tolist() == [5, 3, 9]
    assert np.count_nonzero(voxels(segmentation, ct, "Tumor_1")) == 27
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 4
    widget.ui.undoButton.click()
    assert np.count_nonzero(voxels(segmentation, ct, "Tumor_1")) == 18


def test_an_outline_within_other_lesions_waits_until_one_is_selected(widget, segmentation, ct, mouse, finds):
    finds()
    around = np.zeros(ct.shape, bool)
    around[4:9, 2:7, 8:13] = True
    set_mask(segmentation, "Tumor_1", ct.with_array(around))
    outline(widget, mouse, ct)
    widget.ui.acceptButton.click()
    assert "Another lesion already covers this outline" in widget.ui.correctionLabel.text
    widget.ui.lesionTable.selectRow(0)
    widget.ui.replaceButton.click()
    assert np.count_nonzero(voxels(segmentation, ct, "Tumor_1")) == 27


def test_discard_removes_the_outline(widget, segmentation, ct, mouse, finds):
    finds()
    outline(widget, mouse, ct)
    widget.ui.discardButton.click()
    assert number_of_previews() == 0
    assert (shown(widget), widget.ui.hereLabel.text) == ([], "")
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 4


def test_enter_and_escape_belong_to_the_outline_while_it_waits(widget, ct, mouse, finds):
    finds()
    keys = widget.panel.correct.editor.widget._qt
    assert keys.has_shortcuts
    outline(widget, mouse, ct)
    assert not keys.has_shortcuts, "two shortcuts for Escape would cancel each other out"
    assert [widget.ui.acceptButton.shortcut.toString(), widget.ui.discardButton.shortcut.toString()] == [
        "Return",
        "Esc",
    ]
    widget.exit()
    widget.enter()
    assert not keys.has_shortcuts
    widget.ui.discardButton.click()
    assert keys.has_shortcuts


def test_what_does_not_look_like_a_tumor_is_outlined_only_on_request(widget, ct, mouse, finds, fake_child):
    finds("The lungs reach the last slice.", NO_TUMOR)
    widget.ui.leastConfidenceSlider.value = 0.4
    outline(widget, mouse, ct)
    assert values(fake_child.arguments(), "--min-confidence", 1) == [pytest.approx(0.4)]
    assert widget.ui.hereLabel.text == NO_TUMOR
    assert shown(widget) == ["anywayButton", "discardButton"]
    finds()
    widget.ui.anywayButton.click()
    process_until(lambda: not widget.panel.correct.here.running)
    assert values(fake_child.arguments(), "--min-confidence", 1) == [0]
    assert shown(widget) == ["acceptButton", "discardButton"]


def test_where_nothing_can_be_outlined_nothing_more_is_offered(widget, ct, mouse, finds):
    finds(NO_TUMOR)
    widget.ui.leastConfidenceSlider.value = 0
    outline(widget, mouse, ct)
    assert widget.ui.hereLabel.text.startswith("The network cannot outline anything at this place.")
    assert shown(widget) == []


def test_two_clicks_make_a_box(widget, ct, mouse, finds, fake_child):
    finds()
    widget.ui.boxButton.click()
    assert "two opposite corners" in widget.ui.hereLabel.text
    first, last = ras(ct, 4, 2, 8), ras(ct, 8, 6, 12)
    mouse(*first)
    assert widget.ui.boxButton.checked, "the second corner is missing"
    mouse(*last)
    process_until(lambda: not widget.panel.correct.here.running)
    low, high = np.minimum(first, last), np.maximum(first, last)
    expected = [-high[0], -high[1], low[2], -low[0], -low[1], high[2]]  # LPS
    assert values(fake_child.arguments(), "--box", 6) == pytest.approx(expected, abs=0.001)
    assert "acceptButton" in shown(widget)


def test_a_place_is_given_in_the_ct_without_its_parent_transform(volume):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 100.0)
    matrix.SetElement(1, 1, -1.0)
    transform.SetMatrixTransformToParent(matrix)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    assert place_arguments(volume, [(101.0, -2.0, 0.00001)]) == ["--point", "-1.000", "-2.000", "0.000"]


@pytest.mark.parametrize("how", ["button", "exit", "grow", "scene"])
def test_placing_can_be_given_up(widget, mouse, how):
    widget.ui.pointButton.click()
    giving_up = {
        "button": widget.ui.pointButton.click,
        "exit": widget.exit,
        "grow": widget.ui.growButton.click,
        "scene": lambda: slicer.mrmlScene.Clear(0),
    }
    giving_up[how]()
    assert not widget.ui.pointButton.checked
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLMarkupsFiducialNode") == (how == "grow")


def test_a_run_reports_progress_and_can_be_cancelled(widget, ct, mouse, fake_child):
    fake_child("slow")
    ui, here = widget.ui, widget.panel.correct.here
    ui.pointButton.click()
    mouse(*ras(ct, 6, 4, 10))
    assert ui.pointButton.checked
    assert not ui.boxButton.enabled
    process_until(lambda: ui.hereLabel.text.endswith("%. Click Point again to cancel."))
    ui.pointButton.click()
    assert ui.hereLabel.text == "Cancelling ..."
    assert not ui.pointButton.enabled
    process_until(lambda: not here.running)
    assert (ui.hereLabel.text, shown(widget), ui.pointButton.enabled) == ("", [], True)


def test_a_failure_is_said(widget, ct, mouse, fake_child):
    fake_child("error:2:The model default has no second network; choose another model.")
    outline(widget, mouse, ct)
    assert widget.ui.hereLabel.text == "The model default has no second network; choose another model."
    assert shown(widget) == []


def test_without_the_ct_nothing_is_placed(widget, volume):
    slicer.mrmlScene.RemoveNode(volume)
    widget.ui.pointButton.click()
    assert widget.ui.hereLabel.text == "The CT of this segmentation is not in the scene. Load it again."
    assert not widget.ui.pointButton.checked


def test_a_ct_that_goes_before_the_click_is_missed_in_words(widget, volume, mouse, ct):
    widget.ui.pointButton.click()
    slicer.mrmlScene.RemoveNode(volume)
    mouse(*ras(ct, 6, 4, 10))
    assert widget.ui.hereLabel.text == "Choose a CT volume."
    assert not widget.ui.pointButton.checked


def test_missing_packages_are_named_before_anything_is_placed(widget, mouse, monkeypatch):
    def refuse() -> None:
        raise RuntimeError("Segmenting needs the Python packages torch.")

    monkeypatch.setattr(widget.logic, "installPackages", refuse)
    widget.ui.pointButton.click()
    assert widget.ui.hereLabel.text == "Segmenting needs the Python packages torch."
    assert not widget.ui.pointButton.checked


@pytest.mark.parametrize("when", ["running", "answered"])
@pytest.mark.parametrize("what", ["scene", "segmentation"])
def test_scene_and_segmentation_may_go_at_any_moment(widget, segmentation, ct, mouse, finds, fake_child, when, what):
    finds()
    if when == "running":
        fake_child("slow")
        widget.ui.pointButton.click()
        mouse(*ras(ct, 6, 4, 10))
    else:
        outline(widget, mouse, ct)
    if what == "scene":
        slicer.mrmlScene.Clear(0)
    else:
        slicer.mrmlScene.RemoveNode(segmentation)
    process_until(lambda: not widget.ui.pointButton.enabled)
    assert not widget.panel.correct.here.running
    assert number_of_previews() == 0
    assert (shown(widget), widget.ui.hereLabel.text) == ([], "")


def test_a_saved_scene_holds_no_preview(widget, ct, mouse, finds, tmp_path):
    finds()
    outline(widget, mouse, ct)
    slicer.mrmlScene.SetURL(str(tmp_path / "scene.mrml"))
    slicer.mrmlScene.Commit()
    assert f'"{PREVIEW}"' not in (tmp_path / "scene.mrml").read_text()


def test_an_outline_on_other_voxels_is_refused(module, segmentation, ct):
    affine = ct.affine.copy()
    affine[:3, 3] += 0.3  # mm, half a voxel
    mask = SimpleNamespace(affine=affine, array=np.ones((2, 2, 2), bool))
    with pytest.raises(ValueError, match="does not lie on the voxels of this segmentation"):
        module.LungTumorSegLogic().corrections(segmentation).take(mask)
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 4


def test_the_logic_outlines_without_a_panel(module, model, volume, ct, finds):
    finds()
    found = module.LungTumorSegLogic().outline(volume, [ras(ct, 6, 4, 10)], {"min_confidence": 0.2})
    assert found.tumor == pytest.approx(0.9)
    expected = np.zeros(ct.shape, bool)
    expected[PLACE] = True
    np.testing.assert_array_equal(whole_mask(ct, found.mask), expected)
