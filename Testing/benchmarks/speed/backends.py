"""The libraries and number formats that can compute the network on this machine, against each other."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
from LungTumorSegLib.inference.device import choose_precision
from LungTumorSegLib.inference.grid import WorkingGrid
from LungTumorSegLib.networks.stored import Model
from network_time import CPU, Way
from page import block
from timing import Duration

ROUNDS = 3
"""Number of times that all backends are timed, one after the other; the smallest times count."""

SHIPPED = "torch float32"
IN_SECONDS = "s per stack"


def backends_compared(grid: WorkingGrid, model: Model, stacks: int) -> Iterator[str]:
    """Time the network of a model on some stacks of a grid in every way that this machine has; yield the table."""
    ways = ways_here(model)
    timed: dict[str, list[Duration]] = {name: [] for name in ways}
    means = {}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            duration, maps = way.sample(grid, stacks)
            timed[name].append(duration)
            means[name] = maps.mean
    best = {name: min(durations, key=lambda each: each.processor_s) for name, durations in timed.items()}
    apart = {name: f"{np.abs(mean - means[SHIPPED]).max():.1g}" for name, mean in means.items() if name != SHIPPED}
    size = " x ".join(map(str, grid.image.shape[1:]))
    yield block(
        {
            IN_SECONDS: {name: str(duration) for name, duration in best.items()},
            f"times the time of {SHIPPED}": {name: each.over(best[SHIPPED]) for name, each in best.items()},
            "largest difference in probability": apart,
        },
        f"Weights {model.manifest.weights_sha256[:12]}, stacks of 8 x {size} voxels, without mirroring.",
        f"Processor seconds, in parentheses wall seconds; the smallest of {ROUNDS} medians of {stacks} stacks.",
        *([] if choose_precision("auto", CPU) != "float32" else ["This processor does not compute in bfloat16."]),
    )


def ways_here(model: Model) -> dict[str, Way]:
    """Return the ways to compute the network that this machine has, by name."""
    network = model.network
    formats = ["float32"] if choose_precision("auto", CPU) == "float32" else ["float32", "bfloat16"]
    ways = {f"torch {each}": Way(network, each, own_kernels=False) for each in formats}
    ways["torch float32, torch's own kernels"] = Way(network)
    if find_spec("openvino"):
        ways |= {f"OpenVINO {each}": Way(network, each, "openvino", own_kernels=False) for each in formats}
    return ways
