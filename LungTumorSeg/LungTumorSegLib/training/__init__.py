"""Training of the networks: data, augmentation, losses, schedules and stages. ``config`` imports without torch."""

from __future__ import annotations

from pathlib import Path

from ..core.events import ProgressCallback, ignore_progress


def train(config_path: Path, on_progress: ProgressCallback = ignore_progress) -> Path:
    """Train as a YAML file says; only the call imports torch.

    A configuration with a section ``second_look`` trains the second network of a model (see ``second_look.command``),
    any other one trains a first network (see ``stages``).
    """
    from .settings import read_yaml

    values = read_yaml(config_path)
    if isinstance(values, dict) and "second_look" in values:
        from .second_look.command import train as run
    else:
        from .stages import train as run
    return run(config_path, on_progress)
