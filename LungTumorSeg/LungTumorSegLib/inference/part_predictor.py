"""The probabilities of parts of the working grid: side by side on several cores, in batches on a graphics card.

Successive stacks of whole planes share the features of their slices, so those with the same orientation are computed
one after the other. All other parts do not depend on each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from itertools import groupby, islice

import torch

from ..core.boxes import slices_of
from ..core.threads import in_order
from ..core.volume import Probability
from ..networks.fusion import FusionNetwork
from ..networks.workers import Workers
from .device import autocast
from .openvino_network import OpenVinoFusionNetwork, OpenVinoNetwork
from .passes import Part
from .stack_length import STACK_SLICES

STACKS_AT_ONCE = {"cpu": 1, "cuda": 8}
"""Largest number of stacks that the network receives in one batch, by the type of the device.

A batch keeps a graphics card busy; the number was not measured, because none was at hand. On a CPU two stacks in one
batch take longer than one after the other with the kernels of oneDNN (see docs/performance.md).
"""

Features = tuple[torch.Tensor, ...]

Inputs = tuple[torch.Tensor, ...]
"""What the network receives of one part: the stack, and the features of its slices if the network fuses them."""

ComputedNetwork = torch.nn.Module | OpenVinoNetwork
"""A network that maps a stack, and the shared features of its slices if it fuses them, to tumor probability."""


class PartPredictor:
    """Compute the tumor probabilities of parts of a working grid with a network.

    A part has the same probabilities whether or not another one is computed beside it; in a batch, except for rounding.
    """

    def __init__(
        self,
        network: ComputedNetwork,
        slices: torch.Tensor,
        *,
        device: torch.device,
        precision: str,
        workers: Workers,
        at_once: int = 1,
    ) -> None:
        """Move the slices to the device.

        Args:
            network: The network, on the device.
            slices: The image of the working grid (slice, row, column), float32, 0 to 1.
            device: The device that computes.
            precision: "float32" or "bfloat16".
            workers: Computes several batches at the same time.
            at_once: Largest number of parts in a batch.
        """
        self._network, self._slices, self._device, self._precision = network, slices.to(device), device, precision
        self._workers, self._at_once = workers, at_once
        self._planes: dict[bool, _View] = {}
        self._latest: dict[bool, Future[list[Probability]]] = {}

    def in_fastest_order(self, parts: Sequence[Part]) -> Sequence[Part]:
        """Return parts in the order in which they are computed fastest: in batches, those of one size together."""
        return parts if self._at_once == 1 else sorted(parts, key=lambda part: part.size)

    def probabilities(self, parts: Iterable[Part]) -> Iterator[Probability]:
        """Yield the probabilities of parts in their order; those of mirror images are mirrored back."""
        batches = _batches(parts, self._at_once)
        for found in in_order(map(self._start, batches), self._workers.ahead):
            yield from found

    def _start(self, batch: list[Part]) -> Future[list[Probability]]:
        if batch[0].area != self._slices.shape[1] * self._slices.shape[2]:
            return self._workers.start(self._of_windows, batch)
        orientations = {part.mirrored for part in batch}
        earlier = [self._latest[each] for each in orientations if each in self._latest]
        started = self._workers.start(self._of_planes, (batch, earlier))
        self._latest |= dict.fromkeys(orientations, started)
        return started

    def _of_windows(self, batch: Sequence[Part]) -> list[Probability]:
        with torch.inference_mode(), autocast(self._device, self._precision):  # both hold for one thread only
            views = (_View(self._network, self._slices[slices_of(part.box)], mirrored=part.mirrored) for part in batch)
            return self._compute(batch, [view.inputs(0) for view in views])

    def _of_planes(
        self, batch_and_earlier: tuple[Sequence[Part], Sequence[Future[list[Probability]]]]
    ) -> list[Probability]:
        batch, earlier = batch_and_earlier
        wait(earlier)
        with torch.inference_mode(), autocast(self._device, self._precision):
            return self._compute(batch, [self._plane(mirrored=part.mirrored).inputs(part.start) for part in batch])

    def _plane(self, *, mirrored: bool) -> _View:
        if mirrored not in self._planes:
            self._planes[mirrored] = _View(self._network, self._slices, mirrored=mirrored)
        return self._planes[mirrored]

    def _compute(self, batch: Sequence[Part], inputs: Sequence[Inputs]) -> list[Probability]:
        """Return the probabilities of parts, given their inputs; those of mirror images are mirrored back."""
        stacks, *features = (torch.cat(each) if len(each) > 1 else each[0] for each in zip(*inputs, strict=True))
        output = self._network(stacks, features) if features else self._network(stacks)
        computed = output[:, 0].float().cpu().numpy()
        return [each[..., ::-1] if part.mirrored else each for part, each in zip(batch, computed, strict=True)]


class _View:
    """What the network receives of stacks of slices (slice, row, column), or of their mirror images."""

    def __init__(self, network: ComputedNetwork, slices: torch.Tensor, *, mirrored: bool) -> None:
        self._slices = slices.flip(-1) if mirrored else slices
        self._shared: _SharedFeatures | None = None
        if isinstance(network, FusionNetwork | OpenVinoFusionNetwork):
            self._shared = _SharedFeatures(network, self._slices)

    def inputs(self, start: int) -> Inputs:
        """Return the stack (1, 1, 8, H, W) that begins at slice ``start``, and the features of its slices, if any.

        What successive calls do not share is computed again.
        """
        stack = self._slices[None, None, start : start + STACK_SLICES].to(
            self._slices.device, memory_format=torch.channels_last_3d
        )
        return (stack,) if self._shared is None else (stack, *self._shared.of_stack(start))


def _batches(parts: Iterable[Part], most: int) -> Iterator[list[Part]]:
    """Yield successive parts of one size together, at most ``most`` at a time."""
    for _, alike in groupby(parts, lambda part: part.size):
        while batch := list(islice(alike, most)):
            yield batch


class _SharedFeatures:
    """Hold the extractor's features of the slices of the current stack.

    Each slice is processed once, and its features are dropped as soon as no stack needs them.
    """

    def __init__(self, network: FusionNetwork | OpenVinoFusionNetwork, slices: torch.Tensor) -> None:
        self._network, self._slices = network, slices
        self._kept: dict[int, Features] = {}

    def of_stack(self, start: int) -> Features:
        """Return the three feature maps (1, C, 8, h, w) of the stack that begins at slice ``start``.

        What successive calls do not share is computed again.
        """
        wanted = range(start, start + STACK_SLICES)
        missing = [k for k in wanted if k not in self._kept]
        self._kept = {k: features for k, features in self._kept.items() if k in wanted}
        images = self._slices[missing][:, None].to(self._slices.device, memory_format=torch.channels_last)
        for k, *features in zip(missing, *self._network.features(images), strict=True):
            self._kept[k] = tuple(features)
        levels = zip(*(self._kept[k] for k in wanted), strict=True)
        return tuple(
            torch.stack(level, dim=1)[None].contiguous(memory_format=torch.channels_last_3d) for level in levels
        )
