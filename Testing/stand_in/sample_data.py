"""The part of Slicer's module SampleData that an extension uses to register a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import slicer


class SampleDataSource:
    """One data set.

    Its lists have the same length; a source with a customDownloader sets ``uris`` and ``fileNames`` too.
    """

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
        lengths = [len(uris), len(fileNames)]  # type: ignore[arg-type]  # None has no length: a TypeError in Slicer too
        lengths += [len(names) for names in (nodeNames, checksums) if names is not None]
        if len(set(lengths)) > 1:
            raise ValueError("All fields of sample data source must have the same length")
        self.sampleName, self.customDownloader, self.thumbnailFileName = sampleName, customDownloader, thumbnailFileName
        self.uris, self.fileNames, self.nodeNames, self.checksums = uris, fileNames, nodeNames, checksums


class SampleDataLogic:
    """Registration of data sets by category, in ``slicer.modules.sampleDataSources``."""

    @staticmethod
    def registerCustomSampleDataSource(category: str = "Custom", **fields: Any) -> None:
        """Register a data set."""
        if not hasattr(slicer.modules, "sampleDataSources"):
            slicer.modules.sampleDataSources = {}
        slicer.modules.sampleDataSources.setdefault(category, []).append(SampleDataSource(**fields))


def click(source: SampleDataSource) -> None:
    """Press the button of a data set: call its customDownloader, and ignore what it returns."""
    assert source.customDownloader is not None, "the stand-in downloads nothing"
    source.customDownloader(source)
