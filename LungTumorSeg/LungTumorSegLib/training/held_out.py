"""Evaluation of a finished network on the held-out cases, on the working grid: metrics, a table, pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..core.complete_files import complete_file
from ..core.events import Progress, ProgressCallback
from ..core.json_files import write_json
from ..core.volume import Volume
from ..evaluation import CaseMetrics, evaluate_case, summarize
from ..evaluation.cases import row
from ..evaluation.data_sets import write_cases, write_froc_of
from ..inference.decision import decide_on_working_grid
from ..options import Thresholds
from .config import GridConfig
from .overlays import write_overlay
from .store import IGNORED, StoredCase
from .whole_volumes import WholeVolumes

FOLDER, METRICS_FILE = "held-out", "metrics.json"
"""Folder beside a trained model with its results on held-out cases, and the file in it with the metrics."""


def evaluate_held_out(
    network: torch.nn.Module,
    cases: list[StoredCase],
    grid: GridConfig,
    volumes: WholeVolumes,
    *,
    output: Path,
    on_progress: ProgressCallback,
) -> dict[str, Any]:
    """Evaluate a network on the held-out cases.

    The function writes ``metrics.json``, ``cases.csv``, ``froc.svg`` and one overlay per case to ``output``/held-out.
    Voxels with the label ``IGNORED`` are excluded from prediction and reference.

    Args:
        network: The finished network.
        cases: The held-out cases.
        grid: The working grid.
        volumes: Predicts whole volumes.
        output: Folder of the training.
        on_progress: Receives the progress in cases.

    Returns:
        The metrics.
    """
    folder = output / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    metrics: dict[str, CaseMetrics] = {}
    for done, case in enumerate(cases):
        on_progress(Progress("evaluating held-out cases", done, len(cases)))
        counts = case.label != IGNORED
        probability = volumes.probability(network, case) * counts
        found = decide_on_working_grid(probability, Thresholds())
        truth = np.where(counts, case.label, 0)
        affine = np.asarray(case.affine)
        metrics[case.id] = evaluate_case(Volume(found, affine), Volume(truth, affine), Volume(probability, affine))
        image = case.working_grid(grid.window_hu).image
        write_overlay(image.array, truth > 0, found, image.spacing, folder / f"{case.id}.png")
    on_progress(Progress("evaluating held-out cases", len(cases), len(cases)))
    summary = summarize(list(metrics.values()))
    write_cases([row(name, case) for name, case in metrics.items()], folder / "cases.csv")
    write_froc_of(summary, folder / "froc.svg")
    with complete_file(folder / METRICS_FILE) as unfinished:
        write_json(unfinished, summary)
    return summary
