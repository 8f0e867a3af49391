"""The panel with its sections in the order of the workflow, from Segment to Save, and Batch for many CTs."""

from typing import TYPE_CHECKING, Any

import slicer
import vtk
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml import segment_display, volume_nodes
from LungTumorSegLib.mrml.nodes import Node
from slicer.util import VTKObservationMixin

from .batch_section import BatchSection
from .correct_section import CorrectSection
from .followup_section import FollowUpSection
from .lesion_table import LesionTable
from .run_section import RunSection
from .save_section import SaveSection
from .spread_section import SpreadSection
from .timers import makeTimer
from .views import LUNG_WINDOW

if TYPE_CHECKING:
    from LungTumorSeg import LungTumorSegLogic


class Panel(VTKObservationMixin):
    """Coordinate the sections, the parameter node of the scene and the displayed segmentation."""

    def __init__(self, ui: Any, logic: "LungTumorSegLogic") -> None:
        VTKObservationMixin.__init__(self)
        self.ui, self.logic = ui, logic
        self.parameterNode: Any = None
        self._guiTag: Any = None
        self._entered = False
        self._shown: Node = None  # the segmentation shown by all sections
        ui.inputSelector.addAttribute("vtkMRMLScalarVolumeNode", volume_nodes.CT_ATTRIBUTE, "1")
        self.lesions = LesionTable(ui, self._onChosen)
        self.run = RunSection(ui, logic, self._onResult)
        self.correct = CorrectSection(ui, logic, self.lesions.chosenIds, self.refresh)
        self.spread = SpreadSection(ui)
        self.followUp = FollowUpSection(ui, logic, self.correct.finish)
        self.save = SaveSection(ui, logic, self.correct.finish)
        self.batch = BatchSection(ui, logic, self._onLoaded)
        self._nodesTimer = makeTimer(0, self._offerVolumes, singleShot=True)
        self._sceneTimer = makeTimer(0, self._takeScene, singleShot=True)
        for event, method in (
            (slicer.mrmlScene.StartCloseEvent, self._onSceneStartClose),
            (slicer.mrmlScene.EndCloseEvent, self._onOtherScene),
            (slicer.mrmlScene.EndImportEvent, self._onOtherScene),
            (slicer.mrmlScene.NodeAddedEvent, self._onNodesChanged),
            (slicer.mrmlScene.NodeRemovedEvent, self._onNodesChanged),
        ):
            self.addObserver(slicer.mrmlScene, event, method)
        self._takeParameterNode()

    def enter(self) -> None:
        """Respond to the opening of the module."""
        self._entered = True
        self._takeParameterNode()
        self.correct.activate()

    def exit(self) -> None:
        """Respond to the opening of another module."""
        self._entered = False
        self.correct.deactivate()

    def close(self) -> None:
        """Release all resources for good."""
        self.run.close()
        self.followUp.close()
        self.save.close()
        self.batch.close()
        self._nodesTimer.stop()
        self._sceneTimer.stop()
        self.correct.close()
        self.logic.closeOutlines()
        self._releaseParameterNode()
        self.removeObservers()

    # Scene and parameter node

    def _onSceneStartClose(self, caller: Any, event: Any) -> None:
        self._setParameterNode(None)
        self.correct.close()

    def _onOtherScene(self, caller: Any, event: Any) -> None:
        self._sceneTimer.start()  # not in the event: Slicer's widgets do not know the new nodes yet

    def _takeScene(self) -> None:
        """Update the panel once all widgets have processed a closed or imported scene."""
        segment_display.show_lesions_by_review(slicer.mrmlScene)
        if self._entered:  # otherwise in enter
            self._takeParameterNode()

    def _takeParameterNode(self) -> None:
        self._setParameterNode(self.logic.getParameterNode())
        self._offerVolumes()

    def _setParameterNode(self, parameterNode: Any) -> None:
        self._releaseParameterNode()
        self.parameterNode = parameterNode
        self.run.follow(parameterNode)
        self.batch.follow(parameterNode)
        if parameterNode is not None:
            self._guiTag = parameterNode.connectGui(self.ui)
            self.addObserver(parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersChanged)
        self._onParametersChanged()

    def _releaseParameterNode(self) -> None:
        if self.parameterNode is not None:
            self.parameterNode.disconnectGui(self._guiTag)
            self.removeObserver(self.parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParametersChanged)
            self.parameterNode = None

    def _onParametersChanged(self, caller: Any = None, event: Any = None) -> None:
        segmentation = self.parameterNode.outputSegmentation if self.parameterNode is not None else None
        if segmentation is not self._shown or segmentation is None:
            self._shown = segmentation
            for section in (self.lesions, self.correct, self.spread, self.followUp, self.save):
                section.show(segmentation)
            self.refresh()
        self.run.refresh()

    def _onNodesChanged(self, caller: Any, event: Any) -> None:
        self._nodesTimer.start()  # once for all nodes of a loaded scene

    def _offerVolumes(self) -> None:
        """Mark the CTs of the scene for the selector, and select the first one if none is selected."""
        if self.parameterNode is None:
            return
        volumes = [
            node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if volume_nodes.mark_if_ct(node)
        ]
        if self.parameterNode.inputVolume is None and volumes:
            self.parameterNode.inputVolume = volumes[0]
        self._onParametersChanged()
        self.followUp.refresh()
        self.batch.refresh()

    # Signals from one section to the others

    def _onResult(self) -> None:
        self.lesions.show(self._shown)  # a second run may reuse the segmentation
        self.refresh()
        self.lesions.setWindow(LUNG_WINDOW)
        if self.ui.show3DCheckBox.checked:
            self.logic.showTumorSpread(self._shown)

    def _onLoaded(self, segmentation: Node) -> None:
        """Show a result of a batch."""
        if self.parameterNode is not None:
            self._offerVolumes()  # its CT may have come with it
            self.parameterNode.inputVolume = mrml.ct_of(segmentation)
            self.parameterNode.outputSegmentation = segmentation
            self._onResult()

    def refresh(self) -> None:
        """Update all sections that depend on the lesion table."""
        self.lesions.refresh()
        self.save.refresh()
        self.spread.refresh()

    def _onChosen(self) -> None:
        self.correct.onChosen()
