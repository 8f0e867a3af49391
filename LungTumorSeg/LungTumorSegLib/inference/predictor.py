"""The network over all stacks of a working grid, one stack at a time.

What makes it fast: the grid holds the lungs only; stacks without lung are skipped; the 2D extractor sees each slice once and every
stack that holds the slice shares its features; bfloat16 where the processor computes in it. What bounds memory: features live only
while their slice lies in the current stack. What makes it steadier, where a model asks for it: each stack is seen mirrored as well.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import numpy.typing as npt
import torch

from ..core.errors import MachineLimit, UnusableInput
from ..core.events import Progress, ProgressCallback, ignore_progress
from ..networks.fusion import FusionNetwork
from .grid import WorkingGrid
from .stacks import STACK_SLICES, StackStatistics, stack_starts

BFLOAT16_FEATURES = ("amx_bf16", "avx512_bf16")
"""Instruction sets that compute in bfloat16; elsewhere it is emulated and slower than single precision."""

CPU_ALLOCATOR = "DefaultCPUAllocator"
"""Stands in torch's message where the computer's memory does not suffice, for which it has no exception of its own."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

Features = tuple[torch.Tensor, ...]


def choose_device(wanted: str = "auto") -> torch.device:
    """The device for ``auto``, ``cpu`` or ``cuda``; raises MachineLimit for a CUDA that is not there, UnusableInput for other words."""
    if wanted not in ("auto", "cpu", "cuda"):
        raise UnusableInput(f"The device must be auto, cpu or cuda, not {wanted!r}.")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise MachineLimit("There is no CUDA device that torch can use; choose the device auto or cpu.")
    return torch.device("cpu" if wanted == "cpu" or not torch.cuda.is_available() else "cuda")


def choose_precision(wanted: str, device: torch.device) -> str:
    """``float32`` or ``bfloat16``; ``auto`` takes bfloat16 where ``device`` computes in it. Raises UnusableInput for other words."""
    if wanted in DTYPES:
        return wanted
    if wanted != "auto":
        raise UnusableInput(f"The precision must be auto, float32 or bfloat16, not {wanted!r}.")
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
    # Older torch cannot tell; then the safe choice is single precision.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return "bfloat16" if any(capabilities.get(name) for name in BFLOAT16_FEATURES) else "float32"


def predict_maps(
    grid: WorkingGrid,
    network: torch.nn.Module,
    *,
    stride: int,
    mirror: bool = False,
    device: torch.device,
    precision: str = "float32",
    on_progress: ProgressCallback = ignore_progress,
) -> StackStatistics:
    """Mean and deviation of the tumor probability over the stacks that cover each voxel of ``grid`` (slice, row, column).

    ``network`` takes (1, 1, 8, H, W). With ``mirror`` it also sees each stack with left and right exchanged, as it did in training; its
    answer, turned back, counts as another stack's. Progress counts stacks; whatever ``on_progress`` raises ends the prediction within one.
    Raises MachineLimit when the device's memory does not suffice.
    """
    starts = [s for s in stack_starts(grid.image.shape[0], stride) if grid.region.array[s : s + STACK_SLICES].any()]
    statistics = StackStatistics(grid.image.shape)
    slices = torch.from_numpy(grid.image.array)
    try:
        network = network.to(device).eval()
        views = [_View(network, slices, device, mirrored) for mirrored in ((False, True) if mirror else (False,))]
        with torch.inference_mode(), _autocast(device, precision):
            for done, start in enumerate(starts):
                on_progress(Progress("predicting", done, len(starts)))
                for view in views:
                    statistics.add(start, view.answer(start))
    except torch.OutOfMemoryError as error:
        raise MachineLimit("The graphics card's memory does not suffice; choose the device cpu.") from error
    except RuntimeError as error:
        if CPU_ALLOCATOR not in str(error):
            raise
        raise MachineLimit("The memory does not suffice; close other programs or crop the CT to the chest.") from error
    on_progress(Progress("predicting", len(starts), len(starts)))
    return statistics


class _View:
    """The network's answers to the stacks of ``slices`` (slice, row, column); ``mirrored``: to their mirror images, turned back."""

    def __init__(self, network: torch.nn.Module, slices: torch.Tensor, device: torch.device, mirrored: bool) -> None:
        self._network, self._device, self._mirrored = network, device, mirrored
        self._slices = slices.flip(-1) if mirrored else slices
        self._shared = _SharedFeatures(network, self._slices, device) if isinstance(network, FusionNetwork) else None

    def answer(self, start: int) -> npt.NDArray[np.float32]:
        """Tumor probability (8, row, column) of the stack that begins at slice ``start``; starts must not go back."""
        stack = self._slices[None, None, start : start + STACK_SLICES].to(
            self._device, memory_format=torch.channels_last_3d
        )
        answer = self._network(stack) if self._shared is None else self._network(stack, self._shared.of_stack(start))
        probability = np.asarray(answer[0, 0].float().cpu().numpy())
        return probability[..., ::-1] if self._mirrored else probability


class _SharedFeatures:
    """The extractor's features of the slices of the current stack; each slice is computed once and dropped when no stack needs it."""

    def __init__(self, network: FusionNetwork, slices: torch.Tensor, device: torch.device) -> None:
        self._network, self._slices, self._device = network, slices, device
        self._kept: dict[int, Features] = {}

    def of_stack(self, start: int) -> Features:
        """The three feature maps (1, C, 8, h, w) of the stack that begins at slice ``start``; starts must not go back."""
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


def _autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    return nullcontext() if precision == "float32" else torch.autocast(device.type, DTYPES[precision])
