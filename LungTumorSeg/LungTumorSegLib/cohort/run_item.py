"""Segment one CT of a cohort in a child process, unless that was done before."""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .. import __version__
from ..core.errors import MACHINE, UNUSABLE, MachineLimit, UnusableInput
from ..core.events import Cancelled, Progress
from ..core.private_folder import hold_folder
from ..core.texts import shown
from ..process.child import PACKAGE, POLL_SECONDS, ChildProcess, Event, child_environment, find_interpreter
from ..process.outcome import Outcome, failure_of
from ..process.progress import RunProgress, progress_of
from ..results.contents import SUMMARY_FILE
from ..results.folder import settle
from ..results.mark import read_mark
from ..results.reader import read_summary
from .input_checksum import Stopped, input_checksum
from .items import Item
from .records import DONE, FAILED, RECORDS_FOLDER, REFUSED, STARTED, Record, read_record

OnShare = Callable[[float], None]
"""Receives the share of the work on a CT that is done, 0 to 1."""


@dataclass(frozen=True)
class Task:
    """An item and how to segment it.

    Attributes:
        item: The CT.
        output: Absolute path of the cohort's output folder.
        arguments: Further arguments of ``lungtumorseg segment``.
        choices: Everything except the input on which a result depends: the arguments, the settings and the model.
        overwrite: Whether files may be replaced that LungTumorSeg did not write, or that have changed since.
        threads: Largest number of processor threads.
        of_any_ct: Whether the result of another CT may be replaced, as in a second run of ``segment``.
    """

    item: Item
    output: Path
    arguments: tuple[str, ...] = ()
    choices: str = ""
    overwrite: bool = False
    threads: int = 1
    of_any_ct: bool = False

    @property
    def result(self) -> Path:
        """Return the result folder."""
        return self.output / self.item.case

    @property
    def records(self) -> Path:
        """Return the folder of the record."""
        return self.output / RECORDS_FOLDER / self.item.case

    @property
    def command(self) -> list[str]:
        """Return the command that segments the CT."""
        program = sys.executable or find_interpreter()  # It is empty inside Slicer.
        series = [f"--series={self.item.series}"] if self.item.series else []
        number = self.item.phase_number
        phase = ["--no-phases"] if number is None else [f"--phase={number}"]
        overwrite = ["--overwrite"] if self.overwrite else []
        options = ["-o", str(self.result), f"--case={self.item.case}", f"--threads={self.threads}"]
        options += [*series, *phase, *overwrite]
        channel = ["--events", "jsonl", "--cancel-on-eof"]
        return [program, "-m", PACKAGE, "segment", *options, *self.arguments, *channel, "--", str(self.item.path)]


def run_task(task: Task, stopped: Stopped, on_share: OnShare = lambda _: None) -> Record:
    """Segment the CT of a task, or return its earlier record if input, options and model are the same.

    Args:
        task: The task.
        stopped: Asked often; if it returns True, the child process is ended.
        on_share: Receives the share of the child process's work that is done, 0 to 1; never called if none is needed.

    Returns:
        The record, whose state is done, refused or failed.

    Raises:
        Cancelled: If ``stopped`` returned True.
    """

    def check(_: Progress) -> None:
        if stopped():
            raise Cancelled

    try:
        task.records.mkdir(parents=True, exist_ok=True)
        with hold_folder(task.records, check, longest_wait=math.inf) as lock:
            return _run_locked(task, stopped, on_share, lock)
    except UnusableInput as error:
        return Record(REFUSED, reason=str(error))
    except MachineLimit as error:
        return Record(FAILED, reason=str(error))
    except OSError as error:
        where = error.filename or task.result
        return Record(FAILED, reason=f"{where} cannot be used ({error.strerror or error}); check disk and permissions.")


def _run_locked(task: Task, stopped: Stopped, on_share: OnShare, lock: int | None) -> Record:
    """Do the work while this process, and then its child, holds the lock of the case."""
    item = task.item
    if item.problem:
        raise UnusableInput(item.problem)
    input_sha256 = input_checksum(item, stopped)
    phase = [] if item.phase_number is None else [item.phase_number]
    key = hashlib.sha256(json.dumps([input_sha256, item.series, task.choices, *phase]).encode()).hexdigest()
    earlier = read_record(task.records)
    if earlier.key == key and (known := _finished(task, earlier)):
        if known.path != str(item.path):  # The CT was moved.
            known = replace(known, path=str(item.path))
            known.write(task.records)
        return known
    _check_same_ct(task, earlier, input_sha256)
    begun = Record(STARTED, key, run=_last_run(task.result), input_sha256=input_sha256, path=str(item.path))
    begun.write(task.records)
    outcome = _segment(task, stopped, on_share, lock)
    state = {0: DONE, UNUSABLE: REFUSED}.get(outcome.code, FAILED)
    record = replace(begun, state=state, reason=outcome.message, run=_last_run(task.result))
    record.write(task.records)
    return record


def _check_same_ct(task: Task, earlier: Record, input_sha256: str) -> None:
    """Check that the result folder does not contain the result of another CT, which has the same case by chance.

    A CT is known by its content, and by its path if the content has changed.

    Raises:
        UnusableInput: If it does.
    """
    same = earlier.input_sha256 in ("", input_sha256) or earlier.path in ("", str(task.item.path))
    if not (same or task.overwrite or task.of_any_ct) and _has_result(task.result):
        raise UnusableInput(
            f"{shown(task.result)} contains the result of another CT ({shown(earlier.path)}); give one of them another "
            "name or case, choose another output folder, or replace the result with --overwrite."
        )


def _finished(task: Task, record: Record) -> Record | None:
    """Return the record of an item that needs no work; None if it must be segmented.

    A run that was interrupted after its child had written the result is recognized by the new mark in the result
    folder. A refusal counts only if it cannot be due to files in the result folder, or to an older version.
    """
    if record.state == REFUSED:
        return record if record.software_version == __version__ and not task.result.exists() else None
    interrupted = record.state == STARTED and _last_run(task.result) != record.run
    if not (record.state == DONE or interrupted) or not _has_result(task.result):
        return None
    if interrupted:
        record = replace(record, state=DONE, run=_last_run(task.result))
        record.write(task.records)
    return record


def _has_result(folder: Path) -> bool:
    try:
        read_summary(folder / SUMMARY_FILE)
    except UnusableInput:
        return False
    return True


def _last_run(folder: Path) -> str:
    """Return the identifier of the run that last wrote into a result folder; "" if there was none."""
    if not folder.is_dir():
        return ""
    settle(folder)
    mark = read_mark(folder)
    return mark.run if mark else ""


def _segment(task: Task, stopped: Stopped, on_share: OnShare, lock: int | None) -> Outcome:
    """Run the child process.

    The child inherits the lock: if this process is killed, no other one begins before the child has ended too.
    """
    child = ChildProcess(task.command, child_environment(os.environ), inherited=() if lock is None else (lock,))
    heard = _Heard(on_share)
    try:
        while (code := child.exit_code) is None:
            if stopped():
                raise Cancelled
            heard.take(child.events())
            time.sleep(POLL_SECONDS)
        heard.take(child.events())
    finally:
        child.kill()
    if code == 0 and heard.last.get("event") == "result":
        return Outcome(0)
    outcome = failure_of(code, heard.last, child.stderr_lines)
    return replace(outcome, code=MACHINE) if outcome.code == 0 else outcome


class _Heard:
    """What a child process has reported: its progress, and the last other event."""

    def __init__(self, on_share: OnShare) -> None:
        self.last: Event = {}
        self._progress, self._on_share = RunProgress(), on_share
        on_share(0.0)

    def take(self, events: Sequence[Event]) -> None:
        for event in events:
            if event["event"] == "progress":
                self._progress.update(progress_of(event))
            else:
                self.last = event
        self._on_share(self._progress.share)
