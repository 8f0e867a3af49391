"""4D CTs, for tests: files of several phases."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from dicom_series import Edit, write_dicom_series
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.images import to_simpleitk
from pydicom.dataset import Dataset


def write_4d(phases: Sequence[Volume], path: Path) -> Path:
    """Write phases as one 4D NIfTI file."""
    sitk.WriteImage(sitk.JoinSeries([to_simpleitk(phase) for phase in phases]), str(path))
    return path


def write_4d_nrrd(phases: Sequence[Volume], path: Path, *, position: int = 3, kind: str = "list") -> Path:
    """Write phases as one NRRD file, detached if its name ends in .nhdr.

    Args:
        phases: The phases.
        path: The file.
        position: Place of the axis of the phases among the axes, of which the first one is the fastest.
        kind: Kind of that axis; Slicer's sequences have "list".
    """
    grid = phases[0].grid
    axes = list(
        zip(reversed(grid.shape), ["domain"] * 3, (grid.affine[:3, 2 - axis] for axis in range(3)), strict=True)
    )
    words = [(str(size), kind, "(" + ",".join(map(repr, map(float, step))) + ")") for size, kind, step in axes]
    words.insert(position, (str(len(phases)), kind, "none"))
    sizes, kinds, steps = (" ".join(each) for each in zip(*words, strict=True))
    origin = ",".join(map(repr, map(float, grid.origin)))
    header = (
        f"NRRD0005\ntype: short\ndimension: 4\nspace: left-posterior-superior\nsizes: {sizes}\nkinds: {kinds}\n"
        f"space directions: {steps}\nspace origin: ({origin})\nendian: little\nencoding: raw\n"
    )
    voxels = np.stack([phase.array for phase in phases], axis=3 - position).astype("<i2").tobytes()
    if path.suffix == ".nhdr":
        path.with_suffix(".raw").write_bytes(voxels)
        path.write_text(f"{header}data file: {path.stem}.raw\n")
    else:
        path.write_bytes(f"{header}\n".encode() + voxels)
    return path


def write_phase_series(
    phases: Sequence[Volume], folder: Path, descriptions: Sequence[str], edit: Edit | None = None
) -> Path:
    """Write each phase as a DICOM series of its own, 1.2.3.0 for the first; ``edit`` gets the number of the phase."""
    for number, (phase, description) in enumerate(zip(phases, descriptions, strict=True)):

        def edit_slice(dataset: Dataset, index: int, number: int = number) -> None:
            dataset.StudyInstanceUID = dataset.FrameOfReferenceUID = "1.2.9"
            if edit:
                edit(dataset, number)

        uid = f"1.2.3.{number}"
        write_dicom_series(phase, folder / f"{number}", series_uid=uid, description=description, edit=edit_slice)
    return folder


def write_4d_dicom(phases: Sequence[Volume], folder: Path, values: Sequence[object], keyword: str) -> Path:
    """Write phases as one DICOM series, whose attribute ``keyword`` has the given value in each phase."""
    for number, (phase, value) in enumerate(zip(phases, values, strict=True)):

        def edit(dataset: Dataset, index: int, value: object = value) -> None:
            dataset.StudyInstanceUID = dataset.FrameOfReferenceUID = "1.2.9"
            setattr(dataset, keyword, value)

        write_dicom_series(phase, folder / f"{number}", series_uid="1.2.3", edit=edit)
    return folder
