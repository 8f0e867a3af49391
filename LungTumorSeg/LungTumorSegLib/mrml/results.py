"""Export of volumes from Slicer's scene and import of results into it.

The modules of this subpackage are:

- ``stored_lesions.py``: the lesions as the scene stores them;
- ``volume_nodes.py``: CTs and probability maps;
- ``segments.py``: the voxels of segments;
- ``corrections.py`` and ``live_table.py``: corrections by a person;
- ``segment_display.py`` and ``spread.py``: what the views show;
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
from vtk.util.numpy_support import vtk_to_numpy

from ..core.errors import MachineLimit
from ..core.json_files import write_json
from ..core.terminology import REVIEW_TAG
from ..core.volume import Array
from ..results.lesion_rows import columns_of, write_csv
from ..results.reader import RunFiles
from .nodes import (
    MEASURES_ATTRIBUTE,
    PROBABILITY_ROLE,
    SUMMARY_ATTRIBUTE,
    TABLE_ROLE,
    Node,
    free_name,
    one_drawing,
    place_beside,
    referenced,
    surface_name,
    turn_vectors,
)
from .segment_display import show_segments
from .stored_lesions import fill_table, keep_original, rows_with_marks, saved_summary, stored_rows, without_rejected
from .stored_lesions import lesions_of as lesions_of
from .stored_lesions import summary_of as summary_of
from .volume_nodes import show_probability

FINGERPRINT_ATTRIBUTE = "LungTumorSeg.Fingerprint"


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
    original = slicer.vtkSegmentation()
    original.DeepCopy(content)
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
    keep_original(segmentation, original)
    show_segments(segmentation)
    table = referenced(segmentation, TABLE_ROLE, "vtkMRMLTableNode", f"{segmentation.GetName()} table")
    fill_table(table, rows_with_marks(segmentation, run.summary["lesions"]))
    nodes = [segmentation, table]
    if run.probability is not None:
        map_node = referenced(
            segmentation, PROBABILITY_ROLE, "vtkMRMLScalarVolumeNode", f"{volume.GetName()} tumor probability"
        )
        show_probability(map_node, run.probability)
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
    write_json(paths[2], saved_summary(segmentation))
    return paths


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
            content.GetSegment(segment_id).AddRepresentation(surface_name(), surface)


def _checksum(layer: Node) -> int:
    voxels: Array = vtk_to_numpy(layer.GetPointData().GetScalars())
    return zlib.crc32(voxels[voxels != 0].tobytes())
