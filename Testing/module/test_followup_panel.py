"""The Follow-up section of the real panel, and the comparison of two results in the scene."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import slicer
from jsonschema import validate
from LungTumorSegLib.core.colors import GROWTH_COLORS
from LungTumorSegLib.followup.comparison import compare_all
from LungTumorSegLib.followup.examination import read_examination
from LungTumorSegLib.followup.file_names import JSON_FILE
from LungTumorSegLib.io.seg_nrrd import write_segmentation
from LungTumorSegLib.io.segment import Segment
from LungTumorSegLib.io.segmentations import read_segmentation
from LungTumorSegLib.mrml import followup as mrml
from LungTumorSegLib.mrml import followup_display
from LungTumorSegLib.mrml.nodes import OUTLINES_ROLE
from LungTumorSegLib.mrml.results import load_results
from LungTumorSegLib.mrml.segments import mask_of, set_review
from LungTumorSegLib.results.reader import read_run
from PySide6.QtGui import QColor
from stand_in import application as stand_in
from tiers import fast_only
from tools import tool
from two_lungs import ct_of, segments_of

from .conftest import add_volume, lesion_row, process_until, write_results

AFFINE = [[1.0, 0, 0, 5], [0, 1, 0, 6], [0, 0, 1.25, 7], [0, 0, 0, 1]]
"""From later to earlier points: the earlier breath was deeper."""

MEASURES = {"volume_p5_ml": None, "volume_p95_ml": None, "solid_ml": None, "mass_mg": None, "tracking_uid": None}


def piece(name: str, volume_ml: float) -> dict:
    """One segment of one examination in followup.json."""
    axes = {"long_axis_mm": 8.0, "short_axis_mm": 7.0}
    return {
        "segment": name,
        "side": "Left",
        "volume_ml": volume_ml,
        **axes,
        "mean_hu": 10.0,
        "density": None,
        **MEASURES,
    }


def entry(key: str, status: str, earlier: list[dict], later: list[dict], place, doubling=None) -> dict:
    """One lesion in followup.json."""
    before, now = (sum(each["volume_ml"] for each in pieces) for pieces in (earlier, later))
    return {
        "id": key, "status": status, "size_status": status if earlier and later else None,
        "match_confidence": 0.75 if earlier and later else None, "merged_ids": [], "earlier": earlier, "later": later,
        "volume_earlier_ml": before, "volume_later_ml": now, "volume_change_ml": now - before,
        "volume_change_percent": 100 * (now / before - 1) if earlier else None, "doubling_time_days": doubling,
        "doubling_time_range_days": None if doubling is None else [50.0, None], "long_axis_earlier_mm": 8.0,
        "long_axis_later_mm": 8.0, "long_axis_change_mm": 0.0, "mean_hu_change": None, "solid_change_ml": None,
        "mass_change_mg": None, "later_probability": 0.25 if not later else None, "size_and_growth_class": None,
        "place_lps_mm": place, "earlier_place_lps_mm": [each + 3.0 for each in place], "recist_target": bool(earlier),
        "volumes_ml": [before, now], "returned": False, "later_in_view": True,
    }  # fmt: skip


def followup_of(ct) -> dict:
    """What ``compare`` writes: one lesion has grown, one is gone, one is new."""
    places = [ct.index_to_lps(np.array(index, dtype=float)).tolist() for index in ((4, 5, 10), (2, 3, 4), (6, 6, 6))]
    registration = {"overlap": 0.98, "residual_mm": 0.9, "residual_p95_mm": 3.4, "landmarks": 50, "found_share": 0.7}
    burden = {"lesions": 2, "volume_ml": 3.0, "by_side_ml": {"Left": 3.0}, "largest_distance_mm": 20.0}
    response = {"category": "PD", "rules": ["There are new lesions."], "sum_mm": 8.0, "baseline_sum_mm": 16.0}
    return {
        "schema_version": 1, "software_version": "0", "warnings": ["The slices differ."], "days": 90.0,
        "dates": [None, None], "registration": registration | {"residual_of": "landmarks", "affine_to_earlier": AFFINE},
        "burden": [burden, burden],
        "lesions": [
            entry("L1", "grown", [piece("Tumor 1", 1.0)], [piece("Tumor 2", 2.0)], places[0], 90.0),
            entry("L2", "gone", [piece("Tumor 2", 2.0)], [], places[1]),
            entry("L3", "new", [], [piece("Tumor 1", 1.0)], places[2]),
        ],
        "recist_1_1": response | {"smallest_sum_mm": 16.0, "targets": ["L1", "L2"]}, "volume_category": "SD",
        "notice": "Research software.", "links": [], "unlinks": [],
    }  # fmt: skip


@pytest.fixture
def canned(fake_child, ct, tmp_path):
    """The answer of ``compare``; the earlier lesions lie where the two lesions of the result do."""
    home = tmp_path / "fake"
    data = followup_of(ct)
    (home / JSON_FILE).write_text(json.dumps(data))
    lesions = [each for each in read_segmentation(home / "results" / "segmentation.seg.nrrd") if "Tumor" in each.name]
    outlines = [
        Segment(f"{e.name} (earlier)", e.mask, e.color, e.terminology, id=f"L{n}") for n, e in enumerate(lesions, 1)
    ]
    write_segmentation(outlines, home / "outlines.seg.nrrd")
    return data


@pytest.fixture
def widget(canned, finished_panel):
    return finished_panel


@pytest.fixture
def later(widget):
    return widget.panel.parameterNode.outputSegmentation


@pytest.fixture
def earlier(later, ct, usual_results):
    """Another result, of another CT in the scene."""
    volume = add_volume(slicer.mrmlScene, ct, "January")
    return load_results(read_run(usual_results), volume)


def offered(widget) -> list[str]:
    selector = widget.ui.earlierSelector
    return [selector.itemText(index) for index in range(selector.count)]


def compared(widget):
    widget.ui.compareButton.click()
    process_until(lambda: not widget.panel.followUp.running)


def cell(widget, row: int, column: int) -> str:
    return widget.ui.followUpTable.item(row, column).text()


def test_the_canned_comparison_has_the_schema_of_the_command(ct):
    schemas = tool("write_result_schemas")
    validate(followup_of(ct), json.loads(schemas.text(schemas.FOLLOW_UP)))


def test_without_a_result_there_is_nothing_to_compare(module, model, slicer_app):
    widget = module.LungTumorSegWidget(stand_in.new_panel_parent())
    widget.setup()
    for name in (
        "earlierSelector",
        "earlierFolderButton",
        "daysSpinBox",
        "compareButton",
        "linkButton",
        "followUpReportButton",
    ):
        assert not getattr(widget.ui, name).enabled
    widget.cleanup()


def test_the_earlier_results_of_the_scene_are_offered_and_a_folder(widget, later, earlier):
    process_until(lambda: offered(widget) == [earlier.GetName(), "A result folder"])
    assert not widget.ui.earlierFolderButton.enabled
    widget.ui.earlierSelector.currentIndex = 1
    assert widget.ui.earlierFolderButton.enabled
    slicer.mrmlScene.RemoveNode(earlier)
    process_until(lambda: offered(widget) == ["A result folder"])


def test_patient_and_date_decide_what_is_proposed(later, earlier, ct, usual_results, tmp_path):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)

    def admit(segmentation, patient, day):
        above = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), patient)
        hierarchy.SetItemAttribute(above, "DICOM.PatientID", patient)
        study = hierarchy.CreateStudyItem(above, day)
        hierarchy.SetItemAttribute(study, "DICOM.StudyDate", day)
        hierarchy.CreateItem(study, mrml.ct_of(segmentation))

    others = [earlier]
    for name in ("February", "Other"):
        volume = add_volume(slicer.mrmlScene, ct, name)
        others.append(load_results(read_run(usual_results), volume))
    days = ["20260110", "20260210", "20260220", "20260301"]
    for node, patient, day in zip((*others, later), ("P1", "P1", "P2", "P1"), days, strict=True):
        admit(node, patient, day)
    january, february, other = others
    assert mrml.earlier_results(later) == [february, january, other]
    assert mrml.days_between(mrml.ct_of(january), mrml.ct_of(later)) == 50
    with pytest.raises(ValueError, match="different patients"):
        mrml.start_comparison(later, other, str(tmp_path))


def test_a_comparison_fills_table_and_views(widget, later, earlier, canned):
    process_until(lambda: earlier.GetName() in offered(widget))
    widget.ui.daysSpinBox.value = 90
    compared(widget)
    assert [[cell(widget, row, column) for column in range(7)] for row in range(3)] == [
        ["Tumor 1", "Tumor 2", "grown", "1.00", "2.00", "+100", "90"],
        ["Tumor 2", "-", "gone", "2.00", "", "", ""],
        ["-", "Tumor 1", "new", "", "1.00", "", ""],
    ]
    assert "50 days to no limit" in widget.ui.followUpTable.item(0, 0).toolTip()
    assert "now: 0.25" in widget.ui.followUpTable.item(1, 0).toolTip()
    for words in ("RECIST 1.1: PD. There are new lesions.", "residual 0.9 mm", "The slices differ."):
        assert words in widget.ui.followUpLabel.text
    outlines = later.GetNodeReference(OUTLINES_ROLE)
    assert outlines.GetSegmentation().GetSegmentIDs() == ("L1", "L2")
    assert not outlines.GetDisplayNode().GetVisibility2DFill()
    assert mrml.comparison_of(later) == canned


def test_the_child_gets_both_results_without_rejected_lesions_and_the_days(
    widget, later, earlier, fake_child, tmp_path
):
    process_until(lambda: earlier.GetName() in offered(widget))
    set_review(later.GetSegmentation().GetSegment("Tumor_2"), "rejected")
    write = mrml._exporter(later)
    write(tmp_path / "written", threading.Event())
    masks = {each.name: each.mask for each in read_segmentation(tmp_path / "written" / "segmentation.seg.nrrd")}
    assert set(masks) == {"Left lung", "Right lung", "Tumor 1"}
    here = mask_of(later.GetSegmentation(), "Tumor_1")
    assert np.count_nonzero(masks["Tumor 1"].array) == np.count_nonzero(here.array)
    widget.ui.daysSpinBox.value = 90
    compared(widget)
    arguments = fake_child.arguments()
    assert arguments[arguments.index("--days") + 1] == "90"
    assert "--outlines" in arguments
    widget.ui.daysSpinBox.value = 0
    compared(widget)
    assert "--days" not in fake_child.arguments()


def test_a_result_folder_can_be_the_earlier_result(widget, later, fake_child, tmp_path):
    widget.ui.earlierFolderButton.directory = str(tmp_path)
    compared(widget)
    assert fake_child.arguments()[1] == str(tmp_path)
    assert widget.ui.followUpTable.rowCount == 3


def test_a_click_on_a_row_shows_the_place_and_the_earlier_outline(widget, later, earlier, canned):
    compared(widget)
    widget.ui.followUpTable._qt.cellClicked.emit(1, 0)
    display = later.GetNodeReference(OUTLINES_ROLE).GetDisplayNode()
    assert [display.GetSegmentVisibility(name) for name in ("L1", "L2")] == [False, True]
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
        place = np.array([node.GetSliceToRAS().GetElement(i, 3) for i in range(3)])
        normal = np.array([node.GetSliceToRAS().GetElement(i, 2) for i in range(3)])
        expected = np.array(canned["lesions"][1]["place_lps_mm"]) * (-1, -1, 1)
        assert abs((place - expected) @ normal) < 0.01
    followup_display.show_place(later, None)
    assert display.GetSegmentVisibility("L1")


def test_the_report_is_written_on_request_and_replaces_only_its_own_files(widget, later, tmp_path, monkeypatch):
    assert not widget.ui.followUpReportButton.enabled
    compared(widget)
    widget.ui.folderButton.directory = str(tmp_path / "saved")
    (tmp_path / "saved").mkdir()
    widget.ui.followUpReportButton.click()
    names = {path.name for path in (tmp_path / "saved").iterdir()}
    assert names == {"followup.csv", "followup.json", "followup-report.html"}
    assert "followup-report.html" in widget.ui.followUpLabel.text
    asked = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda text, *_: asked.append(text))
    widget.ui.followUpReportButton.click()
    assert not asked
    (tmp_path / "saved" / "followup.csv").write_text("notes of mine")
    widget.ui.followUpReportButton.click()
    assert "followup.csv" in asked[0]
    assert (tmp_path / "saved" / "followup.csv").read_text() == "notes of mine"


def test_a_failure_is_reported_and_a_comparison_can_be_cancelled(widget, later, fake_child):
    fake_child("error:2:The lungs do not overlap.")
    compared(widget)
    assert widget.ui.followUpLabel.text == "Not compared: The lungs do not overlap."
    assert not widget.ui.followUpReportButton.enabled
    fake_child("slow")
    widget.ui.compareButton.click()
    assert widget.ui.compareButton.text == "Cancel"
    widget.ui.compareButton.click()
    assert widget.ui.followUpLabel.text == "Cancelled."
    assert widget.ui.compareButton.text == "Compare"


@pytest.mark.parametrize(
    "path", fast_only(["", "/ct.nrrd"], ["", "/ct.nrrd", "/segmentation.seg.nrrd", "/summary.json"])
)
def test_messages_call_the_results_by_their_names_not_by_private_paths(widget, later, earlier, fake_child, path):
    process_until(lambda: earlier.GetName() in offered(widget))
    fake_child(f"error:2:EARLIER{path} and LATER{path} differ.")
    compared(widget)
    assert widget.ui.followUpLabel.text == f"Not compared: {earlier.GetName()} and {later.GetName()} differ."


def test_a_result_folder_keeps_its_path_in_messages(widget, later, fake_child, tmp_path):
    widget.ui.earlierFolderButton.directory = str(tmp_path)
    fake_child("error:2:EARLIER and LATER/other.txt differ.")
    compared(widget)
    assert widget.ui.followUpLabel.text == f"Not compared: {tmp_path} and {later.GetName()}/other.txt differ."


def test_links_by_hand_are_kept_with_the_scene_for_the_same_earlier_result(widget, later, earlier, tmp_path):
    process_until(lambda: earlier.GetName() in offered(widget))
    assert not {"links", "unlinks"} & set(mrml.comparison_of(later))
    compared(widget)
    widget.ui.followUpTable._qt.cellClicked.emit(0, 0)
    chosen = widget.ui.linkEarlierSelector.currentText, widget.ui.linkLaterSelector.currentText
    assert chosen == ("Tumor 1", "Tumor 2")

    def press(button):
        button.click()
        process_until(lambda: not widget.panel.followUp.running)
        data = mrml.comparison_of(later)
        return data["links"], data["unlinks"]

    assert press(widget.ui.unlinkButton) == ([], [["Tumor 1", "Tumor 2"]])
    assert press(widget.ui.compareButton) == ([], [["Tumor 1", "Tumor 2"]])
    assert press(widget.ui.linkButton) == ([["Tumor 1", "Tumor 2"]], [])
    assert mrml.choices_of(later, earlier).links == (("Tumor 1", "Tumor 2"),)
    assert not mrml.choices_of(later, tmp_path)
    widget.ui.earlierSelector.currentIndex = 1
    widget.ui.earlierFolderButton.directory = str(tmp_path)
    assert press(widget.ui.compareButton) == ([], [])  # of another earlier result
    assert press(widget.ui.linkButton)[0]
    assert mrml.choices_of(later, tmp_path)
    assert not mrml.choices_of(later, earlier)


def test_lesions_are_colored_by_growth_on_request_and_keep_their_own_colors(widget, later):
    box, display = widget.ui.growthColorsCheckBox, later.GetDisplayNode()
    assert not box.enabled
    compared(widget)
    own = {
        name: later.GetSegmentation().GetSegment(name).GetColor() for name in later.GetSegmentation().GetSegmentIDs()
    }
    box.checked = True
    assert tuple(display.GetSegmentColor("Tumor_2")) == GROWTH_COLORS["grown"]
    assert tuple(display.GetSegmentColor("Tumor_1")) == GROWTH_COLORS["new"]
    assert all(tuple(display.GetSegmentColor(name)) == color for name, color in own.items() if "Tumor" not in name)
    compared(widget)
    assert box.checked
    widget.panel.parameterNode.outputSegmentation = None
    assert not box.checked
    widget.panel.parameterNode.outputSegmentation = later
    assert box.checked
    box.checked = False
    for name, color in own.items():
        assert tuple(display.GetSegmentColor(name)) == color == later.GetSegmentation().GetSegment(name).GetColor()


def view(class_name: str, name: str):
    return slicer.mrmlScene.GetSingletonNode(name, f"vtkMRML{class_name}Node")


def center(name: str) -> np.ndarray:
    return np.array([view("Slice", name).GetSliceToRAS().GetElement(i, 3) for i in range(3)])


def everything(later, earlier) -> list:
    """What the side-by-side view changes."""
    nodes = later, earlier, later.GetNodeReference(OUTLINES_ROLE)
    composites = [view("SliceComposite", name) for name in ("Red", "Yellow", "Green")]
    return [
        slicer.app.layoutManager().layout,
        *((each.GetBackgroundVolumeID(), each.GetLinkedControl()) for each in composites),
        *(tuple(node.GetDisplayNode().GetViewNodeIDs() or ()) for node in nodes),
    ]


def test_both_cts_are_shown_side_by_side_at_the_lesion_and_everything_is_restored(widget, later, earlier, canned):
    process_until(lambda: earlier.GetName() in offered(widget))
    box = widget.ui.sideBySideCheckBox
    assert not box.enabled
    compared(widget)
    view("SliceComposite", "Red").SetLinkedControl(True)
    before = everything(later, earlier)
    box.checked = True
    assert slicer.app.layoutManager().layout == slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView
    for name, result in (("Red", earlier), ("Yellow", later)):
        assert view("SliceComposite", name).GetBackgroundVolumeID() == mrml.ct_of(result).GetID()
        assert result.GetDisplayNode().GetViewNodeIDs() == (view("Slice", name).GetID(),)
        assert not view("SliceComposite", name).GetLinkedControl()
    outlines = later.GetNodeReference(OUTLINES_ROLE).GetDisplayNode()
    assert outlines.GetViewNodeIDs() == (view("Slice", "Yellow").GetID(),)
    widget.ui.followUpTable._qt.cellClicked.emit(2, 0)
    place = np.array(canned["lesions"][2]["place_lps_mm"]) * (-1, -1, 1)
    assert center("Yellow") == pytest.approx(place)
    assert center("Red") - place == pytest.approx(np.array([-3, -3, 3]))
    assert view("Slice", "Red").GetFieldOfView()[0] == view("Slice", "Yellow").GetFieldOfView()[0]
    box.checked = False
    assert everything(later, earlier) == before


def test_what_happens_in_one_view_happens_at_the_same_place_in_the_other(widget, later, earlier, canned):
    process_until(lambda: earlier.GetName() in offered(widget))
    compared(widget)
    widget.ui.sideBySideCheckBox.checked = True
    widget.ui.followUpTable._qt.cellClicked.emit(0, 0)
    red, yellow = view("Slice", "Red"), view("Slice", "Yellow")
    before = center("Red"), center("Yellow")
    yellow.SetSliceOffset(yellow.GetSliceOffset() + 10)
    assert center("Red") - before[0] == pytest.approx(np.array([0, 0, 12.5]))
    red.SetSliceOffset(red.GetSliceOffset() - 12.5)
    assert center("Yellow") == pytest.approx(before[1])
    yellow.SetFieldOfView(50.0, 50.0, 1.0)
    yellow.SetSliceOrigin(7.0, -3.0, 0.0)
    assert red.GetFieldOfView()[0] == 50
    assert red.GetXYZOrigin()[:2] == (7, -3)
    red.SetOrientation("Coronal")
    assert yellow.GetOrientation() == "Coronal"
    assert center("Yellow") == pytest.approx(before[1])
    widget.ui.followUpTable._qt.cellClicked.emit(2, 0)  # centers both on another lesion
    assert yellow.GetXYZOrigin()[:2] == (0, 0)
    assert yellow.GetOrientation() == "Axial"
    widget.ui.sideBySideCheckBox.checked = False
    alone = center("Red")
    yellow.SetSliceOffset(99)
    assert center("Red") == pytest.approx(alone)


def test_both_views_stay_linked_when_a_comparison_is_cancelled(widget, later, earlier, fake_child):
    process_until(lambda: earlier.GetName() in offered(widget))
    compared(widget)
    widget.ui.sideBySideCheckBox.checked = True
    fake_child("slow")
    widget.ui.compareButton.click()
    widget.ui.compareButton.click()
    before = center("Red")
    view("Slice", "Yellow").SetSliceOffset(view("Slice", "Yellow").GetSliceOffset() + 4)
    assert center("Red") - before == pytest.approx(np.array([0, 0, 5]))


def test_each_lesion_has_a_curve_of_its_volume(widget, later, earlier):
    compared(widget)
    last = widget.ui.followUpTable.columnCount - 1
    labels = [widget.ui.followUpTable.cellWidget(row, last) for row in range(3)]
    assert labels[0].toolTip == "Volume over time, mL: 1.00 → 2.00"
    assert labels[1].toolTip == "Volume over time, mL: 2.00 → -"
    for label, fate in zip(labels, ("grown", "shrunk", "new"), strict=True):
        image = label._qt.pixmap().toImage()
        colors = {image.pixelColor(x, y).name() for x in range(52) for y in range(18) if image.pixelColor(x, y).alpha()}
        assert colors == {QColor.fromRgbF(*GROWTH_COLORS[fate]).name()}


def test_a_narrow_panel_shows_the_curves(widget, later, earlier):
    compared(widget)
    table = widget.ui.followUpTable
    curves = table.columnCount - 1
    assert table.columnViewportPosition(curves) + table.columnWidth(curves) < 300


def test_a_scroll_bar_does_not_hide_the_last_row(widget, later, earlier):
    compared(widget)
    table = widget.ui.followUpTable._qt
    rows = table.horizontalHeader().sizeHint().height() + sum(table.rowHeight(row) for row in range(3))
    assert table.maximumHeight() >= rows + table.horizontalScrollBar().sizeHint().height()


def test_a_curve_includes_earlier_comparisons_of_the_scene(later, earlier):
    first, second = entry("L1", "grown", [piece("A", 1.0)], [piece("B", 3.0)], [0, 0, 0]), [piece("B", 3.0)]
    new = entry("L2", "new", [], [piece("C", 4.0)], [0, 0, 0])
    earlier.SetAttribute("LungTumorSeg.FollowUp", json.dumps({"lesions": [first, new]}))
    later.SetNodeReferenceID(mrml.EARLIER_ROLE, earlier.GetID())
    merged = entry("L1", "merged", [*second, piece("C", 4.0)], [piece("D", 9.0)], [0, 0, 0])
    assert mrml.volumes_over_time(later, merged) == [1, 7, 9]
    assert mrml.volumes_over_time(later, entry("L3", "new", [], [piece("E", 2.0)], [0, 0, 0])) == [0, 2]
    earlier.SetNodeReferenceID(mrml.EARLIER_ROLE, later.GetID())  # compared in both directions
    assert mrml.volumes_over_time(later, merged) == [1, 7, 9]


@pytest.fixture
def first(later, earlier, ct, usual_results):
    """A result with which the earlier one was compared in this scene, with a link by hand."""
    volume = add_volume(slicer.mrmlScene, ct, "October")
    found = load_results(read_run(usual_results), volume)
    earlier.SetNodeReferenceID(mrml.EARLIER_ROLE, found.GetID())
    choices = {"lesions": [], "links": [["Tumor 1", "Tumor 2"]], "unlinks": []}
    earlier.SetAttribute("LungTumorSeg.FollowUp", json.dumps(choices))
    return found


def test_the_results_before_the_earlier_one_are_found_oldest_first(later, earlier, first, tmp_path):
    assert mrml.examinations_before(earlier, later) == [first]
    first.SetAttribute("LungTumorSeg.EarlierFolder", str(tmp_path))
    assert mrml.examinations_before(earlier, later) == [tmp_path, first]
    first.SetNodeReferenceID(mrml.EARLIER_ROLE, later.GetID())  # compared in both directions
    assert mrml.examinations_before(earlier, later) == [first]
    first.SetNodeReferenceID(mrml.EARLIER_ROLE, earlier.GetID())
    assert mrml.examinations_before(earlier, later) == [first]
    assert mrml.examinations_before(tmp_path, later) == []
    slicer.mrmlScene.RemoveNode(mrml.ct_of(first))
    assert mrml.examinations_before(earlier, later) == []


def test_results_before_the_earlier_one_take_part_unless_the_user_leaves_them_out(
    widget, later, earlier, first, fake_child, canned, tmp_path
):
    history = [{"category": "PR", "sum_mm": 9.0}, {"category": "PD", "sum_mm": 16.0}]
    data = {**canned, "dates": [None] * 3, "recist_1_1": {**canned["recist_1_1"], "history": history}}
    (tmp_path / "fake" / JSON_FILE).write_text(json.dumps(data))
    process_until(lambda: earlier.GetName() in offered(widget))
    box, selector = widget.ui.includeEarlierCheckBox, widget.ui.earlierSelector
    selector.currentIndex = offered(widget).index(earlier.GetName())
    assert box.checked
    assert not box._qt.isHidden()
    compared(widget)
    arguments = fake_child.arguments()
    assert [Path(each).name for each in arguments[1:5]] == ["earlier", "later", "--earlier", "before-1"]
    assert [Path(arguments[n + 1]).name for n, each in enumerate(arguments) if each == "--links"] == [
        "links-1.json",
        "links-2.json",
    ]
    assert "The first of 3 examinations counts as the baseline of RECIST; after it: PR, PD." in (
        widget.ui.followUpLabel.text
    )
    assert mrml.comparison_of(later)["links"] == []  # those of the step before are not those of this one
    box.checked = False
    compared(widget)
    assert not {"--earlier", "--links"} & set(fake_child.arguments())
    selector.currentIndex = offered(widget).index(first.GetName())
    assert box._qt.isHidden()


@pytest.mark.parametrize(
    ("values", "times", "expected"),
    [
        ((1.0, 2.0), (0, 1), [(3, 9), (48, 3)]),
        ((2.0, 1.0, 2.0), (0, 90, 100), [(3, 3), (43, 9), (48, 3)]),
        ((0.0, 0.0), (0, 1), [(3, 14), (48, 14)]),
    ],
)
def test_a_curve_begins_at_zero_and_its_times_are_to_scale(slicer_app, module, values, times, expected):
    from LungTumorSegPanel.sparkline import places

    assert places(values, times) == expected


@pytest.mark.parametrize(
    ("dates", "times"),
    [(["2026-01-01", "2026-01-11", "2026-03-01"], [0, 10, 59]), ([None, "2026-01-11", "2026-03-01"], [0, 1, 2])],
)
def test_times_are_days_where_all_dates_are_known(slicer_app, module, dates, times):
    from LungTumorSegPanel.followup_texts import timesOf

    found = timesOf(dates, 3)
    assert [each - found[0] for each in found] == times


@pytest.mark.parametrize(("percent", "text"), [(-0.3, "0"), (0.4, "0"), (-25.5, "-26"), (12.0, "+12"), (None, "")])
def test_a_change_that_rounds_to_zero_has_no_sign(slicer_app, module, percent, text):
    from LungTumorSegPanel.followup_texts import changeText

    assert changeText({"volume_change_percent": percent, "later": [{}]}) == text


@pytest.mark.parametrize("how", fast_only(["another result"], ["another result", "compared again", "a saved scene"]))
def test_side_by_side_ends_when_the_comparison_does(widget, later, earlier, how):
    process_until(lambda: earlier.GetName() in offered(widget))
    compared(widget)
    before = everything(later, earlier)
    widget.ui.sideBySideCheckBox.checked = True
    if how == "compared again":
        compared(widget)
    else:
        if how == "a saved scene":  # where the panel knows nothing of it
            widget.ui.sideBySideCheckBox.blockSignals(True)
            widget.ui.sideBySideCheckBox.checked = False
            widget.ui.sideBySideCheckBox.blockSignals(False)
        widget.panel.parameterNode.outputSegmentation = None
    assert not widget.ui.sideBySideCheckBox.checked
    assert everything(later, earlier)[1:] == before[1:]


def test_side_by_side_ends_when_the_earlier_result_is_removed(widget, later, earlier):
    process_until(lambda: earlier.GetName() in offered(widget))
    compared(widget)
    layout = slicer.app.layoutManager().layout
    widget.ui.sideBySideCheckBox.checked = True
    slicer.mrmlScene.RemoveNode(earlier)
    process_until(lambda: not widget.ui.sideBySideCheckBox.checked)
    assert not widget.ui.sideBySideCheckBox.enabled
    assert slicer.app.layoutManager().layout == layout
    assert not later.GetDisplayNode().GetViewNodeIDs()


def test_without_the_earlier_result_in_the_scene_there_is_no_second_ct(widget, later, tmp_path):
    widget.ui.earlierFolderButton.directory = str(tmp_path)
    compared(widget)
    assert not widget.ui.sideBySideCheckBox.enabled


def test_lesions_can_be_linked_where_the_alignment_failed(widget, later, earlier, fake_child):
    process_until(lambda: earlier.GetName() in offered(widget))
    fake_child("error:2:EARLIER and LATER could not be registered.")
    compared(widget)
    assert widget.ui.linkButton.enabled
    fake_child("good")
    widget.ui.linkButton.click()
    process_until(lambda: not widget.panel.followUp.running)
    assert mrml.comparison_of(later)["links"] == [["Tumor 1", "Tumor 1"]]


def test_the_comparison_of_a_saved_scene_is_shown_again(widget, later):
    compared(widget)
    widget.panel.parameterNode.outputSegmentation = None
    assert not widget.ui.followUpTable.visible
    widget.panel.parameterNode.outputSegmentation = later
    assert widget.ui.followUpTable.rowCount == 3
    assert not widget.ui.followUpReportButton.enabled  # the files were not saved with the scene


def result(folder: Path, balls, **geometry):
    """A result of the scene with these lesions."""
    segments = segments_of(balls, **geometry)
    write_results(folder, ct := ct_of(segments), lesions=0)
    write_segmentation(segments, folder / "segmentation.seg.nrrd")
    masks = [each.mask for each in segments if each.name.startswith("Tumor")]
    lesions = [
        lesion_row(ct, mask, number) | {"long_axis_mm": 2 * radius}
        for number, (mask, (_, radius)) in enumerate(zip(masks, balls.values(), strict=True), start=1)
    ]
    summary = json.loads((folder / "summary.json").read_text()) | {"lesions": lesions}
    (folder / "summary.json").write_text(json.dumps(summary))
    return load_results(read_run(folder), add_volume(slicer.mrmlScene, ct, folder.name))


@pytest.fixture
def real_command(tmp_path, monkeypatch):
    program = tmp_path / "PythonSlicer"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


@pytest.mark.slow
def test_the_real_command_compares_two_results_of_the_scene(module, slicer_app, real_command, tmp_path):
    here, there = (66.0, 0.0, 40.0), (-66.0, 10.0, 0.0)
    january = result(tmp_path / "January", {"Tumor 1": (here, 9.0), "Tumor 2": (there, 8.0)})
    april = result(tmp_path / "April", {"Tumor 1": (there, 12.0)}, shift=(6.0, -9.0, 12.0))
    found = module.LungTumorSegLogic().compare(april, january, days=90)
    statuses = {lesion["status"]: lesion for lesion in found.data["lesions"]}
    assert set(statuses) == {"grown", "gone"}
    assert statuses["grown"]["later"][0]["segment"] == "Tumor 1"
    assert np.abs(np.array(statuses["gone"]["place_lps_mm"]) - np.array(here) - (6.0, -9.0, 12.0)).max() < 6
    assert set(found.outlines.GetSegmentIDs()) == {lesion["id"] for lesion in statuses.values()}
    assert b"<html" in found.files["report.html"]
    assert str(tmp_path) not in found.files[JSON_FILE].decode()


@pytest.mark.slow
def test_the_response_over_all_results_of_the_scene_is_that_of_the_command(module, slicer_app, real_command, tmp_path):
    sizes, place = {"January": 14.0, "April": 8.0, "July": 11.0}, (66.0, 0.0, 40.0)
    january, april, july = (result(tmp_path / name, {"Tumor 1": (place, size)}) for name, size in sizes.items())
    logic = module.LungTumorSegLogic()
    followup_display.show_comparison(april, logic.compare(april, january, days=90))
    before = mrml.examinations_before(april, july)
    assert before == [january]
    found = logic.compare(july, april, days=90, before=before).data
    assert [each["category"] for each in found["recist_1_1"]["history"]] == ["PR", "PD"]
    folders = [read_examination(tmp_path / name) for name in sizes]
    command = compare_all(folders, days=90)
    assert command.response.category == found["recist_1_1"]["category"] == "PD"
    assert found["recist_1_1"]["rules"] == list(command.response.rules)
    assert found["recist_1_1"]["baseline_sum_mm"] == pytest.approx(command.response.baseline_mm, rel=1e-6)
    assert logic.compare(july, april, days=90).data["recist_1_1"]["baseline_sum_mm"] == pytest.approx(16, abs=1)
