"""Check and read the files of a run, as far as this is possible outside the thread of Slicer's window."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.boxes import bounding_box
from ..core.errors import MachineLimit, UnusableInput
from ..core.json_files import read_json
from ..core.volume import CTVolume, Volume
from ..io.headers import check_image_file, parse_header
from ..io.image_header import ImageHeader
from ..io.regular_files import check_regular
from .contents import PROBABILITY_FILE, RESULT, SEGMENTATION_FILE, SUMMARY_FILE
from .ct_checksum import ct_checksum
from .folder import files_of_group, read_consistently
from .mark import fingerprint, read_mark

READ_NUMBERS = (
    "confidence", "volume_ml", "volume_p5_ml", "volume_p95_ml", "long_axis_mm",
    "centroid_x_lps_mm", "centroid_y_lps_mm", "centroid_z_lps_mm",
)  # fmt: skip
"""Numbers of a lesion that are read back from summary.json; null if unknown."""

READ_TEXTS = ("case", "model", "software_version", "segmented_with", "ct_sha256")
"""Texts that are read back from summary.json."""

GRID_TOLERANCE_VOXELS = 0.02

OTHER_CT = (
    "The voxels of the CT are not those from which the result was made, so it may be another CT; check which CT was "
    "given."
)
OTHER_CT_THAN_BESIDE = (
    "The voxels of the CT are not those from which the result in the folder of the segmentation was made, so it may be "
    "another CT; check which CT was given."
)


@dataclass(frozen=True, eq=False)
class RunFiles:
    """An intact result.

    Attributes:
        folder: The result folder. It may hold surfaces named ``<segment id>.vtp``, in LPS mm.
        summary: The content of summary.json.
        probability: The part of the probability map with values above 0; None unless requested.
    """

    folder: Path
    summary: dict[str, Any]
    probability: Volume | None = None

    @property
    def segmentation(self) -> Path:
        """Return the path of the .seg.nrrd file."""
        return self.folder / SEGMENTATION_FILE


def read_run(folder: Path, *, probability: bool = False) -> RunFiles:
    """Read the files that ``lungtumorseg segment`` wrote into ``folder``, all from the same run.

    Files are checked first, because Slicer's own reader crashes the whole application on a truncated file.

    Args:
        folder: The result folder.
        probability: Whether to read the probability map too.

    Raises:
        MachineLimit: If a file is missing or damaged.
    """

    def read() -> RunFiles:
        summary = _read_summary(folder / SUMMARY_FILE)
        check_image_file(folder / SEGMENTATION_FILE)
        maps = _read_probability(folder / PROBABILITY_FILE) if probability else None
        return RunFiles(folder, summary, maps)

    try:
        return read_consistently(folder, read)
    except (OSError, ValueError) as error:  # UnusableInput is a ValueError
        logging.getLogger(__name__).exception("A result cannot be used.")
        raise MachineLimit("The results of the run are damaged; run the segmentation again.") from error


def read_summary(path: Path, *, chosen: bool = False) -> dict[str, Any]:
    """Read the summary.json of a run.

    Args:
        path: The file.
        chosen: Whether the user chose this file; otherwise, it lies in a result folder.

    Raises:
        UnusableInput: If the file is not the summary of a run.
    """
    if chosen:
        check_regular(path)
    try:
        return read_consistently(path.parent, lambda: _read_summary(path))
    except (OSError, ValueError) as error:
        choose = "choose a summary.json that segment or the module wrote"
        remedy = choose if chosen else "restore the file, or remove it to go on without it"
        raise UnusableInput(f"{path} is not the summary of a run ({error}); {remedy}.") from error


def run_in(folder: Path, segmentation: Path, ct: CTVolume) -> dict[str, Any] | None:
    """Return the summary of the run whose results are in ``folder``, if the segmentation may come from that run.

    This is the case if ``segmentation`` is the folder's own segmentation, or if the folder's segmentation lies on the
    grid of ``ct``, so that ``segmentation`` may be a correction of it; and if the run saw the voxels of ``ct``.

    Returns:
        The summary; an empty one if the folder holds no result of ``segment``; None if the result belongs to another
        CT.
    """
    own = folder / SEGMENTATION_FILE
    if SEGMENTATION_FILE not in files_of_group(folder, RESULT) or SUMMARY_FILE not in files_of_group(folder, RESULT):
        return {}
    if not (segmentation.samefile(own) or _share_grid(own, ct)):
        return None
    summary = read_summary(folder / SUMMARY_FILE)
    return summary if is_of_ct(summary, ct) else None


def is_of_ct(summary: Mapping[str, Any], ct: CTVolume) -> bool:
    """Return whether a run saw the voxels of ``ct``; True if its summary is too old to tell."""
    return summary.get("ct_sha256") in (None, ct_checksum(ct))


def summary_of(result: Path) -> Path | None:
    """Return the path of the summary.json of a result, or None if the result has no such file.

    Args:
        result: A result folder, or a segmentation. Only one with the name that results give it has a summary.
    """
    if not result.is_dir() and result.name != SEGMENTATION_FILE:
        return None
    summary = (result if result.is_dir() else result.parent) / SUMMARY_FILE
    return summary if summary.is_file() else None


def other_ct_doubts(result: Path, ct: CTVolume) -> tuple[str, ...]:
    """Return a warning if the summary beside a segmentation states that its run saw other voxels than ``ct``.

    A segmentation with another name than that of a result, in a result folder, is taken for a correction of that
    result, unless it lies on another grid.

    Args:
        result: A result folder, or a segmentation.
        ct: The CT (HU) that is used with it.
    """
    summary, doubt = summary_of(result), OTHER_CT
    if summary is None and _may_be_correction(result):
        summary, doubt = result.with_name(SUMMARY_FILE), OTHER_CT_THAN_BESIDE
    try:
        is_own = summary is None or is_of_ct(read_summary(summary), ct)
    except UnusableInput:  # a file of this name that states no CT
        return ()
    return () if is_own else (doubt,)


def _may_be_correction(segmentation: Path) -> bool:
    """Return whether a file lies in a result folder, and on the grid of the result's segmentation if it states one."""
    if segmentation.is_dir() or not files_of_group(segmentation.parent, RESULT) >= {SEGMENTATION_FILE, SUMMARY_FILE}:
        return False
    try:
        return _share_voxels(parse_header(segmentation), parse_header(segmentation.with_name(SEGMENTATION_FILE)))
    except UnusableInput:  # DICOM
        return True


def is_found_by_run(folder: Path, segmentation: Path) -> bool:
    """Return whether a segmentation file is, byte for byte, the one that ``segment`` wrote into ``folder``."""
    mark = read_mark(folder)
    found = mark.files.get(SEGMENTATION_FILE) if mark else None
    return found is not None and segmentation.is_file() and fingerprint(segmentation) == found.sha256


def is_changed_since_measured(folder: Path) -> bool:
    """Return whether the segmentation in a result folder was changed, and saved after its lesions were measured."""
    segmentation, summary = folder / SEGMENTATION_FILE, folder / SUMMARY_FILE
    if SEGMENTATION_FILE not in files_of_group(folder, RESULT) or is_found_by_run(folder, segmentation):
        return False
    return segmentation.is_file() and segmentation.stat().st_mtime_ns > summary.stat().st_mtime_ns


def _share_grid(path: Path, ct: CTVolume) -> bool:
    """Return whether the voxels of an image file coincide with voxels of ``ct``.

    Slicer crops segmentations and may reverse their axes.
    """
    try:
        return _share_voxels(parse_header(path), ct)
    except UnusableInput:
        return False


def _share_voxels(a: ImageHeader | Volume, b: ImageHeader | Volume) -> bool:
    """Return whether the voxels of two grids coincide where both are."""
    to_b = np.linalg.inv(b.affine) @ a.affine
    return bool(np.allclose(to_b, np.rint(to_b), atol=GRID_TOLERANCE_VOXELS))


def _read_summary(path: Path) -> dict[str, Any]:
    summary = read_json(path, nan=True)
    if not isinstance(summary, dict) or not isinstance(summary.get("lesions"), list):
        raise ValueError("it lists no lesions")
    if not all(isinstance(lesion, dict) for lesion in summary["lesions"]):
        raise ValueError("one of its lesions has no values")
    for lesion in summary["lesions"]:
        for name in READ_NUMBERS:
            if name in lesion:
                lesion[name] = _known_number(lesion[name], name)
        if not isinstance(lesion.get("segment", ""), str):
            raise ValueError("one of its lesions has no segment name")
    for name in READ_TEXTS:
        if not isinstance(summary.get(name, ""), str):
            raise ValueError(f"its {name} is not text")
    if not isinstance(summary.get("lungs") or {}, dict):
        raise ValueError("its lungs are not named values")
    warnings = summary.get("warnings", [])
    if not isinstance(warnings, list) or not all(isinstance(warning, str) for warning in warnings):
        raise ValueError("its warnings are not text")
    return summary


def _known_number(value: Any, name: str) -> float | None:
    """Return a number of a lesion; None if it is unknown, which is written as null or as NaN."""
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{name} of a lesion is not a number")
    if name == "confidence" and math.isfinite(value) and not 0 <= value <= 1:
        raise ValueError(f"the confidence {value:g} of a lesion is not between 0 and 1")
    return value if math.isfinite(value) else None


def _read_probability(path: Path) -> Volume:
    """Return the part of the probability map with values above 0.

    The whole map of a CT with 80 million voxels would take 300 MB of Slicer's memory.
    """
    from ..io.images import read_volume  # imports SimpleITK, so only if needed

    volume = read_volume(path)
    crop = volume.crop(*(bounding_box(volume.array > 0) or ((0, 0, 0), (1, 1, 1))))
    return crop.with_array(np.ascontiguousarray(crop.array))
