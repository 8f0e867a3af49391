"""A training of seconds whose losses and gradients are kept; this script is one of several processes that share it."""

from __future__ import annotations

import json
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from LungTumorSegLib.networks import build_network
from LungTumorSegLib.training import loop, stages
from LungTumorSegLib.training.config import ModelConfig, StageConfig
from LungTumorSegLib.training.distributed import connect_processes, share_of
from LungTumorSegLib.training.launch import rank
from LungTumorSegLib.training.losses import build_loss
from LungTumorSegLib.training.optimization import Optimization
from LungTumorSegLib.training.preparation import PreparedData
from LungTumorSegLib.training.store import load_case
from safetensors.torch import save_file
from training_cases import TOY, a_stored_case

NAMES = ("anna", "ben", "held-out")

STAGE = StageConfig(
    steps=4, epoch_steps=2, batch=4, warmup_steps=0, mined_cases=1, mine_after=0.0, selection_after=0.5, ema=0.9
)

FUSION = "sff_multires_unet3d"
"""The network of the shipped model, with batch normalization and without dropout."""


def place_of(rank: int, port: int) -> dict[str, str]:
    """Return the environment variables that torchrun gives to one of two processes."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return {name: str(value) for name, value in place.items()}


def free_port() -> int:
    """Return a port that no program uses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def write_cases(folder: Path) -> None:
    """Write the cases that ``train_in`` reads."""
    for seed, name in enumerate(NAMES):
        a_stored_case(folder / name, name, seed=seed)


def train_in(cases: Path, output: Path) -> None:
    """Train a network without batch normalization, and write the loss of each step in a file per process."""
    losses: list[float] = []
    step = Optimization.step

    def watched(self: Optimization, *arguments: Any, **settings: Any) -> float:
        losses.append(step(self, *arguments, **settings))
        return losses[-1]

    anna, ben, held_out = (load_case(cases / name) for name in NAMES)
    config = replace(TOY, output=str(output), model=ModelConfig("res_unet_r", 4), network=STAGE)
    with (
        mock.patch.object(Optimization, "step", watched),
        mock.patch.object(loop, "RECALIBRATION_BATCHES", 1),
        mock.patch.object(stages, "prepare_data", return_value=PreparedData([anna, ben], [held_out], [])),
    ):
        stages.run_training(config)
    (output / f"losses-{rank()}.json").write_text(json.dumps(losses))


def step_in(output: Path) -> None:
    """Compute one step of ``FUSION``, and write its gradient and its statistics in a file per process."""
    random = torch.Generator().manual_seed(1)
    image, label = (torch.rand(4, 8, 16, 16, generator=random) for _ in range(2))
    torch.manual_seed(0)
    network, stage = build_network(FUSION, 4).train(), replace(STAGE, clip=1e6)
    optimization = Optimization(network, stage, device=torch.device("cpu"), precision="float32")
    first, size = share_of(4, "batch")
    own = slice(first, first + size)
    tumor = (label[own] < 0.1).to(torch.uint8)
    optimization.step(image[own], tumor, rate=0.0, loss_of=build_loss(stage.loss), seed=1, averaged=False)
    values = {name: weight.grad for name, weight in network.named_parameters() if weight.grad is not None}
    values |= dict(network.named_buffers())
    save_file({name: value.contiguous() for name, value in values.items()}, output / f"step-{rank()}.safetensors")


if __name__ == "__main__":
    torch.set_num_threads(1)
    with connect_processes(torch.device("cpu")):
        train_in(Path(sys.argv[1]), Path(sys.argv[2]))
        step_in(Path(sys.argv[2]))
