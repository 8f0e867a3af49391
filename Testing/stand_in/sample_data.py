"""Slicer's module SampleData, as far as an extension's own data set meets it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import slicer


class SampleDataSource:
    """One data set. Its lists have one length; a source with a customDownloader gives ``uris`` and ``fileNames`` too."""

    def __init__(
        self,
        sampleName: str | None = None,
        uris: str | Sequence[str] | None = None,
        fileNames: str | Sequence[str] | None = None,
        nodeNames: str | Sequence[str] | None = None,
        customDownloader: Callable[[SampleDataSource], Any] | None = None,
        thumbnailFileName: str | None = None,
        checksums: str | Sequence[str] | None = None,
    ) -> None:
        if isinstance(uris, str):
            uris, fileNames, nodeNames, checksums = [uris], [fileNames], [nodeNames], [checksums]
        lengths = [len(uris), len(fileNames)]  # type: ignore[arg-type]  # None has none: a TypeError in Slicer too
        lengths += [len(names) for names in (nodeNames, checksums) if names is not None]
        if len(set(lengths)) > 1:
            raise ValueError("All fields of sample data source must have the same length")
        self.sampleName, self.customDownloader, self.thumbnailFileName = sampleName, customDownloader, thumbnailFileName
        self.uris, self.fileNames, self.nodeNames, self.checksums = uris, fileNames, nodeNames, checksums


class SampleDataLogic:
    """Where extensions register their data sets, by category, in ``slicer.modules.sampleDataSources``."""

    @staticmethod
    def registerCustomSampleDataSource(category: str = "Custom", **fields: Any) -> None:
        if not hasattr(slicer.modules, "sampleDataSources"):
            slicer.modules.sampleDataSources = {}
        slicer.modules.sampleDataSources.setdefault(category, []).append(SampleDataSource(**fields))


def click(source: SampleDataSource) -> None:
    """Press a data set's button: a customDownloader is called, and nobody looks at what it returns or shows it."""
    assert source.customDownloader is not None, "the stand-in downloads nothing"
    source.customDownloader(source)
