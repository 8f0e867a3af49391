"""Segment here, a part of the Correct section: outline what lies at a point or in a box that the user places."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import qt
import slicer
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.mrml.place_outlines import PlaceOutline
from LungTumorSegLib.mrml.placing import BoxPlacement, Placement, PointPlacement, PointRas
from LungTumorSegLib.mrml.results import ct_of
from slicer.i18n import tr as _

from .outline_session import OutlineSession

if TYPE_CHECKING:
    from LungTumorSeg import LungTumorSegLogic

Take = Callable[[PlaceOutline, str | None], str | None]
"""Take an outline as a new lesion or in place of a lesion; return the name of the lesion, or None after a failure."""


class SegmentHere:
    """The buttons of Segment here: place a point or a box, correct its outline, accept or discard it."""

    def __init__(
        self,
        ui: Any,
        logic: "LungTumorSegLogic",
        take: Take,
        onPlacing: Callable[[], None],
        onAnswer: Callable[[], None],
    ) -> None:
        """Connect the buttons.

        Args:
            ui: The widgets of the panel.
            logic: The logic of the module, which runs and waits.
            take: Takes an accepted outline.
            onPlacing: Called before the user places a point or box.
            onAnswer: Called when ``waiting`` has changed.
        """
        self._ui, self._take = ui, take
        self._onPlacing, self._onAnswer = onPlacing, onAnswer
        self._segmentation: Node = None
        self._chosen: list[str] = []
        self._button: Any = None  # while its place is placed or outlined
        self._placement: Placement | None = None
        self._hint = ""  # while something is placed
        self._wasWaiting = False
        self._session = OutlineSession(logic, lambda: ct_of(self._segmentation), self._onChange)
        ui.pointButton.connect("clicked(bool)", lambda on: self._onPoint() if on else self._onUnchecked())
        ui.boxButton.connect("clicked(bool)", lambda on: self._onBox() if on else self._onUnchecked())
        ui.alsoButton.connect("clicked(bool)", lambda on: self._onAlso() if on else self._onUnchecked())
        ui.notButton.connect("clicked(bool)", lambda on: self._onNot() if on else self._onUnchecked())
        ui.acceptButton.connect("clicked()", lambda: self._accept(None))
        ui.replaceButton.connect("clicked()", lambda: self._accept(self._chosen[0]))
        ui.anywayButton.connect("clicked()", self._session.askAnyway)
        ui.discardButton.connect("clicked()", self._session.discard)
        self._refresh()

    @property
    def waiting(self) -> bool:
        """Whether an answer waits for the user, who then accepts it with Enter or discards it with Escape."""
        return self._session.outline is not None

    @property
    def running(self) -> bool:
        """Whether a place is being outlined."""
        return self._session.running

    def show(self, segmentation: Node) -> None:
        """Switch to a segmentation; None for none. What was in progress ends at once."""
        self.stopPlacing()
        self._session.close()
        self._segmentation = segmentation
        self._refresh()

    def choose(self, segmentIds: list[str]) -> None:
        """Respond to a new selection of lesions: a single one can be replaced."""
        self._chosen = segmentIds
        self._refresh()

    def stopPlacing(self) -> None:
        """Leave place mode if the user has not placed anything yet."""
        if self._placement is not None:
            self._placement.close()
            self._placement = None
            self._refresh()

    # Place

    def _onPoint(self) -> None:
        if self._mayPlace(self._ui.pointButton):
            self._hint = _("Click the middle of the lesion in a slice view.")
            self._placement = PointPlacement(slicer.mrmlScene, lambda point: self._onPlaced([point]), _("Segment here"))
        self._refresh()

    def _onBox(self) -> None:
        if self._mayPlace(self._ui.boxButton):
            self._hint = _("Click two opposite corners of a box around the lesion in a slice view.")
            self._placement = BoxPlacement(slicer.mrmlScene, self._onPlaced, _("Segment here"))
        self._refresh()

    def _mayPlace(self, button: Any) -> bool:
        """End what is in progress and return whether a place can be placed for this button."""
        self.stopPlacing()
        if ct_of(self._segmentation) is None:
            self._session.discard(_("The CT of this segmentation is not in the scene. Load it again."))
            return False
        if not self._session.prepare(onFailure=self.stopPlacing):
            return False
        self._takeOver(button)
        return self._segmentation is not None  # the scene may have been closed meanwhile

    def _onAlso(self) -> None:
        text = _("Click a point of the lesion that the outline must contain.")
        self._correct(self._ui.alsoButton, text, lambda point: self._session.correct(also=[point]))

    def _onNot(self) -> None:
        text = _("Click a point that does not belong to the lesion. What is nearer to it is cut off.")
        self._correct(self._ui.notButton, text, lambda point: self._session.correct(butNot=[point]))

    def _correct(self, button: Any, text: str, correct: Callable[[PointRas], None]) -> None:
        """Let the user place a point that corrects the outline, which stays until the new one is there."""
        self.stopPlacing()
        if self.waiting:
            self._takeOver(button)
            self._hint = text
            self._placement = PointPlacement(
                slicer.mrmlScene, lambda point: self._later(lambda: correct(point)), button.text
            )
        self._refresh()

    def _takeOver(self, button: Any) -> None:
        self._onPlacing()
        self._button = button
        self._session.cancelHint = _("Click {button} again to cancel.").format(button=button.text)

    def _onUnchecked(self) -> None:
        self.stopPlacing()
        self._button = None  # until the run has ended
        self._session.cancel()
        self._refresh()

    def _onPlaced(self, place: Sequence[PointRas]) -> None:
        self._later(lambda: self._session.ask(place))

    def _later(self, ask: Callable[[], None]) -> None:
        qt.QTimer.singleShot(0, lambda: self._takePlace(ask))  # not while the node's event is being handled

    def _takePlace(self, ask: Callable[[], None]) -> None:
        if self._placement is not None:  # None after a cancellation in the meantime
            self.stopPlacing()
            ask()

    # Answer

    def _accept(self, replaced: str | None) -> None:
        outline = self._session.outline
        if outline is not None and outline.mask is not None:
            name = self._take(outline, replaced)
            if name is not None:  # otherwise the user can select another lesion
                self._session.discard(_("{name} now has this outline. Undo reverts the change.").format(name=name))

    def _onChange(self) -> None:
        if self.waiting != self._wasWaiting:
            self._wasWaiting = self.waiting
            self._onAnswer()
        self._refresh()

    # Widgets

    def _refresh(self) -> None:
        ui, session = self._ui, self._session
        busy = self._placement is not None or session.running
        for button in (ui.pointButton, ui.boxButton, ui.alsoButton, ui.notButton):
            button.checked = busy and button == self._button
            button.enabled = self._segmentation is not None and (not session.running or button == self._button)
        for button in (ui.alsoButton, ui.notButton):
            button.visible = session.outlined
        ui.acceptButton.visible = session.outlined
        ui.replaceButton.visible = session.outlined and len(self._chosen) == 1
        ui.anywayButton.visible = self.waiting and not session.outlined
        ui.discardButton.visible = self.waiting
        for button in (ui.acceptButton, ui.replaceButton, ui.anywayButton):
            button.enabled = not session.running
        ui.hereLabel.text = session.text if self._placement is None else self._hint
        ui.hereLabel.visible = bool(ui.hereLabel.text)
