"""Volume nodes: their voxels, which of them are CTs, and new ones."""

from __future__ import annotations

from pathlib import Path

import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..core.errors import MachineLimit
from ..core.volume import Volume
from .nodes import PROBABILITY_ROLE, Node, affine_of, free_name, matrix_of

CT_ATTRIBUTE = "LungTumorSeg.CT"
"""Marks the volumes that the panel's selector offers."""

AIR_BELOW_HU = -200
"""A CT in HU has values below this one (air, lung; fat is at -100); MR and other images do not."""

SAMPLED_VOXELS = 100_000
"""Number of voxels that are checked for air, which fills a large part of any CT.

Checking all voxels of a CT (80 million) takes a second."""


def volume_of_node(node: Node) -> Volume:
    """Return the voxels (a view) and the geometry of a scalar volume node, without its parent transform.

    Raises:
        ValueError: The node is not a CT (missing, empty, a label map or with several components), or its axes are
            sheared.
    """
    if node is None or not node.IsA("vtkMRMLScalarVolumeNode") or node.IsA("vtkMRMLLabelMapVolumeNode"):
        raise ValueError("Choose a CT volume.")
    image = node.GetImageData()
    if image is None or image.GetPointData() is None or image.GetPointData().GetScalars() is None:
        raise ValueError(f"The volume {node.GetName()} has no voxels; load it again.")
    if image.GetNumberOfScalarComponents() != 1:
        raise ValueError(f"The volume {node.GetName()} has several values per voxel; choose a CT volume.")
    array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return Volume(array, affine_of(matrix))


def probability_of(segmentation: Node) -> Volume:
    """Return the tumor probability map of a result, with the axes of its masks.

    Raises:
        ValueError: The map is not in the scene.
    """
    node = segmentation.GetNodeReference(PROBABILITY_ROLE)
    if node is None:
        raise ValueError(
            "The tumor probability map of this result is not in the scene; load it with the next run (Advanced)."
        )
    probability = volume_of_node(node)
    return probability.canonical_axes().apply(probability)  # a file may store other axes


def mark_if_ct(node: Node) -> bool:
    """Return whether a volume can be a CT, and mark it for the panel's selector if so.

    The DICOM modality decides. A volume without DICOM information is a CT if it has values of air.
    """
    modality = _series_attribute(node, "DICOM.Modality")
    image = node.GetImageData()
    if node.IsA("vtkMRMLLabelMapVolumeNode") or image is None or image.GetNumberOfScalarComponents() != 1:
        is_ct = False
    else:
        is_ct = modality == "CT" if modality else _holds_air(image)
    wanted = "1" if is_ct else None
    if node.GetAttribute(CT_ATTRIBUTE) != wanted:
        node.SetAttribute(CT_ATTRIBUTE, wanted)
    return is_ct


def series_number(node: Node) -> str:
    """Return the DICOM series number of a volume; empty if it does not come from DICOM."""
    return _series_attribute(node, "DICOM.SeriesNumber")


def load_volume(path: Path, scene: Node, name: str) -> Node:
    """Load an image file as a volume node that does not refer to the file.

    Raises:
        MachineLimit: The file cannot be read.
    """
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", free_name(scene, name))
    if not storage.ReadData(node):
        scene.RemoveNode(node)
        raise MachineLimit(f"{path} could not be read; try again.")
    node.CreateDefaultDisplayNodes()
    return node


def _holds_air(image: Node) -> bool:
    """Return whether a sample of the voxels of a vtkImageData includes values of air.

    The step between samples is odd, so that they cover all columns of a slice.
    """
    scalars = image.GetPointData().GetScalars()
    if scalars is None:
        return False
    voxels = vtk_to_numpy(scalars)
    return bool((voxels[:: len(voxels) // SAMPLED_VOXELS | 1] <= AIR_BELOW_HU).any())


def new_volume(scene: Node, volume: Volume, name: str) -> Node:
    """Return a new volume node for a CT that was read from a file; its voxels are not copied."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", free_name(scene, name))
    _set_voxels(node, volume)
    node.CreateDefaultDisplayNodes()
    return node


def show_probability(node: Node, volume: Volume) -> None:
    """Display the probability map without copying it, in a fixed window of 0 to 1.

    To choose a window itself, Slicer would read every voxel.
    """
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().AutoWindowLevelOff()
        node.GetDisplayNode().SetWindowLevelMinMax(0.0, 1.0)
    _set_voxels(node, volume)


def _set_voxels(node: Node, volume: Volume) -> None:
    image = vtk.vtkImageData()
    image.SetDimensions(*volume.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(volume.array.ravel()))  # keeps the array alive
    node.SetIJKToRASMatrix(matrix_of(volume.affine))
    node.SetAndObserveImageData(image)


def _series_attribute(node: Node, name: str) -> str:
    """Return an attribute that Slicer's DICOM import stored with the volume's series; empty if it is missing."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    item = hierarchy.GetItemByDataNode(node)
    return "" if item == hierarchy.GetInvalidItemID() else str(hierarchy.GetItemAttribute(item, name))
