"""Run one command of the command line as a child process in a private folder; the module's report and phantom use it.

Nothing here imports Slicer or Qt, and only ``close`` blocks: a timer or a loop of the caller calls ``poll``.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import CANCELLED, MachineLimit
from ..core.events import Cancelled
from ..core.messages import CANCELLED_MESSAGE
from ..core.private_folder import private_folder
from .child import (
    FOLDER_PREFIX,
    PACKAGE,
    POLL_SECONDS,
    ChildProcess,
    Event,
    child_environment,
    end_with_child,
    find_interpreter,
)

Prepare = Callable[[Path, threading.Event], None]
"""Writes the command's input into the folder, in its own thread; raises Cancelled soon after the event is set."""


class CommandRun:
    """A command in progress.

    Attributes:
        result: After the end, the return value of ``load``; None if there is no result.
        error: After the end, why there is no result: Cancelled, or a RuntimeError or OSError with a message of one
            sentence.
        finished: Whether the command has ended.
    """

    def __init__(
        self,
        arguments: Callable[[Path], Sequence[str]],
        load: Callable[[Path], Any],
        *,
        temporary_folder: str,
        failure: str,
        prepare: Prepare | None = None,
        names: Mapping[str, str] | None = None,
        on_event: Callable[[Event], None] | None = None,
        on_finished: Callable[[CommandRun], None] | None = None,
    ) -> None:
        """Start the command at once.

        Args:
            arguments: Returns the command's arguments for the private folder.
            load: Returns the result from the private folder; it runs in the thread that polls.
            temporary_folder: Parent of the private folder.
            failure: Message for a child that ends without one.
            prepare: Writes the command's input.
            names: What messages call the files and folders in the private folder, by their relative paths. Other
                files in it are called by their relative paths.
            on_event: Called with each event "progress" or "item" of a command that writes JSON lines; its texts name
                files of the private folder as messages do.
            on_finished: Called with this run at its end, unless it was closed.

        Raises:
            FileNotFoundError: If no interpreter is found.
        """
        self.result: Any = None
        self.error: Exception | None = None
        self.finished = False
        self._interpreter = find_interpreter()
        self._arguments, self._load, self._failure = arguments, load, failure
        self._prepare, self._names = prepare, names or {}
        self._on_event, self._on_finished = on_event, on_finished
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._cleaning = contextlib.ExitStack()
        self._folder = self._cleaning.enter_context(private_folder(Path(temporary_folder), FOLDER_PREFIX))
        self._stop = threading.Event()
        self._child: ChildProcess | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def poll(self) -> None:
        """Pass on what the command has reported; check whether it has ended, and load its result then."""
        while not self.finished and not self._events.empty():
            event = self._events.get()
            if self._on_event is not None:
                self._on_event(event)
        if not self.finished and not self._thread.is_alive():
            self._finish()

    def cancel(self) -> None:
        """End the command soon; ``on_finished`` is called when it has ended."""
        self._stop.set()
        if self._child is not None:  # otherwise the thread sees the event
            self._child.cancel()

    def close(self) -> None:
        """End the command at once, without a call of ``on_finished``, and leave nothing behind."""
        self._on_finished = None
        self._stop.set()
        end_with_child(self._thread, lambda: self._child)
        if not self.finished:
            self.error = self.error or Cancelled()
            self._finish()

    def _run(self) -> None:
        try:
            if self._prepare is not None:
                self._prepare(self._folder, self._stop)
            command = [self._interpreter, "-m", PACKAGE, *self._arguments(self._folder)]
            self._child = ChildProcess(command, child_environment(os.environ))
            if self._stop.is_set():  # while the child started
                self._child.cancel()
            while (code := self._child.exit_code) is None:
                self._pass_on(self._child.events())
                time.sleep(POLL_SECONDS)
            self._pass_on(self._child.events())
            if code == CANCELLED or (code != 0 and self._stop.is_set()):
                raise Cancelled(CANCELLED_MESSAGE)
            if code != 0:
                raise MachineLimit(self._public((self._child.stderr_lines or [self._failure])[-1]))
        except Exception as error:  # _finish reports it, in the thread that polls
            self.error = error

    def _pass_on(self, events: Sequence[Event]) -> None:
        for event in events:
            if event["event"] in ("progress", "item"):
                texts = {name: self._public(value) for name, value in event.items() if isinstance(value, str)}
                self._events.put({**event, **texts})

    def _public(self, message: str) -> str:
        """Return a message without the path of the private folder, which the user neither knows nor needs."""
        for path in sorted(self._names, key=len, reverse=True):
            message = message.replace(str(self._folder / path), self._names[path])
        return message.replace(f"{self._folder}{os.sep}", "")

    def _finish(self) -> None:
        self.finished = True
        try:
            if self.error is None:
                self.result = self._load(self._folder)
        except (OSError, RuntimeError) as error:
            self.error = error
        finally:
            self._cleaning.close()
        if self._on_finished is not None:
            self._on_finished(self)
