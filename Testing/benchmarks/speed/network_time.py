"""Time the network per stack."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from unittest import mock

import numpy as np
import torch
from LungTumorSegLib.core.events import Progress
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.inference.grid import WorkingGrid
from LungTumorSegLib.inference.predictor import predict_maps
from LungTumorSegLib.inference.stack_length import STACK_SLICES
from LungTumorSegLib.inference.stacks import StackStatistics
from LungTumorSegLib.networks import convolution
from timing import Duration, now

CPU = torch.device("cpu")


def torchs_own_kernels() -> AbstractContextManager[object]:
    """Let torch choose the kernel of each 3D convolution, as the published code does."""
    return mock.patch.object(convolution, "_with_onednn", return_value=False)


class WholeNetwork(torch.nn.Module):
    """A network that processes each stack as a whole, so that the 2D extractor runs inside each stack."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, stack: torch.Tensor) -> torch.Tensor:
        """Return the output of the network."""
        answer: torch.Tensor = self.network(stack)
        return answer


@dataclass(frozen=True)
class Way:
    """A way to compute a network without mirroring; the defaults are those of the published code.

    Attributes:
        network: The network.
        precision: "float32" or "bfloat16".
        backend: "torch" or "openvino".
        own_kernels: Whether torch chooses the kernels of 3D convolutions.
    """

    network: torch.nn.Module
    precision: str = "float32"
    backend: str = "torch"
    own_kernels: bool = True

    def sample(self, grid: WorkingGrid, stacks: int) -> tuple[Duration, StackStatistics]:
        """Compute some consecutive stacks in the middle of a grid.

        Returns:
            The median time of a stack without the first one, for which libraries are prepared and the extractor
            processes all slices; and the probabilities.
        """
        first = (grid.image.shape[0] - STACK_SLICES - stacks) // 2
        part = everywhere(some_slices(grid, max(0, first), first + STACK_SLICES + stacks))
        clocks: list[Duration] = []

        def step(_: Progress) -> None:
            clocks.append(now())

        with torchs_own_kernels() if self.own_kernels else nullcontext():
            maps = predict_maps(
                part,
                self.network,
                stride=1,
                device=CPU,
                precision=self.precision,
                backend=self.backend,
                on_progress=step,
            )
        times = [after - before for before, after in pairwise(clocks[1:])]
        return Duration(median(each.wall_s for each in times), median(each.processor_s for each in times)), maps


def some_slices(grid: WorkingGrid, first: int, last: int) -> WorkingGrid:
    """Return some slices of a grid."""
    box = (first, 0, 0), (last, *grid.image.shape[1:])
    return replace(grid, image=grid.image.crop(*box), region=grid.region.crop(*box))


def everywhere(grid: WorkingGrid) -> WorkingGrid:
    """Return a grid of which no stack is skipped."""
    region: Volume = grid.region.with_array(np.ones(grid.image.shape, bool))
    return replace(grid, region=region)
