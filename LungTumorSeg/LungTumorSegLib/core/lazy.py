"""Package exports that load the module behind a name when the name is first used (the way of Scientific Python's SPEC 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def exports(package: str, names: Mapping[str, str]) -> tuple[Callable[[str], Any], list[str]]:
    """Return the ``__getattr__`` and ``__all__`` of a package whose public names live in its modules.

    Args:
        package: The package's ``__name__``.
        names: From each public name to the module, relative to the package, that defines it.
    """

    def getattr_(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f".{names[name]}", package), name)

    return getattr_, sorted(names)
