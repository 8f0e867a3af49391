"""Which lesion of the earlier examination is which lesion of the later one.

Two lesions may belong together if the gap between their outlines, after registration, is small. Among these, the
assignment with the least total cost is chosen (H. W. Kuhn, Naval Research Logistics 2:83, 1955); the cost rises with
the distance of the centers, the ratio of the volumes and the difference of the HU. A lesion that is left over, but
fills much of the place of a matched one, is a piece of it (split), or has merged with it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree

from ..core.volume import Array

GATE_MM = 4.0
"""Largest gap between the outlines of two lesions that may be the same, mm, if the registration were exact."""

MOST_GATE_MM = 12.0
"""Largest gap for any registration, mm."""

VOLUME_WEIGHT, HU_WEIGHT, HU_SCALE = 0.35, 0.25, 300.0
"""Cost of a volume that differs by a factor of e, and of HU that differ by ``HU_SCALE``.

A center that is off by a radius costs 1.
"""

PIECE_SHARE = 0.4
"""Share of a piece that lies at the place of the whole lesion from which it is a piece of it."""

NOT_MATCHED_COST = 3.0
"""Cost from which two lesions are rather not the same."""


@dataclass(frozen=True, eq=False)
class Placed:
    """A lesion as the matching sees it.

    Attributes:
        points: Voxels (n, 3) in the frame of the later examination, LPS mm.
        volume_ml: Volume in its own examination, mL.
        mean_hu: Mean HU; None if unknown.
        voxel_mm: Largest spacing of its own mask, mm.
    """

    points: Array
    volume_ml: float
    mean_hu: float | None = None
    voxel_mm: float = 1.0

    @property
    def radius_mm(self) -> float:
        """Radius of the ball of equal volume, mm."""
        return float((self.volume_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3))


@dataclass(frozen=True)
class Group:
    """Lesions that are one lesion, by their place in the two lists.

    Attributes:
        earlier: Indices of the earlier lesions; none if the lesion is new.
        later: Indices of the later lesions; none if it is gone.
        confidence: How much better this match is than the next one, 0 to 1; 1 if the user linked the lesions; None for
            new and gone lesions.
    """

    earlier: tuple[int, ...]
    later: tuple[int, ...]
    confidence: float | None = None

    @property
    def kind(self) -> str:
        """Return "matched", "split", "merged", "new" or "gone"."""
        if not self.earlier:
            return "new"
        if not self.later:
            return "gone"
        if len(self.later) > 1:
            return "split"
        return "merged" if len(self.earlier) > 1 else "matched"


Link = tuple[int, int]
"""Index of an earlier and of a later lesion."""


def match(
    earlier: Sequence[Placed],
    later: Sequence[Placed],
    *,
    residual_mm: float = 0.0,
    links: Collection[Link] = (),
    unlinks: Collection[Link] = (),
    automatic: bool = True,
) -> list[Group]:
    """Match the lesions of two examinations.

    Args:
        earlier: The earlier lesions.
        later: The later lesions.
        residual_mm: Residual of the registration, mm; it widens the gate.
        links: Pairs that the user says belong together; nothing else is added to them.
        unlinks: Pairs that the user says do not belong together.
        automatic: Whether pairs other than ``links`` may be matched.

    Returns:
        The groups: first those with earlier lesions, in their order, then the new lesions.
    """
    costs, inside = _costs(earlier, later, min(MOST_GATE_MM, GATE_MM + residual_mm))
    for i, j in unlinks:
        costs[i, j] = np.inf
        inside[:, i, j] = 0
    pairs = dict.fromkeys(links, 1.0)
    if automatic:
        taken = {i for i, _ in links}, {j for _, j in links}
        free = costs.copy()
        free[list(taken[0])] = np.inf
        free[:, list(taken[1])] = np.inf
        for i, j in _assigned(free):
            pairs[i, j] = _confidence(costs, i, j)
        pairs |= _pieces(pairs, costs, inside, taken)
    return _grouped(pairs, len(earlier), len(later))


def _costs(earlier: Sequence[Placed], later: Sequence[Placed], gate_mm: float) -> tuple[Array, Array]:
    """Return the costs of all pairs (n, m), infinite beyond the gate, and how much of each lies inside the other.

    The second array has the shape (2, n, m): the share of the earlier lesion inside the later one, and the reverse.
    """
    costs = np.full((len(earlier), len(later)), np.inf)
    inside = np.zeros((2, len(earlier), len(later)))
    here, there = [cKDTree(each.points) for each in earlier], [cKDTree(each.points) for each in later]
    for i, a in enumerate(earlier):
        for j, b in enumerate(later):
            away = float(np.linalg.norm(a.points.mean(axis=0) - b.points.mean(axis=0)))
            if away > gate_mm + _extent(a) + _extent(b):
                continue
            to_later, to_earlier = there[j].query(a.points)[0], here[i].query(b.points)[0]
            if to_later.min() > gate_mm + max(a.voxel_mm, b.voxel_mm):
                continue
            near = max(a.voxel_mm, b.voxel_mm) + 0.5 * (gate_mm - GATE_MM)
            inside[:, i, j] = np.mean(to_later <= near), np.mean(to_earlier <= near)
            costs[i, j] = away / max(a.radius_mm, b.radius_mm, gate_mm)
            costs[i, j] += VOLUME_WEIGHT * abs(np.log(a.volume_ml / b.volume_ml))
            if a.mean_hu is not None and b.mean_hu is not None:
                costs[i, j] += HU_WEIGHT * min(2.0, abs(a.mean_hu - b.mean_hu) / HU_SCALE)
    costs[costs > NOT_MATCHED_COST] = np.inf
    return costs, inside


def _extent(lesion: Placed) -> float:
    return float(np.linalg.norm(lesion.points - lesion.points.mean(axis=0), axis=1).max())


def _assigned(costs: Array) -> list[Link]:
    """Return the pairs with the least total cost, where a lesion without partner costs half of ``NOT_MATCHED_COST``."""
    if not costs.size:
        return []
    finite = np.where(np.isfinite(costs), costs, 10 * NOT_MATCHED_COST)
    rows, columns = linear_sum_assignment(finite)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if np.isfinite(costs[i, j])]


def _confidence(costs: Array, i: int, j: int) -> float:
    """Return how likely a pair is, compared with its alternatives and with no match at all."""
    others = np.concatenate([np.delete(costs[i], j), np.delete(costs[:, j], i), [NOT_MATCHED_COST]])
    own = np.exp(-2 * costs[i, j])
    return float(own / (own + np.exp(-2 * others.min())))


def _pieces(
    pairs: dict[Link, float], costs: Array, inside: Array, taken: tuple[set[int], set[int]]
) -> dict[Link, float]:
    """Return further pairs: lesions left over that lie at the place of a matched one."""
    found: dict[Link, float] = {}
    matched_earlier, matched_later = {i for i, _ in pairs}, {j for _, j in pairs}
    for j in set(range(costs.shape[1])) - matched_later:
        shares = [inside[1, i, j] if i in matched_earlier - taken[0] else 0.0 for i in range(costs.shape[0])]
        if shares and max(shares) >= PIECE_SHARE:
            found[int(np.argmax(shares)), j] = float(max(shares))
    for i in set(range(costs.shape[0])) - matched_earlier:
        shares = [inside[0, i, j] if j in matched_later - taken[1] else 0.0 for j in range(costs.shape[1])]
        if shares and max(shares) >= PIECE_SHARE:
            found[i, int(np.argmax(shares))] = float(max(shares))
    return found


def _grouped(pairs: dict[Link, float], earlier: int, later: int) -> list[Group]:
    """Return the connected groups of lesions."""
    group_of: dict[tuple[str, int], int] = {}
    members: list[set[tuple[str, int]]] = []
    for node in [*(("earlier", i) for i in range(earlier)), *(("later", j) for j in range(later))]:
        group_of[node] = len(members)
        members.append({node})
    for i, j in pairs:
        into, out = sorted((group_of["earlier", i], group_of["later", j]))
        if into != out:
            for node in members[out]:
                group_of[node] = into
            members[into] |= members[out]
            members[out] = set()
    groups = []
    for nodes in members:
        if nodes:
            before = tuple(sorted(i for kind, i in nodes if kind == "earlier"))
            after = tuple(sorted(j for kind, j in nodes if kind == "later"))
            weights = [weight for (i, j), weight in pairs.items() if i in before and j in after]
            groups.append(Group(before, after, min(weights) if weights else None))
    return groups
