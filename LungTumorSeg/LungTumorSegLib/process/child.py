"""A child process that reports JSON lines, and whose whole process tree ends with it.

Only ``kill`` blocks the caller: threads read both pipes, and the caller polls for events.
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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from .streams import GRACE_SECONDS

REAP_SECONDS = 10.0
"""Seconds in which a killed child must be gone; the system needs about one second to free gigabytes."""

STDERR_LINES = 50
"""Number of last stderr lines that are kept, enough for a Python traceback."""

PACKAGE = __package__.partition(".")[0]
"""The package that a child process runs with ``python -m``."""

FOLDER_PREFIX = "LungTumorSeg-"
"""Beginning of the names of private folders, in which children find their input."""

POLL_SECONDS = 0.05
"""Seconds between two checks of a child, far below what a person notices."""

Event = dict[str, Any]


class ChildProcess:
    """A running command whose stdout lines are JSON objects with the key "event".

    Other lines are skipped, because libraries print to stdout too.
    """

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        inherited: Sequence[int] = (),
    ) -> None:
        """Start the command.

        Args:
            command: The program and its arguments.
            environment: The environment variables; None inherits those of this process.
            inherited: File descriptors, such as that of a lock, that stay open in the child; ignored on Windows.

        Raises:
            OSError: If the command cannot be started.
        """
        self._process = subprocess.Popen(  # noqa: S603  the command is built by this package, without a shell
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=None if environment is None else dict(environment),
            encoding="utf-8",
            errors="replace",
            pass_fds=() if os.name == "nt" else tuple(inherited),
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
        """Return the process id, which on POSIX is also the id of the process group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Return the exit code; None until the child has ended and all its output has been read.

        On POSIX, the code is negative if a signal ended the child.
        """
        code = self._process.poll()
        if code is not None and not self._tree_ended:
            self._end_tree()  # processes that the child started would outlive it and keep the pipes open
        return None if any(reader.is_alive() for reader in self._readers) else code

    @property
    def stderr_lines(self) -> list[str]:
        """Return the last nonempty lines of stderr, oldest first."""
        return list(self._stderr)

    def events(self) -> list[Event]:
        """Return the events since the last call, oldest first."""
        events = []
        while not self._events.empty():
            events.append(self._events.get())
        return events

    def send(self, line: str) -> None:
        """Write a line to the child's stdin; nothing happens if the child has ended."""
        stdin = self._process.stdin
        with contextlib.suppress(OSError, ValueError):  # the child may have ended, or stdin may be closed
            if stdin is not None:
                stdin.write(line + "\n")
                stdin.flush()

    def cancel(self) -> None:
        """Ask the child to end; kill it and all its children if it has not ended within ``GRACE_SECONDS``."""
        if self._killer is None:
            self._tell("cancel\n")
            self._killer = threading.Timer(GRACE_SECONDS, self._end_tree)
            self._killer.daemon = True
            self._killer.start()

    def kill(self) -> None:
        """Kill the child and all its children at once, and wait until they are gone."""
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
        self._tell("")  # closes stdin, the only pipe that no reader thread closes

    def _tell(self, line: str) -> None:
        stdin = self._process.stdin
        # The child may have ended meanwhile, or another thread may have closed stdin; both are fine.
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


def end_with_child(thread: threading.Thread, child: Callable[[], ChildProcess | None]) -> None:
    """End a thread that starts a child process and waits for it; the call blocks until both are gone.

    Args:
        thread: The thread; it ends by itself soon after its child.
        child: Returns its child, or None as long as it has not started one.
    """
    while thread.is_alive():
        if (started := child()) is not None:
            started.kill()
        thread.join(POLL_SECONDS)


def _parse_event(line: str) -> Event | None:
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _own_process_group() -> dict[str, Any]:
    """Return arguments for Popen that put the child into its own process group.

    The child and its children can then be ended together. On Windows, the arguments also prevent a console window from
    opening.
    """
    if os.name == "nt":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}  # type: ignore[attr-defined, unused-ignore]
    return {"start_new_session": True}


def _kill_tree(process: subprocess.Popen[str]) -> None:
    if os.name == "nt":
        # terminate() does not reach the process behind a launcher such as PythonSlicer
        taskkill = os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")
        subprocess.run([taskkill, "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)  # noqa: S603
        return
    # All may have ended; for a group of zombies, macOS denies permission.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def find_interpreter() -> str:
    """Return the path of Slicer's command-line Python; ``sys.executable`` is empty inside Slicer.

    Raises:
        FileNotFoundError: If PythonSlicer is not on the path.
    """
    program = shutil.which("PythonSlicer")
    if program is None:
        raise FileNotFoundError("PythonSlicer was not found on the PATH; reinstall Slicer.")
    return program


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return ``environment`` with this package on PYTHONPATH.

    Slicer adds module paths to its embedded interpreter only.
    """
    paths = [str(Path(__file__).resolve().parents[2]), *filter(None, [environment.get("PYTHONPATH")])]
    return {**environment, "PYTHONPATH": os.pathsep.join(paths)}
