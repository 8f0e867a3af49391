"""Work on a folder of results that a fault strikes at one exact call, as when a run is killed or the disk fails.

The work is done in forks of a small process. The process of the tests holds torch and VTK; a fork of it takes up to
0.1 s, and the tests need some hundred.
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from LungTumorSegLib.core.errors import MachineLimit, UnusableInput
from LungTumorSegLib.results.folder import complete_or_nothing, settle
from LungTumorSegLib.results.replaceable_files import Output

CALLS = ("rename", "replace", "unlink", "rmdir", "mkdir")
"""All by which a run changes what is in a folder."""

READING_CALLS = ("open", "lstat", "listdir", "scandir")
"""All by which a run learns what is in a folder, and opens files."""

NOT_REACHED, KILLED, STOPPED = 7, 9, 130


def write_set(folder: Path, files: dict[str, str]) -> None:
    """Write a set of results with these texts."""
    with complete_or_nothing(Output(folder, "result")) as private:
        for name, text in files.items():
            (private / name).write_text(text)


def die() -> None:
    """End the process without any cleanup."""
    os._exit(KILLED)


def interrupt() -> None:
    """Do what Ctrl+C does."""
    raise KeyboardInterrupt


def fail() -> None:
    """Do what a broken disk does."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


WORK: dict[str, Callable[..., None]] = {work.__name__: work for work in (write_set, settle)}
FAULTS = {fault.__name__: fault for fault in (die, interrupt, fail)}


@contextlib.contextmanager
def small_process() -> Iterator[Callable[..., int]]:
    """Start the small process and yield ``ending_at(step, work, folder, *arguments, fault, late, calls)``.

    Its arguments:
        step: Number of the call at which the fault strikes, among those of ``calls`` and of ``io.open``, from 1.
        work: What is done with the folder: one of ``WORK``.
        fault: What happens at the call: one of ``FAULTS``.
        late: Whether the call itself is done before.
        calls: Names of functions of ``os``.

    It returns 0 if the work was done all the same; 1 if it was refused in a sentence; ``KILLED``, ``STOPPED``, or
    ``NOT_REACHED``.
    """
    command = [sys.executable, str(Path(__file__))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        answers = process.stdout

        def ending_at(
            step: int,
            work: Callable[..., None],
            folder: Path,
            *arguments: object,
            fault: Callable[[], None],
            late: bool = False,
            calls: Sequence[str] = CALLS,
        ) -> int:
            request = [step, work.__name__, str(folder), arguments, fault.__name__, late, calls]
            print(json.dumps(request), file=process.stdin, flush=True)
            code = int(answers.readline())
            assert code in (0, 1, KILLED, STOPPED, NOT_REACHED), "the child itself failed"
            return code

        yield ending_at
        process.stdin.close()  # by which it ends


def answer_requests() -> None:
    """Fork for each line of stdin, and write the exit code of the fork; this is the small process."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            struck(*json.loads(line))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(code, flush=True)  # noqa: T201


def struck(
    step: int, work: str, folder: str, arguments: list[object], fault: str, late: bool, calls: Sequence[str]
) -> None:
    """Do the work, struck at one call, and end this process with the code that ``small_process`` lists."""
    count = 0

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            strikes = count == step
            if strikes and not late:
                FAULTS[fault]()
            found = original(*args, **kwargs)
            if strikes and late:
                FAULTS[fault]()
            return found

        return call

    for module, name in [*((os, name) for name in calls), *([(io, "open")] if "open" in calls else [])]:
        setattr(module, name, counted(getattr(module, name)))
    code = 2
    try:
        WORK[work](Path(folder), *arguments)
        code = 0
    except (UnusableInput, MachineLimit):
        code = 1
    except KeyboardInterrupt:
        code = STOPPED
    finally:
        os._exit(code if count >= step else NOT_REACHED)


if __name__ == "__main__":
    answer_requests()
