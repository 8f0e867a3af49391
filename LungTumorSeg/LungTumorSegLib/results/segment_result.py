"""The result of a run, before it is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.volume import CTVolume, Volume
from ..isolation import LungIsolation
from ..lesions import LesionReport
from ..options import Settings
from ..weights.manifest import Manifest
from .contents import Extras


@dataclass(frozen=True, eq=False)
class SegmentResult:
    """The result of a run, on the grid of the CT as it was given.

    Attributes:
        ct: The CT.
        isolation: Its lung isolation.
        probability: Tumor probability from 0 to 1, float32.
        disagreement: Standard deviation of the probability across stacks, float32, 0 to 1.
        report: The measured lesions.
        manifest: The manifest of the model.
        settings: The settings that the run used.
        device: The device on which the network ran, never ``auto``.
        precision: The number format of the network, never ``auto``.
        warnings: Sentences for the user.
        seconds: Time of each stage in seconds.
        model_card: The sections of the model card on intended use and failures.
        backend: The library that computed the network, never ``auto``.
    """

    ct: CTVolume
    isolation: LungIsolation
    probability: Volume
    disagreement: Volume
    report: LesionReport
    manifest: Manifest
    settings: Settings
    device: str
    precision: str
    warnings: tuple[str, ...]
    seconds: dict[str, float]
    model_card: str = ""
    backend: str = "torch"

    def save(self, folder: str | Path) -> dict[str, Any]:
        """Write the files of ``lungtumorseg segment`` into ``folder``, including picture and report.

        Returns:
            The content of summary.json.

        Raises:
            UnusableInput: If a file is in the way that may not be replaced.
            MachineLimit: If a file cannot be written; no file appears then.
        """
        from .writer import write_result  # imports vtk's rendering, so only if needed

        return write_result(self, Path(folder), extras=Extras(report=True))
