"""The command ``train``: train a model."""

from __future__ import annotations

import argparse
import json

from ..core.events import ignore_progress
from ..process.channel import Channel
from .arguments import path_argument
from .command import Command


def run(options: argparse.Namespace, channel: Channel) -> None:
    """Train a model, and report its metrics on held-out cases."""
    from ..training import train
    from ..training.launch import mistakes_told_once, rank

    with mistakes_told_once():
        model = train(options.config, ignore_progress if rank() else channel.progress)
    if rank():  # The first process reports the result.
        return
    from ..training.held_out import FOLDER, METRICS_FILE

    measured = model.parent / FOLDER / METRICS_FILE
    metrics = json.loads(measured.read_text(encoding="utf-8")) if measured.is_file() else None
    text = f"Model written to {model}."
    if metrics:
        found = f"{metrics['lesions_found']} of {metrics['lesions']} lesions found"
        text += f" Held-out cases: mean 3D Dice {metrics['dice_3d']:.2f}, {found}."
    channel.result({"model": str(model.resolve()), "held_out": metrics}, text)


def _add_config(train: argparse.ArgumentParser) -> None:
    train.add_argument(
        "config", metavar="CONFIG", type=path_argument, help="a YAML file such as those in the folder training/configs"
    )


COMMAND = Command(
    "train",
    run,
    "train a model from a YAML configuration",
    ("config.yaml",),
    (_add_config,),
    resumes=True,
)
