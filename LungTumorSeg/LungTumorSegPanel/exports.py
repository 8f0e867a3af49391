"""What the application adds to the saved files: the 3D view's picture, the report of a child process, Slicer's own DICOM export."""

import os
import shutil
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import slicer
from LungTumorSegLib.core.private_folder import private_folder
from LungTumorSegLib.io.nrrd import write_nrrd
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.process.child import ChildProcess, child_environment, find_interpreter
from LungTumorSegLib.process.segmentation_run import FOLDER_PREFIX
from slicer.i18n import tr as _

POLL_SECONDS = 0.1


def savePicture(path: Path) -> list[Path]:
    """Write what the 3D view shows, where there is one; returns the paths written."""
    layoutManager = slicer.app.layoutManager()
    if layoutManager is None or layoutManager.threeDViewCount == 0:
        return []
    import ScreenCapture

    capture = ScreenCapture.ScreenCaptureLogic()
    viewNode = layoutManager.activeMRMLThreeDViewNode()
    capture.captureImageFromView(capture.viewFromNode(viewNode), str(path))
    return [path]


def saveReport(segmentationNode: Node, folder: Path, namePrefix: str) -> Path:
    """Write report.html beside what was saved into ``folder``; see ``LungTumorSegLogic.saveReport``."""
    volumeNode = mrml.ct_of(segmentationNode)
    if volumeNode is None:
        raise RuntimeError(_("The CT of this segmentation is not in the scene, so there is no report."))
    segmentationPath, summaryPath = (
        str(folder / f"{namePrefix}{name}") for name in ("segmentation.seg.nrrd", "summary.json")
    )
    with private_folder(Path(slicer.app.temporaryPath), FOLDER_PREFIX) as private:
        ctPath, output = private / "input.nrrd", private / "measured"
        write_nrrd(mrml.volume_of_node(volumeNode), ctPath, threading.Event())
        measure = ["measure", str(ctPath), segmentationPath, "-o", str(output), "--run-summary", summaryPath]
        _runChild(measure, _("The report could not be made."))
        return Path(shutil.copy(output / "report.html", folder / f"{namePrefix}report.html"))


def makePhantom(seed: int) -> Node:
    """Return a synthetic chest CT as a new volume node; see ``LungTumorSegLogic.makePhantom``."""
    with private_folder(Path(slicer.app.temporaryPath), FOLDER_PREFIX) as folder:
        phantom = ["phantom", "-o", str(folder / "phantom"), "--seed", str(seed)]
        _runChild(phantom, _("The phantom could not be made."))
        return mrml.load_volume(folder / "phantom" / "ct.nii.gz", slicer.mrmlScene, "Lung tumor phantom")


def _runChild(arguments: Sequence[str], failure: str) -> None:
    """Runs the command line to its end; Slicer looks at its events meanwhile. Raises RuntimeError with its message where it fails."""
    child = ChildProcess([find_interpreter(), "-m", "LungTumorSegLib", *arguments], child_environment(os.environ))
    try:
        while child.exit_code is None:
            slicer.app.processEvents()
            time.sleep(POLL_SECONDS)
    finally:
        child.kill()
    if child.exit_code != 0:
        raise RuntimeError((child.stderr_lines or [failure])[-1])


def saveDicom(segmentationNode: Node, folder: Path) -> Path:
    """Use Slicer's own exporter; it needs the CT to come from DICOM. Raises RuntimeError where it does not."""
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
