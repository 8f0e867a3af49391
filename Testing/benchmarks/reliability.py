"""Draw the reliability curve of the confidence and compute its calibration error.

    python Testing/benchmarks/reliability.py TABLE.csv [--picture FILE.svg]

The table has one row per candidate, with the columns ``ct`` (name of the CT), ``confidence`` (0 to 1) and ``tumor``
(1 for a tumor, 0 for anything else). The confidence must come from networks and a calibration that have not seen the
CT. For the curve, candidates are sorted into ten intervals of the confidence. The expected calibration error is the
mean difference of confidence and share of tumors over these intervals, weighted by their candidates (Naeini et al.
2015). Its range is the 95 % interval of a bootstrap over the CTs, because candidates of one CT depend on each other.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from LungTumorSegLib.core.complete_files import complete_file
from LungTumorSegLib.report.charts import Line, chart, side_by_side

Array = np.ndarray[Any, Any]

TABLE = Path(__file__).with_name("reliability.csv")
"""The table behind the page Accuracy; see there."""

INTERVALS = 10
SEED, SAMPLES = 47, 2000


def main() -> None:
    """Print the summary as JSON and draw the curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, nargs="?", default=TABLE)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    cts, confidence, tumor = read(options.table)
    sys.stdout.write(json.dumps(summary(cts, confidence, tumor), indent=1) + "\n")
    if options.picture is not None:
        with complete_file(options.picture) as unfinished:
            unfinished.write_text(picture(confidence, tumor), encoding="utf-8")


def read(table: Path) -> tuple[Array, Array, Array]:
    """Return the columns of a table: names of the CTs, confidences, and whether each candidate is a tumor (bool)."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    confidence = np.array([float(row["confidence"]) for row in rows])
    if not rows or not ((confidence >= 0) & (confidence <= 1)).all():
        raise SystemExit(f"{table} needs rows with a confidence from 0 to 1.")
    return np.array([row["ct"] for row in rows]), confidence, np.array([row["tumor"] == "1" for row in rows])


def intervals(confidence: Array, tumor: Array) -> list[dict[str, float]]:
    """Return candidates, mean confidence and share of tumors of each interval that has candidates."""
    number = np.minimum((confidence * INTERVALS).astype(int), INTERVALS - 1)
    return [
        {
            "from": i / INTERVALS,
            "candidates": int(here.sum()),
            "mean_confidence": round(float(confidence[here].mean()), 3),
            "share_of_tumors": round(float(tumor[here].mean()), 3),
        }
        for i in range(INTERVALS)
        if (here := number == i).any()
    ]


def calibration_error(confidence: Array, tumor: Array) -> float:
    """Return the expected calibration error, 0 to 1."""
    number = np.minimum((confidence * INTERVALS).astype(int), INTERVALS - 1)
    excess = np.bincount(number, weights=confidence - tumor, minlength=INTERVALS)
    return float(np.abs(excess).sum() / len(confidence))


def summary(cts: Array, confidence: Array, tumor: Array) -> dict[str, Any]:
    """Return the calibration error with its range, and the intervals."""
    rng = np.random.default_rng(SEED)
    rows_of = [np.flatnonzero(cts == ct) for ct in np.unique(cts)]
    errors = []
    for _ in range(SAMPLES):
        rows = np.concatenate([rows_of[i] for i in rng.integers(len(rows_of), size=len(rows_of))])
        errors.append(calibration_error(confidence[rows], tumor[rows]))
    return {
        "cts": len(rows_of),
        "candidates": len(confidence),
        "tumors": int(tumor.sum()),
        "calibration_error": round(calibration_error(confidence, tumor), 3),
        "range": [round(float(each), 3) for each in np.percentile(errors, [2.5, 97.5])],
        "intervals": intervals(confidence, tumor),
    }


def picture(confidence: Array, tumor: Array) -> str:
    """Return the reliability curve as an SVG file, beside the numbers of candidates."""
    rows = intervals(confidence, tumor)
    curve = Line("measured", tuple((row["mean_confidence"], row["share_of_tumors"]) for row in rows))
    ideal = Line("ideal", ((0.0, 0.0), (1.0, 1.0)))
    counts = [Line(name, _steps(confidence[is_it])) for name, is_it in (("tumors", tumor), ("others", ~tumor))]
    return side_by_side(
        [
            chart("Reliability", [curve, ideal], "confidence", "share of tumors"),
            chart("Candidates", counts, "confidence", "number"),
        ]
    )


def _steps(confidence: Array) -> tuple[tuple[float, float], ...]:
    """Return the outline of a histogram."""
    counts, edges = np.histogram(confidence, INTERVALS, (0, 1))
    points: Sequence[tuple[float, float]] = [
        (float(edge), float(count))
        for count, low, high in zip(counts, edges[:-1], edges[1:], strict=True)
        for edge in (low, high)
    ]
    return tuple(points)


if __name__ == "__main__":
    main()
