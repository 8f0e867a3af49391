"""The networks: U-Net, MultiResUNet and Recurrent DenseUNet, in 2D, in 3D, and in 3D with spatial feature fusion."""

from .registry import build_network

__all__ = ["build_network"]
