"""Draw every network as SVG, from its modules and the flow of one stack: ``python Testing/tools/draw_networks.py``.

A network of the published width runs once on torch's meta device, which computes shapes only. Each block is a box; its
row is its resolution, and the lines are the data flow, which autograd records. Nothing is drawn by hand.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import torch
from LungTumorSegLib.networks import build_network
from LungTumorSegLib.networks.fusion import FeatureExtractor
from LungTumorSegLib.networks.registry import network_names
from LungTumorSegLib.networks.res_unet import Decoder
from torch import nn

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images" / "networks"

SLICES, SIDE = 16, 64
"""Size of the stack that is sent through a network: slices, and rows and columns."""

ROUNDED = 0.1
"""Halvings that an output may lack because an odd size was rounded up or because a convolution did not pad."""

CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
OPENED = (nn.ModuleList, Decoder, FeatureExtractor)
"""Modules that are drawn as their children."""

COLUMN, ROW, LEFT, TOP = 54, 84, 60, 40
"""Distances of columns and rows, and the margins before the first ones, pixels."""

BOX, HEIGHT = 30, 36
"""Size of a box, pixels."""

COLORS = ("#9ecae1", "#a1d99b", "#fdd0a2", "#dadaeb", "#fcbba1", "#d9d9d9")
"""Colors of the classes of blocks, in the order in which they appear."""


@dataclass(eq=False)
class Box:
    """A block of a network.

    Attributes:
        name: Path of the module.
        module: The module.
        channels: Number of its output channels.
        rows: Number of rows of its output.
        column: Its place in the order of computation.
        sources: The boxes whose outputs it receives; None is the input.
    """

    name: str
    module: nn.Module
    channels: int
    rows: int
    column: int
    sources: list[Box | None]


def flow(name: str) -> list[Box]:
    """Return the blocks of a network of published width in the order of computation."""
    with torch.device("meta"):
        network = build_network(name)
        stack = torch.zeros(1, 1, SLICES, SIDE, SIDE, requires_grad=True)
    boxes: list[Box] = []
    made: dict[Any, Box] = {}

    def record(path: str, module: nn.Module, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        sources: list[Box | None] = []
        for value in inputs:
            if isinstance(value, torch.Tensor) and value.requires_grad:
                sources += [box for box in _origins(value, made) if box not in sources]
        box = Box(path, module, output.shape[1], output.shape[-1], len(boxes), sources)
        boxes.append(box)
        made[output.grad_fn] = box

    for path, module in _blocks(network):
        module.register_forward_hook(lambda module, inputs, output, path=path: record(path, module, inputs, output))
    network.eval().outputs(stack[:, :, 0] if network.dims == 2 else stack)
    return boxes


def _blocks(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules that are drawn: all that hold convolutions."""
    for name, child in module.named_children():
        if isinstance(child, OPENED):
            yield from _blocks(child, f"{path}{name}.")
        elif any(isinstance(part, CONVOLUTIONS) for part in child.modules()):
            yield f"{path}{name}", child


def _origins(value: torch.Tensor, made: dict[Any, Box]) -> list[Box | None]:
    """Return the boxes that computed a value; None stands for the input, if no box did."""
    found: list[Box] = []
    seen, to_see = set(), [value.grad_fn]
    while to_see:
        node = to_see.pop()
        if node in seen or node is None:
            continue
        seen.add(node)
        if node in made:
            found.append(made[node])
        else:
            to_see += [other for other, _ in node.next_functions]
    return [*sorted(found, key=lambda box: box.column)] or [None]


def kernels(module: nn.Module) -> list[str]:
    """Return the kernels of a block's convolutions, such as ["3 × 5³"]; ↓ halves the size and ↑ doubles it."""
    texts = []
    for part in module.modules():
        if isinstance(part, CONVOLUTIONS):
            sizes = [int(size) for size in part.kernel_size]
            text = f"{sizes[0]}{'²' if len(sizes) == 2 else '³'}" if len(set(sizes)) == 1 else "·".join(map(str, sizes))
            texts.append(text + ("" if max(part.stride) == 1 else "↓" if not part.transposed else "↑"))
    return [text if count == 1 else f"{count} × {text}" for text, count in Counter(texts).items()]


def picture(name: str) -> str:
    """Return the drawing of a network as SVG text."""
    boxes = flow(name)
    largest = max(SIDE, *(box.rows for box in boxes))
    levels = {box: int(math.log2(largest / box.rows) + ROUNDED) for box in boxes}
    places = {box: (LEFT + COLUMN * box.column, TOP + ROW * levels[box]) for box in boxes}
    kinds = list(dict.fromkeys(type(box.module).__name__ for box in boxes))
    bottom = TOP + ROW * (max(levels.values()) + 1)
    width, height = LEFT + COLUMN * len(boxes) + 10, bottom + 24
    width = max(width, LEFT + 150 * len(kinds))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="9" text-anchor="middle">',
        f"<title>{escape(name)}</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
    ]
    for level in range(max(levels.values()) + 1):
        share = "1" if level == 0 else f"1/{2**level}"
        lines.append(f'<text x="24" y="{TOP + ROW * level + HEIGHT // 2 + 3}" fill="#555">{share}</text>')
    for box in boxes:
        lines += [_line(places[source], places[box]) for source in box.sources if source is not None]
    for box in boxes:
        lines += _box(box, *places[box], COLORS[kinds.index(type(box.module).__name__) % len(COLORS)])
    for number, kind in enumerate(kinds):
        x = LEFT + 150 * number
        lines.append(f'<rect x="{x}" y="{bottom}" width="12" height="12" fill="{COLORS[number % len(COLORS)]}"/>')
        lines.append(f'<text x="{x + 18}" y="{bottom + 10}" text-anchor="start">{kind}</text>')
    return "\n".join([*lines, "</svg>", ""])


def _box(box: Box, x: int, y: int, color: str) -> list[str]:
    """Return a box with its channels above and its kernels below; the tooltip names the module."""
    title = escape(f"{box.name}: {type(box.module).__name__}, {box.channels} channels")
    lines = [
        f'<rect x="{x}" y="{y}" width="{BOX}" height="{HEIGHT}" fill="{color}" stroke="#333"><title>{title}</title>'
        "</rect>",
        f'<text x="{x + BOX // 2}" y="{y - 4}" font-weight="bold">{box.channels}</text>',
    ]
    for number, text in enumerate(kernels(box.module)):
        lines.append(f'<text x="{x + BOX // 2}" y="{y + HEIGHT + 11 + 10 * number}">{text}</text>')
    return lines


def _line(source: tuple[int, int], target: tuple[int, int]) -> str:
    """Return a line from the right side of one box to the left side of another, above the boxes between them."""
    (x1, y1), (x2, y2) = source, target
    x1, y1, y2 = x1 + BOX, y1 + HEIGHT // 2, y2 + HEIGHT // 2
    if x2 - x1 < COLUMN:
        path = f"M{x1} {y1}L{x2} {y2}"
    else:
        lift = min(y1, y2) - (0 if y1 != y2 else HEIGHT // 2 + 14)
        path = f"M{x1} {y1}C{x1 + 24} {lift} {x2 - 24} {lift} {x2} {y2}"
    return f'<path d="{path}" fill="none" stroke="#777"/>'


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for network in network_names():
        (FOLDER / f"{network}.svg").write_text(picture(network), encoding="utf-8")
