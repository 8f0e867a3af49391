"""The manifest beside a model's weights: what the model is and how to use it.

The manifest is checked before anything is computed. Weights are stored as safetensors (a format without code), and
their SHA-256 is compared with the manifest when they are loaded. They may be stored in half precision; networks receive
single precision.
"""

from __future__ import annotations

import os
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..core.errors import MachineLimit, UnusableInput
from ..core.json_files import read_json, reason, write_json
from ..core.texts import quoted
from ..options import DEFAULT_MODEL as DEFAULT_MODEL
from ..options import OPTIONS, Thresholds, usual_values
from ..refinement.calibration import Calibration

MODELS_VARIABLE = "LUNGTUMORSEG_MODELS"
"""Environment variable that names a folder with further installed models, one folder per model."""

SHIPPED = Path(__file__).parent
WEIGHTS_FILE = "model.safetensors"
SECOND_WEIGHTS_FILE = "second_look.safetensors"
MANIFEST_FILE = "manifest.json"
SCHEMA_VERSION = 1

TEXTS = {"id", "description", "network", "weights_sha256", "variant", "recurrence", "training_data", "license"}

WIDEST = 512
"""Largest number of filters in the first block; the published networks have 32."""

LARGEST_SHIFT = 5.0
"""Largest correction of the logit of a voxel, in both directions."""

NUMBER_LISTS = {"spacing_mm": (3, 0.05, 50.0), "intensity_range_hu": (2, -32768.0, 32767.0)}
"""Count, smallest and largest value of the numbers under a key, in mm and HU."""


@dataclass(frozen=True)
class SecondLook:
    """The second network of a model, which looks at the candidates of the first one.

    Attributes:
        width: Number of filters in its first block.
        weights_sha256: SHA-256 of its weights file beside the manifest.
        candidate: Probability of a candidate of the first network being a tumor.
        click: Probability of what lies at a point that the user gave being a tumor.
        outline_logit: Added to the logit of a voxel being inside the lesion. It corrects outlines that are too tight
            or too wide on sources that the network was not trained on.
        spot: Probability of a spot, a small dense place that the first network overlooked, being a tumor; None if a run
            does not look at spots.
    """

    width: int
    weights_sha256: str
    candidate: Calibration
    click: Calibration
    outline_logit: float = 0.0
    spot: Calibration | None = None

    @classmethod
    def from_json(cls, values: object) -> SecondLook:
        """Return the second network from its values in a manifest.

        Raises:
            ValueError: A value is missing, unknown or not possible.
        """
        if not isinstance(values, dict):
            raise ValueError("second_look must give width, weights_sha256, candidate and click")
        values = {"outline_logit": 0.0, "spot": None, **values}  # absent in older models
        if set(values) != {field.name for field in fields(cls)}:
            raise ValueError("second_look must give width, weights_sha256, candidate and click")
        width, checksum, shift = values["width"], values["weights_sha256"], values["outline_logit"]
        _require(type(width) is int and 1 <= width <= WIDEST, "second_look.width", f"1 to {WIDEST}", width)
        _require(isinstance(checksum, str), "second_look.weights_sha256", "a text", checksum)
        fits = _is_within(shift, -LARGEST_SHIFT, LARGEST_SHIFT)
        _require(fits, "second_look.outline_logit", f"-{LARGEST_SHIFT:g} to {LARGEST_SHIFT:g}", shift)
        candidate, click = (Calibration.from_json(values[name]) for name in ("candidate", "click"))
        spot = None if values["spot"] is None else Calibration.from_json(values["spot"])
        return cls(width, checksum, candidate, click, float(shift), spot)


@dataclass(frozen=True)
class Manifest:
    """How a model was built and how to use it; every option that a run does not set comes from here.

    Attributes:
        id: Identifier of the model.
        description: One line about the model.
        network: Name of the network.
        width: Number of filters in the first block.
        spacing_mm: Spacing of the working grid along (slice, row, column), in mm.
        intensity_range_hu: HU that are mapped to 0 and 1.
        weights_sha256: SHA-256 of the weights file beside the manifest.
        variant: Variant of the network.
        recurrence: "rows" as in the published code, or "slices" as in the paper.
        thresholds: Slice threshold and voxel threshold.
        stride: Slices from one stack to the next.
        mirror: Whether to use test-time augmentation (mirroring).
        closer_above: Probability in a first pass around which the network looks closer; None if it looks everywhere.
        min_lesion_ml: Volume in mL below which a lesion is not reported.
        min_confidence: Confidence threshold, below which a lesion is not reported.
        training_data: The data on which the model was trained.
        license: License of the weights.
        second_look: The second network; None if the model has only one.
        schema_version: Version of the manifest's schema.
    """

    id: str
    description: str
    network: str
    width: int
    spacing_mm: tuple[float, float, float]
    intensity_range_hu: tuple[float, float]
    weights_sha256: str
    variant: str = "published"
    recurrence: str = "rows"
    thresholds: Thresholds = field(default_factory=Thresholds)
    stride: int = 4
    mirror: bool = False
    closer_above: float | None = None
    min_lesion_ml: float = 0.03
    min_confidence: float = 0.0
    training_data: str = ""
    license: str = ""
    second_look: SecondLook | None = None
    schema_version: int = SCHEMA_VERSION

    @property
    def verify(self) -> bool:
        """Whether a run takes a second look at its candidates unless the user chooses otherwise."""
        return self.second_look is not None

    def write(self, folder: Path) -> None:
        """Write manifest.json into ``folder``."""
        write_json(folder / MANIFEST_FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Return the manifest in ``folder``.

        Raises:
            MachineLimit: If it is missing or damaged.
        """
        try:
            stored = read_json(folder / MANIFEST_FILE)
            if not isinstance(stored, dict):
                raise ValueError("it contains no named values")
            if stored.get("schema_version") != SCHEMA_VERSION:
                raise ValueError(f"schema version {quoted(stored.get('schema_version'))} is not {SCHEMA_VERSION}")
            return cls(**_checked(stored))
        except (OSError, ValueError, TypeError) as error:  # UnusableInput is a ValueError
            raise MachineLimit(
                f"The model in {folder} has no readable manifest ({reason(error)}); reinstall the model."
            ) from error


def _checked(stored: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a manifest file in the types of ``Manifest``.

    Raises:
        ValueError: If a value is missing, unknown or not possible; the message names its key.
        UnusableInput: If an option is out of range; this is a ValueError too.
    """
    values = dict(stored)
    known = {field.name: field for field in fields(Manifest)}
    for name in values.keys() - known.keys():
        raise ValueError(f"it has an unknown value {quoted(name)}")
    for name, field_ in known.items():
        if name not in values and field_.default is MISSING and field_.default_factory is MISSING:
            raise ValueError(f"it lacks {name}")
    for name in TEXTS & values.keys():
        _require(isinstance(values[name], str), name, "a text", values[name])
    _require(
        type(values["width"]) is int and 1 <= values["width"] <= WIDEST, "width", f"1 to {WIDEST}", values["width"]
    )
    for name, (count, low, high) in NUMBER_LISTS.items():
        given = values[name]
        fits = (
            isinstance(given, list) and len(given) == count and all(_is_within(number, low, high) for number in given)
        )
        _require(fits, name, f"{count} numbers from {low:g} to {high:g}", given)
        values[name] = tuple(float(number) for number in given)
    _require(values["intensity_range_hu"][0] < values["intensity_range_hu"][1], "intensity_range_hu", "rising", given)
    if "thresholds" in values:
        given = values["thresholds"]
        _require(isinstance(given, dict) and given.keys() <= {"gate", "voxel"}, "thresholds", "gate and voxel", given)
        values["thresholds"] = Thresholds(**given)
    if (above := values.get("closer_above")) is not None:
        _require(_is_within(above, 0, 1), "closer_above", "0 to 1", above)
    if values.get("second_look") is not None:
        values["second_look"] = SecondLook.from_json(values["second_look"])
    for option in OPTIONS:
        if option.default is None and option.name in values:
            _require(values[option.name] is not None, option.name, "given", None)
            option.checked(values[option.name])
    return values


def _require(fits: bool, name: str, what: str, value: Any) -> None:
    if not fits:
        raise ValueError(f"{name} must be {what}, not {quoted(value)}")


def _is_within(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def model_folders() -> dict[str, Path]:
    """Return the folder of each model by its id.

    Models are shipped ones, and those below the folder that ``LUNGTUMORSEG_MODELS`` names.
    """
    places = [SHIPPED]
    if os.environ.get(MODELS_VARIABLE):
        places.append(Path(os.environ[MODELS_VARIABLE]))
    return {path.parent.name: path.parent for place in places for path in sorted(place.glob(f"*/{MANIFEST_FILE}"))}


def find_model(model_id: str) -> Path:
    """Return the folder of a model.

    Args:
        model_id: The id of a model, or the path of its folder.

    Raises:
        UnusableInput: If there is no such model; the message lists the known ids.
    """
    known = model_folders()
    if model_id in known:
        return known[model_id]
    if (Path(model_id) / MANIFEST_FILE).is_file():
        return Path(model_id)
    choose = f"choose one of: {', '.join(sorted(known)) or 'none is installed'}"
    if model_id and Path(model_id).is_dir():
        raise UnusableInput(f"The folder {model_id} has no {MANIFEST_FILE}, so it is no model; {choose}.")
    raise UnusableInput(f"There is no model {quoted(model_id)}; {choose}.")


def shipped_values() -> dict[str, Any]:
    """Return the values, by option name, that a run with the shipped model uses if the user chooses none.

    Raises:
        MachineLimit: If the shipped manifest is missing or damaged.
    """
    return usual_values(Manifest.read(SHIPPED / DEFAULT_MODEL))
