"""What a caller may fix about a phantom; everything else is drawn from the seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import UnusableInput

if TYPE_CHECKING:
    from .lesions import LesionSpec  # imports scipy

COUCHES = ("curved", "flat", "none")
ARMS = ("up", "down")
DISTRACTORS = ("collapse", "effusion", "scars", "dependent", "ventral", "pneumonia", "breathing")
ACCESSORY_FISSURES = ("azygos", "inferior", "left_horizontal")
SPACING_RANGE_MM = (0.3, 10.0)
"""Allowed spacing, mm: at a smaller one a chest does not fit in memory, a larger one does not resolve its anatomy."""

BODY_GRID_MM = 4.0
"""Usual spacing of the grid on which organs are shaped, mm.

Linear interpolation of a distance on this grid has an error of spacing² / (8 R): 0.1 mm at a curvature radius R of 20
mm.
"""

BODY_GRID_RANGE_MM = (2.0, 8.0)
"""Allowed spacing of that grid, mm: a smaller one does not fit in memory, a larger one loses the heart."""

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class PhantomOptions:
    """Settings of ``make_phantom``.

    None means "drawn from the seed", so that each seed is a different patient and scanner.

    Attributes:
        spacing_mm: Distance between voxel centers along (slice, row, column), mm.
        direction: 3 x 3, whose columns are the LPS unit vectors of the slice, row and column axes. The default is axial
            (head, back, left).
        origin_lps_mm: Position (x, y, z) of voxel (0, 0, 0), LPS mm.
        field_of_view_mm: Side of the square in-plane field, mm; it may cut the body.
        height_mm: Scanned range (lowest, highest) relative to the carina, mm; the default covers both lungs.
        lesions: Explicit lesions; ``()`` is a tumor-free patient. With None, ``lesion_count`` lesions are drawn.
        lesion_count: Number of drawn lesions; by default 1 to 4.
        lesion_diameter_mm: Range (smallest, largest) of the drawn diameters, mm, within 3 to 100; they are log-uniform.
        distractors: Disease that is not tumor, any of ``DISTRACTORS``: "collapse" (atelectasis), "effusion", "scars",
            "dependent" (gravity-dependent density of a patient who lay on the back), "ventral" (the same of one who lay
            prone), "pneumonia", and "breathing" (steps of the diaphragm, see ``breathing``). All but the first three
            are present only if they are named.
        couch: One of ``COUCHES``.
        arms: One of ``ARMS``.
        scoliosis_mm: Largest sideways excursion of the spine, mm, positive to the left.
        noise_hu: Standard deviation of the noise in soft tissue, HU.
        enhancement_hu: HU that a contrast agent adds to arterial blood; 0 is an unenhanced scan.
        blanket: Whether a cloth lies on the patient.
        leads: Whether electrode wires lie on the patient.
        circle: Whether nothing is reconstructed outside the circle in the field of view.
        emphysema: Share of the lung that is destroyed, 0 to 0.5.
        lobes: Whether the lungs have five labeled lobes, with fissures where they lie in adults. Otherwise the fissures
            are those of the first phantoms (see ``fissures``), and the next two settings cannot be used.
        fissure_gaps: Share of each fissure that is missing, 0 to 1; the lobes stay complete. By default it is drawn.
        accessory_fissures: Fissures that divide a lobe, any of ``ACCESSORY_FISSURES``.
        body_grid_mm: Spacing of the grid on which organs are shaped, mm; a phantom on 6 mm takes half the time, is
            rounder, and is another patient than the same seed on 4 mm.

    Raises:
        UnusableInput: A value is outside its range.
    """

    spacing_mm: Triple | None = None
    direction: tuple[Triple, Triple, Triple] | None = None
    origin_lps_mm: Triple | None = None
    field_of_view_mm: float | None = None
    height_mm: tuple[float, float] | None = None
    lesions: tuple[LesionSpec, ...] | None = None
    lesion_count: int | None = None
    lesion_diameter_mm: tuple[float, float] = (4.0, 80.0)
    distractors: tuple[str, ...] | None = None
    couch: str | None = None
    arms: str | None = None
    scoliosis_mm: float | None = None
    noise_hu: float | None = None
    enhancement_hu: float | None = None
    blanket: bool | None = None
    leads: bool | None = None
    circle: bool | None = None
    emphysema: float | None = None
    lobes: bool = False
    fissure_gaps: float | None = None
    accessory_fissures: tuple[str, ...] | None = None
    body_grid_mm: float = BODY_GRID_MM

    def __post_init__(self) -> None:
        low, high = SPACING_RANGE_MM
        if self.spacing_mm is not None and not all(low <= s <= high for s in self.spacing_mm):
            raise UnusableInput(
                f"The phantom's spacing must be from {low} to {high} mm along each axis, not {self.spacing_mm}."
            )
        smallest, largest = BODY_GRID_RANGE_MM
        if not smallest <= self.body_grid_mm <= largest:
            raise UnusableInput(
                f"The grid of the phantom's body must be from {smallest} to {largest} mm, not {self.body_grid_mm}."
            )
        if self.direction is not None and not _is_rotation(self.direction):
            raise UnusableInput("The phantom's direction must be a 3 x 3 matrix with orthonormal columns.")
        if self.height_mm is not None and self.height_mm[1] - self.height_mm[0] < low:
            raise UnusableInput("The phantom's height must be given as (lowest, highest) mm with lowest below highest.")
        if not 3 <= self.lesion_diameter_mm[0] <= self.lesion_diameter_mm[1] <= 100:
            raise UnusableInput("Lesion diameters must be given as (smallest, largest), within 3 to 100 mm.")
        _check_choice("couch", self.couch, COUCHES)
        _check_choice("arms", self.arms, ARMS)
        for name in self.distractors or ():
            _check_choice("distractor", name, DISTRACTORS)
        self._check_lobes()
        if (self.emphysema or 0) > 0.5:
            raise UnusableInput("The phantom's emphysema must be a fraction of the lung, 0 to 0.5.")
        for name in ("lesion_count", "noise_hu", "emphysema", "field_of_view_mm"):
            if (getattr(self, name) or 0) < 0:
                raise UnusableInput(f"The phantom's {name} must not be negative.")

    def _check_lobes(self) -> None:
        for name in self.accessory_fissures or ():
            _check_choice("accessory fissure", name, ACCESSORY_FISSURES)
        if self.fissure_gaps is not None and not 0 <= self.fissure_gaps <= 1:
            raise UnusableInput(f"The phantom's fissure_gaps must be a share from 0 to 1, not {self.fissure_gaps}.")
        if not self.lobes and (self.fissure_gaps is not None or self.accessory_fissures is not None):
            raise UnusableInput("Gaps and accessory fissures belong to a phantom with lobes; set lobes too.")


def check_seed(seed: int) -> None:
    """Check the seed of a phantom.

    Raises:
        UnusableInput: It is negative.
    """
    if seed < 0:
        raise UnusableInput(f"The phantom's seed must be 0 or more, not {seed}.")


def _is_rotation(direction: tuple[Triple, Triple, Triple]) -> bool:
    matrix = np.asarray(direction, dtype=float)
    return matrix.shape == (3, 3) and bool(np.abs(matrix.T @ matrix - np.eye(3)).max() < 1e-4)


def _check_choice(what: str, value: str | None, choices: tuple[str, ...]) -> None:
    if value is not None and value not in choices:
        raise UnusableInput(f"There is no {what} named {value!r}; choose from {', '.join(choices)}.")
