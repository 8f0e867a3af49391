"""One training in several processes, one per graphics card, started by ``torchrun``: the only door to their exchange.

Each process computes its share of every batch. What depends on the whole batch is computed from the whole batch: losses
(the outputs of all processes are put together) and the statistics of batch normalization. N processes therefore train
as one process does with the same batch. The first process alone writes files, searches for hard sites and scores; the
others get its answers.

Every function also works without ``torchrun``: the only process is the first one, and has the whole batch.

References:
    Li et al. 2020, "PyTorch distributed: experiences on accelerating data parallel training", arXiv:2006.15704.
"""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ..core.errors import MachineLimit, UnusableInput
from ..networks.blocks import BatchNorm
from ..networks.contract import Network
from .launch import launched, processes, rank
from .settings import WrongConfig

LONGEST_WAIT = timedelta(days=7)
"""Time for which a process waits for another one, which may prepare cases or score; a lost one is noticed at once."""

POLL_SECONDS = 0.02
"""Interval at which a waiting process heeds signals, seconds."""

T = TypeVar("T")


def refuse_several(what: str) -> None:
    """Raise UnusableInput if ``torchrun`` started several processes for what only one can do."""
    if launched():
        raise UnusableInput(f"{what} uses one process only; start it without torchrun.")


def own_device(device: torch.device) -> torch.device:
    """Return the device of this process: each process of a computer has a graphics card of its own.

    Raises:
        UnusableInput: The computer has fewer graphics cards than processes.
    """
    if not launched() or device.type != "cuda":
        return device
    own, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
    if own >= count:
        raise UnusableInput(
            f"torchrun started more processes than this computer has graphics cards ({count}); lower --nproc-per-node."
        )
    torch.cuda.set_device(own)
    return torch.device("cuda", own)


@contextmanager
def connect_processes(device: torch.device) -> Iterator[None]:
    """Connect the processes of this training for the duration of a ``with`` block, which ends with all of them.

    A block inside another one uses its connection.

    Args:
        device: The configured device; CPU tensors are exchanged by gloo, those of a graphics card by NCCL.

    Raises:
        MachineLimit: The processes cannot be connected, or another one ended.
    """
    if not launched() or distributed.is_initialized():
        yield
        return
    backend = "cpu:gloo,cuda:nccl" if own_device(device).type == "cuda" else "gloo"
    try:
        distributed.init_process_group(backend, timeout=LONGEST_WAIT)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Grad strides do not match")  # kernels of one channel have two orders
            yield
        from_first(None)
    except RuntimeError as error:
        if not _is_lost(error):
            raise
        raise MachineLimit(
            "Another process of this training ended, so this one ends too; see the message of the other, and give the "
            "same command again to continue from the last checkpoint."
        ) from error
    distributed.destroy_process_group()


def from_first(value: T) -> T:
    """Return the first process's ``value``, which JSON can hold, in all processes; each waits for the first one."""
    if not launched():
        return value
    data = json.dumps(value).encode() if rank() == 0 else b""
    length = torch.tensor([len(data)])
    _broadcast(length)
    content = torch.zeros(int(length), dtype=torch.uint8)
    if rank() == 0:
        content = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    _broadcast(content)
    answer: T = json.loads(bytes(content.tolist()))
    return answer


def by_first(work: Callable[[], T]) -> T:
    """Let the first process alone do ``work``, and return its result, which JSON can hold, in all processes."""
    return cast(T, from_first(work() if rank() == 0 else None))


def first_alone(work: Callable[[], T]) -> T:
    """Return what ``work`` returns; the first process does it before the others, which find its files."""
    if rank() == 0:
        result = work()
        from_first(None)
        return result
    from_first(None)
    return work()


def number_from_first(value: float) -> float:
    """Return the first process's ``value`` in all processes; quicker than ``from_first``."""
    if not launched():
        return value
    number = torch.tensor([value], dtype=torch.float64)
    distributed.broadcast(number, 0)
    return float(number)


def share_of(batch: int, name: str) -> tuple[int, int]:
    """Return first place and size of this process's share of a batch.

    Args:
        batch: Number of samples in the joined batch.
        name: Name of the setting, for the message.

    Raises:
        WrongConfig: The batch cannot be divided evenly.
    """
    if batch % processes():
        raise WrongConfig(
            f"{name} is {batch}, which cannot be divided evenly among {processes()} processes; choose a multiple of "
            f"{processes()}."
        )
    size = batch // processes()
    return rank() * size, size


def gather_rows(rows: Tensor) -> Tensor:
    """Return the rows (first axis) of all processes, in the order of the processes; all have the same shape.

    Gradients reach only the own rows.
    """
    if not launched():
        return rows
    own = rows.contiguous()
    every = [torch.empty_like(own) for _ in range(processes())]
    distributed.all_gather(every, own.detach())
    every[rank()] = own
    return torch.cat(every)


class _Outputs(nn.Module):
    """A network whose ``forward`` returns all outputs, as ``DistributedDataParallel`` needs it."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return self.network.outputs(image)


class SharedNetwork:
    """A network that all processes train together; without ``torchrun`` the network itself.

    While it computes, batch normalization in training mode uses the statistics of the joined batch.
    """

    def __init__(self, network: Network) -> None:
        """Take the network, which is on its device.

        All processes start with the first one's weights, and compute each step with its buffers, such as the statistics
        of batch normalization.
        """
        self._network = network
        self._norms = [module for module in network.modules() if isinstance(module, BatchNorm)]
        self._parallel = DistributedDataParallel(_Outputs(network)) if launched() else None

    def outputs(self, image: Tensor) -> dict[str, Tensor]:
        """Return the outputs of all processes, by name, for the samples of this one."""
        if self._parallel is None:
            return self._network.outputs(image)
        for norm in self._norms:
            norm.moments = _moments
        try:
            own = self._parallel(image)
        finally:
            for norm in self._norms:
                norm.moments = None
        return {name: gather_rows(logits) for name, logits in own.items()}


def joint_backward(loss: Tensor) -> None:
    """Compute the gradients of the loss of the joined batch of all processes.

    Each process adds what its own samples contribute. ``DistributedDataParallel`` averages these parts, hence the
    factor.
    """
    (loss * processes()).backward()  # type: ignore[no-untyped-call]


def _moments(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """Return mean, variance and number of values per channel of the joined batch of a feature map (N, C, ...)."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    mean = _mean_of_processes(wide.mean(axes))
    var = _mean_of_processes((wide - mean.view(1, -1, *[1] * (x.ndim - 2))).square().mean(axes))
    return mean, var, x.numel() // x.shape[1] * processes()


def _mean_of_processes(values: Tensor) -> Tensor:
    """Return the mean of a tensor over all processes, with its gradient."""
    total: Tensor = _SumOfProcesses.apply(values)  # type: ignore[no-untyped-call]
    return total / processes()


class _SumOfProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes; each process's value has the gradient of the whole sum."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        return _summed(values)

    @staticmethod
    def backward(_: Any, slope: Tensor) -> Tensor:
        return _summed(slope)


def _summed(values: Tensor) -> Tensor:
    total = values.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(total)
    return total


def _broadcast(tensor: Tensor) -> None:
    """Broadcast a CPU tensor of the first process; signals are heeded while this process waits."""
    work = distributed.broadcast(tensor, 0, async_op=True)
    while not work.is_completed():
        time.sleep(POLL_SECONDS)
    work.wait()


def _is_lost(error: RuntimeError) -> bool:
    """Return whether an error says that another process cannot be reached; gloo's errors have no class of their own."""
    return isinstance(error, distributed.DistError) or "gloo" in str(error)
