"""Reading a CT series from DICOM files: which files, which series, which values. Where slices lie is the work of ``slices``."""

from __future__ import annotations

import importlib.util
import os
import struct
import warnings
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.uid import CTImageStorage

from ..core.errors import MachineLimit, UnusableInput
from ..core.volume import AIR_HU, Array, CTVolume
from .plausibility import MAX_HU, MIN_SLICES, check_intensities, check_slice_count
from .slice_stack import (
    IN_PLANE_TOLERANCE_MM,
    Planes,
    groups_at_same_place,
    parallel_planes,
    plan_stack,
    resample_stack,
)

PREAMBLE_BYTES = 128

HEADER_KEYWORDS = [
    "Modality", "ImageType", "SeriesInstanceUID", "SeriesDescription", "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames",
    "PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept",
]  # fmt: skip
"""All that is read. PatientPosition is not among them: it says how the patient lay, nothing about the axes."""

DECODER_PACKAGES = {
    "1.2.840.10008.1.2.4.50": "pylibjpeg-libjpeg",  # JPEG Baseline
    "1.2.840.10008.1.2.4.51": "pylibjpeg-libjpeg",  # JPEG Extended
    "1.2.840.10008.1.2.4.57": "pylibjpeg-libjpeg",  # JPEG Lossless
    "1.2.840.10008.1.2.4.70": "pylibjpeg-libjpeg",  # JPEG Lossless, first-order prediction
    "1.2.840.10008.1.2.4.80": "pylibjpeg-libjpeg",  # JPEG-LS Lossless
    "1.2.840.10008.1.2.4.81": "pylibjpeg-libjpeg",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90": "pylibjpeg-openjpeg",  # JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.91": "pylibjpeg-openjpeg",  # JPEG 2000
    "1.2.840.10008.1.2.4.201": "pylibjpeg-openjpeg",  # High-Throughput JPEG 2000 Lossless
    "1.2.840.10008.1.2.4.202": "pylibjpeg-openjpeg",
    "1.2.840.10008.1.2.4.203": "pylibjpeg-openjpeg",
}
"""Transfer syntaxes that need a package beside pydicom (which knows the uncompressed ones, deflate and RLE itself)."""

DAMAGE = (
    AttributeError, EOFError, KeyError, NotImplementedError, OSError, RuntimeError, TypeError, UserWarning, ValueError,
    struct.error, zlib.error,
)  # fmt: skip
"""What pydicom and its decoders raise on damaged files."""

CUT_OFF = "End of file reached before delimiter"
"""pydicom only warns when compressed pixels lack their end, and JPEG 2000 decodes what is there."""


def is_dicom_file(path: Path) -> bool:
    """True if ``path`` is a DICOM file by its first 132 bytes (DICOM PS3.10, 7.1)."""
    with path.open("rb") as file:
        return file.read(PREAMBLE_BYTES + 4)[PREAMBLE_BYTES:] == b"DICM"


def read_dicom(path: Path, *, series: str | None = None) -> CTVolume:
    """The CT series among the DICOM files in a folder and its subfolders, or the one in a single file, in HU.

    Axes are those of the files: (slice, row, column). Localizers, reports, segmentations and other modalities are passed over; so
    are series of fewer than 8 slices where another one is longer. ``series`` is a SeriesInstanceUID.

    Raises UnusableInput if there is no CT series, or several and none chosen; if files are damaged or multi-frame; if slices
    contradict each other or too many are missing. Raises MachineLimit if a decoder is not installed.
    """
    files = _chosen_series(_ct_files(path), path, series)
    planes = _planes(files, path)
    groups = groups_at_same_place(planes)
    check_slice_count(len(groups), path)
    plan = plan_stack(
        planes.subset(np.array([group[0] for group in groups])), (files[0].header.Rows, files[0].header.Columns), path
    )
    slices = _read_slices(files, planes, groups)
    check_intensities(slices, path)
    if not plan.warning:
        return CTVolume(slices, plan.affine)
    return CTVolume(resample_stack(slices, plan), plan.affine, warnings=(plan.warning,), resampled=True)


@dataclass(frozen=True, eq=False)
class _File:
    path: Path
    header: pydicom.Dataset

    def numbers(self, keyword: str, count: int) -> list[float]:
        """The ``count`` numbers of an attribute. Raises UnusableInput if they are not there."""
        try:
            values = [float(value) for value in np.atleast_1d(self.header[keyword].value)]
        except (KeyError, TypeError, ValueError):
            values = []
        if len(values) != count:
            raise UnusableInput(
                f"{self.path} does not state its {keyword}; export the series again as original CT slices."
            )
        return values

    def rescale(self) -> tuple[float, float]:
        """Slope and intercept from stored values to HU; 1 and 0 where they are not stated."""
        stated = "RescaleSlope" in self.header
        return (self.numbers("RescaleSlope", 1)[0], self.numbers("RescaleIntercept", 1)[0]) if stated else (1.0, 0.0)


def _ct_files(path: Path) -> list[_File]:
    """The CT slices at ``path``. Raises UnusableInput if there are none."""
    paths = (
        [path] if path.is_file() else sorted(Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    )
    found = [_File(each, _header(each)) for each in paths if is_dicom_file(each)]
    if not found:
        raise UnusableInput(f"{path} holds no DICOM files; give a DICOM folder, or the image file itself.")
    files = [file for file in found if _is_ct_slice(file)]
    if not files:
        kinds = ", ".join(
            f"{n} {kind}"
            for kind, n in sorted(Counter(str(file.header.get("Modality", "index")) for file in found).items())
        )
        raise UnusableInput(f"{path} holds no CT slices (found: {kinds}); give a CT series.")
    return files


def _header(path: Path) -> pydicom.Dataset:
    try:
        return pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(HEADER_KEYWORDS))
    except DAMAGE as error:
        raise UnusableInput(f"{path} is a damaged or truncated DICOM file; copy or export the series again.") from error


def _is_ct_slice(file: _File) -> bool:
    """True for an image of a CT stack; captures and reports have no position in the patient, localizers say so in ImageType."""
    header = file.header
    is_ct_image = str(header.file_meta.get("MediaStorageSOPClassUID", "")) == CTImageStorage
    if is_ct_image and ("Modality" not in header or "Columns" not in header):
        raise UnusableInput(f"{file.path} is a damaged or truncated DICOM file; copy or export the series again.")
    if header.get("Modality") != "CT" or "Columns" not in header or "LOCALIZER" in (header.get("ImageType") or []):
        return False
    return is_ct_image or "ImagePositionPatient" in header or int(header.get("NumberOfFrames") or 1) > 1


def _chosen_series(files: list[_File], path: Path, series: str | None) -> list[_File]:
    all_series: dict[str, list[_File]] = {}
    for file in files:
        all_series.setdefault(str(file.header.get("SeriesInstanceUID", "")), []).append(file)
    if series is not None:
        if series not in all_series:
            raise UnusableInput(f"{path} holds no CT series {series}; choose one of: {_listed(all_series)}.")
        return all_series[series]
    if len(all_series) > 1:
        long_enough = {uid: members for uid, members in all_series.items() if len(members) >= MIN_SLICES}
        if len(long_enough) != 1:
            raise UnusableInput(
                f"{path} holds {len(all_series)} CT series; choose one with --series: {_listed(all_series)}."
            )
        all_series = long_enough
    return next(iter(all_series.values()))


def _listed(all_series: dict[str, list[_File]]) -> str:
    return "; ".join(
        f"{uid} ({' '.join(str(members[0].header.get('SeriesDescription') or 'no description').split())}, {len(members)} slices)"
        for uid, members in sorted(all_series.items())
    )


def _planes(files: list[_File], path: Path) -> Planes:
    """Where the slices lie. Raises UnusableInput if they are not gray, single-frame images of one size, orientation and spacing."""
    if any(int(file.header.get("NumberOfFrames") or 1) > 1 for file in files):
        raise UnusableInput(
            f"{path} holds multi-frame DICOM (enhanced CT), which is not read; convert it to single-frame CT or NIfTI."
        )
    if any(file.header.get("SamplesPerPixel", 1) != 1 for file in files):
        raise UnusableInput(f"{path} holds color images, not CT slices; give the original CT series.")
    if len({(file.header.Rows, file.header.Columns) for file in files}) > 1:
        raise UnusableInput(
            f"The slices of {path} differ in their number of rows or columns; export the series as one axial stack."
        )
    return parallel_planes(
        np.array([file.numbers("ImagePositionPatient", 3) for file in files]),
        np.array([file.numbers("ImageOrientationPatient", 6) for file in files]),
        np.array([file.numbers("PixelSpacing", 2) for file in files]),
        path,
    )


def _read_slices(files: list[_File], planes: Planes, groups: list[Array]) -> Array:
    """HU (slice, row, column) of the first slice of each group: int16 where all rescaling is by whole numbers, float32 elsewhere.

    Raises UnusableInput if the others of a group are not its copies.
    """
    whole = all(value.is_integer() for file in files for value in file.rescale())
    result = np.empty((len(groups), files[0].header.Rows, files[0].header.Columns), np.int16 if whole else np.float32)
    for level, (first, *copies) in enumerate(groups):
        result[level] = _hu(files[first], whole)
        for copy in copies:
            apart = np.linalg.norm(planes.positions_lps[copy] - planes.positions_lps[first])
            if apart > IN_PLANE_TOLERANCE_MM or not np.array_equal(
                _hu(files[copy], whole).astype(result.dtype), result[level]
            ):
                raise UnusableInput(
                    f"{files[first].path} and {files[copy].path} are different slices at the same place (several phases in one series?); "
                    "give a folder with one of them only."
                )
    return result


def _hu(file: _File, whole: bool) -> Array:
    slope, intercept = file.rescale()
    stored = _stored_values(file)
    if not whole:
        return np.asarray(stored.astype(np.float32) * np.float32(slope) + np.float32(intercept))
    return np.asarray(np.clip(stored.astype(np.int32) * int(slope) + int(intercept), AIR_HU, MAX_HU))


def _stored_values(file: _File) -> Array:
    """The pixels (row, column) before rescaling. Raises MachineLimit if the decoder is not installed, UnusableInput on damage."""
    package = None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=CUT_OFF)
            data: Any = pydicom.dcmread(file.path)
        package = DECODER_PACKAGES.get(data.file_meta.TransferSyntaxUID)
        pixels: Array = data.pixel_array
    except DAMAGE as error:
        if package and not all(map(importlib.util.find_spec, ("pylibjpeg", package.removeprefix("pylibjpeg-")))):
            raise MachineLimit(
                f"{file.path} is compressed; install the packages pylibjpeg and {package} to read it."
            ) from error
        raise UnusableInput(
            f"{file.path} is a damaged or truncated DICOM file; copy or export the series again."
        ) from error
    if pixels.shape != (file.header.Rows, file.header.Columns):
        raise UnusableInput(f"{file.path} is a damaged or truncated DICOM file; copy or export the series again.")
    return pixels
