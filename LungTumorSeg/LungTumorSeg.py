"""LungTumorSeg in 3D Slicer: find and measure lung tumors in a chest CT with one click.

LungTumorSegLib computes the result in a child process, LungTumorSegLib.mrml loads it into the scene, and
LungTumorSegPanel is the panel. This file contains the four classes that Slicer expects: the module, its widget, its
logic (which needs no window) and its self-test.
"""

from collections.abc import Callable, Mapping
from typing import Any

import slicer
from LungTumorSegLib.mrml import segment_display
from LungTumorSegLib.mrml.corrections import Corrections
from LungTumorSegLib.mrml.live_table import LiveTable
from LungTumorSegLib.mrml.runs import start_run
from LungTumorSegLib.options import SegmentOptions
from LungTumorSegLib.process.command_run import CommandRun
from LungTumorSegLib.process.progress import RunProgress
from LungTumorSegLib.process.segmentation_run import SegmentationRun
from LungTumorSegLib.weights.manifest import DEFAULT_MODEL, Manifest, model_folders
from LungTumorSegPanel import effect, exports, installation, sample_data, self_test, views, waiting
from LungTumorSegPanel.batch_logic import BatchLogic
from LungTumorSegPanel.followup_logic import FollowUpLogic
from LungTumorSegPanel.outlining import OutliningLogic
from LungTumorSegPanel.panel import Panel
from LungTumorSegPanel.parameter_node import LungTumorSegParameterNode
from LungTumorSegPanel.parameters import takeModel, upgradeScene
from LungTumorSegPanel.saving import SavingLogic
from slicer import vtkMRMLScalarVolumeNode as VolumeNode
from slicer import vtkMRMLSegmentationNode as SegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)

Options = SegmentOptions | Mapping[str, Any] | None
OnFinished = Callable[[CommandRun], None] | None


class LungTumorSeg(ScriptedLoadableModule):
    """Describe the module to Slicer: title, category, help and acknowledgement."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Lung Tumor Segmentation")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["Segmentations", "SegmentEditor", "Markups"]  # used by the panel
        self.parent.contributors = ["The LungTumorSeg developers (organization to be filled in)"]
        self.parent.helpText = _(
            "This module finds, segments and measures lung tumors in a chest CT. Choose the CT, press Segment, check "
            "each lesion, and save the result. Tumors and lungs become segments, which you can correct."
            "<p><b>Research software, not a medical device.</b> A result without lesions does not exclude disease.</p>"
            '<p>See the <a href="https://github.com/LungTumorSeg/SlicerLungTumorSeg">documentation</a>.</p>'
        )
        self.parent.acknowledgementText = _(
            "Please cite: S. Najeeb and M. I. H. Bhuiyan, Spatial feature fusion in 3D convolutional autoencoders "
            "for lung tumor segmentation from 3D CT images, Biomedical Signal Processing and Control 78 (2022) 103996,"
            ' <a href="https://doi.org/10.1016/j.bspc.2022.103996">doi:10.1016/j.bspc.2022.103996</a>,'
            " and A. Fedorov et al., 3D Slicer as an image computing platform for the Quantitative Imaging Network,"
            ' Magnetic Resonance Imaging 30 (2012) 1323, <a href="https://doi.org/10.1016/j.mri.2012.05.001">'
            "doi:10.1016/j.mri.2012.05.001</a>."
        )
        slicer.app.connect("startupCompleted()", registerSampleData)
        slicer.app.connect("startupCompleted()", effect.register)


def registerSampleData() -> None:
    """Register the phantom in the Sample Data module."""
    sample_data.register(LungTumorSegLogic().startPhantom)


class LungTumorSegLogic(BatchLogic, FollowUpLogic, OutliningLogic, SavingLogic, ScriptedLoadableModuleLogic):
    """The functions of the module without its panel, for scripts, batch processing and tests."""

    def getParameterNode(self) -> LungTumorSegParameterNode:
        """Return the parameters of the scene; what an older version saved is upgraded first."""
        parameterNode: Any = LungTumorSegParameterNode(super().getParameterNode())  # type: ignore[call-arg]
        models = self.models()
        upgradeScene(parameterNode, models)
        if models and parameterNode.model not in models:
            takeModel(parameterNode, next(iter(models.values())))
        return parameterNode

    def segment(
        self, volumeNode: VolumeNode, options: Options = None, segmentationNode: SegmentationNode | None = None
    ) -> SegmentationNode:
        """Find the lung tumors in a CT; block until the result is in the scene. No window is needed.

        Args:
            volumeNode: The CT.
            options: SegmentOptions or a dict of its fields; ``probability=True`` also loads the probability map.
            segmentationNode: Receives the result; by default, and if it was edited by hand, a new node does.

        Returns:
            The segmentation node.

        Raises:
            ValueError: The input cannot be used.
            RuntimeError: The computer cannot complete the run, for example for lack of memory.
            Cancelled: The CT was removed from the scene during the run. The scene is unchanged after each error.
        """
        return waiting.result_of(
            start_run(volumeNode, options, segmentationNode, temporary_folder=slicer.app.temporaryPath)
        )

    def startSegmentation(
        self,
        volumeNode: VolumeNode,
        options: Options = None,
        onProgress: Callable[[RunProgress], None] | None = None,
        onFinished: Callable[[SegmentationRun], None] | None = None,
        segmentationNode: SegmentationNode | None = None,
    ) -> SegmentationRun:
        """Find the lung tumors in a CT without blocking; needs Qt's event loop.

        Args:
            volumeNode: The CT.
            options: See ``segment``.
            onProgress: Called with each progress report (``stage``, ``percent``, ``seconds_left``).
            onFinished: Called with the run at its end; its ``result`` (the segmentation node) or ``error`` is then set.
            segmentationNode: See ``segment``.

        Returns:
            The run, which has a method ``cancel()``.

        Raises:
            ValueError: The input cannot be used.
        """
        folder = slicer.app.temporaryPath
        return waiting.watch_run(
            start_run(
                volumeNode,
                options,
                segmentationNode,
                temporary_folder=folder,
                on_progress=onProgress,
                on_finished=onFinished,
            )
        )

    def showTumorSpread(self, segmentationNode: SegmentationNode) -> None:
        """Show the tumors within translucent lungs in the 3D views and fit the views to them.

        Raises:
            ValueError: There is no segmentation.
        """
        if segmentationNode is None:
            raise ValueError(_("There is no segmentation to show. Segment a CT first."))
        segment_display.show_surfaces(segmentationNode, True)
        views.frameTumors()

    def corrections(self, segmentationNode: SegmentationNode) -> Corrections:
        """Return the corrections of a segmentation, such as add, delete, confirm, merge and undo; needs no window.

        Raises:
            ValueError: There is no segmentation.
        """
        if segmentationNode is None:
            raise ValueError(_("There is no segmentation to correct. Segment a CT first."))
        return Corrections(segmentationNode)

    def measureLesions(self, segmentationNode: SegmentationNode) -> None:
        """Measure the current voxels and update the lesion table; block until this is done.

        Raises:
            ValueError: There is no segmentation, or the CT is not in the scene or has another grid.
        """
        if segmentationNode is None:
            raise ValueError(_("There is no segmentation to measure. Segment a CT first."))
        LiveTable(segmentationNode).measure_now()

    def models(self) -> dict[str, Manifest]:
        """Return the manifests of the installed models by model id, the default model first."""
        manifests = {name: Manifest.read(folder) for name, folder in model_folders().items()}
        return dict(sorted(manifests.items(), key=lambda item: (item[0] != DEFAULT_MODEL, item[0])))

    def makePhantom(self, seed: int = exports.PHANTOM_SEED) -> VolumeNode:
        """Create a synthetic chest CT with lesions in a child process; block until it is in the scene.

        Args:
            seed: Determines the anatomy and the lesions.

        Returns:
            The new volume node.
        """
        return waiting.result_of(exports.phantomRun(seed))

    def startPhantom(self, onFinished: OnFinished = None, seed: int = exports.PHANTOM_SEED) -> CommandRun:
        """Create a synthetic chest CT without blocking.

        Args:
            onFinished: Called with the run at its end; its ``result`` (the volume node) or ``error`` is then set.
            seed: See ``makePhantom``.

        Returns:
            The run.
        """
        return waiting.watch_run(exports.phantomRun(seed, onFinished))

    def missingPackages(self) -> list[str]:
        """Return the Python packages that a run needs and that are not installed, torch first."""
        return installation.missingPackages()

    def installPackages(self, openVino: bool = False) -> None:
        """Install the missing packages after the user has agreed; OpenVINO only if it was chosen.

        Raises:
            RuntimeError: A package is still missing; the message says what to do.
        """
        installation.installPackages(openVino=openVino)


class LungTumorSegWidget(ScriptedLoadableModuleWidget):
    """Connect the panel to Slicer: creation, module changes and cleanup."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        self.logic: LungTumorSegLogic | None = None
        self.ui: Any = None
        self.panel: Any = None  # a Panel after setup

    def setup(self) -> None:
        """Create the panel."""
        ScriptedLoadableModuleWidget.setup(self)
        widget = slicer.util.loadUI(self.resourcePath("UI/LungTumorSeg.ui"))
        self.layout.addWidget(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.ui = slicer.util.childWidgetVariables(widget)
        self.logic = LungTumorSegLogic()
        self.panel = Panel(self.ui, self.logic)
        if _isInFront():  # after a reload, Slicer does not call enter
            self.enter()

    def cleanup(self) -> None:
        """Release all resources when the module is unloaded."""
        if self.panel is not None:
            self.panel.close()

    def enter(self) -> None:
        """Give keyboard shortcuts and views to the panel when the module is opened."""
        self.panel.enter()

    def exit(self) -> None:
        """Take keyboard shortcuts and views from the panel when another module is opened."""
        self.panel.exit()


def _isInFront() -> bool:
    return slicer.util.mainWindow() is not None and slicer.util.selectedModule() == "LungTumorSeg"


class LungTumorSegTest(self_test.SelfTest):
    """Run the self-test with the logic of this module."""

    logicClass = LungTumorSegLogic
