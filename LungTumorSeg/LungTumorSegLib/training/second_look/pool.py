"""A pool of samples on disk, made once and read by every training as memory maps.

Samples lie in folders of ``SHARD`` samples, which appear when they are complete: ``fine.npy``, ``coarse.npy``,
``mask.npy`` and ``places.npz``, in the form of ``sampling.Sample``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...core.complete_files import complete_folder
from ...core.events import Progress, ProgressCallback
from ...core.volume import Array
from ..store import stored_array
from .sampling import Sample, Sampler

SHARD = 128
"""Number of samples in one folder; a killed run repeats at most so many."""

POOL_STREAM = 5
"""Random stream of the pool."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Several samples as arrays, whose first axis is the sample; see ``sampling.Sample``.

    Attributes:
        fine: int16 (N, 40, 40, 40).
        coarse: int16 (N, 2, 32, 32, 32).
        mask: uint8 (N, 40, 40, 40).
        octaves: float32 (N,).
        tumor: int8 (N,).
        source: Texts (N,).
    """

    fine: Array
    coarse: Array
    mask: Array
    octaves: Array
    tumor: Array
    source: Array

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Samples:
        """Gather samples."""
        return cls(
            np.stack([each.fine for each in samples]),
            np.stack([each.coarse for each in samples]),
            np.stack([each.mask for each in samples]),
            np.array([each.octaves for each in samples], np.float32),
            np.array([each.tumor for each in samples], np.int8),
            np.array([each.source for each in samples]),
        )

    def write(self, folder: Path) -> None:
        """Write the samples as a new folder, which appears when it is complete."""
        with complete_folder(folder) as unfinished:
            for name in ("fine", "coarse", "mask"):
                np.save(unfinished / f"{name}.npy", getattr(self, name), allow_pickle=False)
            np.savez(unfinished / "places.npz", octaves=self.octaves, tumor=self.tumor, source=self.source)

    @classmethod
    def read(cls, folder: Path) -> Samples:
        """Open what ``write`` wrote; the views stay memory maps."""
        fine, coarse, mask = (stored_array(folder, name) for name in ("fine", "coarse", "mask"))
        with np.load(folder / "places.npz", allow_pickle=False) as file:
            return cls(fine, coarse, mask, file["octaves"], file["tumor"], file["source"])


class Pool:
    """All samples of a training, numbered from 0."""

    def __init__(self, shards: Sequence[Samples]) -> None:
        """Take the samples; they may lie on disk."""
        self._shards = shards
        sizes = [len(shard.tumor) for shard in shards]
        self._first = np.cumsum([0, *sizes])
        self._source = np.concatenate([shard.source for shard in shards])

    def without(self, sources: Collection[str]) -> Array:
        """Return the numbers (n,) of the samples that come from none of these sources."""
        return np.flatnonzero(~np.isin(self._source, list(sources)))

    def take(self, numbers: Array) -> Samples:
        """Return the samples with these numbers (n,), in this order."""
        shards = np.searchsorted(self._first, numbers, side="right") - 1
        picked = [(self._shards[shard], int(n - self._first[shard])) for shard, n in zip(shards, numbers, strict=True)]

        def stacked(name: str) -> Array:
            return np.stack([getattr(shard, name)[index] for shard, index in picked])

        names = ("fine", "coarse", "mask", "octaves", "tumor", "source")
        return Samples(*(stacked(name) for name in names))


def fill_pool(
    folder: Path, count: int, seed: int, make_sampler: Callable[[], Sampler], on_progress: ProgressCallback
) -> Pool:
    """Add the missing samples to a folder and open all of them.

    Args:
        folder: The folder.
        count: Number of samples.
        seed: Seed of the random numbers; each sample depends on it and on the sampler only.
        make_sampler: Called if samples are missing, because it reads all cases into memory.
        on_progress: Receives the progress in samples.

    Returns:
        The pool.
    """
    sizes = [min(SHARD, count - first) for first in range(0, count, SHARD)]
    folders = [folder / f"{number:04d}" for number in range(len(sizes))]
    missing = [number for number, each in enumerate(folders) if not each.is_dir()]
    if missing:
        sampler = make_sampler()
        for number in missing:
            on_progress(Progress("drawing samples", number * SHARD, count))
            rng = np.random.default_rng([seed, POOL_STREAM, number])
            Samples.of([sampler.draw(rng) for _ in range(sizes[number])]).write(folders[number])
        on_progress(Progress("drawing samples", count, count))
    return Pool([Samples.read(each) for each in folders])
