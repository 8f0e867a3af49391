"""The part of the logic that segments many CTs."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import slicer
from LungTumorSegLib.mrml.batch import ResultLoading, SceneCT, scene_cts, start_batch
from LungTumorSegLib.mrml.nodes import Node
from LungTumorSegLib.options import SegmentOptions
from LungTumorSegLib.process.child import Event
from LungTumorSegLib.process.command_run import CommandRun

from .exports import OnFinished
from .waiting import watch_run


class BatchLogic:
    """Segment many CTs as ``lungtumorseg batch`` does, without blocking."""

    def sceneCTs(self) -> list[SceneCT]:
        """Return the CTs of the scene that a batch can segment; of a sequence, each phase."""
        return scene_cts(slicer.mrmlScene)

    def startBatch(
        self,
        source: str | Path | Sequence[SceneCT],
        folder: str | Path,
        options: SegmentOptions | Mapping[str, Any] | None = None,
        *,
        onEvent: Callable[[Event], None] | None = None,
        onFinished: OnFinished = None,
    ) -> CommandRun:
        """Segment many CTs in child processes; needs Qt's event loop. The scene is not changed.

        Args:
            source: A folder that is searched for CTs, a table, or CTs from ``sceneCTs``.
            folder: The output folder. CTs whose result it holds are not segmented again.
            options: SegmentOptions or a dict of its fields.
            onEvent: Called with each event: "progress" with ``done`` and ``total``, and for each CT "item" with
                ``case``, ``state``, ``reason``, ``lesions``, ``total_volume_ml``, ``path``, ``series`` and
                ``phase_number``.
            onFinished: Called with the run at its end; its ``result`` (the folder) or ``error`` is then set.

        Returns:
            The run, which has a method ``cancel()``.

        Raises:
            ValueError: An option is unknown or out of range.
        """
        place = Path(source) if isinstance(source, str) else source
        return watch_run(
            start_batch(
                place,
                Path(folder),
                options,
                temporary_folder=slicer.app.temporaryPath,
                on_event=onEvent,
                on_finished=onFinished,
            )
        )

    def startLoading(
        self,
        folder: str | Path,
        volumeNode: Node = None,
        *,
        path: str | Path = "",
        series: str = "",
        phase: int | None = None,
        onFinished: Callable[[ResultLoading], None] | None = None,
    ) -> ResultLoading:
        """Load one result of a batch into the scene, without blocking while its files are read.

        Args:
            folder: The result folder.
            volumeNode: The CT; None reads it from ``path``.
            path: The CT as the batch read it.
            series: The series of a DICOM folder; "" if it has only one.
            phase: The phase of a 4D CT; None for a 3D CT.
            onFinished: Called at the end with the loading; its ``result`` (the segmentation node) or ``error`` is then
                set.

        Returns:
            The loading.
        """
        return watch_run(
            ResultLoading(
                Path(folder),
                slicer.mrmlScene,
                volumeNode,
                path=Path(path),
                series=series,
                phase=phase,
                on_finished=onFinished,
            )
        )
