"""Lung isolation: from a chest CT to body, lungs, spine axis and the region in which tumors are looked for.

The steps follow a published pipeline (S. Primakov et al., Nature Communications 13, 3423, 2022, doi:10.1038/s41467-022-30841-3); where a
literal reading fails on real CT, the step's own file says what was changed, and on which CT. All steps run on a grid of about 2 mm.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..core.errors import UnusableInput
from ..core.events import Progress, ProgressCallback, ignore_progress
from ..core.volume import AIR_HU, Array, AxisOrder, CTVolume, Volume
from .airways import find_airways
from .body import TISSUE_HU, find_body
from .carina import Point, carina_of, find_carina
from .doubts import doubts
from .lungs import DEPENDENT_HU, LUNG_HU, fill_lung, find_dependent, find_fragments, find_lung_air, with_walls
from .region import expected_lung, isolation_mask
from .sides import is_left, separate_sides
from .spine import SpineAxis, find_spine_axis
from .symmetry import mirrored
from .working_grid import coarsen, enlarge, refine

__all__ = ["LungIsolation", "SpineAxis", "carina_of", "isolate_lungs"]

LEAST_LUNG_ML = 150.0
"""A CT with less lung in view, mL, is not taken for a chest; both lungs of an adult hold 3000 to 6000 mL."""

STEPS = 7
"""Progress is told this many times: body, airways, lungs, spine axis, sides, isolation mask, the CT's own grid."""


@dataclass(frozen=True, eq=False)
class LungIsolation:
    """What ``isolate_lungs`` finds: bool masks on the CT's own grid, and a spine axis with one point a canonical axial slice.

    Without ``sides_known`` no spine was seen where it belongs: left and right are then only what lies on either side of ``spine_axis``, and
    nobody may report them as the patient's left and right. ``carina_lps`` (mm) is None where trachea and both main bronchi are not found.
    """

    body: Volume
    left_lung: Volume
    right_lung: Volume
    spine_axis: SpineAxis
    mask: Volume
    isolated: CTVolume
    warnings: tuple[str, ...]
    carina_lps: Point | None = None
    sides_known: bool = True

    @property
    def lungs(self) -> Volume:
        """Both lungs."""
        return self.left_lung.with_array(self.left_lung.array | self.right_lung.array)

    def reordered(self, order: AxisOrder) -> LungIsolation:
        """The same isolation with every volume in another order of axes; the spine axis and the carina, in LPS, do not depend on it."""
        volumes = {
            name: order.apply(getattr(self, name)) for name in ("body", "left_lung", "right_lung", "mask", "isolated")
        }
        return replace(self, **volumes)


def isolate_lungs(ct: CTVolume, on_progress: ProgressCallback = ignore_progress) -> LungIsolation:
    """Body, lungs, spine axis and isolation mask of a chest CT in any orientation; ``on_progress`` hears of each finished step.

    Raises UnusableInput if less than 150 mL of lung is in view.
    """
    order = ct.canonical_axes()
    axial = order.apply(ct)
    done = iter(range(1, STEPS + 1))

    def step_done() -> None:
        on_progress(Progress("isolation", next(done), STEPS))

    coarse = coarsen(axial)
    body = find_body(coarse)
    step_done()
    airways = find_airways(coarse, body)
    step_done()
    air = find_lung_air(coarse, body, airways)
    step_done()
    axis = find_spine_axis(coarse, body, air)
    _check_lung_in_view(air, axis)
    step_done()
    left, right = separate_sides(air, axis)
    expected = np.logical_or(*expected_lung(left, right, airways, axis))
    fragments = find_fragments(coarse, body, airways, air, expected).array
    beyond = is_left(axis, air)
    dependent_left = find_dependent(coarse, body, airways, left.array, right.array)
    dependent_right = find_dependent(coarse, body, airways, right.array, left.array) & ~dependent_left
    left = fill_lung(air.with_array(left.array | (fragments & beyond) | dependent_left), body, airways)
    right = fill_lung(air.with_array(right.array | (fragments & ~beyond) | dependent_right), body, airways)
    right = right.with_array(right.array & ~left.array)
    step_done()
    mask = isolation_mask(left, right, airways, axis, body, axial)
    step_done()
    tubes = enlarge(with_walls(airways), axial)
    left_lung = _outlined(left.array, dependent_left, axial) & ~tubes & ~enlarge(right.array, axial)
    right_lung = _outlined(right.array, dependent_right, axial) & ~tubes & ~left_lung
    result = LungIsolation(
        body=order.undo(Volume(refine(body.array, axial, TISSUE_HU, np.inf), axial.affine)),
        left_lung=order.undo(Volume(left_lung, axial.affine)),
        right_lung=order.undo(Volume(right_lung, axial.affine)),
        spine_axis=axis.on(axial),
        mask=order.undo(mask),
        isolated=order.undo(_isolated(axial, mask)),
        warnings=doubts(coarse, body, left, right, airways, axis),
        carina_lps=find_carina(airways),
        sides_known=axis.seen == "back",
    )
    step_done()
    return result


def _outlined(lung: Array, dependent: Array, ct: CTVolume) -> Array:
    """A lung, bool on the coarse grid, on the CT's own grid; its border lies at a higher HU where the lung is dependent."""
    outlined = refine(lung, ct, -np.inf, LUNG_HU)
    if dependent.any():
        outlined |= refine(dependent, ct, -np.inf, DEPENDENT_HU)
    return outlined


def _isolated(ct: CTVolume, mask: Volume) -> CTVolume:
    """``ct`` with every voxel outside ``mask`` (bool, same grid) set to ``AIR_HU``."""
    return replace(ct, array=np.where(mask.array, ct.array, ct.array.dtype.type(AIR_HU)))


def _check_lung_in_view(air: Volume, axis: SpineAxis) -> None:
    """A lung that is collapsed or filled counts as well, so the volume is that of the air with its mirror image."""
    volume_ml = float(np.count_nonzero(air.array | mirrored(air.array, axis.columns(air)))) * air.voxel_volume_ml
    if volume_ml < LEAST_LUNG_ML:
        raise UnusableInput(
            f"Less than {LEAST_LUNG_ML:.0f} mL of lung is in view ({volume_ml:.0f} mL); choose a CT of the chest."
        )
