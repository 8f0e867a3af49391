"""What a model is and how it is to be used: the manifest beside its weights, checked before anything is computed.

Weights are stored as safetensors (no code in the file) and compared with the manifest's SHA-256 when they are loaded. Half precision
in storage is fine; networks get single precision.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import PACKAGE_REMEDY, MachineLimit, UnusableInput
from ..inference.decision import Thresholds
from .model_card import card_excerpt

if TYPE_CHECKING:
    import torch

DEFAULT_MODEL = "default"
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
            raise MachineLimit(f"The model in {folder} has no readable manifest ({error}); install it again.") from error


@dataclass(frozen=True)
class Model:
    """A network in evaluation mode with its weights, its manifest, and what its card says of use and failures ("" without a card)."""

    network: torch.nn.Module
    manifest: Manifest
    card: str = ""


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
    raise UnusableInput(f"There is no model {model_id!r}; choose one of: {', '.join(sorted(known)) or 'none is installed'}.")


def load_model(model_id: str = DEFAULT_MODEL) -> Model:
    """The network of ``model_id`` with its weights, on the CPU, in evaluation mode.

    Raises UnusableInput for an unknown model, MachineLimit where files are missing, damaged or do not fit the network, or torch is missing.
    """
    folder = find_model(model_id)
    manifest = Manifest.read(folder)
    try:
        from safetensors.torch import load

        from ..networks import build_network
    except ImportError as error:
        raise MachineLimit(f"The package {error.name} is missing; {PACKAGE_REMEDY}.") from error
    try:
        data = (folder / WEIGHTS_FILE).read_bytes()
    except OSError as error:
        raise MachineLimit(f"The weights of model {manifest.id} cannot be read; install the extension or the model again.") from error
    if hashlib.sha256(data).hexdigest() != manifest.weights_sha256:
        raise MachineLimit(f"The weights of model {manifest.id} are damaged (wrong checksum); install the extension or the model again.")
    network = build_network(manifest.network, manifest.width, variant=manifest.variant, recurrence=manifest.recurrence)
    try:
        network.load_state_dict({name: tensor.float() for name, tensor in load(data).items()})
    except RuntimeError as error:
        raise MachineLimit(f"The weights of model {manifest.id} do not fit its network {manifest.network}; install it again.") from error
    return Model(network.eval(), manifest, card_excerpt(folder))


def save_model(network: torch.nn.Module, manifest: Manifest, folder: Path) -> Manifest:
    """Writes weights, as they are, and manifest into ``folder``; the manifest gets the checksum."""
    from safetensors.torch import save

    weights = save({name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS_FILE).write_bytes(weights)
    complete = replace(manifest, weights_sha256=hashlib.sha256(weights).hexdigest())
    complete.write(folder)
    return complete
