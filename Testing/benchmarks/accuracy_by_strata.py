"""Measure accuracy by source, slice thickness, contrast agent, size and density from result folders and references.

    python Testing/benchmarks/accuracy_by_strata.py SCANS.csv -o FOLDER [--confidence 0.45]

SCANS.csv has one row per scan, with the columns

    case        name of the scan
    result      folder that ``lungtumorseg segment`` wrote
    reference   mask with the lesions; empty if the scan has none
    ct          the CT, for the density of the lesions; may be empty
    ignored     mask of voxels that do not count; may be empty
    source      collection or hospital; may be empty
    contrast    such as "yes" or "no"; may be empty

Paths are relative to the table. For leave-one-source-out results, each result comes from a model that was trained
without the scan's source. Run ``segment`` with a low ``--min-confidence``, so that the FROC curve extends beyond the
operating point, which --confidence states.

The folder gets ``scans.csv``, ``lesions.csv``, ``strata.csv``, ``accuracy.json`` and the figure ``accuracy.svg``.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from LungTumorSegLib.core.complete_files import complete_file
from LungTumorSegLib.core.csv_tables import write_table
from LungTumorSegLib.core.errors import MachineLimit, UnusableInput
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.evaluation.detection import froc_score
from LungTumorSegLib.evaluation.files import Pair, read_pair
from LungTumorSegLib.evaluation.strata import (
    UNKNOWN,
    Comparison,
    ScoredScan,
    density_of,
    froc,
    score_scan,
    strata,
)
from LungTumorSegLib.io.images import read_volume
from LungTumorSegLib.io.segmentations import read_lesion_labels
from LungTumorSegLib.results.contents import SEGMENTATION_FILE
from LungTumorSegLib.results.reader import read_run

COLUMNS = ("case", "result", "reference")
COLORS = {"above -150 HU": "#0072B2", "-450 to -150 HU": "#E69F00", "below -450 HU": "#009E73", UNKNOWN: "#777777"}

MOST_FALSE = 4.0
"""False positives per scan up to which the figure shows the FROC curves."""

DIAMETERS_MM = (5, 10, 20, 40, 80)
"""Diameters, mm, that the axis of the figure names."""


def main() -> None:
    """Score the scans of the table and write tables and figure."""
    options = parse()
    try:
        scans = [read_scan(row, options.scans.parent, options.confidence) for row in read_table(options.scans)]
        options.output.mkdir(parents=True, exist_ok=True)
        write_all(scans, options.output)
    except (UnusableInput, MachineLimit) as error:
        sys.exit(str(error))


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of the table of scans.

    Raises:
        UnusableInput: The table cannot be read, has no rows, or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        raise UnusableInput(f"{path} cannot be read ({error}); choose a CSV table of scans.") from error
    missing = [name for name in COLUMNS if not rows or rows[0].get(name) is None]
    if missing:
        raise UnusableInput(f"{path} has no rows with the column {missing[0]}; add it.")
    return rows


def read_scan(row: Mapping[str, str], folder: Path, threshold: float) -> ScoredScan:
    """Read and score the scan of a row.

    Raises:
        UnusableInput: A file cannot be read, or does not lie on the grid of the result.
        MachineLimit: The result is damaged.
    """
    result = folder / row["result"]
    if not (result / SEGMENTATION_FILE).is_file():
        raise UnusableInput(f"{result} contains no {SEGMENTATION_FILE}; name the folder that segment wrote.")
    found, truth = _labels(row["case"], result / SEGMENTATION_FILE, folder / row["reference"], bool(row["reference"]))
    ignored, ct = (_on_grid(folder / row[name], found) if row.get(name) else None for name in ("ignored", "ct"))
    lesions = sorted(read_run(result).summary["lesions"], key=lambda lesion: -lesion["volume_ml"])
    if len(lesions) != int(found.array.max(initial=0)):
        raise UnusableInput(f"{result} lists other lesions than its segmentation has; run the segmentation again.")
    return score_scan(
        row["case"],
        Comparison(found.array, truth.array, found.spacing, None if ignored is None else ignored > 0, ct),
        [float(lesion["confidence"] if lesion["confidence"] is not None else 1.0) for lesion in lesions],
        threshold=threshold,
        source=row.get("source") or UNKNOWN,
        contrast=row.get("contrast") or UNKNOWN,
    )


def _labels(name: str, result: Path, reference: Path, has_reference: bool) -> tuple[Volume, Volume]:
    """Return reported and reference lesions on one grid; without a reference there are none."""
    if has_reference:
        found, truth, _ = read_pair(Pair(name, result, reference))
        return found, truth
    found = read_lesion_labels(result)
    found = found.canonical_axes().apply(found)
    return found, found.with_array(np.zeros(found.shape, np.uint8))


def _on_grid(path: Path, grid: Volume) -> np.ndarray[Any, Any]:
    volume = read_volume(path)
    volume = volume.canonical_axes().apply(volume)
    if not volume.same_grid(grid):
        raise UnusableInput(f"{path} does not lie on the grid of the result; resample it first.")
    return volume.array


def write_all(scans: Sequence[ScoredScan], folder: Path) -> None:
    """Write tables, JSON and figure."""
    rows, curve = strata(scans), froc(scans)
    write_csv(folder / "strata.csv", rows)
    write_csv(folder / "scans.csv", [scan_row(scan) for scan in scans])
    lesions = [{"case": scan.name, **asdict(each)} for scan in scans for each in scan.lesions]
    write_csv(folder / "lesions.csv", lesions or [{"case": ""}])
    summary = {"strata": rows, "froc": {"score": froc_score(curve), "curve": [asdict(point) for point in curve]}}
    with complete_file(folder / "accuracy.json") as unfinished:
        unfinished.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    draw(scans, folder / "accuracy.svg")
    for row in rows:
        share = f"{row['lesions_found']} of {row['lesions']} lesions"
        false = row["false_positives_per_scan"]
        sys.stdout.write(
            f"{row['dimension']}, {row['stratum']}: {share}" + ("" if false is None else f", {false:.2f} false") + "\n"
        )


def scan_row(scan: ScoredScan) -> dict[str, Any]:
    """Return the row of a scan."""
    return {
        "case": scan.name,
        "source": scan.source,
        "contrast": scan.contrast,
        "slice_mm": round(scan.slice_mm, 3),
        "dice_3d": scan.dice_3d,
        "lesions": len(scan.lesions),
        "lesions_found": sum(each.dice > 0 for each in scan.lesions),
        "false_positives": len(scan.counted_ml),
        "false_positive_ml": sum(scan.counted_ml),
    }


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with the same columns; unknown values are empty."""
    with complete_file(path) as unfinished:
        write_table(unfinished, list(rows[0]), [list(row.values()) for row in rows])


def draw(scans: Sequence[ScoredScan], path: Path) -> None:
    """Draw the FROC curves, the lesion Dice over the diameter, and the sensitivity of each stratum.

    Raises:
        MachineLimit: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MachineLimit(
            "The figure needs matplotlib; install the extra: pip install 'lungtumorseg[train]'."
        ) from error
    with mpl.rc_context({"svg.hashsalt": "accuracy", "font.size": 9}):
        figure = Figure(figsize=(12, 3.8), layout="constrained")
        curves, dices, bars = figure.subplots(1, 3)
        _draw_froc(curves, scans)
        _draw_dices(dices, [each for scan in scans for each in scan.lesions])
        rows = [row for row in strata(scans) if row["lesions"]]
        names = [f"{_title(row)} ({row['lesions']})" for row in rows]
        bars.barh(names, [row["sensitivity"] for row in rows], color="#0072B2")
        bars.invert_yaxis()
        bars.set(xlim=(0, 1), xlabel="sensitivity")
        with complete_file(path) as unfinished:
            figure.savefig(unfinished, format="svg", metadata={"Date": None})


def _title(row: Mapping[str, Any]) -> str:
    """Return the name of a stratum, with its dimension unless both are the same."""
    return row["stratum"] if row["stratum"] == row["dimension"] else f"{row['dimension']}: {row['stratum']}"


def _draw_froc(axes: Any, scans: Sequence[ScoredScan]) -> None:
    sources = sorted({scan.source for scan in scans})
    groups: Iterable[tuple[str, list[ScoredScan]]] = [
        ("all", list(scans)),
        *((source, [scan for scan in scans if scan.source == source]) for source in sources if len(sources) > 1),
    ]
    for name, group in groups:
        points = froc(group)
        if points:
            x = [0.0, *(point.false_positives_per_scan for point in points)]
            y = [0.0, *(point.sensitivity for point in points)]
            axes.step(x, y, where="post", label=name, linewidth=2.0 if name == "all" else 0.8)
    axes.set(xlabel="false positives per scan", ylabel="sensitivity", xlim=(0, MOST_FALSE), ylim=(0, 1.02))
    if axes.lines:
        axes.legend(fontsize=7)


def _draw_dices(axes: Any, lesions: Sequence[Any]) -> None:
    for density, color in COLORS.items():
        chosen = [each for each in lesions if density_of(each) == density]
        if chosen:
            axes.scatter([e.diameter_mm for e in chosen], [e.dice for e in chosen], s=14, color=color, label=density)
    axes.set(xlabel="diameter of the lesion, mm", ylabel="lesion Dice", ylim=(-0.02, 1.02), xscale="log")
    axes.set_xticks(DIAMETERS_MM, [str(diameter) for diameter in DIAMETERS_MM])
    axes.minorticks_off()
    if lesions:
        axes.legend(fontsize=7)


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scans", type=Path, metavar="SCANS.csv")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--confidence", type=float, default=0.0, help="confidence from which a lesion counts")
    return parser.parse_args()


if __name__ == "__main__":
    main()
