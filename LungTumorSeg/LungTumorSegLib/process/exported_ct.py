"""A CT in a private folder, and the child process that reads it there.

The segmentation of a CT and the process that answers clicks on it both begin this way.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from ..core.events import Cancelled
from ..core.private_folder import private_folder, remove_left_behind
from .child import FOLDER_PREFIX, PACKAGE, ChildProcess, Event, child_environment, find_interpreter
from .outcome import Outcome, failure_of

INPUT_FILE = "input.nrrd"

WriteInput = Callable[[Path, threading.Event], None]
"""Writes the CT to a path, in its own thread; raises Cancelled soon after the event is set."""


class ExportedCT:
    """A CT that is written into a private folder, which exists until ``delete``.

    Attributes:
        folder: The private folder.
        path: The file of the CT.
        stop: Set it to end the export soon.
    """

    def __init__(self, write_input: WriteInput, interpreter: str | None, temporary_folder: str | None) -> None:
        """Create the folder.

        Folders that killed processes left in ``temporary_folder`` are deleted, because they hold images of patients.

        Args:
            write_input: Writes the CT.
            interpreter: The Python of the child process; None is Slicer's.
            temporary_folder: Parent of the folder; None is the system's folder for temporary files.

        Raises:
            FileNotFoundError: If no interpreter is found.
        """
        self._program = interpreter or find_interpreter()
        parent = Path(temporary_folder or tempfile.gettempdir())
        remove_left_behind(parent, FOLDER_PREFIX)
        self._cleaning = contextlib.ExitStack()
        self._write_input = write_input
        self.folder = self._cleaning.enter_context(private_folder(parent, FOLDER_PREFIX))
        self.path = self.folder / INPUT_FILE
        self.stop = threading.Event()

    def export_and_start(self, arguments: Sequence[str]) -> ChildProcess:
        """Write the CT, which blocks, and then start the command line with ``arguments``.

        Raises:
            Cancelled: If ``stop`` is set.
        """
        self._write_input(self.path, self.stop)
        if self.stop.is_set():
            raise Cancelled
        return ChildProcess([self._program, "-m", PACKAGE, *arguments], child_environment(os.environ))

    def failure_of(self, code: int, event: Event, stderr_lines: Sequence[str]) -> Outcome:
        """Return ``failure_of`` a child process that reads this CT; users do not know the CT's file."""
        failure = failure_of(code, event, stderr_lines)
        return replace(failure, message=failure.message.replace(str(self.path), "the CT"))

    def delete(self) -> None:
        """Delete the folder; nothing happens if it has been deleted."""
        self._cleaning.close()
