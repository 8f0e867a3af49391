"""The command ``evaluate``: compare segmentations with references."""

from __future__ import annotations

import argparse
import json

from ..process.channel import Channel
from .arguments import add_overwrite, path_argument
from .command import Command


def run(options: argparse.Namespace, channel: Channel) -> None:
    """Compare, and print the metrics as JSON."""
    from ..io.regular_files import existing_mode

    for path in (options.prediction, options.reference, options.ct):
        if path is not None:
            existing_mode(path)  # Refuse a missing file before slow packages are imported.
    from ..evaluation import evaluate_files

    metrics = evaluate_files(
        options.prediction,
        options.reference,
        options.cases,
        channel.progress,
        overwrite=options.overwrite,
        ct=options.ct,
    )
    channel.result(metrics, json.dumps(metrics, indent=2))


def _add_arguments(evaluate: argparse.ArgumentParser) -> None:
    evaluate.add_argument(
        "prediction",
        metavar="PREDICTION",
        type=path_argument,
        help="a label map, a .seg.nrrd file, a DICOM segmentation or structure set, a result folder, or a folder of "
        "label maps, .seg.nrrd files and result folders, such as the one that batch writes",
    )
    evaluate.add_argument(
        "reference",
        metavar="REFERENCE",
        type=path_argument,
        help="reference of the same kind; in a folder, files are matched by name",
    )
    evaluate.add_argument(
        "--ct",
        metavar="CT",
        type=path_argument,
        help="CT on which structure sets are filled: a DICOM folder or an image file (default: the grid of the other "
        "segmentation)",
    )
    evaluate.add_argument("--cases", metavar="TABLE.csv", type=path_argument, help="also write one row per case")
    add_overwrite(evaluate)


COMMAND = Command(
    "evaluate",
    run,
    "compare a segmentation with a reference and print the metrics as JSON",
    (
        "result/segmentation.seg.nrrd reference.nii.gz",
        "reader-1.dcm reader-2.dcm --ct dicom-folder",
        "cohort references --cases table.csv",
    ),
    (_add_arguments,),
)
