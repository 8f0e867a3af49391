"""What a scripted effect of the Segment Editor finds in Slicer, from Slicer's source (Modules/Loadable/Segmentations).

``Editor`` is the part of the editor widget that hosts the effects: it clones the registered ones, activates one of
them, and passes mouse and keys of a slice view to it. Slicer prints an error of an effect; here it fails the test.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

from .pythonqt import unwrap

ADD, SET, REMOVE = 0, 1, 2


class qSlicerSegmentEditorScriptedEffect:
    """The C++ side of an effect."""

    def __init__(self, parent: None = None) -> None:
        self.name = self.title = ""
        self.perSegment = self.requireSegments = True
        self.widgets: list[Any] = []
        self.editor: Editor | None = None
        self._self: Any = None

    def setPythonSource(self, path: str) -> bool:
        """Load a class from a file; the module has the name of the folder, the class that of the file.

        A module of that name that already has the class is not loaded again; one without it is replaced.
        """
        assert "\\" not in path
        folder, class_name = Path(path).parent.name, Path(path).stem
        assert class_name.endswith("Effect")
        if not hasattr(sys.modules.get(folder), class_name):
            assert folder not in sys.modules, f"the module {folder} would be replaced by the effect"
            spec = importlib.util.spec_from_file_location(folder, path)
            assert spec is not None
            assert spec.loader is not None
            sys.modules[folder] = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(sys.modules[folder])
        self._self = getattr(sys.modules[folder], class_name)(self)
        setattr(slicer, folder, self._self)
        return True

    def self(self) -> Any:
        """Return the Python side."""
        return self._self

    def addOptionsWidget(self, widget: Any) -> None:
        """Take a widget into the options of the effect, which become its parent."""
        assert self.editor is not None
        unwrap(widget).setParent(self.editor.options)
        self.widgets.append(widget)

    def parameterSetNode(self) -> Any:
        """Return the parameter node of the editor."""
        return self.editor.node if self.editor is not None else None

    def confirmCurrentSegmentVisible(self) -> int:
        """Return NotConfirmed (0) for a hidden segment, as if the user had cancelled; else ConfirmedWithoutDialog."""
        node = self.parameterSetNode()
        display = node.GetSegmentationNode().GetDisplayNode()
        return 1 if display is None or display.GetSegmentVisibility(node.GetSelectedSegmentID()) else 0

    def defaultModifierLabelmap(self) -> Any:
        """Return an empty image with the geometry of the segmentation."""
        segmentation, image = self.parameterSetNode().GetSegmentationNode(), slicer.vtkOrientedImageData()
        name = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
        geometry = segmentation.GetSegmentation().GetConversionParameter(name)
        slicer.vtkSegmentationConverter.DeserializeImageGeometry(geometry, image, True, vtk.VTK_UNSIGNED_CHAR, 1)
        return image

    def saveStateForUndo(self) -> None:
        """Save the segmentation in the history of the editor."""
        self.editor.history.SaveState()

    def modifySelectedSegmentByLabelmap(self, image: Any, mode: int) -> None:
        """Add an image to the selected segment where the masking settings allow it; others are overwritten by mode."""
        assert mode == ADD, "the stand-in can only add"
        node = self.parameterSetNode()
        segmentation, segment_id = node.GetSegmentationNode(), node.GetSelectedSegmentID()
        if node.GetMaskMode() != slicer.vtkMRMLSegmentationNode.EditAllowedEverywhere:
            allowed, masked = slicer.vtkOrientedImageData(), slicer.vtkOrientedImageData()
            segmentation.GenerateEditMask(allowed, node.GetMaskMode(), image, segment_id, node.GetMaskSegmentID() or "")
            masked.DeepCopy(image)
            slicer.vtkOrientedImageDataResample.ApplyImageMask(masked, allowed, 0, True)
            image = masked
        others = [i for i in segmentation.GetSegmentation().GetSegmentIDs() if i != segment_id]
        overwritten = [] if node.GetOverwriteMode() == node.OverwriteNone else others
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        assert logic.SetBinaryLabelmapToSegment(
            image, segmentation, segment_id, logic.MODE_MERGE_MASK, image.GetExtent(), False, overwritten
        )
        content = segmentation.GetSegmentation()
        layer = content.GetLayerIndex(segment_id)
        for other in (other for other in overwritten if content.GetLayerIndex(other) != layer):
            erased = slicer.vtkOrientedImageData()
            erased.DeepCopy(image)
            voxels = vtk_to_numpy(erased.GetPointData().GetScalars())
            voxels[:] = np.where(voxels > 0, 0, 255)
            logic.SetBinaryLabelmapToSegment(erased, segmentation, other, logic.MODE_MERGE_MIN, image.GetExtent(), True)


class AbstractScriptedSegmentEditorEffect:
    """Base class of the Python side of an effect."""

    def __init__(self, scriptedEffect: Any) -> None:
        self.scriptedEffect = scriptedEffect

    def register(self) -> None:
        """Register the effect for all editors; a name can be registered only once."""
        assert self.scriptedEffect.name not in Editor.registered
        Editor.registered[self.scriptedEffect.name] = self.scriptedEffect

    def xyToRas(self, xy: tuple[int, int], viewWidget: Any) -> list[float]:
        """Return a position in a slice view as RAS of the scene in mm."""
        to_ras = viewWidget.sliceLogic().GetSliceNode().GetXYToRAS()
        return list(to_ras.MultiplyPoint((*xy, 0, 1))[:3])


class SliceWidget:
    """The widget of a slice view."""

    def __init__(self, node: Any) -> None:
        self._node = node

    def className(self) -> str:
        """Return the name of the class in Slicer."""
        return "qMRMLSliceWidget"

    def sliceLogic(self) -> Any:
        """Return what has the node of the view."""
        return types.SimpleNamespace(GetSliceNode=lambda: self._node)


class ThreeDViewWidget:
    """The widget of a 3D view."""

    def className(self) -> str:
        """Return the name of the class in Slicer."""
        return "qMRMLThreeDWidget"


class Editor:
    """An editor widget with its own clone of one effect, on a segmentation, a segment and a CT."""

    registered: ClassVar[dict[str, Any]] = {}

    def __init__(self, effect_name: str, segmentation: Any, segment_id: str, ct: Any) -> None:
        from PySide6.QtWidgets import QWidget

        self.node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        self.node.SetAndObserveSegmentationNode(segmentation)
        self.node.SetAndObserveSourceVolumeNode(ct)
        self.node.SetSelectedSegmentID(segment_id)
        self.history = slicer.vtkSegmentationHistory()
        self.history.SetSegmentation(segmentation.GetSegmentation())
        self.options = QWidget()
        self.effect = self.registered[effect_name].self().clone()
        self.effect.editor = self
        self.effect.self().setupOptionsFrame()
        self.view = SliceWidget(slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceNode"))
        self.interactor = vtk.vtkGenericRenderWindowInteractor()

    def activate(self) -> None:
        """Choose the effect."""
        self.effect.self().activate()

    def deactivate(self) -> None:
        """Choose no effect, like the editor's shortcut Escape."""
        self.effect.self().deactivate()

    def choose_ct(self, node: Any) -> None:
        """Choose another source volume."""
        self.node.SetAndObserveSourceVolumeNode(node)
        self.effect.self().sourceVolumeNodeChanged()

    def mouse(self, event: int, point_ras: Any, *, view: Any = None, ctrl: bool = False, shift: bool = False) -> bool:
        """Pass an event of the mouse at a point to the effect; the slice view moves to the point first."""
        node = self.view.sliceLogic().GetSliceNode()
        node.JumpSliceByCentering(*point_ras)
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(node.GetXYToRAS(), inverse)
        x, y = inverse.MultiplyPoint((*point_ras, 1))[:2]
        self.interactor.SetEventInformation(round(x), round(y), int(ctrl), int(shift))
        aborted = self.effect.self().processInteractionEvents(self.interactor, event, view or self.view)
        assert isinstance(aborted, bool), "Slicer takes nothing else"
        return aborted

    def stroke(self, *points_ras: Any, ctrl: bool = False) -> None:
        """Press the mouse button at the first point, move over the others, and release it; one point is a click."""
        assert self.mouse(vtk.vtkCommand.LeftButtonPressEvent, points_ras[0], ctrl=ctrl)
        for point in points_ras[1:]:
            assert self.mouse(vtk.vtkCommand.MouseMoveEvent, point, ctrl=ctrl)
        assert self.mouse(vtk.vtkCommand.LeftButtonReleaseEvent, points_ras[-1], ctrl=ctrl)

    def press(self, key: str) -> bool:
        """Press a key in the slice view; return whether the effect takes it."""
        self.interactor.SetKeySym(key)
        return self.effect.self().processInteractionEvents(self.interactor, vtk.vtkCommand.KeyPressEvent, self.view)


def install(module: Any) -> None:
    """Make the modules of the effects importable; ``module`` creates a module from a name and its content."""
    Editor.registered.clear()
    slicer.qSlicerSegmentEditorAbstractEffect = types.SimpleNamespace(
        ModificationModeAdd=ADD, ModificationModeSet=SET, ModificationModeRemove=REMOVE
    )
    module("SegmentEditorEffects", AbstractScriptedSegmentEditorEffect=AbstractScriptedSegmentEditorEffect)
    module(
        "qSlicerSegmentationsEditorEffectsPythonQt",
        qSlicerSegmentEditorScriptedEffect=qSlicerSegmentEditorScriptedEffect,
    )
