"""Build networks by name."""

from __future__ import annotations

from collections.abc import Callable

from ..core.errors import UnusableInput
from .fusion import FusionNetwork
from .multiresunet import MULTIRES_UNET, MULTIRES_UNET_REPOSITORY
from .recurrent_dense_unet import DENSE_UNET, RECURRENT_DENSE_UNET_ORIGINAL, Recurrence, recurrent_dense_unet
from .unet import UNET, EncoderDecoder

MINIMUM_WIDTH = 4
"""Smallest number of filters with which each convolution of the residual blocks has at least one channel."""

RECURRENCES: tuple[Recurrence, ...] = ("rows", "slices")

Builder = Callable[[int, Recurrence], EncoderDecoder]

_BUILDERS: dict[tuple[str, str], Builder] = {
    ("unet2d", "published"): lambda width, _: EncoderDecoder(UNET, 2, width),
    ("unet3d", "published"): lambda width, _: EncoderDecoder(UNET, 3, width),
    ("sff_unet3d", "published"): lambda width, _: FusionNetwork(UNET, width),
    ("multires_unet2d", "published"): lambda width, _: EncoderDecoder(MULTIRES_UNET, 2, width),
    ("multires_unet3d", "published"): lambda width, _: EncoderDecoder(MULTIRES_UNET, 3, width),
    ("multires_unet3d", "repository"): lambda width, _: EncoderDecoder(MULTIRES_UNET_REPOSITORY, 3, width),
    ("sff_multires_unet3d", "published"): lambda width, _: FusionNetwork(MULTIRES_UNET, width),
    ("sff_multires_unet3d", "repository"): lambda width, _: FusionNetwork(MULTIRES_UNET, width, fused_levels=2),
    ("dense_unet2d", "published"): lambda width, _: EncoderDecoder(DENSE_UNET, 2, width),
    ("recurrent_dense_unet3d", "published"): lambda width, axis: EncoderDecoder(recurrent_dense_unet(axis), 3, width),
    ("recurrent_dense_unet3d", "original"): lambda width, _: EncoderDecoder(RECURRENT_DENSE_UNET_ORIGINAL, 3, width),
    ("sff_recurrent_dense_unet3d", "published"): lambda width, axis: FusionNetwork(recurrent_dense_unet(axis), width),
}
"""Builders by (name, variant); each takes the width and the recurrence."""


def build_network(
    name: str, width: int = 32, *, variant: str = "published", recurrence: str = "rows"
) -> EncoderDecoder:
    """Build a network with random weights.

    The network maps stacks (N, 1, D, H, W), or slices (N, 1, H, W) if it is a 2D network, to tumor probability.

    Args:
        name: The name of the network, such as "sff_unet3d".
        width: The number of filters of the first level, 32 as published.
        variant: "published" for the parameter counts of the paper; "repository" for the MultiRes networks as the
            authors committed them; "original" for the recurrent network of Kamal et al., which runs over slices.
        recurrence: "rows" as in the published code, or "slices" as in the paper. It affects only the published
            recurrent networks.

    Returns:
        The network, on the CPU.

    Raises:
        UnusableInput: No such network, variant or recurrence exists, or the width is too small.
    """
    axis = next((known for known in RECURRENCES if known == recurrence), None)
    if axis is None:
        raise UnusableInput(f"The recurrence must be one of {', '.join(RECURRENCES)}, not {recurrence!r}.")
    builder = _BUILDERS.get((name, variant))
    if builder is None:
        known_networks = ", ".join(f"{n} ({v})" for n, v in _BUILDERS)
        raise UnusableInput(f"There is no network {name!r} of variant {variant!r}; choose from {known_networks}.")
    if width < MINIMUM_WIDTH:
        raise UnusableInput(f"The width must be {MINIMUM_WIDTH} or more filters, not {width}.")
    return builder(width, axis)
