"""The part of the logic that writes files."""

from collections.abc import Sequence
from pathlib import Path

from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml.live_table import LiveTable
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.process.command_run import CommandRun

from .exports import OnFinished, dicomFiles, filesRun, saveDicom, savePicture
from .waiting import result_of, watch_run


class SavingLogic:
    """Save a result, with or without a window."""

    def save(
        self, segmentationNode: Node, folder: str | Path, namePrefix: str = "", *, dicom: bool = False,
        measure: bool = True
    ) -> list[Path]:  # fmt: skip
        """Write segmentation, lesion table, summary and, if there is a 3D view, a picture of it.

        Args:
            segmentationNode: The result.
            folder: The output folder.
            namePrefix: Put before each file name. Without it, no file name and no file contains the name of a node or
                patient, except for DICOM.
            dicom: Also export a DICOM segmentation with Slicer's own exporter, which contains the patient's name. See
                ``startFiles`` for the DICOM results that the command line writes.
            measure: Measure an edited segmentation first, if the CT is in the scene.

        Returns:
            The paths of the files.

        Raises:
            OSError: A file cannot be written.
            RuntimeError: The DICOM export fails.
            ValueError: The CT does not have the grid of the segmentation.
        """
        if measure and mrml.ct_of(segmentationNode) is not None and mrml.is_edited(segmentationNode):
            LiveTable(segmentationNode).measure_now()
        paths = mrml.save_results(segmentationNode, Path(folder), namePrefix)
        paths += savePicture(Path(folder) / f"{namePrefix}spread.png")
        if dicom:
            paths.append(saveDicom(segmentationNode, Path(folder)))
        return paths

    def saveReport(self, segmentationNode: Node, folder: str | Path, namePrefix: str = "") -> Path:
        """Write report.html beside the files that ``save`` has written; block until this is done.

        A child process measures the saved segmentation and draws the report. The CT has to be in the scene.

        Args:
            segmentationNode: The result.
            folder: The folder that was given to ``save``.
            namePrefix: The prefix that was given to ``save``.

        Returns:
            The path of the report.

        Raises:
            OSError: The report cannot be written.
            RuntimeError: The CT is not in the scene, or the child process fails.
        """
        (path,) = result_of(filesRun(segmentationNode, Path(folder), namePrefix))
        return Path(path)

    def startFiles(
        self, segmentationNode: Node, folder: str | Path, namePrefix: str = "", *, report: bool = True,
        formats: Sequence[str] = (), onFinished: OnFinished = None, pdf: bool = False,
    ) -> CommandRun:  # fmt: skip
        """Write report.html and further formats beside the files that ``save`` has written, without blocking.

        Args:
            segmentationNode: The result.
            folder: The folder that was given to ``save``.
            namePrefix: The prefix that was given to ``save``.
            report: Whether to write report.html.
            formats: "nifti" and "dicom" of the command line; DICOM needs the CT in Slicer's DICOM database.
            onFinished: Called with the run at its end; its ``result`` (the paths) or ``error`` is then set.
            pdf: Whether to print the report to report.pdf, which Chromium, Chrome or Edge does.

        Returns:
            The run.

        Raises:
            RuntimeError: The CT, or for DICOM its files, are not there.
        """
        return watch_run(
            filesRun(
                segmentationNode,
                Path(folder),
                namePrefix,
                report=report,
                formats=formats,
                onFinished=onFinished,
                pdf=pdf,
            )
        )

    def hasDicomFiles(self, segmentationNode: Node) -> bool:
        """Return whether the CT of a segmentation came from DICOM files that Slicer's database still has."""
        return bool(segmentationNode is not None and dicomFiles(mrml.ct_of(segmentationNode)))
