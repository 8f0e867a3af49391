"""The Correct section: buttons, quick tools and the embedded Segment Editor for corrections of lesions.

This file contains the widgets; LungTumorSegLib.mrml.corrections performs the corrections.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt
import slicer
from LungTumorSegLib.core import terminology
from LungTumorSegLib.mrml.corrections import Corrections
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.mrml.place_outlines import PlaceOutline
from LungTumorSegLib.mrml.placing import PointPlacement, PointRas
from LungTumorSegLib.mrml.results import lesions_of, summary_of
from LungTumorSegLib.mrml.threshold import Threshold
from slicer.i18n import tr as _

from .lesion_editor import LesionEditor
from .live_measuring import LiveMeasuring
from .segment_here import SegmentHere

if TYPE_CHECKING:
    from LungTumorSeg import LungTumorSegLogic

DEFAULT_THRESHOLD = 0.5


class CorrectSection:
    """Correct one segmentation at a time. ``onTable`` is called after each change of the lesion table."""

    def __init__(
        self, ui: Any, logic: "LungTumorSegLogic", chosenIds: Callable[[], list[str]], onTable: Callable[[], None]
    ) -> None:  # fmt: skip
        self._ui, self._chosenInTable, self._onTable = ui, chosenIds, onTable
        self._segmentation: Node = None
        self._corrections: Corrections | None = None
        self._threshold: Threshold | None = None  # while its slider is in use
        self._placement: PointPlacement | None = None
        self._active = False
        self.editor = LesionEditor(ui.editorFrame.layout())
        self.measuring = LiveMeasuring(self._onMeasures, self._onOtherContent)
        self.here = SegmentHere(ui, logic, self._take, self._onHerePlacing, self._occupy)
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

    # Life cycle

    def show(self, segmentation: Node) -> None:
        """Switch to a segmentation; None for none."""
        if segmentation is self._segmentation:
            return
        self._forget()
        self._segmentation = segmentation
        if segmentation is not None:
            self._corrections = Corrections(segmentation, self.editor)
            self.editor.work_on(segmentation)
            self.editor.keep_inside(self._ui.insideCheckBox.checked)
            self.measuring.follow(segmentation)
        self.here.show(segmentation)
        self._onCollapsed(self._ui.correctSection.collapsed)
        self.updateButtons()

    def activate(self) -> None:
        """Give keyboard shortcuts and views to the editor, as the panel is now open."""
        self._active = True
        self.editor.forget_history_of_others()
        self._onCollapsed(self._ui.correctSection.collapsed)

    def deactivate(self) -> None:
        """Release views and keyboard shortcuts and stop the active effect, as the panel is left.

        Edits made in other modules still update the table.
        """
        self._active = False
        self._stopPlacing()
        self.editor.release()
        self.editor.remember()

    def close(self) -> None:
        """Release all resources, until the next ``show``."""
        self._forget()
        self.editor.close()
        self.updateButtons()

    def finish(self) -> None:
        """Wait until the table matches the voxels, for example before saving."""
        try:
            self.measuring.finish()
        except ValueError as error:
            self._say(str(error))

    def _forget(self) -> None:
        self._stopPlacing()
        self.here.show(None)
        self._threshold = None
        self.measuring.close()
        self.editor.let_go()
        self._segmentation = self._corrections = None
        self._say("")

    def _onCollapsed(self, collapsed: bool) -> None:
        if collapsed or not self._active or self._segmentation is None:
            self.editor.release()
            return
        self._ui.segmentSection.collapsed = True  # the tools would not fit into the window otherwise
        self._occupy()
        self._chooseSegment()
        self.measuring.start()  # prepared now so that the first stroke does not wait

    def _occupy(self) -> None:
        """Give views and keyboard shortcuts to the editor, but not Enter and Escape if an outline waits for them."""
        if self._active and self._segmentation is not None and not self._ui.correctSection.collapsed:
            self.editor.occupy(keys=not self.here.waiting)

    def _onOtherContent(self) -> None:
        segmentation = self._segmentation
        self._forget()
        self.show(segmentation)

    def _onMeasures(self, problem: str) -> None:
        self._say(problem)
        self._onTable()
        self.updateButtons()

    # Selection

    def _chosenIds(self) -> list[str]:
        return self._chosenInTable() if self._segmentation is not None else []

    def _chosen(self) -> str:
        chosen = self._chosenIds()
        return chosen[0] if chosen else ""

    def onChosen(self) -> None:
        """Respond to a new selection in the lesion table."""
        self._threshold = None
        if self._segmentation is not None:
            self._chooseSegment()
        self.here.choose(self._chosenIds())
        self._setSlider()
        self.updateButtons()

    def _chooseSegment(self) -> None:
        """Select the segment for the editor's effects: the selected lesion or the first one.

        Without a selection, the editor would take the first segment, which is a lung.
        """
        ids = self._chosenIds() or [row.segment_id for row in lesions_of(self._segmentation)]
        if ids:
            self.editor.choose(ids[0])

    def updateButtons(self) -> None:
        """Enable the buttons for the corrections that are possible for the selected lesions."""
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
        ui.resetButton.enabled = one and corrections is not None and corrections.has_original(chosen[0])
        ui.resetAllButton.enabled = corrections is not None and corrections.has_original()
        ui.growButton.enabled = corrections is not None and corrections.has_probability()
        ui.lesionThresholdSlider.enabled = one and ui.growButton.enabled
        self.editor.widget.enabled = known

    def _setSlider(self) -> None:
        """Set the slider to the voxel threshold of the run, without a signal: the user did not move it."""
        options = summary_of(self._segmentation).get("options", {}) if self._segmentation is not None else {}
        self._ui.lesionThresholdSlider.blockSignals(True)
        self._ui.lesionThresholdSlider.value = options.get("thresholds", {}).get("voxel", DEFAULT_THRESHOLD)
        self._ui.lesionThresholdSlider.blockSignals(False)

    # Actions

    def _do(self, action: Callable[[Corrections], Any]) -> Any:
        """Perform one correction, which ends the current use of the threshold slider.

        Returns:
            The result of the correction; None if it was not performed.
        """
        self._threshold = None
        with slicer.util.WaitCursor():  # Slicer needs a second for the surface of a lung
            return self._try(action)

    def _try(self, action: Callable[[Corrections], Any]) -> Any:
        """Perform an action, and show the reason if it fails."""
        result = None
        try:
            if self._corrections is not None:
                result = action(self._corrections)
                self._say("")
                self._onTable()  # review marks and deletions show at once, new measurements when ready
        except ValueError as error:  # includes UnusableInput
            self._say(str(error))
        except Exception as error:
            logging.exception("A correction failed.")
            self._say(_("The correction failed ({error}). The application log has the details.").format(error=error))
        self.updateButtons()
        return result

    def _onConfirm(self, on: bool) -> None:
        self._do(lambda corrections: (corrections.confirm if on else corrections.withdraw)(self._chosen()))

    def _onReject(self, on: bool) -> None:
        self._do(lambda corrections: (corrections.reject if on else corrections.withdraw)(self._chosen()))

    def _onAdd(self) -> None:
        added = self._do(lambda corrections: corrections.add())
        if added:
            self._ui.lesionTable.clearSelection()  # Grow here would otherwise extend the selected lesion
            self.editor.paint(added)
            name = self._segmentation.GetSegmentation().GetSegment(added).GetName()
            self._say(_("{name} is empty. Paint it in a slice view, or press Grow here.").format(name=name))

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
            self._placement = PointPlacement(slicer.mrmlScene, self._onPoint, _("Grow here"))
            self._ui.growButton.checked = True
            self._say(_("Click the lesion in a slice view."))

    def _onHerePlacing(self) -> None:
        self._stopPlacing()
        self.editor.stop_effect()

    def _take(self, outline: PlaceOutline, replaced: str | None) -> str | None:
        """Take an outline as a lesion; return the name of the lesion, or None after a failure."""
        mask = outline.mask
        if mask is None:
            return None
        taken = self._do(lambda corrections: corrections.take(mask, replaced, tumor=outline.tumor))
        return self._segmentation.GetSegmentation().GetSegment(taken).GetName() if taken else None

    def _onPoint(self, point: PointRas) -> None:
        qt.QTimer.singleShot(0, lambda: self._grow(point))  # not while the node's event is being handled

    def _grow(self, point: PointRas) -> None:
        if self._placement is not None:  # None after a cancellation in the meantime
            self._stopPlacing()
            self._do(lambda corrections: corrections.grow(point, self._chosen() or None))

    def _stopPlacing(self) -> None:
        self.here.stopPlacing()
        self._ui.growButton.checked = False
        if self._placement is not None:
            self._placement.close()
            self._placement = None

    def _say(self, text: str) -> None:
        self._ui.correctionLabel.text = text
        self._ui.correctionLabel.visible = bool(text)
