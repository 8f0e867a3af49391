"""The files of probability and disagreement, which are compressed beside the last steps of a run."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import TracebackType

import numpy as np

from ..core.boxes import Box
from ..core.computed import ComputedVolume
from ..core.events import Cancelled
from ..core.volume import Array, Volume
from ..io.nrrd import compressed_nrrd
from .contents import DISAGREEMENT_FILE, PROBABILITY_FILE

TRACE = 0.002
"""Probability and disagreement below this value are stored as 0."""


class MapFiles:
    """The content of the files of both maps.

    A thread compresses it from the moment when both maps are known. The second look and the measuring do not keep all
    cores busy, so the compressed maps, which take a few megabytes, are usually complete when the files are written.
    """

    def __init__(self) -> None:
        """Prepare the thread; it starts with the maps."""
        self._thread = ThreadPoolExecutor(1, "maps")
        self._stop = Event()
        self._files: dict[str, Future[list[bytes]]] = {}

    def __enter__(self) -> MapFiles:
        """Return the files."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the thread; what is not complete is discarded."""
        self._stop.set()
        self._thread.shutdown(cancel_futures=True)

    def begin(self, probability: Volume, disagreement: Volume) -> None:
        """Begin to compress the maps."""
        self.add(PROBABILITY_FILE, _without_traces(probability))
        self.add(DISAGREEMENT_FILE, _without_traces(disagreement))

    def add(self, name: str, values: Volume) -> None:
        """Compress another volume after those before."""
        self._files[name] = self._thread.submit(self._compressed, values)

    @property
    def begun(self) -> bool:
        """Whether the maps are known."""
        return bool(self._files)

    def write(self, folder: Path) -> None:
        """Wait for the content, and write all files.

        Raises:
            MemoryError: If the memory did not suffice.
            OSError: If the disk fails.
        """
        for name, content in self._files.items():
            with (folder / name).open("wb") as file:
                file.writelines(content.result())

    def _compressed(self, values: Volume) -> list[bytes]:
        """Return the content of a file in parts."""
        found = []
        for part in compressed_nrrd(values):
            if self._stop.is_set():
                raise Cancelled
            found.append(part)
        return found


def _without_traces(values: Volume) -> Volume:
    """Return a map with values below ``TRACE`` set to 0.

    Its file is a tenth of the size and is written correspondingly faster.
    """

    def part(box: Box) -> Array:
        found = values.crop(*box).array
        return np.where(found < TRACE, np.float32(0), found)

    return ComputedVolume(values.grid, part)
