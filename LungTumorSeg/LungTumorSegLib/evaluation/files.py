"""Which files are compared, and what they contain.

A case is a label map (.nii.gz, .nii, .nrrd, .mha) or a .seg.nrrd, of which the lesion segments count. It can also be a
folder that ``lungtumorseg segment`` wrote, with its probability map. A data set is a folder of cases, such as the one
that ``lungtumorseg batch`` wrote. The name of a
case is the name of its folder or of its file without suffix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.boxes import bounding_box, boxes_of_labels, common_grid, slices_of
from ..core.crops import place, start_on
from ..core.errors import UnusableInput
from ..core.messages import does_not_exist
from ..core.texts import listed
from ..core.volume import Geometry, Volume
from ..io.file_suffixes import LABEL_SUFFIXES, has_suffix
from ..io.images import read_volume
from ..io.label_maps import name_without_suffix
from ..io.rtstruct import is_structure_set
from ..io.segmentations import names_segments, read_lesion_labels
from ..lesions.doubts import MOSTLY_AIR_HU
from ..results.folder import settle

RESULT, PROBABILITY = "segmentation.seg.nrrd", "probability.nrrd"
"""Names of the compared files in a result folder."""

LARGEST_LESION_ML = 1000.0
"""Volume above which a label is no lesion, mL: that of a ball of 12 cm."""


@dataclass(frozen=True)
class Pair:
    """The two files of one case."""

    name: str
    prediction: Path
    reference: Path


def find_pairs(prediction: Path, reference: Path) -> tuple[list[Pair], dict[str, Path], list[str]]:
    """Match the cases of two files or of two data sets by name.

    Args:
        prediction: The predicted file or data set.
        reference: The reference file or data set.

    Returns:
        The pairs, the references without a prediction by name, and the names of predictions without a reference.

    Raises:
        UnusableInput: A path does not exist, no reference has a prediction, or a file is compared with a data set.
    """
    for path in (prediction, reference):
        if path.is_dir():
            settle(path)
    predictions, references = _cases(prediction), _cases(reference)
    if predictions is None and references is None:
        return [Pair(name_without_suffix(reference), _file(prediction), _file(reference))], {}, []
    if predictions is None or references is None:
        raise UnusableInput(
            f"{prediction} and {reference} must be two files or two folders of files with the same names."
        )
    pairs = [Pair(name, predictions[name], references[name]) for name in sorted(references) if name in predictions]
    missing = {name: references[name] for name in sorted(references.keys() - predictions.keys())}
    if not pairs:
        raise UnusableInput(
            f"{prediction} contains no prediction for {listed(list(missing))}; name each file or result folder like "
            "its reference."
        )
    return pairs, missing, sorted(predictions.keys() - references.keys())


def read_pair(
    pair: Pair, ct: Volume | None = None, warn: Callable[[str], None] = lambda sentence: None
) -> tuple[Volume, Volume, Volume | None]:
    """Read the two segmentations of a case on one grid with canonical axes.

    A segmentation may cover a part of the other's grid, because Slicer crops segmentations. Its grid may also be
    larger, or shifted by whole voxels. A structure set is filled on the CT, without it on the other's grid.

    Args:
        pair: The files.
        ct: The CT of the case, which two structure sets need.
        warn: Receives sentences about what each file holds, with its path.

    Returns:
        The prediction (labels), the reference (labels), and the probability map if there is one.

    Raises:
        UnusableInput: A file cannot be read, or the grids differ in another way.
    """
    prediction, reference = _read_both(pair.prediction, pair.reference, ct, warn)
    upright = None if ct is None else _canonical(ct)
    for labels, path in ((prediction, pair.prediction), (reference, pair.reference)):
        for sentence in label_doubts(labels, upright):
            warn(f"{path}: {sentence}")
        if upright is not None:
            _warn_beside(labels, upright, path, warn)
    map_file = pair.prediction.with_name(PROBABILITY)
    probability = _canonical(read_volume(map_file)) if pair.prediction.name == RESULT and map_file.is_file() else None
    if not prediction.same_grid(reference):
        prediction, reference = _on_one_grid(pair, prediction, reference, keep_prediction=probability is not None)
    return prediction, reference, probability


def _warn_beside(labels: Volume, ct: Volume, path: Path, warn: Callable[[str], None]) -> None:
    """Warn of a segmentation that does not lie on the voxels of the given CT, which is of no use then."""
    try:
        start_on(labels, ct, str(path), "the voxels of the CT")
    except UnusableInput as error:
        warn(f"The CT was not used: {error}")


def read_reference(path: Path, warn: Callable[[str], None] = lambda sentence: None) -> Volume:
    """Read a reference (labels) that has no prediction.

    Args:
        path: The file.
        warn: Receives sentences about what the file holds, with its path.

    Raises:
        UnusableInput: The file cannot be read, or is a structure set, which needs the grid of a prediction.
    """
    if is_structure_set(path):
        raise UnusableInput(
            f"{path} has no prediction, and without one the contours of a structure set cannot be filled; name the "
            "prediction like it, or remove it."
        )
    return read_lesion_labels(path, warn=lambda sentence: warn(f"{path}: {sentence}"))


def label_doubts(labels: Volume, ct: Volume | None = None) -> Iterator[str]:
    """Yield a sentence about each label that is probably no lesion, but an organ such as a lung.

    Args:
        labels: One label per lesion, with canonical axes.
        ct: The CT (HU) with canonical axes; its values are looked at if it has the grid of the labels.
    """
    for label, box in boxes_of_labels(labels.array).items():
        part = slices_of(box)
        mask = labels.array[part] == label
        volume_ml = np.count_nonzero(mask) * labels.voxel_volume_ml
        found = []
        if volume_ml > LARGEST_LESION_ML:
            found.append(f"measures {volume_ml:.0f} mL, more than any lung tumor")
        if ct is not None and ct.same_grid(labels):
            median_hu = float(np.median(ct.array[part][mask]))
            if median_hu < MOSTLY_AIR_HU:
                found.append(f"is mostly air (median {median_hu:.0f} HU)")
        if found:
            yield (
                f"Label {label} {' and '.join(found)}, but counts as a lesion in all metrics; remove it if it is an "
                "organ."
            )


def _on_one_grid(pair: Pair, prediction: Volume, reference: Volume, *, keep_prediction: bool) -> tuple[Volume, Volume]:
    """Bring two segmentations onto one grid.

    This is the grid of the prediction if ``keep_prediction`` is set, otherwise the grid of the label map. For two files
    that may be cropped, it is the smallest grid that contains both.
    """
    if keep_prediction:
        return prediction, _on_grid(reference, prediction, pair.reference, pair.prediction)
    cropped = [_may_be_cropped(path) for path in (pair.prediction, pair.reference)]
    if all(cropped):
        start_on(prediction, reference, str(pair.prediction), f"the grid of {pair.reference}")
        grid = common_grid(reference, prediction)
        return (
            _on_grid(prediction, grid, pair.prediction, pair.reference),
            _on_grid(reference, grid, pair.reference, pair.prediction),
        )
    if cropped[0] or (not cropped[1] and _covers(prediction, reference)):
        return _on_grid(prediction, reference, pair.prediction, pair.reference), reference
    if cropped[1]:
        return prediction, _on_grid(reference, prediction, pair.reference, pair.prediction)
    raise UnusableInput(
        f"{pair.prediction} does not lie on the grid of {pair.reference}: it has {_size(prediction)} voxels, and the "
        f"reference has {_size(reference)}; resample one to the other first."
    )


def _read_both(
    prediction: Path, reference: Path, ct: Volume | None, warn: Callable[[str], None]
) -> tuple[Volume, Volume]:
    """Read the labels of both files with canonical axes.

    A structure set has no grid of its own. It is filled on the CT, without it on the other's grid, which may be too
    small for it.
    """
    sets = is_structure_set(prediction), is_structure_set(reference)
    if all(sets) and ct is None:
        raise UnusableInput(
            f"{prediction} and {reference} are structure sets, whose contours can only be filled on their CT; add "
            "--ct CT."
        )

    def read(path: Path, grid: Volume | None) -> Volume:
        return read_lesion_labels(path, grid, lambda sentence: warn(f"{path}: {sentence}"))

    if sets[0]:
        there = read(reference, ct)
        return _canonical(read(prediction, ct or there)), _canonical(there)
    here = read(prediction, ct)
    return _canonical(here), _canonical(read(reference, ct or here))


def _cases(path: Path) -> dict[str, Path] | None:
    """Return the files of a data set by name, or None if ``path`` is a single case.

    Raises:
        UnusableInput: The path does not exist, or the folder contains no segmentations or two of the same name.
    """
    if not path.exists():
        raise UnusableInput(does_not_exist(path))
    if path.is_file() or (path / RESULT).is_file():
        return None
    cases: dict[str, Path] = {}
    for entry in sorted(path.iterdir()):
        if entry.is_dir():
            settle(entry)
        file = entry / RESULT if entry.is_dir() else entry
        if file.name.startswith(".") or not file.is_file() or not has_suffix(file.name, LABEL_SUFFIXES):
            continue
        name = name_without_suffix(entry)
        if name in cases:
            raise UnusableInput(f"{cases[name]} and {file} have the same name; keep one of them.")
        cases[name] = file
    if not cases:
        raise UnusableInput(f"{path} contains no segmentations ({', '.join(LABEL_SUFFIXES)}).")
    return cases


def _file(path: Path) -> Path:
    return path / RESULT if path.is_dir() else path


def _canonical(volume: Volume) -> Volume:
    return volume.canonical_axes().apply(volume)


def _may_be_cropped(path: Path) -> bool:
    """Return whether a file's grid may end anywhere.

    Segmentations are cropped to their segments; label maps are not.
    """
    return names_segments(path)


def _covers(labels: Volume, other: Volume) -> bool:
    return all(a >= b for a, b in zip(labels.shape, other.shape, strict=True))


def _on_grid(part: Volume, grid: Geometry, path: Path, other: Path) -> Volume:
    """Return the labels of ``part`` on another grid with canonical axes."""
    crop = place(part.with_array(part.array > 0), grid, str(path), f"the grid of {other}")
    labels = np.zeros(grid.shape, part.array.dtype)
    box = bounding_box(part.array > 0)
    if crop is not None and box is not None:
        labels[crop.slices] = part.array[slices_of(box)]
    return Volume(labels, grid.affine)


def _size(volume: Volume) -> str:
    return " x ".join(map(str, volume.shape))
