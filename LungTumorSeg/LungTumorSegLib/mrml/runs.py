"""A run on a volume node: the CT is exported to a child process and the result is loaded beside the node."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..io.nrrd import write_nrrd
from ..options import SegmentOptions
from ..process.progress import RunProgress
from ..process.segmentation_run import SegmentationJob, SegmentationRun
from ..results.reader import RunFiles
from .nodes import Node
from .results import is_edited, load_results
from .volume_nodes import volume_of_node


def start_run(
    volume_node: Node,
    options: SegmentOptions | Mapping[str, Any] | None,
    segmentation: Node,
    *,
    temporary_folder: str,
    on_progress: Callable[[RunProgress], None] | None = None,
    on_finished: Callable[[SegmentationRun], None] | None = None,
) -> SegmentationRun:
    """Start a run on ``volume_node``; its result is the segmentation node.

    The caller has to poll the returned run.

    Args:
        volume_node: A CT; its current voxels are exported without the parent transform.
        options: The options of ``segment``, and ``probability``, which loads the probability map. Missing options come
            from the model.
        segmentation: Receives the result unless it was edited by hand; None creates a new node.
        temporary_folder: The folder in which the run creates its private folder.
        on_progress: Called with each progress report.
        on_finished: Called with the run once it has ended.

    Returns:
        The run.

    Raises:
        UnusableInput: The node is not a CT, or an option is unknown.
    """
    probability = isinstance(options, Mapping) and bool(options.get("probability", False))
    if isinstance(options, Mapping):
        options = {name: value for name, value in options.items() if name != "probability"}
    chosen = SegmentOptions.of(options).arguments()
    volume = volume_of_node(volume_node)  # a view that keeps the voxels alive

    def load(files: RunFiles) -> Node:
        return load_results(files, volume_node, _replaceable(segmentation))

    def export(path: Path, stop: threading.Event) -> None:
        write_nrrd(volume, path, stop)

    def is_wanted() -> bool:  # false if the CT was deleted or the scene closed
        return volume_node.GetScene() is not None

    job = SegmentationJob(export, chosen, probability=probability, temporary_folder=temporary_folder)
    return SegmentationRun(job, load, is_wanted, on_progress, on_finished)


def _replaceable(segmentation: Node) -> Node:
    """Return the node if a new result may replace its content: it is in the scene and not edited; else None."""
    if segmentation is None or segmentation.GetScene() is None:
        return None
    is_empty = segmentation.GetSegmentation().GetNumberOfSegments() == 0
    return segmentation if is_empty or not is_edited(segmentation) else None
