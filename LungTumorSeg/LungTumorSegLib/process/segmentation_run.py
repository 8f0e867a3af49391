"""One run of ``lungtumorseg segment`` as a child process of a program that must stay responsive, such as Slicer.

``SegmentationJob`` is the process: a thread exports the volume into a private folder, starts the child and, at its end,
reads the result files. ``SegmentationRun`` reports progress, loads the result, and makes sure that every run ends.
Nothing here imports Slicer or Qt, and only ``close`` blocks: a timer or a loop of the caller calls ``poll``.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import CANCELLED, MachineLimit
from ..core.events import Cancelled, Progress
from ..core.messages import CANCELLED_MESSAGE
from ..results.reader import RunFiles, read_run
from .child import POLL_SECONDS, ChildProcess, Event, end_with_child
from .exported_ct import ExportedCT, WriteInput
from .outcome import Outcome, error_of, outcome_of
from .progress import RunProgress, progress_of

RESULTS_FOLDER = "results"


class SegmentationJob:
    """A run from the export of the volume to the reading of its results; its folder exists until ``close``."""

    def __init__(
        self,
        write_input: WriteInput,
        arguments: Sequence[str] = (),
        *,
        probability: bool = False,
        interpreter: str | None = None,
        temporary_folder: str | None = None,
    ) -> None:
        """Start the job at once.

        Folders that jobs of killed processes left in ``temporary_folder`` are deleted, because they hold images of
        patients.

        Args:
            write_input: Writes the CT.
            arguments: Options of ``segment``.
            probability: Whether to read the probability map too.
            interpreter: The Python to run; by default Slicer's.
            temporary_folder: Parent of the private folder; by default the system's folder for temporary files.

        Raises:
            FileNotFoundError: If no interpreter is found.
        """
        self._ct = ExportedCT(write_input, interpreter, temporary_folder)
        self._arguments = [
            "segment",
            str(self._ct.path),
            "-o",
            str(self._ct.folder / RESULTS_FOLDER),
            "--no-picture",
            "--surfaces",
            "--events",
            "jsonl",
            "--cancel-on-eof",
            *arguments,
        ]
        self._probability = probability
        self._child: ChildProcess | None = None
        self._progress: queue.SimpleQueue[Progress] = queue.SimpleQueue()
        self._outcome: Outcome | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def folder(self) -> Path:
        """Return the private folder for input and results."""
        return self._ct.folder

    def poll(self) -> list[Progress]:
        """Return the progress since the last call, oldest first."""
        steps = []
        while not self._progress.empty():
            steps.append(self._progress.get())
        return steps

    def outcome(self) -> Outcome | None:
        """Return how the job ended; None while it runs."""
        return None if self._thread.is_alive() else self._outcome

    def cancel(self) -> None:
        """End the job soon.

        The child is asked to end, and killed if it does not. ``outcome`` reports when the job has ended.
        """
        self._ct.stop.set()
        if self._child is not None:  # otherwise the thread sees the event
            self._child.cancel()

    def close(self) -> None:
        """End the job now, if it still runs, and delete its folder.

        The call blocks until nothing is left; it is quick after an outcome.
        """
        self._ct.stop.set()
        end_with_child(self._thread, lambda: self._child)
        self._ct.delete()

    def _run(self) -> None:
        try:
            self._outcome = self._export_and_segment()
        except Exception as error:  # otherwise an exception in a thread would be lost
            self._outcome = outcome_of(error, "The run failed", self._ct.folder)

    def _export_and_segment(self) -> Outcome:
        self._child = self._ct.export_and_start(self._arguments)
        if self._ct.stop.is_set():  # while the child started
            self._child.cancel()
        last_event: Event = {}
        while (code := self._child.exit_code) is None:
            last_event = self._pass_on(self._child.events(), last_event)
            time.sleep(POLL_SECONDS)
        last_event = self._pass_on(self._child.events(), last_event)
        if self._ct.stop.is_set():
            raise Cancelled
        if code == 0 and last_event.get("event") == "result":
            return Outcome(0, results=read_run(self._ct.folder / RESULTS_FOLDER, probability=self._probability))
        return self._ct.failure_of(code, last_event, self._child.stderr_lines)

    def _pass_on(self, events: Sequence[Event], last_event: Event) -> Event:
        for event in events:
            if event["event"] == "progress":
                self._progress.put(progress_of(event))
            else:
                last_event = event
        return last_event


class SegmentationRun:
    """A run in progress.

    Attributes:
        result: After the end, the return value of ``load``; None if there is no result.
        error: After the end, why there is no result: Cancelled, UnusableInput (a ValueError) or MachineLimit (a
            RuntimeError), with a message of one sentence.
        finished: Whether the run has ended.
    """

    def __init__(
        self,
        job: SegmentationJob,
        load: Callable[[RunFiles], Any],
        is_wanted: Callable[[], bool],
        on_progress: Callable[[RunProgress], None] | None = None,
        on_finished: Callable[[SegmentationRun], None] | None = None,
    ) -> None:
        """Observe a job that has started.

        Args:
            job: The job.
            load: Loads the result.
            is_wanted: Returns False when the result no longer has a place, for example because the CT was removed. The
                run then cancels itself.
            on_progress: Called with the progress of the run.
            on_finished: Called with this run at its end, unless it was closed.
        """
        self.result: Any = None
        self.error: Exception | None = None
        self.finished = False
        self._job, self._load, self._is_wanted = job, load, is_wanted
        self._on_progress, self._on_finished = on_progress, on_finished
        self._progress = RunProgress()

    def cancel(self) -> None:
        """End the run soon; ``on_finished`` is called when it has ended."""
        if not self.finished:
            self._job.cancel()

    def close(self) -> None:
        """End the run at once, without a call of ``on_finished``, and leave nothing behind."""
        self._on_finished = None
        self._finish(Outcome(CANCELLED, CANCELLED_MESSAGE))

    def poll(self) -> None:
        """Process everything that happened since the last call, and load the result at the end.

        Only the loading blocks.
        """
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
                self.error = error_of(outcome)
        except MachineLimit as error:
            self.error = error
        except Exception:  # a timer calls this, so the error must reach whoever waits for the end
            logging.getLogger(__name__).exception("The result could not be loaded.")
            self.error = MachineLimit("The result could not be loaded into the scene; see the log for details.")
        finally:
            self._job.close()
        if self._on_finished is not None:
            self._on_finished(self)
