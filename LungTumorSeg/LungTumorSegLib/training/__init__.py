"""Training: data, augmentation, losses, metrics, stages. ``config`` and ``metrics`` import without torch."""

from __future__ import annotations

from pathlib import Path

from ..core.events import ProgressCallback, ignore_progress


def train(config_path: Path, on_progress: ProgressCallback = ignore_progress) -> Path:
    """See ``stages.train``; torch is imported only when it is called."""
    from .stages import train as run

    return run(config_path, on_progress)
