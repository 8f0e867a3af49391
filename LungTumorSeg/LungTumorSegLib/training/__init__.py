"""Training of the networks: data, augmentation, losses, schedules and stages. ``config`` imports without torch."""

from __future__ import annotations

from pathlib import Path

from ..core.events import ProgressCallback, ignore_progress


def train(config_path: Path, on_progress: ProgressCallback = ignore_progress) -> Path:
    """Train as a YAML file says; see ``stages.train``. Only the call imports torch."""
    from .stages import train as run

    return run(config_path, on_progress)
