"""Sets up LungTumorSeg on a fresh machine and runs it: ``python3 develop.py demo`` or ``python3 develop.py test``.

Needs Python 3.10 to 3.13 and nothing else. A virtual environment is made in ``.venv`` (or ``--environment DIR``) and kept, so that
the next call is quick.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
OLDEST, NEWEST = (3, 10), (3, 13)


def main() -> int:
    """Makes the environment and runs what was asked for; returns the first exit code that is not 0."""
    parser = argparse.ArgumentParser(
        description="Sets up LungTumorSeg in a virtual environment of its own and runs it."
    )
    parser.add_argument(
        "job",
        choices=("demo", "test"),
        help="demo: segment a made CT and draw it; test: lint, types and the test suite",
    )
    parser.add_argument("--environment", type=Path, default=ROOT / ".venv", metavar="DIR")
    parser.add_argument("rest", nargs="*", metavar="...", help="passed on to pytest, after --")
    options = parser.parse_args()
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        sys.stderr.write(f"LungTumorSeg needs Python 3.10 to 3.13; this is {sys.version.split()[0]}.\n")
        return 2
    python = make_environment(options.environment, ".[test]" if options.job == "test" else ".")
    commands = demo_commands(python) if options.job == "demo" else test_commands(python, options.rest)
    for command in commands:
        sys.stdout.write("$ " + " ".join(command) + "\n")
        sys.stdout.flush()
        code = subprocess.run(command, cwd=ROOT).returncode
        if code:
            return code
    return 0


def make_environment(folder: Path, requirement: str) -> str:
    """The Python of the environment in ``folder``, with this checkout and what it needs installed."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        venv.create(folder, with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "-c", "constraints.txt", "-e", requirement]
    subprocess.run(install, cwd=ROOT, check=True)
    return str(python)


def demo_commands(python: str) -> list[list[str]]:
    """The main job on a procedural CT; the results lie in ``demo``."""
    return [[python, "-m", "LungTumorSegLib", "demo", "-o", "demo"]]


def test_commands(python: str, rest: list[str]) -> list[list[str]]:
    """Lint, types, and all tests but those that take minutes on real CT (``pytest -m "slow and real_ct"``)."""
    return [
        [python, "-m", "ruff", "check", "."],
        [python, "-m", "mypy"],
        [python, "-m", "pytest", "-q", "-m", "not (slow and real_ct)", *rest],
    ]


if __name__ == "__main__":
    sys.exit(main())
