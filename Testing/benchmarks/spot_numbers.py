"""Fit the numbers by which spots, small places that the first network overlooked, become lesions.

    python Testing/benchmarks/spot_numbers.py TABLE.json NODULES CT=TUMOR_MASK [CT=TUMOR_MASK ...] [--split FILE]
        [--model ID]

Small nodules of the split's training patients (radius 3 to 5.5 mm, twelve per CT) are implanted into CTs that the
second network was trained on. TUMOR_MASK marks what is neither a spot to find nor a false one, such as real tumors and
metastases; it may be empty. Every spot becomes a row with the logit of the second network and the logarithm of its
roundness. A logistic regression with equal weight for both classes is fitted, judged on each CT by a fit to the others,
and printed as the entry ``spot`` of a manifest. Lower its intercept until no false spot remains above the confidence
threshold.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import Any

import numpy as np
from LungTumorSegLib.networks.stored import load_model
from LungTumorSegLib.refinement.crops import SIDE_RANGE_MM, Anatomy
from LungTumorSegLib.refinement.look import look_at
from LungTumorSegLib.refinement.spots import find_spots
from LungTumorSegLib.training.data_config import NoduleConfig
from LungTumorSegLib.training.nodules import read_nodules
from LungTumorSegLib.training.splits import read_split
from nodule_accuracy import NODULES_A_CT, Background, parser_of, with_nodules
from scipy import ndimage
from sklearn.linear_model import LogisticRegression

RADII_MM = (3.0, 5.5)
AWAY_MM = 8.0
"""Distance from the mask, mm, from which a spot that is no nodule counts as false."""

MEASURES = ("tumor_logit", "log_roundness")
SEED = 7
Row = dict[str, Any]


def main() -> None:
    """Measure the spots of each CT, fit the regression and write the table."""
    options = parse()
    network, numbers = load_model(options.model).for_second_look()
    rng = np.random.default_rng(SEED)
    patients = set(read_split(options.split).training)
    nodules = [n for n in read_nodules(NoduleConfig(str(options.nodules))) if n.patient in patients]
    nodules = [n for n in nodules if RADII_MM[0] <= n.radius_mm < RADII_MM[1]]
    nodules = [nodules[i] for i in rng.permutation(len(nodules))]
    rows: list[Row] = []
    for number, pair in enumerate(options.cases):
        background = Background(*pair.split("="))
        ct, truth = with_nodules(background, nodules[number * NODULES_A_CT :][:NODULES_A_CT], rng)
        order = ct.canonical_axes()
        upright, lungs = order.apply(ct), order.apply(ct.with_array(background.lungs)).array
        near = ndimage.grey_dilation(order.apply(ct.with_array(truth)).array, size=(3, 3, 3))
        ignored = order.apply(ct.with_array(background.tumor)).array
        far_mm = ndimage.distance_transform_edt(~ignored, sampling=ct.spacing) if ignored.any() else None
        anatomy = Anatomy.of(upright, lungs)
        for spot in find_spots(upright, lungs):
            place = [(spot.center, SIDE_RANGE_MM[0])]
            logit = look_at(network, upright, anatomy, place, numbers.outline_logit)[0].tumor_logit
            voxel = tuple(np.rint(upright.lps_to_index(spot.center)).astype(int))
            if near[voxel] or far_mm is None or far_mm[voxel] > AWAY_MM:
                values = dict(zip(MEASURES, (logit, math.log(spot.roundness)), strict=True))
                rows.append({"ct": pair, "nodule": int(near[voxel]), **values})
        sys.stderr.write(f"{pair}: {len(rows)} spots so far\n")
    spot = fitted(rows)
    options.table.write_text(json.dumps({"spot": spot, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps({"spot": spot, **left_out(rows)}, indent=1) + "\n")


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
    return parser.parse_args()


if __name__ == "__main__":
    main()
