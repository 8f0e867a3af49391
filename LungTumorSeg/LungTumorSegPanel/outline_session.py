"""One place of a CT that is outlined, corrected with further points, and accepted or discarded by the user.

Both tools that outline what a user points at share this session: Segment here in the panel, and the effect of the
Segment Editor. They have the widgets and receive the points.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from LungTumorSegLib.core.events import Cancelled
from LungTumorSegLib.core.texts import percent
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.mrml.place_outlines import PlaceClick, PlaceOutline, Preview
from LungTumorSegLib.mrml.placing import PointRas
from LungTumorSegLib.process.progress import RunProgress
from LungTumorSegLib.process.warm_child import Ask
from slicer.i18n import tr as _

from .parameters import chosenOptions

if TYPE_CHECKING:
    from LungTumorSeg import LungTumorSegLogic


class OutlineSession:
    """Ask the child process for one outline at a time, and show it as a preview while the user decides.

    Attributes:
        text: State or answer, in words for the user; often "".
        cancelHint: How to cancel, for the user who waits until the CT is prepared.
        outline: The answer that waits for the user's decision, or None.
    """

    def __init__(self, logic: "LungTumorSegLogic", ct: Callable[[], Node], onChange: Callable[[], None]) -> None:
        """Start without an outline.

        Args:
            logic: The logic of the module, which runs and waits.
            ct: Returns the chosen CT, or None.
            onChange: Called after each change of the state or of an attribute.
        """
        self._logic, self._ct, self._onChange = logic, ct, onChange
        self.text = self.cancelHint = ""
        self.outline: PlaceOutline | None = None
        self._run: Ask | None = None
        self._cancelling = False
        self._asked: PlaceClick | None = None  # the click that is or was answered
        self._click: PlaceClick | None = None  # what the outline answers
        self._preview: Preview | None = None

    @property
    def running(self) -> bool:
        """Whether a place is being outlined."""
        return self._run is not None

    @property
    def outlined(self) -> bool:
        """Whether an outline with voxels waits for the user's decision."""
        return self.outline is not None and self.outline.mask is not None

    def prepare(self, onFailure: Callable[[], None]) -> bool:
        """Start the child process while the user still points at the place.

        Args:
            onFailure: Called if the process cannot start; ``text`` then says why.

        Returns:
            Whether places can be outlined; otherwise ``text`` says why not.
        """

        def prepared(run: Ask) -> None:
            if run.error is not None and not isinstance(run.error, Cancelled):
                onFailure()
                self.tell(str(run.error))

        self.discard()
        try:
            self._logic.installPackages()
            self._logic.prepareOutlines(self._ct(), self._options(), prepared)
        except (ValueError, OSError, RuntimeError) as error:
            self.tell(str(error))
            return False
        return True

    def ask(self, place: Sequence[PointRas], also: Sequence[PointRas] = ()) -> None:
        """Ask for the outline of a new place.

        Args:
            place: One point, or the corners of a box, RAS of the scene in mm.
            also: Points that belong to the same lesion.
        """
        self._start(PlaceClick(tuple(place), self._options()["min_confidence"], tuple(also)))

    def correct(self, also: Sequence[PointRas] = (), butNot: Sequence[PointRas] = ()) -> None:
        """Correct the outline with further points; it stays until the new one is there."""
        click = self._click
        if click is not None:
            self._start(replace(click, also=(*click.also, *also), but_not=(*click.but_not, *butNot)))

    def askAnyway(self) -> None:
        """Ask for the outline of the same place without a confidence threshold."""
        if self._click is not None:
            self._start(replace(self._click, least=0.0))

    def cancel(self) -> None:
        """Drop the question; the outline that it should have changed stays."""
        if self._run is not None:
            self._run.cancel()
            self._cancelling = True
            self.tell(_("Cancelling ..."))

    def discard(self, text: str = "") -> None:
        """Remove the outline, and say something about it."""
        if self._preview is not None:
            self._preview.close()
            self._preview = None
        self.outline = self._click = None
        self.tell(text)

    def close(self) -> None:
        """End at once what is in progress."""
        if self._run is not None:
            self._run.close()
            self._run = None
        self.discard()

    def tell(self, text: str) -> None:
        """Say something about the outline, which stays."""
        self.text = text
        self._onChange()

    def _options(self) -> dict[str, Any]:
        return chosenOptions(self._logic.getParameterNode())

    def _start(self, click: PlaceClick) -> None:
        self._asked, self._cancelling = click, False
        try:
            self._run = self._logic.startOutline(
                self._ct(),
                click.place,
                {**self._options(), "min_confidence": click.least},
                onProgress=self._onProgress,
                onFinished=self._onFinished,
                also=click.also,
                butNot=click.but_not,
            )
            self.tell(_("Outlining the lesion ..."))
        except (ValueError, OSError) as error:
            self.tell(str(error))

    def _onProgress(self, progress: RunProgress) -> None:
        if not self._cancelling:
            text = _("Preparing the CT: {percent} %.").format(percent=progress.percent)
            self.tell(f"{text} {self.cancelHint}")

    def _onFinished(self, run: Ask) -> None:
        self._run = None
        if run.error is None:
            self._answer(run.result)
        elif isinstance(run.error, Cancelled):
            self.tell("" if self.outline is None else _answerText(self.outline))
        else:
            self.tell(str(run.error))

    def _answer(self, outline: PlaceOutline) -> None:
        """Show an outline, or say why nothing was outlined."""
        click = self._asked
        self.discard()
        if outline.mask is None and click is not None and click.least <= 0 and not click.but_not:
            self.tell(_("The network cannot outline anything at this place. Paint the lesion instead."))
            return
        self.outline, self._click = outline, click
        if outline.mask is not None:
            self._preview = Preview(self._ct(), outline.mask)
        self.tell(_answerText(outline))


def _answerText(outline: PlaceOutline) -> str:
    if outline.mask is None:
        return outline.message
    text = _("Probability of a tumor: {tumor}. Volume: {volume:.2f} mL.")
    return " ".join(
        filter(None, [text.format(tumor=percent(outline.tumor), volume=outline.volume_ml), outline.message])
    )
