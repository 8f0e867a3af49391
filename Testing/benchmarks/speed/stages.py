"""The stages of whole commands, their peak memory, and how both grow with the number of slices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from LungTumorSegLib.core.resampling import resample_separable
from LungTumorSegLib.core.volume import AIR_HU, CTVolume
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.phantom import make_phantom
from LungTumorSegLib.phantom.options import PhantomOptions
from LungTumorSegLib.process.progress import STAGE_SHARES, RunProgress
from page import block
from timing import Duration
from watched import Run, watch

SEED = 7005
IN_PLANE_MM, FIELD_OF_VIEW_MM, SLICE_MM = 0.7, 358.4, 1.0
"""Rows and columns of 0.7 mm, 512 of each."""

FEWEST_STACKS = ("--stride", "8", "--no-mirror")
"""Options for runs that measure everything around the network: it computes the fewest stacks that cover the CT."""

SHORT_S = 2.0
"""Seconds; a shorter time left need not be exact."""

UNITS = "Processor seconds, in parentheses wall seconds, of a process of its own."


def stages_of(cts: Mapping[str, CTVolume], folder: Path) -> Iterator[str]:
    """Run ``segment`` as shipped on CTs; yield the table after each.

    Args:
        cts: The CTs by name.
        folder: An empty folder for CTs and results.
    """
    columns = {}
    for number, (name, ct) in enumerate(cts.items()):
        path = folder / f"{number}.nii.gz"
        write_volume(ct, path)
        run = watch("segment", path, "-o", folder / f"result-{number}")
        columns[name] = {"voxels": " x ".join(map(str, ct.shape))} | _rows(run)
        yield block(columns, UNITS, "`lungtumorseg segment` as shipped, from a NIfTI file to the written results.")


def size_series(slices: Sequence[int], folder: Path) -> Iterator[str]:
    """Measure ``isolate`` and the work around the network on one chest with more and more slices; yield the table.

    Args:
        slices: Numbers of slices, ascending.
        folder: An empty folder for CTs and results.
    """
    options = PhantomOptions(spacing_mm=(SLICE_MM, IN_PLANE_MM, IN_PLANE_MM), field_of_view_mm=FIELD_OF_VIEW_MM)
    chest = make_phantom(SEED, options).ct
    columns: dict[str, dict[str, str]] = {}
    first: list[Duration] = []
    for number in slices:
        path = folder / f"{number}.nii.gz"
        write_volume(with_slices(chest, number), path)
        isolate = watch("isolate", path, "-o", folder / f"isolation-{number}")
        segment = watch("segment", path, "-o", folder / f"result-{number}", *FEWEST_STACKS)
        around = segment.total - segment.stages["predicting"]
        first = first or [isolate.total, around]
        growth = number / slices[0]
        rows = _rows(segment)
        del rows["predicting"], rows["total"]
        columns[f"{number} slices"] = {
            "`isolate`": str(isolate.total),
            "`isolate`, peak memory, GiB": in_gib(isolate),
            **{f"`segment`, {name}": cell for name, cell in rows.items()},
            "`segment` without the network": str(around),
            f"`isolate`, times that of {slices[0]} slices per slice": (isolate.total * (1 / growth)).over(first[0]),
            f"`segment` without the network, times that of {slices[0]} slices per slice": (around * (1 / growth)).over(
                first[1]
            ),
        }
        yield block(columns, UNITS, f"A phantom of {chest.shape[1]} x {chest.shape[2]} voxels per slice.")


def with_slices(ct: CTVolume, slices: int) -> CTVolume:
    """Return a CT with another number of slices over the same length."""
    step = ct.shape[0] / slices
    start = (step - 1) / 2
    hu = resample_separable(
        ct.array,
        start=(start, 0.0, 0.0),
        step=(step, 1.0, 1.0),
        size=(slices, ct.shape[1], ct.shape[2]),
        outside=AIR_HU,
    )
    affine = ct.affine_from((start, 0.0, 0.0), (step, 1.0, 1.0))
    return CTVolume(np.rint(hu).astype(np.int16), affine)


def in_gib(run: Run) -> str:
    """Return the peak memory of a run."""
    return f"{run.peak_bytes / 2**30:.2f}"


def _rows(run: Run) -> dict[str, str]:
    """Return the time of each stage, of the whole run, and its peak memory."""
    stages = {name: str(run.stages[name]) for name in STAGE_SHARES if name in run.stages}
    return stages | {
        "total": str(run.total),
        "peak memory, GiB": in_gib(run),
        "time left, largest error from 20 % on": f"{largest_error(run):.0%}",
    }


def largest_error(run: Run) -> float:
    """Return the largest relative error of the time left that a run would have shown on an idle processor.

    Steps before 20 % of the time, and those with less than two seconds left, do not count.
    """
    passed, whole = 0.0, sum(step.duration.processor_s for step in run.steps)
    progress = RunProgress(clock=lambda: passed)
    errors = []
    for step in run.steps:
        progress.update(step.progress)
        left = whole - passed
        if passed >= 0.2 * whole and left >= SHORT_S:
            errors.append(abs((progress.seconds_left or 0.0) - left) / left)
        passed += step.duration.processor_s
    return max(errors, default=0.0)
