"""Where training samples lie: their kind, the case in their background, and the position in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from ..core.errors import UnusableInput
from ..core.volume import Array
from .sampling_config import SamplingConfig
from .store import StoredCase

BORDER_SHARE = 0.55
"""Share of the implants at the lung's surface: pleura, hilum, mediastinum, diaphragm."""

MASSES = "masses"
"""Kind of the samples with a mass at a wall of the lungs."""

KINDS = ("implants", "lesions", "lung", "hard_sites")
"""The other kinds of samples; each has its share in the configuration, under its name."""

T = TypeVar("T")

Site = tuple[int, int, int, int]
"""A position: (case index, slice, row, column)."""


@dataclass(frozen=True, eq=False)
class Place:
    """A position in a case.

    Attributes:
        case: The case.
        voxel: The position (slice, row, column), float.
        wall: The wall of the lung at which a mass lies there; "" if it lies at none.
    """

    case: StoredCase
    voxel: Array
    wall: str = ""


class Places:
    """Draws kinds and places of samples in the shares of a configuration."""

    def __init__(self, cases: Sequence[StoredCase], config: SamplingConfig, hard_sites: Sequence[Site] = ()) -> None:
        self._cases, self._config, self._hard = cases, config, hard_sites
        self._scans = [i for i, case in enumerate(cases) if not case.is_phantom]
        self._phantoms = [i for i, case in enumerate(cases) if case.is_phantom]

    def kind(self, rng: np.random.Generator) -> str:
        """Draw the kind of a sample: ``MASSES`` or one of ``KINDS``. Without hard sites, the others fill in."""
        if self._config.masses and rng.random() < self._config.masses:
            return MASSES
        shares = np.array([getattr(self._config, name) for name in KINDS])
        if not self._hard:
            shares[KINDS.index("hard_sites")] = 0.0
        shares = shares if shares.any() else np.ones(3)
        return KINDS[int(rng.choice(len(shares), p=shares / shares.sum()))]

    def draw(self, kind: str, rng: np.random.Generator) -> Place:
        """Draw a place for a sample of a kind.

        Raises:
            UnusableInput: A case has no lung on the working grid.
        """
        if kind == MASSES:
            return self._at_wall(rng)
        if kind == "hard_sites":
            case, *position = self._hard_site(rng)
            return Place(self._cases[case], np.asarray(position, float))
        return self._in_lung(self._background(rng), kind, rng)

    def _in_lung(self, case: StoredCase, kind: str, rng: np.random.Generator) -> Place:
        names = case.lesion_names if kind == "lesions" else []
        name = (
            str(rng.choice(names))
            if names
            else ("border" if kind == "implants" and rng.random() < BORDER_SHARE else "lung")
        )
        sites = case.sites[name] if len(case.sites[name]) else case.sites["lung"]  # a coarse grid has no border
        if not len(sites):
            raise UnusableInput(f"{case.folder.name} has no lung on a grid of this spacing; choose a finer spacing.")
        return Place(case, sites[rng.integers(len(sites))].astype(float))

    def _at_wall(self, rng: np.random.Generator) -> Place:
        """Draw a position at one of the walls of the lungs, of which each is as likely.

        A case in which no wall is clear has its masses anywhere in the lung, without a wall.
        """
        case = self._background(rng)
        walls = [wall for wall, sites in case.walls.items() if len(sites)]
        if not walls:
            return self._in_lung(self._background(rng), "lung", rng)
        wall = walls[int(rng.integers(len(walls)))]
        return Place(case, case.walls[wall][rng.integers(len(case.walls[wall]))].astype(float), wall)

    def _background(self, rng: np.random.Generator) -> StoredCase:
        return self._cases[of_either(self._scans, self._phantoms, self._config.real_backgrounds, rng)]

    def _hard_site(self, rng: np.random.Generator) -> Site:
        """Draw a hard site, from real CTs in the configured share.

        The few CTs teach more than the many phantoms, whose sites would outnumber theirs.
        """
        scans = [site for site in self._hard if not self._cases[site[0]].is_phantom]
        phantoms = [site for site in self._hard if self._cases[site[0]].is_phantom]
        return of_either(scans, phantoms, self._config.real_backgrounds, rng)


def of_either(scans: Sequence[T], phantoms: Sequence[T], share: float, rng: np.random.Generator) -> T:
    """Draw one item, with probability ``share`` from those of real CTs; an empty group leaves the other one."""
    from_scans = bool(scans) and (not phantoms or rng.random() < share)
    group = scans if from_scans else phantoms
    return group[int(rng.integers(len(group)))]
