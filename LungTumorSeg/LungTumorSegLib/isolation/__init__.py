"""Lung isolation: from a chest CT to body, lungs, spine axis and the region in which tumors are looked for.

The steps follow a published pipeline (S. Primakov et al., Nature Communications 13, 3423, 2022, doi:10.1038/s41467-022-30841-3); where a
literal reading fails on real CT, the step's own file says what was changed, and on which CT. All steps run on a grid of about 2 mm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..ct import AxisOrder, CTVolume, Volume
from ..errors import UnusableInput
from ..events import Progress, ProgressCallback, ignore_progress
from .airways import find_airways
from .body import TISSUE_HU, find_body
from .lungs import LUNG_HU, fill_lung, find_lung_air
from .sides import separate_sides
from .spine import SpineAxis, find_spine_axis
from .symmetry import find_isolation_mask, isolate
from .working_grid import coarsen, enlarge, refine

__all__ = ["LungIsolation", "SpineAxis", "isolate_lungs"]

LEAST_LUNG_ML = 150.0
"""A CT with less lung in view, mL, is not taken for a chest; both lungs of an adult hold 3000 to 6000 mL."""

STEPS = 6
ANY_HU = float("inf")


@dataclass(frozen=True, eq=False)
class LungIsolation:
    """What ``isolate_lungs`` finds; all masks are bool and on the CT's own grid, and ``spine_axis`` has one point a canonical axial slice."""

    body: Volume
    left_lung: Volume
    right_lung: Volume
    spine_axis: SpineAxis
    mask: Volume
    isolated: CTVolume
    warnings: tuple[str, ...]

    @property
    def lungs(self) -> Volume:
        """Both lungs."""
        return self.left_lung.with_array(self.left_lung.array | self.right_lung.array)

    def reordered(self, order: AxisOrder) -> LungIsolation:
        """The same isolation with every volume in another order of axes; the spine axis, in LPS, does not depend on it."""
        volumes = {name: order.apply(getattr(self, name)) for name in ("body", "left_lung", "right_lung", "mask", "isolated")}
        return replace(self, **volumes)


def isolate_lungs(ct: CTVolume, on_progress: ProgressCallback = ignore_progress) -> LungIsolation:
    """Body, lungs, spine axis and isolation mask of a chest CT in any orientation; ``on_progress`` hears of each finished step.

    Raises UnusableInput if less than 150 mL of lung is in view.
    """
    order = ct.canonical_axes()
    axial = order.apply(ct)
    step = iter(range(1, STEPS + 1))

    def done() -> None:
        on_progress(Progress("isolation", next(step), STEPS))

    coarse = coarsen(axial)
    body = find_body(coarse)
    done()
    airways = find_airways(coarse, body)
    done()
    air = find_lung_air(coarse, body, airways)
    lung_ml = float(np.count_nonzero(air.array)) * air.voxel_volume_ml
    if lung_ml < LEAST_LUNG_ML:
        raise UnusableInput(f"Less than {LEAST_LUNG_ML:.0f} mL of lung is in view ({lung_ml:.0f} mL); choose a CT of the chest.")
    done()
    axis = find_spine_axis(coarse, body, air)
    done()
    left, right = (fill_lung(side, body, airways) for side in separate_sides(air, axis))
    right = right.with_array(right.array & ~left.array)
    mask = find_isolation_mask(left, right, axis, body)
    done()

    def fine(mask: Volume, low: float = -ANY_HU, high: float = ANY_HU) -> Volume:
        return Volume(refine(mask.array, axial, low, high), axial.affine)

    region = Volume(enlarge(mask.array, axial), axial.affine)
    result = LungIsolation(
        body=order.undo(fine(body, low=TISSUE_HU)),
        left_lung=order.undo(fine(left, high=LUNG_HU)),
        right_lung=order.undo(fine(right, high=LUNG_HU)),
        spine_axis=axis.on(axial),
        mask=order.undo(region),
        isolated=order.undo(isolate(axial, region)),
        warnings=_warnings(air),
    )
    done()
    return result


def _warnings(lungs: Volume) -> tuple[str, ...]:
    """Sentences on what limits the result: a lung that reaches the border of the volume."""
    faces = {"top": lungs.array[-1], "bottom": lungs.array[0], "front": lungs.array[:, 0], "back": lungs.array[:, -1],
             "right": lungs.array[..., 0], "left": lungs.array[..., -1]}
    cut = [name for name, face in faces.items() if face.any()]
    return (f"The lungs reach beyond the CT ({', '.join(cut)}); what lies outside it is not seen.",) if cut else ()
