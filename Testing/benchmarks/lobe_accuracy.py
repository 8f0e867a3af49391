"""Measure how well a model of lobes divides the lungs: Dice by lobe, on the grid of each CT.

    python Testing/benchmarks/lobe_accuracy.py MODEL [CT LOBES] [--phantoms N] [-o table.json]

The phantoms have seeds that neither trained the model nor chose its checkpoint. LOBES is a label map on the CT's grid;
its values are 1 left upper, 2 left lower, 3 right upper, 4 right middle, 5 right lower lobe, unless --values gives five
others in this order. Only lobes that LOBES shows count. The table also states the Dice of both lungs together, which
lung isolation alone decides, and the mean Dice if the network knew every lobe within the isolated lungs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from LungTumorSegLib.core.lobes import LOBES
from LungTumorSegLib.core.volume import CTVolume, Volume
from LungTumorSegLib.evaluation.overlap import dice
from LungTumorSegLib.io.images import read_ct
from LungTumorSegLib.networks.stored import load_model
from LungTumorSegLib.phantom import make_phantom
from LungTumorSegLib.training.config import GridConfig
from LungTumorSegLib.training.data_config import CaseConfig
from LungTumorSegLib.training.datasets import read_lobes
from LungTumorSegLib.training.lobes import find_lobes, lobe_dices
from LungTumorSegLib.training.phantoms import KINDS

FIRST_SEED = 510_000
"""The recipe ``lobes.yaml`` trains on seeds from 400000 and chooses its checkpoint on seeds from 500000."""


def main() -> None:
    """Measure a model; print the table and write it if wanted."""
    options = parse()
    torch.set_num_threads(options.threads)
    model = load_model(options.model, lobes=True)
    grid = GridConfig(model.manifest.spacing_mm, model.manifest.intensity_range_hu)
    rows = {}
    for name, ct, truth in cases(options):
        rows[name] = row(find_lobes(model.network, ct, grid), truth)
        sys.stderr.write(f"{name}: {rows[name]}\n")
    table = {"model": model.manifest.id, "phantoms": means(rows, "phantom"), "cases": rows}
    text = json.dumps(table, indent=1)
    sys.stdout.write(text + "\n")
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")


def cases(options: argparse.Namespace) -> Iterator[tuple[str, CTVolume, Volume]]:
    """Yield the name, the CT and the true lobes of each case."""
    for seed in range(FIRST_SEED, FIRST_SEED + options.phantoms):
        phantom = make_phantom(seed, KINDS["lobes"].options(seed))
        assert phantom.lobes is not None
        yield f"phantom {seed}", phantom.ct, phantom.lobes
    if options.ct:
        ct = read_ct(options.ct)
        values = {name: (value,) for name, value in zip(LOBES, options.values, strict=True)}
        case = CaseConfig(str(options.ct), "-", (str(options.lobes),))
        yield str(options.ct), ct, read_lobes(case, ct, values)


def row(found: Volume, truth: Volume) -> dict[str, float]:
    """Return the Dice of each lobe in view, their mean, and what lung isolation allows."""
    dices = lobe_dices(found.array, truth.array)
    known = lobe_dices(np.where(found.array > 0, truth.array, 0), truth.array)
    values = {
        **dices,
        "mean": float(np.mean(list(dices.values()))),
        "lungs": dice(found.array > 0, truth.array > 0),
        "mean_if_all_lobes_were_known": float(np.mean(list(known.values()))),
    }
    return {name: round(value, 3) for name, value in values.items()}


def means(rows: dict[str, dict[str, float]], kind: str) -> dict[str, float]:
    """Return the mean of each column over the cases whose name begins with ``kind``."""
    chosen = [values for name, values in rows.items() if name.startswith(kind)]
    return {name: round(float(np.mean([values[name] for values in chosen])), 3) for name in (chosen or [{}])[0]}


def parse() -> Any:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="id or folder of a model that `lungtumorseg train lobes.yaml` made")
    parser.add_argument("ct", nargs="?", type=Path)
    parser.add_argument("lobes", nargs="?", type=Path)
    parser.add_argument("--values", nargs=5, type=int, default=range(1, 6), metavar="N")
    parser.add_argument("--phantoms", type=int, default=6, metavar="N", help="number of phantoms (default: 6)")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    if options.ct and not options.lobes:
        parser.error("a CT needs its label map of the lobes")
    return options


if __name__ == "__main__":
    main()
