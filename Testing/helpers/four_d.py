"""4D CTs, for tests: files of several phases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import SimpleITK as sitk
from dicom_series import write_dicom_series
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.images import to_simpleitk


def write_4d(phases: Sequence[Volume], path: Path) -> Path:
    """Write phases as one 4D NIfTI file."""
    sitk.WriteImage(sitk.JoinSeries([to_simpleitk(phase) for phase in phases]), str(path))
    return path


def write_4d_dicom(phases: Sequence[Volume], folder: Path, values: Sequence[object], keyword: str) -> Path:
    """Write phases as one DICOM series, whose attribute ``keyword`` has the given value in each phase."""
    for number, (phase, value) in enumerate(zip(phases, values, strict=True)):

        def edit(dataset, index, value=value):
            dataset.StudyInstanceUID = dataset.FrameOfReferenceUID = "1.2.9"
            setattr(dataset, keyword, value)

        write_dicom_series(phase, folder / f"{number}", series_uid="1.2.3", edit=edit)
    return folder
