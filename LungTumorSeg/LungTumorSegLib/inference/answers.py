"""The probabilities of parts of the working grid, computed side by side where the computer has several cores.

Successive stacks of whole planes share the features of their slices, so those with the same orientation are computed
one after the other. All other parts do not depend on each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import numpy.typing as npt
import torch

from ..core.boxes import slices_of
from ..core.threads import in_order
from ..networks.fusion import FusionNetwork
from ..networks.workers import Workers
from .openvino_network import OpenVinoFusionNetwork, OpenVinoNetwork
from .passes import Part
from .stack_length import STACK_SLICES

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

Features = tuple[torch.Tensor, ...]

Probability = npt.NDArray[np.float32]
"""Tumor probability of a part (slice, row, column)."""

ComputedNetwork = torch.nn.Module | OpenVinoNetwork
"""A network that maps a stack, and the shared features of its slices if it fuses them, to tumor probability."""


class Answers:
    """The answers of a network about the slices of a working grid.

    Each part gets the same answer whether or not another one is computed beside it.
    """

    def __init__(
        self, network: ComputedNetwork, slices: torch.Tensor, device: torch.device, precision: str, workers: Workers
    ) -> None:
        self._network, self._slices, self._device, self._precision = network, slices, device, precision
        self._workers = workers
        self._planes: dict[bool, _View] = {}
        self._latest: dict[bool, Future[Probability]] = {}

    def of(self, parts: Iterable[Part]) -> Iterator[Probability]:
        """Yield the probabilities of parts in their order."""
        return in_order(map(self._started, parts), self._workers.ahead)

    def _started(self, part: Part) -> Future[Probability]:
        if part.area != self._slices.shape[1] * self._slices.shape[2]:
            return self._workers.start(self._of_window, part)
        earlier = self._latest.get(part.mirrored)
        self._latest[part.mirrored] = self._workers.start(self._of_plane, (part, earlier))
        return self._latest[part.mirrored]

    def _of_window(self, part: Part) -> Probability:
        window = self._slices[slices_of(part.box)]
        with torch.inference_mode(), autocast(self._device, self._precision):  # both hold for one thread only
            return _View(self._network, window, self._device, part.mirrored).answer(0)

    def _of_plane(self, part_and_earlier: tuple[Part, Future[Probability] | None]) -> Probability:
        part, earlier = part_and_earlier
        if earlier is not None:
            wait([earlier])
        with torch.inference_mode(), autocast(self._device, self._precision):
            if part.mirrored not in self._planes:
                self._planes[part.mirrored] = _View(self._network, self._slices, self._device, part.mirrored)
            return self._planes[part.mirrored].answer(part.start)


class _View:
    """Compute the probabilities of stacks of slices (slice, row, column).

    With ``mirrored``, the network processes the mirror images of the stacks, and the results are mirrored back.
    """

    def __init__(self, network: ComputedNetwork, slices: torch.Tensor, device: torch.device, mirrored: bool) -> None:
        self._network, self._device, self._mirrored = network, device, mirrored
        self._slices = slices.flip(-1) if mirrored else slices
        self._shared: _SharedFeatures | None = None
        if isinstance(network, FusionNetwork | OpenVinoFusionNetwork):
            self._shared = _SharedFeatures(network, self._slices, device)

    def answer(self, start: int) -> npt.NDArray[np.float32]:
        """Return the tumor probability (8, row, column) of the stack that begins at slice ``start``.

        What successive calls do not share is computed again.
        """
        stack = self._slices[None, None, start : start + STACK_SLICES].to(
            self._device, memory_format=torch.channels_last_3d
        )
        answer = self._network(stack) if self._shared is None else self._network(stack, self._shared.of_stack(start))
        probability = np.asarray(answer[0, 0].float().cpu().numpy())
        return probability[..., ::-1] if self._mirrored else probability


class _SharedFeatures:
    """Hold the extractor's features of the slices of the current stack.

    Each slice is processed once, and its features are dropped as soon as no stack needs them.
    """

    def __init__(
        self, network: FusionNetwork | OpenVinoFusionNetwork, slices: torch.Tensor, device: torch.device
    ) -> None:
        self._network, self._slices, self._device = network, slices, device
        self._kept: dict[int, Features] = {}

    def of_stack(self, start: int) -> Features:
        """Return the three feature maps (1, C, 8, h, w) of the stack that begins at slice ``start``.

        What successive calls do not share is computed again.
        """
        wanted = range(start, start + STACK_SLICES)
        missing = [k for k in wanted if k not in self._kept]
        self._kept = {k: features for k, features in self._kept.items() if k in wanted}
        images = self._slices[missing][:, None].to(self._device, memory_format=torch.channels_last)
        for k, *features in zip(missing, *self._network.features(images), strict=True):
            self._kept[k] = tuple(features)
        levels = zip(*(self._kept[k] for k in wanted), strict=True)
        return tuple(
            torch.stack(level, dim=1)[None].contiguous(memory_format=torch.channels_last_3d) for level in levels
        )


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Return a context in which the network computes in ``precision``; it does nothing for float32."""
    return nullcontext() if precision == "float32" else torch.autocast(device.type, DTYPES[precision])
