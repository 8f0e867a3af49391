"""Run a command of lungtumorseg in a process of its own; record the time of each stage and the peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from LungTumorSegLib.core.events import Progress
from LungTumorSegLib.core.peak_memory import peak_bytes
from LungTumorSegLib.process.child import child_environment
from timing import Duration, now


@dataclass(frozen=True)
class Step:
    """A progress report of a command, and the time until the next one."""

    progress: Progress
    duration: Duration


@dataclass(frozen=True)
class Run:
    """What a command took.

    Attributes:
        steps: Its progress reports in order.
        total: The time of the whole process, with the start of Python.
        peak_bytes: The peak of its memory.
    """

    steps: list[Step]
    total: Duration
    peak_bytes: int

    @property
    def stages(self) -> dict[str, Duration]:
        """Return the time of each stage; that between two stages counts for the later one."""
        found: dict[str, Duration] = {}
        for step, after in zip(self.steps, [*self.steps[1:], None], strict=True):
            unfinished = step.progress.done < step.progress.total
            stage = step.progress.stage if unfinished or after is None else after.progress.stage
            found[stage] = found.get(stage, Duration(0, 0)) + step.duration
        return found


def watch(*arguments: object) -> Run:
    """Run a command in a child process.

    Raises:
        CalledProcessError: The command failed.
    """
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, *map(str, arguments)],
        env=child_environment(os.environ),
        stdout=subprocess.PIPE,
        check=True,
    )
    wall = time.perf_counter() - start
    record = json.loads(done.stdout.splitlines()[-1])
    steps = [Step(Progress(*each[:3]), Duration(*each[3:])) for each in record["steps"]]
    return Run(steps, Duration(wall, record["processor_s"]), record["peak_bytes"])


class Recorder:
    """A channel that records when progress is reported."""

    def __init__(self) -> None:
        self._steps: list[tuple[Progress, Duration]] = []

    def progress(self, progress: Progress) -> None:
        """Record a step."""
        self._steps.append((progress, now()))

    def item(self, data: dict[str, Any], text: str) -> None:
        """Ignore a part of the result."""

    def result(self, data: dict[str, Any], text: str) -> None:
        """Ignore the result."""

    def steps(self) -> list[tuple[str, int, int, float, float]]:
        """Return stage, done and total of each step, with the wall and processor seconds until the next one."""
        clocks = [clock for _, clock in self._steps] + [now()]
        spent = [after - before for before, after in pairwise(clocks)]
        return [
            (each.stage, each.done, each.total, time.wall_s, time.processor_s)
            for (each, _), time in zip(self._steps, spent, strict=True)
        ]


def main(arguments: list[str]) -> None:
    """Run a command and print what it took as a JSON line."""
    from LungTumorSegLib.commands.parser import build_parser

    recorder = Recorder()
    options = build_parser().parse_args(arguments)
    options.run(options, recorder)
    record = {"steps": recorder.steps(), "processor_s": time.process_time(), "peak_bytes": peak_bytes()}
    sys.stdout.write("\n" + json.dumps(record) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
