"""The shipped setting against the published way: times, each lever alone, and whether the masks agree.

The published way is: the whole grid, padded to at least 256 x 256; every stack at stride 1; single precision with the
kernels that torch chooses; the 2D extractor inside each stack; no mirroring.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from LungTumorSegLib.core.volume import CTVolume, Volume
from LungTumorSegLib.inference.decision import decide
from LungTumorSegLib.inference.device import choose_precision
from LungTumorSegLib.inference.grid import IN_PLANE_MULTIPLE, WorkingGrid, make_working_grid
from LungTumorSegLib.inference.prediction import Prediction
from LungTumorSegLib.inference.predictor import predict_maps
from LungTumorSegLib.inference.stack_length import STACK_SLICES
from LungTumorSegLib.inference.stacks import StackStatistics, stack_starts
from LungTumorSegLib.isolation import LungIsolation, isolate_lungs
from LungTumorSegLib.lesions import Maps, report_lesions
from LungTumorSegLib.networks.stored import Model
from network_time import CPU, Way, WholeNetwork, everywhere
from page import block
from timing import Duration, now

SMALLEST_PLANE = 256
LARGE_LESION_ML = 0.5
DICE = "3D Dice of the masks"
FAST = choose_precision("auto", CPU)


def against_published(cts: Mapping[str, CTVolume], model: Model, stacks: int, *, agreement: bool) -> Iterator[str]:
    """Measure CTs; yield the table after each, because each takes many minutes.

    Args:
        cts: The CTs by name.
        model: The model.
        stacks: The number of stacks that are timed of each way except the shipped one.
        agreement: Whether to compute the published way in full and compare the masks.
    """
    columns = {}
    for name, ct in cts.items():
        columns[name] = Case(ct, model).measured(stacks, agreement=agreement)
        yield block(
            columns,
            f"Weights {model.manifest.weights_sha256[:12]}.",
            "Each cell states processor seconds or their ratio, then the same by wall time in parentheses.",
            f"The published way is too slow to be timed in full: {stacks} stacks were, and their median was multiplied "
            "by the number of all stacks. So were the levers. The shipped setting was timed in full.",
        )


class Case:
    """One CT, isolated, with its cropped and its whole grid."""

    def __init__(self, ct: CTVolume, model: Model) -> None:
        self.model, self.manifest = model, model.manifest
        self.upright = ct.canonical_axes().apply(ct)
        self.isolation: LungIsolation = isolate_lungs(self.upright)
        self.cropped = make_working_grid(
            self.isolation.isolated,
            self.isolation.mask,
            spacing_mm=self.manifest.spacing_mm,
            intensity_range_hu=self.manifest.intensity_range_hu,
        )
        self.padded = uncropped(self.cropped, self.upright)

    def measured(self, stacks: int, *, agreement: bool) -> dict[str, str]:
        """Return one column of the table."""
        whole, grid = WholeNetwork(self.model.network), self.padded
        per_stack, _ = Way(whole).sample(grid, stacks)
        all_stacks = count(everywhere(grid), 1)
        published = per_stack * all_stacks
        shipped, maps = self.shipped(FAST)
        found = {
            "whole grid (slices x rows x columns)": in_words(grid),
            "searched grid": in_words(self.cropped),
            "stacks of the published way": str(all_stacks),
            "**published way**, s": str(published),
            f"**shipped setting**, {FAST}, s": str(shipped),
            f"**shipped setting, times faster**, {FAST}": f"**{published.over(shipped)}**",
        }
        if FAST != "float32":
            found["shipped setting, times faster, float32"] = published.over(self.shipped("float32")[0])
        found |= self.levers(per_stack, stacks)
        if self.manifest.closer_above is not None:
            full, full_maps = self.predicted()
            found["closer look only where the first pass suspects"] = full.over(shipped)
            found["3D Dice of the masks with and without that"] = compare(
                self.labels(self.cropped, maps), self.labels(self.cropped, full_maps)
            )[DICE]
        if agreement:
            found |= self.agreement(maps)
        return found

    def shipped(self, precision: str) -> tuple[Duration, StackStatistics]:
        """Run the shipped setting in full."""
        return self.predicted(closer_above=self.manifest.closer_above, precision=precision)

    def predicted(self, **changed: Any) -> tuple[Duration, StackStatistics]:
        """Run all stacks of the cropped grid with the shipped setting, but for what is ``changed``."""
        setting: dict[str, Any] = {"stride": self.manifest.stride, "mirror": self.manifest.mirror, "precision": FAST}
        start = now()
        maps = predict_maps(self.cropped, self.model.network, device=CPU, **{**setting, **changed})
        return now() - start, maps

    def levers(self, per_stack: Duration, stacks: int) -> dict[str, str]:
        """Return how many times faster each lever alone makes the published way."""
        network, whole = self.model.network, WholeNetwork(self.model.network)
        grid, all_stacks = self.padded, count(everywhere(self.padded), 1)

        def sampled(way: Way, where: WorkingGrid = grid) -> Duration:
            return way.sample(where, stacks)[0]

        crop = sampled(Way(whole), self.cropped) * count(everywhere(self.cropped), 1)
        found = {
            "crop to the lungs": (per_stack * all_stacks).over(crop),
            f"stride {self.manifest.stride} (number of stacks)": ratio(
                all_stacks, count(everywhere(grid), self.manifest.stride)
            ),
            "skip stacks without lung (number of stacks)": ratio(all_stacks, count(grid, 1)),
            "extractor once per slice": per_stack.over(sampled(Way(network))),
            "oneDNN for every 3D convolution": per_stack.over(sampled(Way(whole, own_kernels=False))),
        }
        if FAST != "float32":
            found[f"precision {FAST}"] = per_stack.over(sampled(Way(whole, FAST)))
        if self.manifest.mirror:
            found["test-time augmentation (mirroring), number of stacks"] = ratio(1, 2)
        return found

    def agreement(self, maps: StackStatistics) -> dict[str, str]:
        """Compare the masks of the shipped setting with those of the published way.

        They are compared as they are, both without mirroring, and both with it.

        The published way runs with oneDNN here, which changes a probability by at most 3e-6 and takes a quarter of the
        time.
        """
        whole, grid = WholeNetwork(self.model.network), everywhere(self.padded)
        full = predict_maps(grid, whole, stride=1, device=CPU)
        reference = self.labels(grid, full)
        rows = compare(self.labels(self.cropped, maps), reference)
        if self.manifest.mirror:
            _, plain = self.predicted(mirror=False)
            rows["3D Dice without mirroring"] = compare(self.labels(self.cropped, plain), reference)[DICE]
            mirrored = predict_maps(grid, whole, stride=1, device=CPU, mirror=True)
            both = compare(self.labels(self.cropped, maps), self.labels(grid, mirrored))
            rows["3D Dice, the published way mirrored too"] = both[DICE]
        return rows

    def labels(self, grid: WorkingGrid, maps: StackStatistics) -> Volume:
        """Return lesion numbers on the CT's grid, as the pipeline reports them without the second look."""
        prediction = Prediction.of(grid, maps)
        report = report_lesions(
            decide(prediction, self.manifest.thresholds),
            self.upright,
            self.isolation.left_lung,
            self.isolation.right_lung,
            maps=Maps(prediction.probability, prediction.disagreement),
            min_lesion_ml=self.manifest.min_lesion_ml,
            min_confidence=self.manifest.min_confidence,
        )
        return report.labels


def count(grid: WorkingGrid, stride: int) -> int:
    """Return the number of stacks of a grid that are not skipped."""
    starts = stack_starts(grid.image.shape[0], stride)
    return sum(bool(grid.region.array[start : start + STACK_SLICES].any()) for start in starts)


def ratio(more: int, fewer: int) -> str:
    """Return how many times more stacks there are."""
    return f"{more / fewer:.2f}"


def in_words(grid: WorkingGrid) -> str:
    """Return the shape of a grid."""
    return " x ".join(map(str, grid.image.shape))


def uncropped(grid: WorkingGrid, ct: CTVolume) -> WorkingGrid:
    """Extend a grid to the whole CT and to at least 256 x 256.

    Everything outside the isolation mask is air, so the grid is padded with air. In the plane, the padding at the start
    is a multiple of 8, so that pooling joins the same voxels. Which voxels are joined is as arbitrary as the grid's
    origin and not part of the comparison: shifted by a few voxels, the shipped network's masks agree with themselves at
    a 3D Dice of 0.95.
    """
    before, after = [], []
    for axis in range(3):
        first = max(0, int(np.ceil((grid.start[axis] + 0.5) / grid.step[axis])))
        reach = (ct.shape[axis] - 0.5 - grid.start[axis]) / grid.step[axis]
        last = max(0, int(np.ceil(reach)) - grid.image.shape[axis])
        if axis:
            first += -first % IN_PLANE_MULTIPLE
            size = first + grid.image.shape[axis] + last
            last += max(SMALLEST_PLANE - size, -size % IN_PLANE_MULTIPLE)
        before.append(first)
        after.append(last)
    widths = list(zip(before, after, strict=True))
    affine = grid.image.affine_from([-n for n in before])
    start = tuple(s - n * step for s, n, step in zip(grid.start, before, grid.step, strict=True))
    return WorkingGrid(
        Volume(np.pad(grid.image.array, widths), affine),
        Volume(np.pad(grid.region.array, widths), affine),
        grid.ct,
        (start[0], start[1], start[2]),
        grid.step,
    )


def compare(shipped: Volume, reference: Volume) -> dict[str, str]:
    """Return the Dice of two label maps, and the lesions of 0.5 mL or more that only one of them has."""
    a, b = shipped.array > 0, reference.array > 0
    total = int(a.sum() + b.sum())
    millilitres = [float(mask.sum()) * shipped.voxel_volume_ml for mask in (a, b)]
    return {
        DICE: f"{2 * int((a & b).sum()) / total:.3f}" if total else "no lesion",
        "volume, shipped and published, mL": f"{millilitres[0]:.2f}, {millilitres[1]:.2f}",
        "lesions of 0.5 mL or more gained, mL": unmatched(shipped, b),
        "lesions of 0.5 mL or more lost, mL": unmatched(reference, a),
    }


def unmatched(labels: Volume, other: np.ndarray[Any, Any]) -> str:
    """Return the volumes (mL) of the lesions of 0.5 mL or more that do not touch ``other``."""
    sizes = np.bincount(labels.array.ravel()) * labels.voxel_volume_ml
    touching = set(np.unique(labels.array[other]).tolist())
    lonely = [f"{size:.2f}" for n, size in enumerate(sizes) if n and size >= LARGE_LESION_ML and n not in touching]
    return ", ".join(lonely) or "none"
