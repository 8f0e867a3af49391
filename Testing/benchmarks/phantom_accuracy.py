"""Measure how well the model finds the lesions of phantoms with held-out seeds.

    python Testing/benchmarks/phantom_accuracy.py [--model ID] [--more | --tumor-free] -o table.json

Seeds and lesions were fixed before the first training. Ten phantoms have three lesions each, with every kind in every
place; the diameters are evenly spaced on a logarithmic scale from 3 to 100 mm. Three of them include atelectasis or
pleural effusion. Three more phantoms have no tumor. With --more, ten phantoms with random lesions are added. With
--tumor-free, ten others are measured instead: they have no tumor, but dependent density, pneumonia, and a heart and an
aorta without contrast agent. Training uses seeds from 100000.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from LungTumorSegLib.options import SegmentOptions
from LungTumorSegLib.phantom import LesionSpec, Phantom, PhantomOptions, make_phantom
from LungTumorSegLib.phantom.lesions import KINDS, PLACES
from LungTumorSegLib.pipeline import segment
from scipy import ndimage

FIRST_SEED = 7001
PHANTOMS, LESIONS_EACH = 10, 3
DISTRACTORS = {7003: ("collapse",), 7006: ("effusion",), 7009: ("collapse", "effusion"), 7012: ("effusion", "scars")}
TUMOR_FREE_SEEDS = (7011, 7012, 7013)
FURTHER_SEEDS = range(7021, 7031)
LOOK_ALIKE_SEEDS = range(7061, 7071)
LOOK_ALIKES = PhantomOptions(lesions=(), distractors=("dependent", "pneumonia"), enhancement_hu=0.0)
DIAMETERS_MM = np.round(np.geomspace(3, 100, PHANTOMS * LESIONS_EACH), 1)
SIZE_CLASSES_MM = (3, 6, 10, 20, 30, 50, 101)
SMALLEST_COUNTED_MM = 6.0


def acceptance_options() -> Iterator[tuple[int, PhantomOptions]]:
    """Yield seed and options of the ten phantoms with lesions and the three without a tumor."""
    for i in range(PHANTOMS):
        lesions = tuple(
            LesionSpec(
                KINDS[(i + 2 * j) % len(KINDS)], float(DIAMETERS_MM[i + PHANTOMS * j]), PLACES[(i + j) % len(PLACES)]
            )
            for j in range(LESIONS_EACH)
        )
        seed = FIRST_SEED + i
        yield seed, PhantomOptions(lesions=lesions, distractors=DISTRACTORS.get(seed, ()))
    for seed in TUMOR_FREE_SEEDS:
        yield seed, PhantomOptions(lesions=(), distractors=DISTRACTORS.get(seed, ()))


def main() -> None:
    """Segment the phantoms; print the table and write it if wanted."""
    options = parse()
    cases = [(seed, LOOK_ALIKES) for seed in LOOK_ALIKE_SEEDS] if options.tumor_free else list(acceptance_options())
    if options.more:
        cases += [(seed, PhantomOptions()) for seed in FURTHER_SEEDS]
    rows, false_components = [], {}
    for seed, phantom_options in cases:
        phantom = make_phantom(seed, phantom_options)
        found = segment(phantom.ct, SegmentOptions(model=options.model)).report.labels.array
        rows += [{"seed": seed, **row} for row in lesion_rows(phantom, found)]
        false_components[seed] = false_volumes_ml(phantom, found)
        sys.stderr.write(
            f"seed {seed}: {[row['dice'] for row in rows if row['seed'] == seed]}, false {false_components[seed]}\n"
        )
    table = {"model": options.model, **summary(rows), "false_components_ml": false_components, "lesions": rows}
    text = json.dumps(table, indent=1)
    sys.stdout.write(text + "\n")
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")


def lesion_rows(phantom: Phantom, found: np.ndarray[Any, Any]) -> Iterator[dict[str, Any]]:
    """Yield, per true lesion, its lesion Dice with the reported lesions that touch it, and 0 if none does."""
    for lesion in phantom.lesions:
        truth = phantom.tumor.array == lesion.label
        touching = np.unique(found[truth])
        answer = np.isin(found, touching[touching > 0]) if (touching > 0).any() else np.zeros_like(truth)
        others = (
            phantom.tumor.array > 0
        ) & ~truth  # a reported lesion that covers two true ones is not penalized for the other
        answer &= ~others
        dice = 2 * int((answer & truth).sum()) / max(1, int(answer.sum() + truth.sum()))
        yield {
            "kind": lesion.kind,
            "place": lesion.place,
            "diameter_mm": round(lesion.diameter_mm, 1),
            "dice": round(dice, 3),
        }


def false_volumes_ml(phantom: Phantom, found: np.ndarray[Any, Any]) -> list[float]:
    """Return the volumes (mL) of the reported lesions that touch no true lesion."""
    sizes = ndimage.sum_labels(np.ones_like(found), found, range(found.max() + 1)) * phantom.ct.voxel_volume_ml
    true = set(np.unique(found[phantom.tumor.array > 0]).tolist())
    return [round(float(size), 2) for n, size in enumerate(sizes) if n and n not in true]


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median lesion Dice from 6 mm (0 for missed lesions), and sensitivity by size class."""
    counted = [row["dice"] for row in rows if row["diameter_mm"] >= SMALLEST_COUNTED_MM]
    classes = {}
    for low, high in pairwise(SIZE_CLASSES_MM):
        dice = [row["dice"] for row in rows if low <= row["diameter_mm"] < high]
        classes[f"{low} to {high} mm"] = (
            f"{sum(d > 0 for d in dice)} of {len(dice)} found, median Dice {np.median(dice or [np.nan]):.2f}"
        )
    return {
        "median_dice_from_6_mm": round(float(np.median(counted)), 3) if counted else None,
        "lesions_from_6_mm": len(counted),
        "by_size": classes,
    }


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--more", action="store_true", help="also ten phantoms with random lesions")
    which.add_argument("--tumor-free", action="store_true", help="ten phantoms without a tumor, hard to judge")
    parser.add_argument("-o", "--output", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
