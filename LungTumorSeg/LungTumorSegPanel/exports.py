"""Exports that need the application or a child process: picture of the 3D view, report, phantom and DICOM."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import slicer
from LungTumorSegLib.io.nrrd import write_nrrd
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.process.command_run import CommandRun
from slicer.i18n import tr as _

OnFinished = Callable[[CommandRun], None] | None


def savePicture(path: Path) -> list[Path]:
    """Save a picture of the 3D view, if there is one, and return the paths of the files."""
    layoutManager = slicer.app.layoutManager()
    if layoutManager is None or layoutManager.threeDViewCount == 0:
        return []
    import ScreenCapture

    capture = ScreenCapture.ScreenCaptureLogic()
    viewNode = layoutManager.activeMRMLThreeDViewNode()
    capture.captureImageFromView(capture.viewFromNode(viewNode), str(path))
    return [path]


def reportRun(segmentationNode: Node, folder: Path, namePrefix: str, onFinished: OnFinished = None) -> CommandRun:
    """Start writing report.html beside the saved files in ``folder``; see ``LungTumorSegLogic.startReport``.

    Raises:
        RuntimeError: The CT is not in the scene.
    """
    volumeNode = mrml.ct_of(segmentationNode)
    if volumeNode is None:
        raise RuntimeError(_("The CT of this segmentation is not in the scene, so there is no report."))
    volume = mrml.volume_of_node(volumeNode)  # a view, which keeps the voxels alive
    saved, summary = (str(folder / f"{namePrefix}{name}") for name in ("segmentation.seg.nrrd", "summary.json"))

    def export(private: Path, stop: threading.Event) -> None:
        write_nrrd(volume, private / "input.nrrd", stop)

    def arguments(private: Path) -> list[str]:
        ct, output = str(private / "input.nrrd"), str(private / "measured")
        return ["measure", ct, saved, "-o", output, "--run-summary", summary]

    return CommandRun(
        arguments,
        lambda private: Path(shutil.copy(private / "measured" / "report.html", folder / f"{namePrefix}report.html")),
        temporary_folder=slicer.app.temporaryPath,
        failure=_("The report could not be made."),
        prepare=export,
        on_finished=onFinished,
    )


def phantomRun(seed: int, onFinished: OnFinished = None) -> CommandRun:
    """Start creating a synthetic chest CT as a new volume node; see ``LungTumorSegLogic.startPhantom``."""
    return CommandRun(
        lambda private: ["phantom", "-o", str(private / "phantom"), "--seed", str(seed)],
        lambda private: mrml.load_volume(private / "phantom" / "ct.nii.gz", slicer.mrmlScene, _("Lung tumor phantom")),
        temporary_folder=slicer.app.temporaryPath,
        failure=_("The phantom could not be made."),
        on_finished=onFinished,
    )


def saveDicom(segmentationNode: Node, folder: Path) -> Path:
    """Export the segmentation with Slicer's own DICOM exporter and return the folder.

    Raises:
        RuntimeError: The CT was not loaded from DICOM, or the exporter reports a problem.
    """
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
