"""Batches of samples, made by other processes while the network trains.

Sample number ``i`` of a stage depends only on the seed, the stage and ``i``. A resumed run and any number of workers
therefore give the same batches, and no random state has to be stored.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from ..core.volume import Array
from .workers import end_with_parent

PREFETCH = 4


class Sampler(Protocol):
    """What draws samples."""

    def draw(self, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return an image (slices, rows, columns), float32, 0 to 1, and its label, uint8."""
        ...


class SampleDataset(Dataset[tuple[Tensor, Tensor]]):
    """Samples by number: image (slices, rows, columns), float32, and label, uint8."""

    def __init__(self, sampler: Sampler, seed: int, stage: int) -> None:
        self._sampler, self._seed, self._stage = sampler, seed, stage

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        image, label = self._sampler.draw(np.random.default_rng([self._seed, self._stage, number]))
        return torch.from_numpy(image), torch.from_numpy(label)


def batches(
    dataset: SampleDataset, first: int, last: int, *, batch: int, workers: int, share: tuple[int, int] | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Iterate over the batches ``first`` to ``last`` - 1 of a stage.

    Args:
        dataset: The samples.
        first: Number of the first batch.
        last: Number after the last batch.
        batch: Number of samples in a batch.
        workers: Number of processes that make samples; with 0 the calling process makes them.
        share: First place and number of the samples to take of each batch; by default all.

    Returns:
        Pairs of images and labels, both (number of samples, slices, rows, columns).
    """
    if last <= first:
        return iter(())
    start, size = share or (0, batch)
    numbers = [number * batch + start + place for number in range(first, last) for place in range(size)]
    loader = DataLoader(
        dataset,
        batch_size=size,
        sampler=numbers,
        num_workers=workers,
        prefetch_factor=PREFETCH if workers else None,
        worker_init_fn=_begin_worker,
    )
    return iter(loader)


def _begin_worker(_: int) -> None:
    end_with_parent()
    sys.excepthook = _report_of_thread
    torch.set_num_threads(1)


def _report_of_thread(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Report an exception of the thread that hands over samples, unless a cancelled training broke off the transfer.

    PyTorch reports exceptions of the worker's main thread to the training instead.
    """
    if not isinstance(error, (EOFError, ConnectionError)):
        sys.__excepthook__(kind, error, trace)
