"""Measure how well a click outlines a lesion, beside what a user of Slicer would otherwise pick.

    python Testing/benchmarks/click_accuracy.py TABLE.json CT=TUMOR_MASK [CT=TUMOR_MASK ...] [--nodules FOLDER]
        [--split FILE] [--model ID] [--methods NAME ...] [--ts-fcn WEIGHTS.safetensors --width N] [--most N]

The lesions are those of the masks and, with --nodules, the nodules of the split's test patients with a diameter of 6 mm
or more, implanted into the CTs like in nodule_accuracy.py. Each lesion is clicked at five random points of its inner
half (at least half as deep as its deepest voxel). The other methods get the same clicks and know the size of the
lesion: they have a ball at the click for the lesion and a shell around it for the rest.

- Grow from seeds: the algorithm of Slicer's effect (package itk-growcut).
- Random walker: Grady 2006 (package scikit-image).
- Region growing: connected voxels above -400 HU, a threshold for solid nodules.
- TS-FCN: slices of a square of twice the lesion's extent, with weights that ts_fcn.py trained.
- Confidence connected: region growing by mean and standard deviation, as in Lesion Sizing (SimpleITK).

A click is answered by the same code as on the command line and in Slicer. Two rules refuse a place there unless the
user insists: a probability of a tumor below the confidence threshold, and an outline as bright as a vessel with
contrast agent. The table has the share of clicks that each of them refuses: on lesions, where it is a mistake, and at
points in lung and in other tissue of the isolation mask, far from lesions. The Dice is that of the outline if the
user insists.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import ts_fcn
from LungTumorSegLib.core.volume import AIR_HU, Array, CTVolume, Point, Volume
from LungTumorSegLib.isolation import isolate_lungs
from LungTumorSegLib.networks.stored import load_model
from LungTumorSegLib.refinement.clicks import Answer, Click, Outliner, objection
from LungTumorSegLib.refinement.views import Cube
from LungTumorSegLib.training.data_config import NoduleConfig
from LungTumorSegLib.training.nodules import read_nodules
from LungTumorSegLib.training.splits import read_split
from nodule_accuracy import NODULES_A_CT, SPLIT, Background, with_nodules
from scipy import ndimage

Method = Callable[[Array, float, float, float], Array]

SEED, CLICKS = 43, 5
LEAST_DIAMETER_MM = 6.0
BALL, BALL_MM = 0.3, 1.5
"""Radius of the ball at the click, divided by half of the lesion's longest extent, and its least radius in mm."""

VOXELS = 48
"""Voxels along each axis of the cube in which the other methods work."""

FAR_MM, POINTS_ELSEWHERE = 15.0, 20
FAILED = 0.5
"""A click with a Dice below this one has failed."""


@dataclass(frozen=True)
class Clicked:
    """A lesion with its clicks.

    Attributes:
        name: What it is.
        mask: Its voxels (bool) on the CT's grid.
        radius_mm: Half of its longest extent along an axis.
        clicks: Positions, LPS mm.
    """

    name: str
    mask: Array
    radius_mm: float
    clicks: list[Point]


def main() -> None:
    """Click on all lesions with all methods and write the table."""
    options = parse()
    rng = np.random.default_rng(SEED)
    model = load_model(options.model)
    network, numbers = model.second, model.manifest.second_look
    if network is None or numbers is None:
        raise SystemExit("This model has no second network.")
    least = model.manifest.min_confidence
    methods = {name: METHODS[name] for name in options.methods}
    if options.ts_fcn is not None:
        methods["TS-FCN"] = ts_fcn.outliner(ts_fcn.load(options.ts_fcn, options.width))
    rows: list[dict[str, Any]] = []
    elsewhere: dict[str, list[str]] = {"lung": [], "other tissue": []}
    for ct, lungs, mask, lesions in cases(options, rng):
        outliner = Outliner(network, numbers, ct, lungs)

        def click(point: Point, ct: CTVolume = ct, outliner: Outliner = outliner) -> tuple[Array, float, str]:
            found = outliner.answer(Click(point))
            answer = np.zeros(ct.shape, bool)
            if found.mask is not None:
                answer[found.mask.slices] = found.mask.mask.array
            return answer, found.tumor, refusal(found, least)

        for lesion in lesions:
            rows += [row for point in lesion.clicks for row in clicked(lesion, point, ct, click, methods)]
            sys.stderr.write(
                f"{lesion.name}: " + ", ".join(f"{k} {v['median_dice']}" for k, v in summary(rows).items())
            )
            sys.stderr.write("\n")
        far = ndimage.distance_transform_edt(~any_of(lesions, ct), sampling=ct.spacing) > FAR_MM
        for place, where in (("lung", lungs & far), ("other tissue", mask & ~lungs & far)):
            elsewhere[place] += [click(point)[2] for point in random_points(where, ct, rng, POINTS_ELSEWHERE)]
        table = {
            "model": options.model,
            "methods": summary(rows),
            "refused_on_lesions": refused([row["refused"] for row in rows if row["method"] == "click"]),
            "refused_elsewhere": {place: refused(reasons) for place, reasons in elsewhere.items()},
            "clicks": rows,
        }
        options.table.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def cases(
    options: argparse.Namespace, rng: np.random.Generator
) -> Iterator[tuple[CTVolume, Array, Array, list[Clicked]]]:
    """Yield each CT in canonical axes, its lungs and isolation mask (bool), and its lesions: real, then implanted."""
    backgrounds = [Background(*pair.split("=")) for pair in options.cases]
    for pair, background in zip(options.cases, backgrounds, strict=True):
        truth, _ = ndimage.label(background.tumor, np.ones((3, 3, 3)))
        yield ready(background.ct, truth, Path(pair.split("=")[0]).parent.name, rng)
    if options.nodules is None:
        return
    test_patients = set(read_split(options.split).test)
    nodules = [
        nodule
        for nodule in read_nodules(NoduleConfig(str(options.nodules)))
        if nodule.patient in test_patients and 2 * nodule.radius_mm >= LEAST_DIAMETER_MM
    ]
    nodules = [nodules[i] for i in rng.permutation(len(nodules))][: options.most]
    for round_, first in enumerate(range(0, len(nodules), NODULES_A_CT)):
        ct, truth = with_nodules(backgrounds[round_ % len(backgrounds)], nodules[first : first + NODULES_A_CT], rng)
        yield ready(ct, truth, f"implanted {round_ + 1}", rng)


def ready(
    ct: CTVolume, truth: Array, name: str, rng: np.random.Generator
) -> tuple[CTVolume, Array, Array, list[Clicked]]:
    """Bring a CT and its numbered lesions into canonical axes and choose the clicks."""
    axes = ct.canonical_axes()
    isolation = isolate_lungs(ct).reordered(axes)
    upright = isolation.ct
    labels = axes.apply(ct.with_array(truth)).array
    lesions = []
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        mask = labels == number
        extent = max((part.stop - part.start) * mm for part, mm in zip(box, upright.spacing, strict=True))
        if extent < LEAST_DIAMETER_MM:
            continue
        depth = ndimage.distance_transform_edt(np.pad(mask[box], 1), sampling=upright.spacing)[1:-1, 1:-1, 1:-1]
        inner = np.zeros(mask.shape, bool)
        inner[box] = depth >= depth.max() / 2
        lesions.append(Clicked(f"{name} {number}", mask, extent / 2, random_points(inner, upright, rng, CLICKS)))
    return upright, isolation.lungs.array, isolation.mask.array, lesions


def clicked(
    lesion: Clicked,
    point: Point,
    ct: CTVolume,
    click: Callable[[Point], tuple[Array, float, str]],
    methods: Mapping[str, Method],
) -> Iterator[dict[str, Any]]:
    """Yield a row for each method at one click."""
    begin = time.process_time()
    answer, tumor, reason = click(point)
    yield row(lesion, "click", answer, begin, tumor=round(tumor, 3), refused=reason)
    shell_mm = ts_fcn.SHELL * lesion.radius_mm
    ball_mm = max(BALL_MM, BALL * lesion.radius_mm)
    cube = Cube(point, 2 * shell_mm + 6, VOXELS)
    hu = cube.sample(ct.array, ct, outside=AIR_HU)
    for name, method in methods.items():
        begin = time.process_time()
        inside = method(hu, cube.voxel_mm, ball_mm, shell_mm)
        answer = np.zeros(ct.shape, bool)
        back, where = cube.carry_back(inside.astype(np.float32), ct)
        answer[where] = back > 0.5
        yield row(lesion, name, answer, begin)


def refusal(found: Answer, least: float) -> str:
    """Return which rule refuses an answer: "probability", "brightness", or "" if it is outlined."""
    if not objection(Click(()), found, least):
        return ""
    return "brightness" if found.tumor >= least and found.mask is not None else "probability"


def refused(reasons: list[str]) -> dict[str, Any]:
    """Return the number of points and the share of them that each rule refuses."""
    count = max(1, len(reasons))
    rules = ("probability", "brightness")
    return {"points": len(reasons), **{rule: round(reasons.count(rule) / count, 3) for rule in rules}}


def row(lesion: Clicked, method: str, answer: Array, begin: float, **more: float | str) -> dict[str, Any]:
    """Return lesion, method, Dice and processor seconds."""
    dice = 2 * int((answer & lesion.mask).sum()) / max(1, int(answer.sum() + lesion.mask.sum()))
    seconds = time.process_time() - begin
    return {"lesion": lesion.name, "diameter_mm": round(2 * lesion.radius_mm, 1), "method": method,
            "dice": round(dice, 3), "seconds": round(seconds, 2), **more}  # fmt: skip


def seeds(shape: tuple[int, ...], voxel_mm: float, ball_mm: float, shell_mm: float) -> Array:
    """Return a label map: 1 in a ball at the middle, 2 from the shell outward, 0 between."""
    off = [(np.arange(n) - (n - 1) / 2) * voxel_mm for n in shape]
    distance = np.sqrt(sum(each**2 for each in np.meshgrid(*off, indexing="ij")))
    return np.where(distance <= max(ball_mm, voxel_mm), 1, np.where(distance >= shell_mm, 2, 0)).astype(np.uint8)


def grow_from_seeds(hu: Array, voxel_mm: float, ball_mm: float, shell_mm: float) -> Array:
    """Return the lesion (bool) by GrowCut."""
    import itk  # only this benchmark needs it

    image = itk.image_from_array(np.ascontiguousarray(np.rint(hu).astype(np.int16)))
    labels = itk.image_from_array(seeds(hu.shape, voxel_mm, ball_mm, shell_mm))
    for each in (image, labels):
        each.SetSpacing([voxel_mm] * 3)
    grown = itk.FastGrowCut[type(image), type(labels)].New(image)
    grown.SetSeedImage(labels)
    grown.Update()
    return np.asarray(itk.array_from_image(grown.GetOutput()) == 1)


def random_walk(hu: Array, voxel_mm: float, ball_mm: float, shell_mm: float) -> Array:
    """Return the lesion (bool) by random walks."""
    from skimage.segmentation import random_walker  # only this benchmark needs it

    marked = seeds(hu.shape, voxel_mm, ball_mm, shell_mm)
    return np.asarray(random_walker(np.clip(hu, -1000, 400) / 1400, marked, beta=2000, mode="cg_j", tol=1e-3) == 1)


def grow_region(hu: Array, voxel_mm: float, ball_mm: float, shell_mm: float) -> Array:
    """Return the voxels within the shell that are connected with the click above -400 HU."""
    marked = seeds(hu.shape, voxel_mm, ball_mm, shell_mm)
    labels, _ = ndimage.label((hu > -400) & (marked != 2), np.ones((3, 3, 3)))
    at = np.unique(labels[marked == 1])
    return np.isin(labels, at[at > 0])


def grow_by_confidence(hu: Array, voxel_mm: float, ball_mm: float, shell_mm: float) -> Array:
    """Return the voxels within the shell by confidence connected region growing."""
    middle = [n // 2 for n in hu.shape]
    grown = sitk.ConfidenceConnected(
        sitk.GetImageFromArray(hu), [middle], numberOfIterations=4, multiplier=2.5, initialNeighborhoodRadius=2
    )
    filled = sitk.BinaryMorphologicalClosing(grown, [1, 1, 1])
    return np.asarray((sitk.GetArrayFromImage(filled) > 0) & (seeds(hu.shape, voxel_mm, ball_mm, shell_mm) != 2))


METHODS: dict[str, Method] = {
    "grow from seeds": grow_from_seeds,
    "random walker": random_walk,
    "region growing": grow_region,
    "confidence connected": grow_by_confidence,
}


def random_points(where: Array, ct: Volume, rng: np.random.Generator, count: int) -> list[Point]:
    """Return random voxels of a mask as positions, LPS mm."""
    voxels = np.argwhere(where)
    points = [ct.index_to_lps(voxels[i]) for i in rng.integers(len(voxels), size=count)] if len(voxels) else []
    return [(float(x), float(y), float(z)) for x, y, z in points]


def any_of(lesions: list[Clicked], ct: CTVolume) -> Array:
    """Return the voxels (bool) of all lesions; one far corner where there are none."""
    return np.asarray(np.logical_or.reduce([np.zeros(ct.shape, bool), *(lesion.mask for lesion in lesions)]))


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return median Dice, share of failed clicks and processor seconds of each method."""
    table = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        dice = np.asarray([row["dice"] for row in own])
        table[method] = {
            "clicks": len(own),
            "median_dice": round(float(np.median(dice)), 3),
            "failed": round(float((dice < FAILED).mean()), 3),
            "median_seconds": round(float(np.median([row["seconds"] for row in own])), 2),
        }
    return table


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("cases", nargs="+", metavar="CT=TUMOR_MASK")
    parser.add_argument("--nodules", type=Path)
    parser.add_argument("--split", type=Path, default=SPLIT)
    parser.add_argument("--model", default="default")
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=list(METHODS), metavar="NAME",
                        help="those to compare a click with, if not all")  # fmt: skip
    parser.add_argument("--ts-fcn", type=Path, metavar="WEIGHTS")
    parser.add_argument("--width", type=int, default=ts_fcn.WIDTH, help="width of that TS-FCN")
    parser.add_argument("--most", type=int, help="number of nodules, if not all")
    return parser.parse_args()


if __name__ == "__main__":
    main()
