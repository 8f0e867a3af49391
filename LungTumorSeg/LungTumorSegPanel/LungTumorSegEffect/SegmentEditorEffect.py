"""The Segment Editor effect "Lung tumor": outline what lies at a click, like Segment here in the panel.

Slicer loads this file by its path as a module of its own, so imports are absolute. See ``LungTumorSegPanel.effect``.
"""

import os
from typing import Any

import qt
import slicer
import vtk
from LungTumorSegLib.mrml.placing import PointRas
from LungTumorSegLib.mrml.segments import image_on, mask_of, set_confidence
from LungTumorSegPanel.effect import newEffect
from LungTumorSegPanel.outline_session import OutlineSession
from LungTumorSegPanel.strokes import Stroke
from SegmentEditorEffects import AbstractScriptedSegmentEditorEffect
from slicer.i18n import tr as _

ICON = os.path.join(os.path.dirname(__file__), "..", "..", "Resources", "Icons", "LungTumorSeg.png")


class SegmentEditorEffect(AbstractScriptedSegmentEditorEffect):
    """A click or a stroke in a slice view is outlined; the user corrects the preview, and applies or discards it."""

    def __init__(self, scriptedEffect: Any) -> None:
        """Name the effect; Slicer calls this for each editor widget."""
        scriptedEffect.name = "Lung tumor"  # not translated: Slicer and scripts find the effect by it
        scriptedEffect.title = _("Lung tumor")
        scriptedEffect.perSegment = True
        AbstractScriptedSegmentEditorEffect.__init__(self, scriptedEffect)
        self._session: OutlineSession | None = None  # from the first activation on
        self._active = False
        self._stroke: Stroke | None = None  # while the mouse button is down

    # What Slicer calls

    def clone(self) -> Any:
        """Return another instance of this effect."""
        return newEffect()

    def icon(self) -> Any:
        """Return the icon of the effect's button."""
        return qt.QIcon(ICON)

    def helpText(self) -> str:
        """Return the help that the editor shows for the effect."""
        return _(
            "<html>Outline a lung tumor with a second network<br>."
            "<p><ul>"
            "<li><b>Left-click</b> or <b>left-button drag</b> in a slice view: outline what lies there, or extend the"
            " outline to it.</li>"
            "<li><b>Ctrl + left-click</b> or <b>drag</b>: cut off what is nearer to it than to the other points.</li>"
            "<li><b>Enter</b>: add the outline to the selected segment.</li>"
            "<li><b>Escape</b>: discard the outline.</li>"
            "</ul><p>"
            "The outline is a preview until you apply it. Check it in all three slice views.</html>"
        )

    def setupOptionsFrame(self) -> None:
        """Create the widgets of the effect."""
        self._label = qt.QLabel()
        self._label.wordWrap = True
        self._apply = self._button(_("Apply"), _("Add the outline to the selected segment (Enter)."), self._onApply)
        self._anyway = self._button(
            _("Outline anyway"), _("Outline what lies there, whatever its probability of a tumor is."), self._onAnyway
        )
        self._discard = self._button(_("Discard"), _("Remove the preview (Escape)."), self._onDiscard)
        for widget in (self._label, self._apply, self._anyway, self._discard):
            self.scriptedEffect.addOptionsWidget(widget)
        self._refresh()

    def activate(self) -> None:
        """Respond to the choice of the effect: the child process starts while the user looks for the lesion."""
        self._active = True
        qt.QTimer.singleShot(0, self._prepare)  # a question about missing packages must not block the editor

    def deactivate(self) -> None:
        """Respond to the choice of another effect or Escape: end what is in progress."""
        self._active, self._stroke = False, None
        if self._session is not None:
            self._session.close()

    def sourceVolumeNodeChanged(self) -> None:
        """Respond to the choice of another CT: an outline of the former one is of no use."""
        if self._active and self._session is not None:
            self._session.close()
            qt.QTimer.singleShot(0, self._prepare)

    def cleanup(self) -> None:
        """Release all resources."""
        self.deactivate()
        self._session = None

    def processInteractionEvents(self, callerInteractor: Any, eventId: int, viewWidget: Any) -> bool:
        """Respond to mouse and keys in a view; return whether the view must ignore the event."""
        if viewWidget.className() != "qMRMLSliceWidget" or self._session is None:
            return False
        if eventId == vtk.vtkCommand.LeftButtonPressEvent:
            if callerInteractor.GetShiftKey() or callerInteractor.GetAltKey():
                return False
            if not self._session.running:
                self._stroke = Stroke(excludes=bool(callerInteractor.GetControlKey()))
                self._stroke.add(self._place(callerInteractor, viewWidget))
            return True
        if eventId == vtk.vtkCommand.MouseMoveEvent and self._stroke is not None:
            self._stroke.add(self._place(callerInteractor, viewWidget))
            return True
        if eventId == vtk.vtkCommand.LeftButtonReleaseEvent and self._stroke is not None:
            stroke, self._stroke = self._stroke, None
            self._ask(self._session, stroke)
            return True
        return eventId == vtk.vtkCommand.KeyPressEvent and self._onKey(callerInteractor.GetKeySym())

    # What the user does

    def _prepare(self) -> None:
        """Start the child process for the CT, unless another effect was chosen meanwhile."""
        if not self._active:
            return
        if self._session is None:
            logic = slicer.util.getModuleLogic("LungTumorSeg")  # that of the panel: both use one child process
            self._session = OutlineSession(logic, self._ct, self._refresh)
            self._session.cancelHint = _("Press Escape to cancel.")
        if self._ct() is None:
            self._session.discard(_("Choose the CT as source volume of the editor."))
        else:
            self._session.prepare(onFailure=lambda: None)

    def _ask(self, session: OutlineSession, stroke: Stroke) -> None:
        first, *others = stroke.points()
        if stroke.excludes:
            session.correct(butNot=[first, *others])
        elif session.outlined:
            session.correct(also=[first, *others])
        else:
            session.ask([first], also=others)

    def _onKey(self, key: str) -> bool:
        if key in ("Return", "KP_Enter"):
            self._onApply()
        elif key == "Escape":
            self._onDiscard()
        else:
            return False
        return True

    def _onAnyway(self) -> None:
        if self._session is not None:
            self._session.askAnyway()

    def _onDiscard(self) -> None:
        if self._session is not None:
            self._session.close()

    def _onApply(self) -> None:
        """Add the outline to the selected segment, within what the editor's masking allows."""
        session, node = self._session, self.scriptedEffect.parameterSetNode()
        segmentation, segmentId = node.GetSegmentationNode(), node.GetSelectedSegmentID()
        if session is None or session.running or session.outline is None or session.outline.mask is None:
            return
        if segmentation is None or not segmentId or not self.scriptedEffect.confirmCurrentSegmentVisible():
            return
        content, before = segmentation.GetSegmentation(), _volumeOf(segmentation, segmentId)
        image = image_on(self.scriptedEffect.defaultModifierLabelmap(), segmentation, session.outline.mask, self._ct())
        self.scriptedEffect.saveStateForUndo()
        self.scriptedEffect.modifySelectedSegmentByLabelmap(
            image, slicer.qSlicerSegmentEditorAbstractEffect.ModificationModeAdd
        )
        name, after = content.GetSegment(segmentId).GetName(), _volumeOf(segmentation, segmentId)
        if after == before:
            text = _(
                "Nothing was added: {name} contains the outline already, or masking or the segmentation geometry"
                " excludes it."
            )
            session.tell(text.format(name=name))
            return
        if before == 0:
            set_confidence(content.GetSegment(segmentId), session.outline.tumor)
        text = _("{name} now contains the outline and has a volume of {volume:.2f} mL. Undo removes the outline.")
        session.discard(text.format(name=name, volume=after))

    # Helpers

    def _ct(self) -> Any:
        node = self.scriptedEffect.parameterSetNode()
        return None if node is None else node.GetSourceVolumeNode()

    def _place(self, interactor: Any, viewWidget: Any) -> PointRas:
        x, y, z = self.xyToRas(interactor.GetEventPosition(), viewWidget)
        return x, y, z

    def _button(self, text: str, toolTip: str, onClick: Any) -> Any:
        button = qt.QPushButton(text)
        button.toolTip = toolTip
        button.connect("clicked()", onClick)
        return button

    def _refresh(self) -> None:
        session = self._session
        waiting = session is not None and session.outline is not None
        outlined, running = session is not None and session.outlined, session is not None and session.running
        self._label.text = (session.text if session is not None else "") or _("Click a lesion in a slice view.")
        self._apply.enabled = outlined and not running
        self._anyway.visible = waiting and not outlined
        self._anyway.enabled = not running
        self._discard.enabled = waiting or running


def _volumeOf(segmentation: Any, segmentId: str) -> float:
    """Return the volume of a segment, mL."""
    mask = mask_of(segmentation.GetSegmentation(), segmentId)
    return 0.0 if mask is None else float(mask.array.sum() * mask.voxel_volume_ml)
