"""The Batch section: segments the CTs of the scene or of a folder, and loads the results one at a time."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
from LungTumorSegLib.core.events import Cancelled
from LungTumorSegLib.mrml.batch import ResultLoading, SceneCT
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.options import OPTION
from LungTumorSegLib.process.child import Event
from LungTumorSegLib.process.command_run import CommandRun
from slicer.i18n import tr as _

from .installation import PackageInstallation
from .lesion_table import MOST_ROWS
from .parameters import chosenOptions

if TYPE_CHECKING:
    from LungTumorSeg import LungTumorSegLogic

SOURCE_SETTING, OUTPUT_SETTING = "LungTumorSeg/BatchSource", "LungTumorSeg/BatchOutput"

SCENE, FOLDER = 0, 1
"""Entries of the selector of the source."""


class BatchSection:
    """Run one batch at a time, with the options of the scene's parameter node.

    ``onLoaded`` is called with the segmentation of each result that was loaded.
    """

    def __init__(self, ui: Any, logic: "LungTumorSegLogic", onLoaded: Callable[[Node], None]) -> None:
        self._ui, self._logic, self._onLoaded = ui, logic, onLoaded
        self._parameterNode: Any = None
        self._run: CommandRun | None = None
        self._loading: ResultLoading | None = None
        self._rows: dict[str, Event] = {}  # the last event of each CT, by its case
        self._cts: dict[str, SceneCT] = {}  # the CTs of the scene, by case
        self._loaded: dict[str, Node] = {}  # the segmentations that were loaded, by case
        self._output = Path()
        self._packages = PackageInstallation(logic, self._say, self.refresh)
        ui.batchSourceSelector.addItems([_("The CTs of the scene"), _("A folder")])
        for button, setting in ((ui.batchFolderButton, SOURCE_SETTING), (ui.batchOutputButton, OUTPUT_SETTING)):
            button.directory = qt.QSettings().value(setting, os.path.expanduser("~"))
        table = ui.batchTable
        table.setColumnCount(2)
        table.setHorizontalHeaderLabels([_("CT"), _("Result")])
        table.horizontalHeader().setStretchLastSection(True)
        table.verticalHeader().setVisible(False)
        table.connect("itemSelectionChanged()", self.refresh)
        ui.batchSourceSelector.connect("currentIndexChanged(int)", lambda index: self.refresh())
        ui.batchButton.connect("clicked()", self._onButton)
        ui.batchLoadButton.connect("clicked()", self._onLoad)
        self._fill()
        self._say("")

    @property
    def running(self) -> bool:
        """Whether a batch is in progress."""
        return self._run is not None

    def follow(self, parameterNode: Any) -> None:
        """Use the options of this parameter node from now on; None for none."""
        self._parameterNode = parameterNode
        self.refresh()

    def close(self) -> None:
        """End the batch and the loading at once."""
        for work in (self._run, self._loading):
            if work is not None:
                work.close()
        self._run = self._loading = None

    def refresh(self) -> None:
        """Enable what can be done."""
        ui, idle = self._ui, self._run is None
        ofFolder = ui.batchSourceSelector.currentIndex == FOLDER
        there = idle and self._parameterNode is not None and (ofFolder or bool(self._logic.sceneCTs()))
        for widget in (ui.batchSourceSelector, ui.batchOutputButton):
            widget.enabled = idle
        ui.batchFolderButton.enabled = idle and ofFolder
        ui.batchButton.text = _("Start") if idle else _("Cancel")
        ui.batchButton.enabled = (there or not idle) and not self._packages.active
        ui.batchButton.toolTip = (
            _("Stop the batch. Results that are complete are kept.")
            if not idle
            else _("Segment all CTs, one after another, with the options of the section Segment.")
            if there
            else _("There is no CT in the scene: load CTs, or choose a folder.")
        )
        ui.batchProgressBar.visible = not idle
        ui.batchTable.visible = bool(self._rows)
        ui.batchLoadButton.enabled = self._loading is None and self._chosen().get("state") == "done"

    # Run

    def _onButton(self) -> None:
        if self._run is not None:
            self._run.cancel()
            self._ui.batchButton.enabled = False
            self._say(_("Cancelling ..."))
        elif self._packages.ensure(self._parameterNode) and self._parameterNode is not None:
            self._start()  # unless the scene was closed during the installation

    def _start(self) -> None:
        ui = self._ui
        ofFolder = ui.batchSourceSelector.currentIndex == FOLDER
        cts = [] if ofFolder else self._logic.sceneCTs()
        source = Path(ui.batchFolderButton.directory) if ofFolder else cts
        options = {name: value for name, value in chosenOptions(self._parameterNode).items() if name in OPTION}
        self._begin(cts, Path(ui.batchOutputButton.directory))
        try:
            self._run = self._logic.startBatch(
                source, self._output, options, onEvent=self._onEvent, onFinished=self._onFinished
            )
        except (ValueError, OSError) as error:
            self._say(str(error))
        else:
            for button, setting in ((ui.batchFolderButton, SOURCE_SETTING), (ui.batchOutputButton, OUTPUT_SETTING)):
                qt.QSettings().setValue(setting, button.directory)
            self._say(_("Looking for CTs ...") if ofFolder else _("Exporting the CTs ..."))
        self.refresh()

    def _begin(self, cts: list[SceneCT], output: Path) -> None:
        """Begin a new list of CTs."""
        self._output = output
        self._cts = {ct.case: ct for ct in cts}
        self._rows = {ct.case: {"case": ct.case, "state": "waiting"} for ct in cts}
        self._loaded = {}
        self._ui.batchProgressBar.value = 0
        self._fill()

    def _onEvent(self, event: Event) -> None:
        if event["event"] == "item":
            isNew = event["case"] not in self._rows
            self._rows[event["case"]] = event
            self._fill() if isNew else self._fillRow(list(self._rows).index(event["case"]))
            self.refresh()
        else:
            self._ui.batchProgressBar.maximum = max(1, event["total"])
            self._ui.batchProgressBar.value = event["done"]
            ended = sum(row["state"] != "waiting" for row in self._rows.values())
            self._say(_("{done} of {total} CTs are done.").format(done=ended, total=len(self._rows)))

    def _onFinished(self, run: CommandRun) -> None:
        self._run = None
        if isinstance(run.error, Cancelled):
            self._say(_("Cancelled. Results that are complete are kept; press Start to go on."))
        elif run.error is not None:
            self._say(str(run.error))
        else:
            self._say(_("The results are in {folder}; overview.html shows them all.").format(folder=self._output))
        self.refresh()

    # Table

    def _chosen(self) -> Event:
        """Return the last event of the CT of the selected row; an empty one without a selection."""
        rows = {item.row() for item in self._ui.batchTable.selectedItems()}
        return list(self._rows.values())[rows.pop()] if len(rows) == 1 else {}

    def _fill(self) -> None:
        table = self._ui.batchTable
        table.setRowCount(len(self._rows))
        for row in range(len(self._rows)):
            self._fillRow(row)
        table.resizeColumnToContents(0)
        shown = range(min(len(self._rows), MOST_ROWS))
        height = table.horizontalHeader().sizeHint.height() + sum(table.rowHeight(row) for row in shown)
        table.setFixedHeight(height + 2 * table.frameWidth)

    def _fillRow(self, row: int) -> None:
        event = list(self._rows.values())[row]
        for column, text in enumerate((event["case"], resultText(event))):
            item = qt.QTableWidgetItem(text)
            item.setToolTip(text)
            self._ui.batchTable.setItem(row, column, item)

    # Results

    def _onLoad(self) -> None:
        event = self._chosen()
        case, loaded = event["case"], self._loaded.get(event["case"])
        if loaded is not None and loaded.GetScene() is not None:
            self._show(case, loaded)
            return
        ct = self._cts.get(case)  # None if the CT came from a folder
        if ct is not None and ct.node.GetScene() is None:
            self._say(_("The CT of {case} is no longer in the scene; load it again.").format(case=case))
            return

        def finish(loading: ResultLoading) -> None:
            self._loading = None
            if loading.error is not None:
                self._say(_("{case} was not loaded: {error}").format(case=case, error=loading.error))
            else:
                self._loaded[case] = loading.result
                self._say("")
                self._show(case, loading.result)
            self.refresh()

        self._say(_("Loading {case} ...").format(case=case))
        self._loading = self._logic.startLoading(
            self._output / case,
            None if ct is None else ct.node,
            path=event["path"],
            series=event["series"],
            phase=event["phase_number"],
            onFinished=finish,
        )
        self.refresh()

    def _show(self, case: str, segmentation: Node) -> None:
        if case in self._cts:
            self._cts[case].show()
        self._onLoaded(segmentation)

    def _say(self, text: str) -> None:
        self._ui.batchLabel.text = text
        self._ui.batchLabel.visible = bool(text)


def resultText(event: Event) -> str:
    """Return what became of a CT: its lesions, or why it has no result."""
    state = event["state"]
    if state == "waiting":
        return str(_("Waiting"))
    if state != "done":
        text = _("Refused: {reason}") if state == "refused" else _("Failed: {reason}")
        return str(text.format(reason=event["reason"]))
    if not event["lesions"]:
        return str(_("No lesion"))
    text = _("1 lesion, {volume:.2f} mL") if event["lesions"] == 1 else _("{count} lesions, {volume:.2f} mL")
    return str(text.format(count=event["lesions"], volume=event["total_volume_ml"]))
