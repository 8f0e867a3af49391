"""The section Correct: the embedded Segment Editor, what can be done to a lesion, and the table that follows.

What it does lies in LungTumorSegLib.mrml.corrections and live_mrml; here are buttons, timers and observers.
"""

import logging
import time

import qt
import slicer
from LungTumorSegLib.core import terminology
from LungTumorSegLib.mrml.corrections import Corrections
from LungTumorSegLib.mrml.lesion_table import is_measured
from LungTumorSegLib.mrml.live_table import LiveTable, edit_events
from LungTumorSegLib.mrml.placing import PointPlacement
from LungTumorSegLib.mrml.results import ct_of, is_edited, lesions_of, summary_of
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

EFFECTS = ("Paint", "Erase", "Grow from seeds", "Scissors", "Islands", "Smoothing", "Margin", "Threshold")
"""In the order in which they help with tumors."""

EDIT_MILLISECONDS = 100
"""So long after the last edit measuring begins: a stroke sends several events, and the hand should not wait for any of them."""

POLL_MILLISECONDS = 40

TURN_SECONDS = 0.01
"""So long the window lets the measuring thread have Python at each look: enough for it to get on, too short to be noticed, should Slicer's
event loop hold on to Python while it is idle."""

EDITOR_TAG = "LungTumorSeg.SegmentEditor"
"""Singleton tag of the section's own editor node, which the scene keeps with brush sizes and all."""

DEFAULT_THRESHOLD = 0.5


class EditorHistory:
    """The Segment Editor's own history, so that its effects and the section's buttons are undone in the order in which they were done."""

    def __init__(self, editor):
        self._editor = editor

    def save(self):
        self._editor.saveStateForUndo()

    def undo(self):
        content = self._editor.segmentationNode().GetSegmentation()
        before = content.GetMTime()
        self._editor.undo()
        return content.GetMTime() != before


class CorrectSection(VTKObservationMixin):
    """Follows one segmentation at a time. ``onTable`` is called when its lesion table has changed."""

    def __init__(self, ui, onTable):
        VTKObservationMixin.__init__(self)
        self._ui, self._onTable = ui, onTable
        self._segmentation = None
        self._corrections = None
        self._live = None
        self._threshold = None  # of the lesion whose slider is being moved
        self._placement = None
        self._active = False
        self._leftAt = 0  # the segmentation's modified time when the panel was left
        self._editor = slicer.qMRMLSegmentEditorWidget()
        self._editor.setMRMLScene(slicer.mrmlScene)
        self._editor.setEffectNameOrder(EFFECTS)
        self._editor.unorderedEffectsVisible = False
        self._editor.setSegmentationNodeSelectorVisible(False)
        self._editor.setSourceVolumeNodeSelectorVisible(False)
        self._editor.setSwitchToSegmentationsButtonVisible(False)
        ui.editorFrame.layout().addWidget(self._editor)
        self._editTimer = self._timer(EDIT_MILLISECONDS, self._measure, singleShot=True)
        self._pollTimer = self._timer(POLL_MILLISECONDS, self._poll)
        self._connect()
        self.updateButtons()

    def _connect(self):
        ui = self._ui
        ui.correctSection.connect("contentsCollapsed(bool)", self._onCollapsed)
        ui.addButton.connect("clicked()", self._onAdd)
        ui.deleteButton.connect("clicked()", lambda: self._do(lambda c: c.delete(self._chosen())))
        ui.mergeButton.connect("clicked()", lambda: self._do(lambda c: c.merge(self.chosenIds())))
        ui.splitButton.connect("clicked()", lambda: self._do(lambda c: c.split(self._chosen())))
        ui.confirmButton.connect(
            "clicked(bool)", lambda on: self._do(lambda c: (c.confirm if on else c.withdraw)(self._chosen()))
        )
        ui.rejectButton.connect(
            "clicked(bool)", lambda on: self._do(lambda c: (c.reject if on else c.withdraw)(self._chosen()))
        )
        ui.resetButton.connect("clicked()", lambda: self._do(lambda c: c.reset(self._chosen())))
        ui.resetAllButton.connect("clicked()", lambda: self._do(lambda c: c.reset_all()))
        ui.undoButton.connect("clicked()", self._onUndo)
        ui.lesionThresholdSlider.connect("valueChanged(double)", self._onThreshold)
        ui.growButton.connect("clicked(bool)", self._onGrow)
        ui.insideCheckBox.connect("toggled(bool)", self._onInside)

    def _timer(self, milliseconds, callback, singleShot=False):
        timer = qt.QTimer()
        timer.setSingleShot(singleShot)
        timer.setInterval(milliseconds)
        timer.connect("timeout()", callback)
        return timer

    # Life

    def show(self, segmentation):
        """Follows a segmentation from now on; None for none."""
        if segmentation is self._segmentation:
            return
        self._forget()
        self._segmentation = segmentation
        if segmentation is not None:
            self._live = LiveTable(segmentation)
            self._corrections = Corrections(segmentation, EditorHistory(self._editor))
            self._editor.setMRMLSegmentEditorNode(self._editorNode())
            self._editor.setSegmentationNode(segmentation)
            self._editor.setSourceVolumeNode(ct_of(segmentation))
            self._observe(segmentation)
            self._onInside(self._ui.insideCheckBox.checked)
            if not is_measured(segmentation):
                self._measure()
        self._onCollapsed(self._ui.correctSection.collapsed)
        self.updateButtons()

    def activate(self):
        """The panel is in front: keys and views serve the editor."""
        self._active = True
        self._forgetHistoryOfOthers()
        self._onCollapsed(self._ui.correctSection.collapsed)

    def deactivate(self):
        """The panel is left: no effect stays in the views, no key is held; edits made elsewhere still reach the table."""
        self._active = False
        self._stopPlacing()
        self._releaseViews()
        self._leftAt = self._segmentation.GetSegmentation().GetMTime() if self._segmentation is not None else 0

    def _forgetHistoryOfOthers(self):
        """What was edited elsewhere meanwhile is not in this editor's history: an undo to before it would take it away unasked."""
        if self._segmentation is not None and self._leftAt not in (0, self._segmentation.GetSegmentation().GetMTime()):
            self._editor.setSegmentationNode(None)
            self._editor.setSegmentationNode(self._segmentation)
        self._leftAt = 0

    def close(self):
        """Lets go of everything, for good or until the next ``show``."""
        self._forget()
        self._editor.setMRMLSegmentEditorNode(None)
        self.updateButtons()

    def finish(self):
        """Waits until the table says what the voxels say, as before saving."""
        if self._live is None or (self._live.current and not self._editTimer.active):
            return
        if is_measured(self._segmentation) and not is_edited(self._segmentation):
            return
        try:
            self._live.measure_now()
            self._onTable()
        except ValueError as error:
            self._say(str(error))

    def _forget(self):
        self._stopPlacing()
        self._editTimer.stop()
        self._pollTimer.stop()
        self._threshold = None
        self.removeObservers()
        if self._live is not None:
            self._live.close()
        self._releaseViews()
        if self._editor.mrmlSegmentEditorNode() is not None:
            self._editor.setSegmentationNode(None)
            self._editor.setSourceVolumeNode(None)
        self._segmentation = self._live = self._corrections = None
        self._say("")

    def _releaseViews(self):
        if self._editor.mrmlSegmentEditorNode() is not None:
            self._editor.setActiveEffect(None)
        self._editor.uninstallKeyboardShortcuts()
        self._editor.removeViewObservations()

    def _editorNode(self):
        node = slicer.mrmlScene.GetSingletonNode(EDITOR_TAG, "vtkMRMLSegmentEditorNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
            node.UnRegister(None)
            node.SetSingletonTag(EDITOR_TAG)
            node = slicer.mrmlScene.AddNode(node)
            node.SetOverwriteMode(node.OverwriteNone)  # lungs stay whole beneath what is painted
        return node

    def _observe(self, segmentation):
        for event in edit_events():
            self.addObserver(segmentation.GetSegmentation(), event, self._onEdit)
        self.addObserver(segmentation, slicer.vtkMRMLSegmentationNode.SegmentationChangedEvent, self._onOtherContent)

    def _onCollapsed(self, collapsed):
        if collapsed or not self._active or self._segmentation is None:
            self._releaseViews()
            return
        self._editor.setupViewObservations()
        self._editor.installKeyboardShortcuts()
        self._chooseSegment()
        self._measure()  # what is known beforehand is not waited for at the first stroke

    # The table

    def _onOtherContent(self, caller=None, event=None):
        """A new run has put other voxels into the segmentation."""
        segmentation = self._segmentation
        self._forget()
        self.show(segmentation)

    def _onEdit(self, caller=None, event=None):
        self._editTimer.start()

    def _measure(self):
        if self._live is not None:
            self._live.update()
            self._pollTimer.start()

    def _poll(self):
        measures = self._live.poll() if self._live is not None else None
        if measures is not None:
            self._say(measures.problem)
            self._onTable()
            self.updateButtons()
        if self._live is None or not self._live.busy:
            self._pollTimer.stop()
        else:
            time.sleep(TURN_SECONDS)

    # Choosing

    def chosenIds(self):
        """The segments of the chosen rows of the lesion table."""
        if self._segmentation is None:
            return []
        ids = [item.data(qt.Qt.UserRole) for item in self._ui.lesionTable.selectedItems() if item.column() == 0]
        return [segment_id for segment_id in ids if segment_id]

    def _chosen(self):
        chosen = self.chosenIds()
        return chosen[0] if chosen else ""

    def onChosen(self):
        """Other rows of the table were chosen."""
        self._threshold = None
        if self._segmentation is not None:
            self._chooseSegment()
        self._setSlider()
        self.updateButtons()

    def _chooseSegment(self):
        """What the effects work on: the chosen lesion or the first one. Left alone, the editor would take the first segment, a lung."""
        ids = self.chosenIds() or [row.segment_id for row in lesions_of(self._segmentation)]
        content = self._segmentation.GetSegmentation()
        if ids and content.GetSegment(ids[0]) is not None:
            self._editor.setCurrentSegmentID(ids[0])

    def updateButtons(self):
        ui, chosen = self._ui, self.chosenIds()
        one, known = len(chosen) == 1, self._corrections is not None
        review = (
            next((row.review for row in lesions_of(self._segmentation) if row.segment_id == chosen[0]), "")
            if one
            else ""
        )
        ui.confirmButton.checked = review == terminology.CONFIRMED
        ui.rejectButton.checked = review == terminology.REJECTED
        ui.addButton.enabled = ui.undoButton.enabled = known
        for button in (ui.deleteButton, ui.splitButton, ui.confirmButton, ui.rejectButton):
            button.enabled = one
        ui.mergeButton.enabled = len(chosen) > 1
        ui.resetButton.enabled = one and self._corrections.has_answer(chosen[0])
        ui.resetAllButton.enabled = known and self._corrections.has_answer()
        ui.lesionThresholdSlider.enabled = one and self._corrections.has_probability()
        ui.growButton.enabled = known and self._corrections.has_probability()
        self._editor.enabled = known

    def _setSlider(self):
        """To where the run has cut; not a wish of the user's."""
        options = summary_of(self._segmentation).get("options", {}) if self._segmentation is not None else {}
        self._ui.lesionThresholdSlider.blockSignals(True)
        self._ui.lesionThresholdSlider.value = options.get("thresholds", {}).get("voxel", DEFAULT_THRESHOLD)
        self._ui.lesionThresholdSlider.blockSignals(False)

    # Doing

    def _do(self, action):
        """One action on the lesions, which ends the trying of thresholds. Returns what it returned, None where it was not done."""
        self._threshold = None
        with slicer.util.WaitCursor():  # a lung's surface takes Slicer a second to draw anew
            return self._try(action)

    def _try(self, action):
        """What keeps an action from being done is said."""
        result = None
        try:
            if self._corrections is not None:
                result = action(self._corrections)
                self._say("")
        except ValueError as error:  # UnusableInput is one
            self._say(str(error))
        except Exception as error:
            logging.exception("A correction failed.")
            self._say(_("That could not be done: {error}").format(error=error))
        self.updateButtons()
        return result

    def _onAdd(self):
        added = self._do(lambda corrections: corrections.add())
        if added:
            self._editor.setCurrentSegmentID(added)
            self._editor.setActiveEffectByName("Paint")
            name = self._segmentation.GetSegmentation().GetSegment(added).GetName()
            self._say(_("{name} is empty: paint it, or press Grow here.").format(name=name))

    def _onUndo(self):
        if self._do(lambda corrections: corrections.undo()) is False:
            self._say(_("There is nothing to undo."))

    def _onThreshold(self, value):
        if self._threshold is None:
            self._threshold = self._try(lambda corrections: corrections.threshold(self._chosen()))
        if self._threshold is not None:
            self._try(lambda corrections: self._threshold.preview(value))

    def _onInside(self, inside):
        """Where the effects may paint."""
        node = self._editor.mrmlSegmentEditorNode()
        if node is not None:
            kind = slicer.vtkMRMLSegmentationNode
            node.SetMaskMode(kind.EditAllowedInsideAllSegments if inside else kind.EditAllowedEverywhere)

    def _onGrow(self, on):
        self._stopPlacing()
        if on and self._corrections is not None:
            self._editor.setActiveEffect(None)
            self._placement = PointPlacement(slicer.mrmlScene, self._onPoint)
            self._ui.growButton.checked = True
            self._say(_("Click on the tumor in a slice view."))

    def _onPoint(self, point):
        qt.QTimer.singleShot(0, lambda: self._grow(point))  # the point's node is still busy telling

    def _grow(self, point):
        if self._placement is not None:  # else it was given up meanwhile
            self._stopPlacing()
            self._do(lambda corrections: corrections.grow(point, self._chosen() or None))

    def _stopPlacing(self):
        self._ui.growButton.checked = False
        if self._placement is not None:
            self._placement.close()
            self._placement = None

    def _say(self, text):
        self._ui.correctionLabel.text = text
        self._ui.correctionLabel.visible = bool(text)
