"""Checkpoints that survive a kill at any moment: safetensors and JSON, no pickle, new files beside old ones, then one rename.

A checkpoint is one file: tensors (weights, optimizer moments) as safetensors, everything else as JSON in the file's own header.
So there is never a state in which two halves of a checkpoint disagree.
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

from ..core.errors import MachineLimit

WEIGHTS, OPTIMIZER = "weights/", "optimizer/"


def save_checkpoint(
    path: Path, network: nn.Module, optimizer: optim.Optimizer | None, state: Mapping[str, Any]
) -> None:
    """Write weights, optimizer and ``state`` (anything JSON can hold) to ``path``, atomically and durably."""
    tensors = {WEIGHTS + name: _plain(value) for name, value in network.state_dict().items()}
    if optimizer is not None:
        for index, moments in optimizer.state_dict()["state"].items():
            tensors |= {f"{OPTIMIZER}{index}/{name}": _plain(value) for name, value in moments.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".partial")
    save_file(tensors, unfinished, metadata={"state": json.dumps(state)})
    with unfinished.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def load_checkpoint(path: Path, network: nn.Module, optimizer: optim.Optimizer | None = None) -> dict[str, Any]:
    """Restore what ``save_checkpoint`` wrote; returns ``state``. Raises MachineLimit where the file is damaged or of another network."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            state: dict[str, Any] = json.loads(file.metadata()["state"])
        network.load_state_dict({n.removeprefix(WEIGHTS): t for n, t in tensors.items() if n.startswith(WEIGHTS)})
    except (SafetensorError, OSError, KeyError, RuntimeError) as error:
        raise MachineLimit(
            f"The checkpoint {path} is damaged or belongs to another network; remove it and start again."
        ) from error
    if optimizer is not None:
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith(OPTIMIZER):
                _, index, moment = name.split("/")
                moments.setdefault(int(index), {})[moment] = value
        optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return state


def _plain(value: Tensor) -> Tensor:
    """A contiguous copy in main memory: safetensors refuses shared and strided storage (channels-last weights)."""
    return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
