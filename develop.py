"""Set up LungTumorSeg on a fresh machine and run it.

The jobs: ``python3 develop.py demo``, ``test``, ``docs``, ``ci`` (test, docs and the wheel side by side), ``coverage``
(the tests with the share of lines that they run) and ``constraints``.

Needs Python 3.11 to 3.13 and nothing else. A virtual environment is made in ``.venv`` (or ``--environment DIR``) and
kept, so that the next call is quick.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
OLDEST, NEWEST = (3, 11), (3, 13)
EXTRAS = {
    "demo": "[segment]",
    "test": "[test]",
    "docs": "[docs]",
    "ci": "[test,docs]",
    "coverage": "[test,coverage]",
    "constraints": "[ci,test,docs,coverage]",
}

TEST_PROCESSES = min((os.cpu_count() or 1) + 1, 4)
"""Tests run in this many processes; each takes up to 2 GB of memory.

One more than there are cores, because many tests wait for child processes."""

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""Holds builds of torch without CUDA; their version, such as 2.13.0+cpu, is taken before that of the default index."""

REACH_SECONDS = 10.0
LINE_SECONDS = 10.0
"""From one line to the next while pip is silent."""

CONSTRAINTS_HEAD = """\
# The versions that the suite was run with, also of indirect requirements; pip install -c constraints.txt takes them.
# Made by: python3 develop.py constraints
# (it installs the newest versions that pyproject.toml allows, torch as pinned here, into a fresh environment).
"""


def main() -> int:
    """Make the environment and run what was asked for; return the first exit code that is not 0."""
    parser = argparse.ArgumentParser(
        description="Sets up LungTumorSeg in a virtual environment of its own and runs it.",
        epilog="example: python3 develop.py demo",
    )
    parser.add_argument(
        "job",
        choices=tuple(EXTRAS),
        help="demo: segment a synthetic CT and draw it; test: lint, types and the test suite; "
        "docs: build the documentation into site; ci: test and docs, and the wheel; coverage: the tests, and the share "
        "of lines that they run; constraints: pin all versions again",
    )
    parser.add_argument(
        "--environment", type=Path, default=ROOT / ".venv", metavar="DIR", help="virtual environment (default: .venv)"
    )
    parser.add_argument("rest", nargs="*", metavar="...", help="passed on to pytest, after --")
    options = parser.parse_args()
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        sys.stderr.write(f"LungTumorSeg needs Python 3.11 to 3.13; this is {sys.version.split()[0]}.\n")
        return 2
    try:
        python = make_environment(options.environment, options.job)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(
            "The packages could not be installed; pip's lines above say why. Check the network and try again.\n"
        )
        return error.returncode
    if options.job == "constraints":
        return write_constraints(python)
    commands = {"demo": demo_commands, "docs": docs_commands}.get(options.job, test_commands)
    *first, last = commands(python, ["--cov", *options.rest] if options.job == "coverage" else options.rest)
    for command in first:
        if code := run_beside(command):
            return code
    return run_beside(last, side_commands(python, options.job))


def say(text: str) -> None:
    """Write a line at once, also into a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say_command(command: Sequence[str]) -> None:
    """Write the time of day and a command."""
    say(f"{time.strftime('%H:%M:%S')} $ {' '.join(command)}")


def child_environment() -> dict[str, str]:
    """Return the environment of the commands, in which Python stores what it compiles.

    The tests start dozens of Python processes. Where bytecode is not stored, each of them compiles torch again.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def run_beside(command: list[str], others: Sequence[list[str]] = ()) -> int:
    """Run a command, and others beside it, whose output follows; return the first exit code that is not 0."""
    settings: dict[str, Any] = {"cwd": ROOT, "env": child_environment()}
    with contextlib.ExitStack() as files:
        logs = [files.enter_context(tempfile.TemporaryFile()) for _ in others]
        beside = [
            subprocess.Popen(other, stdout=log, stderr=subprocess.STDOUT, **settings)
            for other, log in zip(others, logs, strict=True)
        ]
        say_command(command)
        codes = [subprocess.run(command, **settings).returncode]
        for other, process, log in zip(others, beside, logs, strict=True):
            codes.append(process.wait())
            log.seek(0)
            say_command(other)
            say(log.read().decode(errors="replace").rstrip())
    return next((code for code in codes if code), 0)


def make_environment(folder: Path, job: str) -> str:
    """Return the Python of the environment in ``folder``, with this checkout and what ``job`` needs installed."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    stamp, state = folder / f"{job}.installed", checkout_state()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == state and python.exists():
        say(f"The environment {folder} is complete.")
        return str(python)
    if not python.exists():
        say(f"Step 1 of 2: making a virtual environment in {folder}.")
        make_venv(folder)
    torch = installed_torch(str(python))
    download = "The packages take up to 100 MB." if job == "docs" else describe_download(torch)
    say(f"Step 2 of 2: installing packages into {folder}. {download}")
    install = [
        str(python),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-compile",  # most modules are never imported; Python compiles the others when they are
    ]
    pins, index = chosen_constraints(torch, only_torch=job == "constraints"), torch_index(torch)
    if job == "ci":
        install_pins(install, pins, folder, index)
    else:
        constraints = folder / "constraints.txt"
        constraints.write_text(pins, encoding="utf-8")
        run_with_time([*install, *index, "-c", str(constraints), "-e", f".{EXTRAS[job]}"])
    stamp.write_text(state, encoding="utf-8")
    return str(python)


def install_pins(install: Sequence[str], pins: str, folder: Path, index: Sequence[str]) -> None:
    """Install exactly the pinned packages, which are those of CI, then this checkout.

    pip (``install``) installs uv, which needs a fifth of pip's time for the others. Where uv fails, pip goes on.

    Raises:
        subprocess.CalledProcessError: If a package cannot be installed, or if what is pinned is not all that is needed.
    """
    file = folder / "pins.txt"
    file.write_text(pins, encoding="utf-8")
    (uv,) = (line for line in pins.splitlines() if line.startswith("uv=="))
    run_with_time([*install, "--no-deps", uv])
    quick = [install[0], "-m", "uv", "pip", "install", "--python", install[0], "--no-deps"]
    # Like pip, take a version from any index; by default uv looks only into the first one that has the package.
    sources = ["--index-strategy", "unsafe-best-match", *pip_sources(install[0]), *index]
    try:
        run_with_time([*quick, *sources, "-r", str(file)])
        run_with_time([*quick, "--no-build-isolation", "-e", "."])
        check = [install[0], "-m", "uv", "pip", "check", "--python", install[0]]
    except subprocess.CalledProcessError:
        say("uv could not install the packages, so pip does it, which takes about a minute longer.")
        run_with_time([*install, *index, "--no-deps", "-r", str(file)])
        run_with_time([*install, "--no-deps", "--no-build-isolation", "-e", "."])
        check = [*install[:3], "check"]
    run_with_time(check)


def pip_sources(python: str) -> list[str]:
    """Return the indexes and folders from which pip is configured to take packages, as arguments of uv.

    pip prints each value as a quoted Python string, which ``literal_eval`` reads without running anything.
    """
    options = {"index-url": "--default-index", "extra-index-url": "--extra-index-url", "find-links": "--find-links"}
    done = subprocess.run(
        [python, "-m", "pip", "config", "list", "--disable-pip-version-check"], capture_output=True, text=True
    )
    settings = (line.partition("=") for line in done.stdout.splitlines())
    found = [
        (options[key.rpartition(".")[2]], place)
        for key, _, value in settings
        if key.rpartition(".")[2] in options
        for place in str(ast.literal_eval(value)).split()
    ]
    return [argument for pair in dict.fromkeys(found) for argument in pair]


def checkout_state() -> str:
    """Return a checksum of what decides which packages are installed."""
    return hashlib.sha256(
        b"".join((ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    ).hexdigest()


def installed_torch(python: str) -> str | None:
    """Return the version of torch that the environment has already, such as 2.13.0+cpu."""
    done = subprocess.run(
        [python, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"], capture_output=True, text=True
    )
    versions = {package["name"]: package["version"] for package in json.loads(done.stdout or "[]")}
    return versions.get("torch")


def chosen_constraints(torch: str | None, *, only_torch: bool = False) -> str:
    """Return the constraints for pip; a torch that is installed already stays, whatever its version."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if torch is not None:
        lines = [f"torch=={torch}" if line.startswith("torch==") else line for line in lines]
    return "\n".join(line for line in lines if not only_torch or line.startswith("torch==")) + "\n"


def has_cuda_card() -> bool:
    """Tell whether the driver of a CUDA graphics card is installed."""
    return shutil.which("nvidia-smi") is not None


def torch_index(torch: str | None) -> list[str]:
    """Arguments by which pip takes the CPU build of torch where that is the right one and its index can be reached."""
    if torch is not None or has_cuda_card() or not sys.platform.startswith("linux"):
        return []  # for macOS and Windows the default index has CPU builds
    if is_reachable(f"{CPU_INDEX}/torch/"):
        return ["--extra-index-url", CPU_INDEX]
    say(f"{CPU_INDEX} cannot be reached; torch comes from the default index, which may hold a larger build with CUDA.")
    return []


def is_reachable(address: str) -> bool:
    """Tell whether a web address answers within ``REACH_SECONDS``."""
    try:
        with urllib.request.urlopen(address, timeout=REACH_SECONDS) as answer:  # noqa: S310  an https address of ours
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def make_venv(folder: Path) -> None:
    """Make a virtual environment with pip.

    Raises:
        SystemExit: Python lacks a part of its own; no folder is left.
    """
    try:
        venv.create(folder, with_pip=True)
    except subprocess.CalledProcessError:
        shutil.rmtree(folder, ignore_errors=True)
        raise SystemExit(
            f"Python could not make a virtual environment in {folder}. On Debian and Ubuntu install the package "
            "python3-venv, then try again."
        ) from None


def describe_download(torch: str | None) -> str:
    """Say what pip is about to fetch."""
    if torch is not None:
        return f"torch {torch} is there already and stays; the other packages take up to 400 MB."
    build = "the build with CUDA, about 3 GB" if has_cuda_card() else "the build for processors, about 200 MB"
    return f"torch ({build}) and other packages (about 400 MB) are downloaded unless pip has kept them."


def run_with_time(*commands: Sequence[str]) -> None:
    """Run commands at a time; while they print nothing to a terminal, a line every ten seconds says how long it takes.

    Raises:
        subprocess.CalledProcessError: Where one fails.
    """
    for command in commands:
        say_command(command)
    began = time.monotonic()
    processes = [subprocess.Popen(command, cwd=ROOT) for command in commands]
    for process in processes:
        while process.poll() is None:
            try:
                process.wait(LINE_SECONDS)
            except subprocess.TimeoutExpired:
                if not sys.stdout.isatty():
                    say(f"... installing for {time.monotonic() - began:.0f} s")
    for command, process in zip(commands, processes, strict=True):
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command)
    say(f"Installed in {time.monotonic() - began:.0f} s.")


def write_constraints(python: str) -> int:
    """Pin all packages of the environment in constraints.txt, without local versions such as +cpu."""
    done = subprocess.run(
        [python, "-m", "pip", "freeze", "--all", "--exclude-editable"], capture_output=True, text=True, check=True
    )
    pins = [
        re.sub(r"\+[\w.]+$", "", line) for line in done.stdout.splitlines() if re.fullmatch(r"[\w.-]+==[\w.+!]+", line)
    ]
    pins = [pin for pin in pins if not pin.startswith("pip==")]
    (ROOT / "constraints.txt").write_text(CONSTRAINTS_HEAD + "\n".join(pins) + "\n", encoding="utf-8")
    say(f"{len(pins)} versions are pinned in constraints.txt.")
    return 0


def demo_commands(python: str, rest: list[str]) -> list[list[str]]:
    """Return the main job on a synthetic CT; the results lie in ``demo``."""
    return [[python, "-m", "LungTumorSegLib", "demo", "-o", "demo", *rest]]


def docs_commands(python: str, rest: list[str]) -> list[list[str]]:
    """Return the build of the documentation; a broken link or reference fails it."""
    return [[python, "-m", "mkdocs", "build", "--strict", "--quiet", *rest]]


def side_commands(python: str, job: str) -> list[list[str]]:
    """Return what runs beside the tests: the types and, in CI, the documentation and the wheel."""
    types = [[python, "-m", "mypy"]] if job in ("test", "ci") else []
    return types + ([*docs_commands(python, []), ["bash", ".ci/wheel", python]] if job == "ci" else [])


def test_commands(python: str, rest: list[str]) -> list[list[str]]:
    """Return lint, spelling and the tests of the fast tier; the others: ``pytest -m slow``, ``pytest -m real_ct``."""
    # In the order in which the files are collected, because the longest ones come first (see Testing/conftest.py).
    # A process that dies fails the run; its tests are not begun again elsewhere, by which a run could hang.
    processes = ["-n", str(TEST_PROCESSES), "--dist", "loadfile", "--no-loadscope-reorder", "--max-worker-restart", "0"]
    return [
        [python, "-m", "ruff", "check", "."],
        [python, "-m", "ruff", "format", "--check", "."],
        [python, "-m", "codespell_lib"],
        [python, "-m", "pytest", "-q", *processes, "-m", "not slow and not real_ct", "--durations", "10", *rest],
    ]


if __name__ == "__main__":
    sys.exit(main())
