"""Checkpoints that survive a kill at any moment: safetensors and JSON, no pickle.

A checkpoint is one file: tensors (weights, their average, optimizer moments) as safetensors, everything else as JSON in
the file's own header. It is written beside the old file and then renamed, so two halves of a checkpoint can never
disagree.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn, optim

from ..core.complete_files import complete_file
from ..core.errors import MachineLimit

WEIGHTS, AVERAGE, OPTIMIZER = "weights/", "average/", "optimizer/"


def save_checkpoint(
    path: Path,
    network: nn.Module,
    optimizer: optim.Optimizer | None,
    state: Mapping[str, Any],
    average: Mapping[str, Tensor] | None = None,
) -> None:
    """Write a checkpoint atomically and durably.

    Args:
        path: The checkpoint file; its folder is created if it does not exist.
        network: The network whose weights to store.
        optimizer: The optimizer whose moments to store, or None to leave them out.
        state: Anything that JSON can hold.
        average: Averaged weights to store beside the network's own.

    Raises:
        MachineLimit: The disk refuses the file.
    """
    tensors = {WEIGHTS + name: _plain(value) for name, value in network.state_dict().items()}
    tensors |= {AVERAGE + name: _plain(value) for name, value in (average or {}).items()}
    if optimizer is not None:
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"{OPTIMIZER}{index}/{name}": _plain(value) for name, value in moments.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with complete_file(path) as unfinished:
        save_file(tensors, unfinished, metadata={"state": json.dumps(state)})
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())


def load_checkpoint(path: Path, network: nn.Module, optimizer: optim.Optimizer | None = None) -> dict[str, Any]:
    """Restore what ``save_checkpoint`` wrote.

    Args:
        path: The checkpoint file.
        network: Receives the weights.
        optimizer: Receives the moments, if it is given.

    Returns:
        The stored ``state``.

    Raises:
        MachineLimit: The file is damaged or belongs to another network.
    """
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            state: dict[str, Any] = json.loads(file.metadata()["state"])
        network.load_state_dict({n.removeprefix(WEIGHTS): t for n, t in tensors.items() if n.startswith(WEIGHTS)})
    except (SafetensorError, OSError, KeyError, RuntimeError) as error:
        raise MachineLimit(
            f"The checkpoint {path} is damaged or belongs to another network; delete it and start again."
        ) from error
    if optimizer is not None:
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith(OPTIMIZER):
                _, index, moment = name.split("/")
                moments.setdefault(int(index), {})[moment] = value
        optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return state


def load_average(path: Path) -> dict[str, Tensor]:
    """Return the averaged weights of a checkpoint that ``load_checkpoint`` has accepted; empty if it has none."""
    with safe_open(path, framework="pt") as file:
        names = [name for name in file.keys() if name.startswith(AVERAGE)]  # noqa: SIM118 (not a dict)
        return {name.removeprefix(AVERAGE): file.get_tensor(name) for name in names}


def _plain(value: Tensor) -> Tensor:
    """Return a contiguous copy in main memory; safetensors rejects shared and strided (channels-last) storage."""
    return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
