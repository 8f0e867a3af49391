"""Measure how well the model finds real nodules of held-out patients, implanted into the lungs of whole CTs.

    python Testing/benchmarks/nodule_accuracy.py TABLE.json NODULES CT=TUMOR_MASK [CT=TUMOR_MASK ...] [--split FILE]
        [--model ID]

NODULES is a folder of crops (image and mask). The benchmark takes the nodules of the split's test patients that are
large enough for training. It implants them at their true size with their rim, rotated and mirrored, at
random places in the lungs away from the tumors: twelve per CT, in as many rounds as needed. A nodule's lesion Dice is
that of the reported lesions that touch it, and 0 if none does.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from LungTumorSegLib.core.volume import Array, CTVolume
from LungTumorSegLib.io.images import read_ct, read_volume
from LungTumorSegLib.isolation import isolate_lungs
from LungTumorSegLib.options import SegmentOptions
from LungTumorSegLib.pipeline import segment
from LungTumorSegLib.training.data_config import NoduleConfig
from LungTumorSegLib.training.implants import Nodule, Patch, implant_nodule
from LungTumorSegLib.training.nodules import read_nodules
from LungTumorSegLib.training.splits import read_split
from scipy import ndimage

SPLIT = Path(__file__).parents[2] / "LungTumorSeg/LungTumorSegLib/training/configs/default_split.json"
SEED = 41
NODULES_A_CT = 12
AWAY_FROM_TUMOR_MM, APART_MM, INSIDE_LUNG_MM = 20.0, 45.0, 1.0
REACH_MM = 8.0
"""Distance by which half a patch exceeds the longest side of the nodule's crop, mm."""


class Background:
    """A CT with its lungs and the places in them where a nodule may lie."""

    def __init__(self, ct_path: str, mask_path: str) -> None:
        self.ct = read_ct(ct_path)
        isolation = isolate_lungs(self.ct)
        self.lungs, self.mask = isolation.lungs.array, isolation.mask.array
        self.tumor = read_volume(mask_path).array > 0
        self._depth_mm = ndimage.distance_transform_edt(self.lungs, sampling=self.ct.spacing).astype(np.float32)
        far = ndimage.distance_transform_edt(~self.tumor, sampling=self.ct.spacing) > AWAY_FROM_TUMOR_MM
        self._depth_mm[~far] = 0

    def places(self, radii_mm: list[float], rng: np.random.Generator, apart_mm: float, inside_mm: float) -> list[Array]:
        """Draw one voxel per radius, deep enough in the lung for the whole nodule and away from the other voxels."""
        places: list[Array] = []
        for radius in radii_mm:
            voxels = np.argwhere(self._depth_mm > radius + inside_mm)
            while True:
                place = voxels[rng.integers(len(voxels))]
                if all(np.linalg.norm((place - other) * self.ct.spacing) > apart_mm for other in places):
                    places.append(place)
                    break
        return places


def main() -> None:
    """Implant the nodules in rounds, segment each CT and write the table."""
    options = parse()
    rng = np.random.default_rng(SEED)
    test_patients = set(read_split(options.split).test)
    nodules = [n for n in read_nodules(NoduleConfig(str(options.nodules))) if n.patient in test_patients]
    nodules = [nodules[i] for i in rng.permutation(len(nodules))]
    backgrounds = [Background(*pair.split("=")) for pair in options.cases]
    rows: list[dict[str, Any]] = []
    false_components: list[int] = []
    for round_, first in enumerate(range(0, len(nodules), NODULES_A_CT)):
        background, batch = backgrounds[round_ % len(backgrounds)], nodules[first : first + NODULES_A_CT]
        ct, truth = with_nodules(background, batch, rng)
        found = segment(ct, SegmentOptions(model=options.model)).report.labels.array
        rows += [row(nodule, found, truth == number) for number, nodule in enumerate(batch, 1)]
        true = set(np.unique(found[(truth > 0) | background.tumor]).tolist())
        false_components.append(len(set(np.unique(found).tolist()) - true - {0}))
        sys.stderr.write(f"{len(rows)} of {len(nodules)}: {summary(rows)}, false components {false_components[-1]}\n")
    table = {"model": options.model, **summary(rows), "false_components_a_scan": false_components, "nodules": rows}
    options.table.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def with_nodules(
    background: Background,
    nodules: list[Nodule],
    rng: np.random.Generator,
    *,
    apart_mm: float = APART_MM,
    inside_mm: float = INSIDE_LUNG_MM,
) -> tuple[CTVolume, Array]:
    """Return the CT with the nodules in it, and their numbers (from 1) as a label map.

    Args:
        background: The CT.
        nodules: The nodules.
        rng: Chooses their places.
        apart_mm: Smallest distance between two places, mm.
        inside_mm: Smallest distance of a nodule from the border of the lung, mm; negative where it may reach beyond.
    """
    ct, truth = background.ct, np.zeros(background.ct.shape, np.uint8)
    hu = ct.array.copy()
    places = background.places([n.radius_mm for n in nodules], rng, apart_mm, inside_mm)
    for number, (nodule, place) in enumerate(zip(nodules, places, strict=True), 1):
        longest_mm = (np.asarray(nodule.hu.shape) * nodule.spacing_mm).max()
        reach = np.ceil((longest_mm + REACH_MM) / np.asarray(ct.spacing))
        low, high = np.maximum(place - reach, 0).astype(int), np.minimum(place + reach, ct.shape).astype(int)
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        piece = hu[box].astype(np.float32)
        patch = Patch(piece, np.zeros(piece.shape, np.uint8), background.lungs[box], background.mask[box], ct.spacing)
        implant_nodule(patch, nodule, place - low, nodule.radius_mm, rng, vary_density=False)
        hu[box] = np.rint(patch.hu)
        truth[box][patch.label > 0] = number
    return CTVolume(hu, ct.affine), truth


def row(nodule: Nodule, found: Array, truth: Array) -> dict[str, Any]:
    """Return patient, radius (mm) and lesion Dice of one nodule."""
    touching = np.unique(found[truth])
    answer = np.isin(found, touching[touching > 0])
    dice = 2 * int((answer & truth).sum()) / max(1, int(answer.sum() + truth.sum()))
    return {"patient": nodule.patient, "radius_mm": round(nodule.radius_mm, 2), "dice": round(dice, 3)}


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the number of nodules, the share that was found and the median lesion Dice (0 for missed ones)."""
    dice = [row["dice"] for row in rows]
    return {
        "nodules": len(rows),
        "found": round(float(np.mean([d > 0 for d in dice])), 3),
        "median_dice": round(float(np.median(dice)), 3),
    }


def parser_of(description: str | None, written: str) -> argparse.ArgumentParser:
    """Return a parser of what all benchmarks on implanted nodules take.

    Args:
        description: The text of its help.
        written: The name of the first argument, the file to write.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(written, type=Path)
    parser.add_argument("nodules", type=Path)
    parser.add_argument("cases", nargs="+", metavar="CT=TUMOR_MASK")
    parser.add_argument("--split", type=Path, default=SPLIT)
    return parser


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = parser_of(__doc__, "table")
    parser.add_argument("--model", default="default")
    return parser.parse_args()


if __name__ == "__main__":
    main()
