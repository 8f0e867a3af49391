"""What a model is and how it is to be used: the manifest beside its weights, checked before anything is computed.

Weights are stored as safetensors (no code in the file) and compared with the manifest's SHA-256 when they are loaded. Half precision
in storage is fine; networks get single precision.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import MachineLimit, UnusableInput
from ..core.texts import bounded, printable
from ..options import DEFAULT_MODEL as DEFAULT_MODEL
from ..options import Thresholds, usual_values

MODELS_VARIABLE = "LUNGTUMORSEG_MODELS"
"""Environment variable: a folder that holds further installed models, one folder each."""

SHIPPED = Path(__file__).parent
WEIGHTS_FILE = "model.safetensors"
MANIFEST_FILE = "manifest.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Manifest:
    """How a model was built and is to be used; every option that a run does not name comes from here.

    ``spacing_mm`` is the working grid's (slice, row, column); ``intensity_range_hu`` becomes 0 to 1; ``mirror`` lets the network see each
    stack mirrored too; ``min_lesion_ml`` and ``min_confidence`` are the volume and the confidence below which a lesion is not reported;
    ``weights_sha256`` belongs to the file beside the manifest.
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
    min_lesion_ml: float = 0.03
    min_confidence: float = 0.0
    training_data: str = ""
    license: str = ""
    schema_version: int = SCHEMA_VERSION

    def write(self, folder: Path) -> None:
        """Writes manifest.json into ``folder``."""
        (folder / MANIFEST_FILE).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest in ``folder``; raises MachineLimit where it is missing or damaged."""
        try:
            stored: dict[str, Any] = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
            if stored["schema_version"] != SCHEMA_VERSION:
                raise ValueError(f"schema version {stored['schema_version']} is not {SCHEMA_VERSION}")
            tuples = {name: tuple(stored[name]) for name in ("spacing_mm", "intensity_range_hu")}
            return cls(**{**stored, **tuples, "thresholds": Thresholds(**stored["thresholds"])})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise MachineLimit(
                f"The model in {folder} has no readable manifest ({bounded(printable(str(error)), 200)}); install it again."
            ) from error


def model_folders() -> dict[str, Path]:
    """Model id to folder: the shipped models and those below the folder that ``LUNGTUMORSEG_MODELS`` names."""
    places = [SHIPPED]
    if os.environ.get(MODELS_VARIABLE):
        places.append(Path(os.environ[MODELS_VARIABLE]))
    return {path.parent.name: path.parent for place in places for path in sorted(place.glob(f"*/{MANIFEST_FILE}"))}


def find_model(model_id: str) -> Path:
    """The folder of a model by its id or its path; raises UnusableInput, naming the known ids, where there is none."""
    known = model_folders()
    if model_id in known:
        return known[model_id]
    if (Path(model_id) / MANIFEST_FILE).is_file():
        return Path(model_id)
    raise UnusableInput(
        f"There is no model {model_id!r}; choose one of: {', '.join(sorted(known)) or 'none is installed'}."
    )


def shipped_values() -> dict[str, Any]:
    """Return what a run with the shipped model uses where the user chooses nothing, by option name.

    Raises:
        MachineLimit: Where the shipped manifest is missing or damaged.
    """
    return usual_values(Manifest.read(SHIPPED / DEFAULT_MODEL))
