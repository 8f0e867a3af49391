"""Which Python packages are missing, what installing them would replace, and how far pip has come. Nothing is installed here."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

TORCH = "torch>=2.8"
"""Installed by Slicer's PyTorch extension, which picks the build for the computer's graphics card."""

PROGRESS_VARIABLE = "PIP_PROGRESS_BAR"


def read_requirements(path: Path) -> list[str]:
    """The requirements ("name>=version") in a requirements file, comments left out."""
    lines = (line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def missing_packages(requirements: Iterable[str]) -> list[str]:
    """Those of ``requirements`` that are not installed, or too old. Raises ValueError for anything but "name" and "name>=version"."""
    return [requirement for requirement in requirements if not _is_installed(requirement)]


def replaced_packages(report: str, requirements: Iterable[str]) -> list[str]:
    """Installed packages that pip would replace, from what ``pip install --dry-run --report -`` prints; those asked for left out."""
    asked = {_canonical(_parse(requirement)[0]) for requirement in requirements}
    names = [item["metadata"]["name"] for item in json.loads(report)["install"]]
    return [name for name in names if _canonical(name) not in asked and _version_of(name) is not None]


def dry_run(interpreter: str, requirements: Sequence[str]) -> str:
    """pip's report of what it would install. Raises RuntimeError with pip's last line, for one where the network cannot be reached."""
    pip = [
        interpreter,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--quiet",
        "--only-binary",
        ":all:",
        "--report",
        "-",
        *requirements,
    ]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)  # noqa: S603  no shell, arguments of our own
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or ["pip failed"])[-1])
    return done.stdout


@dataclass(frozen=True)
class PipStep:
    """What pip is doing: "downloading" ``name``, ``done`` of ``total`` bytes so far, or "unpacking", which it does in silence."""

    stage: str
    name: str = ""
    done: int = 0
    total: int = 0


@contextlib.contextmanager
def listening_to_pip(on_step: Callable[[PipStep], None]) -> Iterator[None]:
    """While it lasts, a pip that this process runs and whose lines it prints, as Slicer does, tells ``on_step`` how far it has come.

    pip prints its progress four times a second then (PIP_PROGRESS_BAR; pip 24.1 or later), and Slicer looks at its events with each line
    of a process that it runs: else the window would stand still until gigabytes are there.
    """
    before = os.environ.get(PROGRESS_VARIABLE)
    os.environ[PROGRESS_VARIABLE] = "raw"
    try:
        with contextlib.redirect_stdout(_PipOutput(sys.stdout, on_step)):
            yield
    finally:
        del os.environ[PROGRESS_VARIABLE]
        if before is not None:
            os.environ[PROGRESS_VARIABLE] = before


class _PipOutput(io.TextIOBase):
    """Stands in for stdout: lines of pip's become steps, and all but those of its progress bar go on to the console."""

    def __init__(self, console: IO[str], on_step: Callable[[PipStep], None]) -> None:
        self._console, self._on_step = console, on_step
        self._pending, self._name = "", ""

    def write(self, text: str) -> int:
        *lines, self._pending = (self._pending + text).split("\n")
        for line in lines:
            progress = re.fullmatch(r"Progress (\d+) of (\d+)", line.strip())
            if progress is None:
                self._console.write(line + "\n")
                self._notice(line.strip())
            else:
                self._on_step(PipStep("downloading", self._name, int(progress[1]), int(progress[2])))
        return len(text)

    def _notice(self, line: str) -> None:
        if line.startswith(
            "Downloading "
        ):  # "Downloading torch-2.8.0-cp312-cp312-win_amd64.whl (241.0 MB)", or its address
            self._name = line.split()[1].rpartition("/")[2].partition("-")[0]
            self._on_step(PipStep("downloading", self._name))
        elif line.startswith("Installing collected packages"):
            self._on_step(PipStep("unpacking"))


def _is_installed(requirement: str) -> bool:
    name, least = _parse(requirement)
    version = _version_of(name)
    return version is not None and _numbers(version) >= _numbers(least)


def _parse(requirement: str) -> tuple[str, str]:
    match = re.fullmatch(r"([A-Za-z0-9._-]+)(?:>=([0-9.]+))?", requirement.replace(" ", ""))
    if match is None:
        raise ValueError(f"The requirement {requirement!r} must read name or name>=version.")
    return match[1], match[2] or ""


def _version_of(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> list[int]:
    """The release numbers: "2.13.0+cpu" gives 2, 13, 0."""
    return [int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3]]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
