"""The part of a configuration that names the training data: CTs, data sets, phantoms, nodules and the split."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Literal

from pydantic.dataclasses import dataclass

from ..core.errors import UnusableInput
from ..core.json_files import reason
from ..core.texts import quoted
from .settings import (
    STRICT,
    NotNegative,
    Share,
    Text,
    Whole,
    require,
)

SourceKind = Literal["folders", "decathlon", "rtstruct"]

DEFAULT_ROIS = ("GTV-1",)
"""Name of the primary tumor in NSCLC-Radiomics and LOTUS."""


@dataclass(frozen=True, config=STRICT)
class CaseConfig:
    """One whole CT with its masks.

    Masks are label maps, segmentations or RTSTRUCT files on the CT's grid.
    """

    ct: Text
    """An image file or a DICOM folder."""
    patient: Text
    """Name of the patient; a patient is in one part of the split only."""
    lesions: tuple[Text, ...] = ()
    """Masks of the lesions that the network learns to find; in a training of lobes, label maps of the lobes."""
    ignored: tuple[Text, ...] = ()
    """Masks of voxels that count neither as tumor nor as background."""
    labels: tuple[Whole, ...] = ()
    """Label values of label maps that count; if empty, all values above 0."""
    rois: tuple[Text, ...] = DEFAULT_ROIS
    """Names of the ROIs of RTSTRUCT files that count."""
    series: Text = ""
    """SeriesInstanceUID of the CT, needed if its folder contains several series."""


@dataclass(frozen=True, config=STRICT)
class SourceConfig:
    """A data set of labeled CT; see ``datasets``."""

    folder: Text
    """Folder of the data set."""
    kind: SourceKind
    """Layout of the data set.

    ``folders``: images and masks of the same name. ``decathlon``: dataset.json. ``rtstruct``: DICOM, one folder per
    patient.
    """
    images: Text = "images"
    """Folder of the images inside the data set (kind ``folders``)."""
    masks: Text = "masks"
    """Folder of the masks inside the data set (kind ``folders``)."""
    labels: tuple[Whole, ...] = ()
    """Label values of label maps that count; if empty, all values above 0."""
    rois: tuple[Text, ...] = DEFAULT_ROIS
    """Names of the ROIs of RTSTRUCT files that count."""
    patient_pattern: Text = ""
    """Regular expression whose first group is the patient in a case's name; if empty, the whole name is the patient."""


@dataclass(frozen=True, config=STRICT)
class PhantomConfig:
    """Synthetic chest CTs (phantoms).

    Training and held-out seeds are ranges that must not overlap. The held-out phantoms help to choose checkpoints.
    """

    count: Whole = 0
    """Number of phantoms for training."""
    first_seed: Whole = 100_000
    """First seed for training."""
    held_out: Whole = 0
    """Number of held-out phantoms."""
    first_held_out_seed: Whole = 200_000
    """First held-out seed."""
    kind: Literal["plain", "varied", "lobes"] = "plain"
    """``plain``: as for the shipped model. ``varied``: also unenhanced hearts, dependent density and pneumonia.

    ``lobes``: for a training of lobes, which has held-out phantoms of this kind too.
    """


@dataclass(frozen=True, config=STRICT)
class NoduleConfig:
    """A folder of nodule crops, which are implanted into other lungs."""

    folder: Text
    """Folder that contains the folders ``image`` and ``mask``."""
    left_out: tuple[Text, ...] = ()
    """Patients whose crops are not read."""
    min_volume_ml: NotNegative = 0.12
    """Smallest volume of a nodule that is used, mL."""
    min_voxels: Whole = 60
    """Smallest number of voxels of a nodule that is used."""


@dataclass(frozen=True, config=STRICT)
class SplitConfig:
    """Which patients train the network, which choose between checkpoints, and which are not read; see ``splits``."""

    file: Text
    """JSON file of the split; if it does not exist, a random split is drawn and written to it."""
    validation_share: Share = 0.1
    """Share of the patients that choose between checkpoints."""
    test_share: Share = 0.2
    """Share of the patients that are not read."""
    same_patients: tuple[tuple[Text, ...], ...] = ()
    """Groups of names that belong to one person in several data sets."""


@dataclass(frozen=True, config=STRICT)
class DataConfig:
    """The training data. Without ``split``, all cases are used for training."""

    cache: Text = "training-cache"
    """Folder of the cases in the working grid; missing cases are added."""
    cases: tuple[CaseConfig, ...] = ()
    sources: tuple[SourceConfig, ...] = ()
    split: SplitConfig | None = None
    phantoms: PhantomConfig = field(default_factory=PhantomConfig)
    nodules: NoduleConfig | None = None

    @property
    def paths(self) -> list[Path]:
        """The files and folders that the training reads."""
        folders = [source.folder for source in self.sources] + ([self.nodules.folder] if self.nodules else [])
        files = [path for case in self.cases for path in (case.ct, *case.lesions, *case.ignored)]
        return [Path(path) for path in (*folders, *files)]


def check_data(data: DataConfig) -> None:
    """Check values of the training data that contradict each other.

    Raises:
        UnusableInput: A pattern is not a regular expression, seeds are used twice, or no patient is left to train on.
    """
    for i, source in enumerate(data.sources):
        _check_pattern(f"data.sources[{i}].patient_pattern", source.patient_pattern)
    phantoms = data.phantoms
    first, last = sorted(((phantoms.first_seed, phantoms.count), (phantoms.first_held_out_seed, phantoms.held_out)))
    apart = first[0] + first[1] <= last[0] or min(first[1], last[1]) == 0
    require(apart, "data.phantoms trains on seeds that are also held-out; change first_held_out_seed.")
    if data.split is not None:
        left = data.split.validation_share + data.split.test_share < 1
        require(left, "The shares in data.split must leave patients to train on.")


def check_groups(sources: Mapping[str, Sequence[str]], folds: Sequence[Sequence[str]], section: str = "") -> None:
    """Check that no patient has two sources, and that no source is in two folds.

    Args:
        sources: Patients of each source.
        folds: Groups of sources.
        section: Beginning of the keys in the configuration, such as ``second_look.``.

    Raises:
        UnusableInput: A name stands twice.
    """
    for key, groups, kind in (("folds", folds, "source"), ("sources", sources.values(), "patient")):
        names = [name for group in groups for name in group]
        require(len(set(names)) == len(names), f"{section}{key} must name each {kind} once.")


def _check_pattern(place: str, pattern: str) -> None:
    try:
        groups = re.compile(pattern).groups
    except (re.error, RecursionError, OverflowError) as error:
        raise UnusableInput(f"{place} is not a regular expression ({reason(error)}): {quoted(pattern)}.") from error
    require(not pattern or groups >= 1, f"{place} needs a group for the patient's name: {quoted(pattern)} has none.")
