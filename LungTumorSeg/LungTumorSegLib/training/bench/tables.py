"""Tables of a bench: all cases, a summary per entry with a paired test against the baseline, and strata.

A value of an entry and a case is the mean over the seeds. Means and standard deviations are over cases, and the test
pairs the cases. Overlap, surface distance and sensitivity use cases with lesions only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...core.csv_tables import write_table
from .config import BenchConfig

CASES, SUMMARY, STRATA = "cases.csv", "summary.csv", "strata.csv"

METRICS = {
    "dice_3d": "3D Dice",
    "iou_3d": "IoU",
    "dice_2d_tumor_slices": "2D Dice, tumor slices",
    "dice_2d_all_slices": "2D Dice, all slices",
    "hd95_mm": "HD95, mm",
    "slice_false_positive_rate": "Slice FPR",
    "lesion_sensitivity": "Lesion sensitivity",
    "false_positives": "False positives per scan",
    "false_positive_ml": "False-positive volume, mL",
    "seconds": "Seconds per scan",
}
"""Metrics of the summary and their titles."""

NEEDS_LESIONS = {"dice_3d", "iou_3d", "hd95_mm", "lesion_sensitivity"}

SIZES_ML = {"under 1 mL": (0.0, 1.0), "1 to 10 mL": (1.0, 10.0), "over 10 mL": (10.0, np.inf)}
"""Strata of the tumor volume of a scan, mL."""

STRATA_METRICS = ("dice_3d", "lesion_sensitivity", "false_positives")

Results = Sequence[Mapping[str, Any]]
Values = dict[str, float]
"""The values of one metric of one entry by case."""


def values_of(results: Results, entry: str, metric: str, cases: Iterable[str] | None = None) -> Values:
    """Return a metric of an entry by case, averaged over the seeds; cases without a value are left out."""
    chosen = None if cases is None else set(cases)
    found: dict[str, list[float]] = {}
    for result in results:
        for case in result["cases"] if result["entry"] == entry else ():
            value = case[metric]
            wanted = (chosen is None or case["case"] in chosen) and value is not None
            if wanted and (case["lesions"] or metric not in NEEDS_LESIONS):
                found.setdefault(case["case"], []).append(float(value))
    return {case: float(np.mean(values)) for case, values in found.items()}


def compare(values: Values, baseline: Values) -> tuple[int, float | None, float | None]:
    """Compare the values of an entry with the baseline, paired by case.

    Returns:
        The number of pairs, the mean difference, and the two-sided p value of Wilcoxon's signed-rank test. A value is
        None if it is not defined: without pairs, or without a difference in any pair.
    """
    from scipy.stats import wilcoxon  # takes a second, so only if needed

    pairs = sorted(values.keys() & baseline.keys())
    differences = np.array([values[case] - baseline[case] for case in pairs])
    if not len(pairs):
        return 0, None, None
    p = float(wilcoxon(differences).pvalue) if np.any(differences) else None
    return len(pairs), float(differences.mean()), p


def summary_rows(results: Results, config: BenchConfig) -> list[dict[str, Any]]:
    """Return one row per entry and metric."""
    rows = []
    for entry in config.entries:
        runs = [result for result in results if result["entry"] == entry.name]
        for metric in METRICS if runs else ():
            values = values_of(results, entry.name, metric)
            is_baseline = entry.name == config.baseline
            pairs, difference, p = compare(values, values_of(results, config.baseline, metric))
            rows.append(
                {
                    "entry": entry.name,
                    "network": runs[0]["network"],
                    "metric": metric,
                    "cases": len(values),
                    **_mean_and_sd(values),
                    "pairs": None if is_baseline else pairs,
                    "difference": None if is_baseline else difference,
                    "p": None if is_baseline else p,
                }
            )
    return rows


def effort_rows(results: Results, config: BenchConfig) -> list[dict[str, Any]]:
    """Return one row per entry: runs, parameters, steps and minutes of training per run, and its largest main memory.

    The memory is that of the process that trained last: of a training that was continued, it leaves out what came
    before. It is None where no run knows it: only Linux counts it per run, and earlier results lack it.
    """
    rows = []
    for entry in config.entries:
        runs = [result for result in results if result["entry"] == entry.name]
        if runs:
            rows.append(
                {
                    "entry": entry.name,
                    "network": runs[0]["network"],
                    "runs": len(runs),
                    "parameters": runs[0]["parameters"],
                    "steps": float(np.mean([run["steps"] for run in runs])),
                    "minutes": float(np.mean([run["training_seconds"] for run in runs])) / 60,
                    "gib": _largest_gib(run.get("training_bytes") for run in runs),
                }
            )
    return rows


def _largest_gib(sizes: Iterable[int | None]) -> float | None:
    known = [size for size in sizes if size is not None]
    return max(known) / 2**30 if known else None


def strata_rows(results: Results, config: BenchConfig) -> list[dict[str, Any]]:
    """Return one row per stratum, group and entry, with the mean and standard deviation of some metrics."""
    known = {case["case"]: case for result in results for case in result["cases"]}
    groups: dict[tuple[str, str], list[str]] = {}
    for name, case in known.items():
        groups.setdefault(("source", "phantom" if case["phantom"] else "CT"), []).append(name)
        for size, (low, high) in SIZES_ML.items():
            if case["lesions"] and low <= case["reference_ml"] < high:
                groups.setdefault(("tumor volume", size), []).append(name)
        for stratum, parts in config.strata.items():
            for group, patients in parts.items():
                if case["patient"] in patients:
                    groups.setdefault((stratum, group), []).append(name)
    rows = []
    for (stratum, group), names in sorted(groups.items()):
        for entry in config.entries:
            for metric in STRATA_METRICS:
                values = values_of(results, entry.name, metric, names)
                if values:
                    rows.append(
                        {
                            "stratum": stratum,
                            "group": group,
                            "entry": entry.name,
                            "metric": metric,
                            "cases": len(values),
                            **_mean_and_sd(values),
                        }
                    )
    return rows


def write_tables(results: Results, config: BenchConfig, folder: Path) -> None:
    """Write ``cases.csv``, ``summary.csv`` and ``strata.csv`` into a folder."""
    cases = [
        {"entry": result["entry"], "seed": result["seed"], "fold": result["fold"] + 1, **case}
        for result in results
        for case in result["cases"]
    ]
    tables = {CASES: cases, SUMMARY: summary_rows(results, config), STRATA: strata_rows(results, config)}
    for name, rows in tables.items():
        write_table(folder / name, list(rows[0]) if rows else [], (row.values() for row in rows))


def _mean_and_sd(values: Values) -> dict[str, float | None]:
    """Return mean and sample standard deviation over cases."""
    numbers = list(values.values())
    return {
        "mean": float(np.mean(numbers)) if numbers else None,
        "sd": float(np.std(numbers, ddof=1)) if len(numbers) > 1 else None,
    }
