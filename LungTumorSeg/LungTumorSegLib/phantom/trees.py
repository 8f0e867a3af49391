"""Branching trees that fill a lung: arteries, veins and the bronchi that run beside the arteries.

A tree grows toward random points of the lung. Each point is joined to a node that is near it and heads toward it.
Points are joined in the order given. Radii follow Murray's law: the parent's radius to the power g is the sum of its
children's radii to the power g (C. D. Murray 1926, doi:10.1073/pnas.12.3.207, g = 3; pulmonary arteries are nearer to
2.6 to 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.volume import Array
from .canvas import Canvas, CoarseGrid, blend, coverage
from .shapes import Field, capsule

MURRAY_EXPONENT = 2.7
TIP_RADIUS_MM = 0.5
PATH_WEIGHT = 0.35
"""Cost of a mm already traveled from the root relative to a mm of new vessel; keeps main branches straight."""

TURN_WEIGHT = 0.5
STEP_MM = 14.0
"""Longest segment, mm; longer connections get intermediate nodes, from which later branches start."""

BRANCH_SWELL = 1.35
"""Largest ratio of a branch's radius at its start to that at its end."""

LARGEST_RADIUS_MM = 8.0
SMALLEST_BRONCHUS_MM = 1.1
"""Radius below which an artery has no visible bronchus beside it, mm."""

AIR_HU, WALL_HU = -1000.0, 0.0
WALL_SHARE, THINNEST_WALL_MM = 0.22, 0.8
"""Wall thickness as a share of the lumen's radius, and the smallest wall thickness, mm."""


@dataclass(frozen=True, eq=False)
class Tree:
    """A tree of vessels or airways.

    Attributes:
        nodes: Points (n, 3), LPS mm.
        parents: Index of the parent of each node (n,), -1 at the root.
        radii: Radius of the vessel that ends at each node (n,), mm.
    """

    nodes: Array
    parents: Array
    radii: Array


def grow(root: Array, direction: Array, targets: Array, rng: np.random.Generator) -> Tree:
    """Grow a tree from its root to random points.

    Args:
        root: Start (3,), LPS mm.
        direction: Direction (x, y, z) in which the tree leaves the root.
        targets: Points (n, 3) to reach, LPS mm, in this order.
        rng: Draws the bends.

    Returns:
        The tree.
    """
    capacity = 8 * len(targets) + 8
    nodes, headings = np.zeros((3, capacity)).T, np.zeros((3, capacity)).T  # each coordinate is contiguous
    traveled, parents = np.zeros(capacity), np.full(capacity, -1)
    nodes[0], headings[0], count = root, direction / np.linalg.norm(direction), 1
    for target in targets:
        at = _nearest_ahead(target, nodes[:count].T, headings[:count].T, traveled[:count])
        to = target - nodes[at]
        distance = np.sqrt(np.einsum("j,j", to, to)) + 1e-6
        steps = min(int(np.ceil(distance / STEP_MM)), 7)
        bend = rng.normal(0, 0.06, 3) * distance + 0.12 * distance * headings[at]
        for k in range(1, steps + 1):
            share = k / steps
            nodes[count] = nodes[at] + to * share + bend * (4 * share * (1 - share))
            parents[count] = at if k == 1 else count - 1
            step = nodes[count] - nodes[parents[count]]
            length = np.linalg.norm(step)
            headings[count] = step / (length + 1e-6)
            traveled[count] = traveled[parents[count]] + length
            count += 1
    return Tree(nodes[:count], parents[:count], _murray(parents[:count]))


def _nearest_ahead(target: Array, nodes: Array, headings: Array, traveled: Array) -> int:
    """Return the index of the node to join ``target`` to: near it, heading toward it, and not far from the root.

    Nodes and headings are (3, n), LPS mm; ``traveled`` (n,) is the way from the root, mm.
    """
    x, y, z = target[0] - nodes[0], target[1] - nodes[1], target[2] - nodes[2]
    distance = x * x
    distance += y * y
    distance += z * z
    np.sqrt(distance, out=distance)
    distance += 1e-6
    ahead = x * headings[0]
    ahead += y * headings[1]
    ahead += z * headings[2]
    ahead /= distance
    cost = distance * (1 + TURN_WEIGHT * (1 - ahead))
    cost += PATH_WEIGHT * traveled
    return int(np.argmin(cost))


def _murray(parents: Array) -> Array:
    """Return the radii (n,), mm, computed from the tips to the root; every node must come after its parent."""
    power = np.zeros(len(parents))
    for i in range(len(parents) - 1, 0, -1):
        if power[i] == 0:
            power[i] = TIP_RADIUS_MM**MURRAY_EXPONENT
        power[parents[i]] += power[i]
    return np.asarray(np.minimum(power ** (1 / MURRAY_EXPONENT), LARGEST_RADIUS_MM))


def targets_in(level: Field, grid: CoarseGrid, count: int, depth_mm: float, rng: np.random.Generator) -> Array:
    """Draw random points inside a field.

    Args:
        level: Signed distance (z, y, x), mm, negative inside.
        grid: The field's grid.
        count: Number of points.
        depth_mm: Smallest distance of a point from the surface, mm.
        rng: Draws the points.

    Returns:
        Points (count, 3), LPS mm; none if the field is nowhere so deep.
    """
    index = np.argwhere(level < -depth_mm)[:, ::-1]
    if len(index) == 0:
        return np.zeros((0, 3))
    chosen = index[rng.integers(len(index), size=count)] + rng.uniform(-0.5, 0.5, (count, 3))
    return np.asarray(chosen * grid.spacing_mm + grid.low)


def _segments(tree: Tree) -> tuple[Array, Array, Array, Array]:
    """Return starts and ends (n, 3) of all segments and the radii (n,) at both.

    The start's radius is limited, so that a thick parent does not swell the root of a thin branch.
    """
    child = np.arange(1, len(tree.nodes))
    parent = tree.parents[child]
    radius_end = tree.radii[child]
    return tree.nodes[parent], tree.nodes[child], np.minimum(tree.radii[parent], BRANCH_SWELL * radius_end), radius_end


def paint_vessels(canvas: Canvas, trees: list[Tree], hu: float) -> None:
    """Paint vessels; where they meet, the larger coverage counts.

    Args:
        canvas: The canvas; it is painted in place.
        trees: The vessels.
        hu: HU of their blood.
    """
    share = np.zeros(canvas.grid.shape, np.float32)
    for tree in trees:
        start, end, radius_start, radius_end = _segments(tree)
        thin = np.minimum(1, 2 * radius_end / canvas.edge_mm)  # a vessel thinner than a voxel never fills it
        boxes = canvas.boxes(np.minimum(start, end), np.maximum(start, end), radius_start + 0.6 * canvas.edge_mm)
        for i, box in enumerate(boxes):
            if box is not None:
                distance = capsule(canvas.points(box), start[i], end[i], float(radius_start[i]), float(radius_end[i]))
                here = share[box]
                np.maximum(here, coverage(distance, canvas.edge_mm) * np.float32(thin[i]), out=here)
    for k in np.flatnonzero(share.any(axis=(1, 2))):
        blend(canvas.hu[k], share[k], hu)


def bronchi_beside(arteries: Tree, root: Array, rng: np.random.Generator) -> Tree:
    """Return the bronchi of a lung: the thick part of its arteries, shifted aside by both radii.

    Args:
        arteries: The arteries.
        root: The end (3,) of the main bronchus, LPS mm, which becomes the root.
        rng: Draws the direction of the shift.

    Returns:
        The bronchi; their radii are those of the lumen.
    """
    keep = np.flatnonzero(arteries.radii >= SMALLEST_BRONCHUS_MM)
    aside = np.array([0.15, 0.75, -0.25]) + rng.normal(0, 0.15, 3)
    aside /= np.linalg.norm(aside)
    new_index = {int(old): new for new, old in enumerate(keep)}
    radii = np.minimum(arteries.radii[keep] * 0.8, 5.0)
    offset = arteries.radii[keep] + radii * (1 + WALL_SHARE) + 0.8
    nodes = arteries.nodes[keep] + offset[:, None] * aside
    nodes[0] = root
    parents = np.array([new_index.get(int(arteries.parents[k]), -1) for k in keep])
    return Tree(nodes, parents, radii)


def paint_airways(canvas: Canvas, airways: list[Tree]) -> None:
    """Paint the walls and the lumina of airways into the canvas.

    All walls are painted before all lumina, so that branches open into each other.
    """
    for wall in (True, False):
        for tree in airways:
            start, end, radius_start, radius_end = _segments(tree)
            extra = np.maximum(WALL_SHARE * radius_end, THINNEST_WALL_MM) * wall
            boxes = canvas.boxes(np.minimum(start, end), np.maximum(start, end), radius_start + extra + canvas.edge_mm)
            for i, box in enumerate(boxes):
                if box is not None:
                    radii = float(radius_start[i] + extra[i]), float(radius_end[i] + extra[i])
                    canvas.paint(
                        box, capsule(canvas.points(box), start[i], end[i], *radii), WALL_HU if wall else AIR_HU
                    )


def unbranched_tree(rows: Array) -> Tree:
    """Return an unbranched tree through rows (n, 4): x, y, z and radius, LPS mm."""
    return Tree(rows[:, :3], np.arange(len(rows)) - 1, rows[:, 3])
