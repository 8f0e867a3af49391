"""The golden run: what a result says, in a form short enough to be stored and compared."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from LungTumorSegLib.io.segmentations import read_segmentation

FOLDER = Path(__file__).resolve().parents[1] / "data" / "golden"
COLUMNS = (
    "number",
    "segment",
    "side",
    "volume_ml",
    "long_axis_mm",
    "short_axis_mm",
    "mean_hu",
    "centroid_x_lps_mm",
    "centroid_y_lps_mm",
    "centroid_z_lps_mm",
    "confidence",
)
KEPT_KEYS = ("model", "weights_sha256", "options", "warnings", "message", "lungs")


def describe(folder: Path) -> dict[str, Any]:
    """Return the content of a result.

    It consists of the lesion table, the summary without times and machine, and the number and hash of each segment's
    voxels.
    """
    with (folder / "lesions.csv").open(encoding="utf-8", newline="") as file:
        rows = [{name: row[name] for name in COLUMNS} for row in csv.DictReader(file)]
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    segments = {segment.name: segment.mask for segment in read_segmentation(folder / "segmentation.seg.nrrd")}
    return {
        "summary": {key: summary[key] for key in KEPT_KEYS},
        "lesions": rows,
        "segments": {name: _voxels(mask.array) for name, mask in segments.items()},
    }


def _voxels(mask: np.ndarray) -> dict[str, Any]:
    where = np.argwhere(mask).astype(np.int32)
    where -= where.min(axis=0, initial=2**30) if len(where) else 0  # independent of the stored part of the grid
    return {"voxels": len(where), "sha256": hashlib.sha256(where.tobytes()).hexdigest()}
