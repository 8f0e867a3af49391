"""One run of ``lungtumorseg segment`` as a child process, seen from a program that must stay responsive: Slicer.

``SegmentationJob`` is the process: a thread exports the volume into a private folder, starts the child and, at its end, reads what it
wrote. ``SegmentationRun`` is what becomes of it: progress to whoever listens, the result to whoever loads it, and an end in every case.
Nothing here knows Slicer or Qt, and nothing but ``close`` blocks: the caller's timer or loop calls ``poll``.
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
from ..core.private_folder import private_folder, remove_left_behind
from ..results.reader import RunFiles, read_run
from .child import ChildProcess, Event, child_environment, find_interpreter
from .progress import RunProgress

PACKAGE = __package__.partition(".")[0]
FOLDER_PREFIX = "LungTumorSeg-"
INPUT_FILE = "input.nrrd"
RESULTS_FOLDER = "results"

POLL_SECONDS = 0.05
"""How long the thread that watches the child sleeps: far below what a person notices."""

UNEXPECTED = 1
"""Code of an outcome that is a bug, ours or the system's."""

WriteInput = Callable[[Path, threading.Event], None]
"""Writes the CT to a path; raises Cancelled soon after the event is set. Runs in a thread of its own."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended: ``code`` as the command line's exit code, ``message`` one sentence unless it is 0, ``results`` if it is."""

    code: int
    message: str = ""
    results: RunFiles | None = None


class SegmentationJob:
    """A run from the export of the volume to the reading of its results. Its folder lives until ``close``."""

    def __init__(
        self,
        write_input: WriteInput,
        arguments: Sequence[str] = (),
        *,
        probability: bool = False,
        interpreter: str | None = None,
        temporary_folder: str | None = None,
    ) -> None:
        """Starts at once. ``arguments`` are options of ``segment``; ``probability`` is read too if asked for.

        What jobs of killed processes left in ``temporary_folder`` is deleted: it holds patients' images.
        Raises FileNotFoundError where no interpreter is found.
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
        """The private folder of input and results."""
        return self._folder

    def poll(self) -> list[Progress]:
        """Progress since the last call, oldest first."""
        steps = []
        while not self._progress.empty():
            steps.append(self._progress.get())
        return steps

    def outcome(self) -> Outcome | None:
        """None while the job runs."""
        return None if self._thread.is_alive() else self._outcome

    def cancel(self) -> None:
        """Ends the job soon: the child is told, and killed if it does not listen. ``outcome`` says when it has happened."""
        self._stop.set()
        if self._child is not None:  # else the thread sees the event
            self._child.cancel()

    def close(self) -> None:
        """Ends the job now, if it still runs, and deletes its folder. Blocks until nothing is left; quick after an outcome."""
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
            self._outcome = Outcome(CANCELLED, "Cancelled.")
        except MachineLimit as error:
            self._outcome = Outcome(MACHINE, str(error))
        except OSError as error:
            reason = f"{error.strerror or error} ({error.filename or self._folder})"
            self._outcome = Outcome(MACHINE, f"The run failed: {reason}; free some space there and try again.")
        except Exception as error:  # a thread's exception would be lost else
            logging.getLogger(__name__).exception("The run failed.")
            self._outcome = Outcome(UNEXPECTED, f"The run failed: {error}")

    def _export_and_segment(self) -> Outcome:
        self._write_input(self._folder / INPUT_FILE, self._stop)
        self._check_stop()
        self._child = ChildProcess(self._command, child_environment(os.environ))
        if self._stop.is_set():  # while it started
            self._child.cancel()
        last_event: Event = {}
        while (code := self._child.exit_code) is None:
            last_event = self._pass_on(self._child.events(), last_event)
            time.sleep(POLL_SECONDS)
        last_event = self._pass_on(self._child.events(), last_event)
        self._check_stop()
        if code == 0 and last_event.get("event") == "result":
            return Outcome(0, results=read_run(self._folder / RESULTS_FOLDER, probability=self._probability))
        failure = _failure(code, last_event, self._child.stderr_lines)
        return replace(
            failure, message=failure.message.replace(str(self._folder / INPUT_FILE), "the CT")
        )  # users know no such file

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


def _failure(code: int, event: Event, stderr_lines: Sequence[str]) -> Outcome:
    if code == CANCELLED:
        return Outcome(CANCELLED, "Cancelled.")
    if event.get("event") == "error":
        return Outcome(int(event["code"]), str(event["message"]))
    last_line = stderr_lines[-1] if stderr_lines else "no message"
    if code in (UNUSABLE, MACHINE):
        return Outcome(code, last_line)
    logging.getLogger(__name__).error("The run ended with code %s:\n%s", code, "\n".join(stderr_lines))
    if code == -9:  # SIGKILL: nobody here sent it, so the system took the memory back
        reason = "The system ended the run, most likely for lack of memory"
        return Outcome(MACHINE, f"{reason}; close other programs or crop the CT to the chest.")
    return Outcome(UNEXPECTED, f"The run ended unexpectedly (code {code}: {last_line}); the log has the details.")


def _error_of(outcome: Outcome) -> Exception:
    if outcome.code in (0, CANCELLED):
        return Cancelled(outcome.message or "Cancelled.")
    return UnusableInput(outcome.message) if outcome.code == UNUSABLE else MachineLimit(outcome.message)
