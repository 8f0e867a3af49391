"""The part of ``slicer.packaging`` that the module uses; it looks up installed packages but installs none.

``answer`` is the user's answer to the question before an installation. ``installed`` records the requested packages,
which from then on count as installed.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

answer = True
installed: list[str] = []


def load_requirements(path: str | Path) -> list[Requirement]:
    """Read a requirements file."""
    lines = (line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]


def pip_check(req: str | Requirement | list[str | Requirement]) -> bool:
    """Return whether all requirements are met."""
    return all(_is_met(Requirement(str(one))) for one in (req if isinstance(req, list) else [req]))


def pip_ensure(
    requirements: str | Requirement | list[str | Requirement],
    constraints: str | Path | None = None,
    skip_packages: list[str] | None = None,
    prompt_install: bool = True,
    prompt_restart: bool = True,
    requester: str | None = None,
    skip_in_testing: bool = True,
    show_progress: bool = True,
) -> list[str] | None:
    """Record the missing requirements as installed; ask nothing if all are met.

    Raises:
        RuntimeError: The user declines.
    """
    given = requirements if isinstance(requirements, list) else [requirements]
    missing = [str(one) for one in given if not pip_check(one)]
    if missing and not answer:
        raise RuntimeError("User declined package installation")
    installed.extend(missing)
    return None


def _is_met(requirement: Requirement) -> bool:
    if str(requirement) in installed:
        return True
    found = _version(requirement.name)
    return found is not None and found in requirement.specifier


@cache
def _version(name: str) -> str | None:
    """Return the version of a package, which does not change while the tests run; None where it is missing."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
