"""The networks by name."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import UnusableInput
from .fusion import FusionNetwork
from .multiresunet import MULTIRES_UNET, MULTIRES_UNET_REPOSITORY
from .unet import UNET, EncoderDecoder

# The residual and dense blocks need at least this many filters for every one of their convolutions to have a channel.
MINIMUM_WIDTH = 4

# (name, variant) -> builder of a width.
_BUILDERS: dict[tuple[str, str], Callable[[int], EncoderDecoder]] = {
    ("unet2d", "published"): lambda width: EncoderDecoder(UNET, 2, width),
    ("unet3d", "published"): lambda width: EncoderDecoder(UNET, 3, width),
    ("sff_unet3d", "published"): lambda width: FusionNetwork(UNET, width),
    ("multires_unet2d", "published"): lambda width: EncoderDecoder(MULTIRES_UNET, 2, width),
    ("multires_unet3d", "published"): lambda width: EncoderDecoder(MULTIRES_UNET, 3, width),
    ("multires_unet3d", "repository"): lambda width: EncoderDecoder(MULTIRES_UNET_REPOSITORY, 3, width),
    ("sff_multires_unet3d", "published"): lambda width: FusionNetwork(MULTIRES_UNET, width),
    ("sff_multires_unet3d", "repository"): lambda width: FusionNetwork(MULTIRES_UNET, width, fused_levels=2),
}


def build_network(name: str, width: int = 32, *, variant: str = "published", recurrence: str = "rows") -> EncoderDecoder:
    builder = _BUILDERS.get((name, variant))
    if builder is None:
        raise UnusableInput(f"There is no network {name!r} of variant {variant!r}.")
    return builder(width)
