"""Measure how well the model segments whole CTs with expert masks: 3D Dice, found lesions, false positives.

    python Testing/benchmarks/real_accuracy.py TABLE.json CT MASK [MASK ...] [--model ID] [--name NAME]

The benchmark adds or replaces one case in the table. The tumor is the union of all masks. Their labels (or, in a mask
with one label, its connected components) are the lesions.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from LungTumorSegLib.evaluation.overlap import dice
from LungTumorSegLib.io.images import read_ct, read_volume
from LungTumorSegLib.options import SegmentOptions
from LungTumorSegLib.pipeline import segment
from scipy import ndimage


def main() -> None:
    """Segment the CT, compare the result with the masks and update the table."""
    options = parse()
    ct = read_ct(options.ct)
    begin = time.perf_counter()
    result = segment(ct, SegmentOptions(model=options.model))
    seconds = time.perf_counter() - begin
    row = {
        **compare(result.report.labels.array, lesions_of(options.masks), ct.voxel_volume_ml),
        "seconds": round(seconds, 1),
    }
    row["lesions"] = [
        f"{lesion.side} {lesion.volume_ml:.2f} mL, confidence {lesion.confidence:.2f}"
        for lesion in result.report.lesions
    ]
    table: dict[str, Any] = json.loads(options.table.read_text()) if options.table.exists() else {}
    table[options.name or Path(options.ct).parent.name] = row
    options.table.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(row, indent=1) + "\n")


def lesions_of(paths: list[str]) -> np.ndarray[Any, Any]:
    """Return a label map of the lesions.

    Each label of each mask is a lesion; a mask with one label is split into its connected components.
    """
    lesions = None
    for path in paths:
        mask = read_volume(path).array
        if mask.max() <= 1:
            mask, _ = ndimage.label(mask, np.ones((3, 3, 3)))
        if lesions is None:
            lesions = np.zeros(mask.shape, int)
        lesions = np.where(mask > 0, mask + lesions.max(), lesions)
    return np.asarray(lesions)


def compare(found: np.ndarray[Any, Any], truth: np.ndarray[Any, Any], voxel_ml: float) -> dict[str, Any]:
    """Return the row of one case.

    It contains the 3D Dice of all voxels, the 3D Dice of only the reported lesions that touch a true one, the found
    lesions, and the false positives.
    """
    touching = set(np.unique(found[truth > 0]).tolist()) - {0}
    hit = set(np.unique(truth[found > 0]).tolist()) - {0}
    sizes = np.bincount(found.ravel()) * voxel_ml
    false = [round(float(size), 2) for number, size in enumerate(sizes) if number and number not in touching]
    return {
        "dice": round(dice(found > 0, truth > 0), 3),
        "dice of touching components": round(dice(np.isin(found, list(touching)), truth > 0), 3),
        "true lesions": len(set(np.unique(truth).tolist()) - {0}),
        "found": len(hit),
        "true_ml": round(float((truth > 0).sum()) * voxel_ml, 2),
        "found_ml": round(float(sizes[1:].sum()), 2),
        "false_components_ml": sorted(false, reverse=True),
    }


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("ct")
    parser.add_argument("masks", nargs="+")
    parser.add_argument("--model", default="default")
    parser.add_argument("--name")
    return parser.parse_args()


if __name__ == "__main__":
    main()
