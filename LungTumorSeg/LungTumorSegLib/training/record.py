"""The record of one training: how far it has come, for its schedule, its log, the user and a later resumption."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..core.events import Progress, ProgressCallback
from .launch import rank
from .log import TrainingLog
from .schedules import Length

LOG = "log.csv"
"""Name of the log of all trainings of one output folder."""

CHECKPOINT_SECONDS = 90.0
"""Largest amount of work that is repeated after a kill, seconds.

No result is lost: the repetition gives the same weights.
"""


@dataclass
class TrainingState:
    """The part of a checkpoint's state that every training has.

    Attributes:
        step: Number of finished steps.
        seconds: Time spent on training, seconds.
    """

    step: int = 0
    seconds: float = 0.0


class TrainingRecord:
    """Tells how far a training has come. Only the first process writes the log.

    Attributes:
        checkpoint: The checkpoint that a later run resumes from.
    """

    def __init__(self, name: str, folder: Path, length: Length, epoch_steps: int) -> None:
        """Begin the record of a training.

        Args:
            name: Names the training in files, log rows and progress.
            folder: Folder of the log and the checkpoint.
            length: How long the training takes.
            epoch_steps: Number of steps in an epoch.
        """
        self._name, self._length, self._epoch_steps = name, length, epoch_steps
        self._log = TrainingLog(folder / LOG)
        self.checkpoint = folder / f"{name}-last.safetensors"

    def resume(self, state: TrainingState) -> None:
        """Open the log, and drop the rows that a training in this state will repeat."""
        if rank() == 0:
            self._log.resume(self._name, state.step)

    def fraction(self, state: TrainingState) -> float:
        """Return the finished share of the training; the training is over at 1 or more."""
        return self._length.fraction(state.step, state.seconds)

    def show(self, state: TrainingState, on_progress: ProgressCallback) -> None:
        """Report the progress."""
        done = self._length.done(state.step, state.seconds)
        on_progress(Progress(f"training {self._name}", done, self._length.steps))

    def write(self, state: TrainingState, **values: object) -> None:
        """Write a row with ``values`` to the log; the columns that every training has are added."""
        if rank() == 0:
            self._log.write(
                stage=self._name,
                step=state.step,
                epoch=(state.step - 1) // self._epoch_steps,
                seconds=state.seconds,
                seconds_left=self._length.seconds_left(state.step, state.seconds),
                **values,
            )

    def close(self) -> None:
        """Close the log."""
        self._log.close()
