"""The Save section: writes all files into the selected folder and lists them."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.options import DICOM, NIFTI, STL
from LungTumorSegLib.process.command_run import CommandRun
from LungTumorSegLib.report.pdf import find_browser
from LungTumorSegLib.results.contents import PDF_FILE
from slicer.i18n import tr as _

from .exports import filesOfFormats

if TYPE_CHECKING:
    from LungTumorSeg import LungTumorSegLogic

FOLDER_SETTING = "LungTumorSeg/SaveFolder"

FILE_NAMES = ("segmentation.seg.nrrd", "lesions.csv", "summary.json", "spread.png", "report.html")
"""What one click on Save may write, each behind the prefix; the files of further formats come on top."""


class OwnFiles:
    """The files that this panel has written, to tell them from files of the user."""

    def __init__(self) -> None:
        self._written: dict[Path, int] = {}

    def remember(self, paths: Iterable[Path]) -> None:
        """Note that these files were just written."""
        self._written |= {path: path.stat().st_mtime_ns for path in paths if path.is_file()}

    def others(self, paths: Iterable[Path]) -> list[Path]:
        """Return the existing files among ``paths`` that this panel did not write, or that changed since."""
        present = [path for path in paths if path.exists()]
        return [path for path in present if self._written.get(path) != path.stat().st_mtime_ns]


class SaveSection:
    """Save one segmentation. ``finish`` updates its lesion table before saving."""

    def __init__(self, ui: Any, logic: "LungTumorSegLogic", finish: Callable[[], None]) -> None:
        self._ui, self._logic, self._finish = ui, logic, finish
        self._segmentation: Node = None
        self._files: CommandRun | None = None
        self._own = OwnFiles()
        ui.folderButton.directory = qt.QSettings().value(FOLDER_SETTING, os.path.expanduser("~"))
        ui.saveButton.connect("clicked()", self.save)
        ui.reportCheckBox.connect("toggled(bool)", lambda on: self.refresh())
        self._canPrint = find_browser() is not None

    def show(self, segmentation: Node) -> None:
        """Switch to a segmentation; None for none."""
        self._segmentation = segmentation
        if self._files is None:
            self._say("")  # the message concerned another segmentation
        self.refresh()

    def refresh(self) -> None:
        """Enable what can be saved."""
        ui, isThere = self._ui, self._segmentation is not None
        ui.saveButton.enabled = isThere and self._files is None
        ui.saveButton.toolTip = (
            _("Write segmentation, lesion table and picture into the folder.")
            if isThere
            else _("There is nothing to save yet: segment a CT first.")
        )
        ui.dicomCheckBox.enabled = self._logic.hasDicomFiles(self._segmentation)
        ui.pdfCheckBox.enabled = self._canPrint and ui.reportCheckBox.checked

    def save(self) -> None:
        """Write all files into the selected folder and list them."""
        ui = self._ui
        folder = ui.folderButton.directory
        prefix = (
            f"{mrml.file_name(mrml.ct_of(self._segmentation))} "
            if ui.namesCheckBox.checked and mrml.ct_of(self._segmentation) is not None
            else ""
        )
        if not self._mayReplace(Path(folder), prefix):
            return
        try:
            with slicer.util.WaitCursor():
                self._finish()
                paths = self._logic.save(self._segmentation, folder, prefix, measure=False)
        except (OSError, RuntimeError) as error:
            self._say(_("Not saved: {error}").format(error=error))
        else:
            qt.QSettings().setValue(FOLDER_SETTING, folder)
            self._own.remember(paths)
            if ui.reportCheckBox.checked or self._formats():
                self._startFiles(Path(folder), prefix, paths)
            else:
                self._say(_savedText(folder, paths))

    def close(self) -> None:
        """Stop writing the report and the files of further formats."""
        if self._files is not None:
            self._files.close()
            self._files = None

    def _formats(self) -> list[str]:
        """Return the formats whose boxes are checked."""
        ui = self._ui
        boxes = {NIFTI: ui.niftiCheckBox, DICOM: ui.dicomCheckBox, STL: ui.surfacesCheckBox}
        return [name for name, box in boxes.items() if box.checked and box.enabled]

    @property
    def _pdf(self) -> bool:
        """Whether the report is to be printed."""
        return bool(self._ui.pdfCheckBox.checked and self._ui.pdfCheckBox.enabled)

    def _mayReplace(self, folder: Path, prefix: str) -> bool:
        """Ask before files are replaced that this panel did not write."""
        names = [*FILE_NAMES, *filesOfFormats(self._segmentation, self._formats())]
        names += [PDF_FILE] if self._pdf else []
        others = self._own.others(folder / f"{prefix}{name}" for name in names)
        if not others:
            return True
        question = _("The folder {folder} already contains {names}. Replace them?").format(
            folder=folder, names=", ".join(path.name for path in others)
        )
        if slicer.util.confirmOkCancelDisplay(question, _("Save")):
            return True
        self._say(_("Not saved: choose another folder, or replace the files that are there."))
        return False

    def _startFiles(self, folder: Path, prefix: str, paths: list[Path]) -> None:
        """Start writing report and further formats beside ``paths``; list all saved files at its end."""
        report, formats = self._ui.reportCheckBox.checked, self._formats()
        pdf = self._pdf

        def finish(run: CommandRun) -> None:
            self._files = None
            self._ui.saveButton.enabled = self._segmentation is not None
            self._own.remember(run.result or [])
            self._sayAll(folder, [*paths, *(run.result or [])], run.error)
            if pdf and run.error is None and folder / f"{prefix}{PDF_FILE}" not in run.result:
                unprinted = _("{saved}. The report was not printed; print report.html from a browser instead.")
                self._say(unprinted.format(saved=self._ui.savedLabel.text))

        try:
            self._files = self._logic.startFiles(
                self._segmentation, folder, prefix, report=report, formats=formats, onFinished=finish, pdf=pdf
            )
        except (OSError, RuntimeError, ValueError) as error:
            self._sayAll(folder, paths, error)
        else:
            self._ui.saveButton.enabled = False
            self._say(_("Writing the other files ...") if formats else _("Drawing the report ..."))

    def _sayAll(self, folder: Path, paths: list[Path], error: Exception | None) -> None:
        saved = _savedText(folder, paths)
        if error is None:
            self._say(saved)
        elif self._formats():
            self._say(_("{saved}. The other files are missing: {error}").format(saved=saved, error=error))
        else:
            self._say(_("{saved}. There is no report: {error}").format(saved=saved, error=error))

    def _say(self, text: str) -> None:
        self._ui.savedLabel.text = text
        self._ui.savedLabel.visible = bool(text)


def _savedText(folder: str | Path, paths: list[Path]) -> str:
    return str(_("Saved in {folder}: {names}").format(folder=folder, names=", ".join(path.name for path in paths)))
