"""Volumes out of Slicer's scene, results into it.

In this room, ``lesion_table.py`` holds the lesion table, ``segments.py`` the voxels of segments, ``corrections.py`` and ``live_table.py``
what a person changes, ``spread.py`` what is drawn of the spread, ``nodes.py`` what all share. They run in Slicer and on slicer-core alone,
so they take the scene from the nodes and need no module, application or window.
"""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path

import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..core.errors import MachineLimit
from ..core.selection import may_be_lesion
from ..core.terminology import REJECTED, REVIEW_TAG
from ..core.volume import Array, Volume
from ..results.lesion_rows import LesionRow, columns_of, write_csv
from ..results.reader import RunFiles
from .lesion_table import fill_table, keep_answer, rows_with_marks, saved_summary, stored_rows, without_rejected
from .lesion_table import lesions_of as lesions_of
from .lesion_table import summary_of as summary_of
from .nodes import (
    MEASURES_ATTRIBUTE,
    PROBABILITY_ROLE,
    SUMMARY_ATTRIBUTE,
    TABLE_ROLE,
    Node,
    affine_of,
    free_name,
    matrix_of,
    one_drawing,
    ras_of,
    referenced,
    turn_vectors,
)
from .segments import segment_infos

CT_ATTRIBUTE = "LungTumorSeg.CT"
"""Marks the volumes that the panel's selector offers."""

AIR_BELOW_HU = -200
"""A CT in HU holds values below it (air, lung, fat at -100 do); MR and other images do not."""

SAMPLED_VOXELS = 100_000
"""So many voxels tell whether there is air, which is a large part of any CT; a look at all of 80 million takes a second."""

FINGERPRINT_ATTRIBUTE = "LungTumorSeg.Fingerprint"

LUNG_OPACITY_3D = 0.25
TUMOR_FILL_2D, LUNG_FILL_2D, DIMMED_FILL_2D = 0.45, 0.0, 0.15


def volume_of_node(node: Node) -> Volume:
    """The voxels (a view) and geometry of a scalar volume node, its parent transform left out.

    Raises ValueError where the node is no CT: missing, empty, a label map or of several components; or has sheared axes.
    """
    if node is None or not node.IsA("vtkMRMLScalarVolumeNode") or node.IsA("vtkMRMLLabelMapVolumeNode"):
        raise ValueError("Choose a CT volume.")
    image = node.GetImageData()
    if image is None or image.GetPointData() is None or image.GetPointData().GetScalars() is None:
        raise ValueError(f"The volume {node.GetName()} has no voxels; load it again.")
    if image.GetNumberOfScalarComponents() != 1:
        raise ValueError(f"The volume {node.GetName()} has several values a voxel; choose a CT volume.")
    array = vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return Volume(array, affine_of(matrix))


def mark_if_ct(node: Node) -> bool:
    """Whether a volume may be a CT: DICOM says so or, without DICOM, it holds values of air. Marked for the panel's selector."""
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


@one_drawing()
def load_results(run: RunFiles, volume: Node, segmentation: Node | None = None) -> Node:
    """Bring the result of a run on ``volume`` into its scene: the segmentation, its lesion table, the probability map where it was read.

    ``segmentation`` is updated where given, else a new node is made. All take the volume's parent transform and stand beside it in the
    subject hierarchy. Raises MachineLimit, the scene untouched, where the segmentation cannot be read.
    """
    content = _read_segmentation(run.segmentation)
    answer = slicer.vtkSegmentation()
    answer.DeepCopy(content)
    _add_surfaces(content, run.folder)
    scene = volume.GetScene()
    if segmentation is None:
        name = free_name(scene, f"{volume.GetName()} tumors")
        segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    segmentation.SetAndObserveSegmentation(content)
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentation.SetAttribute(SUMMARY_ATTRIBUTE, json.dumps(run.summary))
    segmentation.SetAttribute(FINGERPRINT_ATTRIBUTE, fingerprint(segmentation))
    segmentation.SetAttribute(MEASURES_ATTRIBUTE, None)
    keep_answer(segmentation, answer)
    _show_segments(segmentation)
    table = referenced(segmentation, TABLE_ROLE, "vtkMRMLTableNode", f"{segmentation.GetName()} table")
    fill_table(table, rows_with_marks(segmentation, run.summary["lesions"]))
    nodes = [segmentation, table]
    if run.probability is not None:
        map_node = referenced(
            segmentation, PROBABILITY_ROLE, "vtkMRMLScalarVolumeNode", f"{volume.GetName()} tumor probability"
        )
        _fill_volume(map_node, run.probability)
        nodes.append(map_node)
    for node in nodes:
        _place_beside(node, volume)
    return segmentation


def is_edited(segmentation: Node) -> bool:
    """True unless voxels, names and colors of the segments are those that a run once put there and nobody has said anything of a lesion."""
    content = segmentation.GetSegmentation()
    if any(content.GetNthSegment(i).HasTag(REVIEW_TAG) for i in range(content.GetNumberOfSegments())):
        return True
    stored = segmentation.GetAttribute(FINGERPRINT_ATTRIBUTE)
    return stored is None or stored not in (fingerprint(segmentation), fingerprint(segmentation, colors=False))


def fingerprint(segmentation: Node, *, colors: bool = True) -> str:
    """Names and colors of all segments and a checksum of their voxels; padding and cropping, as saving does, do not change it.

    Without ``colors`` it is that of scenes of version 1.
    """
    content = segmentation.GetSegmentation()
    segments = [content.GetNthSegment(i) for i in range(content.GetNumberOfSegments())]
    named = [[s.GetName(), *(round(255 * part) for part in s.GetColor())] if colors else s.GetName() for s in segments]
    layers = [
        content.GetLayerDataObject(i, content.GetSourceRepresentationName()) for i in range(content.GetNumberOfLayers())
    ]
    return json.dumps([named, *(_checksum(layer) for layer in layers)])


def ct_of(segmentation: Node) -> Node:
    """The volume on which the segmentation was made; None where it is gone."""
    return segmentation.GetNodeReference(slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole())


def series_number(node: Node) -> str:
    """The DICOM series number of a volume; empty where it did not come from DICOM."""
    return _series_attribute(node, "DICOM.SeriesNumber")


def file_name(node: Node) -> str:
    """The node's name without what file systems do not take."""
    return re.sub(r"[^\w.()+ -]+", "_", node.GetName()).strip()


def save_results(segmentation: Node, folder: Path, prefix: str = "") -> list[Path]:
    """Write segmentation.seg.nrrd, lesions.csv and summary.json into ``folder``, which is made if need be; returns the paths.

    None holds a node's name or a patient's. Lesions that a person has rejected stand in summary.json alone. Raises OSError where the
    disk fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{prefix}{name}" for name in ("segmentation.seg.nrrd", "lesions.csv", "summary.json")]
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(paths[0]))
    if not storage.WriteData(segmentation):
        raise OSError(f"{paths[0]} could not be written; choose another folder or free some space.")
    write_csv(columns_of(without_rejected(stored_rows(segmentation))), paths[1])
    paths[2].write_text(json.dumps(saved_summary(segmentation), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return paths


@one_drawing()
def jump_to(segmentation: Node, lesion: LesionRow) -> None:
    """Move all slice views to the lesion's center, where the segmentation's parent transform has it."""
    world = [0.0, 0.0, 0.0]
    segmentation.TransformPointToWorld(ras_of(lesion.centroid_lps), world)
    slicer.vtkMRMLSliceNode.JumpAllSlices(segmentation.GetScene(), *world, slicer.vtkMRMLSliceNode.CenteredJumpSlice)


@one_drawing()
def highlight(segmentation: Node, segment_name: str | None) -> None:
    """Let one tumor stand out in the slice views by dimming the others; None shows all alike."""
    display = segmentation.GetDisplayNode()
    for segment_id, name in _tumor_segments(segmentation):
        display.SetSegmentOpacity2DFill(segment_id, TUMOR_FILL_2D if segment_name in (None, name) else DIMMED_FILL_2D)


def show_lesions_by_review(scene: Node) -> None:
    """Show each lesion of each result in the scene, unless a person has rejected it.

    Slicer's list of segments hides segments when a scene with several segmentations is loaded. Call this after an import, once Slicer's
    widgets have seen the new nodes.
    """
    with one_drawing():
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene):
            if is_result(node) and node.GetDisplayNode() is not None:
                for info in segment_infos(node.GetSegmentation()):
                    if may_be_lesion(info):
                        node.GetDisplayNode().SetSegmentVisibility(info.id, info.review != REJECTED)


def is_result(segmentation: Node) -> bool:
    """Whether a run of ours, or a correction here, has measured the segmentation."""
    return any(segmentation.GetAttribute(name) for name in (SUMMARY_ATTRIBUTE, MEASURES_ATTRIBUTE))


@one_drawing()
def show_lungs(segmentation: Node, visible: bool) -> None:
    """Show or hide the lungs in all views; tumors stay."""
    tumors = {segment_id for segment_id, _ in _tumor_segments(segmentation)}
    for segment_id in segmentation.GetSegmentation().GetSegmentIDs():
        if segment_id not in tumors:
            segmentation.GetDisplayNode().SetSegmentVisibility(segment_id, visible)


@one_drawing()
def show_surfaces(segmentation: Node, visible: bool) -> None:
    """Show or hide the surfaces in the 3D views; those that did not come with the result are made first."""
    if visible and not segmentation.GetSegmentation().ContainsRepresentation(_surface_name()):
        segmentation.CreateClosedSurfaceRepresentation()
    segmentation.GetDisplayNode().SetVisibility3D(visible)


def load_volume(path: Path, scene: Node, name: str) -> Node:
    """A volume node from an image file, without a memory of the file."""
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(path))
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", free_name(scene, name))
    if not storage.ReadData(node):
        scene.RemoveNode(node)
        raise MachineLimit(f"{path} could not be read.")
    node.CreateDefaultDisplayNodes()
    return node


def _holds_air(image: Node) -> bool:
    """Whether some of the voxels of a vtkImageData are as low as air; a step between them that is odd meets all columns of a slice."""
    scalars = image.GetPointData().GetScalars()
    if scalars is None:
        return False
    voxels = vtk_to_numpy(scalars)
    return bool((voxels[:: len(voxels) // SAMPLED_VOXELS | 1] <= AIR_BELOW_HU).any())


def _read_segmentation(path: Path) -> Node:
    """The vtkSegmentation in a file, read in a scene of its own: nothing else of it, as a file name soon gone, gets into the user's."""
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    if not storage.ReadData(node):
        raise MachineLimit("The run left no readable segmentation; run it again.")
    return node.GetSegmentation()


def _add_surfaces(content: Node, folder: Path) -> None:
    """Gives each segment the surface that the child has drawn: <segment id>.vtp, points in LPS mm. Slicer makes missing ones itself."""
    for segment_id in content.GetSegmentIDs():
        path = folder / f"{segment_id}.vtp"
        if path.is_file():
            reader = vtk.vtkXMLPolyDataReader()
            reader.SetFileName(str(path))
            reader.Update()
            surface = reader.GetOutput()
            for vectors in (surface.GetPoints().GetData(), surface.GetPointData().GetNormals()):
                if vectors is not None:
                    turn_vectors(vtk_to_numpy(vectors))
            content.GetSegment(segment_id).AddRepresentation(_surface_name(), surface)


def _surface_name() -> str:
    return str(slicer.vtkSegmentationConverter.GetSegmentationClosedSurfaceRepresentationName())


def _show_segments(segmentation: Node) -> None:
    segmentation.CreateDefaultDisplayNodes()
    display = segmentation.GetDisplayNode()
    tumors = {segment_id for segment_id, _ in _tumor_segments(segmentation)}
    for segment_id in segmentation.GetSegmentation().GetSegmentIDs():
        is_tumor = segment_id in tumors
        display.SetSegmentOpacity3D(segment_id, 1.0 if is_tumor else LUNG_OPACITY_3D)
        display.SetSegmentOpacity2DFill(segment_id, TUMOR_FILL_2D if is_tumor else LUNG_FILL_2D)


def _tumor_segments(segmentation: Node) -> list[tuple[str, str]]:
    """Id and name of the segments that are lesions, whatever a person said of them."""
    infos = segment_infos(segmentation.GetSegmentation())
    return [(info.id, info.name) for info in infos if may_be_lesion(info)]


def _fill_volume(node: Node, volume: Volume) -> None:
    """Shows the map without a copy, in the window of probabilities: the window that Slicer would choose costs it a look at every voxel."""
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().AutoWindowLevelOff()
        node.GetDisplayNode().SetWindowLevelMinMax(0.0, 1.0)
    image = vtk.vtkImageData()
    image.SetDimensions(*volume.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(volume.array.ravel()))  # keeps the array alive
    node.SetIJKToRASMatrix(matrix_of(volume.affine))
    node.SetAndObserveImageData(image)


def _place_beside(node: Node, volume: Node) -> None:
    """Under the volume's parent transform, and into its study, where Slicer's DICOM export looks for it."""
    if node.IsA("vtkMRMLTransformableNode"):
        node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volume.GetScene())
    volume_item = hierarchy.GetItemByDataNode(volume)
    if volume_item != hierarchy.GetInvalidItemID():
        hierarchy.CreateItem(
            hierarchy.GetItemParent(volume_item), node
        )  # moves the item where the node has one already


def _checksum(layer: Node) -> int:
    voxels: Array = vtk_to_numpy(layer.GetPointData().GetScalars())
    return zlib.crc32(voxels[voxels != 0].tobytes())


def _series_attribute(node: Node, name: str) -> str:
    """An attribute that Slicer's DICOM import keeps with the volume's series; empty where there is none."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    item = hierarchy.GetItemByDataNode(node)
    return "" if item == hierarchy.GetInvalidItemID() else str(hierarchy.GetItemAttribute(item, name))
