"""The Spread section: colors with their legend, margins, zones and rulers in the views.

This file contains the widgets; LungTumorSegLib.mrml.spread draws the nodes.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import slicer
from LungTumorSegLib.core.terminology import REJECTED
from LungTumorSegLib.mrml.nodes import MARGINS_ROLE, RULERS_ROLE, ZONES_ROLE, Node
from LungTumorSegLib.mrml.results import lesions_of, summary_of
from LungTumorSegLib.mrml.segment_display import show_lungs
from LungTumorSegLib.mrml.stored_lesions import color_by
from LungTumorSegLib.results.contents import MOST_MARGIN_MM
from LungTumorSegLib.results.lesion_rows import LesionRow
from slicer.i18n import tr as _

COLORS: tuple[Literal["number", "volume", "confidence"], ...] = ("number", "volume", "confidence")
"""In the order of the selector's items."""


class SpreadSection:
    """Show the spread of one segmentation at a time."""

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._segmentation: Node = None
        self._rows: list[LesionRow] = []  # of the table at the last refresh
        self._marginsWereOld = False
        for widget, signal, method in (
            (ui.colorSelector, "currentIndexChanged(int)", self._onColor),
            (ui.zonesCheckBox, "toggled(bool)", self._onZones),
            (ui.rulersCheckBox, "toggled(bool)", self._onRulers),
            (ui.marginsCheckBox, "toggled(bool)", self._onMargins),
            (ui.marginsEdit, "editingFinished()", self._onMarginsEdited),
        ):
            widget.connect(signal, method)
        self.refresh()

    def show(self, segmentation: Node) -> None:
        """Switch to a segmentation; None for none. The drawings of the former segmentation stay."""
        if segmentation is self._segmentation:
            return
        self._segmentation = segmentation
        self._rows = []
        self._marginsWereOld = False
        for box, role in (
            (self._ui.zonesCheckBox, ZONES_ROLE),
            (self._ui.rulersCheckBox, RULERS_ROLE),
            (self._ui.marginsCheckBox, MARGINS_ROLE),
        ):
            isLoaded = segmentation is not None and segmentation.GetNodeReference(role) is not None
            _setQuietly(box, isLoaded)  # with the scene
        if segmentation is not None:
            self._ui.colorSelector.blockSignals(True)
            self._ui.colorSelector.currentIndex = COLORS.index(color_by(segmentation))
            self._ui.colorSelector.blockSignals(False)
        self.refresh()

    def refresh(self) -> None:
        """Update colors, legend and rulers from the lesion table.

        Margins of a changed lesion are removed rather than redrawn, because drawing takes a while.
        """
        ui, isThere = self._ui, self._segmentation is not None
        for widget in (ui.colorSelector, ui.zonesCheckBox, ui.rulersCheckBox, ui.marginsCheckBox, ui.marginsEdit):
            widget.enabled = isThere
        ui.legendLabel.text = ui.spreadLabel.text = ""
        if not isThere:
            return
        rows = lesions_of(self._segmentation)
        if rows != self._rows:
            wereKnown, changed = bool(self._rows), _lesionsIn(rows) != _lesionsIn(self._rows)
            self._rows = rows
            if wereKnown and changed and ui.marginsCheckBox.checked:
                ui.marginsCheckBox.checked = False
                self._marginsWereOld = True
            if wereKnown and ui.rulersCheckBox.checked:
                self._onRulers(True)
        if ui.colorSelector.currentIndex != 0:  # by number, segments have their own colors
            self._onColor(ui.colorSelector.currentIndex)
        ui.spreadLabel.text = self._text()

    def _onColor(self, index: int) -> None:
        if self._segmentation is None or not 0 <= index < len(COLORS):
            return
        from LungTumorSegLib.mrml.spread import color_lesions  # imports scipy, so only when needed

        by = COLORS[index]
        legend = color_lesions(self._segmentation, by).legend
        self._ui.legendLabel.text = (
            "" if by == "number" else "&nbsp;&nbsp; ".join(_legendText(line, color) for line, color in legend)
        )

    def _onZones(self, visible: bool) -> None:
        from LungTumorSegLib.mrml.spread import show_zones

        self._draw(self._ui.zonesCheckBox, lambda: show_zones(self._segmentation, visible))
        if not visible and self._segmentation is not None:
            show_lungs(self._segmentation, self._ui.showLungsCheckBox.checked)

    def _onRulers(self, visible: bool) -> None:
        from LungTumorSegLib.mrml.spread import show_rulers

        self._draw(self._ui.rulersCheckBox, lambda: show_rulers(self._segmentation, visible))

    def _onMargins(self, visible: bool) -> None:
        from LungTumorSegLib.mrml.spread import show_margins

        self._marginsWereOld = False
        self._draw(
            self._ui.marginsCheckBox, lambda: show_margins(self._segmentation, self._marginsMm() if visible else ())
        )

    def _onMarginsEdited(self) -> None:
        if self._ui.marginsCheckBox.checked:
            self._onMargins(True)

    def _marginsMm(self) -> list[float]:
        """Return the distances in the text field, in mm.

        Raises:
            ValueError: The field contains anything else.
        """
        words = re.split(r"[\s,;]+", self._ui.marginsEdit.text.strip())
        try:
            distances = [float(word) for word in words]
        except ValueError as error:
            raise ValueError(
                _("The Margins field does not hold distances in mm. Enter numbers, for example: 5 8 20")
            ) from error
        if not all(0 < distance <= MOST_MARGIN_MM for distance in distances):
            raise ValueError(
                _("A margin is out of range. Enter distances above 0 and up to {most:g} mm.").format(
                    most=MOST_MARGIN_MM
                )
            )
        return distances

    def _draw(self, box: Any, draw: Callable[[], Any]) -> None:
        """Draw or remove; if this fails, show the reason and clear the check box."""
        if self._segmentation is None:
            return
        text = self._text()
        try:
            with slicer.util.WaitCursor():
                draw()
        except ValueError as error:
            text = str(error)
            _setQuietly(box, False)
        self._ui.spreadLabel.text = text

    def _text(self) -> str:
        """Return the text below the controls."""
        text = _spreadText(summary_of(self._segmentation).get("spread", {}))
        if not self._marginsWereOld:
            return text
        return "\n".join(
            filter(
                None,
                [
                    text,
                    _("A lesion was corrected, so the margins were removed. Check the Margins box to draw them again."),
                ],
            )
        )


def _setQuietly(box: Any, checked: bool) -> None:
    box.blockSignals(True)
    box.checked = checked
    box.blockSignals(False)


def _lesionsIn(rows: Sequence[LesionRow]) -> list[tuple[Any, ...]]:
    """Return the properties of the lesions that determine their margins, as far as the table shows them.

    A review or a further measurement therefore does not remove margins.
    """
    return [(row.segment, row.volume_ml, row.centroid_lps) for row in rows if row.review != REJECTED]


def _legendText(line: str, color: Sequence[float]) -> str:
    hexadecimal = "#" + "".join(f"{round(255 * part):02x}" for part in color)
    square = f'<span style="color:{hexadecimal}">\N{BLACK SQUARE}</span>'
    # Lines may break only between classes.
    return f"{square} {line}".replace(" ", "&nbsp;").replace("span&nbsp;", "span ")


def _spreadText(spread: Mapping[str, Any]) -> str:
    """Return the location of the lesions and their largest distance in one line."""
    places = [
        _("{count} {side} {zone}").format(count=place["count"], side=_side(place["side"]), zone=_zone(place["zone"]))
        for place in spread.get("places", [])
    ]
    parts = [_("Lesions by side and zone: {places}").format(places=", ".join(places))] if places else []
    if spread.get("count", 0) > 1:
        parts.append(
            _("largest distance between two lesions (Dmax): {distance:.0f} mm").format(
                distance=spread["largest_distance_mm"]
            )
        )
    return "; ".join(parts)


def _side(side: str) -> str:
    return {"Left": _("left"), "Right": _("right")}[side]


def _zone(zone: str) -> str:
    return {"upper": _("upper"), "middle": _("middle"), "lower": _("lower")}[zone]
