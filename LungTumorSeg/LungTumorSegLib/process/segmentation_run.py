"""A job and what becomes of it: progress to whoever listens, the result to whoever loads it, and an end in every case.

Neither Slicer nor Qt: the caller's timer or loop calls ``poll``, the caller's functions load the result and say whether it is wanted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ..cli import CANCELLED, UNUSABLE
from ..core.errors import MachineLimit, UnusableInput
from ..core.events import Cancelled
from ..results.reader import RunFiles
from .progress import RunProgress
from .segmentation_job import Outcome, SegmentationJob


class SegmentationRun:
    """A run in progress. Once ``finished``, either ``result`` holds what ``load`` made of it or ``error`` why there is none.

    ``error`` is Cancelled, UnusableInput (a ValueError) or MachineLimit (a RuntimeError), its text one sentence.
    """

    def __init__(
        self,
        job: SegmentationJob,
        load: Callable[[RunFiles], Any],
        is_wanted: Callable[[], bool],
        on_progress: Callable[[RunProgress], None] | None = None,
        on_finished: Callable[[SegmentationRun], None] | None = None,
    ) -> None:
        """``is_wanted`` turns false when there is nothing left to put a result beside: the run then cancels itself."""
        self.result: Any = None
        self.error: Exception | None = None
        self.finished = False
        self._job, self._load, self._is_wanted = job, load, is_wanted
        self._on_progress, self._on_finished = on_progress, on_finished
        self._progress = RunProgress()

    def cancel(self) -> None:
        """Ends the run soon; ``on_finished`` is called when it has happened."""
        if not self.finished:
            self._job.cancel()

    def close(self) -> None:
        """Ends the run at once, without a call of ``on_finished``, and leaves nothing behind."""
        self._on_finished = None
        self._finish(Outcome(CANCELLED, "Cancelled."))

    def poll(self) -> None:
        """Takes note of what happened since the last call, and at the end loads the result. Blocks for nothing but that."""
        if self.finished:
            return
        if not self._is_wanted():
            self._job.cancel()
        for step in self._job.poll():
            self._progress.update(step)
            if self._on_progress is not None:
                self._on_progress(self._progress)
        outcome = self._job.outcome()
        if outcome is not None:
            self._finish(outcome)

    def _finish(self, outcome: Outcome) -> None:
        if self.finished:
            return
        self.finished = True
        try:
            if outcome.results is not None and self._is_wanted():
                self.result = self._load(outcome.results)
            else:
                self.error = _error_of(outcome)
        except MachineLimit as error:
            self.error = error
        except Exception:  # a timer calls this: whoever waits for the end must hear of it
            logging.getLogger(__name__).exception("The result could not be loaded.")
            self.error = MachineLimit("The result could not be brought into the scene; the log has the details.")
        finally:
            self._job.close()
        if self._on_finished is not None:
            self._on_finished(self)


def _error_of(outcome: Outcome) -> Exception:
    if outcome.code in (0, CANCELLED):
        return Cancelled(outcome.message or "Cancelled.")
    return UnusableInput(outcome.message) if outcome.code == UNUSABLE else MachineLimit(outcome.message)
