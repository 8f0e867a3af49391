"""Which lesions a phantom has, where they are, and how much room the organs leave them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.errors import UnusableInput
from ..core.volume import Array, Grid
from .lesions import LesionSpec
from .options import PhantomOptions
from .patient import Patient, stream
from .shapes import Field, merge_tube, smooth_max
from .thorax import AORTA_MM, VENA_CAVA_MM, Thorax, airways_lps, spine_sleeve

KIND_SHARES = {"solid": 0.36, "spiculated": 0.24, "part_solid": 0.14, "ground_glass": 0.14, "cavitary": 0.12}
PLACE_SHARES = {"lung": 0.36, "pleura": 0.26, "fissure": 0.08, "diaphragm": 0.08, "hilum": 0.14, "mediastinum": 0.08}
GLASS_KINDS = ("ground_glass", "part_solid")
"""Kinds that occur in aerated lung only: beside the hilum and the mediastinum, never within."""

CENTRAL_PLACES = ("hilum", "mediastinum")
LARGEST_GLASS_MM = 35.0
"""Largest diameter of drawn ground glass, mm; ground glass that fills a lobe would be pneumonia."""

SMALLEST_CAVITY_MM, SMALLEST_CENTRAL_MM = 12.0, 10.0
"""Smallest diameters of drawn cavitary lesions and of drawn hilar or mediastinal lesions, mm.

A smaller cavity would look solid on CT, and a smaller central lesion would pass for a normal lymph node.
"""

INVASION_MM = 1.5
"""Distance by which a lesion of the lung may extend beyond the pleura, mm."""

CLEARANCE_MM = 6.0
"""Smallest gap between the balls of two lesions, mm; lesions may deviate from their ball by a fifth."""

TRIES = 300


@dataclass(frozen=True, eq=False)
class PlacedLesion:
    """A lesion with its place.

    Attributes:
        spec: What the lesion should be.
        center_lps: Center (x, y, z), LPS mm, before any shift of the origin.
        room: The coarse field (mm, negative inside) that bounds the lesion.
    """

    spec: LesionSpec
    center_lps: Array
    room: Field


def place_lesions(
    seed: int,
    options: PhantomOptions,
    patient: Patient,
    thorax: Thorax,
    *,
    airless: Field,
    grid: Grid,
    shift: Array,
    specs: tuple[LesionSpec, ...] | None = None,
) -> list[PlacedLesion]:
    """Find a center for each lesion: a voxel center in aerated lung or at the mediastinum, clear of the other lesions.

    The largest lesions are placed first, while there is room.

    Args:
        seed: The phantom's seed.
        options: Which lesions to place, or how to draw them.
        patient: The patient.
        thorax: The patient's thorax.
        airless: Field (z, y, x) of atelectasis and effusion, mm, negative inside, in which no center may lie.
        grid: The CT's grid.
        shift: Shift (x, y, z) of the origin that is applied later, mm; fixed centers include it.
        specs: Lesions to place as if they had been drawn, instead of those of ``options``.

    Returns:
        The placed lesions, in the order of their specifications. Drawn lesions that find no room are dropped.

    Raises:
        UnusableInput: A lesion of ``options.lesions`` finds no room.
    """
    rng = stream(seed, "places")
    if specs is None:
        specs = draw_specs(stream(seed, "specs"), options) if options.lesions is None else options.lesions
    rooms = {False: (thorax.lungs - INVASION_MM).astype(np.float32), True: _central_room(patient, thorax)}
    placed: dict[int, PlacedLesion] = {}
    for number in sorted(range(len(specs)), key=lambda n: -specs[n].diameter_mm):  # largest first, while there is room
        spec = specs[number]
        if spec.center_lps_mm is None:
            room = rooms[spec.place in CENTRAL_PLACES and spec.kind not in GLASS_KINDS]
            center = _find_center(
                spec, list(placed.values()), thorax, free=np.maximum(room, -airless), grid=grid, rng=rng
            )
        else:
            room = np.minimum(rooms[False], rooms[True])
            center = np.asarray(spec.center_lps_mm) - shift
            center = center if _is_free(center, room, thorax, grid) else None
        if center is not None:
            placed[number] = PlacedLesion(spec, center, room)
        elif options.lesions is not None:
            raise UnusableInput(
                f"The phantom has no room for a lesion of {spec.diameter_mm:g} mm at the requested place "
                f"({spec.place}); choose a smaller lesion or another place."
            )
    return [placed[number] for number in sorted(placed)]


def draw_specs(rng: np.random.Generator, options: PhantomOptions) -> tuple[LesionSpec, ...]:
    """Draw the lesions of a patient: kind, place and a diameter that is log-uniform.

    Args:
        rng: Draws them.
        options: ``lesion_count`` (by default 1 to 4 are drawn) and ``lesion_diameter_mm``.

    Returns:
        The specifications, largest lesion first.
    """
    count = int(rng.integers(1, 5)) if options.lesion_count is None else options.lesion_count
    low, high = np.log(options.lesion_diameter_mm)
    specs = []
    for _ in range(count):
        diameter = float(np.clip(np.exp(rng.uniform(low, high)), *options.lesion_diameter_mm))
        kind = str(rng.choice(list(KIND_SHARES), p=list(KIND_SHARES.values())))
        place = str(rng.choice(list(PLACE_SHARES), p=list(PLACE_SHARES.values())))
        if kind in GLASS_KINDS and diameter > LARGEST_GLASS_MM:
            kind = "solid"
        if kind == "cavitary" and diameter < SMALLEST_CAVITY_MM:
            kind = "spiculated"
        if place in CENTRAL_PLACES and (diameter < SMALLEST_CENTRAL_MM or kind in GLASS_KINDS):
            place = "lung"
        specs.append(LesionSpec(kind, diameter, place))
    return tuple(sorted(specs, key=lambda spec: -spec.diameter_mm))


def _find_center(
    spec: LesionSpec, placed: list[PlacedLesion], thorax: Thorax, *, free: Field, grid: Grid, rng: np.random.Generator
) -> Array | None:
    """Find a random suitable voxel center in the ``free`` field that is clear of ``placed``, or return None.

    The center is that of a voxel, so that even the smallest lesion contains a voxel.
    """
    candidates = _candidates(spec, thorax, free)
    for _ in range(TRIES if len(candidates) else 0):
        point = candidates[rng.integers(len(candidates))] + rng.uniform(-2, 2, 3)
        center = grid.index_to_lps(np.rint(grid.lps_to_index(point)))
        gaps = [
            np.linalg.norm(center - p.center_lps) - 0.6 * (spec.diameter_mm + p.spec.diameter_mm) - CLEARANCE_MM
            for p in placed
        ]
        if all(gap > 0 for gap in gaps) and _is_free(center, free, thorax, grid):
            return np.asarray(center)
    return None


def _is_free(point: Array, room: Field, thorax: Thorax, grid: Grid) -> bool:
    """Return True if a point (3,), LPS mm, lies on the grid and in the room."""
    index = np.rint(grid.lps_to_index(point))
    return bool((index >= 0).all() and (index < grid.shape).all() and thorax.grid.at(room, point[None])[0] < 0)


def _candidates(spec: LesionSpec, thorax: Thorax, room: Field) -> Array:
    """Return the points (n, 3) of the coarse grid, LPS mm, where the lesion's center may lie."""
    x, y, z = thorax.model
    radius = spec.diameter_mm / 2
    lung = {"left": thorax.left_lung, "right": thorax.right_lung, None: thorax.lungs}[spec.side]
    depth = -lung
    side = {"left": 1, "right": -1, None: 0}[spec.side]
    if spec.place == "lung":
        wanted = depth > min(0.75 * radius, 0.8 * float(depth.max()))
    elif spec.place == "pleura":
        wanted = (depth > max(0.25 * radius, 1)) & (depth < 0.6 * radius + 3) & (-thorax.cage < 0.7 * radius + 4)
    elif spec.place == "fissure":
        borders = [fissure for fissure in thorax.fissures if not fissure.accessory]
        near = np.min([np.maximum(np.abs(fissure.sheet), fissure.lung) for fissure in borders], axis=0)
        wanted = (near < 3) & (depth > min(0.6 * radius, 0.7 * float(depth.max())))
    elif spec.place == "diaphragm":
        wanted = (
            (-thorax.above_diaphragm < 0.6 * radius + 4) & (depth > max(0.2 * radius, 1)) & (depth < 0.8 * radius + 4)
        )
    elif spec.kind in GLASS_KINDS:
        wanted = (thorax.mediastinum < 0.7 * radius + 5) & (np.abs(z) < 60) & (depth > max(0.3 * radius, 1))
    else:
        lateral, reach = (38 + 0.35 * radius, 18) if spec.place == "hilum" else (18.0, 40)
        wanted = (np.abs(np.abs(x) - lateral) < 7) & (np.abs(y - 4) < 16) & (np.abs(z + 12) < reach) & (side * x >= 0)
    index = np.argwhere(np.broadcast_to(wanted & (room < 0), lung.shape))[:, ::-1]
    return np.asarray(index * thorax.grid.spacing_mm + thorax.grid.low)


def _central_room(patient: Patient, thorax: Thorax) -> Field:
    """Return the field of the room that a hilar or mediastinal mass may fill.

    It is the cavity without heart, spine, aorta, superior vena cava, trachea and main bronchi.
    """
    kept = np.asarray(np.minimum(thorax.heart, spine_sleeve(*thorax.model)), dtype=np.float32)
    for rows in (AORTA_MM, VENA_CAVA_MM):
        table = np.asarray(rows, dtype=float)
        merge_tube(kept, thorax.model, table[:, :3], table[:, 3] + 1, 0.0)
    for airway in airways_lps(patient).values():
        merge_tube(kept, thorax.grid.axes(), airway[:, :3], airway[:, 3] + 2, 0.0)
    cavity = np.maximum(thorax.cavity - INVASION_MM, thorax.above_diaphragm)
    return smooth_max(cavity, -kept, 3).astype(np.float32)
