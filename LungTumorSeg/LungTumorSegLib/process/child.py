"""A child process that reports JSON lines, and that leaves nothing running behind, however it ends.

Nothing here blocks the caller but ``kill``: threads read both pipes, and the caller asks now and then what has come.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

GRACE_SECONDS = 3.0
"""How long a child may take to end by itself after it was told to cancel; one stack takes less than a second."""

REAP_SECONDS = 10.0
"""How long a killed child may take to vanish; freeing gigabytes takes the system a second."""

STDERR_LINES = 50
"""Last stderr lines that are kept: enough for a Python traceback."""

Event = dict[str, Any]


class ChildProcess:
    """A running command whose stdout lines are JSON objects with the key "event"; other lines are skipped, as libraries print."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Starts ``command``; raises OSError where it cannot be started."""
        self._process = subprocess.Popen(  # noqa: S603  the command is built by this package, without a shell
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=None if environment is None else dict(environment),
            encoding="utf-8",
            errors="replace",
            **_own_process_group(),
        )
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._killer: threading.Timer | None = None
        self._tree_ended = False
        self._readers = [
            threading.Thread(target=self._read_events, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_stderr, args=(self._process.stderr,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    @property
    def pid(self) -> int:
        """The process id, which is also the group's on POSIX."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None until the child has ended and all it wrote was read; negative (POSIX) where a signal ended it."""
        code = self._process.poll()
        if code is not None and not self._tree_ended:
            self._end_tree()  # what the child itself started would outlive it, and hold the pipes open
        return None if any(reader.is_alive() for reader in self._readers) else code

    @property
    def stderr_lines(self) -> list[str]:
        """The last lines of stderr, oldest first, empty ones left out."""
        return list(self._stderr)

    def events(self) -> list[Event]:
        """The events that came since the last call, oldest first."""
        events = []
        while not self._events.empty():
            events.append(self._events.get())
        return events

    def cancel(self) -> None:
        """Asks the child to end, and kills it and all its children if it has not done so within ``GRACE_SECONDS``."""
        if self._killer is None:
            self._tell("cancel\n")
            self._killer = threading.Timer(GRACE_SECONDS, self._end_tree)
            self._killer.daemon = True
            self._killer.start()

    def kill(self) -> None:
        """Kills the child and all its children at once and waits until they are gone."""
        if not self._tree_ended:
            self._end_tree()
        self._process.wait(REAP_SECONDS)
        for reader in self._readers:
            reader.join(REAP_SECONDS)

    def _end_tree(self) -> None:
        self._tree_ended = True
        if self._killer is not None:
            self._killer.cancel()
        _kill_tree(self._process)
        self._tell("")  # closes stdin, the one pipe that no reader closes

    def _tell(self, line: str) -> None:
        stdin = self._process.stdin
        # The child has ended meanwhile, or another thread has closed stdin, which is all that was wanted.
        with contextlib.suppress(OSError, ValueError):
            if stdin is not None and not stdin.closed:
                stdin.write(line)
                stdin.close()  # a closed stdin cancels too

    def _read_events(self, lines: IO[str]) -> None:
        with lines:
            for line in lines:
                event = _parse_event(line)
                if event is not None:
                    self._events.put(event)

    def _read_stderr(self, lines: IO[str]) -> None:
        with lines:
            self._stderr.extend(line.rstrip() for line in lines if line.strip())


def _parse_event(line: str) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _own_process_group() -> dict[str, Any]:
    """Popen's arguments by which the child and its children can be ended together, and no console window flashes up on Windows."""
    if os.name == "nt":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}  # type: ignore[attr-defined, unused-ignore]
    return {"start_new_session": True}


def _kill_tree(process: subprocess.Popen[str]) -> None:
    if os.name == "nt":
        # terminate() does not reach the process behind a launcher, as PythonSlicer is one
        taskkill = os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")
        subprocess.run([taskkill, "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)  # noqa: S603
        return
    with contextlib.suppress(
        ProcessLookupError, PermissionError
    ):  # all have ended; macOS denies permission for a group of zombies
        os.killpg(process.pid, signal.SIGKILL)


def find_interpreter() -> str:
    """Slicer's command-line Python; ``sys.executable`` is empty inside Slicer. Raises FileNotFoundError where it is not on the path."""
    program = shutil.which("PythonSlicer")
    if program is None:
        raise FileNotFoundError("PythonSlicer was not found on the path; install Slicer again.")
    return program


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` with this package in reach: Slicer adds module paths to its embedded interpreter only."""
    paths = [str(Path(__file__).resolve().parents[2]), *filter(None, [environment.get("PYTHONPATH")])]
    return {**environment, "PYTHONPATH": os.pathsep.join(paths)}
