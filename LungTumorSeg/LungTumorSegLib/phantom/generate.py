"""From a seed to a phantom: draw the patient, paint organ after organ, add disease and lesions, simulate the scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..core.events import Progress, ProgressCallback, ignore_progress
from ..core.volume import Array, AxisOrder, CTVolume, Grid, Volume, as_point
from .abdomen import paint_abdomen
from .breathing import breathe
from .canvas import Canvas, CoarseGrid, coverage
from .couch import paint_couch, paint_leads
from .disease import Disease, airless_field, build_disease, paint_disease
from .fissures import label_lobes
from .haze import paint_haze
from .lesions import LesionSpec, blend_lesion, lesion_shape
from .lungs import paint_lungs
from .mediastinum import paint_mediastinum
from .options import PhantomOptions, check_seed
from .patient import Patient, draw_patient, stream
from .placement import PlacedLesion, place_lesions
from .scanner import place_grid, scan
from .shapes import Field
from .skeleton import paint_skeleton
from .thorax import Thorax, build_thorax
from .torso import build_torso, paint_torso
from .truth import Phantom, PhantomLesion

DEFAULT_OPTIONS = PhantomOptions()
STEPS = 4
ROOM_AIR_HU = -1000.0
SPINE_RANGE_MM, SPINE_STEP_MM = (-280.0, 160.0), 2.0
PATIENT_BOX_MM = {"up": ((-235, -190, -240), (235, 150, 135)), "down": ((-310, -190, -240), (310, 150, 135))}
"""Box in model coordinates that contains a patient, by the posture of the arms.

Where a scan reaches beyond the box, it shows the edge of the box continued.
"""


def make_phantom(
    seed: int, options: PhantomOptions = DEFAULT_OPTIONS, on_progress: ProgressCallback = ignore_progress
) -> Phantom:
    """Make the phantom of ``seed``.

    Equal seeds and options give equal voxels. Each part of the patient has its own random numbers, so the same seed
    with other lesions gives the same patient. The function takes about one second, plus one second per 5 million
    voxels.

    Args:
        seed: 0 or higher.
        options: What to fix; everything else is drawn from the seed.
        on_progress: Receives the progress in steps.

    Returns:
        The synthetic CT and its truth.

    Raises:
        UnusableInput: The seed is negative, or a lesion of ``options.lesions`` finds no room.
    """
    check_seed(seed)
    on_progress(Progress("phantom", 0, STEPS))
    return scan_anatomy(build_anatomy(seed, options), seed, options, on_progress)


def scan_anatomy(
    anatomy: Anatomy, seed: int, options: PhantomOptions, on_progress: ProgressCallback = ignore_progress
) -> Phantom:
    """Add the lesions of ``options`` to a painted patient and simulate the scan.

    Args:
        anatomy: What ``build_anatomy`` made of the same seed and options; its canvas and lungs are changed in place.
        seed: The seed of the lesions and the noise.
        options: The lesions are those of these options.
        on_progress: Receives the progress in steps.

    Returns:
        The synthetic CT and its truth.

    Raises:
        UnusableInput: A lesion of ``options.lesions`` finds no room.
    """
    on_progress(Progress("phantom", 2, STEPS))
    canvas, lungs = anatomy.canvas, anatomy.lungs
    shift = np.zeros(3) if options.origin_lps_mm is None else np.asarray(options.origin_lps_mm) - anatomy.origin
    placed = anatomy.place(seed, options, shift)
    lobes = label_lobes(canvas, anatomy.thorax, lungs) if anatomy.patient.lobes else None
    tumor, lesions = _add_lesions(canvas, seed, placed, lungs, shift)
    on_progress(Progress("phantom", 3, STEPS))
    hu = scan(canvas.hu, canvas.grid.spacing, anatomy.patient, stream(seed, "noise"))
    affine = canvas.grid.affine.copy()
    affine[:3, 3] += shift
    tumor_map, lung_map = anatomy.order.undo(Volume(tumor, affine)), anatomy.order.undo(Volume(lungs, affine))
    ct = anatomy.order.undo(CTVolume(hu, affine))
    lobe_map = None if lobes is None else anatomy.order.undo(Volume(lobes, affine))
    return Phantom(ct, tumor_map, lung_map, tuple(lesions), spine_points(anatomy.patient) + shift, lobe_map)


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A painted patient without lesions, before the scan.

    Attributes:
        patient: The patient.
        thorax: The patient's thorax.
        airless: Coarse field (mm, negative inside) of atelectasis and effusion.
        canvas: The painted HU, on a grid with canonical axes.
        lungs: uint8 labels of aerated lung on the canvas's grid; 1 is the patient's left lung, 2 the right lung.
        order: The order of axes from the requested grid to the canvas's grid.
        origin: Position (x, y, z) of voxel (0, 0, 0) of the requested grid, LPS mm.
    """

    patient: Patient
    thorax: Thorax
    airless: Field
    canvas: Canvas
    lungs: Array
    order: AxisOrder
    origin: Array

    def place(
        self, seed: int, options: PhantomOptions, shift: Array, specs: tuple[LesionSpec, ...] | None = None
    ) -> list[PlacedLesion]:
        """Find a place for each lesion; see ``place_lesions``.

        Args:
            seed: The phantom's seed.
            options: The lesions to place, or how to draw them.
            shift: Shift (x, y, z) of the origin that is applied later, mm.
            specs: Lesions to place as if they had been drawn, instead of those of ``options``.

        Returns:
            The placed lesions, in the order of their specifications.

        Raises:
            UnusableInput: A lesion of ``options.lesions`` finds no room.
        """
        return place_lesions(
            seed,
            options,
            self.patient,
            self.thorax,
            airless=self.airless,
            grid=self.canvas.grid,
            shift=shift,
            specs=specs,
        )


def build_anatomy(seed: int, options: PhantomOptions) -> Anatomy:
    """Draw a patient and paint the body, the lungs and the disease that is not tumor.

    Args:
        seed: The phantom's seed.
        options: What to fix about patient and scanner; the lesions are not used.

    Returns:
        The painted patient.
    """
    patient = draw_patient(seed, options)
    grid = place_grid(seed, patient, options)
    order = grid.canonical_axes()
    canvas = _new_canvas(order.apply_to_grid(grid), patient, options.body_grid_mm)
    thorax = build_thorax(patient, canvas.coarse, stream(seed, "thorax"))
    diseases = build_disease(patient, thorax, stream(seed, "disease"))
    _paint_patient(canvas, seed, patient, thorax, diseases)
    lungs = _lung_labels(canvas, thorax, diseases)
    if "breathing" in patient.distractors:
        breathe(canvas, lungs, patient, stream(seed, "breathing"))
    return Anatomy(patient, thorax, airless_field(diseases, thorax), canvas, lungs, order, grid.origin)


def spine_points(patient: Patient) -> Array:
    """Return the center line of the vertebral bodies from foot to head (n, 3), LPS mm, every ``SPINE_STEP_MM``."""
    return np.stack([patient.spine_point(z) for z in np.arange(*SPINE_RANGE_MM, SPINE_STEP_MM)])


def _new_canvas(grid: Grid, patient: Patient, body_grid_mm: float) -> Canvas:
    """Return a canvas of room air.

    The coarse grid depends on the patient only, so that the body is the same whatever part of it the scan shows.
    """
    low, high = (np.asarray(corner) * patient.scale for corner in PATIENT_BOX_MM[patient.arms])
    return Canvas(grid, CoarseGrid.around(low, high, body_grid_mm), np.full(grid.shape, ROOM_AIR_HU, np.float32))


def _paint_patient(canvas: Canvas, seed: int, patient: Patient, thorax: Thorax, diseases: list[Disease]) -> None:
    torso = build_torso(patient, thorax, stream(seed, "torso"))
    paint_couch(canvas, patient, torso.skin, stream(seed, "couch"))
    paint_torso(canvas, torso)
    paint_abdomen(canvas, patient, thorax, stream(seed, "abdomen"))
    paint_mediastinum(canvas, patient, thorax, stream(seed, "mediastinum"))
    paint_skeleton(canvas, patient, thorax, stream(seed, "skeleton"))
    paint_lungs(canvas, patient, thorax, stream(seed, "lungs"))
    paint_haze(canvas, patient, thorax, stream(seed, "haze"))
    paint_disease(canvas, patient, thorax, diseases, stream(seed, "scars"))
    if patient.leads:
        paint_leads(canvas, torso.skin, stream(seed, "leads"))


def _lung_labels(canvas: Canvas, thorax: Thorax, diseases: list[Disease]) -> Array:
    """Label aerated lung (slice, row, column), uint8: 1 is the patient's left lung, 2 the right lung."""
    labels = np.zeros(canvas.grid.shape, np.uint8)
    sick = airless_field(diseases, thorax)
    for label, lung in ((1, thorax.left_lung), (2, thorax.right_lung)):
        aerated = np.maximum(lung, -sick)
        box = canvas.box_of(lung)
        if box is not None:
            labels[box][canvas.sample(aerated, box) < 0] = label
    return labels


def _add_lesions(
    canvas: Canvas, seed: int, placed: list[PlacedLesion], lungs: Array, shift: Array
) -> tuple[Array, list[PhantomLesion]]:
    """Blend the lesions into the canvas, remove them from ``lungs``, and return their label map and truth."""
    tumor = np.zeros(canvas.grid.shape, np.uint8)
    lesions = [
        add_lesion(canvas, tumor, lungs, label=label, lesion=lesion, rng=stream(seed, f"lesion {label}"), shift=shift)
        for label, lesion in enumerate(placed, start=1)
    ]
    return tumor, [lesion for lesion in lesions if lesion is not None]


def add_lesion(
    canvas: Canvas,
    tumor: Array,
    lungs: Array,
    *,
    label: int,
    lesion: PlacedLesion,
    rng: np.random.Generator,
    shift: Array,
) -> PhantomLesion | None:
    """Blend one lesion into the canvas.

    Args:
        canvas: The canvas; its HU are changed in place.
        tumor: Labels of the lesions on the canvas's grid; the lesion is added in place where no other lesion is.
        lungs: Labels of the lungs on the canvas's grid; the lesion is removed in place.
        label: Label of the lesion.
        lesion: The lesion and its place.
        rng: Draws its shape and texture.
        shift: Shift (x, y, z) of the origin that is applied later, mm.

    Returns:
        The truth; None if the lesion lies outside the scan.
    """
    shape = lesion_shape(lesion.spec, rng)
    box = canvas.box(lesion.center_lps - shape.extent_mm, lesion.center_lps + shape.extent_mm)
    if box is None:
        return None
    x, y, z = (p - np.float32(c) for p, c in zip(canvas.points(box), lesion.center_lps, strict=True))
    room = coverage(canvas.sample(lesion.room, box), canvas.edge_mm) * (tumor[box] == 0)
    inside = blend_lesion(canvas.hu[box], shape, (x, y, z), rng, room=room, edge_mm=canvas.edge_mm)
    tumor[box][inside] = label
    lungs[box][inside] = 0
    volume_ml = float(inside.sum()) * canvas.grid.voxel_volume_ml
    center = as_point(lesion.center_lps + shift)
    return PhantomLesion(label, lesion.spec.kind, lesion.spec.place, lesion.spec.diameter_mm, volume_ml, center)
