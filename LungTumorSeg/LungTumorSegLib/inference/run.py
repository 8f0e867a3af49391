"""What a run uses: the model, the settings, what computes the networks, and the time of each stage."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..core.events import Progress, ProgressCallback
from ..networks.stored import Model, load_model
from ..options import SegmentOptions, Settings
from .backend import TORCH, choose_backend


@dataclass(frozen=True)
class Engine:
    """What computes the network; by default what computes the second one."""

    backend: str = TORCH
    device: str = "cpu"
    precision: str = "float32"

    @classmethod
    def of(cls, settings: Settings) -> Engine:
        """Return what the settings choose on this machine.

        Raises:
            UnusableInput: The choices contradict each other.
            MachineLimit: The machine lacks a device or a package.
        """
        from .device import choose_device, choose_precision  # imports torch, so only here

        backend = choose_backend(settings.backend)
        device = choose_device(settings.device, backend)
        return cls(backend, str(device), choose_precision(settings.precision, device, backend))


class Clock:
    """A clock that records the seconds of each stage by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def stage(self, name: str) -> None:
        """Add the time since the end of the previous stage to a stage."""
        now = time.perf_counter()
        self.seconds[name] = round(self.seconds.get(name, 0.0) + now - self._last, 3)
        self._last = now


@dataclass(frozen=True)
class Run:
    """What a run uses, and the time of its stages."""

    model: Model
    settings: Settings
    engine: Engine
    clock: Clock


def prepare_run(chosen: SegmentOptions, on_progress: ProgressCallback, *, search: bool) -> Run:
    """Load the model, and check that the run will be possible, before anything takes long.

    Args:
        chosen: The choices for the run.
        on_progress: Called before and after.
        search: Whether the first network searches the CT; otherwise only the second one is needed.

    Raises:
        UnusableInput: The model is unknown, or has no second network where only that one is needed.
        MachineLimit: A device, weights or a package fail.
    """
    clock = Clock()
    on_progress(Progress("model", 0, 1))
    model = load_model(chosen.model)
    settings = chosen.settled(model.manifest)
    if not search:
        model.for_second_look()
    engine = Engine.of(settings) if search else Engine()
    on_progress(Progress("model", 1, 1))
    clock.stage("model")
    return Run(model, settings, engine, clock)
