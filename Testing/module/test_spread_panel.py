"""The Spread section of the real panel."""

import numpy as np
import pytest
from LungTumorSegLib.mrml.nodes import MARGINS_ROLE, RULERS_ROLE, ZONES_ROLE
from LungTumorSegLib.mrml.segments import set_mask
from LungTumorSegLib.report.color_maps import RAMP
from stand_in import application as stand_in

from .conftest import process_until


@pytest.fixture
def widget(finished_panel):
    return finished_panel


@pytest.fixture
def segmentation(widget):
    return widget.panel.parameterNode.outputSegmentation


def test_without_a_result_there_is_nothing_to_show(module, model, slicer_app):
    widget = module.LungTumorSegWidget(stand_in.new_panel_parent())
    widget.setup()
    for name in ("colorSelector", "zonesCheckBox", "rulersCheckBox", "marginsCheckBox", "marginsEdit"):
        assert not getattr(widget.ui, name).enabled
    widget.cleanup()


def test_the_colors_come_with_a_legend(widget, segmentation):
    widget.ui.colorSelector.currentIndex = 2
    assert segmentation.GetDisplayNode().GetSegmentColor("Tumor_2") == pytest.approx(RAMP[0])
    assert "below&nbsp;0.75" in widget.ui.legendLabel.text
    widget.ui.colorSelector.currentIndex = 1
    assert "from&nbsp;65&nbsp;mL" in widget.ui.legendLabel.text
    widget.ui.colorSelector.currentIndex = 0
    assert widget.ui.legendLabel.text == ""


@pytest.mark.parametrize(("box", "role"), [
    ("marginsCheckBox", MARGINS_ROLE), ("zonesCheckBox", ZONES_ROLE), ("rulersCheckBox", RULERS_ROLE),
])  # fmt: skip
def test_each_box_draws_and_removes_what_it_says(widget, segmentation, box, role):
    getattr(widget.ui, box).checked = True
    assert segmentation.GetNodeReference(role) is not None
    getattr(widget.ui, box).checked = False
    assert segmentation.GetNodeReference(role) is None


def test_lungs_that_were_hidden_stay_hidden_after_the_zones(widget, segmentation):
    widget.ui.showLungsCheckBox.checked = False
    widget.ui.zonesCheckBox.checked = True
    widget.ui.zonesCheckBox.checked = False
    assert not segmentation.GetDisplayNode().GetSegmentVisibility("Left_lung")


def test_other_margins_are_drawn_when_the_field_says_so(widget, segmentation):
    widget.ui.marginsEdit.text = "1.5, 2"
    widget.ui.marginsCheckBox.checked = True
    content = segmentation.GetNodeReference(MARGINS_ROLE).GetSegmentation()
    assert content.GetNthSegment(0).GetName() == "Tumor 1 margin 1.5 mm"
    widget.ui.marginsEdit.text = "3"
    widget.ui.marginsEdit._qt.editingFinished.emit()
    assert (
        segmentation.GetNodeReference(MARGINS_ROLE).GetSegmentation().GetNthSegment(0).GetName()
        == "Tumor 1 margin 3 mm"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("five", "for example: 5 8 20"),
        ("60", "up to 50 mm"),
        pytest.param("", "for example: 5 8 20", marks=pytest.mark.slow),
        pytest.param("0", "above 0", marks=pytest.mark.slow),
    ],
)
def test_margins_that_are_none_are_refused_in_words(widget, segmentation, text, reason):
    widget.ui.marginsEdit.text = text
    widget.ui.marginsCheckBox.checked = True
    assert reason in widget.ui.spreadLabel.text
    assert not widget.ui.marginsCheckBox.checked
    assert segmentation.GetNodeReference(MARGINS_ROLE) is None


def test_what_a_loaded_scene_has_drawn_is_checked(widget, segmentation):
    widget.ui.rulersCheckBox.checked = True
    widget.panel.parameterNode.outputSegmentation = None
    assert not widget.ui.rulersCheckBox.checked
    widget.panel.parameterNode.outputSegmentation = segmentation
    assert widget.ui.rulersCheckBox.checked
    assert not widget.ui.zonesCheckBox.checked


def test_a_correction_redraws_rulers_and_takes_old_margins_away(widget, segmentation, ct):
    widget.ui.rulersCheckBox.checked = widget.ui.marginsCheckBox.checked = True
    before = [segmentation.GetNthNodeReference(RULERS_ROLE, i).GetLineLengthWorld() for i in range(2)]
    widget.ui.correctSection.collapsed = False
    set_mask(segmentation, "Tumor_1", ct.with_array(np.pad(np.ones((2, 4, 2), bool), ((3, 5), (4, 4), (9, 3)))))
    process_until(lambda: not widget.ui.marginsCheckBox.checked)
    after = [segmentation.GetNthNodeReference(RULERS_ROLE, i).GetLineLengthWorld() for i in range(2)]
    assert segmentation.GetNodeReference(MARGINS_ROLE) is None
    assert widget.ui.rulersCheckBox.checked
    assert before != after


def test_that_a_correction_took_the_margins_away_is_said_until_they_are_drawn_again(widget, segmentation, ct):
    widget.ui.marginsCheckBox.checked = True
    widget.ui.correctSection.collapsed = False
    assert "margins were removed" not in widget.ui.spreadLabel.text
    set_mask(segmentation, "Tumor_1", ct.with_array(np.pad(np.ones((2, 4, 2), bool), ((3, 5), (4, 4), (9, 3)))))
    process_until(lambda: "margins were removed" in widget.ui.spreadLabel.text)
    widget.panel.spread.refresh()  # as after each later stage of a measurement
    assert "margins were removed" in widget.ui.spreadLabel.text
    widget.ui.marginsCheckBox.checked = True
    assert "margins were removed" not in widget.ui.spreadLabel.text
    assert segmentation.GetNodeReference(MARGINS_ROLE) is not None


def test_a_lesion_that_is_confirmed_keeps_its_margins_and_one_that_is_rejected_loses_them(widget, segmentation):
    widget.ui.correctSection.collapsed = False
    settled(widget)
    widget.ui.marginsCheckBox.checked = True
    widget.ui.lesionTable.selectRow(0)
    widget.ui.confirmButton.click()
    settled(widget)
    assert segmentation.GetNodeReference(MARGINS_ROLE) is not None
    widget.ui.rejectButton.click()
    settled(widget)
    assert segmentation.GetNodeReference(MARGINS_ROLE) is None
    assert "margins were removed" in widget.ui.spreadLabel.text


def settled(widget):
    """Wait until every edit has been measured and shown."""
    section = widget.panel.correct
    process_until(lambda: section.measuring.following and not section.measuring.busy)
