"""The part of the module's logic that writes files."""

from pathlib import Path

import slicer
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml.live_table import LiveTable
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.process.command_run import CommandRun

from .exports import OnFinished, reportRun, saveDicom, savePicture
from .waiting import result_of, watched


class SavingLogic:
    """Saves a result, with a window or without one."""

    def save(
        self, segmentationNode: Node, folder: str | Path, namePrefix: str = "", dicom: bool = False, measure: bool = True
    ) -> list[Path]:  # fmt: skip
        """Write segmentation, lesion table, summary and, where there is a 3D view, its picture; return the paths.

        No file holds a name unless ``namePrefix`` does, or ``dicom`` asks for DICOM, which must. What was edited is measured first,
        unless ``measure`` is False or the CT is gone. Raises OSError or RuntimeError where writing fails.
        """
        if measure and mrml.ct_of(segmentationNode) is not None and mrml.is_edited(segmentationNode):
            LiveTable(segmentationNode).measure_now()
        paths = mrml.save_results(segmentationNode, Path(folder), namePrefix)
        paths += savePicture(Path(folder) / f"{namePrefix}spread.png")
        if dicom:
            paths.append(saveDicom(segmentationNode, Path(folder)))
        return paths

    def saveReport(self, segmentationNode: Node, folder: str | Path, namePrefix: str = "") -> Path:
        """Write report.html beside what ``save`` has written into ``folder``, and return its path; needs the CT in the scene.

        A child process measures the saved segmentation and draws; blocks until then. Raises OSError or RuntimeError where that fails.
        """
        return result_of(reportRun(segmentationNode, Path(folder), namePrefix))

    def startReport(
        self, segmentationNode: Node, folder: str | Path, namePrefix: str = "", onFinished: OnFinished = None
    ) -> CommandRun:  # fmt: skip
        """Do the same without blocking: ``onFinished`` gets the returned handle, whose ``result`` or ``error`` is then set."""
        return watched(reportRun(segmentationNode, Path(folder), namePrefix, onFinished))

    def canSaveDicom(self) -> bool:
        """Return whether this Slicer has a DICOM exporter for segmentations."""
        return hasattr(slicer.modules, "dicomsegmentationplugin")
