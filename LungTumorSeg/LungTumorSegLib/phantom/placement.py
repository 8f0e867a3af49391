"""Which lesions a phantom has, where they sit, and which room organs leave them."""

from __future__ import annotations

import numpy as np

from .lesions import LesionSpec
from .options import PhantomOptions
from .patient import Patient
from .shapes import Array, smooth_max, tube
from .thorax import AORTA_MM, VENA_CAVA_MM, Thorax, trachea_mm

KIND_SHARES = {"solid": 0.36, "spiculated": 0.24, "part_solid": 0.14, "ground_glass": 0.14, "cavitary": 0.12}
PLACE_SHARES = {"lung": 0.36, "pleura": 0.26, "fissure": 0.08, "diaphragm": 0.08, "hilum": 0.14, "mediastinum": 0.08}
LARGEST_GLASS_MM = 35.0
"""Ground glass is not larger in the drawn phantoms; a lobe of it would be pneumonia."""

SMALLEST_CAVITY_MM = 12.0
SMALLEST_HILAR_MM = 10.0
INVASION_MM = 2.0
"""How far a lesion of the lung may reach beyond the pleura."""

TRIES = 200


def draw_specs(rng: np.random.Generator, options: PhantomOptions) -> tuple[LesionSpec, ...]:
    """The lesions of a patient: 1 to 4 unless the options say how many, log-uniform in diameter."""
    count = int(rng.integers(1, 5)) if options.lesion_count is None else options.lesion_count
    low, high = np.log(options.lesion_diameter_mm)
    specs = []
    for _ in range(count):
        diameter = float(np.exp(rng.uniform(low, high)))
        kind = str(rng.choice(list(KIND_SHARES), p=list(KIND_SHARES.values())))
        place = str(rng.choice(list(PLACE_SHARES), p=list(PLACE_SHARES.values())))
        if (kind in ("ground_glass", "part_solid") and diameter > LARGEST_GLASS_MM) or (kind == "cavitary" and diameter < SMALLEST_CAVITY_MM):
            kind = "solid"
        if place in ("hilum", "mediastinum") and (diameter < SMALLEST_HILAR_MM or kind in ("ground_glass", "part_solid")):
            place = "lung"
        specs.append(LesionSpec(kind, diameter, place))
    return tuple(sorted(specs, key=lambda s: -s.diameter_mm))


def place_lesions(
    specs: tuple[LesionSpec, ...], patient: Patient, thorax: Thorax, rng: np.random.Generator, shift: Array
) -> list[tuple[LesionSpec, Array, Array]]:
    """For each spec its LPS center and the coarse field (negative inside) of its room; lesions keep clear of each other."""
    lung_room = (thorax.lungs - INVASION_MM).astype(np.float32)
    center_room = _central_room(patient, thorax)
    placed: list[tuple[LesionSpec, Array, Array]] = []
    for spec in specs:
        room = center_room if spec.place in ("hilum", "mediastinum") else lung_room
        if spec.center_lps_mm is not None:
            placed.append((spec, np.asarray(spec.center_lps_mm) - shift, np.minimum(center_room, lung_room)))
            continue
        candidates = _candidates(spec, patient, thorax)
        if len(candidates) == 0:
            continue
        for _ in range(TRIES):
            center = candidates[rng.integers(len(candidates))] + rng.uniform(-2, 2, 3)
            gaps = [np.linalg.norm(center - other) - (spec.diameter_mm + s.diameter_mm) * 0.6 - 6 for s, other, _ in placed]
            if all(gap > 0 for gap in gaps):
                placed.append((spec, center, room))
                break
    return placed


def _candidates(spec: LesionSpec, patient: Patient, thorax: Thorax) -> Array:
    """LPS points (n, 3) of the coarse grid where the lesion's center may lie."""
    x, y, z = thorax.model
    radius = spec.diameter_mm / 2
    lung = {"left": thorax.left_lung, "right": thorax.right_lung, None: thorax.lungs}[spec.side]
    depth = -lung
    if spec.place == "lung":
        wanted = depth > min(0.75 * radius, 0.8 * float(depth.max()))
    elif spec.place == "pleura":
        wanted = (depth > 0.25 * radius) & (depth < 0.6 * radius + 3) & (-thorax.cage < 0.7 * radius + 4)
    elif spec.place == "fissure":
        from .lungs import fissure_sheets

        near = np.min([np.maximum(np.abs(sheet), field) for sheet, field in fissure_sheets(thorax)], axis=0)
        wanted = (near < 3) & (depth > min(0.6 * radius, 0.7 * float(depth.max())))
    elif spec.place == "diaphragm":
        wanted = (-thorax.above_diaphragm < 0.6 * radius + 4) & (depth > 0.2 * radius) & (depth < 0.8 * radius + 4)
    else:
        offset = 38 + 0.35 * radius if spec.place == "hilum" else 18.0
        side = {"left": 1, "right": -1, None: 0}[spec.side]
        lateral = np.abs(np.abs(x) - offset) < 6
        wanted = lateral & (np.abs(y - 4) < 14) & (np.abs(z + 12) < (18 if spec.place == "hilum" else 40)) & (side * x >= 0)
    index = np.argwhere(np.broadcast_to(wanted, lung.shape))[:, ::-1]
    return np.asarray(index * thorax.grid.spacing_mm + thorax.grid.low)


def _central_room(patient: Patient, thorax: Thorax) -> Array:
    """The cavity without heart, spine, aorta, caval vein, trachea and main bronchi: what a hilar mass may fill."""
    x, y, z = thorax.grid.axes()
    mx, my, mz = thorax.model
    room = np.maximum(np.maximum(thorax.cage - INVASION_MM, thorax.above_diaphragm), 2 - thorax.heart)
    for rows in (AORTA_MM, VENA_CAVA_MM):
        table = np.asarray(rows, dtype=float)
        room = np.maximum(room, 1 - tube(mx, my, mz, table[:, :3], table[:, 3]))
    for rows in trachea_mm(patient).values():
        room = np.maximum(room, 2 - tube(x, y, z, rows[:, :3], rows[:, 3]))
    spine = np.sqrt(mx**2 + (my - 52) ** 2) - 24
    return smooth_max(room, -spine, 3).astype(np.float32)
