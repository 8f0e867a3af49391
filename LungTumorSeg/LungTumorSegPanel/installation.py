"""What has to be installed before a run: torch by Slicer's PyTorch extension, the rest by pip."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import slicer
from LungTumorSegLib.process import packages
from LungTumorSegLib.process.child import find_interpreter
from slicer.i18n import tr as _

POLL_SECONDS = 0.1

REQUIREMENTS = Path(__file__).parents[1] / "Resources" / "requirements.txt"


def missingPackages() -> list[str]:
    """Return what has to be installed before a run: torch first where it is among them."""
    return packages.missing_packages([packages.TORCH, *packages.read_requirements(REQUIREMENTS)])


def installPackages(missing: Sequence[str], onStep: Callable[[packages.PipStep], None] | None = None) -> None:
    """Install them; pip may not replace what is there.

    Returns when it is done; Slicer looks at its events meanwhile, and ``onStep`` gets each packages.PipStep. Raises RuntimeError,
    with the way out, where that is not possible.
    """
    others = [requirement for requirement in missing if requirement != packages.TORCH]
    if others:
        report = _withEvents(lambda: packages.dry_run(find_interpreter(), others))
        replaced = packages.replaced_packages(report, others)
        if replaced:
            names = ", ".join(replaced)
            raise RuntimeError(_("Nothing was installed: it would replace Slicer's own {names}.").format(names=names))
    with packages.listening_to_pip(onStep or (lambda step: None)):
        if packages.TORCH in missing:
            _installTorch()
        if others and hasattr(slicer, "packaging"):  # Slicer 5.12 and later: with a dialog of its own
            slicer.packaging.pip_install(others, requester="Lung Tumor Segmentation")
        elif others:
            slicer.util.pip_install(others)


def _installTorch() -> None:
    try:
        import PyTorchUtils
    except ImportError as error:
        message = _("Install the extension PyTorch in the Extensions Manager, restart Slicer and press Segment again.")
        raise RuntimeError(message) from error
    least = packages.TORCH.removeprefix("torch")
    if PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=False, torchVersionRequirement=least) is None:
        raise RuntimeError(_("torch could not be installed; Slicer's log says why."))


def _withEvents(action: Callable[[], Any]) -> Any:
    """What the action gives, or raises; it runs in a thread, and Slicer looks at its events meanwhile."""
    with ThreadPoolExecutor(1) as thread:
        outcome = thread.submit(action)
        while not outcome.done():
            slicer.app.processEvents()
            time.sleep(POLL_SECONDS)
        return outcome.result()
