"""Which files are compared with which, and what they hold.

A case is a label map (.nii.gz, .nii, .nrrd, .mha) or a .seg.nrrd, of which the lesion segments count; or a folder that ``lungtumorseg
segment`` wrote, with its probability map. A data set is a folder of cases; its names are those of the files without suffix, or of the
folders.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import UnusableInput
from ..core.volume import Volume
from ..io.images import read_volume
from ..training.labels import LABEL_SUFFIXES, SEGMENTATION_SUFFIX, name_without_suffix, read_lesion_labels

RESULT, PROBABILITY = "segmentation.seg.nrrd", "probability.nrrd"
"""The files of a result folder that are compared."""


@dataclass(frozen=True)
class Pair:
    """The two files of one case."""

    name: str
    prediction: Path
    reference: Path


def find_pairs(prediction: Path, reference: Path) -> tuple[list[Pair], list[str]]:
    """The cases of two files or two data sets, by name, and the names of predictions that have no reference.

    Raises UnusableInput where a reference has no prediction, or where files and folders do not go together.
    """
    predictions, references = _cases(prediction), _cases(reference)
    if predictions is None and references is None:
        return [Pair(name_without_suffix(reference), _file(prediction), _file(reference))], []
    if predictions is None or references is None:
        raise UnusableInput(
            f"{prediction} and {reference} must be two files or two folders of files with the same names."
        )
    missing = sorted(references.keys() - predictions.keys())
    if missing:
        raise UnusableInput(f"{prediction} holds no prediction for {', '.join(missing)}; files are matched by name.")
    pairs = [Pair(name, predictions[name], references[name]) for name in sorted(references)]
    return pairs, sorted(predictions.keys() - references.keys())


def read_pair(pair: Pair) -> tuple[Volume, Volume, Volume | None]:
    """Prediction (labels), reference (labels) and the probability map, if there is one, with canonical axes on one grid.

    A .seg.nrrd may cover a part of the other's grid, as Slicer crops them. Raises UnusableInput where grids differ otherwise.
    """
    prediction, reference = (_canonical(read_lesion_labels(path)) for path in (pair.prediction, pair.reference))
    map_file = pair.prediction.with_name(PROBABILITY)
    probability = _canonical(read_volume(map_file)) if pair.prediction.name == RESULT and map_file.is_file() else None
    if pair.prediction.name.endswith(SEGMENTATION_SUFFIX):
        prediction = _on_grid(prediction, reference)
    if pair.reference.name.endswith(SEGMENTATION_SUFFIX):
        reference = _on_grid(reference, prediction)
    if not prediction.same_grid(reference):
        raise UnusableInput(
            f"{pair.prediction} does not lie on the grid of {pair.reference}; resample one to the other first."
        )
    return prediction, reference, probability


def _cases(path: Path) -> dict[str, Path] | None:
    """Name to file of a data set; None where ``path`` is a single case. Raises UnusableInput where there is nothing."""
    if not path.exists():
        raise UnusableInput(f"{path} does not exist; check the path.")
    if path.is_file() or (path / RESULT).is_file():
        return None
    cases: dict[str, Path] = {}
    for entry in sorted(path.iterdir()):
        file = entry / RESULT if entry.is_dir() else entry
        if file.name.startswith(".") or not file.is_file() or not file.name.endswith(LABEL_SUFFIXES):
            continue
        name = name_without_suffix(entry)
        if name in cases:
            raise UnusableInput(f"{cases[name]} and {file} have the same name; keep one of them.")
        cases[name] = file
    if not cases:
        raise UnusableInput(f"{path} holds no segmentations ({', '.join(LABEL_SUFFIXES)}).")
    return cases


def _file(path: Path) -> Path:
    return path / RESULT if path.is_dir() else path


def _canonical(volume: Volume) -> Volume:
    return volume.canonical_axes().apply(volume)


def _on_grid(part: Volume, whole: Volume) -> Volume:
    """``part`` filled up to the grid of ``whole`` where it lies on its voxels; as it is elsewhere."""
    start = np.rint(whole.lps_to_index(part.origin)).astype(int)
    stop = start + part.shape
    if (start < 0).any() or (stop > whole.shape).any() or not whole.crop(_triple(start), _triple(stop)).same_grid(part):
        return part
    labels = np.zeros(whole.shape, part.array.dtype)
    labels[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = part.array
    return whole.with_array(labels)


def _triple(index: np.ndarray) -> tuple[int, int, int]:
    return int(index[0]), int(index[1]), int(index[2])
