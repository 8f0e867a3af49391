"""Lung isolation: from a chest CT to body, lungs, spine axis and the region in which tumors are searched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import lazy

if TYPE_CHECKING:
    from .carina import body_and_carina as body_and_carina
    from .carina import carina_of as carina_of
    from .isolate import LungIsolation as LungIsolation
    from .isolate import isolate_lungs as isolate_lungs
    from .spine import SpineAxis as SpineAxis

__getattr__, __all__ = lazy.exports(
    __name__,
    {
        "body_and_carina": "carina",
        "carina_of": "carina",
        "LungIsolation": "isolate",
        "isolate_lungs": "isolate",
        "SpineAxis": "spine",
    },
)
