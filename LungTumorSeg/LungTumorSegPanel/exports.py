"""Exports that need the application or a child process: picture of the 3D view, report, phantom and DICOM."""

import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import slicer
from LungTumorSegLib.core.events import Cancelled
from LungTumorSegLib.io.nrrd import write_nrrd
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml import volume_nodes
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.options import DICOM, NIFTI, STL
from LungTumorSegLib.process.command_run import CommandRun
from LungTumorSegLib.results.contents import FILES, PDF_FILE
from slicer.i18n import tr as _

OnFinished = Callable[[CommandRun], None] | None

FORMAT_FILES = {each: FILES[each] for each in (NIFTI, DICOM)}
"""Files of each format that the panel offers beside .seg.nrrd."""

FURTHER_FILES = {"report.html", PDF_FILE, *(name for names in FORMAT_FILES.values() for name in names)}
"""Files that a child process may write after the segmentation has been saved, beside one surface per segment."""

PHANTOM_SEED = 7
"""Seed of the sample data: a chest with lesions on both sides."""


def filesOfFormats(segmentationNode: Node, formats: Sequence[str]) -> list[str]:
    """Return the names of the files of these formats, of STL one per segment."""
    ids = segmentationNode.GetSegmentation().GetSegmentIDs()
    surfaces = tuple(f"{each}.{STL}" for each in ids)
    return [name for each in formats for name in (surfaces if each == STL else FORMAT_FILES[each])]


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


def filesRun(
    segmentationNode: Node,
    folder: Path,
    namePrefix: str,
    *,
    report: bool = True,
    formats: Sequence[str] = (),
    onFinished: OnFinished = None,
    pdf: bool = False,
) -> CommandRun:
    """Start writing the report and further formats beside the saved files in ``folder``.

    A child process measures the saved segmentation and writes the files. The result of the run is their paths.

    Args:
        segmentationNode: The result.
        folder: The folder with the saved files.
        namePrefix: Put before each file name.
        report: Whether to write report.html.
        formats: Formats of the command line.
        onFinished: Called with the run at its end.
        pdf: Whether to print the report to report.pdf; this needs a browser that can print.

    Raises:
        RuntimeError: The CT is not in the scene, or DICOM is wanted and its DICOM files are not in the database.
    """
    export, ctName = _exporterOfCT(segmentationNode, dicom=DICOM in formats)
    saved, summary = (str(folder / f"{namePrefix}{name}") for name in ("segmentation.seg.nrrd", "summary.json"))

    def arguments(private: Path) -> list[str]:
        ct, output = str(private / ctName), str(private / "measured")
        wanted = ["--report" if report else "--no-report", *(["--pdf"] if report and pdf else [])]
        wanted += [f"--format={each}" for each in formats]
        return ["measure", ct, saved, "-o", output, *wanted, "--run-summary", summary]

    def load(private: Path) -> list[Path]:
        written = [
            path
            for path in sorted((private / "measured").iterdir())
            if path.name in FURTHER_FILES or path.suffix == f".{STL}"
        ]
        return [Path(shutil.copy(path, folder / f"{namePrefix}{path.name}")) for path in written]

    return CommandRun(
        arguments,
        load,
        temporary_folder=slicer.app.temporaryPath,
        failure=_("The files could not be written."),
        prepare=export,
        on_finished=onFinished,
    )


def _exporterOfCT(segmentationNode: Node, *, dicom: bool) -> tuple[Callable[[Path, threading.Event], None], str]:
    """Take the CT of a result as it is now; what is returned writes it into a folder, under the name beside it.

    Args:
        segmentationNode: The result.
        dicom: Whether the DICOM files of the CT are needed.

    Raises:
        RuntimeError: The CT is not in the scene, or its DICOM files are needed and are not in the database.
    """
    volumeNode = mrml.ct_of(segmentationNode)
    if volumeNode is None:
        raise RuntimeError(_("The CT of this segmentation is not in the scene."))
    volume = volume_nodes.volume_of_node(volumeNode)  # a view, which keeps the voxels alive
    slices = dicomFiles(volumeNode) if dicom else []
    if dicom and not slices:
        raise RuntimeError(_("The CT was not loaded from Slicer's DICOM database, so there is no DICOM result."))

    def writeVolume(private: Path, stop: threading.Event) -> None:
        write_nrrd(volume, private / "input.nrrd", stop)

    def copySlices(private: Path, stop: threading.Event) -> None:
        (private / "input").mkdir()
        for number, path in enumerate(slices):
            if stop.is_set():
                raise Cancelled
            shutil.copy(path, private / "input" / f"{number}.dcm")

    return (copySlices, "input") if slices else (writeVolume, "input.nrrd")


def dicomFiles(volumeNode: Node) -> list[Path]:
    """Return the files from which Slicer's DICOM browser loaded a volume; empty unless the database has all of them."""
    uids = ((volumeNode and volumeNode.GetAttribute("DICOM.instanceUIDs")) or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    files = [Path(database.fileForInstance(uid) or "") for uid in uids] if database is not None else []
    return files if all(path.is_file() for path in files) else []


def phantomRun(seed: int, onFinished: OnFinished = None) -> CommandRun:
    """Start creating a synthetic chest CT as a new volume node; see ``LungTumorSegLogic.startPhantom``."""
    return CommandRun(
        lambda private: ["phantom", "-o", str(private / "phantom"), "--seed", str(seed)],
        lambda private: volume_nodes.load_volume(
            private / "phantom" / "ct.nii.gz", slicer.mrmlScene, _("Lung tumor phantom")
        ),
        temporary_folder=slicer.app.temporaryPath,
        failure=_("The phantom could not be generated."),
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
