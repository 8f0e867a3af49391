"""Build networks by name."""

from __future__ import annotations

from collections.abc import Callable

from ..core.errors import UnusableInput
from . import attention_unet, backbone_unets, pdv_net, res_unet, slice_unets, ts_fcn, vnet
from .contract import Network
from .fusion import FusionNetwork
from .multiresunet import MULTIRES_UNET, MULTIRES_UNET_REPOSITORY
from .recurrent_dense_unet import DENSE_UNET, RECURRENT_DENSE_UNET_ORIGINAL, Recurrence, recurrent_dense_unet
from .unet import UNET, EncoderDecoder

MINIMUM_WIDTH = 4
"""Smallest number of filters with which each convolution of the residual blocks has at least one channel."""

RECURRENCES: tuple[Recurrence, ...] = ("rows", "slices")

WIDTH = 32
"""Published number of filters of the first level of the networks with and without spatial feature fusion."""

PUBLISHED_WIDTHS: dict[str, int] = {
    "vnet": vnet.WIDTH,
    "res_unet_r": res_unet.WIDTH,
    "res_unet_h": res_unet.WIDTH,
    "pdv_net": pdv_net.WIDTH,
    "attention_unet": attention_unet.WIDTH,
    "spread_unet2d": slice_unets.WIDTH,
    "isolation_unet2d": slice_unets.WIDTH,
    "resnet_unet": backbone_unets.WIDTH,
    "vgg_unet2d": backbone_unets.WIDTH,
    "ts_fcn": ts_fcn.WIDTH,
}
"""Published widths of the networks for which it is not ``WIDTH``."""

Builder = Callable[[int, Recurrence], Network]

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
    ("vnet", "published"): lambda width, _: vnet.VNet(width),
    ("vnet", "repository"): lambda width, _: vnet.VNet(width, vnet.REPOSITORY),
    ("res_unet_r", "published"): lambda width, _: res_unet.ResUNet(width),
    ("res_unet_h", "published"): lambda width, _: res_unet.ResUNet(width, decoders=2),
    ("pdv_net", "published"): lambda width, _: pdv_net.PDVNet(width),
    ("pdv_net", "lobes"): lambda width, _: pdv_net.PDVNet(width, pdv_net.LOBES),
    ("attention_unet", "published"): lambda width, _: attention_unet.AttentionUNet(width),
    ("spread_unet2d", "published"): lambda width, _: slice_unets.SpreadUNet2d(width),
    ("isolation_unet2d", "published"): lambda width, _: slice_unets.IsolationUNet2d(width),
    ("resnet_unet", "published"): lambda width, _: backbone_unets.ResNetUNet(width),
    ("vgg_unet2d", "published"): lambda width, _: backbone_unets.VGGUNet2d(width),
    ("ts_fcn", "published"): lambda width, _: ts_fcn.TSFCN(width),
}
"""Builders by (name, variant); each takes the width and the recurrence."""


def build_network(
    name: str, width: int | None = None, *, variant: str = "published", recurrence: str = "rows"
) -> Network:
    """Build a network with random weights.

    The network maps stacks (N, 1, D, H, W) to tumor probability. "unet2d", "multires_unet2d" and "dense_unet2d" map
    slices (N, 1, H, W) instead. The other 2D networks process a stack slice by slice.

    Args:
        name: The name of the network, such as "sff_unet3d".
        width: The number of filters of the first level; None selects the published number (see ``published_width``).
        variant: "published" for the layers of the paper; "repository" for the MultiRes networks and V-Net as the
            authors committed them; "original" for the recurrent network of Kamal et al., which runs over slices;
            "lobes" for PDV-Net with six classes.
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
    width = published_width(name) if width is None else width
    if width < MINIMUM_WIDTH:
        raise UnusableInput(f"The width must be {MINIMUM_WIDTH} or more filters, not {width}.")
    return builder(width, axis)


def published_width(name: str) -> int:
    """Return the published number of filters of the first level of a network."""
    return PUBLISHED_WIDTHS.get(name, WIDTH)


def network_names() -> list[str]:
    """Return the names of all networks."""
    return list(dict.fromkeys(name for name, _ in _BUILDERS))
