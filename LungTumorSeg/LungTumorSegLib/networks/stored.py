"""Read a network with its stored weights from a model folder, check it, and write it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..core.errors import MachineLimit, UnusableInput
from ..core.machine import is_out_of_memory, missing_package
from ..weights.manifest import DEFAULT_MODEL, SECOND_WEIGHTS_FILE, WEIGHTS_FILE, Manifest, SecondLook, find_model
from ..weights.model_card import card_excerpt

if TYPE_CHECKING:
    import torch

    from .second_network import SecondNetwork

N = TypeVar("N", bound="torch.nn.Module")


@dataclass(frozen=True)
class Model:
    """A network in evaluation mode with its weights.

    Attributes:
        network: The network.
        manifest: The manifest of the model.
        card: What the model card says about use and known failures; empty if the model has no card.
        second: The network of the second look; None if the model has none.
    """

    network: torch.nn.Module
    manifest: Manifest
    card: str = ""
    second: SecondNetwork | None = None

    def for_second_look(self) -> tuple[SecondNetwork, SecondLook]:
        """Return the second network and its entry in the manifest.

        Raises:
            UnusableInput: The model has no second network.
        """
        if self.second is None or self.manifest.second_look is None:
            raise UnusableInput(f"The model {self.manifest.id} has no second network; choose another model.")
        return self.second, self.manifest.second_look


def load_model(model_id: str = DEFAULT_MODEL, *, lobes: bool = False) -> Model:
    """Load a model onto the CPU, in evaluation mode.

    Args:
        model_id: The id of the model.
        lobes: Whether the caller can use a model of lobes too.

    Returns:
        The network with its weights and manifest.

    Raises:
        UnusableInput: The model is unknown, or outlines lobes although the caller needs tumors.
        MachineLimit: Files are missing, damaged or do not fit the network, or torch is not installed.
    """
    folder = find_model(model_id)
    manifest = Manifest.read(folder)
    if manifest.variant == "lobes" and not lobes:
        raise UnusableInput(f"The model {manifest.id} outlines lobes, not tumors; choose another model.")
    try:
        from .registry import build_network
        from .second_network import SecondNetwork  # imports torch, which may be missing
    except ImportError as error:
        raise MachineLimit(missing_package(error)) from error

    def first() -> torch.nn.Module:
        return build_network(manifest.network, manifest.width, variant=manifest.variant, recurrence=manifest.recurrence)

    network = _with_weights(first, folder / WEIGHTS_FILE, manifest.weights_sha256, manifest)
    second = None
    if (look := manifest.second_look) is not None:
        second = _with_weights(
            lambda: SecondNetwork(look.width), folder / SECOND_WEIGHTS_FILE, look.weights_sha256, manifest
        )
    return Model(network, manifest, card_excerpt(folder), second)


def _with_weights(build: Callable[[], N], path: Path, checksum: str, manifest: Manifest) -> N:
    """Build a network, read its weights from ``path`` and switch it to evaluation mode.

    Raises:
        MachineLimit: The file is missing or damaged, or does not fit the network, or a package is missing.
    """
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load
    except ImportError as error:
        raise MachineLimit(missing_package(error)) from error
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MachineLimit(
            f"The weights of model {manifest.id} cannot be read; reinstall the extension or the model."
        ) from error
    if hashlib.sha256(data).hexdigest() != checksum:
        raise MachineLimit(
            f"The weights of model {manifest.id} are damaged (wrong checksum); reinstall the extension or the model."
        )
    try:
        network = build()
        network.load_state_dict({name: tensor.float() for name, tensor in load(data).items()})
    except (SafetensorError, RuntimeError, ValueError, KeyError, AttributeError) as error:
        if is_out_of_memory(error):
            raise
        raise MachineLimit(
            f"The weights of model {manifest.id} do not fit its network {manifest.network}; reinstall the model."
        ) from error
    return network.eval()


def save_model(network: torch.nn.Module, manifest: Manifest, folder: Path) -> Manifest:
    """Write the weights, unchanged, and the manifest into a folder.

    Args:
        network: The network whose weights are stored.
        manifest: The manifest, without a valid checksum.
        folder: The folder, which is created if it does not exist.

    Returns:
        The manifest with the checksum of the weights, as written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    complete = replace(manifest, weights_sha256=save_weights(network, folder / WEIGHTS_FILE))
    complete.write(folder)
    return complete


def save_weights(network: torch.nn.Module, path: Path) -> str:
    """Write the weights of a network, unchanged, as safetensors; return the SHA-256 of the file."""
    from safetensors.torch import save  # imports torch, which reading a manifest does not need

    weights = save({name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()})
    path.write_bytes(weights)
    return hashlib.sha256(weights).hexdigest()
