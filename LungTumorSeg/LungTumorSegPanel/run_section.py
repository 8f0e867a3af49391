"""The section Segment: CT, model and device are chosen, a run is started, watched and cancelled, and the status line says what is next."""

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import slicer
from LungTumorSegLib.core.errors import MachineLimit
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.process import hardware
from LungTumorSegLib.process.packages import PipStep
from LungTumorSegLib.process.progress import RunProgress
from LungTumorSegLib.process.segmentation_run import SegmentationRun
from LungTumorSegLib.weights.manifest import Manifest
from slicer.i18n import tr as _

from .lesion_texts import durationText
from .timers import makeTimer

if TYPE_CHECKING:
    from LungTumorSeg import LungTumorSegLogic

LOOK_MILLISECONDS = 100
"""How often the thread that describes this computer's devices is asked."""


class RunSection:
    """One run at a time, with the numbers of the scene's parameter node. ``onResult`` is called when a run has brought one."""

    def __init__(self, ui: Any, logic: "LungTumorSegLogic", onResult: Callable[[], None]) -> None:
        self._ui, self._logic, self._onResult = ui, logic, onResult
        self._parameterNode: Any = None
        self._run: SegmentationRun | None = None
        self._installing = False
        self._message = ""  # what happened last; without it the panel says what to do next
        self._devices: list[str] | None = None
        self._deviceTimer = makeTimer(LOOK_MILLISECONDS, self._showDevices, singleShot=True)
        self._fillModels()
        ui.segmentButton.connect("clicked()", self.onSegmentButton)
        ui.modelSelector.connect("currentIndexChanged(int)", self._onModelChosen)
        ui.advancedSection.connect("contentsCollapsed(bool)", self._onAdvancedCollapsed)

    @property
    def running(self) -> bool:
        """Whether a run is going on."""
        return self._run is not None

    def follow(self, parameterNode: Any) -> None:
        """Take the numbers from this parameter node from now on; None for none."""
        self._parameterNode = parameterNode
        if parameterNode is not None and parameterNode.model not in self._manifests and self._manifests:
            self._useModel(next(iter(self._manifests)))

    def close(self) -> None:
        """End the run, if one is going on, and wait for nothing more."""
        if self._run is not None:
            self._run.close()
            self._run = None
        self._deviceTimer.stop()

    def refresh(self) -> None:
        """Bring buttons, selectors and status line up to date with the parameter node and the run."""
        ui, running, volume = self._ui, self.running, self._volume()
        if self._parameterNode is not None and self._parameterNode.model in self._manifests:
            ui.modelSelector.currentIndex = list(self._manifests).index(self._parameterNode.model)
        ui.segmentButton.text = _("Cancel") if running else _("Segment")
        ui.segmentButton.enabled = running or (volume is not None and bool(self._manifests) and not self._installing)
        ui.segmentButton.toolTip = (
            _("Stop the run. The scene stays as it is.")
            if running
            else _("Find the lung tumors in the chosen CT. This takes minutes; Slicer can be used meanwhile.")
            if volume is not None
            else _("Choose a chest CT first.")
        )
        ui.progressBar.visible = running or self._installing
        for selector in (ui.inputSelector, ui.modelSelector, ui.outputSelector):
            selector.enabled = not running and not self._installing
        self._showStatus(self._message)

    def _volume(self) -> Node:
        return self._parameterNode.inputVolume if self._parameterNode is not None else None

    def _showStatus(self, text: str) -> None:
        self._message = text
        self._ui.statusLabel.text = text or self._advice()

    def _advice(self) -> str:
        if not self._manifests:
            return str(_("No model is installed; install the extension again."))
        if self._volume() is None:
            return str(
                _(
                    "Load a chest CT: add a DICOM folder or a file, or take the Lung tumor phantom from the Sample Data module."
                )
            )
        if self._parameterNode.outputSegmentation is None:
            return str(_("Press Segment to look for lung tumors."))
        found = mrml.lesions_of(self._parameterNode.outputSegmentation)
        return str(_("Check each lesion; correct outlines under Correct.")) if found else ""

    # Models and devices

    def _fillModels(self) -> None:
        self._manifests: dict[str, Manifest] = {}
        try:
            self._manifests = self._logic.models()
        except MachineLimit as error:
            logging.error(error)
        for manifest in self._manifests.values():
            self._ui.modelSelector.addItem(manifest.description or manifest.id)

    def _onModelChosen(self, index: int) -> None:
        if self._parameterNode is not None and 0 <= index < len(self._manifests):
            self._useModel(list(self._manifests)[index])

    def _useModel(self, model: str) -> None:
        """Takes the model's own numbers; who wants others changes them afterwards."""
        manifest = self._manifests[model]
        node = self._parameterNode
        if node.model != model:
            node.model = model
            node.sliceThreshold, node.voxelThreshold = manifest.thresholds.gate, manifest.thresholds.voxel
            node.stride, node.mirror = manifest.stride, manifest.mirror
            node.smallestLesionMl, node.leastConfidence = manifest.min_lesion_ml, manifest.min_confidence

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

    # Running

    def onSegmentButton(self) -> None:
        """Start a run, or cancel the one that is going on."""
        if self._run is not None:
            self._run.cancel()
            self._ui.segmentButton.enabled = False
            self._showStatus(_("Cancelling ..."))
        elif self._ensurePackages() and self._parameterNode is not None:  # the scene may have been closed meanwhile
            self._start()

    def _ensurePackages(self) -> bool:
        """True when all is there; asks once before it installs anything."""
        missing = self._logic.missingPackages()
        if not missing:
            return True
        names = ", ".join(missing)
        question = _(
            "The network needs Python packages that Slicer does not bring: {names}. torch takes 200 MB to 3 GB. Install now?"
        )
        if not slicer.util.confirmOkCancelDisplay(
            question.format(names=names), windowTitle=_("Lung Tumor Segmentation")
        ):
            self._showStatus(
                _("Nothing was installed and nothing changed. Segmenting needs {names}.").format(names=names)
            )
            return False
        self._installing = True
        self._showStatus(_("Installing {names} ...").format(names=names))
        self._ui.progressBar.maximum = 0  # moves without a number
        self.refresh()
        try:
            with slicer.util.WaitCursor():
                self._logic.installPackages(missing, self._onPipStep)
        except Exception as error:  # pip's ways to fail are many
            logging.exception("Installing failed.")
            offline = _(
                "{error} Without a network bring the wheels of {names} (from pypi.org and download.pytorch.org, for the Python that"
                " Slicer's console names) and install them with PythonSlicer -m pip install FILES."
            )
            self._showStatus(offline.format(error=error, names=names))
            return False
        finally:
            self._installing = False
            self._ui.progressBar.maximum = 100
            self.refresh()
        return True

    def _onPipStep(self, step: PipStep) -> None:
        if step.stage == "unpacking":
            self._ui.progressBar.maximum = 0
            self._showStatus(_("Unpacking the packages. The window may stand still for a minute."))
        else:
            self._ui.progressBar.maximum = 100 if step.total else 0
            self._ui.progressBar.value = 100 * step.done // max(1, step.total)
            text = _("Downloading {name}: {done} of {total} MB") if step.total else _("Downloading {name} ...")
            self._showStatus(text.format(name=step.name, done=step.done // 1_000_000, total=step.total // 1_000_000))
        slicer.app.processEvents()  # shows it before the next line of pip's, which may take long

    def _start(self) -> None:
        node = self._parameterNode
        options = {
            "model": node.model or None,
            "device": node.device.value,
            "thresholds": (node.sliceThreshold, node.voxelThreshold),
            "stride": node.stride,
            "mirror": node.mirror,
            "min_lesion_ml": node.smallestLesionMl,
            "min_confidence": node.leastConfidence,
            "probability": node.loadProbability,
        }
        try:
            self._run = self._logic.startSegmentation(
                node.inputVolume, options, self._onProgress, self._onFinished, segmentationNode=node.outputSegmentation
            )
        except (ValueError, OSError) as error:
            self._showStatus(str(error))
            return
        self._ui.progressBar.value = 0
        self._showStatus(_("Exporting the CT ..."))
        self.refresh()

    def _onProgress(self, progress: RunProgress) -> None:
        stages = {
            "reading": _("Reading the CT"),
            "isolation": _("Finding the lungs"),
            "predicting": _("Looking for tumors"),
            "measuring": _("Measuring"),
            "writing": _("Drawing surfaces"),
        }
        self._ui.progressBar.value = progress.percent
        text = stages.get(progress.stage, progress.stage)
        if progress.seconds_left is not None:
            text = _("{stage}, {time} left").format(stage=text, time=durationText(progress.seconds_left))
        self._showStatus(text)

    def _onFinished(self, run: SegmentationRun) -> None:
        self._run = None
        if run.error is not None:
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
            kept = _("{name} was edited by hand, so it was kept; the new result stands beside it.")
            self._showStatus(kept.format(name=chosen.GetName()))
        self._onResult()
