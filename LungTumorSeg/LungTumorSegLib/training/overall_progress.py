"""The progress of one training as a part of that of several."""

from __future__ import annotations

from ..core.events import Progress, ProgressCallback
from .config import EXTRACTOR, TrainingConfig


def progress_within(
    done: int, total: int, config: TrainingConfig, on_progress: ProgressCallback, *, stage: str = "benchmarking"
) -> ProgressCallback:
    """Return a callback that reports the progress of one training as that of all, in hundredths of a training.

    The steps of the extractor, if there is one, and those of the network that follow it count alike.

    Args:
        done: Number of trainings before this one.
        total: Number of all trainings.
        config: The configuration of the training.
        on_progress: Receives the progress of all trainings.
        stage: The stage that all trainings form.
    """
    before = 0

    def report(step: Progress) -> None:
        nonlocal before
        if step.stage == f"training {EXTRACTOR}":
            before, steps, whole = step.total, step.done, step.total + config.network.steps
        else:
            steps, whole = before + step.done, before + step.total
        percent = min(99, 100 * steps // max(1, whole))  # the test cases are still to come
        on_progress(Progress(stage, 100 * done + percent, 100 * total))

    return report


def progress_of_equals(done: int, total: int, on_progress: ProgressCallback, *, stage: str) -> ProgressCallback:
    """Return a callback that reports the steps of one training as hundredths of several that take the same time.

    Args:
        done: Number of trainings before this one.
        total: Number of all trainings.
        on_progress: Receives the progress of all trainings.
        stage: The stage that all trainings form.
    """
    return lambda step: on_progress(Progress(stage, 100 * done + 100 * step.done // max(1, step.total), 100 * total))
