"""Apply the network to the stacks of a working grid: one or two at a time on a CPU, batches on a graphics card.

For speed, the grid holds the lungs only, and stacks without lung are skipped. If the model requests it, most stacks are
computed only around what a first pass suspects (see ``passes``). The 2D extractor processes each slice
once, and every stack with the slice shares its features. The network computes in bfloat16 where the processor supports
it. To bound memory, features are kept only while their slice lies in the current stack. If the model requests test-time
augmentation (mirroring), the network also processes the mirror image of each stack, which makes the result more stable.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from ..core.boxes import relative_box, slices_of
from ..core.errors import MachineLimit
from ..core.events import Progress, ProgressCallback, ignore_progress
from ..core.machine import is_out_of_memory
from ..core.messages import OUT_OF_MEMORY
from ..core.volume import Probability
from ..networks.locality import is_local
from ..networks.multires_blocks import kernels_kept
from ..networks.workers import MOST_WORKERS, torch_workers
from .backend import OPENVINO, TORCH
from .grid import WorkingGrid
from .openvino_network import openvino_network
from .part_predictor import STACKS_AT_ONCE, ComputedNetwork, PartPredictor
from .passes import Part, all_stacks, crop_stack, first_pass, windows_of
from .stack_length import STACK_SLICES
from .stacks import StackStatistics

USUAL_WINDOWS = 0.1
"""Cost of the closer look per stack, as a share of that of a stack, that is expected where nothing has been seen.

Only the expected time depends on it.
"""

BORDER_VOXELS = 14
"""Rows, and columns, that cost as much as a part costs apart from its area; only the expected time depends on it.

Fitted to the processor seconds of the windows of LUNG1-001 and LIDC-IDRI-0003.
"""

SWEEPS = 3
"""Number of times that the first pass runs through the lungs. An early estimate of the closer look thus holds for all
of the lungs, not for one end."""


def predict_maps(
    grid: WorkingGrid,
    network: torch.nn.Module,
    *,
    stride: int,
    mirror: bool = False,
    closer_above: float | None = None,
    device: torch.device | str,
    precision: str = "float32",
    backend: str = TORCH,
    at_once: int | None = None,
    on_progress: ProgressCallback = ignore_progress,
) -> StackStatistics:
    """Compute the mean and the standard deviation of the tumor probability across stacks.

    Args:
        grid: The working grid.
        network: A network that takes stacks (1, 1, 8, H, W).
        stride: The number of slices between the starts of consecutive stacks, 1 to 8.
        mirror: Whether to apply test-time augmentation: the network also processes each stack with left and right
            exchanged, as it did in training. The result, mirrored back, counts as that of another stack.
        closer_above: If given, a first pass covers the region of each slice with one stack, and all other stacks and
            mirror images follow only in windows around the voxels whose probability exceeded this value. Elsewhere, the
            first pass alone counts. If None, all stacks cover the whole plane.
        device: The device that computes.
        precision: "float32" or "bfloat16".
        backend: The library that computes the network, "torch" or "openvino"; OpenVINO computes on the CPU.
        at_once: Largest number of stacks in one batch. By default that of the device, see ``STACKS_AT_ONCE``; OpenVINO
            takes one.
        on_progress: Receives the number of finished stacks, in hundredths. An exception that it raises ends the
            prediction within one batch.

    Returns:
        Statistics per voxel of the grid (slice, row, column) over the stacks that cover the voxel.

    Raises:
        MachineLimit: The memory of the device does not suffice, or OpenVINO cannot compute the network.
        UnusableInput: The stride is outside 1 to 8.
    """
    device = torch.device(device)
    stacks = all_stacks(grid, stride, mirror=mirror)
    statistics = StackStatistics(grid.image.shape)
    slices = torch.from_numpy(grid.image.array)
    with _memory_as_limit():
        network = network.to(device).eval()
        computed: ComputedNetwork = network
        if backend == OPENVINO and stacks:
            example = slices[slices_of(stacks[len(stacks) // 2].box)][None, None]
            computed = openvino_network(network, example, precision)
        lone = device.type != "cpu" or backend == OPENVINO or not (mirror or closer_above is not None)
        with torch.inference_mode(), kernels_kept(network), torch_workers(1 if lone else MOST_WORKERS) as workers:
            most = 1 if backend == OPENVINO else at_once or STACKS_AT_ONCE[device.type]
            predictor = PartPredictor(
                computed, slices, device=device, precision=precision, workers=workers, at_once=most
            )
            search = _Search(predictor, statistics, on_progress)
            if closer_above is None:
                search.compute(stacks)
            else:
                search.compute_coarse_to_fine(stacks, closer_above, grid if is_local(network) else None)
    return statistics


@contextmanager
def _memory_as_limit() -> Iterator[None]:
    """Turn torch's errors about memory into MachineLimit."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MachineLimit("The graphics card does not have enough memory; choose the device cpu.") from error
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise MachineLimit(OUT_OF_MEMORY) from error


class _Search:
    """Compute parts of the grid, collect their probabilities, and report the progress in hundredths of a stack."""

    def __init__(self, predictor: PartPredictor, statistics: StackStatistics, on_progress: ProgressCallback) -> None:
        self._predictor, self._statistics, self._on_progress = predictor, statistics, on_progress
        self._done = 0.0

    def compute(self, parts: Sequence[Part]) -> None:
        """Compute parts, whose first slices should be in ascending order, so that features are shared."""
        total = self._done + sum(map(self._cost, parts))
        parts = self._predictor.in_fastest_order(parts)
        probabilities = self._predictor.probabilities(parts)
        for part in parts:
            self._report(total)
            self._add(part, next(probabilities))
        self._report(total)

    def compute_coarse_to_fine(self, stacks: Sequence[Part], closer_above: float, within: WorkingGrid | None) -> None:
        """Compute the first pass, then windows of the other stacks around the voxels above a probability.

        Args:
            stacks: All stacks.
            closer_above: The probability.
            within: The grid, to whose region the first pass is cropped; None if the network needs whole planes.
        """
        first = first_pass(stacks)
        others = [part for part in stacks if part not in first]
        chosen = [part for sweep in range(SWEEPS) for part in first[sweep::SWEEPS]]
        coarse = [part if within is None else crop_stack(part, within) for part in chosen]

        def closer(parts: Sequence[Part]) -> list[Part]:
            suspected = ((part, self._statistics.mean[slices_of(part.box)] > closer_above) for part in parts)
            return [
                window for part, where in suspected for window in windows_of(part, where, croppable=within is not None)
            ]

        def expected(done: int) -> float:
            """Return the cost of the windows that will follow, interpolated between the stacks that are computed."""
            seen = sorted((part.start, sum(map(self._cost, closer([part])))) for part in chosen[:done])
            ends = (-STACK_SLICES, USUAL_WINDOWS), (self._statistics.mean.shape[0], USUAL_WINDOWS)
            starts, costs = zip(ends[0], *seen, ends[1], strict=True)
            return float(np.interp([part.start for part in others], starts, costs).sum())

        cost, probabilities = sum(map(self._cost, coarse)), self._predictor.probabilities(coarse)
        for done, part in enumerate(coarse):
            self._report(cost + expected(done))
            self._add(part, next(probabilities))
        self.compute(closer(others))

    def _add(self, part: Part, probability: Probability) -> None:
        trusted = part.trusted(self._statistics.mean.shape)
        self._statistics.add(trusted, probability[slices_of(relative_box(trusted, part.box))])
        self._done += self._cost(part)

    def _cost(self, part: Part) -> float:
        """Return the expected time of a part, as a multiple of that of a stack."""
        (_, i0, j0), (_, i1, j1) = part.box
        _, rows, columns = self._statistics.mean.shape
        both = (i1 - i0 + BORDER_VOXELS) * (j1 - j0 + BORDER_VOXELS)
        return float(both / ((rows + BORDER_VOXELS) * (columns + BORDER_VOXELS)))

    def _report(self, total: float) -> None:
        self._on_progress(Progress("predicting", round(100 * self._done), round(100 * total)))
