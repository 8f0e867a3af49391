"""From a seed to a phantom: draw the patient, paint organ after organ, place lesions, scan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..ct import AIR_HU, CTVolume, Grid, Volume
from .canvas import Canvas, CoarseGrid, coverage
from .couch import paint_couch, paint_leads
from .lesions import LesionSpec, blend_lesion, lesion_shape
from .lungs import paint_lungs
from .mediastinum import paint_mediastinum
from .noise import scan
from .options import PhantomOptions
from .patient import Patient, draw_patient, stream
from .placement import draw_specs, place_lesions
from .shapes import Array
from .skeleton import paint_skeleton, vertebra_heights
from .thorax import Thorax, build_thorax
from .torso import build_torso, paint_abdomen, paint_torso

DEFAULT_OPTIONS = PhantomOptions()
SCANNED_AIR_HU = -1000.0


@dataclass(frozen=True, eq=False)
class PhantomLesion:
    """The truth of one lesion: its label in ``Phantom.tumor``, what was asked for, and what it became.

    diameter_mm: of the ball of the uncut lesion's volume; volume_ml: of its voxels, after organs cut it.
    """

    label: int
    kind: str
    place: str
    diameter_mm: float
    volume_ml: float
    center_lps_mm: tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class Phantom:
    """A procedural CT and its truth, all on one grid; points are LPS mm.

    tumor: labels 1 ... n, one a lesion, in the order of ``lesions``.
    lungs: 1 = the patient's left, 2 = right: aerated lung with its vessels and bronchi, without lesions, collapse and effusion.
    spine_points_lps: (n, 3) centers of the vertebral bodies, from foot to head, at every slice's height or denser.
    """

    ct: CTVolume
    tumor: Volume
    lungs: Volume
    lesions: tuple[PhantomLesion, ...]
    spine_points_lps: Array


def make_phantom(seed: int, options: PhantomOptions = DEFAULT_OPTIONS) -> Phantom:
    """The phantom of ``seed``: equal seeds and options give equal voxels. Raises UnusableInput where the options contradict."""
    patient = draw_patient(seed, options)
    grid = _place_grid(seed, patient, options)
    order = grid.canonical_axes()
    canvas = _new_canvas(order.apply(Volume(np.broadcast_to(np.float32(0), grid.shape), grid.affine)).grid, patient)
    thorax = build_thorax(patient, canvas.coarse, stream(seed, "thorax"))
    body = _paint_anatomy(canvas, seed, patient, thorax)
    lungs = _lung_labels(canvas, thorax)
    tumor, lesions = _add_lesions(canvas, seed, patient, thorax, lungs, options)
    hu = scan(canvas.hu, canvas.grid.spacing, patient.sharpness_mm, patient.noise_hu, stream(seed, "noise"))
    del body
    shift = np.zeros(3) if options.origin_lps_mm is None else np.asarray(options.origin_lps_mm) - grid.origin

    def finish(array: Array) -> Volume:
        volume = order.undo(Volume(array, canvas.grid.affine))
        affine = volume.affine.copy()
        affine[:3, 3] += shift
        return Volume(volume.array, affine)

    ct = finish(np.clip(np.rint(hu), AIR_HU, 3071).astype(np.int16))
    spine = np.stack([patient.spine_point(z) for z in np.arange(-260, 150, 2.0)]) + shift
    moved = tuple(
        PhantomLesion(n.label, n.kind, n.place, n.diameter_mm, n.volume_ml, tuple(float(c) for c in np.asarray(n.center_lps_mm) + shift))
        for n in lesions
    )
    return Phantom(CTVolume(ct.array, ct.affine), finish(tumor), finish(lungs), moved, spine)


def write_phantom(phantom: Phantom, folder: Path) -> None:
    """Write ``ct.nii.gz``, ``tumor.nii.gz`` and ``lungs.nii.gz`` into ``folder``, which is made if need be."""
    from ..io import write_volume

    folder.mkdir(parents=True, exist_ok=True)
    for name, volume in (("ct", phantom.ct), ("tumor", phantom.tumor), ("lungs", phantom.lungs)):
        write_volume(volume, folder / f"{name}.nii.gz")


def _place_grid(seed: int, patient: Patient, options: PhantomOptions) -> Grid:
    rng = stream(seed, "grid")
    in_plane, between = float(rng.uniform(1.0, 1.4)), float(rng.uniform(2.5, 3.0))
    spacing = np.asarray(options.spacing_mm or (between, in_plane, in_plane))
    width = options.field_of_view_mm or (480.0 if patient.arms == "down" else float(rng.uniform(345, 400))) * patient.scale[0]
    low, high = options.height_mm or (-205.0 - 0.7 * patient.inspiration_mm, 105.0 + float(rng.uniform(0, 12)))
    center = np.array([rng.normal(0, 5), rng.normal(12, 4), (low + high) / 2 * patient.scale[2]])
    extent = np.array([width, width, (high - low) * patient.scale[2]])
    direction = np.asarray(options.direction or ((0, 0, 1), (0, 1, 0), (1, 0, 0)), dtype=float)
    size = np.maximum(np.ceil(np.abs(direction).T @ extent / spacing - 1e-6).astype(int), 1)
    affine = np.eye(4)
    affine[:3, :3] = direction * spacing
    affine[:3, 3] = center - affine[:3, :3] @ ((size - 1) / 2)
    return Grid((int(size[0]), int(size[1]), int(size[2])), affine)


def _new_canvas(grid: Grid, patient: Patient) -> Canvas:
    corners = grid.index_to_lps(np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) * (np.asarray(grid.shape) - 1))
    low = np.maximum(corners.min(axis=0), (-310, -190, -320)) - 12
    high = np.minimum(corners.max(axis=0), (310, 190, 260)) + 12
    return Canvas(grid, CoarseGrid.around(low, high), np.full(grid.shape, SCANNED_AIR_HU, np.float32))


def _paint_anatomy(canvas: Canvas, seed: int, patient: Patient, thorax: Thorax) -> Array:
    torso = build_torso(patient, thorax, stream(seed, "torso"))
    paint_couch(canvas, patient, torso.skin, stream(seed, "couch"))
    body = paint_torso(canvas, patient, thorax, torso)
    paint_abdomen(canvas, patient, thorax, stream(seed, "abdomen"))
    paint_mediastinum(canvas, patient, thorax, stream(seed, "mediastinum"))
    paint_skeleton(canvas, patient, thorax, stream(seed, "skeleton"))
    paint_lungs(canvas, patient, thorax, stream(seed, "lungs"))
    if patient.leads:
        paint_leads(canvas, torso.skin, stream(seed, "leads"))
    return body


def _lung_labels(canvas: Canvas, thorax: Thorax) -> Array:
    labels = np.zeros(canvas.grid.shape, np.uint8)
    for label, lung in ((1, thorax.left_lung), (2, thorax.right_lung)):
        box = canvas.box_of(lung)
        if box is not None:
            labels[box][canvas.sample(lung, box) < 0] = label
    return labels


def _add_lesions(
    canvas: Canvas, seed: int, patient: Patient, thorax: Thorax, lungs: Array, options: PhantomOptions
) -> tuple[Array, list[PhantomLesion]]:
    specs = draw_specs(stream(seed, "specs"), options) if options.lesions is None else options.lesions
    shift = np.zeros(3)
    placed = place_lesions(specs, patient, thorax, stream(seed, "places"), shift)
    tumor = np.zeros(canvas.grid.shape, np.uint8)
    lesions: list[PhantomLesion] = []
    for number, (spec, center, room_field) in enumerate(placed):
        rng = stream(seed, f"lesion {number}")
        shape = lesion_shape(spec, rng)
        reach = np.full(3, shape.extent_mm)
        box = canvas.box(center - reach, center + reach)
        if box is None:
            continue
        x, y, z = (p - np.float32(c) for p, c in zip(canvas.points(box), center, strict=True))
        room = coverage(canvas.sample(room_field, box), canvas.edge_mm) * (tumor[box] == 0)
        inside = blend_lesion(canvas.hu[box], shape, x, y, z, rng, room=room, edge_mm=canvas.edge_mm)
        if not inside.any():
            continue
        label = len(lesions) + 1
        tumor[box][inside] = label
        lungs[box][inside] = 0
        volume = float(inside.sum()) * canvas.grid.voxel_volume_ml
        lesions.append(
            PhantomLesion(label, spec.kind, spec.place, spec.diameter_mm, volume, (float(center[0]), float(center[1]), float(center[2])))
        )
    return tumor, lesions


__all__ = ["LesionSpec", "Phantom", "PhantomLesion", "make_phantom", "vertebra_heights", "write_phantom"]
