"""Which phantoms a training sees: how often they have disease that is no tumor, contrast agent, and lesions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..phantom import PhantomOptions
from ..phantom.options import BODY_GRID_MM

LESIONS = (2, 5)
"""Smallest and largest number of lesions in a phantom that has any."""


@dataclass(frozen=True)
class PhantomKind:
    """What is drawn about the phantoms of a training; each phantom draws everything else from its seed.

    Attributes:
        stream: Random stream of these draws.
        spacing_mm: Ranges of slice spacing and in-plane spacing, mm.
        distractors: Share of the phantoms with each disease that is no tumor.
        unenhanced: Share of the phantoms without contrast agent.
        tumor_free: Share of the phantoms without a lesion.
        lobes: Whether the lobes are labeled, and the fissures are those of adults.
        body_grid_mm: Spacing of the grid on which organs are shaped, mm.
    """

    stream: int
    spacing_mm: tuple[tuple[float, float], tuple[float, float]]
    distractors: Mapping[str, float]
    unenhanced: float
    tumor_free: float
    lobes: bool = False
    body_grid_mm: float = BODY_GRID_MM

    def options(self, seed: int) -> PhantomOptions:
        """Return the options of the phantom of a seed."""
        rng = np.random.default_rng([seed, self.stream])
        (low, high), (fine, coarse) = self.spacing_mm
        slice_mm, in_plane = float(rng.uniform(low, high)), float(rng.uniform(fine, coarse))
        distractors = tuple(name for name, share in self.distractors.items() if rng.random() < share)
        unenhanced = self.unenhanced > 0 and rng.random() < self.unenhanced
        options = PhantomOptions(
            spacing_mm=(slice_mm, in_plane, in_plane),
            distractors=distractors,
            enhancement_hu=0.0 if unenhanced else None,
            lobes=self.lobes,
            body_grid_mm=self.body_grid_mm,
        )
        if rng.random() < self.tumor_free:
            return dataclasses.replace(options, lesions=())
        return dataclasses.replace(options, lesion_count=int(rng.integers(LESIONS[0], LESIONS[1], endpoint=True)))


NEAR_GRID_MM = ((2.5, 4.0), (1.3, 1.8))
"""Spacing close to the working grid's, which makes phantoms several times faster than at a scanner's spacing."""

KINDS = {
    "plain": PhantomKind(7, NEAR_GRID_MM, {"collapse": 0.2, "effusion": 0.25, "scars": 0.35}, 0.0, 0.15),
    "varied": PhantomKind(
        7,
        NEAR_GRID_MM,
        {"collapse": 0.2, "effusion": 0.25, "scars": 0.35, "dependent": 0.4, "pneumonia": 0.35},
        0.5,
        0.2,
    ),
    "lobes": PhantomKind(
        7,
        ((2.5, 4.0), (1.6, 2.4)),
        {"effusion": 0.1, "scars": 0.35, "dependent": 0.4, "pneumonia": 0.2},
        0.5,
        0.5,
        lobes=True,
        body_grid_mm=6.0,
    ),
}
"""Phantoms of a first network. All have more disease than drawn patients, because hard cases teach more.

``plain``: as for the shipped model. ``varied``: also unenhanced hearts, dependent density and pneumonia. ``lobes``: for
a training of lobes; without atelectasis, whose lobe would shrink, and on a coarser grid, because many are needed.
"""

SECOND_LOOK = PhantomKind(
    77,
    ((1.5, 5.0), (1.0, 1.6)),
    {"collapse": 0.15, "effusion": 0.25, "scars": 0.3, "dependent": 0.4, "pneumonia": 0.4},
    0.5,
    0.25,
)
"""Phantoms of a second network, which must learn all that looks like tumor, on the scanner's own grid."""
