"""Segment here, a part of the Correct section: outline what lies at a point or in a box that the user places."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import qt
import slicer
from LungTumorSegLib.core.events import Cancelled
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.mrml.outlines import PlaceOutline, Preview
from LungTumorSegLib.mrml.placing import BoxPlacement, Placement, Point, PointPlacement
from LungTumorSegLib.mrml.results import ct_of
from LungTumorSegLib.process.progress import RunProgress
from LungTumorSegLib.process.segmentation_run import SegmentationRun
from slicer.i18n import tr as _

from .parameters import chosenOptions

if TYPE_CHECKING:
    from LungTumorSeg import LungTumorSegLogic

Take = Callable[[Volume, str | None], str | None]
"""Take an outline as a new lesion or in place of a lesion; return the name of the lesion, or None after a failure."""


class SegmentHere:
    """Outline one place at a time: the user places it, a run outlines it, the user accepts or discards the outline."""

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
        self._place: Sequence[Point] = ()
        self._least = 0.0
        self._run: SegmentationRun | None = None
        self._outline: PlaceOutline | None = None  # while it waits for the user
        self._preview: Preview | None = None
        ui.pointButton.connect("clicked(bool)", lambda on: self._onPoint() if on else self._onUnchecked())
        ui.boxButton.connect("clicked(bool)", lambda on: self._onBox() if on else self._onUnchecked())
        ui.acceptButton.connect("clicked()", lambda: self._accept(None))
        ui.replaceButton.connect("clicked()", lambda: self._accept(self._chosen[0]))
        ui.anywayButton.connect("clicked()", lambda: self._start(0.0))
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
        except RuntimeError as error:
            self._say(str(error))
            return False
        self._onPlacing()
        self._button = button
        return self._segmentation is not None  # the scene may have been closed meanwhile

    def _onUnchecked(self) -> None:
        self.stopPlacing()
        if self._run is not None:
            self._run.cancel()
            self._button = None  # until the run has ended
            self._say(_("Cancelling ..."))
        self._refresh()

    def _onPlaced(self, place: Sequence[Point]) -> None:
        qt.QTimer.singleShot(0, lambda: self._takePlace(place))  # not while the node's event is being handled

    def _takePlace(self, place: Sequence[Point]) -> None:
        if self._placement is not None:  # None after a cancellation in the meantime
            self.stopPlacing()
            self._place = place
            self._start(None)

    # Run

    def _start(self, least: float | None) -> None:
        """Outline the place if it is a tumor with at least this probability; None takes the confidence threshold."""
        self._discard()
        options = chosenOptions(self._logic.getParameterNode())
        self._least = options["min_confidence"] if least is None else least
        try:
            self._run = self._logic.startOutline(
                ct_of(self._segmentation),
                self._place,
                {**options, "min_confidence": self._least},
                self._onProgress,
                self._onFinished,
            )
            self._say(_("Exporting the CT ..."))
        except (ValueError, OSError) as error:
            self._say(str(error))
        self._refresh()

    def _onProgress(self, progress: RunProgress) -> None:
        if self._button is not None:
            text = _("Outlining the lesion: {percent} %. Click {button} again to cancel.")
            self._say(text.format(percent=progress.percent, button=self._button.text))

    def _onFinished(self, run: SegmentationRun) -> None:
        self._run = None
        self._say("")
        if run.error is None:
            self._answer(run.result)
        elif not isinstance(run.error, Cancelled):
            self._say(str(run.error))
        self._refresh()

    # Answer

    def _answer(self, outline: PlaceOutline) -> None:
        """Show an outline, or why there is none."""
        if outline.mask is None and self._least <= 0:
            self._say(_("The network cannot outline anything at this place. Paint the lesion instead."))
            return
        self._outline = outline
        if outline.mask is None:
            self._say(outline.message)
        else:
            self._preview = Preview(ct_of(self._segmentation), outline.mask)
            self._say(_answerText(outline))
        self._onAnswer()

    def _accept(self, replaced: str | None) -> None:
        if self._outline is not None and self._outline.mask is not None:
            name = self._take(self._outline.mask, replaced)
            if name is not None:  # otherwise the user can select another lesion
                self._discard()
                self._say(_("{name} has this outline now. Undo takes it back.").format(name=name))

    def _discard(self) -> None:
        if self._preview is not None:
            self._preview.close()
            self._preview = None
        if self._outline is not None:
            self._outline = None
            self._say("")
            self._onAnswer()
        self._refresh()

    # Widgets

    def _refresh(self) -> None:
        ui, busy = self._ui, self._placement is not None or self._run is not None
        outlined = self._outline is not None and self._outline.mask is not None
        for button in (ui.pointButton, ui.boxButton):
            button.checked = busy and button == self._button
            button.enabled = self._segmentation is not None and (self._run is None or button == self._button)
        ui.acceptButton.visible = outlined
        ui.replaceButton.visible = outlined and len(self._chosen) == 1
        ui.anywayButton.visible = self.waiting and not outlined
        ui.discardButton.visible = self.waiting

    def _say(self, text: str) -> None:
        self._ui.hereLabel.text = text
        self._ui.hereLabel.visible = bool(text)


def _answerText(outline: PlaceOutline) -> str:
    volume = _("Volume: {volume:.2f} mL.").format(volume=outline.volume_ml)
    if outline.tumor is None:
        return str(volume)
    return str(_("Probability of a tumor: {tumor:.0%}.").format(tumor=outline.tumor)) + f" {volume}"
