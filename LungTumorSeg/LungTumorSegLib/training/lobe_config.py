"""The part of a configuration that makes a training one of lobes instead of tumors, and what that excludes."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from pydantic.dataclasses import dataclass

from ..core.lobes import LOBES, LobeName
from ..core.texts import quoted
from .settings import STRICT, Share, Whole, require

if TYPE_CHECKING:
    from .config import TrainingConfig

VARIANT = "lobes"
"""Variant of the networks, and kind of the phantoms, that a training of lobes uses."""

LOBE_LOSSES = ("multiclass_dice", "softmax")
"""Losses of several classes."""


def _own_labels() -> dict[LobeName, tuple[int, ...]]:
    return {name: (label,) for label, name in enumerate(LOBES, start=1)}


@dataclass(frozen=True, config=STRICT)
class LobeConfig:
    """A training of lobes: the masks of ``data.cases`` and ``data.sources`` are label maps of the five lobes."""

    values: dict[LobeName, tuple[Whole, ...]] = field(default_factory=_own_labels)
    """Values of each lobe in these label maps; all other values are background."""
    partial: Share = 0.5
    """Share of the samples that show only some slices of the lungs, as a CT of the abdomen does."""


def check_lobes(config: TrainingConfig) -> None:
    """Check that all settings belong to a training of lobes, or all to one of tumors.

    Raises:
        UnusableInput: A setting does not fit.
    """
    wanted, loss, data = config.lobes is not None, config.network.loss.name, config.data
    require(
        wanted == (config.model.variant == VARIANT),
        "The section lobes and model.variant: lobes belong together; set both, or neither.",
    )
    require(
        wanted == (loss in LOBE_LOSSES),
        f"network.loss.name is {quoted(loss)}, but {' and '.join(LOBE_LOSSES)} are the losses of a training of lobes, "
        "and of no other.",
    )
    require(
        wanted == (data.phantoms.kind == VARIANT) or not (data.phantoms.count or data.phantoms.held_out),
        "data.phantoms.kind: lobes belongs to a training of lobes, which has no other phantoms.",
    )
    if config.lobes is None:
        return
    require(data.nodules is None, "A training of lobes implants no nodules; remove data.nodules.")
    values = [value for each in config.lobes.values.values() for value in each]
    require(
        set(config.lobes.values) == set(LOBES) and len(set(values)) == len(values) and 0 not in values,
        f"lobes.values must give each of {', '.join(LOBES)} values above 0 of its own.",
    )
