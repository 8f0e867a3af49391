"""Package exports that import a module only when one of its names is first used (as in Scientific Python's SPEC 1)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def exports(package: str, names: Mapping[str, str]) -> tuple[Callable[[str], Any], list[str]]:
    """Return the ``__getattr__`` and ``__all__`` of a package whose public names live in its modules.

    ``dir`` of the package lists these names too, as the completion of interactive shells needs it.

    Args:
        package: The package's ``__name__``.
        names: Maps each public name to the module that defines it, relative to the package.
    """

    def getattr_(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f".{names[name]}", package), name)

    module = sys.modules[package]
    vars(module)["__dir__"] = lambda: sorted({*vars(module), *names})
    return getattr_, sorted(names)
