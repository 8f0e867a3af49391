"""What a run has written, checked and read so far as that can happen outside the thread of Slicer's window."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.boxes import bounding_box
from ..core.errors import MachineLimit, UnusableInput
from ..core.json_files import read_json
from ..core.volume import Volume
from ..io.headers import check_image_file

SEGMENTATION_FILE = "segmentation.seg.nrrd"
SUMMARY_FILE = "summary.json"
PROBABILITY_FILE = "probability.nrrd"


@dataclass(frozen=True, eq=False)
class RunFiles:
    """An intact result: ``folder`` may hold surfaces, ``<segment id>.vtp`` in LPS mm; ``probability`` is None unless asked for, and lies on
    the part of the CT's grid where it is above 0."""

    folder: Path
    summary: dict[str, Any]
    probability: Volume | None = None

    @property
    def segmentation(self) -> Path:
        """The .seg.nrrd file."""
        return self.folder / SEGMENTATION_FILE


def read_run(folder: Path, *, probability: bool = False) -> RunFiles:
    """The files that ``lungtumorseg segment`` wrote into ``folder``.

    Raises MachineLimit where one is missing or damaged: Slicer's own reader ends the whole application on a truncated file.
    """
    try:
        summary = _read_summary(folder / SUMMARY_FILE)
        check_image_file(folder / SEGMENTATION_FILE)
        maps = _read_probability(folder / PROBABILITY_FILE) if probability else None
    except (OSError, ValueError) as error:  # UnusableInput is a ValueError
        logging.getLogger(__name__).exception("A result cannot be used.")
        raise MachineLimit("The results of the run are damaged; run it again.") from error
    return RunFiles(folder, summary, maps)


def read_summary(path: Path) -> dict[str, Any]:
    """The summary.json of a run; raises UnusableInput where it is none."""
    try:
        return _read_summary(path)
    except (OSError, ValueError) as error:
        raise UnusableInput(
            f"{path} is no summary of a run ({error}); choose a summary.json that segment or the module wrote."
        ) from error


def _read_summary(path: Path) -> dict[str, Any]:
    summary = read_json(path, nan=True)
    if not isinstance(summary, dict) or not isinstance(summary.get("lesions"), list):
        raise ValueError("it names no lesions")
    return summary


def _read_probability(path: Path) -> Volume:
    """The map where it says anything: of a CT of 80 million voxels the whole would take 300 MB of Slicer's memory."""
    from ..io.images import read_volume  # SimpleITK: only where the map is wanted

    volume = read_volume(path)
    crop = volume.crop(*(bounding_box(volume.array > 0) or ((0, 0, 0), (1, 1, 1))))
    return crop.with_array(np.ascontiguousarray(crop.array))
