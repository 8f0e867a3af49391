"""LungTumorSeg in 3D Slicer: from a chest CT to measured lung tumors with one click.

What computes is the package LungTumorSegLib, run as a child process; what turns its results into nodes is LungTumorSegLib.mrml. Here are
the four classes that Slicer expects: module, panel (Widget), logic without a window, and self-test.
"""

import logging
import os
import shutil
import threading
import time
import unittest
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import qt
import slicer
import vtk
from LungTumorSegLib.core.errors import MachineLimit
from LungTumorSegLib.core.private_folder import private_folder
from LungTumorSegLib.core.terminology import CONFIRMED, REJECTED
from LungTumorSegLib.io.nrrd import write_nrrd
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml.corrections import Corrections
from LungTumorSegLib.mrml.live_table import LiveTable
from LungTumorSegLib.mrml.segments import mask_of, set_mask
from LungTumorSegLib.mrml.upgrade import VERSION, upgrade
from LungTumorSegLib.options import SegmentOptions
from LungTumorSegLib.process import hardware, packages
from LungTumorSegLib.process.child import ChildProcess, child_environment, find_interpreter
from LungTumorSegLib.process.segmentation_run import FOLDER_PREFIX, SegmentationJob, SegmentationRun
from LungTumorSegLib.results.lesion_rows import ADDED, CORRECTED
from LungTumorSegLib.weights.manifest import DEFAULT_MODEL, Manifest, model_folders
from LungTumorSegPanel.correct_section import CorrectSection
from LungTumorSegPanel.spread_section import SpreadSection
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

POLL_MILLISECONDS = 100
"""How often a run is looked at: often enough for a smooth progress bar."""

PHANTOM_SEED = 7
"""Of the sample data: a chest with lesions on both sides."""

FOLDER_SETTING = "LungTumorSeg/SaveFolder"


class LungTumorSeg(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Lung Tumor Segmentation")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = [
            "Segmentations",
            "SegmentEditor",
            "Markups",
        ]  # their widgets and nodes are part of the panel
        self.parent.contributors = ["The LungTumorSeg developers"]
        self.parent.helpText = _(
            "Finds, measures and draws lung tumors in a chest CT: choose the CT, press Segment, check the lesions, save."
            " Tumors and lungs become segments, which you can correct in the Segment Editor."
            "<p><b>Research software, not a medical device.</b> No lesion found does not exclude disease.</p>"
            '<p>See the <a href="https://github.com/LungTumorSeg/SlicerLungTumorSeg">documentation</a>.</p>'
        )
        self.parent.acknowledgementText = _(
            "Please cite: S. Najeeb and M. I. H. Bhuiyan, Spatial feature fusion in 3D convolutional autoencoders for lung tumor"
            " segmentation from 3D CT images, Biomedical Signal Processing and Control 78 (2022) 103996,"
            ' <a href="https://doi.org/10.1016/j.bspc.2022.103996">doi:10.1016/j.bspc.2022.103996</a>,'
            " and A. Fedorov et al., 3D Slicer as an image computing platform for the Quantitative Imaging Network,"
            ' Magnetic Resonance Imaging 30 (2012) 1323, <a href="https://doi.org/10.1016/j.mri.2012.05.001">'
            "doi:10.1016/j.mri.2012.05.001</a>."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)


def registerSampleData():
    """Puts the phantom into the Sample Data module. It is made on this computer; nothing is downloaded."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="LungTumorSeg",
        sampleName="Lung tumor phantom",
        thumbnailFileName=os.path.join(os.path.dirname(__file__), "Resources", "Icons", "LungTumorPhantom.png"),
        customDownloader=lambda source: [LungTumorSegLogic().makePhantom()],
    )


class Device(Enum):
    """Where the network runs; the values are the command line's."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"

    def label(self):
        return {"auto": _("Automatic"), "cpu": _("CPU"), "cuda": _("Graphics card (CUDA)")}[self.value]


@parameterNodeWrapper
class LungTumorSegParameterNode:
    """What the panel shows and the scene keeps. Numbers begin with those of the model's manifest."""

    inputVolume: vtkMRMLScalarVolumeNode
    outputSegmentation: vtkMRMLSegmentationNode
    model: str = ""
    device: Device = Device.AUTO
    sliceThreshold: Annotated[float, WithinRange(0, 1)] = 0.7
    voxelThreshold: Annotated[float, WithinRange(0, 1)] = 0.5
    stride: Annotated[int, WithinRange(1, 8)] = 4
    mirror: bool = True
    smallestLesionMl: Annotated[float, WithinRange(0, 1000)] = 0.03
    leastConfidence: Annotated[float, WithinRange(0, 1)] = 0.0
    loadProbability: bool = True
    paintInside: bool = False
    version: int = VERSION


def _replaceable(segmentationNode):
    """The node if a new result may take its place: it still exists and nobody has edited it."""
    if segmentationNode is None or segmentationNode.GetScene() is None:
        return None
    isEmpty = segmentationNode.GetSegmentation().GetNumberOfSegments() == 0
    return segmentationNode if isEmpty or not mrml.is_edited(segmentationNode) else None


class LungTumorSegLogic(ScriptedLoadableModuleLogic):
    """The module without its panel, for scripts, batch and tests."""

    def getParameterNode(self):
        """The scene's parameters; those of an older version, and what belongs to them in the scene, are brought up to this one."""
        parameterNode = LungTumorSegParameterNode(super().getParameterNode())
        if parameterNode.version < VERSION:
            for segmentationNode in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
                upgrade(segmentationNode)
            parameterNode.version = VERSION
        return parameterNode

    def segment(self, volumeNode, options=None, segmentationNode=None):
        """Finds the lung tumors of a CT and returns the segmentation node; blocks until then and needs no window.

        ``options``: model, device, precision, stride, mirror, thresholds, min_lesion_ml, min_confidence, probability; what is left out
        comes from the model.
        ``segmentationNode`` takes the result, unless it was edited by hand: then, and without one, a new node is made.
        Raises ValueError for unusable input, RuntimeError where the machine cannot, Cancelled where the CT vanished meanwhile; the scene
        is then as it was.
        """
        run = self._newRun(volumeNode, options, segmentationNode)
        try:
            while not run.finished:
                run.poll()
                time.sleep(POLL_MILLISECONDS / 1000)
        finally:
            run.close()
        if run.error is not None:
            raise run.error
        return run.result

    def startSegmentation(self, volumeNode, options=None, onProgress=None, onFinished=None, segmentationNode=None):
        """The same without blocking: returns a handle with ``cancel()`` at once; needs Qt's event loop.

        ``onProgress`` gets the progress (``stage``, ``percent``, ``seconds_left``), ``onFinished`` the handle, whose ``result`` (the
        segmentation node) or ``error`` is then set. Raises ValueError for input that cannot be used.
        """
        run = self._newRun(volumeNode, options, segmentationNode, onProgress, onFinished)
        timer = qt.QTimer()

        def look():
            run.poll()
            if run.finished:
                timer.stop()

        timer.setInterval(POLL_MILLISECONDS)
        timer.connect("timeout()", look)
        timer.start()
        return run

    def _newRun(self, volumeNode, options, segmentationNode, onProgress=None, onFinished=None):
        probability = isinstance(options, dict) and options.get("probability", False)
        if isinstance(options, dict):
            options = {name: value for name, value in options.items() if name != "probability"}
        arguments = SegmentOptions.of(options).arguments()
        volume = mrml.volume_of_node(volumeNode)  # a view that keeps the voxels alive

        def export(path, stop):
            write_nrrd(volume, path, stop)

        def load(files):
            return mrml.load_results(files, volumeNode, _replaceable(segmentationNode))

        def isWanted():  # the CT was not deleted and its scene not closed
            return volumeNode.GetScene() is not None

        job = SegmentationJob(export, arguments, probability=probability, temporary_folder=slicer.app.temporaryPath)
        return SegmentationRun(job, load, isWanted, onProgress, onFinished)

    def showTumorSpread(self, segmentationNode):
        """Shows the tumors within translucent lungs in the 3D views and points these at them."""
        if segmentationNode is None:
            raise ValueError(_("There is no segmentation to show."))
        mrml.show_surfaces(segmentationNode, True)
        layoutManager = slicer.app.layoutManager()
        if layoutManager is not None:  # there is none without a main window
            layoutManager.resetThreeDViews()

    def corrections(self, segmentationNode):
        """What a person may do to its lesions: add, delete, confirm, reject, merge, split, reset, undo and more, without a window.

        Raises ValueError where there is no segmentation; so does each action that cannot be done.
        """
        if segmentationNode is None:
            raise ValueError(_("There is no segmentation to correct."))
        return Corrections(segmentationNode)

    def measureLesions(self, segmentationNode):
        """Brings the lesion table up to the voxels as they are now, in this process, and waits for it.

        Raises ValueError where the CT is gone or does not have the segmentation's grid.
        """
        if segmentationNode is None:
            raise ValueError(_("There is no segmentation to measure."))
        LiveTable(segmentationNode).measure_now()

    def models(self):
        """Id and description of the installed models, the default first."""
        manifests = {name: Manifest.read(folder) for name, folder in model_folders().items()}
        return dict(sorted(manifests.items(), key=lambda item: (item[0] != DEFAULT_MODEL, item[0])))

    def save(self, segmentationNode, folder, namePrefix="", dicom=False, measure=True):
        """Writes segmentation, lesion table, summary and, where there is a 3D view, its picture; returns the paths. No file holds a name
        unless ``namePrefix`` does, or ``dicom`` asks for DICOM, which must. What was edited is measured first, unless ``measure`` is
        False or the CT is gone. Raises OSError or RuntimeError where writing fails."""
        if measure and mrml.ct_of(segmentationNode) is not None and mrml.is_edited(segmentationNode):
            self.measureLesions(segmentationNode)
        paths = mrml.save_results(segmentationNode, Path(folder), namePrefix)
        layoutManager = slicer.app.layoutManager()
        if layoutManager is not None and layoutManager.threeDViewCount > 0:
            import ScreenCapture

            capture = ScreenCapture.ScreenCaptureLogic()
            viewNode = layoutManager.activeMRMLThreeDViewNode()
            paths.append(Path(folder) / f"{namePrefix}spread.png")
            capture.captureImageFromView(capture.viewFromNode(viewNode), str(paths[-1]))
        if dicom:
            paths.append(self._saveDicom(segmentationNode, Path(folder)))
        return paths

    def saveReport(self, segmentationNode, folder, namePrefix=""):
        """Writes report.html beside what ``save`` has written into ``folder``, and returns its path; needs the CT in the scene.

        A child process measures the saved segmentation and draws; the window stays alive meanwhile. Raises OSError or RuntimeError
        where that fails.
        """
        volumeNode = mrml.ct_of(segmentationNode)
        if volumeNode is None:
            raise RuntimeError(_("The CT of this segmentation is not in the scene, so there is no report."))
        segmentationPath, summaryPath = (
            str(Path(folder) / f"{namePrefix}{name}") for name in ("segmentation.seg.nrrd", "summary.json")
        )
        with private_folder(Path(slicer.app.temporaryPath), FOLDER_PREFIX) as private:
            ctPath, output = private / "input.nrrd", private / "measured"
            write_nrrd(mrml.volume_of_node(volumeNode), ctPath, threading.Event())
            measure = ["measure", str(ctPath), segmentationPath, "-o", str(output), "--run-summary", summaryPath]
            self._runChild(measure, _("The report could not be made."))
            return Path(shutil.copy(output / "report.html", Path(folder) / f"{namePrefix}report.html"))

    def _runChild(self, arguments, failure):
        """Runs the command line to its end; Slicer looks at its events meanwhile. Raises RuntimeError with its message where it fails."""
        child = ChildProcess([find_interpreter(), "-m", "LungTumorSegLib", *arguments], child_environment(os.environ))
        try:
            while child.exit_code is None:
                slicer.app.processEvents()
                time.sleep(POLL_MILLISECONDS / 1000)
        finally:
            child.kill()
        if child.exit_code != 0:
            raise RuntimeError((child.stderr_lines or [failure])[-1])

    def canSaveDicom(self):
        return hasattr(slicer.modules, "dicomsegmentationplugin")

    def _saveDicom(self, segmentationNode, folder):
        """Slicer's own exporter; it needs the CT to come from DICOM."""
        import DICOMSegmentationPlugin

        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        exporter = DICOMSegmentationPlugin.DICOMSegmentationPluginClass()
        exportables = exporter.examineForExport(hierarchy.GetItemByDataNode(segmentationNode))
        if not exportables:
            raise RuntimeError(_("The CT was not loaded from DICOM, so the segmentation cannot be saved as DICOM."))
        for exportable in exportables:
            exportable.directory = str(folder)
        problem = exporter.export(exportables)
        if problem:
            raise RuntimeError(str(problem))
        return folder

    def makePhantom(self, seed=PHANTOM_SEED):
        """A procedural chest CT with lesions as a new volume node, made by a child process; the window stays alive meanwhile."""
        with private_folder(Path(slicer.app.temporaryPath), FOLDER_PREFIX) as folder:
            self._runChild(
                ["phantom", "-o", str(folder / "phantom"), "--seed", str(seed)], _("The phantom could not be made.")
            )
            return mrml.load_volume(folder / "phantom" / "ct.nii.gz", slicer.mrmlScene, "Lung tumor phantom")

    def missingPackages(self):
        """What has to be installed before a run: torch first where it is among them."""
        return packages.missing_packages([packages.TORCH, *packages.read_requirements(_resource("requirements.txt"))])

    def installPackages(self, missing, onStep=None):
        """Installs them: torch by Slicer's PyTorch extension, the rest by pip, which may not replace what is there.

        Returns when it is done; Slicer looks at its events meanwhile, and ``onStep`` gets each packages.PipStep. Raises RuntimeError,
        with the way out, where that is not possible.
        """
        others = [requirement for requirement in missing if requirement != packages.TORCH]
        if others:
            report = _withEvents(lambda: packages.dry_run(find_interpreter(), others))
            replaced = packages.replaced_packages(report, others)
            if replaced:
                names = ", ".join(replaced)
                raise RuntimeError(
                    _("Nothing was installed: it would replace Slicer's own {names}.").format(names=names)
                )
        with packages.listening_to_pip(onStep or (lambda step: None)):
            if packages.TORCH in missing:
                self._installTorch()
            if others and hasattr(slicer, "packaging"):  # Slicer 5.12 and later: with a dialog of its own
                slicer.packaging.pip_install(others, requester="Lung Tumor Segmentation")
            elif others:
                slicer.util.pip_install(others)

    def _installTorch(self):
        try:
            import PyTorchUtils
        except ImportError as error:
            message = _(
                "Install the extension PyTorch in the Extensions Manager, restart Slicer and press Segment again."
            )
            raise RuntimeError(message) from error
        least = packages.TORCH.removeprefix("torch")
        if PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=False, torchVersionRequirement=least) is None:
            raise RuntimeError(_("torch could not be installed; Slicer's log says why."))


def _withEvents(action):
    """What the action gives, or raises; it runs in a thread, and Slicer looks at its events meanwhile."""
    with ThreadPoolExecutor(1) as thread:
        outcome = thread.submit(action)
        while not outcome.done():
            slicer.app.processEvents()
            time.sleep(POLL_MILLISECONDS / 1000)
        return outcome.result()


def _resource(name):
    return Path(__file__).parent / "Resources" / name


class LungTumorSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel, from top to bottom in the order of the work: segment, lesions, save."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._guiTag = None
        self._run = None
        self._installing = False
        self._entered = False
        self._shown = None  # the segmentation that the lesion table shows
        self._message = ""  # what happened last; without it the panel says what to do next

    # Life of the panel

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/LungTumorSeg.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = LungTumorSegLogic()
        self.ui.inputSelector.addAttribute("vtkMRMLScalarVolumeNode", mrml.CT_ATTRIBUTE, "1")
        self.ui.lesionTable.setColumnCount(len(self._columns()))
        self.ui.lesionTable.setHorizontalHeaderLabels(list(self._columns()))
        self.ui.lesionTable.horizontalHeader().setStretchLastSection(True)
        self.ui.lesionTable.horizontalHeader().setHighlightSections(False)
        self.ui.lesionTable.verticalHeader().setVisible(False)
        self.ui.folderButton.directory = qt.QSettings().value(FOLDER_SETTING, os.path.expanduser("~"))
        self._fillModels()
        self._connectWidgets()
        for event, method in (
            (slicer.mrmlScene.StartCloseEvent, self._onSceneStartClose),
            (slicer.mrmlScene.EndCloseEvent, self._onSceneEndClose),
            (slicer.mrmlScene.EndImportEvent, self._onSceneEndClose),
            (slicer.mrmlScene.NodeAddedEvent, self._onNodesChanged),
            (slicer.mrmlScene.NodeRemovedEvent, self._onNodesChanged),
        ):
            self.addObserver(slicer.mrmlScene, event, method)
        self._correct = CorrectSection(self.ui, self._showLesions)
        self._spread = SpreadSection(self.ui)
        self._nodesTimer = self._singleShotTimer(0, self._offerVolumes)
        self._deviceTimer = self._singleShotTimer(POLL_MILLISECONDS, self._showDevices)
        self._devices = None
        self._initializeParameterNode()

    def _connectWidgets(self):
        ui = self.ui
        ui.segmentButton.connect("clicked()", self.onSegmentButton)
        ui.modelSelector.connect("currentIndexChanged(int)", self._onModelChosen)
        ui.advancedSection.connect("contentsCollapsed(bool)", self._onAdvancedCollapsed)
        ui.lesionTable.connect("cellClicked(int,int)", self._onLesionClicked)
        ui.lesionTable.connect("itemSelectionChanged()", self._onLesionSelected)
        ui.showLungsCheckBox.connect("toggled(bool)", self._onShowLungs)
        ui.show3DCheckBox.connect("toggled(bool)", self._onShow3D)
        ui.saveButton.connect("clicked()", self.onSaveButton)

    def cleanup(self):
        if self._run is not None:
            self._run.close()
            self._run = None
        for timer in (self._nodesTimer, self._deviceTimer):
            timer.stop()
        self._correct.close()
        self._releaseParameterNode()
        self.removeObservers()

    def enter(self):
        self._entered = True
        self._initializeParameterNode()
        self._correct.activate()

    def exit(self):
        self._entered = False
        self._correct.deactivate()

    def _onSceneStartClose(self, caller, event):
        self._setParameterNode(None)
        self._correct.close()

    def _onSceneEndClose(self, caller, event):
        if self._entered:  # else when the module is opened again
            self._initializeParameterNode()

    def _initializeParameterNode(self):
        self._setParameterNode(self.logic.getParameterNode())
        self._offerVolumes()

    def _releaseParameterNode(self):
        if self._parameterNode is not None:
            self._parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersChanged)
            self._parameterNode = None

    def _setParameterNode(self, parameterNode):
        self._releaseParameterNode()
        self._parameterNode = parameterNode
        if parameterNode is not None:
            if parameterNode.model not in self._manifests and self._manifests:
                self._useModel(next(iter(self._manifests)))
            self._guiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersChanged)
        self._onParametersChanged()

    def _singleShotTimer(self, milliseconds, callback):
        timer = qt.QTimer()
        timer.setSingleShot(True)
        timer.setInterval(milliseconds)
        timer.connect("timeout()", callback)
        return timer

    # Choosing

    def _onNodesChanged(self, caller, event):
        self._nodesTimer.start()  # once for all nodes of a scene that is being loaded

    def _offerVolumes(self):
        """Marks the CTs of the scene, which alone the selector offers, and chooses the first where none is chosen."""
        if self._parameterNode is None:
            return
        volumes = [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if mrml.mark_if_ct(node)]
        if self._parameterNode.inputVolume is None and volumes:
            self._parameterNode.inputVolume = volumes[0]
        self._onParametersChanged()

    def _fillModels(self):
        self._manifests = {}
        try:
            self._manifests = self.logic.models()
        except MachineLimit as error:
            logging.error(error)
        for manifest in self._manifests.values():
            self.ui.modelSelector.addItem(manifest.description or manifest.id)

    def _onModelChosen(self, index):
        if self._parameterNode is not None and 0 <= index < len(self._manifests):
            self._useModel(list(self._manifests)[index])

    def _useModel(self, model):
        """Takes the model's own numbers; who wants others changes them afterwards."""
        manifest = self._manifests[model]
        node = self._parameterNode
        if node.model != model:
            node.model = model
            node.sliceThreshold, node.voxelThreshold = manifest.thresholds.gate, manifest.thresholds.voxel
            node.stride, node.mirror = manifest.stride, manifest.mirror
            node.smallestLesionMl, node.leastConfidence = manifest.min_lesion_ml, manifest.min_confidence

    def _onAdvancedCollapsed(self, collapsed):
        if not collapsed and self._devices is None:
            self._devices = []
            threading.Thread(target=lambda: self._devices.append(hardware.describe_devices()), daemon=True).start()
            self.ui.foundDeviceLabel.text = _("Looking for a graphics card ...")
            self._deviceTimer.start()

    def _showDevices(self):
        if self._devices:
            self.ui.foundDeviceLabel.text = self._devices[0]
        else:
            self._deviceTimer.start()

    # Running

    def onSegmentButton(self):
        """Starts a run, or cancels the one that is going on."""
        if self._run is not None:
            self._run.cancel()
            self.ui.segmentButton.enabled = False
            self._showStatus(_("Cancelling ..."))
        elif self._ensurePackages() and self._parameterNode is not None:  # the scene may have been closed meanwhile
            self._start()

    def _ensurePackages(self):
        """True when all is there; asks once before it installs anything."""
        missing = self.logic.missingPackages()
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
        self.ui.progressBar.maximum = 0  # moves without a number
        self._updateButtons()
        try:
            with slicer.util.WaitCursor():
                self.logic.installPackages(missing, self._onPipStep)
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
            self.ui.progressBar.maximum = 100
            self._updateButtons()
        return True

    def _onPipStep(self, step):
        if step.stage == "unpacking":
            self.ui.progressBar.maximum = 0
            self._showStatus(_("Unpacking the packages. The window may stand still for a minute."))
        else:
            self.ui.progressBar.maximum = 100 if step.total else 0
            self.ui.progressBar.value = 100 * step.done // max(1, step.total)
            text = _("Downloading {name}: {done} of {total} MB") if step.total else _("Downloading {name} ...")
            self._showStatus(text.format(name=step.name, done=step.done // 1_000_000, total=step.total // 1_000_000))
        slicer.app.processEvents()  # shows it before the next line of pip's, which may take long

    def _start(self):
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
            self._run = self.logic.startSegmentation(
                node.inputVolume, options, self._onProgress, self._onFinished, segmentationNode=node.outputSegmentation
            )
        except (ValueError, OSError) as error:
            self._showStatus(str(error))
            return
        self.ui.progressBar.value = 0
        self._showStatus(_("Exporting the CT ..."))
        self._updateButtons()

    def _onProgress(self, progress):
        stages = {
            "reading": _("Reading the CT"),
            "isolation": _("Finding the lungs"),
            "predicting": _("Looking for tumors"),
            "measuring": _("Measuring"),
            "writing": _("Drawing surfaces"),
        }
        self.ui.progressBar.value = progress.percent
        text = stages.get(progress.stage, progress.stage)
        if progress.seconds_left is not None:
            text = _("{stage}, {time} left").format(stage=text, time=_duration(progress.seconds_left))
        self._showStatus(text)

    def _onFinished(self, run):
        self._run = None
        if run.error is not None:
            self._showStatus(str(run.error))
        else:
            self._showStatus("")
            if self._parameterNode is not None:
                chosen = self._parameterNode.outputSegmentation
                self._parameterNode.outputSegmentation = run.result
                if chosen is not None and chosen is not run.result:
                    self._showStatus(
                        _("{name} was edited by hand, so it was kept; the new result stands beside it.").format(
                            name=chosen.GetName()
                        )
                    )
            if self.ui.show3DCheckBox.checked:
                self.logic.showTumorSpread(run.result)
        self._updateButtons()

    # Showing

    def _onParametersChanged(self, caller=None, event=None):
        node = self._parameterNode
        if node is not None and node.model in self._manifests:
            self.ui.modelSelector.currentIndex = list(self._manifests).index(node.model)
        segmentation = node.outputSegmentation if node is not None else None
        if segmentation is not self._shown or segmentation is None:
            self._shown = segmentation
            self._correct.show(segmentation)
            self._spread.show(segmentation)
            self._showLesions()
        self._updateButtons()

    def _showStatus(self, text):
        self._message = text
        volume = self._parameterNode.inputVolume if self._parameterNode is not None else None
        self.ui.statusLabel.text = text or self._advice(volume)

    def _updateButtons(self):
        ui, running = self.ui, self._run is not None
        volume = self._parameterNode.inputVolume if self._parameterNode is not None else None
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

    def _advice(self, volume):
        if not self._manifests:
            return _("No model is installed; install the extension again.")
        if volume is None:
            return _(
                "Load a chest CT: add a DICOM folder or a file, or take the Lung tumor phantom from the Sample Data module."
            )
        if self._shown is None:
            return _("Press Segment to look for lung tumors.")
        return _("Check each lesion; correct outlines under Correct.") if mrml.lesions_of(self._shown) else ""

    def _columns(self):
        return {
            _("No."): lambda lesion: str(lesion.number),
            _("Side"): lambda lesion: lesion.side or "?",
            _("Volume\nmL"): _volumeText,
            _("Long\nmm"): lambda lesion: f"{lesion.long_axis_mm:.1f}",
            _("Short\nmm"): lambda lesion: f"{lesion.short_axis_mm:.1f}",
            _("Mean\nHU"): lambda lesion: f"{lesion.mean_hu:.0f}",
            _("Confidence"): _confidenceText,
        }

    def _showLesions(self):
        """Table, burden, warnings and CT of the chosen segmentation."""
        ui, segmentation = self.ui, self._shown
        chosen = self._correct.chosenIds()
        lesions = mrml.lesions_of(segmentation) if segmentation is not None else []
        summary = mrml.summary_of(segmentation) if segmentation is not None else {}
        ui.lesionTable.blockSignals(True)
        ui.lesionTable.clearSelection()
        ui.lesionTable.setRowCount(len(lesions))
        for row, lesion in enumerate(lesions):
            for column, text in enumerate(self._columns().values()):
                item = qt.QTableWidgetItem(text(lesion))
                item.setTextAlignment(qt.Qt.AlignCenter)
                item.setToolTip(_remarkText(lesion))
                item.setData(qt.Qt.UserRole, lesion.segment_id)
                ui.lesionTable.setItem(row, column, item)
                item.setSelected(lesion.segment_id in chosen)
        for column in range(len(self._columns())):  # the last one takes the rest
            ui.lesionTable.resizeColumnToContents(column)
        ui.lesionTable.resizeRowsToContents()
        ui.lesionTable.blockSignals(False)
        if self._correct.chosenIds() != chosen:  # one is gone
            self._onLesionSelected()
        ui.resultLabel.text = self._describeResult(segmentation)
        ui.burdenLabel.text = _burdenText(lesions, summary)
        ui.warningsLabel.text = "\n".join(summary.get("warnings", []))
        ui.warningsLabel.visible = bool(ui.warningsLabel.text)
        ui.savedLabel.visible = False
        ui.saveButton.enabled = segmentation is not None
        ui.saveButton.toolTip = (
            _("Write segmentation, lesion table and picture into the folder.")
            if segmentation is not None
            else _("There is nothing to save yet: segment a CT first.")
        )
        ui.dicomCheckBox.enabled = self.logic.canSaveDicom()
        self._spread.refresh()

    def _describeResult(self, segmentation):
        """The CT's name and series, or what is missing."""
        if segmentation is None:
            return _("No result yet: choose a CT and press Segment.")
        ct = mrml.ct_of(segmentation)
        if ct is None:
            return _("The CT of this segmentation is not in the scene.")
        series = mrml.series_number(ct)
        return _("{name} (series {series})").format(name=ct.GetName(), series=series) if series else ct.GetName()

    def _onLesionClicked(self, row, column):
        self._showLesion(row)

    def _onLesionSelected(self):
        if self.ui.lesionTable.selectedItems():
            self._showLesion(self.ui.lesionTable.currentRow())
        elif self._shown is not None:
            mrml.highlight(self._shown, None)
        self._correct.onChosen()

    def _showLesion(self, row):
        lesion = mrml.lesions_of(self._shown)[row]
        mrml.jump_to(self._shown, lesion)
        mrml.highlight(self._shown, lesion.segment)

    def _onShowLungs(self, visible):
        if self._shown is not None:
            mrml.show_lungs(self._shown, visible)

    def _onShow3D(self, visible):
        if self._shown is not None:
            mrml.show_surfaces(self._shown, visible)

    # Saving

    def onSaveButton(self):
        """Writes everything into the chosen folder and says what and where."""
        ui = self.ui
        folder = ui.folderButton.directory
        prefix = (
            f"{mrml.file_name(mrml.ct_of(self._shown))} "
            if ui.namesCheckBox.checked and mrml.ct_of(self._shown) is not None
            else ""
        )
        try:
            with slicer.util.WaitCursor():
                self._correct.finish()
                dicom = ui.dicomCheckBox.checked and ui.dicomCheckBox.enabled
                paths = self.logic.save(self._shown, folder, prefix, dicom, measure=False)
        except (OSError, RuntimeError) as error:
            ui.savedLabel.text = _("Not saved: {error}").format(error=error)
        else:
            qt.QSettings().setValue(FOLDER_SETTING, folder)
            problem = self._saveReport(folder, prefix, paths) if ui.reportCheckBox.checked else ""
            saved = _("Saved in {folder}: {names}").format(folder=folder, names=", ".join(path.name for path in paths))
            ui.savedLabel.text = f"{saved}. {problem}" if problem else saved
        ui.savedLabel.visible = True

    def _saveReport(self, folder, prefix, paths):
        """Adds the report's path to ``paths``; what went wrong in words, or an empty text."""
        self.ui.saveButton.enabled = False
        self.ui.savedLabel.text = _("Drawing the report ...")
        self.ui.savedLabel.visible = True
        try:
            paths.append(self.logic.saveReport(self._shown, folder, prefix))
        except (OSError, RuntimeError, ValueError) as error:
            return _("There is no report: {error}").format(error=error)
        finally:
            self.ui.saveButton.enabled = self._shown is not None
        return ""


def _volumeText(lesion):
    if (
        lesion.correction == CORRECTED and lesion.network_volume_ml == lesion.network_volume_ml
    ):  # nan of a piece that was split off
        return _("{after:.2f}\nwas {before:.2f}").format(after=lesion.volume_ml, before=lesion.network_volume_ml)
    return f"{lesion.volume_ml:.2f}"


def _confidenceText(lesion):
    """The network's confidence and what a person has done; who has looked need not check again."""
    if lesion.review == REJECTED:
        return _("rejected")
    known = "?" if lesion.confidence != lesion.confidence else f"{lesion.confidence:.2f}"  # nan is not equal to itself
    mark = {"": "", CORRECTED: _("corrected"), ADDED: _("added")}[lesion.correction]
    if lesion.check and not mark and not lesion.review:
        return _("{value} check").format(value=known)
    second = f"\n{mark}" if mark else ""  # in a line of its own: the panel is narrow
    return f"{known}{second} \N{CHECK MARK}" if lesion.review == CONFIRMED else f"{known}{second}"


def _remarkText(lesion):
    remarks = []
    if lesion.check and not lesion.correction and not lesion.review:
        remarks.append(_("The network is not sure of this one: check it before you use it."))
    if lesion.correction == CORRECTED and lesion.network_volume_ml == lesion.network_volume_ml:
        remarks.append(_("Corrected by hand: {before:.2f} mL before.").format(before=lesion.network_volume_ml))
    elif lesion.correction == CORRECTED:
        remarks.append(_("Corrected by hand: a piece of what the network has found."))
    if lesion.correction == ADDED:
        remarks.append(_("Added by hand: the network has not found it."))
    if lesion.review == CONFIRMED:
        remarks.append(_("Somebody has looked at it and agrees."))
    if lesion.review == REJECTED:
        remarks.append(_("Somebody has said that this is no lesion: it is hidden and counts nowhere."))
    return " ".join(remarks)


def _burdenText(lesions, summary):
    """All lesions in one line, or that there is none."""
    counted = [lesion for lesion in lesions if lesion.review != REJECTED]
    if not counted:
        wasSome = bool(lesions or summary.get("lesions"))
        return _("No lesion is left; this does not exclude disease") if wasSome else summary.get("message", "")
    volume = sum(lesion.volume_ml for lesion in counted)
    percent = summary.get("spread", {}).get("burden_percent")  # of the lungs with their lesions
    share = "" if percent is None else _(", {percent:.1f} % of the lungs").format(percent=percent)
    count = _("{count} lesions").format(count=len(counted)) if len(counted) > 1 else _("1 lesion")
    return _("{count}, {volume:.1f} mL together{share}").format(count=count, volume=volume, share=share)


def _duration(seconds):
    if seconds >= 90:
        return _("{minutes} min").format(minutes=round(seconds / 60))
    return _("{seconds} s").format(seconds=max(1, round(seconds)))


class LungTumorSegTest(ScriptedLoadableModuleTest):
    """Self-test on the phantom. Runs need torch and safetensors; without them they are skipped."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.logic = LungTumorSegLogic()

    def runTest(self):
        """All tests, as Slicer's Reload and Test button wants it."""
        for name in sorted(name for name in dir(self) if name.startswith("test_")):
            self.setUp()
            self.delayDisplay(name)
            try:
                getattr(self, name)()
            except unittest.SkipTest as reason:
                self.delayDisplay(f"{name} skipped: {reason}")
        self.delayDisplay("All tests passed.")

    def test_BadInputIsRefused(self):
        with self.assertRaises(ValueError):
            self.logic.segment(None)
        with self.assertRaises(ValueError):
            self.logic.segment(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty"))
        with self.assertRaises(ValueError):
            self.logic.showTumorSpread(None)

    def test_FullRunBringsTheResultIntoTheScene(self):
        volumeNode = self._phantom()
        segmentationNode = self.logic.segment(volumeNode)
        names = [segment.GetName() for segment in _segments(segmentationNode)]
        self.assertEqual(names[:2], ["Left lung", "Right lung"])
        lesions = mrml.lesions_of(segmentationNode)
        self.assertEqual(names[2:], [lesion.segment for lesion in lesions])
        self.assertGreater(len(lesions), 0)
        self.logic.showTumorSpread(segmentationNode)
        self.assertTrue(segmentationNode.GetDisplayNode().GetVisibility3D())

    def test_CancelLeavesTheSceneAsItWas(self):
        volumeNode = self._phantom()
        before = slicer.mrmlScene.GetNumberOfNodes()
        finished = []
        run = self.logic.startSegmentation(volumeNode, onFinished=finished.append)
        run.cancel()
        deadline = time.monotonic() + 30
        while not finished and time.monotonic() < deadline:
            slicer.app.processEvents()
            time.sleep(0.01)
        self.assertEqual(finished, [run])
        self.assertIsNone(run.result)
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), before)

    def test_CorrectionIsMeasuredSavedAndRestored(self):
        segmentationNode = self.logic.segment(self._phantom())
        self.assertGreater(len(mrml.lesions_of(segmentationNode)), 0)
        before = mrml.lesions_of(segmentationNode)[0]
        corrections = self.logic.corrections(segmentationNode)
        mask = mask_of(segmentationNode.GetSegmentation(), before.segment_id)
        mask.array[0] = False  # its lowest slice is erased
        set_mask(segmentationNode, before.segment_id, mask)
        corrections.confirm(before.segment_id)
        self.logic.measureLesions(segmentationNode)
        lesions = mrml.lesions_of(segmentationNode)
        corrected = next(lesion for lesion in lesions if lesion.segment_id == before.segment_id)
        self.assertEqual((corrected.correction, corrected.review), (CORRECTED, CONFIRMED))
        self.assertAlmostEqual(corrected.volume_ml, mask.array.sum() * mask.voxel_volume_ml, places=4)
        self.assertAlmostEqual(corrected.network_volume_ml, before.volume_ml, places=4)

        self.logic.getParameterNode().outputSegmentation = segmentationNode
        with private_folder(Path(slicer.app.temporaryPath), FOLDER_PREFIX) as folder:
            scenePath = os.path.join(folder, "scene.mrb")
            self.assertTrue(slicer.mrmlScene.WriteToMRB(scenePath))
            slicer.mrmlScene.Clear()
            self.assertTrue(slicer.mrmlScene.ReadFromMRB(scenePath))
        restored = self.logic.getParameterNode().outputSegmentation
        self.assertEqual(mrml.lesions_of(restored), lesions)
        self.logic.corrections(restored).reset_all()
        self.logic.measureLesions(restored)
        self.assertEqual(mrml.lesions_of(restored)[0].correction, "")

    def _phantom(self):
        if self.logic.missingPackages():
            self.skipTest("torch or safetensors is not installed")
        return self.logic.makePhantom()


def _segments(segmentationNode: Any) -> list:
    content = segmentationNode.GetSegmentation()
    return [content.GetNthSegment(i) for i in range(content.GetNumberOfSegments())]
