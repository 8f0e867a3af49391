"""The Follow-up section: compares the result with an earlier one and shows what became of each lesion."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from LungTumorSegLib.followup.file_names import CSV_FILE, JSON_FILE, REPORT_FILE
from LungTumorSegLib.followup.links import Choices
from LungTumorSegLib.mrml import followup as mrml
from LungTumorSegLib.mrml import followup_display, side_by_side
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.mrml.results import ct_of
from LungTumorSegLib.process.command_run import CommandRun
from slicer.i18n import tr as _

from .followup_texts import columns, curveText, remarkText, summaryText, timesOf
from .lesion_table import MOST_ROWS
from .save_section import OwnFiles
from .sparkline import sparkline, sparklineLabel
from .waiting import cancelledText

if TYPE_CHECKING:
    from LungTumorSeg import LungTumorSegLogic

REPORT_NAMES = {
    CSV_FILE: "followup.csv",
    JSON_FILE: "followup.json",
    REPORT_FILE: "followup-report.html",
}
"""Name of each file in the folder of the Save section, where the result has a report.html of its own."""

CURVE_PLACE = 3
"""Place of the curve in a row; as the last column, it would be cut off in a narrow panel."""


class FollowUpSection:
    """Compare one segmentation at a time with an earlier result. ``finish`` updates its lesion table before that."""

    def __init__(self, ui: Any, logic: "LungTumorSegLogic", finish: Callable[[], None]) -> None:
        self._ui, self._logic, self._finish = ui, logic, finish
        self._segmentation: Node = None
        self._offered: list[Node] = []
        self._lesions: list[dict[str, Any]] = []
        self._files: dict[str, bytes] = {}
        self._run: CommandRun | None = None
        self._layout: int | None = None
        self._linked: side_by_side.LinkedViews | None = None
        self._own = OwnFiles()
        table = ui.followUpTable
        headings = [*columns(), _("Over\ntime")]
        table.setColumnCount(len(headings))
        table.setHorizontalHeaderLabels(headings)
        table.horizontalHeader().moveSection(len(headings) - 1, CURVE_PLACE)
        table.horizontalHeader().setStretchLastSection(True)
        table.verticalHeader().setVisible(False)
        table.connect("cellClicked(int,int)", lambda row, column: self._showRow(row))
        ui.earlierSelector.connect("currentIndexChanged(int)", lambda index: self._onEarlier())
        ui.compareButton.connect("clicked()", self._onCompare)
        ui.linkButton.connect("clicked()", lambda: self._onChoice(linked=True))
        ui.unlinkButton.connect("clicked()", lambda: self._onChoice(linked=False))
        ui.sideBySideCheckBox.connect("toggled(bool)", self._onSideBySide)
        ui.growthColorsCheckBox.connect("toggled(bool)", self._onGrowthColors)
        ui.followUpReportButton.connect("clicked()", self._onReport)
        self.refresh()

    @property
    def running(self) -> bool:
        """Whether results are being compared."""
        return self._run is not None

    def show(self, segmentation: Node) -> None:
        """Switch to a segmentation; None for none. A comparison in progress ends at once."""
        if segmentation is not self._segmentation:
            self.close()
            self._ui.sideBySideCheckBox.checked = False
            side_by_side.end(slicer.mrmlScene)  # of a scene that was saved while both were shown
            self._segmentation = segmentation
            self._files = {}
            self._fill()
        self.refresh()

    def refresh(self) -> None:
        """Offer the earlier results of the scene, the most likely one first, and enable what can be done."""
        nodes = [] if self._segmentation is None else mrml.earlier_results(self._segmentation)
        if [node.GetID() for node in nodes] != [
            node.GetID() for node in self._offered
        ] or not self._ui.earlierSelector.count:
            self._offer(nodes)
        self._enable()

    def close(self) -> None:
        """End a comparison in progress, and the link of both views."""
        self._cancel()
        self._unlink()

    def _cancel(self) -> None:
        if self._run is not None:
            self._run.close()
            self._run = None

    # Choice of the earlier result

    def _offer(self, nodes: list[Node]) -> None:
        selector, before = self._ui.earlierSelector, self._chosen()
        self._offered = nodes
        selector.blockSignals(True)
        selector.clear()
        selector.addItems([*(node.GetName() for node in nodes), _("A result folder")])
        selector.currentIndex = nodes.index(before) if before in nodes else 0
        selector.blockSignals(False)
        if before is None or before not in nodes:
            self._onEarlier()

    def _chosen(self) -> Node | None:
        """Return the earlier segmentation; None for a folder."""
        index = self._ui.earlierSelector.currentIndex
        return self._offered[index] if 0 <= index < len(self._offered) else None

    def _onEarlier(self) -> None:
        """Propose the time between the CTs, if their DICOM dates are known."""
        earlier = self._chosen()
        if self._segmentation is not None:
            volumes = [None if node is None else ct_of(node) for node in (earlier, self._segmentation)]
            days = None if None in volumes else mrml.days_between(*volumes)
            self._ui.daysSpinBox.value = max(days or 0, 0)
        self._offerPairs()
        self._enable()

    def _enable(self) -> None:
        ui, busy = self._ui, self._run is not None
        isThere = self._segmentation is not None and ct_of(self._segmentation) is not None
        ui.earlierSelector.enabled = ui.daysSpinBox.enabled = isThere and not busy
        ui.earlierFolderButton.enabled = isThere and not busy and self._chosen() is None
        ui.includeEarlierCheckBox.enabled = isThere and not busy
        ui.includeEarlierCheckBox.visible = bool(self._known())
        ui.compareButton.enabled = isThere
        ui.compareButton.text = _("Cancel") if busy else _("Compare")
        canLink = isThere and not busy and bool(ui.linkEarlierSelector.count and ui.linkLaterSelector.count)
        for widget in (ui.linkEarlierSelector, ui.linkLaterSelector, ui.linkButton, ui.unlinkButton):
            widget.enabled = canLink
        ui.sideBySideCheckBox.enabled = bool(self._lesions) and side_by_side.can_begin(self._segmentation)
        if not ui.sideBySideCheckBox.enabled:
            ui.sideBySideCheckBox.checked = False
        ui.followUpTable.visible = ui.growthColorsCheckBox.enabled = bool(self._lesions)
        ui.followUpReportButton.enabled = bool(self._files) and not busy

    # Comparison

    def _onCompare(self) -> None:
        if self._run is not None:
            self._cancel()
            self._say(cancelledText())
            self._enable()
            return
        self._compare(mrml.choices_of(self._segmentation, self._earlier()))

    def _onChoice(self, linked: bool) -> None:
        """Compare again, with the chosen pair linked or unlinked."""
        pair = ((self._ui.linkEarlierSelector.currentText, self._ui.linkLaterSelector.currentText),)
        known = mrml.choices_of(self._segmentation, self._earlier())
        self._compare(known.followed_by(Choices(pair) if linked else Choices((), pair)))

    def _earlier(self) -> Node | Path:
        return self._chosen() or Path(self._ui.earlierFolderButton.directory)

    def _before(self) -> list[Node | Path]:
        """Return the examinations before the earlier result that take part."""
        return self._known() if self._ui.includeEarlierCheckBox.checked else []

    def _known(self) -> list[Node | Path]:
        if self._segmentation is None or self._chosen() is None:
            return []
        return mrml.examinations_before(self._chosen(), self._segmentation)

    def _compare(self, choices: Choices) -> None:
        days = self._ui.daysSpinBox.value or None
        try:
            with slicer.util.WaitCursor():
                self._finish()
                self._run = self._logic.startComparison(
                    self._segmentation,
                    self._earlier(),
                    days=days,
                    onFinished=self._onFinished,
                    choices=choices,
                    before=self._before(),
                )
        except (ValueError, OSError) as error:
            self._say(str(error))
        else:
            self._say(_("Comparing the results ..."))
        self._enable()

    def _onFinished(self, run: CommandRun) -> None:
        self._run = None
        if run.error is None and self._segmentation is not None:
            self._ui.sideBySideCheckBox.checked = False
            followup_display.show_comparison(self._segmentation, run.result)
            if self._ui.growthColorsCheckBox.checked:
                followup_display.color_by_growth(self._segmentation, True)
            self._files = dict(run.result.files)
            self._fill()
        else:
            self._say(_("Not compared: {error}").format(error=run.error))
        self._enable()

    # Table

    def _fill(self) -> None:
        """Show the comparison that belongs to the segmentation."""
        data = {} if self._segmentation is None else mrml.comparison_of(self._segmentation)
        self._lesions = data.get("lesions", [])
        table = self._ui.followUpTable
        table.setRowCount(len(self._lesions))
        for row, lesion in enumerate(self._lesions):
            for column, text in enumerate(columns().values()):
                item = qt.QTableWidgetItem(text(lesion))
                item.setTextAlignment(qt.Qt.AlignCenter)
                item.setToolTip(remarkText(lesion))
                table.setItem(row, column, item)
            self._showCurve(row, lesion, data["dates"])
        for column in range(table.columnCount):
            table.resizeColumnToContents(column)
        table.resizeRowsToContents()
        shown = range(min(len(self._lesions), MOST_ROWS))
        height = table.horizontalHeader().sizeHint.height() + sum(table.rowHeight(row) for row in shown)
        height += table.horizontalScrollBar().sizeHint.height()  # in a narrow panel, it would hide the last row
        table.minimumHeight = table.maximumHeight = height + 2 * table.frameWidth
        self._say(summaryText(data) if data else "")
        self._offerPairs()
        box = self._ui.growthColorsCheckBox
        box.blockSignals(True)
        box.checked = self._segmentation is not None and followup_display.is_colored_by_growth(self._segmentation)
        box.blockSignals(False)

    def _showCurve(self, row: int, lesion: dict[str, Any], dates: list[str | None]) -> None:
        """Draw the volume of a lesion over time into its column."""
        volumes = mrml.volumes_over_time(self._segmentation, lesion)
        pixmap = sparkline(volumes, timesOf(dates, len(volumes)), followup_display.growth_color(lesion))
        table = self._ui.followUpTable
        table.setCellWidget(row, table.columnCount - 1, sparklineLabel(pixmap, curveText(volumes)))

    def _offerPairs(self) -> None:
        """Offer the lesions that can be linked: those of the results or, of a folder, those that were compared."""
        nodes = (self._chosen(), self._segmentation)
        for selector, node, when in zip(
            (self._ui.linkEarlierSelector, self._ui.linkLaterSelector), nodes, ("earlier", "later"), strict=True
        ):
            known = [piece["segment"] for lesion in self._lesions for piece in lesion[when]]
            names = known if node is None else mrml.lesion_names(node)
            if names != [selector.itemText(index) for index in range(selector.count)]:
                selector.clear()
                selector.addItems(names)

    def _onSideBySide(self, on: bool) -> None:
        """Switch to Slicer's layout of two slice views and back."""
        self._unlink()
        layoutManager = slicer.app.layoutManager()
        if on and layoutManager is not None:
            self._layout = layoutManager.layout
            layoutManager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView)
            side_by_side.begin(self._segmentation)
            self._showRow(max(self._ui.followUpTable.currentRow(), 0))
        elif layoutManager is not None and self._layout is not None:
            side_by_side.end(slicer.mrmlScene)
            layoutManager.setLayout(self._layout)
            self._layout = None

    def _unlink(self) -> None:
        if self._linked is not None:
            self._linked.release()
            self._linked = None

    def _onGrowthColors(self, on: bool) -> None:
        followup_display.color_by_growth(self._segmentation, on)

    def _showRow(self, row: int) -> None:
        lesion = self._lesions[row]
        followup_display.show_place(self._segmentation, lesion)
        if self._ui.sideBySideCheckBox.checked:
            self._unlink()
            side_by_side.show_lesion(self._segmentation, lesion)
            self._linked = side_by_side.LinkedViews(self._segmentation, lesion)
        for selector, pieces in (
            (self._ui.linkEarlierSelector, lesion["earlier"]),
            (self._ui.linkLaterSelector, lesion["later"]),
        ):
            if pieces:
                selector.currentIndex = selector.findText(pieces[0]["segment"])

    # Report

    def _onReport(self) -> None:
        """Write table, data and report into the folder of the Save section."""
        folder = Path(self._ui.folderButton.directory)
        paths = {name: folder / REPORT_NAMES[name] for name in self._files}
        others = self._own.others(paths.values())
        question = _("The folder {folder} already contains {names}. Replace them?").format(
            folder=folder, names=", ".join(path.name for path in others)
        )
        if others and not slicer.util.confirmOkCancelDisplay(question, _("Follow-up")):
            return
        try:
            for name, path in paths.items():
                path.write_bytes(self._files[name])
        except OSError as error:
            self._say(_("Not saved: {error}").format(error=error))
            return
        self._own.remember(paths.values())
        saved = _("Saved in {folder}: {names}").format(
            folder=folder, names=", ".join(path.name for path in paths.values())
        )
        self._say(f"{summaryText(mrml.comparison_of(self._segmentation))}\n{saved}")

    def _say(self, text: str) -> None:
        self._ui.followUpLabel.text = text
        self._ui.followUpLabel.visible = bool(text)
