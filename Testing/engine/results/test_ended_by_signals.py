"""A process that a real signal ends while results are exchanged leaves the old set or the new one, complete."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from LungTumorSegLib.core.complete_files import UNFINISHED_PREFIX
from LungTumorSegLib.results.exchange import COMMITTED_PREFIX
from LungTumorSegLib.results.folder import complete_or_nothing, files_of_group, read_consistently
from LungTumorSegLib.results.replaceable_files import Output

ENDINGS = 12
"""How often a process is ended."""

FILES = 200
"""Number of files of a set, so that an exchange takes some ms."""

LONGEST_WAIT_S = 0.01
"""Longest time after the begin of an exchange at which a process is ended, s: about a whole exchange."""

WRITER = """
import sys
from pathlib import Path
from LungTumorSegLib.process.streams import ended_by_signals
from LungTumorSegLib.results.folder import complete_or_nothing
from LungTumorSegLib.results.replaceable_files import Output
folder, number, files = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
try:
    with ended_by_signals(lambda: None):
        while True:
            number += 1
            with complete_or_nothing(Output(folder, "result")) as private:
                for name in [*(f"{i}.txt" for i in range(files)), f"only-{number % 2}.txt", "summary.json"]:
                    (private / name).write_text(str(number))
            print(number, flush=True)
except KeyboardInterrupt:
    sys.exit(130)
"""
"""Writes set after set, each with its number, and announces each set when it is complete."""


def end(folder: Path, last: int, number: int, seconds: float) -> tuple[int, int]:
    """End a writer so many seconds after an exchange began; return its exit code and the last set it announced."""
    arguments = [sys.executable, "-c", WRITER, str(folder), str(last), str(FILES)]
    writer = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    announced = [int(writer.stdout.readline())]
    while not any(name.startswith(COMMITTED_PREFIX) for name in os.listdir(folder)):
        assert writer.poll() is None
    time.sleep(seconds)
    writer.send_signal(number)
    rest, _ = writer.communicate(timeout=60)
    return writer.returncode, [*announced, *map(int, rest.split())][-1]


def set_in(folder: Path) -> dict[str, str]:
    return read_consistently(
        folder, lambda: {name: (folder / name).read_text() for name in files_of_group(folder, "result")}
    )


def leftovers(folder: Path) -> list[Path]:
    return [*folder.glob(f"{COMMITTED_PREFIX}*"), *folder.glob(f"{UNFINISHED_PREFIX}*")]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 130)])
def test_a_set_is_old_or_new_and_complete_whenever_its_writer_is_ended(tmp_path, number, code):
    folder, last, caught, rng = tmp_path / "out", 0, 0, random.Random(str(number))
    for _ in range(ENDINGS):
        ended, announced = end(folder, last, number, rng.uniform(0, LONGEST_WAIT_S))
        assert ended == code
        left = leftovers(folder)
        caught += any(path.name.startswith(COMMITTED_PREFIX) for path in left)
        found = set_in(folder)
        last = int(found["summary.json"])
        assert last in (announced, announced + 1)
        assert found == dict.fromkeys(
            [*(f"{i}.txt" for i in range(FILES)), f"only-{last % 2}.txt", "summary.json"], str(last)
        )
        assert code < 0 or left == []
    assert code > 0 or caught, "at least one writer was ended while its files moved"
    with complete_or_nothing(Output(folder, "result")) as private:
        (private / "summary.json").write_text("next")
    assert set_in(folder) == {"summary.json": "next"}
    assert leftovers(folder) == []
