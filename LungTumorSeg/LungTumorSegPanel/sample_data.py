"""Sample data of the module: a phantom, computed on this computer while a progress dialog is shown."""

import os
from collections.abc import Callable
from typing import Any

import slicer
from LungTumorSegLib.core.events import Cancelled
from LungTumorSegLib.process.command_run import CommandRun
from slicer.i18n import tr as _

THUMBNAIL = os.path.join(os.path.dirname(__file__), "..", "Resources", "Icons", "LungTumorPhantom.png")


def register(startPhantom: Callable[[Callable[[CommandRun], None]], CommandRun]) -> None:
    """Register the phantom in the Sample Data module. Nothing is downloaded."""
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="LungTumorSeg",
        sampleName=_("Lung tumor phantom"),
        thumbnailFileName=os.path.normpath(THUMBNAIL),
        uris=[],
        fileNames=[],
        customDownloader=lambda source: _make(startPhantom),
    )


def _make(startPhantom: Callable[[Callable[[CommandRun], None]], CommandRun]) -> list[Any]:
    """Start computing the phantom.

    The Sample Data module ignores the return value; the volume appears in the scene when it is ready.
    """
    dialog = slicer.util.createProgressDialog(
        labelText=_("Generating the lung tumor phantom. This takes about ten seconds."),
        windowTitle=_("Lung Tumor Segmentation"),
        maximum=0,  # a busy indicator without a percentage
    )

    def show(run: CommandRun) -> None:
        dialog.close()
        if run.error is None:
            slicer.util.setSliceViewerLayers(background=run.result, fit=True)
        elif not isinstance(run.error, Cancelled):
            slicer.util.errorDisplay(str(run.error))

    try:
        run = startPhantom(show)
    except OSError as error:
        dialog.close()
        slicer.util.errorDisplay(str(error))
        return []
    dialog.connect("canceled()", run.close)
    return []
