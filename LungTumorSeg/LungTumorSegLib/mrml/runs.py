"""A run on a volume node: the CT goes out to a child process, its result comes back beside the node."""

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
from .results import is_edited, load_results, volume_of_node


def start_run(
    volume_node: Node,
    options: SegmentOptions | Mapping[str, Any] | None,
    segmentation: Node,
    temporary_folder: str,
    on_progress: Callable[[RunProgress], None] | None = None,
    on_finished: Callable[[SegmentationRun], None] | None = None,
) -> SegmentationRun:
    """Start a run on ``volume_node``; whoever polls it gets the segmentation node as its result.

    Args:
        volume_node: A CT; its voxels are exported as they are now, without the parent transform.
        options: As of ``segment``, and ``probability``, whether the probability map is loaded; what is left out comes from the model.
        segmentation: Takes the result, unless it was edited by hand; None for a new node.
        temporary_folder: Where the run's private folder is made.
        on_progress: Gets each progress.
        on_finished: Gets the run once it has ended.

    Raises:
        UnusableInput: The node is no CT, or an option is unknown.
    """
    probability = isinstance(options, Mapping) and bool(options.get("probability", False))
    if isinstance(options, Mapping):
        options = {name: value for name, value in options.items() if name != "probability"}
    arguments = SegmentOptions.of(options).arguments()
    volume = volume_of_node(volume_node)  # a view that keeps the voxels alive

    def export(path: Path, stop: threading.Event) -> None:
        write_nrrd(volume, path, stop)

    def load(files: RunFiles) -> Node:
        return load_results(files, volume_node, _replaceable(segmentation))

    def is_wanted() -> bool:  # the CT was not deleted and its scene not closed
        return volume_node.GetScene() is not None

    job = SegmentationJob(export, arguments, probability=probability, temporary_folder=temporary_folder)
    return SegmentationRun(job, load, is_wanted, on_progress, on_finished)


def _replaceable(segmentation: Node) -> Node:
    """The node if a new result may take its place: it still exists and nobody has edited it."""
    if segmentation is None or segmentation.GetScene() is None:
        return None
    is_empty = segmentation.GetSegmentation().GetNumberOfSegments() == 0
    return segmentation if is_empty or not is_edited(segmentation) else None
