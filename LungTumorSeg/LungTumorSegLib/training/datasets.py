"""Data sets on disk as lists of cases.

Three layouts are known: image and mask folders, Medical Segmentation Decathlon, and DICOM CT with RTSTRUCT. Finding
cases reads names and headers only; ``read_label`` reads a case's masks when it is prepared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import UnusableInput
from ..core.lobes import LOBES, LobeName
from ..core.volume import Mask, Volume
from ..io.dicom_reading import stated_class
from ..io.dicom_start import is_dicom_file
from ..io.file_suffixes import LABEL_SUFFIXES, has_suffix
from ..io.images import read_volume
from ..io.label_maps import name_without_suffix
from ..io.rtstruct import RTSTRUCT_CLASS, read_roi, read_structure_set
from ..io.segmentations import read_lesion_labels
from .data_config import CaseConfig, SourceConfig
from .store import IGNORED

MOST_LESIONS = IGNORED - 1
"""Largest number of labels that a stored case can hold (uint8, without ``IGNORED``)."""


def find_cases(source: SourceConfig) -> list[CaseConfig]:
    """Return the labeled cases of a data set, sorted by name.

    Raises:
        UnusableInput: The folder does not contain what its kind requires.
    """
    folder = Path(source.folder)
    if not folder.is_dir():
        raise UnusableInput(f"The data set {folder} is not a folder; check data.sources.")
    finders = {"folders": _in_folders, "decathlon": _in_decathlon, "rtstruct": _in_dicom}
    cases = finders[source.kind](folder, source)
    if not cases:
        raise UnusableInput(f"The data set {folder} contains no case of kind {source.kind!r}; check data.sources.")
    return cases


def read_label(case: CaseConfig, ct: Volume) -> Volume:
    """Read a case's label on its CT's grid.

    Args:
        case: The case whose masks to read.
        ct: The CT, on whose grid every mask must lie.

    Returns:
        A uint8 label map: 0 background, lesions 1 ... n, and ``IGNORED`` for voxels of ignored masks outside all
        lesions.

    Raises:
        UnusableInput: A mask cannot be read or lies on another grid, or there are more than ``MOST_LESIONS`` labels.
    """
    label = np.zeros(ct.shape, np.uint8)
    for path in case.ignored:
        for mask in _masks(Path(path), case, ct):
            label[mask] = IGNORED
    number = 0
    for path in case.lesions:
        for mask in _masks(Path(path), case, ct):
            number += 1
            if number > MOST_LESIONS:
                raise UnusableInput(
                    f"The masks of {case.ct} contain more than {MOST_LESIONS} labels; use lesion masks, not a CT or a "
                    "probability map."
                )
            label[mask] = number
    return ct.with_array(label)


def read_lobes(case: CaseConfig, ct: Volume, values: Mapping[LobeName, Sequence[int]]) -> Volume:
    """Read the lobes of a case, which its ``lesions`` name, on its CT's grid.

    Args:
        case: The case.
        ct: The CT, on whose grid every label map must lie.
        values: Values of each lobe in the label maps; other values are background.

    Returns:
        uint8, the number of the lobe in ``LOBES``, counted from 1; 0 background; ``IGNORED`` in ignored masks.

    Raises:
        UnusableInput: A label map cannot be read, lies on another grid or contains none of the values.
    """
    label = np.zeros(ct.shape, np.uint8)
    for path in map(Path, case.lesions):
        found = read_volume(path)
        if not found.same_grid(ct):
            raise UnusableInput(_other_grid(path))
        for number, name in enumerate(LOBES, start=1):
            label[np.isin(found.array, values[name])] = number
    if not label.any():
        raise UnusableInput(
            f"The label maps of {case.ct} contain no value of a lobe; check the masks, and lobes.values."
        )
    for path in map(Path, case.ignored):
        for mask in _masks(path, case, ct):
            label[mask] = IGNORED
    return ct.with_array(label)


def _other_grid(path: Path) -> str:
    return f"The mask {path} does not lie on its CT's grid; resample it to the CT first."


def _masks(path: Path, case: CaseConfig, ct: Volume) -> list[Mask]:
    """Return the masks (bool) in a file.

    They are the chosen labels of a label map, the segments of a segmentation, or the ROIs of a structure set.
    """
    if path.is_file() and is_dicom_file(path):
        return [read_roi(path, name, ct).array for name in case.rois]
    labels = read_lesion_labels(path)
    if not labels.same_grid(ct):
        raise UnusableInput(_other_grid(path))
    return [
        labels.array == value
        for value in np.unique(labels.array[labels.array > 0])
        if not case.labels or int(value) in case.labels
    ]


def _in_folders(folder: Path, source: SourceConfig) -> list[CaseConfig]:
    """Pair files of the same name, whatever their suffix, in ``images`` and ``masks``.

    A CT without a mask is an error; a tumor-free CT has an empty mask.
    """
    images, masks = _by_name(folder / source.images), _by_name(folder / source.masks)
    unpaired = sorted(images.keys() ^ masks.keys())
    if unpaired:
        raise UnusableInput(
            f"{folder} has no image and mask of the same name for {', '.join(unpaired)}; a tumor-free CT needs an "
            "empty mask."
        )
    return [
        CaseConfig(
            ct=str(images[name]), patient=_patient(name, source), lesions=(str(masks[name]),), labels=source.labels
        )
        for name in sorted(images)
    ]


def _in_decathlon(folder: Path, source: SourceConfig) -> list[CaseConfig]:
    """Return the training cases that dataset.json lists (Antonelli et al. 2022, doi:10.1038/s41467-022-30695-9)."""
    listing = folder / "dataset.json"
    try:
        entries: list[Any] = json.loads(listing.read_text(encoding="utf-8"))["training"]
        pairs = [(folder / str(entry["image"]), folder / str(entry["label"])) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnusableInput(
            f"{listing} does not list training images and labels in the format of the Medical Segmentation Decathlon; "
            "check data.sources."
        ) from error
    missing = [str(path) for pair in pairs for path in pair if not path.is_file()]
    if missing:
        raise UnusableInput(f"{listing} lists {missing[0]}, which is missing; unpack the data set again.")
    return [
        CaseConfig(
            ct=str(image),
            patient=_patient(name_without_suffix(image), source),
            lesions=(str(label),),
            labels=source.labels,
        )
        for image, label in pairs
    ]


def _in_dicom(folder: Path, source: SourceConfig) -> list[CaseConfig]:
    """Return one case per structure set, with the CT series to which it refers.

    The CT is searched in the patient's folder (the layout of NSCLC-Radiomics and LOTUS).
    """
    cases = []
    for patient_folder in sorted(path for path in folder.iterdir() if path.is_dir()):
        for path in sorted(path for path in patient_folder.rglob("*") if path.is_file() and _is_structure_set(path)):
            header = read_structure_set(path)
            patient = _patient(header.patient or patient_folder.name, source)
            cases.append(CaseConfig(str(patient_folder), patient, (str(path),), rois=source.rois, series=header.series))
    return cases


def _is_structure_set(path: Path) -> bool:
    return is_dicom_file(path) and stated_class(path) == RTSTRUCT_CLASS


def _by_name(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UnusableInput(f"The folder {folder} does not exist; check data.sources.")
    paths = [path for path in sorted(folder.iterdir()) if has_suffix(path.name, LABEL_SUFFIXES) or path.is_dir()]
    return {name_without_suffix(path): path for path in paths if not path.name.startswith(".")}


def _patient(name: str, source: SourceConfig) -> str:
    """Return the patient of a case: the first group of ``patient_pattern`` in its name, or the whole name."""
    if not source.patient_pattern:
        return name
    found = re.search(source.patient_pattern, name)
    if found is None or not found.groups():
        raise UnusableInput(
            f"The patient pattern {source.patient_pattern!r} finds no group in the name {name!r}; check data.sources."
        )
    return str(found.group(1))
