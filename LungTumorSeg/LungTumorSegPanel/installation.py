"""Installation of Python packages: torch by Slicer's PyTorch extension, the others by ``slicer.packaging``."""

import contextlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import slicer
from slicer.i18n import tr as _

from .parameter_node import Backend

if TYPE_CHECKING:
    from LungTumorSeg import LungTumorSegLogic

REQUIREMENTS = Path(__file__).parents[1] / "Resources" / "requirements.txt"

TORCH = "torch>=2.8"
"""The PyTorch extension selects the build for the graphics card of the computer."""

OPENVINO = "openvino>=2025.0"
"""Needed only if the user has chosen this library for the network."""

REQUESTER = "Lung Tumor Segmentation"


def missingPackages() -> list[str]:
    """Return the requirements that are not met, torch first."""
    requirements = [TORCH, *map(str, slicer.packaging.load_requirements(REQUIREMENTS))]
    return [requirement for requirement in requirements if not slicer.packaging.pip_check(requirement)]


def installPackages(*, openVino: bool = False) -> None:
    """Install the missing packages; Slicer asks the user first and shows the progress.

    Args:
        openVino: Whether the user has chosen OpenVINO for the network.

    Raises:
        RuntimeError: A package is still missing because the user declined or the installation failed; the message says
            what to do.
    """
    if missingPackages():
        _installRequired()
    if openVino:
        _installOpenVino()


class PackageInstallation:
    """Install what a run of one section needs before it starts.

    Attributes:
        active: Whether an installation is in progress; meanwhile the section must not start anything.
    """

    def __init__(self, logic: "LungTumorSegLogic", say: Callable[[str], None], refresh: Callable[[], None]) -> None:
        """Remember the section.

        Args:
            logic: The logic, with which Slicer asks before it installs anything.
            say: Receives what the user has to do if packages are still missing.
            refresh: Updates the widgets of the section; called before and after.
        """
        self._logic, self._say, self._refresh = logic, say, refresh
        self.active = False

    def ensure(self, parameterNode: Any) -> bool:
        """Return whether all packages are installed that a run with the options of a parameter node needs.

        Args:
            parameterNode: The parameter node, or None if the panel has not created it yet.
        """
        self.active = True
        self._refresh()
        try:
            self._logic.installPackages(
                openVino=parameterNode is not None and parameterNode.backend is Backend.OPENVINO
            )
        except RuntimeError as error:
            self._say(str(error))
            return False
        finally:
            self.active = False
            self._refresh()
        return True


def _installRequired() -> None:
    try:
        if not slicer.packaging.pip_check(TORCH):
            _installTorch()
        with contextlib.suppress(RuntimeError):  # the user declined; reported below
            slicer.packaging.pip_ensure(slicer.packaging.load_requirements(REQUIREMENTS), requester=REQUESTER)
    except subprocess.CalledProcessError as error:
        raise RuntimeError(
            _(
                "The Python packages could not be installed; the log has the details. Without a network connection, "
                "copy the wheels of"
                " {names} (from pypi.org and download.pytorch.org) to this computer and install them with "
                "PythonSlicer -m pip install."
            ).format(names=", ".join(missingPackages()))
        ) from error
    if missing := missingPackages():
        raise RuntimeError(
            _("Segmenting needs the Python packages {names}. Nothing else was changed.").format(
                names=", ".join(missing)
            )
        )


def _installOpenVino() -> None:
    """Install OpenVINO if it is missing; an error says what to do if it is still missing then."""
    with contextlib.suppress(RuntimeError, subprocess.CalledProcessError):  # reported below
        slicer.packaging.pip_ensure(OPENVINO, requester=REQUESTER)
    if not slicer.packaging.pip_check(OPENVINO):
        raise RuntimeError(
            _(
                "OpenVINO is not installed. Try again and accept the installation, or choose another library "
                "under Advanced."
            )
        )


def _installTorch() -> None:
    try:
        import PyTorchUtils
    except ImportError as error:
        message = _("Install the extension PyTorch in the Extensions Manager, restart Slicer and press Segment again.")
        raise RuntimeError(message) from error
    PyTorchUtils.PyTorchUtilsLogic().installTorch(
        askConfirmation=True, torchVersionRequirement=TORCH.removeprefix("torch")
    )
