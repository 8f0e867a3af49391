"""The Segment section: selection of CT, model and device, the run itself, and the status line."""

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from LungTumorSegLib.core.errors import MachineLimit
from LungTumorSegLib.core.events import Cancelled
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.process import hardware
from LungTumorSegLib.process.progress import RunProgress
from LungTumorSegLib.process.segmentation_run import SegmentationRun
from LungTumorSegLib.weights.manifest import Manifest
from slicer.i18n import tr as _

from .installation import PackageInstallation
from .lesion_texts import durationText
from .parameters import chosenOptions, takeModel
from .timers import makeTimer
from .waiting import cancelledText

if TYPE_CHECKING:
    from LungTumorSeg import LungTumorSegLogic

LOOK_MILLISECONDS = 100
"""Interval of the check whether the thread that detects the devices has finished."""


class RunSection:
    """Manage one run at a time, with the options of the scene's parameter node.

    ``onResult`` is called when a run has loaded its result.
    """

    def __init__(self, ui: Any, logic: "LungTumorSegLogic", onResult: Callable[[], None]) -> None:
        self._ui, self._logic, self._onResult = ui, logic, onResult
        self._parameterNode: Any = None
        self._run: SegmentationRun | None = None
        self._cancelled = False
        self._packages = PackageInstallation(logic, self._showStatus, self.refresh)
        self._message = ""  # the last event; if empty, the panel shows the next step
        self._devices: list[str] | None = None
        self._deviceTimer = makeTimer(LOOK_MILLISECONDS, self._showDevices, singleShot=True)
        self._fillModels()
        ui.segmentButton.connect("clicked()", self.onSegmentButton)
        ui.modelSelector.connect("currentIndexChanged(int)", self._onModelChosen)
        ui.advancedSection.connect("contentsCollapsed(bool)", self._onAdvancedCollapsed)

    @property
    def running(self) -> bool:
        """Whether a run is in progress."""
        return self._run is not None

    def follow(self, parameterNode: Any) -> None:
        """Use the options of this parameter node from now on; None for none."""
        self._parameterNode = parameterNode
        if parameterNode is None and not self.running:
            self._message = ""  # the message concerned the closed scene

    def close(self) -> None:
        """Stop the run, if there is one, and all waiting."""
        if self._run is not None:
            self._run.close()
            self._run = None
        self._deviceTimer.stop()

    def refresh(self) -> None:
        """Update buttons, selectors and status line from the parameter node and the run."""
        ui, running, volume = self._ui, self.running, self._volume()
        if self._parameterNode is not None and self._parameterNode.model in self._manifests:
            ui.modelSelector.currentIndex = list(self._manifests).index(self._parameterNode.model)
        ui.segmentButton.text = _("Cancel") if running else _("Segment")
        ui.segmentButton.enabled = running or (
            volume is not None and bool(self._manifests) and not self._packages.active
        )
        ui.segmentButton.toolTip = (
            _("Stop the run. The scene is not changed.")
            if running
            else _("Find the lung tumors in the chosen CT. This takes minutes; you can use Slicer in the meantime.")
            if volume is not None
            else _("Choose a chest CT first.")
        )
        ui.progressBar.visible = running or self._packages.active
        for selector in (ui.inputSelector, ui.modelSelector, ui.outputSelector):
            selector.enabled = not running and not self._packages.active
        self._showStatus(self._message)

    def _volume(self) -> Node:
        return self._parameterNode.inputVolume if self._parameterNode is not None else None

    def _showStatus(self, text: str) -> None:
        self._message = text
        self._ui.statusLabel.text = text or self._advice()

    def _advice(self) -> str:
        if not self._manifests:
            return str(_("No model is installed. Install the extension again."))
        if self._volume() is None:
            return str(
                _(
                    "Load a chest CT from DICOM or from a file, or open the Lung tumor phantom in the Sample Data "
                    "module."
                )
            )
        if self._parameterNode.outputSegmentation is None:
            return str(_("Press Segment to find lung tumors."))
        found = mrml.lesions_of(self._parameterNode.outputSegmentation)
        return (
            str(_("Check each lesion: press Confirm or Reject, or change its outline under Correct.")) if found else ""
        )

    # Models and devices

    def _fillModels(self) -> None:
        self._manifests: dict[str, Manifest] = {}
        try:
            self._manifests = self._logic.models()
        except MachineLimit as error:
            logging.error(str(error))
        for manifest in self._manifests.values():
            self._ui.modelSelector.addItem(manifest.description or manifest.id)

    def _onModelChosen(self, index: int) -> None:
        if self._parameterNode is not None and 0 <= index < len(self._manifests):
            model = list(self._manifests)[index]
            if self._parameterNode.model != model:
                takeModel(self._parameterNode, self._manifests[model])

    def _onAdvancedCollapsed(self, collapsed: bool) -> None:
        if not collapsed and self._devices is None:
            found = self._devices = []
            threading.Thread(target=lambda: found.append(hardware.describe_devices()), daemon=True).start()
            self._ui.foundDeviceLabel.text = _("Looking for a graphics card ...")
            self._deviceTimer.start()

    def _showDevices(self) -> None:
        if self._devices:
            self._ui.foundDeviceLabel.text = self._devices[0]
        else:
            self._deviceTimer.start()

    # Run

    def onSegmentButton(self) -> None:
        """Start a run, or cancel the run in progress."""
        if self._run is not None:
            self._run.cancel()
            self._cancelled = True
            self._ui.segmentButton.enabled = False
            self._showStatus(_("Cancelling ..."))
        elif self._packages.ensure(self._parameterNode) and self._parameterNode is not None:
            self._start()  # unless the scene was closed during the installation

    def _start(self) -> None:
        node = self._parameterNode
        try:
            self._run = self._logic.startSegmentation(
                node.inputVolume,
                chosenOptions(node),
                self._onProgress,
                self._onFinished,
                segmentationNode=node.outputSegmentation,
            )
        except (ValueError, OSError) as error:
            self._showStatus(str(error))
            return
        self._cancelled = False
        self._ui.progressBar.value = 0
        self._showStatus(_("Exporting the CT ..."))
        self.refresh()

    def _onProgress(self, progress: RunProgress) -> None:
        stages = {
            "reading": _("Reading the CT"),
            "model": _("Loading the network"),
            "isolation": _("Finding the lungs"),
            "predicting": _("Looking for tumors"),
            "verifying": _("Looking at the candidates again"),
            "measuring": _("Measuring"),
            "writing": _("Writing the results"),
        }
        self._ui.progressBar.value = progress.percent
        text = stages.get(progress.stage, progress.stage)
        if progress.percent == 100:
            text = _("Loading the result")
        elif progress.seconds_left is not None:
            text = _("{stage}, {time} left").format(stage=text, time=durationText(progress.seconds_left))
        self._showStatus(text)

    def _onFinished(self, run: SegmentationRun) -> None:
        self._run = None
        if isinstance(run.error, Cancelled) and not self._cancelled:
            self._showStatus("")  # the CT was removed; show the next step instead
        elif isinstance(run.error, Cancelled):
            self._showStatus(cancelledText())
        elif run.error is not None:
            self._showStatus(str(run.error))
        else:
            self._showStatus("")
            if self._parameterNode is not None:
                self._take(run.result)
        self.refresh()

    def _take(self, result: Node) -> None:
        chosen = self._parameterNode.outputSegmentation
        self._parameterNode.outputSegmentation = result
        if chosen is not None and chosen is not result:
            kept = _("{name} was edited by hand, so the run did not replace it. The new result is {result}.")
            self._showStatus(kept.format(name=chosen.GetName(), result=result.GetName()))
        self._onResult()
