"""Segment here, a part of the Correct section: outline what lies at a point or in a box that the user places."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import qt
import slicer
from LungTumorSegLib.core.events import Cancelled
from LungTumorSegLib.core.texts import percent
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.mrml.outlines import PlaceClick, PlaceOutline, Preview
from LungTumorSegLib.mrml.placing import BoxPlacement, Placement, Point, PointPlacement
from LungTumorSegLib.mrml.results import ct_of
from LungTumorSegLib.process.progress import RunProgress
from LungTumorSegLib.process.warm_child import Ask
from slicer.i18n import tr as _

from .parameters import chosenOptions

if TYPE_CHECKING:
    from LungTumorSeg import LungTumorSegLogic

Take = Callable[[PlaceOutline, str | None], str | None]
"""Take an outline as a new lesion or in place of a lesion; return the name of the lesion, or None after a failure."""


class SegmentHere:
    """Outline one place at a time.

    The user places it, a child process outlines it, the user corrects the outline with further points, and accepts or
    discards it.
    """

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
        self._ui, self._logic, self._take = ui, logic, take
        self._onPlacing, self._onAnswer = onPlacing, onAnswer
        self._segmentation: Node = None
        self._chosen: list[str] = []
        self._button: Any = None  # while its place is placed or outlined
        self._placement: Placement | None = None
        self._run: Ask | None = None
        self._asked: PlaceClick | None = None  # the click that is or was answered
        self._outline: PlaceOutline | None = None  # while it waits for the user
        self._click: PlaceClick | None = None  # what it answers
        self._preview: Preview | None = None
        ui.pointButton.connect("clicked(bool)", lambda on: self._onPoint() if on else self._onUnchecked())
        ui.boxButton.connect("clicked(bool)", lambda on: self._onBox() if on else self._onUnchecked())
        ui.alsoButton.connect("clicked(bool)", lambda on: self._onAlso() if on else self._onUnchecked())
        ui.notButton.connect("clicked(bool)", lambda on: self._onNot() if on else self._onUnchecked())
        ui.acceptButton.connect("clicked()", lambda: self._accept(None))
        ui.replaceButton.connect("clicked()", lambda: self._accept(self._chosen[0]))
        ui.anywayButton.connect("clicked()", self._onAnyway)
        ui.discardButton.connect("clicked()", self._discard)
        self._say("")
        self._refresh()

    @property
    def waiting(self) -> bool:
        """Whether an answer waits for the user, who then accepts it with Enter or discards it with Escape."""
        return self._outline is not None

    @property
    def running(self) -> bool:
        """Whether a place is being outlined."""
        return self._run is not None

    def show(self, segmentation: Node) -> None:
        """Switch to a segmentation; None for none. What was in progress ends at once."""
        self.stopPlacing()
        if self._run is not None:
            self._run.close()
            self._run = None
        self._discard()
        self._say("")
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
            self._say("")
            self._refresh()

    # Place

    def _onPoint(self) -> None:
        if self._mayPlace(self._ui.pointButton):
            self._placement = PointPlacement(slicer.mrmlScene, lambda point: self._onPlaced([point]), _("Segment here"))
            self._say(_("Click the middle of the lesion in a slice view."))
        self._refresh()

    def _onBox(self) -> None:
        if self._mayPlace(self._ui.boxButton):
            self._placement = BoxPlacement(slicer.mrmlScene, self._onPlaced, _("Segment here"))
            self._say(_("Click two opposite corners of a box around the lesion in a slice view."))
        self._refresh()

    def _mayPlace(self, button: Any) -> bool:
        """End what is in progress and return whether a place can be placed for this button."""
        self.stopPlacing()
        self._discard()
        if ct_of(self._segmentation) is None:
            self._say(_("The CT of this segmentation is not in the scene. Load it again."))
            return False
        try:
            self._logic.installPackages()
            self._logic.prepareOutlines(ct_of(self._segmentation), self._options(), self._onPrepared)
        except (ValueError, OSError, RuntimeError) as error:
            self._say(str(error))
            return False
        self._onPlacing()
        self._button = button
        return self._segmentation is not None  # the scene may have been closed meanwhile

    def _onAlso(self) -> None:
        text = _("Click a point of the lesion that the outline must contain.")
        self._correct(self._ui.alsoButton, text, lambda click, point: replace(click, also=(*click.also, point)))

    def _onNot(self) -> None:
        text = _("Click a point that does not belong to the lesion. What is nearer to it is cut off.")
        self._correct(self._ui.notButton, text, lambda click, point: replace(click, but_not=(*click.but_not, point)))

    def _correct(self, button: Any, text: str, corrected: Callable[[PlaceClick, Point], PlaceClick]) -> None:
        """Let the user place a point that corrects the outline, which stays until the new one is there."""
        self.stopPlacing()
        click = self._click
        if click is not None:
            self._onPlacing()
            self._button = button
            self._placement = PointPlacement(
                slicer.mrmlScene, lambda point: self._later(lambda: corrected(click, point)), button.text
            )
            self._say(text)
        self._refresh()

    def _onPrepared(self, run: Ask) -> None:
        """Say why nothing can be outlined before the user places the point in vain."""
        if run.error is not None and not isinstance(run.error, Cancelled) and self._placement is not None:
            self.stopPlacing()
            self._say(str(run.error))

    def _onUnchecked(self) -> None:
        self.stopPlacing()
        if self._run is not None:
            self._run.cancel()
            self._button = None  # until the run has ended
            self._say(_("Cancelling ..."))
        self._refresh()

    def _onPlaced(self, place: Sequence[Point]) -> None:
        self._later(lambda: PlaceClick(tuple(place), self._options()["min_confidence"]))

    def _later(self, click: Callable[[], PlaceClick]) -> None:
        qt.QTimer.singleShot(0, lambda: self._takePlace(click))  # not while the node's event is being handled

    def _takePlace(self, click: Callable[[], PlaceClick]) -> None:
        if self._placement is not None:  # None after a cancellation in the meantime
            self.stopPlacing()
            self._start(click())

    # Run

    def _options(self) -> dict[str, Any]:
        return chosenOptions(self._logic.getParameterNode())

    def _start(self, click: PlaceClick) -> None:
        """Ask for the outline of a place."""
        self._asked = click
        try:
            self._run = self._logic.startOutline(
                ct_of(self._segmentation),
                click.place,
                {**self._options(), "min_confidence": click.least},
                self._onProgress,
                self._onFinished,
                click.also,
                click.but_not,
            )
            self._say(_("Outlining the lesion ..."))
        except (ValueError, OSError) as error:
            self._say(str(error))
        self._refresh()

    def _onAnyway(self) -> None:
        if self._click is not None:
            self._start(replace(self._click, least=0.0))

    def _onProgress(self, progress: RunProgress) -> None:
        if self._button is not None:
            text = _("Preparing the CT: {percent} %. Click {button} again to cancel.")
            self._say(text.format(percent=progress.percent, button=self._button.text))

    def _onFinished(self, run: Ask) -> None:
        self._run = None
        self._say("" if self._outline is None else _answerText(self._outline))
        if run.error is None:
            self._answer(run.result)
        elif not isinstance(run.error, Cancelled):
            self._say(str(run.error))
        self._refresh()

    # Answer

    def _answer(self, outline: PlaceOutline) -> None:
        """Show an outline, or why there is none."""
        click = self._asked
        self._discard()
        if outline.mask is None and click is not None and click.least <= 0 and not click.but_not:
            self._say(_("The network cannot outline anything at this place. Paint the lesion instead."))
            return
        self._outline, self._click = outline, click
        if outline.mask is not None:
            self._preview = Preview(ct_of(self._segmentation), outline.mask)
        self._say(_answerText(outline))
        self._onAnswer()

    def _accept(self, replaced: str | None) -> None:
        if self._outline is not None and self._outline.mask is not None:
            name = self._take(self._outline, replaced)
            if name is not None:  # otherwise the user can select another lesion
                self._discard()
                self._say(_("{name} has this outline now. Undo takes it back.").format(name=name))

    def _discard(self) -> None:
        if self._preview is not None:
            self._preview.close()
            self._preview = None
        if self._outline is not None:
            self._outline = self._click = None
            self._say("")
            self._onAnswer()
        self._refresh()

    # Widgets

    def _refresh(self) -> None:
        ui, busy = self._ui, self._placement is not None or self._run is not None
        outlined = self._outline is not None and self._outline.mask is not None
        for button in (ui.pointButton, ui.boxButton, ui.alsoButton, ui.notButton):
            button.checked = busy and button == self._button
            button.enabled = self._segmentation is not None and (self._run is None or button == self._button)
        for button in (ui.alsoButton, ui.notButton):
            button.visible = outlined
        ui.acceptButton.visible = outlined
        ui.replaceButton.visible = outlined and len(self._chosen) == 1
        ui.anywayButton.visible = self.waiting and not outlined
        ui.discardButton.visible = self.waiting
        for button in (ui.acceptButton, ui.replaceButton, ui.anywayButton):
            button.enabled = self._run is None

    def _say(self, text: str) -> None:
        self._ui.hereLabel.text = text
        self._ui.hereLabel.visible = bool(text)


def _answerText(outline: PlaceOutline) -> str:
    if outline.mask is None:
        return outline.message
    text = _("Probability of a tumor: {tumor}. Volume: {volume:.2f} mL.")
    return " ".join(
        filter(None, [text.format(tumor=percent(outline.tumor), volume=outline.volume_ml), outline.message])
    )
