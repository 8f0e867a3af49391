"""Draw the reliability curve and the FROC curve of the confidence, and compute its calibration error.

    python Testing/benchmarks/reliability.py TABLE.csv [--picture FILE.svg]

The table has one row per candidate, with the columns ``ct`` (name of the CT), ``implanted`` (1 for a copy of the CT
with implanted lesions, 0 for the plain CT), ``confidence`` (0 to 1) and ``tumor`` (1 for a tumor, 0 for anything else).
The confidence must come from networks and a calibration that have not seen the
CT. For the curve, candidates are sorted into ten intervals of the confidence. The expected calibration error is the
mean difference of confidence and share of tumors over these intervals, weighted by their candidates (Naeini et al.
2015). Its range is the 95 % interval of a bootstrap over the CTs, because candidates of one CT depend on each other.
The FROC curve counts the tumors of all CTs and the false positives of the plain ones. A tumor that is no candidate at
all is not in the table, so the curve is that of the second look alone.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from LungTumorSegLib.core.complete_files import complete_file
from LungTumorSegLib.core.volume import Array
from LungTumorSegLib.evaluation.detection import FROC_RATES, Candidates, froc_curve
from LungTumorSegLib.report.charts import Line, chart, side_by_side

TABLE = Path(__file__).with_name("reliability.csv")
"""The table behind the page Accuracy; see there."""

INTERVALS = 10
SEED, SAMPLES = 47, 2000


@dataclass(frozen=True, eq=False)
class Table:
    """Candidates; all arrays have one entry per candidate.

    Attributes:
        ct: Name of the CT.
        plain: Whether no lesions were implanted into it, bool.
        confidence: Probability of a tumor, 0 to 1.
        tumor: Whether it is one, bool.
    """

    ct: Array
    plain: Array
    confidence: Array
    tumor: Array


def main() -> None:
    """Print the summary as JSON and draw the curve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, nargs="?", default=TABLE)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    table = read(options.table)
    sys.stdout.write(json.dumps(summary(table), indent=1) + "\n")
    if options.picture is not None:
        with complete_file(options.picture) as unfinished:
            unfinished.write_text(picture(table), encoding="utf-8")


def read(path: Path) -> Table:
    """Return the candidates in a table."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    confidence = np.array([float(row["confidence"]) for row in rows])
    if not rows or not ((confidence >= 0) & (confidence <= 1)).all():
        raise SystemExit(f"{path} needs rows with a confidence from 0 to 1.")
    implanted, tumor = (np.array([row[name] == "1" for row in rows]) for name in ("implanted", "tumor"))
    return Table(np.array([row["ct"] for row in rows]), ~implanted, confidence, tumor)


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


def summary(table: Table) -> dict[str, Any]:
    """Return the calibration error with its range, the intervals, and points of the FROC curve."""
    rng = np.random.default_rng(SEED)
    rows_of = [np.flatnonzero(table.ct == ct) for ct in np.unique(table.ct)]
    errors = []
    for _ in range(SAMPLES):
        rows = np.concatenate([rows_of[i] for i in rng.integers(len(rows_of), size=len(rows_of))])
        errors.append(calibration_error(table.confidence[rows], table.tumor[rows]))
    return {
        "cts": len(rows_of),
        "candidates": len(table.ct),
        "tumors": int(table.tumor.sum()),
        "calibration_error": round(calibration_error(table.confidence, table.tumor), 3),
        "range": [round(float(each), 3) for each in np.percentile(errors, [2.5, 97.5])],
        "intervals": intervals(table.confidence, table.tumor),
        "tumors_kept_at_false_positives_per_scan": {
            f"{rate:g}": round(max((kept for _, kept, false in froc(table) if false <= rate), default=0.0), 3)
            for rate in FROC_RATES
        },
    }


def froc(table: Table) -> list[tuple[float, float, float]]:
    """Return thresholds, share of the tumors kept, and false positives per plain CT, from the highest threshold."""
    scans = [
        Candidates(
            tuple(table.confidence[(table.ct == ct) & table.tumor].tolist()),
            tuple(table.confidence[(table.ct == ct) & ~table.tumor & table.plain].tolist()),
        )
        for ct in np.unique(table.ct)
    ]
    return [(point.threshold, point.sensitivity, point.false_positives_per_scan) for point in froc_curve(scans)]


def picture(table: Table) -> str:
    """Return the reliability curve, the numbers of candidates and the FROC curve as an SVG file."""
    rows = intervals(table.confidence, table.tumor)
    curve = Line("measured", tuple((row["mean_confidence"], row["share_of_tumors"]) for row in rows))
    ideal = Line("ideal", ((0.0, 0.0), (1.0, 1.0)))
    kinds = (("tumors", table.tumor), ("others", ~table.tumor))
    counts = [Line(name, _steps(table.confidence[is_it])) for name, is_it in kinds]
    kept = Line("second look", ((0.0, 0.0), *((false, kept) for _, kept, false in froc(table))))
    return side_by_side(
        [
            chart("Reliability", [curve, ideal], "confidence", "share of tumors"),
            chart("Candidates", counts, "confidence", "number"),
            chart("FROC", [kept], "false positives per scan", "tumors kept", from_zero=True),
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
