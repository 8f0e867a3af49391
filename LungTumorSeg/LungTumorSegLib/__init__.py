"""LungTumorSeg's engine: from a chest CT to measured lung tumors. Research software, not a medical device.

The public names are loaded when they are first asked for, so that importing the package costs nothing and needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .ct import CTVolume
    from .io import read_ct
    from .isolation import isolate_lungs
    from .lesions import measure
    from .pipeline import segment

__all__ = ["CTVolume", "isolate_lungs", "measure", "read_ct", "segment"]

_ROOMS = {"CTVolume": "ct", "isolate_lungs": "isolation", "measure": "lesions", "read_ct": "io", "segment": "pipeline"}

NOTICE = "Research software, not a medical device."


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_ROOMS[name]}", __name__), name)
