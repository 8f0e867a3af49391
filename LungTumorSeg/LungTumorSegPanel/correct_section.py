"""The section Correct: what can be done to a lesion, by buttons, quick tools and the embedded Segment Editor.

What it does lies in LungTumorSegLib.mrml.corrections; here are its widgets.
"""

import logging
from collections.abc import Callable
from typing import Any

import qt
import slicer
from LungTumorSegLib.core import terminology
from LungTumorSegLib.mrml.corrections import Corrections, Threshold
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.mrml.placing import Point, PointPlacement
from LungTumorSegLib.mrml.results import lesions_of, summary_of
from slicer.i18n import tr as _

from .lesion_editor import LesionEditor
from .live_measuring import LiveMeasuring

DEFAULT_THRESHOLD = 0.5


class CorrectSection:
    """Follows one segmentation at a time. ``onTable`` is called when its lesion table has changed."""

    def __init__(self, ui: Any, chosenIds: Callable[[], list[str]], onTable: Callable[[], None]) -> None:
        self._ui, self._chosenInTable, self._onTable = ui, chosenIds, onTable
        self._segmentation: Node = None
        self._corrections: Corrections | None = None
        self._threshold: Threshold | None = None  # of the lesion whose slider is being moved
        self._placement: PointPlacement | None = None
        self._active = False
        self.editor = LesionEditor(ui.editorFrame.layout())
        self.measuring = LiveMeasuring(self._onMeasures, self._onOtherContent)
        self._connect()
        self.updateButtons()

    def _connect(self) -> None:
        ui = self._ui
        ui.correctSection.connect("contentsCollapsed(bool)", self._onCollapsed)
        ui.addButton.connect("clicked()", self._onAdd)
        ui.deleteButton.connect("clicked()", lambda: self._do(lambda c: c.delete(self._chosen())))
        ui.mergeButton.connect("clicked()", lambda: self._do(lambda c: c.merge(self._chosenIds())))
        ui.splitButton.connect("clicked()", lambda: self._do(lambda c: c.split(self._chosen())))
        ui.confirmButton.connect("clicked(bool)", self._onConfirm)
        ui.rejectButton.connect("clicked(bool)", self._onReject)
        ui.resetButton.connect("clicked()", lambda: self._do(lambda c: c.reset(self._chosen())))
        ui.resetAllButton.connect("clicked()", lambda: self._do(lambda c: c.reset_all()))
        ui.undoButton.connect("clicked()", self._onUndo)
        ui.lesionThresholdSlider.connect("valueChanged(double)", self._onThreshold)
        ui.growButton.connect("clicked(bool)", self._onGrow)
        ui.insideCheckBox.connect("toggled(bool)", self.editor.keep_inside)

    # Life

    def show(self, segmentation: Node) -> None:
        """Follow a segmentation from now on; None for none."""
        if segmentation is self._segmentation:
            return
        self._forget()
        self._segmentation = segmentation
        if segmentation is not None:
            self._corrections = Corrections(segmentation, self.editor)
            self.editor.work_on(segmentation)
            self.editor.keep_inside(self._ui.insideCheckBox.checked)
            self.measuring.follow(segmentation)
        self._onCollapsed(self._ui.correctSection.collapsed)
        self.updateButtons()

    def activate(self) -> None:
        """The panel is in front: keys and views serve the editor."""
        self._active = True
        self.editor.forget_history_of_others()
        self._onCollapsed(self._ui.correctSection.collapsed)

    def deactivate(self) -> None:
        """The panel is left: no effect stays in the views, no key is held; edits made elsewhere still reach the table."""
        self._active = False
        self._stopPlacing()
        self.editor.release()
        self.editor.remember()

    def close(self) -> None:
        """Let go of everything, for good or until the next ``show``."""
        self._forget()
        self.editor.close()
        self.updateButtons()

    def finish(self) -> None:
        """Wait until the table says what the voxels say, as before saving."""
        try:
            self.measuring.finish()
        except ValueError as error:
            self._say(str(error))

    def _forget(self) -> None:
        self._stopPlacing()
        self._threshold = None
        self.measuring.close()
        self.editor.let_go()
        self._segmentation = self._corrections = None
        self._say("")

    def _onCollapsed(self, collapsed: bool) -> None:
        if collapsed or not self._active or self._segmentation is None:
            self.editor.release()
            return
        self._ui.segmentSection.collapsed = True  # else the tools would lie below the window's end
        self.editor.occupy()
        self._chooseSegment()
        self.measuring.start()  # what is known beforehand is not waited for at the first stroke

    def _onOtherContent(self) -> None:
        segmentation = self._segmentation
        self._forget()
        self.show(segmentation)

    def _onMeasures(self, problem: str) -> None:
        self._say(problem)
        self._onTable()
        self.updateButtons()

    # Choosing

    def _chosenIds(self) -> list[str]:
        return self._chosenInTable() if self._segmentation is not None else []

    def _chosen(self) -> str:
        chosen = self._chosenIds()
        return chosen[0] if chosen else ""

    def onChosen(self) -> None:
        """Other rows of the table were chosen."""
        self._threshold = None
        if self._segmentation is not None:
            self._chooseSegment()
        self._setSlider()
        self.updateButtons()

    def _chooseSegment(self) -> None:
        """What the effects work on: the chosen lesion or the first one. Left alone, the editor would take the first segment, a lung."""
        ids = self._chosenIds() or [row.segment_id for row in lesions_of(self._segmentation)]
        if ids:
            self.editor.choose(ids[0])

    def updateButtons(self) -> None:
        """Offer what can be done to the chosen lesions."""
        ui, chosen, corrections = self._ui, self._chosenIds(), self._corrections
        one, known = len(chosen) == 1, corrections is not None
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
        ui.resetButton.enabled = one and corrections is not None and corrections.has_answer(chosen[0])
        ui.resetAllButton.enabled = corrections is not None and corrections.has_answer()
        ui.growButton.enabled = corrections is not None and corrections.has_probability()
        ui.lesionThresholdSlider.enabled = one and ui.growButton.enabled
        self.editor.widget.enabled = known

    def _setSlider(self) -> None:
        """To where the run has cut; not a wish of the user's."""
        options = summary_of(self._segmentation).get("options", {}) if self._segmentation is not None else {}
        self._ui.lesionThresholdSlider.blockSignals(True)
        self._ui.lesionThresholdSlider.value = options.get("thresholds", {}).get("voxel", DEFAULT_THRESHOLD)
        self._ui.lesionThresholdSlider.blockSignals(False)

    # Doing

    def _do(self, action: Callable[[Corrections], Any]) -> Any:
        """One action on the lesions, which ends the trying of thresholds. Returns what it returned, None where it was not done."""
        self._threshold = None
        with slicer.util.WaitCursor():  # a lung's surface takes Slicer a second to draw anew
            return self._try(action)

    def _try(self, action: Callable[[Corrections], Any]) -> Any:
        """What keeps an action from being done is said."""
        result = None
        try:
            if self._corrections is not None:
                result = action(self._corrections)
                self._say("")
                self._onTable()  # marks and removed lesions show at once, new measures once they are known
        except ValueError as error:  # UnusableInput is one
            self._say(str(error))
        except Exception as error:
            logging.exception("A correction failed.")
            self._say(_("That could not be done: {error}").format(error=error))
        self.updateButtons()
        return result

    def _onConfirm(self, on: bool) -> None:
        self._do(lambda corrections: (corrections.confirm if on else corrections.withdraw)(self._chosen()))

    def _onReject(self, on: bool) -> None:
        self._do(lambda corrections: (corrections.reject if on else corrections.withdraw)(self._chosen()))

    def _onAdd(self) -> None:
        added = self._do(lambda corrections: corrections.add())
        if added:
            self._ui.lesionTable.clearSelection()  # else Grow here would add to the lesion that was chosen before
            self.editor.paint(added)
            name = self._segmentation.GetSegmentation().GetSegment(added).GetName()
            self._say(_("{name} is empty: paint it, or press Grow here.").format(name=name))

    def _onUndo(self) -> None:
        if self._do(lambda corrections: corrections.undo()) is False:
            self._say(_("There is nothing to undo."))

    def _onThreshold(self, value: float) -> None:
        if self._threshold is None:
            self._threshold = self._try(lambda corrections: corrections.threshold(self._chosen()))
        threshold = self._threshold
        if threshold is not None:
            self._try(lambda corrections: threshold.preview(value))

    def _onGrow(self, on: bool) -> None:
        self._stopPlacing()
        if on and self._corrections is not None:
            self.editor.stop_effect()
            self._placement = PointPlacement(slicer.mrmlScene, self._onPoint)
            self._ui.growButton.checked = True
            self._say(_("Click on the tumor in a slice view."))

    def _onPoint(self, point: Point) -> None:
        qt.QTimer.singleShot(0, lambda: self._grow(point))  # the point's node is still busy telling

    def _grow(self, point: Point) -> None:
        if self._placement is not None:  # else it was given up meanwhile
            self._stopPlacing()
            self._do(lambda corrections: corrections.grow(point, self._chosen() or None))

    def _stopPlacing(self) -> None:
        self._ui.growButton.checked = False
        if self._placement is not None:
            self._placement.close()
            self._placement = None

    def _say(self, text: str) -> None:
        self._ui.correctionLabel.text = text
        self._ui.correctionLabel.visible = bool(text)
