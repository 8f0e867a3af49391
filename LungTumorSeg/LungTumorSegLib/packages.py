"""Which Python packages are missing, and what installing them would replace. Nothing is imported and nothing installed here."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

TORCH = "torch>=2.8"
"""Installed by Slicer's PyTorch extension, which picks the build for the computer's graphics card."""


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
    pip = [interpreter, "-m", "pip", "install", "--dry-run", "--quiet", "--only-binary", ":all:", "--report", "-", *requirements]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)  # noqa: S603  no shell, arguments of our own
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or ["pip failed"])[-1])
    return done.stdout


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
