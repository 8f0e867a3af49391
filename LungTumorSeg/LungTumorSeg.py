"""LungTumorSeg in 3D Slicer: from a chest CT to measured lung tumors with one click.

The package LungTumorSegLib computes, in a child process; LungTumorSegLib.mrml turns its results into nodes; LungTumorSegPanel is the
window. Here are the four classes that Slicer expects: module, widget, logic without a window, and self-test.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import slicer
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml.corrections import Corrections
from LungTumorSegLib.mrml.live_table import LiveTable
from LungTumorSegLib.mrml.runs import start_run
from LungTumorSegLib.mrml.upgrade import VERSION, upgrade
from LungTumorSegLib.options import SegmentOptions
from LungTumorSegLib.process.packages import PipStep
from LungTumorSegLib.process.progress import RunProgress
from LungTumorSegLib.process.segmentation_run import SegmentationRun
from LungTumorSegLib.weights.manifest import DEFAULT_MODEL, Manifest, model_folders
from LungTumorSegPanel import exports, installation, self_test, waiting
from LungTumorSegPanel.panel import Panel
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)

PHANTOM_SEED = 7
"""Of the sample data: a chest with lesions on both sides."""


class LungTumorSeg(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent: Any) -> None:
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


def registerSampleData() -> None:
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

    def label(self) -> str:
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


class LungTumorSegLogic(ScriptedLoadableModuleLogic):
    """The module without its panel, for scripts, batch and tests."""

    def getParameterNode(self) -> LungTumorSegParameterNode:
        """Return the scene's parameters; those of an older version, and what belongs to them in the scene, are brought up to this one."""
        parameterNode = LungTumorSegParameterNode(super().getParameterNode())
        if parameterNode.version < VERSION:
            for segmentationNode in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
                upgrade(segmentationNode)
            parameterNode.version = VERSION
        return parameterNode

    def segment(
        self,
        volumeNode: vtkMRMLScalarVolumeNode,
        options: SegmentOptions | Mapping[str, Any] | None = None,
        segmentationNode: vtkMRMLSegmentationNode | None = None,
    ) -> vtkMRMLSegmentationNode:
        """Find the lung tumors of a CT and return the segmentation node; blocks until then and needs no window.

        Args:
            volumeNode: The CT.
            options: model, device, precision, stride, mirror, thresholds, min_lesion_ml, min_confidence, probability; what is left out
                comes from the model.
            segmentationNode: Takes the result, unless it was edited by hand: then, and without one, a new node is made.

        Raises:
            ValueError: The input cannot be used.
            RuntimeError: The machine cannot.
            Cancelled: The CT vanished meanwhile. In each case the scene is then as it was.
        """
        return waiting.result_of(start_run(volumeNode, options, segmentationNode, slicer.app.temporaryPath))

    def startSegmentation(
        self,
        volumeNode: vtkMRMLScalarVolumeNode,
        options: SegmentOptions | Mapping[str, Any] | None = None,
        onProgress: Callable[[RunProgress], None] | None = None,
        onFinished: Callable[[SegmentationRun], None] | None = None,
        segmentationNode: vtkMRMLSegmentationNode | None = None,
    ) -> SegmentationRun:
        """Do the same without blocking: return a handle with ``cancel()`` at once; needs Qt's event loop.

        ``onProgress`` gets the progress (``stage``, ``percent``, ``seconds_left``), ``onFinished`` the handle, whose ``result`` (the
        segmentation node) or ``error`` is then set. Raises ValueError for input that cannot be used.
        """
        return waiting.watched(
            start_run(volumeNode, options, segmentationNode, slicer.app.temporaryPath, onProgress, onFinished)
        )

    def showTumorSpread(self, segmentationNode: vtkMRMLSegmentationNode) -> None:
        """Show the tumors within translucent lungs in the 3D views and point these at them."""
        if segmentationNode is None:
            raise ValueError(_("There is no segmentation to show."))
        mrml.show_surfaces(segmentationNode, True)
        layoutManager = slicer.app.layoutManager()
        if layoutManager is not None:  # there is none without a main window
            layoutManager.resetThreeDViews()

    def corrections(self, segmentationNode: vtkMRMLSegmentationNode) -> Corrections:
        """Return what a person may do to its lesions: add, delete, confirm, reject, merge, split, reset, undo and more, without a window.

        Raises ValueError where there is no segmentation; so does each action that cannot be done.
        """
        if segmentationNode is None:
            raise ValueError(_("There is no segmentation to correct."))
        return Corrections(segmentationNode)

    def measureLesions(self, segmentationNode: vtkMRMLSegmentationNode) -> None:
        """Bring the lesion table up to the voxels as they are now, in this process, and wait for it.

        Raises ValueError where the CT is gone or does not have the segmentation's grid.
        """
        if segmentationNode is None:
            raise ValueError(_("There is no segmentation to measure."))
        LiveTable(segmentationNode).measure_now()

    def models(self) -> dict[str, Manifest]:
        """Return id and description of the installed models, the default first."""
        manifests = {name: Manifest.read(folder) for name, folder in model_folders().items()}
        return dict(sorted(manifests.items(), key=lambda item: (item[0] != DEFAULT_MODEL, item[0])))

    def save(
        self,
        segmentationNode: vtkMRMLSegmentationNode,
        folder: str | Path,
        namePrefix: str = "",
        dicom: bool = False,
        measure: bool = True,
    ) -> list[Path]:
        """Write segmentation, lesion table, summary and, where there is a 3D view, its picture; return the paths. No file holds a name
        unless ``namePrefix`` does, or ``dicom`` asks for DICOM, which must. What was edited is measured first, unless ``measure`` is
        False or the CT is gone. Raises OSError or RuntimeError where writing fails."""
        if measure and mrml.ct_of(segmentationNode) is not None and mrml.is_edited(segmentationNode):
            self.measureLesions(segmentationNode)
        paths = mrml.save_results(segmentationNode, Path(folder), namePrefix)
        paths += exports.savePicture(Path(folder) / f"{namePrefix}spread.png")
        if dicom:
            paths.append(exports.saveDicom(segmentationNode, Path(folder)))
        return paths

    def saveReport(self, segmentationNode: vtkMRMLSegmentationNode, folder: str | Path, namePrefix: str = "") -> Path:
        """Write report.html beside what ``save`` has written into ``folder``, and return its path; needs the CT in the scene.

        A child process measures the saved segmentation and draws; the window stays alive meanwhile. Raises OSError or RuntimeError
        where that fails.
        """
        return exports.saveReport(segmentationNode, Path(folder), namePrefix)

    def canSaveDicom(self) -> bool:
        """Return whether this Slicer has a DICOM exporter for segmentations."""
        return hasattr(slicer.modules, "dicomsegmentationplugin")

    def makePhantom(self, seed: int = PHANTOM_SEED) -> vtkMRMLScalarVolumeNode:
        """Return a synthetic chest CT with lesions as a new volume node, made by a child process; the window stays alive meanwhile."""
        return exports.makePhantom(seed)

    def missingPackages(self) -> list[str]:
        """Return what has to be installed before a run: torch first where it is among them."""
        return installation.missingPackages()

    def installPackages(self, missing: Sequence[str], onStep: Callable[[PipStep], None] | None = None) -> None:
        """Install them; see ``installation.installPackages``."""
        installation.installPackages(missing, onStep)


class LungTumorSegWidget(ScriptedLoadableModuleWidget):
    """What Slicer shows of the module: the panel."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        self.logic: LungTumorSegLogic | None = None
        self.ui: Any = None
        self.panel: Panel | None = None

    def setup(self) -> None:
        """Build the panel."""
        ScriptedLoadableModuleWidget.setup(self)
        widget = slicer.util.loadUI(self.resourcePath("UI/LungTumorSeg.ui"))
        self.layout.addWidget(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.ui = slicer.util.childWidgetVariables(widget)
        self.logic = LungTumorSegLogic()
        self.panel = Panel(self.ui, self.logic)

    def cleanup(self) -> None:
        """Let go of everything when the module is unloaded."""
        if self.panel is not None:
            self.panel.close()

    def enter(self) -> None:
        """The module was opened."""
        self.panel.enter()

    def exit(self) -> None:
        """Another module was opened."""
        self.panel.exit()


class LungTumorSegTest(self_test.SelfTest):
    """The self-test with the module's logic."""

    logicClass = LungTumorSegLogic
