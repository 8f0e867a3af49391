"""The section Save: everything into the chosen folder, and what was written where."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml.nodes import Node
from slicer.i18n import tr as _

if TYPE_CHECKING:
    from LungTumorSeg import LungTumorSegLogic

FOLDER_SETTING = "LungTumorSeg/SaveFolder"


class SaveSection:
    """Saves one segmentation. ``finish`` brings its lesion table up to date before that."""

    def __init__(self, ui: Any, logic: "LungTumorSegLogic", finish: Callable[[], None]) -> None:
        self._ui, self._logic, self._finish = ui, logic, finish
        self._segmentation: Node = None
        ui.folderButton.directory = qt.QSettings().value(FOLDER_SETTING, os.path.expanduser("~"))
        ui.saveButton.connect("clicked()", self.save)

    def show(self, segmentation: Node) -> None:
        """Save this segmentation from now on; None for none."""
        self._segmentation = segmentation
        self.refresh()

    def refresh(self) -> None:
        """Offer what can be saved; what was said of the last time is no longer true."""
        ui, isThere = self._ui, self._segmentation is not None
        ui.savedLabel.visible = False
        ui.saveButton.enabled = isThere
        ui.saveButton.toolTip = (
            _("Write segmentation, lesion table and picture into the folder.")
            if isThere
            else _("There is nothing to save yet: segment a CT first.")
        )
        ui.dicomCheckBox.enabled = self._logic.canSaveDicom()

    def save(self) -> None:
        """Write everything into the chosen folder and say what and where."""
        ui = self._ui
        folder = ui.folderButton.directory
        prefix = (
            f"{mrml.file_name(mrml.ct_of(self._segmentation))} "
            if ui.namesCheckBox.checked and mrml.ct_of(self._segmentation) is not None
            else ""
        )
        try:
            with slicer.util.WaitCursor():
                self._finish()
                dicom = ui.dicomCheckBox.checked and ui.dicomCheckBox.enabled
                paths = self._logic.save(self._segmentation, folder, prefix, dicom, measure=False)
        except (OSError, RuntimeError) as error:
            ui.savedLabel.text = _("Not saved: {error}").format(error=error)
        else:
            qt.QSettings().setValue(FOLDER_SETTING, folder)
            problem = self._saveReport(folder, prefix, paths) if ui.reportCheckBox.checked else ""
            saved = _("Saved in {folder}: {names}").format(folder=folder, names=", ".join(path.name for path in paths))
            ui.savedLabel.text = f"{saved}. {problem}" if problem else saved
        ui.savedLabel.visible = True

    def _saveReport(self, folder: str, prefix: str, paths: list[Path]) -> str:
        """Adds the report's path to ``paths``; what went wrong in words, or an empty text."""
        self._ui.saveButton.enabled = False
        self._ui.savedLabel.text = _("Drawing the report ...")
        self._ui.savedLabel.visible = True
        try:
            paths.append(self._logic.saveReport(self._segmentation, folder, prefix))
        except (OSError, RuntimeError, ValueError) as error:
            return str(_("There is no report: {error}").format(error=error))
        finally:
            self._ui.saveButton.enabled = self._segmentation is not None
        return ""
