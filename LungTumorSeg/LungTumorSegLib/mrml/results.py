"""Export of volumes from Slicer's scene and import of results into it.

The modules of this subpackage are:

- ``stored_lesions.py``: the lesions as the scene stores them;
- ``segments.py``: the voxels of segments;
- ``corrections.py`` and ``live_table.py``: corrections by a person;
- ``spread.py``: the display of the spread;
- ``followup.py``: the comparison with an earlier result;
- ``nodes.py``: shared helpers.

They run in Slicer and on slicer-core alone. They therefore take the scene from the nodes and need no module,
application or window.
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
from .stored_lesions import fill_table, keep_answer, rows_with_marks, saved_summary, stored_rows, without_rejected
from .stored_lesions import lesions_of as lesions_of
from .stored_lesions import summary_of as summary_of

CT_ATTRIBUTE = "LungTumorSeg.CT"
"""Marks the volumes that the panel's selector offers."""

AIR_BELOW_HU = -200
"""A CT in HU has values below this one (air, lung; fat is at -100); MR and other images do not."""

SAMPLED_VOXELS = 100_000
"""Number of voxels that are checked for air, which fills a large part of any CT.

Checking all voxels of a CT (80 million) takes a second."""

FINGERPRINT_ATTRIBUTE = "LungTumorSeg.Fingerprint"

LUNG_OPACITY_3D = 0.25
TUMOR_FILL_2D, LUNG_FILL_2D, DIMMED_FILL_2D = 0.45, 0.0, 0.15


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


@one_drawing()
def load_results(run: RunFiles, volume: Node, segmentation: Node | None = None) -> Node:
    """Load the result of a run into the scene: the segmentation, its lesion table and, if read, the probability map.

    All nodes get the parent transform of the volume and its place in the subject hierarchy.

    Args:
        run: The files of the run.
        volume: The CT that was segmented.
        segmentation: The segmentation node to update; None creates a new one.

    Returns:
        The segmentation node.

    Raises:
        MachineLimit: The segmentation cannot be read; the scene is unchanged.
    """
    content = read_segmentation(run.segmentation)
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
        place_beside(node, volume)
    return segmentation


def is_edited(segmentation: Node) -> bool:
    """Return whether a person changed voxels, names or colors of the segments, or reviewed a lesion, since the run."""
    content = segmentation.GetSegmentation()
    if any(content.GetNthSegment(i).HasTag(REVIEW_TAG) for i in range(content.GetNumberOfSegments())):
        return True
    stored = segmentation.GetAttribute(FINGERPRINT_ATTRIBUTE)
    return stored is None or stored not in (fingerprint(segmentation), fingerprint(segmentation, colors=False))


def fingerprint(segmentation: Node, *, colors: bool = True) -> str:
    """Return names and colors of all segments with a checksum of their voxels.

    Padding and cropping, as done by saving, do not change the fingerprint.

    Args:
        segmentation: The segmentation node.
        colors: False omits the colors, as scenes of version 1 do.
    """
    content = segmentation.GetSegmentation()
    segments = [content.GetNthSegment(i) for i in range(content.GetNumberOfSegments())]
    named = [[s.GetName(), *(round(255 * part) for part in s.GetColor())] if colors else s.GetName() for s in segments]
    layers = [
        content.GetLayerDataObject(i, content.GetSourceRepresentationName()) for i in range(content.GetNumberOfLayers())
    ]
    return json.dumps([named, *(_checksum(layer) for layer in layers)])


def ct_of(segmentation: Node) -> Node:
    """Return the volume that was segmented; None if it is not in the scene."""
    return segmentation.GetNodeReference(slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole())


def series_number(node: Node) -> str:
    """Return the DICOM series number of a volume; empty if it does not come from DICOM."""
    return _series_attribute(node, "DICOM.SeriesNumber")


def file_name(node: Node) -> str:
    """Return the name of the node without characters that are not allowed in file names."""
    return re.sub(r"[^\w.()+ -]+", "_", node.GetName()).strip()


def save_results(segmentation: Node, folder: Path, prefix: str = "") -> list[Path]:
    """Write segmentation.seg.nrrd, lesions.csv and summary.json.

    No file contains the name of a node or of a patient. Rejected lesions are listed only in summary.json.

    Args:
        segmentation: The segmentation node.
        folder: The output folder, created if needed.
        prefix: Put before each file name.

    Returns:
        The paths of the files.

    Raises:
        OSError: A file cannot be written.
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
    """Center all slice views on the lesion, with the parent transform of the segmentation applied."""
    world = [0.0, 0.0, 0.0]
    segmentation.TransformPointToWorld(ras_of(lesion.centroid_lps), world)
    slicer.vtkMRMLSliceNode.JumpAllSlices(segmentation.GetScene(), *world, slicer.vtkMRMLSliceNode.CenteredJumpSlice)


@one_drawing()
def highlight(segmentation: Node, segment_name: str | None) -> None:
    """Highlight one tumor in the slice views by dimming the others; None shows all alike."""
    display = segmentation.GetDisplayNode()
    for segment_id, name in _tumor_segments(segmentation):
        display.SetSegmentOpacity2DFill(segment_id, TUMOR_FILL_2D if segment_name in (None, name) else DIMMED_FILL_2D)


def show_lesions_by_review(scene: Node) -> None:
    """Show every lesion of every result in the scene, except for rejected lesions.

    When a scene with several segmentations is loaded, Slicer's list of segments hides segments. Call this function
    after an import, once Slicer's widgets have processed the new nodes.
    """
    with one_drawing():
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene):
            if is_result(node) and node.GetDisplayNode() is not None:
                for info in segment_infos(node.GetSegmentation()):
                    if may_be_lesion(info):
                        node.GetDisplayNode().SetSegmentVisibility(info.id, info.review != REJECTED)


def is_result(segmentation: Node) -> bool:
    """Return whether the segmentation was measured, by a run of this extension or after a correction."""
    return any(segmentation.GetAttribute(name) for name in (SUMMARY_ATTRIBUTE, MEASURES_ATTRIBUTE))


@one_drawing()
def show_lungs(segmentation: Node, visible: bool) -> None:
    """Show or hide the lungs in all views; tumors are unchanged."""
    tumors = {segment_id for segment_id, _ in _tumor_segments(segmentation)}
    for segment_id in segmentation.GetSegmentation().GetSegmentIDs():
        if segment_id not in tumors:
            segmentation.GetDisplayNode().SetSegmentVisibility(segment_id, visible)


@one_drawing()
def show_surfaces(segmentation: Node, visible: bool) -> None:
    """Show or hide the surfaces in the 3D views; surfaces that did not come with the result are created."""
    if visible and not segmentation.GetSegmentation().ContainsRepresentation(_surface_name()):
        segmentation.CreateClosedSurfaceRepresentation()
    segmentation.GetDisplayNode().SetVisibility3D(visible)


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


def read_segmentation(path: Path) -> Node:
    """Return the vtkSegmentation in a file.

    It is read in a temporary scene, so that nothing else, such as the name of a temporary file, enters the user's
    scene.

    Raises:
        MachineLimit: The file cannot be read.
    """
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    if not storage.ReadData(node):
        raise MachineLimit("The run left no readable segmentation; run it again.")
    return node.GetSegmentation()


def _holds_air(image: Node) -> bool:
    """Return whether a sample of the voxels of a vtkImageData includes values of air.

    The step between samples is odd, so that they cover all columns of a slice.
    """
    scalars = image.GetPointData().GetScalars()
    if scalars is None:
        return False
    voxels = vtk_to_numpy(scalars)
    return bool((voxels[:: len(voxels) // SAMPLED_VOXELS | 1] <= AIR_BELOW_HU).any())


def _add_surfaces(content: Node, folder: Path) -> None:
    """Add to each segment the surface that the child process wrote: <segment id>.vtp, points in LPS mm.

    Slicer creates missing surfaces itself.
    """
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
    """Return id and name of the segments that are lesions, including rejected ones."""
    infos = segment_infos(segmentation.GetSegmentation())
    return [(info.id, info.name) for info in infos if may_be_lesion(info)]


def new_volume(scene: Node, volume: Volume, name: str) -> Node:
    """Return a new volume node for a CT that was read from a file; its voxels are not copied."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", free_name(scene, name))
    _set_voxels(node, volume)
    node.CreateDefaultDisplayNodes()
    return node


def _fill_volume(node: Node, volume: Volume) -> None:
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


def place_beside(node: Node, volume: Node) -> None:
    """Put a node under the volume's parent transform and into its study in the subject hierarchy.

    Slicer's DICOM export looks for the CT in that study.
    """
    if node.IsA("vtkMRMLTransformableNode"):
        node.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volume.GetScene())
    volume_item = hierarchy.GetItemByDataNode(volume)
    if volume_item != hierarchy.GetInvalidItemID():
        hierarchy.CreateItem(hierarchy.GetItemParent(volume_item), node)  # moves an existing item


def _checksum(layer: Node) -> int:
    voxels: Array = vtk_to_numpy(layer.GetPointData().GetScalars())
    return zlib.crc32(voxels[voxels != 0].tobytes())


def _series_attribute(node: Node, name: str) -> str:
    """Return an attribute that Slicer's DICOM import stored with the volume's series; empty if it is missing."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    item = hierarchy.GetItemByDataNode(node)
    return "" if item == hierarchy.GetInvalidItemID() else str(hierarchy.GetItemAttribute(item, name))
