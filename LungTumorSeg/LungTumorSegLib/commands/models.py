"""The command ``models``: list the models."""

from __future__ import annotations

import argparse

from ..process.channel import Channel
from .command import Command


def run(options: argparse.Namespace, channel: Channel) -> None:
    """List the shipped and the installed models."""
    from ..weights.manifest import Manifest, model_folders

    manifests = {model_id: Manifest.read(folder) for model_id, folder in model_folders().items()}
    text = "\n".join(f"{model_id}: {manifest.description}" for model_id, manifest in manifests.items())
    channel.result({"models": {model_id: manifest.description for model_id, manifest in manifests.items()}}, text)


COMMAND = Command(
    "models",
    run,
    "list the shipped and installed models",
    ("",),
)
