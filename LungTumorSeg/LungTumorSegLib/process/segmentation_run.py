"""One run of ``lungtumorseg segment`` as a child process of a program that must stay responsive, such as Slicer.

``SegmentationJob`` is the process: a thread exports the volume into a private folder, starts the child and, at its end,
reads the result files. ``SegmentationRun`` reports progress, loads the result, and makes sure that every run ends.
Nothing here imports Slicer or Qt, and only ``close`` blocks: a timer or a loop of the caller calls ``poll``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..core.errors import CANCELLED, MACHINE, UNUSABLE, MachineLimit, UnusableInput
from ..core.events import Cancelled, Progress
from ..core.messages import CANCELLED_MESSAGE, MEMORY_REMEDY
from ..core.private_folder import private_folder, remove_left_behind
from ..results.reader import RunFiles, read_run
from .child import ChildProcess, Event, child_environment, find_interpreter
from .progress import RunProgress

PACKAGE = __package__.partition(".")[0]
FOLDER_PREFIX = "LungTumorSeg-"
INPUT_FILE = "input.nrrd"
RESULTS_FOLDER = "results"

POLL_SECONDS = 0.05
"""Seconds between two checks of the child, far below what a person notices."""

UNEXPECTED = 1
"""Code of an outcome that is a bug, in this program or in the system."""

WriteInput = Callable[[Path, threading.Event], None]
"""Writes the CT to a path, in its own thread; raises Cancelled soon after the event is set."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        code: The exit code of the command line.
        message: One sentence; "" if the code is 0.
        results: The result; None unless the code is 0.
    """

    code: int
    message: str = ""
    results: RunFiles | None = None


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
        program = interpreter or find_interpreter()
        parent = Path(temporary_folder or tempfile.gettempdir())
        remove_left_behind(parent, FOLDER_PREFIX)
        self._cleaning = contextlib.ExitStack()
        self._folder = self._cleaning.enter_context(private_folder(parent, FOLDER_PREFIX))
        segment = ["segment", str(self._folder / INPUT_FILE), "-o", str(self._folder / RESULTS_FOLDER)]
        self._command = [
            program,
            "-m",
            PACKAGE,
            *segment,
            "--no-picture",
            "--surfaces",
            "--events",
            "jsonl",
            "--cancel-on-eof",
            *arguments,
        ]
        self._write_input = write_input
        self._probability = probability
        self._stop = threading.Event()
        self._child: ChildProcess | None = None
        self._progress: queue.SimpleQueue[Progress] = queue.SimpleQueue()
        self._outcome: Outcome | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def folder(self) -> Path:
        """Return the private folder for input and results."""
        return self._folder

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
        self._stop.set()
        if self._child is not None:  # otherwise the thread sees the event
            self._child.cancel()

    def close(self) -> None:
        """End the job now, if it still runs, and delete its folder.

        The call blocks until nothing is left; it is quick after an outcome.
        """
        self._stop.set()
        while self._thread.is_alive():
            if self._child is not None:
                self._child.kill()
            self._thread.join(POLL_SECONDS)
        self._cleaning.close()

    def _run(self) -> None:
        try:
            self._outcome = self._export_and_segment()
        except Cancelled:
            self._outcome = Outcome(CANCELLED, CANCELLED_MESSAGE)
        except MachineLimit as error:
            self._outcome = Outcome(MACHINE, str(error))
        except OSError as error:
            reason = f"{error.strerror or error} ({error.filename or self._folder})"
            self._outcome = Outcome(MACHINE, f"The run failed: {reason}; free some disk space there and try again.")
        except Exception as error:  # otherwise an exception in a thread would be lost
            logging.getLogger(__name__).exception("The run failed.")
            self._outcome = Outcome(UNEXPECTED, f"The run failed: {error}")

    def _export_and_segment(self) -> Outcome:
        self._write_input(self._folder / INPUT_FILE, self._stop)
        self._check_stop()
        self._child = ChildProcess(self._command, child_environment(os.environ))
        if self._stop.is_set():  # while the child started
            self._child.cancel()
        last_event: Event = {}
        while (code := self._child.exit_code) is None:
            last_event = self._pass_on(self._child.events(), last_event)
            time.sleep(POLL_SECONDS)
        last_event = self._pass_on(self._child.events(), last_event)
        self._check_stop()
        if code == 0 and last_event.get("event") == "result":
            return Outcome(0, results=read_run(self._folder / RESULTS_FOLDER, probability=self._probability))
        failure = failure_of(code, last_event, self._child.stderr_lines)
        return replace(
            failure, message=failure.message.replace(str(self._folder / INPUT_FILE), "the CT")
        )  # users do not know this file

    def _pass_on(self, events: Sequence[Event], last_event: Event) -> Event:
        for event in events:
            if event["event"] == "progress":
                self._progress.put(Progress(str(event["stage"]), int(event["done"]), int(event["total"])))
            else:
                last_event = event
        return last_event

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise Cancelled


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


def failure_of(code: int, event: Event, stderr_lines: Sequence[str]) -> Outcome:
    """Return the outcome of a child process that ended without a result.

    Args:
        code: Its exit code; negative if a signal ended it.
        event: Its last event except progress; empty if there was none.
        stderr_lines: The last lines of its stderr.
    """
    if code == CANCELLED:
        return Outcome(CANCELLED, CANCELLED_MESSAGE)
    if event.get("event") == "error":
        return Outcome(int(event["code"]), str(event["message"]))
    last_line = stderr_lines[-1] if stderr_lines else "no message"
    if code in (UNUSABLE, MACHINE):
        return Outcome(code, last_line)
    logging.getLogger(__name__).error("The run ended with code %s:\n%s", code, "\n".join(stderr_lines))
    if code == -9:  # SIGKILL: this program did not send it, so the system most likely ran out of memory
        reason = "The operating system stopped the run, most likely because memory ran out"
        return Outcome(MACHINE, f"{reason}; {MEMORY_REMEDY}.")
    return Outcome(UNEXPECTED, f"The run ended unexpectedly (code {code}: {last_line}); see the log for details.")


def error_of(outcome: Outcome) -> Exception:
    """Return the exception for an outcome without a result."""
    if outcome.code in (0, CANCELLED):
        return Cancelled(outcome.message or CANCELLED_MESSAGE)
    return UnusableInput(outcome.message) if outcome.code == UNUSABLE else MachineLimit(outcome.message)
