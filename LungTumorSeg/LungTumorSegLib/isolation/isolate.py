"""Lung isolation: from a chest CT to body, lungs, spine axis and the region in which tumors are searched.

The steps follow a published pipeline (S. Primakov et al., Nature Communications 13, 3423, 2022,
doi:10.1038/s41467-022-30841-3). Where a literal implementation fails on real CTs, the module of the step states what
was changed, and on which CT. All steps run on a grid of about 2 mm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..core.argument_types import as_ct
from ..core.crops import sparse
from ..core.errors import UnusableInput
from ..core.events import Progress, ProgressCallback, ignore_progress
from ..core.threads import run_both
from ..core.volume import AIR_HU, AxisOrder, CTVolume, Mask, Point, Volume
from .airways import find_airways
from .body import TISSUE_HU
from .body_size import as_adult, magnify_point, magnify_volume
from .carina import find_carina
from .doubts import doubts
from .hounsfield import value_doubts
from .lungs import (
    DEPENDENT_HU,
    LUNG_HU,
    AirRegions,
    fill_lung,
    find_air_regions,
    find_dependent,
    find_fragments,
    find_lung_air,
    with_walls,
)
from .region import expected_lung, isolation_mask
from .sides import is_left, separate_sides
from .spine import SpineAxis, find_spine_axis
from .symmetry import mirror_mask
from .upside_down import is_upside_down
from .working_grid import refine, remove

LEAST_LUNG_ML = 150.0
"""Volume of visible lung below which a CT does not show a chest, mL; both lungs of an adult hold 3000 to 6000 mL."""

STEPS = 6
"""Number of progress reports: body, airways, air, spine axis, lungs, isolation mask and the CT's own grid."""


@dataclass(frozen=True, eq=False)
class LungIsolation:
    """The result of ``isolate_lungs``; all masks (bool) lie on the CT's own grid.

    Attributes:
        body: The body with everything in it.
        left_lung: The patient's left lung.
        right_lung: The patient's right lung.
        spine_axis: The spine axis, with one point per canonical axial slice.
        mask: The region in which tumors are searched.
        ct: The CT itself.
        warnings: Sentences for the user about what makes the lungs doubtful.
        carina_lps: The carina, LPS mm; None if the trachea and both main bronchi are not found.
        sides_known: Whether the spine was found at the back of the body, and the CT is not upside down. Otherwise,
            ``left_lung`` and ``right_lung`` are only what lies on either side of ``spine_axis``, and must not be
            reported as the patient's left and right.
    """

    body: Volume
    left_lung: Volume
    right_lung: Volume
    spine_axis: SpineAxis
    mask: Volume
    ct: CTVolume
    warnings: tuple[str, ...]
    carina_lps: Point | None = None
    sides_known: bool = True

    @property
    def lungs(self) -> Volume:
        """Both lungs."""
        return self.left_lung.with_array(self.left_lung.array | self.right_lung.array)

    @property
    def isolated(self) -> CTVolume:
        """The CT with air outside ``mask``; each access computes it again."""
        return replace(self.ct, array=np.where(self.mask.array, self.ct.array, self.ct.array.dtype.type(AIR_HU)))

    def reordered(self, order: AxisOrder) -> LungIsolation:
        """Return the isolation with every volume in another order of axes.

        The spine axis and the carina do not depend on the order of axes, because they are in LPS.
        """
        volumes = {name: order.apply(getattr(self, name)) for name in ("body", "left_lung", "right_lung", "mask", "ct")}
        return replace(self, **volumes)


def isolate_lungs(ct: CTVolume, on_progress: ProgressCallback = ignore_progress) -> LungIsolation:
    """Find body, lungs, spine axis and isolation mask of a chest CT.

    Args:
        ct: The CT (HU), in any orientation.
        on_progress: Receives each finished step.

    Returns:
        The isolation.

    Raises:
        UnusableInput: ``ct`` is no CT, or shows less than ``LEAST_LUNG_ML`` of lung.
    """
    ct = as_ct(ct)
    order = ct.canonical_axes()
    axial: Volume = order.apply(ct)
    done = iter(range(1, STEPS + 1))

    def step_done() -> None:
        on_progress(Progress("isolation", next(done), STEPS))

    def stored(array: Mask) -> Volume:
        return order.undo(sparse(Volume(array, axial.grid.affine)))

    unlike_hu = value_doubts(axial)
    chest = _find_chest(axial, unlike_hu, step_done)
    lungs, airways, body = chest.lungs, chest.airways, chest.body

    def searched() -> tuple[Volume, Sequence[str]]:
        mask = isolation_mask(lungs.left, lungs.right, airways, chest.axis, body=body, ct=chest.ct)
        return stored(mask.array), _lung_doubts(chest)

    def on_own_grid() -> list[Volume]:
        own = (*_on_own_grid(lungs, airways, chest.ct), refine(body.array, chest.ct, TISSUE_HU, np.inf))
        return [stored(array) for array in own]

    (mask, doubtful), (left_lung, right_lung, whole_body) = run_both(searched, on_own_grid)
    step_done()
    carina = find_carina(airways)
    return LungIsolation(
        body=whole_body,
        left_lung=left_lung,
        right_lung=right_lung,
        spine_axis=chest.axis.magnified(chest.unit).on(axial.grid),
        mask=mask,
        ct=ct,
        warnings=(*unlike_hu, *doubtful),
        carina_lps=None if carina is None else magnify_point(carina, chest.unit),
        sides_known=chest.axis.seen == "back" and not chest.upside_down,
    )


@dataclass(frozen=True, eq=False)
class _CoarseLungs:
    """Both lungs (bool) on the coarse grid, and the part of each that is dense because it lies lowest."""

    left: Volume
    right: Volume
    dependent_left: Mask
    dependent_right: Mask


@dataclass(frozen=True, eq=False)
class _Chest:
    """What ``isolate_lungs`` finds, in a CT that ``as_adult`` has magnified to the size of an adult.

    Attributes:
        ct: The CT (HU), in canonical order of axes.
        coarse: The CT on the coarse grid.
        body: The body (bool) on the coarse grid.
        airways: Trachea and bronchi (bool) on the coarse grid.
        axis: The spine axis.
        lungs: Both lungs.
        unit: Lengths in the original CT divided by lengths here.
        upside_down: Whether the trachea divides toward the top.
    """

    ct: Volume
    coarse: Volume
    body: Volume
    airways: Volume
    axis: SpineAxis
    lungs: _CoarseLungs
    unit: float
    upside_down: bool


def _find_chest(axial: Volume, unlike_hu: Sequence[str], step_done: Callable[[], None]) -> _Chest:
    """Find body, airways, spine axis and lungs.

    Args:
        axial: The CT (HU), in canonical order of axes.
        unlike_hu: Doubts about the values of the CT.
        step_done: Called after each step.

    Raises:
        UnusableInput: Too little lung is visible.
    """
    axial, coarse, body, unit = as_adult(axial)
    step_done()
    airways = find_airways(coarse, body)
    step_done()
    regions = find_air_regions(coarse, body, airways)
    air = find_lung_air(coarse, regions)
    step_done()
    axis = find_spine_axis(coarse, body, air)
    _check_lung_in_view(air, axis, unit, unlike_hu)
    step_done()
    lungs = _complete_lungs(coarse, body, airways, air=air, regions=regions, axis=axis)
    step_done()
    return _Chest(axial, coarse, body, airways, axis, lungs, unit, is_upside_down(coarse, body, airways, axis))


def _lung_doubts(chest: _Chest) -> Sequence[str]:
    """Return why the lungs are doubtful, judged in the sizes of the original CT."""
    volumes = (chest.coarse, chest.body, chest.lungs.left, chest.lungs.right, chest.airways)
    coarse, body, left, right, airways = (magnify_volume(each, chest.unit) for each in volumes)
    axis = chest.axis.magnified(chest.unit)
    return doubts(coarse, body, left, right, airways=airways, axis=axis, unit=chest.unit, upside_down=chest.upside_down)


def _complete_lungs(
    coarse: Volume, body: Volume, airways: Volume, *, air: Volume, regions: AirRegions, axis: SpineAxis
) -> _CoarseLungs:
    """Return the lungs: the air on each side of the spine axis, with fragments, dependent lung and vessels."""
    left, right = separate_sides(air, axis)
    expected = np.logical_or(*expected_lung(left, right, airways, axis))
    fragments = find_fragments(coarse, regions, airways, air, expected).array
    beyond = is_left(axis, air)
    dependent_left, dependent_right = run_both(
        lambda: find_dependent(coarse, body, airways, left.array, right.array),
        lambda: find_dependent(coarse, body, airways, right.array, left.array),
    )
    dependent_right &= ~dependent_left
    whole_left, whole_right = run_both(
        lambda: fill_lung(air.with_array(left.array | (fragments & beyond) | dependent_left), body, airways),
        lambda: fill_lung(air.with_array(right.array | (fragments & ~beyond) | dependent_right), body, airways),
    )
    whole_right = whole_right.with_array(whole_right.array & ~whole_left.array)
    return _CoarseLungs(whole_left, whole_right, dependent_left, dependent_right)


def _on_own_grid(lungs: _CoarseLungs, airways: Volume, ct: Volume) -> tuple[Mask, Mask]:
    """Transfer both lungs to the CT's own grid, without airways and without overlap."""
    tubes = with_walls(airways)
    left = _outlined(lungs.left.array, lungs.dependent_left, ct)
    remove(left, tubes | lungs.right.array, ct)
    right = _outlined(lungs.right.array, lungs.dependent_right, ct)
    remove(right, tubes, ct)
    right &= ~left
    return left, right


def _outlined(lung: Mask, dependent: Mask, ct: Volume) -> Mask:
    """Transfer a lung, bool on the coarse grid, to the CT's own grid; dependent lung is outlined at a higher HU."""
    outlined = refine(lung, ct, -np.inf, LUNG_HU)
    if dependent.any():
        outlined |= refine(dependent, ct, -np.inf, DEPENDENT_HU)
    return outlined


def _check_lung_in_view(air: Volume, axis: SpineAxis, unit: float, unlike_hu: Sequence[str]) -> None:
    """Raise UnusableInput if too little lung is visible.

    A lung with atelectasis, consolidation or effusion counts too, so the volume is that of the air united with its
    mirror image. The lengths of ``air`` are those of the CT divided by ``unit``; the volume is that
    in the CT. ``unlike_hu`` are the doubts about the values of the CT, which may be the reason.
    """
    volume_ml = float(np.count_nonzero(air.array | mirror_mask(air.array, axis.columns(air)))) * air.voxel_volume_ml
    volume_ml *= unit**3
    if volume_ml < LEAST_LUNG_ML:
        reason = f"The CT shows {volume_ml:.0f} mL of lung, less than the {LEAST_LUNG_ML:.0f} mL that are needed"
        because = "".join(f": {doubt[0].lower()}{doubt[1:]}" for doubt in unlike_hu)
        raise UnusableInput(f"{reason}{because}" if because else f"{reason}; choose a CT of the chest.")
