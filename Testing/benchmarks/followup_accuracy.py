"""Measure how well two CTs of one patient are compared, on pairs of phantoms whose truth is known.

    python Testing/benchmarks/followup_accuracy.py [--seeds 9101 9120] [-o TABLE.json] [--markdown TABLE.md]

The seeds were fixed before the first measurement. Each pair is written to files, and compared as the command line does:
the lesions are given by their true masks, the lungs are found by lung isolation in both CTs. The true change of a
volume is that of the true masks. Of lesions that lie in the lung alone, it is also compared with the change of the
shapes that were painted, which is free of the error of the voxels; other lesions are cut by the pleura or by organs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from LungTumorSegLib import compare
from LungTumorSegLib.followup.comparison import FollowUp
from LungTumorSegLib.followup.growth import doubling_time
from LungTumorSegLib.phantom import FollowUpPhantom, PhantomOptions, make_follow_up
from LungTumorSegLib.phantom.truth import PhantomLesion, write_follow_up_phantom

SEEDS = (9101, 9120)
OPTIONS = PhantomOptions(spacing_mm=(2.5, 1.6, 1.6), lesion_count=6, lesion_diameter_mm=(8.0, 30.0))
LEAST_MM = 10.0
"""Diameter from which the volume of a lesion counts, mm."""

WHOLE = "lung"
"""The place of lesions that are not cut."""

HEAD = ("seed", "lesions", "matched", "status right", "volume change off", "off from shapes", "doubling time off",
        "residual, mm", "stated, mm", "overlap")  # fmt: skip


def main() -> None:
    """Compare the pairs; print the table and write it if wanted."""
    options = parse()
    rows = []
    for seed in range(options.seeds[0], options.seeds[1] + 1):
        rows.append(measured(seed))
        sys.stderr.write(json.dumps(rows[-1]) + "\n")
        write(options, {**summary(rows), "pairs": rows})  # after each pair, because a pair takes minutes
    sys.stdout.write(json.dumps(summary(rows), indent=1) + "\n")


def measured(seed: int) -> dict[str, Any]:
    """Return the row of one pair."""
    pair = make_follow_up(seed, OPTIONS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_follow_up_phantom(pair, folder)
        start = time.process_time()
        found = compare(
            folder / "tumor.nii.gz",
            folder / "later-tumor.nii.gz",
            earlier_ct=folder / "ct.nii.gz",
            later_ct=folder / "later-ct.nii.gz",
            days=pair.days,
        )
        return {"seed": seed, **pair_row(pair, found), "processor_s": round(time.process_time() - start)}


def pair_row(pair: FollowUpPhantom, found: FollowUp) -> dict[str, Any]:
    """Compare a comparison with the truth.

    Args:
        pair: The phantom.
        found: Its comparison; the name of each lesion ends with its label.

    Returns:
        Numbers of lesions, of right matches and of right statuses; errors of volume changes (percentage points), by
        the masks and by the shapes, and of doubling times (percent); distances of true landmarks after the registration
        (mm), and what it states itself.
    """
    tracks = {(labels(track.earlier), labels(track.later)): track for track in found.tracks}
    true = {(lesion.earlier, lesion.later): lesion for lesion in pair.lesions}
    volumes, shapes, times = [], [], []
    for key, lesion in true.items():
        before = [pair.earlier.lesions[label - 1] for label in lesion.earlier]
        after = [pair.later.lesions[label - 1] for label in lesion.later]
        if key in tracks and before and after and min(each.diameter_mm for each in before) >= LEAST_MM:
            change = tracks[key].change_percent
            assert change is not None  # it has earlier lesions
            earlier_ml, later_ml = (sum(each.volume_ml for each in lesions) for lesions in (before, after))
            volumes.append(change - 100 * (later_ml / earlier_ml - 1))
            expected, stated = doubling_time(earlier_ml, later_ml, pair.days), tracks[key].doubling_time(pair.days)
            if lesion.fate in ("grown", "shrunk") and expected and stated:
                times.append(100 * (stated.days / expected.days - 1))
            if all(each.place == WHOLE for each in (*before, *after)):
                shapes.append(change - 100 * (ball_ml(after) / ball_ml(before) - 1))
    here, there = pair.landmarks_lps_mm[:, 0], pair.landmarks_lps_mm[:, 1]
    off = np.linalg.norm(found.registration.to_later(here) - there, axis=1)
    registration = found.registration
    return {
        "lesions": len(true),
        "matched": len(set(true) & set(tracks)),
        "matches_too_many": len(set(tracks) - set(true)),
        "status_right": sum(key in tracks and tracks[key].status == true[key].status for key in true),
        "volume_change_off": rounded(volumes, 1),
        "volume_change_off_from_shapes": rounded(shapes, 1),
        "doubling_time_off_percent": rounded(times, 1),
        "residual_mm": rounded(np.percentile(off, (50, 95)), 2),
        "stated_residual_mm": rounded((registration.residual_mm, registration.residual_p95_mm), 2),
        "overlap": round(registration.overlap, 3),
    }


def labels(visit: Sequence[Any]) -> tuple[int, ...]:
    """Return the labels of the lesions of a visit."""
    return tuple(int(lesion.name.split()[-1]) for lesion in visit)


def ball_ml(lesions: Sequence[PhantomLesion]) -> float:
    """Return the volume of the painted shapes, mL."""
    return sum(np.pi / 6000 * lesion.diameter_mm**3 for lesion in lesions)


def rounded(values: Sequence[float] | np.ndarray[Any, Any], digits: int) -> list[float]:
    """Return the values as rounded numbers."""
    return [round(float(value), digits) for value in values]


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the totals and the largest errors of all pairs."""
    return {
        "lesions": sum(row["lesions"] for row in rows),
        "matched": sum(row["matched"] for row in rows),
        "matches_too_many": sum(row["matches_too_many"] for row in rows),
        "status_right": sum(row["status_right"] for row in rows),
        "volumes": sum(len(row["volume_change_off"]) for row in rows),
        "largest_volume_change_off": largest(rows, "volume_change_off"),
        "shapes": sum(len(row["volume_change_off_from_shapes"]) for row in rows),
        "largest_volume_change_off_from_shapes": largest(rows, "volume_change_off_from_shapes"),
        "doubling_times": sum(len(row["doubling_time_off_percent"]) for row in rows),
        "largest_doubling_time_off_percent": largest(rows, "doubling_time_off_percent"),
        "largest_residual_mm": max(row["residual_mm"][0] for row in rows),
        "largest_residual_p95_mm": max(row["residual_mm"][1] for row in rows),
    }


def largest(rows: Sequence[dict[str, Any]], name: str) -> float:
    """Return the largest error, without its sign; 0 if there are none."""
    return max((abs(value) for row in rows for value in row[name]), default=0.0)


def write(options: argparse.Namespace, table: dict[str, Any]) -> None:
    """Write the table as JSON and as Markdown, where wanted."""
    if options.output:
        options.output.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    if options.markdown:
        options.markdown.write_text("\n".join(markdown(table["pairs"])) + "\n", encoding="utf-8")


def markdown(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of the table for docs/accuracy.md."""
    yield f"| {' | '.join(HEAD)} |"
    yield "|" + "---|" * len(HEAD)
    for row in rows:
        cells = [
            row["seed"],
            row["lesions"],
            row["matched"],
            row["status_right"],
            f"{largest([row], 'volume_change_off'):.1f}",
            f"{largest([row], 'volume_change_off_from_shapes'):.1f}",
            f"{largest([row], 'doubling_time_off_percent'):.1f} %",
            " / ".join(f"{value:.1f}" for value in row["residual_mm"]),
            " / ".join(f"{value:.1f}" for value in row["stated_residual_mm"]),
            f"{row['overlap']:.3f}",
        ]
        yield f"| {' | '.join(map(str, cells))} |"


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs=2, default=SEEDS, metavar=("FIRST", "LAST"))
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--markdown", type=Path, help="the table for docs/accuracy.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
