"""Segment here in the real panel: a place is clicked, a child process outlines it, the user decides."""

from __future__ import annotations

import json
import os
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import slicer
import vtk
from LungTumorSegLib.core.crops import crop_of
from LungTumorSegLib.core.mask_json import mask_as_json
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml.place_outlines import PREVIEW, PlaceClick, request_of
from LungTumorSegLib.mrml.segments import mask_of, set_mask
from tiers import fast_only

from .conftest import process_until, whole_mask

NO_TUMOR = "This does not look like a tumor (probability 12%)."

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


class Answers:
    """What the child answers, and what it was asked."""

    def __init__(self, home, ct) -> None:
        self._home, self._ct = home, ct

    def __call__(self, *warnings: str, place=PLACE, tumor: float = 0.9) -> None:
        """Let the child outline ``place``, or nothing if ``place`` is None."""
        mask = np.zeros(self._ct.shape, bool)
        if place is not None:
            mask[place] = True
        order = self._ct.canonical_axes()
        crop = None if place is None else crop_of(order.apply(self._ct.with_array(mask)))
        answer = {"tumor": tumor, "mask": crop and mask_as_json(crop.mask), "warnings": list(warnings)}
        (self._home / "answer.json").write_text(json.dumps(answer))

    def nothing(self, warning: str) -> None:
        """Let the child outline nothing."""
        self(warning, place=None, tumor=0.12)

    @property
    def requests(self) -> list[dict]:
        """All requests, oldest first."""
        path = self._home / "requests.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def pids(self) -> list[int]:
        """The ids of all child processes, oldest first."""
        path = self._home / "starts.txt"
        return [int(line) for line in path.read_text().split()] if path.exists() else []


@pytest.fixture
def finds(fake_child, tmp_path, ct):
    return Answers(tmp_path / "fake", ct)


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
    names = ("alsoButton", "notButton", "acceptButton", "replaceButton", "anywayButton", "discardButton")
    return [name for name in names if getattr(widget.ui, name).isVisibleTo(widget.parent)]


def voxels(segmentation, ct, segment_id):
    return whole_mask(ct, mask_of(segmentation.GetSegmentation(), segment_id))


def number_of_previews() -> int:
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return sum(node.GetSegmentation().GetSegment(PREVIEW) is not None for node in nodes)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_click_shows_an_outline_that_accept_makes_a_lesion_and_undo_takes_back(
    widget, segmentation, ct, mouse, finds
):
    finds()
    outline(widget, mouse, ct)
    assert finds.requests[0]["place"] == pytest.approx(ct.index_to_lps((6, 4, 10)), abs=0.001)
    assert widget.ui.hereLabel.text == f"Probability of a tumor: 90%. Volume: {27 * ct.voxel_volume_ml:.2f} mL."
    assert shown(widget) == ["alsoButton", "notButton", "acceptButton", "discardButton"]
    assert number_of_previews() == 1
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 4, "a preview changes nothing"
    widget.ui.acceptButton.click()
    settled(widget)
    assert number_of_previews() == 0
    expected = np.zeros(ct.shape, bool)
    expected[PLACE], expected[COVERED] = True, False
    np.testing.assert_array_equal(voxels(segmentation, ct, "Tumor_3"), expected)
    from LungTumorSegPanel.lesion_texts import confidenceText, remarkText  # needs the stand-in

    added = mrml.lesions_of(segmentation)[2]
    assert (added.segment, added.correction, added.confidence) == ("Tumor 3", "added", pytest.approx(0.9))
    assert confidenceText(added) == "0.90\nadded"
    assert "Added with Segment here" in remarkText(added)
    assert shown(widget) == []
    widget.ui.undoButton.click()
    settled(widget)
    assert [row.segment for row in mrml.lesions_of(segmentation)] == ["Tumor 1", "Tumor 2"]


def test_the_outline_may_replace_the_selected_lesion(widget, segmentation, ct, mouse, finds):
    finds(tumor=0.7)
    widget.ui.lesionTable.selectRow(0)
    outline(widget, mouse, ct)
    assert "replaceButton" in shown(widget)
    widget.ui.replaceButton.click()
    settled(widget)
    assert np.argwhere(voxels(segmentation, ct, "Tumor_1")).min(axis=0).tolist() == [5, 3, 9]
    assert np.count_nonzero(voxels(segmentation, ct, "Tumor_1")) == 27
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 4
    assert mrml.lesions_of(segmentation)[0].confidence == pytest.approx(0.7), "that of the new outline"
    widget.ui.undoButton.click()
    settled(widget)
    assert mrml.lesions_of(segmentation)[0].confidence == pytest.approx(0.9), "that of the run"
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


def test_what_does_not_look_like_a_tumor_is_outlined_only_on_request(widget, ct, mouse, finds):
    finds.nothing(NO_TUMOR)
    widget.ui.leastConfidenceSlider.value = 0.4
    outline(widget, mouse, ct)
    assert finds.requests[-1]["min_confidence"] == pytest.approx(0.4)
    assert widget.ui.hereLabel.text == NO_TUMOR
    assert shown(widget) == ["anywayButton", "discardButton"]
    finds()
    widget.ui.anywayButton.click()
    process_until(lambda: not widget.panel.correct.here.running)
    assert finds.requests[-1]["min_confidence"] == 0
    assert shown(widget) == ["alsoButton", "notButton", "acceptButton", "discardButton"]


def test_where_nothing_can_be_outlined_nothing_more_is_offered(widget, ct, mouse, finds):
    finds.nothing("This has no outline.")
    widget.ui.leastConfidenceSlider.value = 0
    outline(widget, mouse, ct)
    assert widget.ui.hereLabel.text.startswith("The network cannot outline anything at this place.")
    assert shown(widget) == []


def test_further_points_correct_the_outline_while_it_stays_visible(widget, segmentation, ct, mouse, finds):
    finds()
    outline(widget, mouse, ct)
    finds("Look.", place=COVERED)
    for button, point in ((widget.ui.alsoButton, (7, 5, 11)), (widget.ui.notButton, (5, 3, 9))):
        button.click()
        assert button.checked
        assert number_of_previews() == 1
        mouse(*ras(ct, *point))
        process_until(lambda: not widget.panel.correct.here.running)
        assert number_of_previews() == 1
    request = finds.requests[-1]
    assert request["place"] == finds.requests[0]["place"]
    np.testing.assert_allclose(request["also"], [ct.index_to_lps((7, 5, 11))], atol=0.001)
    np.testing.assert_allclose(request["but_not"], [ct.index_to_lps((5, 3, 9))], atol=0.001)
    assert widget.ui.hereLabel.text.endswith(f"Volume: {6 * ct.voxel_volume_ml:.2f} mL. Look.")
    assert len(finds.pids) == 1, "one child answers all"
    widget.ui.replaceButton.click()
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 4


def test_a_correction_may_be_given_up_and_the_outline_stays(widget, ct, mouse, finds):
    finds()
    outline(widget, mouse, ct)
    widget.ui.notButton.click()
    widget.ui.notButton.click()
    assert (number_of_previews(), widget.ui.notButton.checked) == (1, False)
    assert "acceptButton" in shown(widget)


def test_two_clicks_make_a_box(widget, ct, mouse, finds):
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
    assert finds.requests[0]["place"] == pytest.approx(expected, abs=0.001)
    assert "acceptButton" in shown(widget)


def test_a_place_is_given_in_the_ct_without_its_parent_transform(volume):
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 100.0)
    matrix.SetElement(1, 1, -1.0)
    transform.SetMatrixTransformToParent(matrix)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    click = PlaceClick(((101.0, -2.0, 0.00001),), 0.5, also=((102.0, -2.0, 3.0),))
    request = request_of(volume, click)
    assert request == {"place": [-1, -2, 0], "also": [[-2, -2, 3]], "but_not": [], "min_confidence": 0.5}


@pytest.mark.parametrize("how", fast_only(["grow", "scene"], ["button", "exit", "grow", "scene"]))
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


def test_an_outline_reports_progress_and_can_be_cancelled(widget, ct, mouse, fake_child, finds):
    fake_child("slow")
    ui, here = widget.ui, widget.panel.correct.here
    ui.pointButton.click()
    mouse(*ras(ct, 6, 4, 10))
    assert ui.pointButton.checked
    assert not ui.boxButton.enabled
    process_until(lambda: finds.pids and ui.hereLabel.text.endswith("%. Click Point again to cancel."))
    ui.pointButton.click()
    assert ui.hereLabel.text == "Cancelling ..."
    assert not ui.pointButton.enabled
    process_until(lambda: not here.running)
    assert (ui.hereLabel.text, shown(widget), ui.pointButton.enabled) == ("", [], True)
    assert is_running(finds.pids[0]), "what the child has prepared is kept"


def test_a_failure_is_said(widget, ct, mouse, fake_child):
    fake_child("error:2:The model default has no second network; choose another model.")
    outline(widget, mouse, ct)
    assert widget.ui.hereLabel.text == "The model default has no second network; choose another model."
    assert shown(widget) == []


def test_the_child_starts_while_the_point_is_placed_and_stays_for_the_next_click(widget, ct, mouse, finds):
    finds()
    widget.ui.pointButton.click()
    process_until(lambda: finds.pids)
    mouse(*ras(ct, 6, 4, 10))
    process_until(lambda: not widget.panel.correct.here.running)
    widget.ui.discardButton.click()
    outline(widget, mouse, ct)
    assert (len(finds.pids), len(finds.requests)) == (1, 2)


def test_a_killed_child_is_said_and_the_next_click_starts_another(widget, ct, mouse, finds, fake_child):
    finds()
    fake_child("deaf")
    widget.ui.pointButton.click()
    mouse(*ras(ct, 6, 4, 10))
    process_until(lambda: finds.requests)
    os.kill(finds.pids[0], signal.SIGKILL)
    process_until(lambda: not widget.panel.correct.here.running)
    assert widget.ui.hereLabel.text.startswith("The operating system stopped the run")
    fake_child()
    outline(widget, mouse, ct)
    assert len(finds.pids) == 2
    assert "acceptButton" in shown(widget)


@pytest.mark.parametrize(
    "how", fast_only(["voxels", "removed", "scene"], ["voxels", "geometry", "removed", "module", "scene"])
)
def test_the_child_ends_when_its_ct_changes_or_goes(widget, volume, ct, mouse, finds, how):
    finds()
    outline(widget, mouse, ct)
    (pid,) = finds.pids
    if how == "voxels":
        volume.GetImageData().GetPointData().GetScalars().SetComponent(0, 0, 7)
        volume.GetImageData().GetPointData().GetScalars().Modified()
        volume.GetImageData().Modified()
    elif how == "geometry":
        volume.SetOrigin(1, 2, 3)
    elif how == "removed":
        slicer.mrmlScene.RemoveNode(volume)
    elif how == "module":
        widget.cleanup()
    else:
        slicer.mrmlScene.Clear(0)
    assert not is_running(pid)


def test_a_failure_while_the_point_is_placed_is_said_at_once(widget, fake_child):
    fake_child("error:2:The model default has no second network; choose another model.")
    widget.ui.pointButton.click()
    assert widget.ui.pointButton.checked
    process_until(lambda: widget.ui.hereLabel.text.startswith("The model default has no second network"))
    assert not widget.ui.pointButton.checked


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


@pytest.mark.parametrize("when", fast_only(["running"], ["running", "answered"]))
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
    logic = module.LungTumorSegLogic()
    also, but_not = ras(ct, 7, 5, 11), ras(ct, 0, 0, 0)
    found = logic.outline(volume, [ras(ct, 6, 4, 10)], {"min_confidence": 0.2}, also=[also], butNot=[but_not])
    assert found.tumor == pytest.approx(0.9)
    (request,) = finds.requests
    assert (request["min_confidence"], len(request["also"]), len(request["but_not"])) == (0.2, 1, 1)
    expected = np.zeros(ct.shape, bool)
    expected[PLACE] = True
    np.testing.assert_array_equal(whole_mask(ct, found.mask), expected)
