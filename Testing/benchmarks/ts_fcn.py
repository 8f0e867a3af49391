"""Train the TS-FCN with which clicks are compared, and outline a lesion with it.

    python Testing/benchmarks/ts_fcn.py WEIGHTS.safetensors NODULES CT=TUMOR_MASK [CT=TUMOR_MASK ...]
        [--width N] [--steps N] [--rounds N]

Follows Ray 2016 ("Lung tumor segmentation via fully convolutional neural networks", Stanford CS231N): axial slices of a
square of twice the lesion's extent, resized to 100 x 100 pixels, mirrored and turned in steps of 90 degrees, softmax
loss with the weights 0.96 and 0.04, Adam, a rate that is multiplied by 0.9 twenty times. The square lies around a
click, so the network gets what click_accuracy.py gives to every method: a click and the size of the lesion.

The report's weights of the loss fit a tumor of 4 % of the pixels. Here it has more, so the network draws too much;
therefore the bias of the tumor class is moved to where the slices of the training set have the highest mean Dice.

Different from the report: the first layers are not pretrained (the source of their weights is not named there), the
network is as wide as --width says (published: 64), a batch has eight slices, and the first rate is 0.0003. The lesions
are those of the masks and nodules of the split's training patients, implanted as in nodule_accuracy.py.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from LungTumorSegLib.core.volume import Array, CTVolume, as_point
from LungTumorSegLib.networks.registry import build_network
from LungTumorSegLib.networks.stored import save_weights
from LungTumorSegLib.networks.ts_fcn import TSFCN
from LungTumorSegLib.refinement.views import Cube
from LungTumorSegLib.training.data_config import NoduleConfig
from LungTumorSegLib.training.losses import weighted_softmax_loss
from LungTumorSegLib.training.nodules import read_nodules
from LungTumorSegLib.training.splits import read_split
from nodule_accuracy import NODULES_A_CT, Background, parser_of, with_nodules
from safetensors.torch import load_file
from scipy import ndimage

SEED, WIDTH = 47, 16
SIDE = 100
"""Side of a slice, pixels."""

SHELL = 2.5
"""Radius of the shell around a click that each method gets, divided by half of the lesion's longest extent."""

RADII_A_SIDE = 4.0
"""Side of the square, divided by half of the lesion's longest extent."""

WINDOW_HU = (-1000.0, 400.0)
BATCH, RATE, FALLS, FALL_FACTOR = 8, 3e-4, 20, 0.9
CLICKS, SLICES = 6, 4
"""Clicks for each lesion of the training set, and slices for each click."""

PRIOR = 0.1
JUDGED, BIASES = 400, tuple(np.arange(-2, 8.1, 0.5).tolist())
"""Slices by which the bias is chosen, and by how much it may fall."""

LEAST_DIAMETER_MM = 6.0


@dataclass(frozen=True)
class Slices:
    """Slices of 100 x 100 pixels: values 0 to 1 (float32) and lesion (bool), each (N, 100, 100)."""

    image: Array
    lesion: Array


def window(hu: Array) -> Array:
    """Return HU as values from 0 to 1, float32."""
    low, high = WINDOW_HU
    return np.clip((hu - low) / (high - low), 0, 1).astype(np.float32)


def resized(slices: torch.Tensor, side: int) -> torch.Tensor:
    """Return slices (N, 1, H, W) with ``side`` rows and columns."""
    return torch.nn.functional.interpolate(slices, (side, side), mode="bilinear", align_corners=False)


def load(path: Path, width: int) -> TSFCN:
    """Return a trained network."""
    network = _built(width)
    network.load_state_dict(load_file(path))
    return network.eval()


def outliner(network: TSFCN) -> Callable[[Array, float, float, float], Array]:
    """Return a method of click_accuracy.py: the lesion (bool) in a cube of HU around a click."""

    def outline(hu: Array, voxel_mm: float, ball_mm: float, shell_mm: float) -> Array:
        radius_mm = shell_mm / SHELL
        half = min(RADII_A_SIDE / 2 * radius_mm / voxel_mm, hu.shape[0] / 2)
        low, high = round(hu.shape[0] / 2 - half), round(hu.shape[0] / 2 + half)
        square = (slice(low, high),) * 3
        slices = torch.from_numpy(window(hu[square]))[:, None]
        with torch.no_grad():
            logits = network.logits(resized(slices, SIDE)[:, :, None])[:, :, 0]
        found = np.zeros(hu.shape, bool)
        found[square] = resized(logits, high - low)[:, 0].numpy() > 0
        labels, _ = ndimage.label(found, np.ones((3, 3, 3)))
        middle = tuple(slice(n // 2 - 1, n // 2 + 1) for n in hu.shape)
        at = np.unique(labels[middle])
        return np.isin(labels, at[at > 0])

    return outline


def main() -> None:
    """Train and write the weights."""
    options = parse()
    rng = np.random.default_rng(SEED)
    backgrounds = [Background(*pair.split("=")) for pair in options.cases]
    patients = set(read_split(options.split).training)
    nodules = [
        nodule
        for nodule in read_nodules(NoduleConfig(str(options.nodules)))
        if nodule.patient in patients and 2 * nodule.radius_mm >= LEAST_DIAMETER_MM
    ]
    parts = []
    for number in range(options.rounds):
        background = backgrounds[number % len(backgrounds)]
        chosen = [nodules[i] for i in rng.choice(len(nodules), NODULES_A_CT, replace=False)]
        parts += list(slices_around_lesions(*with_nodules(background, chosen, rng), rng))
        if number < len(backgrounds):
            parts += list(slices_around_lesions(background.ct, ndimage.label(background.tumor)[0], rng))
        sys.stderr.write(f"round {number + 1} of {options.rounds}, {sum(len(part.image) for part in parts)} slices\n")
    data = Slices(*(np.concatenate(each) for each in zip(*((p.image, p.lesion) for p in parts), strict=True)))
    network = train(data, options.width, options.steps, rng)
    move_bias(network, data, rng)
    save_weights(network, options.weights)


def slices_around_lesions(ct: CTVolume, truth: Array, rng: np.random.Generator) -> Iterator[Slices]:
    """Yield slices around random voxels of each lesion of a label map."""
    axes = ct.canonical_axes()
    upright, labels = axes.apply(ct), axes.apply(ct.with_array(truth)).array
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        mask = labels == number
        extent = max((part.stop - part.start) * mm for part, mm in zip(box, upright.spacing, strict=True))
        voxels = np.argwhere(mask)
        for at in voxels[rng.integers(len(voxels), size=CLICKS)]:
            cube = Cube(as_point(upright.index_to_lps(at)), RADII_A_SIDE * extent / 2, SIDE)
            hu = cube.sample(upright.array, upright, outside=-1024)
            lesion = cube.sample(mask.astype(np.float32), upright) > 0.5
            inside = np.flatnonzero(lesion.any((1, 2)))
            if len(inside):
                rows = np.append(rng.choice(inside, SLICES - 1), rng.integers(SIDE))
                yield Slices(window(hu[rows]).astype(np.float16), lesion[rows])


def train(data: Slices, width: int, steps: int, rng: np.random.Generator) -> TSFCN:
    """Return a network that was trained on the slices."""
    torch.manual_seed(SEED)
    network = _built(width)
    network.set_prior(PRIOR)
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    network.train()
    mean = 0.0
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = RATE * FALL_FACTOR ** (FALLS * step // steps)
        image, lesion = varied(data, rng.integers(len(data.image), size=BATCH), rng)
        loss = weighted_softmax_loss(network.logits(image), lesion, torch.ones_like(lesion))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        mean += (float(loss.detach()) - mean) / min(step + 1, 100)
        if step % 50 == 49:
            sys.stderr.write(f"step {step + 1} of {steps}, loss {mean:.4f}\n")
    return network.eval()


def move_bias(network: TSFCN, data: Slices, rng: np.random.Generator) -> None:
    """Move the bias of the tumor class to where slices of the training set have the highest mean Dice."""
    rows = rng.choice(len(data.image), min(len(data.image), JUDGED), replace=False)
    image = torch.from_numpy(data.image[rows].astype(np.float32))[:, None, None]
    with torch.no_grad():
        logits = torch.cat([network.logits(part) for part in torch.split(image, BATCH)])[:, 0, 0].numpy()
        truth = data.lesion[rows]

        def mean_dice(least: float) -> float:
            found = logits > least
            both = found.sum((1, 2)) + truth.sum((1, 2))
            return float((2 * (found & truth).sum((1, 2)) / np.maximum(both, 1))[both > 0].mean())

        best = max(BIASES, key=mean_dice)
        network.prior_biases()[0].sub_(best)
    sys.stderr.write(f"bias moved by {-best}, mean Dice of slices {mean_dice(0):.2f} to {mean_dice(best):.2f}\n")


def varied(data: Slices, rows: Array, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return slices as stacks (N, 1, 1, 100, 100), each mirrored and turned at random."""
    pairs = []
    for row in rows:
        pair = np.stack([data.image[row].astype(np.float32), data.lesion[row].astype(np.float32)])
        pair = np.rot90(pair, int(rng.integers(4)), axes=(1, 2))
        pairs.append(pair[:, :, ::-1] if rng.random() < 0.5 else pair)
    both = torch.from_numpy(np.stack(pairs))
    return both[:, None, :1], both[:, None, 1:]


def _built(width: int) -> TSFCN:
    network = build_network("ts_fcn", width)
    assert isinstance(network, TSFCN)
    return network


def parse() -> argparse.Namespace:
    """Parse the command line."""
    parser = parser_of(__doc__, "weights")
    parser.add_argument("--width", type=int, default=WIDTH)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=16)
    return parser.parse_args()


if __name__ == "__main__":
    main()
