"""The Lesions section: the table with totals and warnings, and the views that follow the selected row."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import qt
from LungTumorSegLib.lesions.columns import COLUMNS
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml import segment_display, volume_nodes
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.mrml.segments import review_of, segments_of
from LungTumorSegLib.mrml.stored_lesions import shown_color
from LungTumorSegLib.results.lesion_rows import LesionRow
from slicer.i18n import tr as _

from .lesion_texts import burdenText, cellText, headingText, remarkText
from .views import LUNG_WINDOW, MEDIASTINUM_WINDOW, setWindow

TEXT_WIDTH = 360
"""Width of a line of text in the narrowest panel, in pixels."""

MOST_ROWS = 10
"""Number of rows that the table shows without scrolling."""


SHOWN = tuple(column for column in COLUMNS if column.heading)
"""The columns of the table."""


class LesionTable:
    """Show one segmentation at a time. ``onChosen`` is called when the selection of rows changes."""

    def __init__(self, ui: Any, onChosen: Callable[[], None]) -> None:
        self._ui, self._onChosen = ui, onChosen
        self._segmentation: Node = None
        self._rows: list[LesionRow] = []
        table = ui.lesionTable
        table.setColumnCount(len(SHOWN))
        table.setHorizontalHeaderLabels([headingText(column) for column in SHOWN])
        table.horizontalHeader().setStretchLastSection(True)
        table.horizontalHeader().setHighlightSections(False)
        table.verticalHeader().setVisible(False)
        table.connect("cellClicked(int,int)", self._onClicked)
        table.connect("itemSelectionChanged()", self._onSelected)
        ui.showLungsCheckBox.connect("toggled(bool)", self._onShowLungs)
        ui.show3DCheckBox.connect("toggled(bool)", self._onShow3D)
        ui.lungWindowButton.connect("clicked()", lambda: self.setWindow(LUNG_WINDOW))
        ui.mediastinumWindowButton.connect("clicked()", lambda: self.setWindow(MEDIASTINUM_WINDOW))

    def show(self, segmentation: Node) -> None:
        """Switch to a segmentation; None for none. ``refresh`` fills the table."""
        self._segmentation = segmentation
        self._rows = []

    def chosenIds(self) -> list[str]:
        """Return the segment ids of the selected rows."""
        if self._segmentation is None:
            return []
        ids = [item.data(qt.Qt.UserRole) for item in self._ui.lesionTable.selectedItems() if item.column() == 0]
        return [segment_id for segment_id in ids if segment_id]

    def refresh(self) -> None:
        """Update table, total volume, warnings and the name of the CT."""
        ui, segmentation = self._ui, self._segmentation
        chosen = self.chosenIds()
        lesions = self._rows = _rowsNow(segmentation) if segmentation is not None else []
        summary = mrml.summary_of(segmentation) if segmentation is not None else {}
        self._fill(lesions, chosen)
        if self.chosenIds() != chosen:  # a selected lesion was removed
            self._onSelected()
        ui.resultLabel.text = self._describeResult()
        for button in (ui.lungWindowButton, ui.mediastinumWindowButton):
            button.enabled = segmentation is not None
        ui.burdenLabel.text = burdenText(lesions, summary)
        ui.warningsLabel.text = "\n".join(summary.get("warnings", []))
        ui.warningsLabel.visible = bool(ui.warningsLabel.text)
        # Without a height of its own, the second line of a label would overlap the table.
        for label in (ui.resultLabel, ui.warningsLabel, ui.burdenLabel):
            label.minimumHeight = label.heightForWidth(TEXT_WIDTH) if label.text else 0

    def setWindow(self, window: tuple[float, float]) -> None:
        """Display the CT with this window (width and level, HU)."""
        ct = mrml.ct_of(self._segmentation) if self._segmentation is not None else None
        if ct is not None:
            setWindow(ct, window)

    def _fill(self, lesions: list[LesionRow], chosen: list[str]) -> None:
        table = self._ui.lesionTable
        table.blockSignals(True)
        table.clearSelection()
        table.setRowCount(len(lesions))
        for row, lesion in enumerate(lesions):
            for column, shown in enumerate(SHOWN):
                item = qt.QTableWidgetItem(cellText(shown, lesion))
                item.setTextAlignment(qt.Qt.AlignCenter)
                item.setToolTip(remarkText(lesion))
                item.setData(qt.Qt.UserRole, lesion.segment_id)
                if column == 0:
                    item.setData(qt.Qt.DecorationRole, self._colorOf(lesion))
                table.setItem(row, column, item)
                item.setSelected(lesion.segment_id in chosen)
        for column in range(len(SHOWN)):  # the last column is stretched
            table.resizeColumnToContents(column)
        table.resizeRowsToContents()
        visible = range(min(len(lesions), MOST_ROWS))
        height = table.horizontalHeader().sizeHint.height() + sum(table.rowHeight(row) for row in visible)
        table.minimumHeight = table.maximumHeight = height + 2 * table.frameWidth
        table.blockSignals(False)

    def _colorOf(self, lesion: LesionRow) -> Any:
        """Return the color of a lesion in the views, shown as a square before its number."""
        return qt.QColor.fromRgbF(*shown_color(self._segmentation, lesion.segment_id)) if lesion.segment_id else None

    def _describeResult(self) -> str:
        """Return the name and series of the CT, or what is missing."""
        if self._segmentation is None:
            return str(_("No result yet: choose a CT and press Segment."))
        ct = mrml.ct_of(self._segmentation)
        if ct is None:
            return str(_("The CT of this segmentation is not in the scene."))
        series = volume_nodes.series_number(ct)
        named = _("{name} (series {series})").format(name=ct.GetName(), series=series) if series else ct.GetName()
        return str(named)

    def _onClicked(self, row: int, column: int) -> None:
        self._showRow(row)

    def _onSelected(self) -> None:
        if self._ui.lesionTable.selectedItems():
            self._showRow(self._ui.lesionTable.currentRow())
        elif self._segmentation is not None:
            segment_display.highlight(self._segmentation, None)
        self._onChosen()

    def _showRow(self, row: int) -> None:
        lesion = self._rows[row]
        segment_display.jump_to(self._segmentation, lesion)
        segment_display.highlight(self._segmentation, lesion.segment)

    def _onShowLungs(self, visible: bool) -> None:
        if self._segmentation is not None:
            segment_display.show_lungs(self._segmentation, visible)

    def _onShow3D(self, visible: bool) -> None:
        if self._segmentation is not None:
            segment_display.show_surfaces(self._segmentation, visible)


def _rowsNow(segmentation: Node) -> list[LesionRow]:
    """Return the last measured rows with the current review marks, without lesions that were removed since."""
    reviews = {segment_id: review_of(segment) for segment_id, segment in segments_of(segmentation.GetSegmentation())}
    rows = mrml.lesions_of(segmentation)
    return [
        replace(row, review=reviews.get(row.segment_id, row.review))
        for row in rows
        if not row.segment_id or row.segment_id in reviews
    ]
