"""Measure how much faster the default inference is than the plain one, and whether both find the same lesions.

    python Testing/benchmarks/inference_speed.py CT [CT ...] [--phantoms SEED ...] [--model ID] [--agreement] -o
    table.json

The reference is the published method: the whole grid (padded to at least 256 x 256), every stack, stride 1, single
precision with torch's own choice of kernels, the 2D extractor inside each stack. The benchmark times it on 20 stacks
from the middle (--stacks) and scales the time to the number of all stacks. It times each optimization alone in the same
way, in wall and processor seconds, and prints the table for docs/performance.md with machine, versions and date. The
time of the default includes test-time augmentation (mirroring) if the model uses it. With --agreement, the benchmark
runs the whole reference and compares the tumor masks, with and without mirroring. All times are of one process on this
machine: compare the ratios.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from LungTumorSegLib.core.volume import CTVolume, Volume
from LungTumorSegLib.inference.decision import decide
from LungTumorSegLib.inference.grid import IN_PLANE_MULTIPLE, WorkingGrid, make_working_grid
from LungTumorSegLib.inference.predictor import choose_precision, predict_maps
from LungTumorSegLib.inference.stack_length import STACK_SLICES
from LungTumorSegLib.inference.stacks import StackStatistics, stack_starts
from LungTumorSegLib.io.images import read_ct
from LungTumorSegLib.isolation import LungIsolation, isolate_lungs
from LungTumorSegLib.lesions import report_lesions
from LungTumorSegLib.networks.stored import Model, load_model
from LungTumorSegLib.phantom import make_phantom

timed_stacks = 20
"""Number of stacks that are timed, an even number; --stacks changes it."""

SMALLEST_PLANE = 256
LARGE_LESION_ML = 0.5
CPU = torch.device("cpu")


class WholeNetwork(torch.nn.Module):
    """Hides that the network can share features, so that the extractor runs inside each stack."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, stack: torch.Tensor) -> torch.Tensor:
        """Return the wrapped network's output."""
        answer: torch.Tensor = self.network(stack)
        return answer


def main() -> None:
    """Measure all cases; write the table after each one."""
    global timed_stacks
    options = parse()
    timed_stacks = options.stacks
    model = load_model(options.model)
    cases: list[tuple[str, CTVolume]] = [(Path(path).parent.name or path, read_ct(path)) for path in options.ct]
    cases += [(f"phantom seed {seed}", make_phantom(seed).ct) for seed in options.phantoms]
    setting = {**machine(), "model": model.manifest.id, "weights": model.manifest.weights_sha256[:12]}
    table: dict[str, Any] = {}
    for name, ct in cases:  # each takes minutes, so the table is written after each
        table[name] = measure_case(ct, model, options.agreement)
        sys.stdout.write(json.dumps({name: table[name]}, indent=2) + "\n")
        sys.stdout.flush()
        if options.output:
            options.output.write_text(json.dumps({**setting, "cases": table}, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(as_markdown(setting, table))


def measure_case(ct: CTVolume, model: Model, agreement: bool) -> dict[str, Any]:
    """Time the reference, each optimization alone and the default for one CT.

    Args:
        ct: The CT.
        model: The model.
        agreement: Whether to run the whole reference and compare the masks.

    Returns:
        One row of the table: times (s), ratios of times and, if wanted, the agreement of the masks.
    """
    upright = ct.canonical_axes().apply(ct)
    isolation = isolate_lungs(upright)
    manifest = model.manifest
    cropped = make_working_grid(
        isolation.isolated,
        isolation.mask,
        spacing_mm=manifest.spacing_mm,
        intensity_range_hu=manifest.intensity_range_hu,
    )
    plain_grid = uncropped(cropped, upright)
    everywhere = replace(plain_grid, region=plain_grid.region.with_array(np.ones(plain_grid.image.shape, bool)))
    whole = WholeNetwork(model.network)
    fast = choose_precision("auto", CPU)

    with torchs_own_kernels():
        reference = time_of(everywhere, whole, 1, "float32")
        levers = {
            "crop to the lungs": time_of(replace(cropped, region=everywhere_like(cropped)), whole, 1, "float32"),
            f"stride {manifest.stride}": time_of(everywhere, whole, manifest.stride, "float32"),
            "extractor once per slice": time_of(everywhere, model.network, 1, "float32"),
            "skip stacks without lung": time_of(plain_grid, whole, 1, "float32"),
        }
    levers["oneDNN for every 3D convolution"] = time_of(everywhere, whole, 1, "float32")
    if fast != "float32":
        levers[f"precision {fast}"] = time_of(everywhere, whole, 1, fast)
    usual = {"stride": manifest.stride, "mirror": manifest.mirror, "device": CPU}
    default, default_maps = timed(lambda: predict_maps(cropped, model.network, **usual, precision=fast))
    single = default
    if fast != "float32":
        single, _ = timed(lambda: predict_maps(cropped, model.network, **usual, precision="float32"))
    row: dict[str, Any] = {
        "grid": everywhere.image.shape,
        "cropped": cropped.image.shape,
        "published way": reference.rounded(),
        f"shipped setting, {fast}": default.rounded(),
        "times faster": reference.over(default),
        "times faster in float32": reference.over(single),
        "levers alone": {name: reference.over(duration) for name, duration in levers.items()},
    }
    if agreement:
        with torchs_own_kernels():
            full, full_maps = timed(lambda: predict_maps(everywhere, whole, stride=1, device=CPU, precision="float32"))
        row["published way in full"] = full.rounded()
        reference_labels = lesion_labels(everywhere, full_maps, upright, isolation, model)
        row["agreement"] = compare(lesion_labels(cropped, default_maps, upright, isolation, model), reference_labels)
        if manifest.mirror:
            maps = predict_maps(cropped, model.network, stride=manifest.stride, device=CPU, precision=fast)
            row["agreement without mirror"] = compare(
                lesion_labels(cropped, maps, upright, isolation, model), reference_labels
            )
    return row


def uncropped(grid: WorkingGrid, ct: CTVolume) -> WorkingGrid:
    """Extend a grid to the whole CT and to at least 256 x 256.

    Everything outside the isolation mask is air, so the grid is padded with air. In the plane, the padding at the start
    is a multiple of 8, so that pooling joins the same voxels. Which voxels are joined is as arbitrary as the grid's
    origin and not part of the comparison: shifted by a few voxels, the shipped network's masks agree with themselves at
    a 3D Dice of 0.95.
    """
    before, after = [], []
    for axis in range(3):
        first = int(np.ceil((grid.start[axis] + 0.5) / grid.step[axis]))
        reach = (ct.shape[axis] - 0.5 - grid.start[axis]) / grid.step[axis]
        last = max(0, int(np.ceil(reach)) - grid.image.shape[axis])
        first = max(0, first)
        if axis:
            first += -first % IN_PLANE_MULTIPLE
            size = first + grid.image.shape[axis] + last
            last += max(SMALLEST_PLANE - size, -size % IN_PLANE_MULTIPLE)
        before.append(first)
        after.append(last)
    widths = list(zip(before, after, strict=True))
    affine = grid.image.affine.copy()
    affine[:3, 3] = grid.image.index_to_lps([-n for n in before])
    start = tuple(s - n * step for s, n, step in zip(grid.start, before, grid.step, strict=True))
    return WorkingGrid(
        Volume(np.pad(grid.image.array, widths), affine),
        Volume(np.pad(grid.region.array, widths), affine),
        grid.ct,
        (start[0], start[1], start[2]),
        grid.step,
    )


def everywhere_like(grid: WorkingGrid) -> Volume:
    """Return a region that covers the whole grid."""
    return grid.region.with_array(np.ones(grid.image.shape, bool))


@dataclass(frozen=True)
class Duration:
    """Wall and processor seconds of a computation."""

    wall_s: float
    processor_s: float

    def rounded(self) -> dict[str, float]:
        """Return both for the table."""
        return {"wall_s": round(self.wall_s, 2), "processor_s": round(self.processor_s, 2)}

    def over(self, other: Duration) -> dict[str, float]:
        """Return how many times longer this took than another."""
        return {
            "wall": round(self.wall_s / other.wall_s, 2),
            "processor": round(self.processor_s / other.processor_s, 2),
        }


@contextlib.contextmanager
def torchs_own_kernels() -> Iterator[None]:
    """Let torch choose the kernel of each convolution, as the published code does."""
    available = torch.backends.mkldnn.is_available
    torch.backends.mkldnn.is_available = lambda: False
    try:
        yield
    finally:
        torch.backends.mkldnn.is_available = available


def time_of(grid: WorkingGrid, network: torch.nn.Module, stride: int, precision: str) -> Duration:
    """Return the duration of all stacks of ``grid``, estimated from some stacks around the middle."""
    starts = [s for s in stack_starts(grid.image.shape[0], stride) if grid.region.array[s : s + STACK_SLICES].any()]
    sample = starts[max(0, len(starts) // 2 - timed_stacks // 2) :][:timed_stacks]
    first, last = sample[0], sample[-1] + STACK_SLICES
    part = replace(
        grid,
        image=grid.image.crop((first, 0, 0), (last, *grid.image.shape[1:])),
        region=everywhere_like(grid).crop((first, 0, 0), (last, *grid.image.shape[1:])),
    )
    spent, _ = timed(lambda: predict_maps(part, network, stride=stride, device=CPU, precision=precision))
    times = len(starts) / len(stack_starts(last - first, stride))
    return Duration(spent.wall_s * times, spent.processor_s * times)


def timed(call: Callable[[], StackStatistics]) -> tuple[Duration, StackStatistics]:
    """Return the duration of a call, and its value."""
    wall, processor = time.perf_counter(), time.process_time()
    value = call()
    return Duration(time.perf_counter() - wall, time.process_time() - processor), value


def machine() -> dict[str, Any]:
    """Return what the times depend on: date, processor, threads and versions."""
    names = [line for line in processor_lines() if line.startswith("model name")]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "openvino": version("openvino") if find_spec("openvino") else None,
    }


def processor_lines() -> list[str]:
    """Return the lines in which Linux describes the processor; elsewhere an empty list."""
    file = Path("/proc/cpuinfo")
    return file.read_text(encoding="utf-8").splitlines() if file.is_file() else []


def as_markdown(setting: dict[str, Any], table: dict[str, Any]) -> str:
    """Return the table for docs/performance.md: one row per lever, with wall and processor time."""
    lines = [", ".join(f"{name} {value}" for name, value in setting.items() if value), ""]
    for case, row in table.items():
        lines += [f"| {case} | times faster, processor | times faster, wall |", "|---|---|---|"]
        rows = {"shipped setting": row["times faster"], "shipped setting in float32": row["times faster in float32"]}
        rows |= {f"{name} alone": factor for name, factor in row["levers alone"].items()}
        lines += [f"| {name} | {factor['processor']} | {factor['wall']} |" for name, factor in rows.items()]
        if "agreement" in row:
            lines.append(f"| agreement of the masks (Dice) | {row['agreement']['dice']} | |")
        lines.append("")
    return "\n".join(lines)


def lesion_labels(
    grid: WorkingGrid, maps: StackStatistics, ct: CTVolume, isolation: LungIsolation, model: Model
) -> Volume:
    """Return lesion numbers on the CT's grid, as the pipeline would report them."""
    probability = grid.carry_back(maps.mean)
    tumor = decide(grid, maps.mean, probability, model.manifest.thresholds)
    report = report_lesions(
        tumor,
        ct,
        isolation.left_lung,
        isolation.right_lung,
        probability=probability,
        disagreement=grid.carry_back(maps.deviation()),
        min_lesion_ml=model.manifest.min_lesion_ml,
        min_confidence=model.manifest.min_confidence,
    )
    return report.labels


def compare(default: Volume, reference: Volume) -> dict[str, Any]:
    """Return the Dice of the two masks, and the lesions of 0.5 mL or more that only one of them has."""
    a, b = default.array > 0, reference.array > 0
    total = int(a.sum() + b.sum())
    return {
        "dice": round(2 * int((a & b).sum()) / total, 4) if total else 1.0,
        "default_ml": round(float(a.sum()) * default.voxel_volume_ml, 2),
        "reference_ml": round(float(b.sum()) * default.voxel_volume_ml, 2),
        "gained_ml": unmatched(default, b),
        "lost_ml": unmatched(reference, a),
    }


def unmatched(labels: Volume, other: np.ndarray[Any, Any]) -> list[float]:
    """Return the volumes (mL) of the lesions of 0.5 mL or more that do not touch ``other``."""
    sizes = np.bincount(labels.array.ravel()) * labels.voxel_volume_ml
    touching = set(np.unique(labels.array[other]).tolist())
    return [
        round(float(size), 2) for n, size in enumerate(sizes) if n and size >= LARGE_LESION_ML and n not in touching
    ]


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ct", nargs="*")
    parser.add_argument("--phantoms", type=int, nargs="*", default=[], metavar="SEED")
    parser.add_argument("--model", default="default")
    parser.add_argument("--stacks", type=int, default=timed_stacks)
    parser.add_argument("--agreement", action="store_true")
    parser.add_argument("-o", "--output", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
