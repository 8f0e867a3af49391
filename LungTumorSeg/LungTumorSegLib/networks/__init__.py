"""Networks: U-Net, MultiResUNet and Recurrent DenseUNet in 2D, in 3D, and in 3D with spatial feature fusion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import lazy

if TYPE_CHECKING:
    from .registry import build_network as build_network

__getattr__, __all__ = lazy.exports(
    __name__,
    {
        "build_network": "registry",
    },
)
