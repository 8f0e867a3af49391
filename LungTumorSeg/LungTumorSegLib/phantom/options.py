"""What a caller may settle about a phantom; whatever is left open is drawn from the seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.errors import UnusableInput
from .lesions import LesionSpec

COUCHES = ("curved", "flat", "none")
ARMS = ("up", "down")
DISTRACTORS = ("collapse", "effusion", "scars", "dependent", "pneumonia")
SPACING_RANGE_MM = (0.3, 10.0)
"""Below, a chest does not fit in memory; above, its anatomy is not resolved."""

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class PhantomOptions:
    """Settings of ``make_phantom``; None means "drawn from the seed, as a different patient and scanner each time".

    spacing_mm: distance of voxel centers along (slice, row, column).
    direction: 3 x 3, columns the LPS unit vectors of the slice, row and column axes; the default is axial (head, back, left).
    origin_lps_mm: position (x, y, z) of voxel (0, 0, 0).
    field_of_view_mm: side of the square in-plane field; may cut the body.
    height_mm: scanned range (lowest, highest) relative to the carina; the default covers both lungs.
    lesions: explicit lesions; ``()`` is a tumor-free patient. With None, ``lesion_count`` (default 1 to 4) lesions are drawn with
        log-uniform diameters in ``lesion_diameter_mm``.
    distractors: any of "collapse", "effusion", "scars", "dependent" (density that follows gravity), "pneumonia": what is no tumor.
        The last two are present only where they are named.
    scoliosis_mm: largest sideways excursion of the spine, positive to the left. noise_hu: standard deviation in soft tissue.
    enhancement_hu: what a contrast agent adds to arterial blood; 0 is a native scan.
    blanket, leads: cloth and electrode wires on the patient. emphysema: share of the lung destroyed.
    circle: nothing is reconstructed outside the field's circle.

    Raises UnusableInput for values outside their range.
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

    def __post_init__(self) -> None:
        low, high = SPACING_RANGE_MM
        if self.spacing_mm is not None and not all(low <= s <= high for s in self.spacing_mm):
            raise UnusableInput(
                f"The phantom's spacing must lie between {low} and {high} mm on each axis; {self.spacing_mm} does not."
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
        if (self.emphysema or 0) > 0.5:
            raise UnusableInput("The phantom's emphysema is a share of the lung, 0 to 0.5.")
        for name in ("lesion_count", "noise_hu", "emphysema", "field_of_view_mm"):
            if (getattr(self, name) or 0) < 0:
                raise UnusableInput(f"The phantom's {name} must not be negative.")


def _is_rotation(direction: tuple[Triple, Triple, Triple]) -> bool:
    matrix = np.asarray(direction, dtype=float)
    return matrix.shape == (3, 3) and bool(np.abs(matrix.T @ matrix - np.eye(3)).max() < 1e-4)


def _check_choice(what: str, value: str | None, choices: tuple[str, ...]) -> None:
    if value is not None and value not in choices:
        raise UnusableInput(f"There is no {what} named {value!r}; choose from {', '.join(choices)}.")
