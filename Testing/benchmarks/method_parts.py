"""Measure what each part of the method is worth: the model as shipped, and with one part left out at a time.

    python Testing/benchmarks/method_parts.py [CT=TUMOR_MASK ...] [--seeds 7081 7082 ...] [-o TABLE.json]
        [--markdown TABLE.md]

The phantoms are 120 mm high, have three lesions of 8 to 50 mm each, and were in no training, whose seeds begin at
100000. Each part is left out of the search, which is judged with and without the second look. Without isolation, the
network sees the whole CT, as it never did in training; the second look still knows where the lungs are. The slice
threshold plays no part in the second look.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from LungTumorSegLib.core.volume import CTVolume, Volume
from LungTumorSegLib.evaluation.detection import detect, separate_lesions
from LungTumorSegLib.evaluation.overlap import dice
from LungTumorSegLib.inference.decision import decide
from LungTumorSegLib.inference.device import choose_device
from LungTumorSegLib.inference.grid import make_working_grid
from LungTumorSegLib.inference.prediction import Prediction
from LungTumorSegLib.inference.predictor import predict_maps
from LungTumorSegLib.inference.stack_length import STACK_SLICES
from LungTumorSegLib.io.images import read_ct, read_volume
from LungTumorSegLib.isolation import LungIsolation, isolate_lungs, symmetry
from LungTumorSegLib.lesions import Maps, report_lesions
from LungTumorSegLib.networks.stored import Model, load_model
from LungTumorSegLib.options import Thresholds
from LungTumorSegLib.phantom import PhantomOptions, make_phantom
from LungTumorSegLib.refinement.painting import OutlinedLesions, paint_outlines
from LungTumorSegLib.refinement.second_look import second_look

DISTRACTORS = {7081: ("collapse",), 7082: ("effusion",), 7083: (), 7084: ()}
"""Seeds of the phantoms, and disease in them that is no tumor."""

OPTIONS = PhantomOptions(
    spacing_mm=(3.0, 1.5, 1.5), height_mm=(-70.0, 50.0), lesion_count=3, lesion_diameter_mm=(8.0, 50.0)
)
ALONE, LOOKED_AT = "first network alone", "with the second look"
SHIPPED = "as shipped"
ONE_THRESHOLD = "one threshold (0.5) instead of two"


@dataclasses.dataclass(frozen=True)
class Search:
    """The search for candidates with one part left out.

    Attributes:
        region: Returns lungs and search region of a CT.
        stride: Slices from one stack to the next; by default that of the model.
        mirror: Whether stacks are also computed mirrored; by default as the model says.
    """

    region: Callable[[CTVolume, LungIsolation], LungIsolation] = lambda _, usual: usual
    stride: int | None = None
    mirror: bool | None = None


def whole_ct(_: CTVolume, usual: LungIsolation) -> LungIsolation:
    """Return the isolation with the whole CT as the region."""
    return dataclasses.replace(usual, mask=usual.mask.with_array(np.ones(usual.mask.shape, bool)))


def without_reflection(ct: CTVolume, _: LungIsolation) -> LungIsolation:
    """Return the isolation without reflection of the lungs about the spine axis; closing and hull stay."""
    with patch.object(symmetry, "mirror_mask", lambda lungs, columns: lungs):
        return upright(ct)


SEARCHES: Mapping[str, Search] = {
    SHIPPED: Search(),
    "without lung isolation": Search(region=whole_ct),
    "without the mirror image of the lungs": Search(region=without_reflection),
    "stacks side by side instead of overlapping": Search(stride=STACK_SLICES),
    "without mirroring (test-time augmentation)": Search(mirror=False),
}


def main() -> None:
    """Measure all cases; print the table and write it if wanted."""
    options = parse()
    model = load_model("default")
    rows: list[dict[str, Any]] = []
    for name, ct, truth in cases(options):
        usual = upright(ct)
        for part, searched in SEARCHES.items():
            rows += measured(part, searched.region(ct, usual), searched, truth, model, name)
            sys.stderr.write(f"{json.dumps(rows[-1])}\n")
            write(rows, options)
    sys.stdout.write("\n".join(markdown(rows)) + "\n")


def write(rows: Sequence[dict[str, Any]], options: argparse.Namespace) -> None:
    """Write the tables of what is measured so far, where wanted."""
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if options.markdown:
        options.markdown.write_text("\n".join(markdown(rows)) + "\n", encoding="utf-8")


def cases(options: argparse.Namespace) -> Iterator[tuple[str, CTVolume, Volume]]:
    """Yield name, CT and lesions (labels) of all cases, with canonical axes."""
    for seed in options.seeds:
        phantom = make_phantom(seed, dataclasses.replace(OPTIONS, distractors=DISTRACTORS.get(seed, ())))
        yield f"phantom {seed}", phantom.ct, phantom.tumor
    for pair in options.cases:
        ct, mask = read_ct(pair.split("=")[0]), read_volume(pair.split("=")[1])
        order = ct.canonical_axes()
        yield pair.split("=")[0], order.apply(ct), order.apply(mask)


def upright(ct: CTVolume) -> LungIsolation:
    """Return the lung isolation of a CT, with canonical axes."""
    return isolate_lungs(ct).reordered(ct.canonical_axes())


def measured(
    part: str, isolation: LungIsolation, searched: Search, truth: Volume, model: Model, case: str
) -> Iterator[dict[str, Any]]:
    """Search one CT and yield the results without and with the second look, as rows."""
    begin = time.process_time()
    prediction = predicted(isolation, searched, model)
    seconds = time.process_time() - begin
    numbers = model.manifest

    def row(name: str, way: str, found: OutlinedLesions) -> dict[str, Any]:
        report = report_lesions(
            found.tumor,
            isolation.ct,
            isolation.left_lung,
            isolation.right_lung,
            maps=Maps(prediction.probability, prediction.disagreement, found.certainty, numbers.thresholds.voxel),
            min_lesion_ml=numbers.min_lesion_ml,
            min_confidence=numbers.min_confidence,
            together=found.lesions,
        )
        return {"case": case, "part": name, "way": way, "search_s": seconds, **scores(report.labels.array > 0, truth)}

    if part == SHIPPED:
        low = numbers.thresholds.voxel
        yield row(ONE_THRESHOLD, ALONE, OutlinedLesions(decide(prediction, Thresholds(low, low))))
    yield row(part, ALONE, OutlinedLesions(decide(prediction, numbers.thresholds)))
    candidates = second_look(
        *model.for_second_look(),
        isolation.ct,
        isolation.lungs.array,
        prediction,
        voxel_threshold=numbers.thresholds.voxel,
        min_lesion_ml=numbers.min_lesion_ml,
    )
    yield row(part, LOOKED_AT, paint_outlines(candidates, isolation.ct))


def predicted(isolation: LungIsolation, searched: Search, model: Model) -> Prediction:
    """Apply the first network to the region."""
    numbers = model.manifest
    grid = make_working_grid(
        isolation.isolated,
        isolation.mask,
        spacing_mm=numbers.spacing_mm,
        intensity_range_hu=numbers.intensity_range_hu,
    )
    maps = predict_maps(
        grid,
        model.network,
        stride=searched.stride or numbers.stride,
        mirror=numbers.mirror if searched.mirror is None else searched.mirror,
        closer_above=numbers.closer_above,
        device=choose_device(),
    )
    return Prediction.of(grid, maps)


def scores(found: np.ndarray[Any, Any], truth: Volume) -> dict[str, Any]:
    """Return 3D Dice, lesion Dice, and the volumes (mL) of false positives of a mask."""
    lesions = separate_lesions(truth.array.astype(np.int32))
    detection = detect(found, lesions, voxel_ml=truth.voxel_volume_ml)
    return {"dice_3d": dice(found, lesions > 0), "lesion_dice": detection.dices, "false_ml": detection.false_ml}


def markdown(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a table: one per part, with the results of all cases without and with the second look."""
    yield f"| | {ALONE}: 3D Dice (mean) | lesions found | false positives | {LOOKED_AT} | | | search, processor s |"
    yield "|" + "---|" * 8
    names = list(SEARCHES)
    for part in (*names[:1], ONE_THRESHOLD, *names[1:]):
        if not any(row["part"] == part for row in rows):
            continue
        cells = [text for way in (ALONE, LOOKED_AT) for text in summary([r for r in rows if is_of(r, part, way)])]
        seconds = np.mean([r["search_s"] for r in rows if r["part"] == part])
        yield f"| {part} | {' | '.join(cells)} | {seconds:.0f} |"


def is_of(row: Mapping[str, Any], part: str, way: str) -> bool:
    """Return whether a row belongs to one cell of the table."""
    return bool(row["part"] == part and row["way"] == way)


def summary(rows: Sequence[dict[str, Any]]) -> tuple[str, str, str]:
    """Return mean 3D Dice, lesions found, and number and volume of false positives; dashes without rows."""
    if not rows:
        return ("–",) * 3
    lesions = [value for row in rows for value in row["lesion_dice"]]
    false = [value for row in rows for value in row["false_ml"]]
    return (
        f"{np.mean([row['dice_3d'] for row in rows]):.3f}",
        f"{sum(value > 0 for value in lesions)} of {len(lesions)}",
        f"{len(false)} ({sum(false):.1f} mL)",
    )


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CT=TUMOR_MASK")
    parser.add_argument("--seeds", nargs="*", type=int, default=tuple(DISTRACTORS))
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--markdown", type=Path, help="the table for docs/explanation/ablation.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
