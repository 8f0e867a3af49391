"""Fit the numbers by which spots, small places that the first network overlooked, become lesions.

    python Testing/benchmarks/spot_numbers.py TABLE.json NODULES CT=TUMOR_MASK [CT=TUMOR_MASK ...] [--split FILE]
        [--model ID] [--rounds N] [--phantoms SEED ...]

The spots of each CT are false ones, but for those in or near TUMOR_MASK, such as real tumors and metastases; it may
be empty. Then small nodules of the split's training patients (radius 2.4 to 6 mm, up to the pleura) are implanted, 14
in each round, and the spots in them are nodules. Synthetic CTs give further false spots. Every spot becomes a row
with the logit of the second network and the logarithm of its roundness. A logistic regression with equal weight for
both classes is fitted, judged on each CT by a fit to the others, and printed as the entry ``spot`` of a manifest.
Lower its intercept until no false spot remains above the confidence threshold.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from LungTumorSegLib.core.volume import Array, CTVolume
from LungTumorSegLib.isolation import isolate_lungs
from LungTumorSegLib.networks.stored import Model, load_model
from LungTumorSegLib.phantom import make_phantom
from LungTumorSegLib.refinement.look import SecondReader
from LungTumorSegLib.refinement.spots import find_spots
from LungTumorSegLib.refinement.views import SIDE_RANGE_MM, Anatomy
from LungTumorSegLib.training.data_config import NoduleConfig
from LungTumorSegLib.training.implants import Nodule
from LungTumorSegLib.training.nodules import read_nodules
from LungTumorSegLib.training.splits import read_split
from nodule_accuracy import Background, parser_of, with_nodules
from scipy import ndimage
from sklearn.linear_model import LogisticRegression

RADII_MM = (2.4, 6.0)
ROUNDS, NODULES_A_ROUND = 6, 14
APART_MM, INSIDE_MM = 30.0, -1.5
"""Smallest distances, mm, of a nodule from the others and, negative beyond it, from the border of the lung."""

AWAY_MM = 8.0
"""Distance from the mask, mm, from which a spot that is no nodule counts as false."""

MEASURES = ("tumor_logit", "log_roundness")
SEED = 7
Row = dict[str, Any]


def main() -> None:
    """Measure the spots of each CT, fit the regression and write the table."""
    options = parse()
    patients = set(read_split(options.split).training)
    nodules = [n for n in read_nodules(NoduleConfig(str(options.nodules))) if n.patient in patients]
    nodules = [n for n in nodules if RADII_MM[0] <= n.radius_mm < RADII_MM[1]]
    model = load_model(options.model)
    rows: list[Row] = []
    for number, pair in enumerate(options.cases):
        background, rng = Background(*pair.split("=")), np.random.default_rng([SEED, number])
        rows += [{"ct": pair, **row} for row in false_spots(background.ct, background.lungs, background.tumor, model)]
        for _ in range(options.rounds):
            chosen = [nodules[i] for i in rng.permutation(len(nodules))[:NODULES_A_ROUND]]
            rows += [{"ct": pair, **row} for row in nodule_spots(background, model, chosen, rng)]
        sys.stderr.write(f"{pair}: {len(rows)} spots so far\n")
    for seed in options.phantoms:
        phantom = make_phantom(seed)
        lungs = isolate_lungs(phantom.ct).lungs.array
        found = false_spots(phantom.ct, lungs, phantom.tumor.array > 0, model)
        rows += [{"ct": f"phantom {seed}", **row} for row in found]
    spot = fitted(rows)
    options.table.write_text(json.dumps({"spot": spot, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps({"spot": spot, **left_out(rows)}, indent=1) + "\n")


def false_spots(ct: CTVolume, lungs: Array, tumor: Array, model: Model) -> Iterator[Row]:
    """Yield the spots of a CT away from its tumors."""
    far = ndimage.distance_transform_edt(~tumor, sampling=ct.spacing) > AWAY_MM if tumor.any() else ~tumor
    yield from spots_in(ct, lungs, far, model, nodule=0)


def nodule_spots(
    background: Background, model: Model, nodules: list[Nodule], rng: np.random.Generator
) -> Iterator[Row]:
    """Yield the spots in nodules that are implanted into a CT."""
    ct, truth = with_nodules(background, nodules, rng, apart_mm=APART_MM, inside_mm=INSIDE_MM)
    yield from spots_in(ct, background.lungs, ndimage.grey_dilation(truth, size=(3, 3, 3)) > 0, model, nodule=1)


def spots_in(ct: CTVolume, lungs: Array, where: Array, model: Model, *, nodule: int) -> Iterator[Row]:
    """Yield a row for each spot of a CT that lies in a mask (bool)."""
    network, numbers = model.for_second_look()
    order = ct.canonical_axes()
    upright, inside, counts = (order.apply(ct.with_array(each)) for each in (ct.array, lungs, where))
    reader = SecondReader(network, upright, Anatomy.of(upright, inside.array), numbers.outline_logit)
    for spot in find_spots(upright, inside.array):
        if counts.array[tuple(np.rint(upright.lps_to_index(spot.center)).astype(int))]:
            look = reader.look(spot.center, SIDE_RANGE_MM[0])
            yield {"nodule": nodule, "tumor_logit": look.tumor_logit, "log_roundness": math.log(spot.roundness)}


def fitted(rows: list[Row]) -> dict[str, Any]:
    """Return the regression as in a manifest."""
    values = np.array([[row[name] for name in MEASURES] for row in rows])
    mean, sd = values.mean(0), values.std(0)
    fit = LogisticRegression(class_weight="balanced").fit((values - mean) / sd, [row["nodule"] > 0 for row in rows])
    weights = fit.coef_[0] / sd
    return {
        "intercept": round(float(fit.intercept_[0] - (weights * mean).sum()), 3),
        "weights": {name: round(float(weight), 3) for name, weight in zip(MEASURES, weights, strict=True)},
    }


def left_out(rows: list[Row]) -> dict[str, Any]:
    """Return how many nodules lie above the highest false spots, each CT judged by a fit to the others."""
    scores, true = [], []
    for ct in sorted({row["ct"] for row in rows}):
        fit = fitted([row for row in rows if row["ct"] != ct])
        for row in (row for row in rows if row["ct"] == ct):
            scores.append(fit["intercept"] + sum(weight * row[name] for name, weight in fit["weights"].items()))
            true.append(row["nodule"] > 0)
    false = np.sort([s for s, t in zip(scores, true, strict=True) if not t])[::-1]
    kept = {f"{n} false": int(sum(s > false[n] for s, t in zip(scores, true, strict=True) if t)) for n in (0, 1, 2, 4)}
    return {"nodules among the spots": sum(true), "false spots": len(false), "nodules kept with": kept}


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = parser_of(__doc__, "table")
    parser.add_argument("--model", default="default")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds of implanted nodules per CT")
    parser.add_argument("--phantoms", type=int, nargs="*", default=[], metavar="SEED", help="synthetic CTs")
    return parser.parse_args()


if __name__ == "__main__":
    main()
