"""Label maps with the names of their labels in a JSON file beside them: ``segmentation.nii.gz``, ``segmentation.json``.

An image format such as NIfTI stores numbers only. Without the names, a reader would take the lungs for lesions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.crops import place
from ..core.errors import UnusableInput
from ..core.json_files import read_json, write_json
from ..core.terminology import UNSPECIFIED
from ..core.texts import shown
from ..core.volume import Grid, Volume
from .file_suffixes import IMAGE_SUFFIXES, has_suffix, without_suffix
from .images import write_volume
from .segment import UNSPECIFIED_COLORS, Segment

FORMAT = "LungTumorSeg label names"
"""Value of the key ``format``; any other JSON file beside an image is not read."""


@dataclass(frozen=True)
class Label:
    """What the file of names states about a label; the fields are those of ``Segment``."""

    name: str
    color: tuple[float, float, float]
    terminology: str
    id: str


def names_file(path: Path) -> Path | None:
    """Return the path of the names beside a label map; None if the label map's name has no known suffix."""
    if not has_suffix(path.name, IMAGE_SUFFIXES):
        return None
    return path.with_name(f"{without_suffix(path.name)}.json")


def write_label_map(segments: Sequence[Segment], grid: Grid, path: Path) -> list[str]:
    """Write segments as a label map, 1 for the first, and their names beside it.

    Args:
        segments: The segments; where two overlap, the later one keeps the voxels.
        grid: The grid of the file.
        path: A path that ends in .nii.gz, .nii, .nrrd or .mha.

    Returns:
        A warning if segments overlap.

    Raises:
        UnusableInput: If a mask does not lie on the grid.
        MachineLimit: If a file cannot be written.
    """
    labels = np.zeros(grid.shape, np.uint8 if len(segments) < 256 else np.uint16)
    overlap = False
    for number, segment in enumerate(segments, start=1):
        crop = place(segment.mask, grid, f"The segment {segment.name}")
        if crop is not None:
            part = labels[crop.slices]
            overlap |= bool(part[crop.mask.array].any())
            part[crop.mask.array] = number
    write_volume(Volume(labels, grid.affine), path)
    names = {
        str(number): {"name": each.name, "color": each.color, "terminology": each.terminology, "id": each.id}
        for number, each in enumerate(segments, start=1)
    }
    beside = names_file(path)
    if beside is None:
        raise ValueError(f"{path.name} must end in one of {', '.join(IMAGE_SUFFIXES)}.")
    write_json(beside, {"format": FORMAT, "labels": names})
    if not overlap:
        return []
    return [f"{path.name} stores one label per voxel, so a voxel of two segments belongs to the smaller one."]


def read_label_names(path: Path) -> dict[int, Label]:
    """Return what the file of names beside a label map states, by label; empty if there is no such file.

    Raises:
        UnusableInput: If the file of names is damaged.
    """
    beside = names_file(path)
    if beside is None or not beside.is_file():
        return {}
    try:
        stated = read_json(beside)
    except ValueError:  # another program's file
        return {}
    if not isinstance(stated, dict) or stated.get("format") != FORMAT:
        return {}
    try:
        return {int(number): _label(int(number), values) for number, values in stated["labels"].items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnusableInput(
            f"{shown(beside)} does not state the names of the labels correctly; write the label map again, or move "
            "the file away to read the labels without names."
        ) from error


def _label(number: int, values: Any) -> Label:
    red, green, blue = (
        float(part) for part in values.get("color", UNSPECIFIED_COLORS[number % len(UNSPECIFIED_COLORS)])
    )
    texts = [values["name"], values.get("terminology", UNSPECIFIED), values.get("id", f"Segment_{number}")]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a name is not text")
    return Label(texts[0], (red, green, blue), texts[1], texts[2])
