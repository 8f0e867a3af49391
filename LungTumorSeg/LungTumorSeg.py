"""LungTumorSeg in 3D Slicer: from a chest CT to measured lung tumors with one click.

The package LungTumorSegLib computes, in a child process; LungTumorSegLib.mrml turns its results into nodes; LungTumorSegPanel is the
window. Here are the four classes that Slicer expects: module, widget, logic without a window, and self-test.
"""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Annotated, Any

import slicer
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml.corrections import Corrections
from LungTumorSegLib.mrml.live_table import LiveTable
from LungTumorSegLib.mrml.runs import start_run
from LungTumorSegLib.mrml.upgrade import VERSION, upgrade
from LungTumorSegLib.options import OPTION, SegmentOptions, Thresholds
from LungTumorSegLib.process.command_run import CommandRun
from LungTumorSegLib.process.progress import RunProgress
from LungTumorSegLib.process.segmentation_run import SegmentationRun
from LungTumorSegLib.weights.manifest import DEFAULT_MODEL, Manifest, model_folders
from LungTumorSegPanel import exports, installation, sample_data, self_test, views, waiting
from LungTumorSegPanel.panel import Panel
from LungTumorSegPanel.parameters import takeModel
from LungTumorSegPanel.saving import SavingLogic
from slicer import vtkMRMLScalarVolumeNode as VolumeNode
from slicer import vtkMRMLSegmentationNode as SegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)

Options = SegmentOptions | Mapping[str, Any] | None
OnFinished = Callable[[CommandRun], None] | None

PHANTOM_SEED = 7
"""Of the sample data: a chest with lesions on both sides."""


class LungTumorSeg(ScriptedLoadableModule):
    """What Slicer shows of the module before it is opened."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Lung Tumor Segmentation")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["Segmentations", "SegmentEditor", "Markups"]  # parts of the panel
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
    """Put the phantom into the Sample Data module."""
    sample_data.register(LungTumorSegLogic().startPhantom)


class Device(Enum):
    """Where the network runs; the values are the command line's."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"

    def label(self) -> str:
        return {"auto": _("Automatic"), "cpu": _("CPU"), "cuda": _("Graphics card (CUDA)")}[self.value]


def _range(name: str) -> WithinRange:
    return WithinRange(OPTION[name].minimum, OPTION[name].maximum)


@parameterNodeWrapper
class LungTumorSegParameterNode:
    """What the panel shows and the scene keeps. ``LungTumorSegLogic.getParameterNode`` fills in the numbers of the model's manifest."""

    inputVolume: VolumeNode
    outputSegmentation: SegmentationNode
    model: str = ""
    device: Device = Device.AUTO
    sliceThreshold: Annotated[float, WithinRange(0, 1)] = Thresholds().gate
    voxelThreshold: Annotated[float, WithinRange(0, 1)] = Thresholds().voxel
    stride: Annotated[int, _range("stride")] = 1
    mirror: bool = False
    smallestLesionMl: Annotated[float, _range("min_lesion_ml")] = 0.0
    leastConfidence: Annotated[float, _range("min_confidence")] = 0.0
    loadProbability: bool = True
    paintInside: bool = False
    version: int = VERSION


class LungTumorSegLogic(SavingLogic, ScriptedLoadableModuleLogic):
    """The module without its panel, for scripts, batch and tests."""

    def getParameterNode(self) -> LungTumorSegParameterNode:
        """Return the scene's parameters; those of an older version, and what belongs to them in the scene, are brought up to this one."""
        parameterNode: Any = LungTumorSegParameterNode(super().getParameterNode())  # type: ignore[call-arg]
        if parameterNode.version < VERSION:
            for segmentationNode in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
                upgrade(segmentationNode)
            parameterNode.version = VERSION
        models = self.models()
        if models and parameterNode.model not in models:
            takeModel(parameterNode, next(iter(models.values())))
        return parameterNode

    def segment(
        self, volumeNode: VolumeNode, options: Options = None, segmentationNode: SegmentationNode | None = None
    ) -> SegmentationNode:
        """Find the lung tumors of a CT and return the segmentation node; blocks until then and needs no window.

        Args:
            volumeNode: The CT.
            options: SegmentOptions or a dict of its fields, where ``probability`` asks for the probability map too.
            segmentationNode: Receives the result unless it was edited by hand; then, and by default, a new node is made.

        Raises:
            ValueError: The input cannot be used.
            RuntimeError: The machine cannot.
            Cancelled: The CT vanished meanwhile. In each case the scene is then as it was.
        """
        return waiting.result_of(start_run(volumeNode, options, segmentationNode, slicer.app.temporaryPath))

    def startSegmentation(
        self,
        volumeNode: VolumeNode,
        options: Options = None,
        onProgress: Callable[[RunProgress], None] | None = None,
        onFinished: Callable[[SegmentationRun], None] | None = None,
        segmentationNode: SegmentationNode | None = None,
    ) -> SegmentationRun:
        """Do the same without blocking: return a handle with ``cancel()`` at once; needs Qt's event loop.

        ``onProgress`` gets the progress (``stage``, ``percent``, ``seconds_left``), ``onFinished`` the handle, whose ``result`` (the
        segmentation node) or ``error`` is then set. Raises ValueError for input that cannot be used.
        """
        folder = slicer.app.temporaryPath
        return waiting.watched(start_run(volumeNode, options, segmentationNode, folder, onProgress, onFinished))

    def showTumorSpread(self, segmentationNode: SegmentationNode) -> None:
        """Show the tumors within translucent lungs in the 3D views and point these at them."""
        if segmentationNode is None:
            raise ValueError(_("There is no segmentation to show."))
        mrml.show_surfaces(segmentationNode, True)
        views.frameTumors()

    def corrections(self, segmentationNode: SegmentationNode) -> Corrections:
        """Return what a person may do to its lesions: add, delete, confirm, reject, merge, split, reset, undo and more, without a window.

        Raises ValueError where there is no segmentation; so does each action that cannot be done.
        """
        if segmentationNode is None:
            raise ValueError(_("There is no segmentation to correct."))
        return Corrections(segmentationNode)

    def measureLesions(self, segmentationNode: SegmentationNode) -> None:
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

    def makePhantom(self, seed: int = PHANTOM_SEED) -> VolumeNode:
        """Return a synthetic chest CT with lesions as a new volume node, made by a child process; blocks until then."""
        return waiting.result_of(exports.phantomRun(seed))

    def startPhantom(self, onFinished: OnFinished = None, seed: int = PHANTOM_SEED) -> CommandRun:
        """Do the same without blocking: ``onFinished`` gets the returned handle, whose ``result`` or ``error`` is then set."""
        return waiting.watched(exports.phantomRun(seed, onFinished))

    def missingPackages(self) -> list[str]:
        """Return what has to be installed before a run: torch first where it is among them."""
        return installation.missingPackages()

    def installPackages(self) -> None:
        """Install them, once the user has agreed. Raises RuntimeError, with the way out, where something is still missing."""
        installation.installPackages()


class LungTumorSegWidget(ScriptedLoadableModuleWidget):
    """What Slicer shows of the module: the panel."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        self.logic: LungTumorSegLogic | None = None
        self.ui: Any = None
        self.panel: Any = None  # a Panel from setup on

    def setup(self) -> None:
        """Build the panel."""
        ScriptedLoadableModuleWidget.setup(self)
        widget = slicer.util.loadUI(self.resourcePath("UI/LungTumorSeg.ui"))
        self.layout.addWidget(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.ui = slicer.util.childWidgetVariables(widget)
        self.logic = LungTumorSegLogic()
        self.panel = Panel(self.ui, self.logic)
        if _isInFront():  # the module was reloaded: nobody enters it again
            self.enter()

    def cleanup(self) -> None:
        """Let go of everything when the module is unloaded."""
        if self.panel is not None:
            self.panel.close()

    def enter(self) -> None:
        """Give keys and views to the panel: the module was opened."""
        self.panel.enter()

    def exit(self) -> None:
        """Take keys and views from the panel: another module was opened."""
        self.panel.exit()


def _isInFront() -> bool:
    return slicer.util.mainWindow() is not None and slicer.util.selectedModule() == "LungTumorSeg"


class LungTumorSegTest(self_test.SelfTest):
    """The self-test with the module's logic."""

    logicClass = LungTumorSegLogic
