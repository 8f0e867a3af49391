"""The same phantom on another day: other breath, position and scanner, and lesions with a known fate.

The painted patient is pulled back to the later scan's grid by a known map from later to earlier points: a rigid change
of position, and a smooth displacement of lungs, mediastinum and upper abdomen by the breath. The lesions are painted
after that, at their displaced centers, because a tumor keeps its shape while the lung around it deforms. Their truth is
therefore as exact as that of a single phantom.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from ..core.errors import UnusableInput
from ..core.events import Progress, ProgressCallback, ignore_progress
from ..core.volume import Array, CTVolume, Grid, Volume, as_shape
from .canvas import Canvas, CoarseGrid
from .generate import STEPS, Anatomy, add_lesion, build_anatomy, spine_points
from .lesions import DIAMETER_RANGE_MM, LesionSpec
from .options import PhantomOptions, check_seed
from .patient import Patient, stream
from .placement import PlacedLesion, draw_specs
from .scanner import scan
from .shapes import smooth_noise
from .thorax import Thorax
from .truth import FOLLOW_UP_LESION_STATUS, FollowUpPhantom, Phantom, PhantomLesion, TrackedPhantomLesion

FATES = ("stable", "grown", "shrunk", "gone", "split", "cavitated")
"""What happens to the lesions of the earlier scan; each is drawn about equally often."""

GROWTH, SHRINKAGE, STEADY = (1.6, 3.0), (0.3, 0.62), (0.97, 1.03)
"""Ranges of the factor on the volume of a grown, a shrunk and a stable or cavitated lesion."""

DEFAULT_COUNT = 6
DEFAULT_DIAMETER_MM = (8.0, 30.0)
LEAST_SPLIT_MM, LEAST_CAVITY_MM = 16.0, 12.0
"""Smallest diameters of a lesion that splits and of one that becomes cavitary, mm."""

PIECE_SHARE, PIECE_GAP_MM = 0.6, 2.0
"""Diameter of each of the two pieces as a share of the lesion's, and the distance of each from its center plane, mm."""

INTERVAL_DAYS = (60, 400)
BREATH_MM, TURN_DEGREES, MOVE_MM = 16.0, 5.0, 20.0
"""Largest displacement of the diaphragm, largest rotation about each axis, and largest shift along each axis."""

BREATH_TOP_MM, BREATH_BASE_MM, BREATH_END_MM = 70.0, -110.0, -260.0
"""Model heights at which the displacement by the breath begins, is largest, and ends, mm."""

TAPER_MM = 30.0
"""Distance outside the cavity of the thorax over which the displacement fades, mm."""

UNEVEN_MM, UNEVEN_GRID_POINTS = 1.5, 9.0
"""Standard deviation of the uneven displacement, mm, and its correlation length in points of the coarse grid."""

COARSER_SLICES, COARSER_PIXELS = (1.0, 1.6), (1.0, 1.2)
"""Ranges of the later scan's spacing, between slices and in the plane, relative to that of the earlier scan.

It is never finer, because the later anatomy is interpolated from the earlier one.
"""

LANDMARKS = 300
LANDMARK_DEPTH_MM = 5.0
INVERSION_STEPS = 40


@dataclass(frozen=True, eq=False)
class Motion:
    """The map from points of the later scan to points of the earlier scan.

    Attributes:
        rotation: 3 x 3 rotation of the patient between the scans.
        center: Point (3,) about which the patient turned, LPS mm.
        move: Shift (3,) of the patient, LPS mm.
        grid: The grid on which ``displacement`` is known.
        displacement: (3, z, y, x), mm, along LPS x, y, z: what the breath adds after the position was undone.
    """

    rotation: Array
    center: Array
    move: Array
    grid: CoarseGrid
    displacement: Array

    def to_earlier(self, points: Array) -> Array:
        """Convert points of the later scan (n, 3) to the corresponding points of the earlier scan (n, 3), LPS mm."""
        upright = (points - self.center - self.move) @ self.rotation + self.center
        index = ((upright - self.grid.low) / self.grid.spacing_mm).T[::-1]
        shift = [ndimage.map_coordinates(part, index, order=1, mode="nearest") for part in self.displacement]
        return np.asarray(upright + np.stack(shift, axis=-1))

    def to_later(self, points: Array) -> Array:
        """Convert points of the earlier scan (n, 3) to the corresponding points of the later scan (n, 3), LPS mm.

        The inverse is found by fixed-point iteration; the displacement is smooth enough for it to converge.
        """
        later = np.array(points, dtype=float)
        for _ in range(INVERSION_STEPS):
            later += (points - self.to_earlier(later)) @ self.rotation.T
        return later


def make_follow_up(
    seed: int, options: PhantomOptions | None = None, on_progress: ProgressCallback = ignore_progress
) -> FollowUpPhantom:
    """Make the phantom of ``seed`` twice, on two days, with known fates of its lesions.

    Args:
        seed: 0 or higher.
        options: What to fix about the earlier scan, in which six lesions of 8 to 30 mm are drawn by default. The later
            scan has a larger spacing and another noise and sharpness. Grids must be axial, with a default origin.
        on_progress: Receives the progress in steps.

    Returns:
        Both scans and their truth.

    Raises:
        UnusableInput: The seed is negative, or the options fix a direction or an origin, or ask for lobes.
    """
    options = options or PhantomOptions(lesion_count=DEFAULT_COUNT, lesion_diameter_mm=DEFAULT_DIAMETER_MM)
    check_seed(seed)
    if options.direction is not None or options.origin_lps_mm is not None:
        raise UnusableInput("A follow-up phantom has axial grids with a default origin; omit direction and origin.")
    if options.lobes:
        raise UnusableInput("The lobes of a follow-up phantom are not labeled; omit lobes.")
    rng = stream(seed, "follow-up")
    on_progress(Progress("phantom", 0, STEPS))
    earlier = build_anatomy(seed, options)
    on_progress(Progress("phantom", 1, STEPS))
    motion = _draw_motion(earlier.thorax, rng)
    second = _move_anatomy(earlier, motion, _later_grid(earlier.canvas.grid, motion, rng))
    on_progress(Progress("phantom", 2, STEPS))
    specs = draw_specs(stream(seed, "specs"), options) if options.lesions is None else options.lesions
    new = _new_specs(rng)
    placed = earlier.place(seed, replace(options, lesions=None), np.zeros(3), (*specs, *new))
    known = [lesion for lesion in placed if not any(lesion.spec is each for each in new)]
    fates = _draw_fates(known, rng)
    newcomers = [lesion for lesion in placed if any(lesion.spec is each for each in new)]
    first = _Scan(earlier.canvas, earlier.lungs)
    tracked = tuple(
        _paint_lesions(first, second, seed, known=known, fates=fates, newcomers=newcomers, motion=motion, rng=rng)
    )
    on_progress(Progress("phantom", 3, STEPS))
    phantoms = _scan_both(seed, first, second, patient=earlier.patient, motion=motion, rng=rng)
    points = _landmarks(earlier.thorax, rng)
    landmarks = np.stack([points, motion.to_later(points)], axis=1)
    displacement = _displacement(motion, second.canvas.grid)
    return FollowUpPhantom(*phantoms, tracked, landmarks, displacement, int(rng.integers(*INTERVAL_DAYS)))


def _scan_both(
    seed: int, first: _Scan, second: _Scan, *, patient: Patient, motion: Motion, rng: np.random.Generator
) -> tuple[Phantom, Phantom]:
    """Scan both days; the later scan has another noise and sharpness."""
    later = replace(
        patient,
        noise_hu=patient.noise_hu * float(rng.uniform(0.7, 1.3)),
        sharpness_mm=float(np.clip(patient.sharpness_mm * rng.uniform(0.7, 1.4), 0.3, 0.9)),
    )
    spine = spine_points(patient)
    hu = scan(first.canvas.hu, first.canvas.grid.spacing, patient, stream(seed, "noise"))
    later_hu = scan(second.canvas.hu, second.canvas.grid.spacing, later, stream(seed, "later noise"))
    return first.to_phantom(hu, spine), second.to_phantom(later_hu, motion.to_later(spine))


def _later_grid(grid: Grid, motion: Motion, rng: np.random.Generator) -> Grid:
    """Return the grid of the later scan: that of the earlier one with larger voxels, moved with the patient."""
    between, in_plane = rng.uniform(*COARSER_SLICES), rng.uniform(*COARSER_PIXELS)
    factors = np.array([between, in_plane, in_plane])
    size = np.maximum(np.floor(np.asarray(grid.shape) / factors).astype(int), 1)
    affine = grid.affine.copy()
    affine[:3, :3] *= factors
    affine[:3, 3] += motion.move
    return Grid(as_shape(size), affine)


def _draw_motion(thorax: Thorax, rng: np.random.Generator) -> Motion:
    x, y, z = thorax.model
    breath = float(rng.choice([-1, 1]) * rng.uniform(0.4, 1.0) * BREATH_MM)
    along = np.clip((BREATH_TOP_MM - z) / (BREATH_TOP_MM - BREATH_BASE_MM), 0, 1)
    along = along * np.clip((z - BREATH_END_MM) / (BREATH_BASE_MM - BREATH_END_MM), 0, 1)
    inside = np.clip(1 - thorax.cavity / TAPER_MM, 0, 1)
    inside = inside * inside * (3 - 2 * inside)
    forward = np.clip((40 - y) / 120, 0, 1)
    uneven = [UNEVEN_MM * smooth_noise(rng, thorax.grid.size, UNEVEN_GRID_POINTS) for _ in range(3)]
    toward = (0.1 * breath * along * x / 120, 0.25 * breath * along * forward, breath * along)
    displacement = np.stack(
        [np.broadcast_to(inside * (main + extra), thorax.grid.size) for main, extra in zip(toward, uneven, strict=True)]
    )
    turn = np.radians(rng.uniform(-TURN_DEGREES, TURN_DEGREES, 3))
    return Motion(_rotation(turn), np.zeros(3), rng.uniform(-MOVE_MM, MOVE_MM, 3), thorax.grid, displacement)


def _rotation(angles: Array) -> Array:
    """Return the rotation about x, then y, then z by ``angles`` (3,), radians."""
    whole = np.eye(3)
    for axis, angle in enumerate(angles):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        whole = turn @ whole
    return whole


def _new_specs(rng: np.random.Generator) -> tuple[LesionSpec, ...]:
    return tuple(LesionSpec("solid", float(rng.uniform(7, 14)), "lung") for _ in range(int(rng.integers(1, 3))))


def _draw_fates(placed: list[PlacedLesion], rng: np.random.Generator) -> list[str]:
    """Deal out the fates in random order; a lesion that is too small for its fate stays stable."""
    order: list[str] = []
    while len(order) < len(placed):
        order += rng.permutation(FATES).tolist()
    return [
        "stable"
        if (fate == "split" and lesion.spec.diameter_mm < LEAST_SPLIT_MM)
        or (fate == "cavitated" and (lesion.spec.kind != "solid" or lesion.spec.diameter_mm < LEAST_CAVITY_MM))
        else fate
        for fate, lesion in zip(order, placed, strict=False)
    ]


@dataclass(eq=False)
class _Scan:
    """A scan in the making: the canvas, the labels of the lungs and those of the lesions."""

    canvas: Canvas
    lungs: Array

    def __post_init__(self) -> None:
        self.tumor = np.zeros(self.canvas.grid.shape, np.uint8)
        self.lesions: list[PhantomLesion] = []

    def add(self, placed: PlacedLesion, seed: int, topic: str) -> tuple[int, ...]:
        """Add a lesion.

        Args:
            placed: The lesion and its place in this scan.
            seed: The phantom's seed.
            topic: Topic of the lesion's random numbers (see ``stream``).

        Returns:
            The lesion's label, or nothing if no voxel shows it.
        """
        label = len(self.lesions) + 1
        lesion = add_lesion(
            self.canvas, self.tumor, self.lungs, label=label, lesion=placed, rng=stream(seed, topic), shift=np.zeros(3)
        )
        if lesion is None or not lesion.volume_ml:
            return ()
        self.lesions.append(lesion)
        return (label,)

    def to_phantom(self, hu: Array, spine: Array) -> Phantom:
        """Return the finished phantom.

        Args:
            hu: HU (slice, row, column) after the scan, int16.
            spine: Center line (n, 3) of the vertebral bodies, LPS mm.
        """
        affine = self.canvas.grid.affine
        tumor, lungs = Volume(self.tumor, affine), Volume(self.lungs, affine)
        return Phantom(CTVolume(hu, affine), tumor, lungs, tuple(self.lesions), spine)


def _move_anatomy(anatomy: Anatomy, motion: Motion, later: Grid) -> _Scan:
    """Return the painted anatomy in its later position and breath, on the grid ``later``."""
    grid = anatomy.canvas.grid
    hu, lungs = np.empty(later.shape, np.float32), np.empty(later.shape, np.uint8)
    rows, columns = (each.ravel() for each in np.indices(later.shape[1:]))
    for k in range(later.shape[0]):
        points = later.index_to_lps(np.stack([np.full(rows.shape, k), rows, columns], axis=-1))
        index = grid.lps_to_index(motion.to_earlier(points)).T
        hu[k] = ndimage.map_coordinates(anatomy.canvas.hu, index, order=1, mode="nearest").reshape(hu.shape[1:])
        lungs[k] = ndimage.map_coordinates(anatomy.lungs, index, order=0, mode="nearest").reshape(hu.shape[1:])
    return _Scan(Canvas(later, anatomy.canvas.coarse, hu), lungs)


def _paint_lesions(
    first: _Scan,
    second: _Scan,
    seed: int,
    *,
    known: list[PlacedLesion],
    fates: list[str],
    newcomers: list[PlacedLesion],
    motion: Motion,
    rng: np.random.Generator,
) -> Iterator[TrackedPhantomLesion]:
    """Paint each lesion in both scans; yield what became of it."""
    for number, (lesion, fate) in enumerate(zip(known, fates, strict=True), start=1):
        topic = f"lesion {number}"
        earlier = first.add(lesion, seed, topic)
        later: list[int] = []
        for piece in _later_lesions(lesion, fate, rng):
            later += second.add(_displace(piece, motion), seed, topic)
        if earlier:
            yield TrackedPhantomLesion(fate, FOLLOW_UP_LESION_STATUS[fate], earlier, tuple(later))
    for number, lesion in enumerate(newcomers, start=1):
        labels = second.add(_displace(lesion, motion), seed, f"new lesion {number}")
        if labels:
            yield TrackedPhantomLesion("new", "new", (), labels)


def _later_lesions(lesion: PlacedLesion, fate: str, rng: np.random.Generator) -> list[PlacedLesion]:
    """Return the lesion as it is on the later day, still at its earlier place; none, one, or two pieces."""
    spec = lesion.spec
    factor = float(rng.uniform(*{"grown": GROWTH, "shrunk": SHRINKAGE}.get(fate, STEADY))) ** (1 / 3)
    axis = rng.normal(size=3)
    if fate == "gone":
        return []
    if fate == "split":
        away = axis / np.linalg.norm(axis) * (PIECE_SHARE * spec.diameter_mm / 2 + PIECE_GAP_MM)
        piece = replace(spec, diameter_mm=PIECE_SHARE * spec.diameter_mm)
        return [replace(lesion, spec=piece, center_lps=lesion.center_lps + sign * away) for sign in (-1, 1)]
    kind = "cavitary" if fate == "cavitated" else spec.kind
    diameter = float(np.clip(spec.diameter_mm * factor, *DIAMETER_RANGE_MM))
    return [replace(lesion, spec=replace(spec, kind=kind, diameter_mm=diameter))]


def _displace(lesion: PlacedLesion, motion: Motion) -> PlacedLesion:
    """Return a lesion at its place in the later scan, with the room that the organs leave there."""
    x, y, z = np.broadcast_arrays(*motion.grid.axes())
    points = motion.to_earlier(np.stack([x, y, z], axis=-1).reshape(-1, 3).astype(float))
    room = motion.grid.at(lesion.room, points).reshape(motion.grid.size).astype(np.float32)
    return replace(lesion, center_lps=motion.to_later(lesion.center_lps[None])[0], room=room)


def _landmarks(thorax: Thorax, rng: np.random.Generator) -> Array:
    """Draw points (n, 3) inside the lungs of the earlier scan, LPS mm."""
    index = np.argwhere(thorax.lungs < -LANDMARK_DEPTH_MM)[:, ::-1]
    chosen = index[rng.choice(len(index), min(LANDMARKS, len(index)), replace=False)]
    return np.asarray(chosen * thorax.grid.spacing_mm + thorax.grid.low)


def _displacement(motion: Motion, grid: Grid) -> tuple[Array, Grid]:
    """Return the displacement (z, y, x, 3), mm, from later to earlier points, and its grid in the later scan."""
    corner = grid.origin
    size = np.ceil(np.asarray(grid.shape) * np.asarray(grid.spacing) / motion.grid.spacing_mm).astype(int) + 1
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, ::-1] * motion.grid.spacing_mm
    affine[:3, 3] = corner
    coarse = Grid(as_shape(size), affine)
    points = coarse.index_to_lps(np.indices(coarse.shape).reshape(3, -1).T)
    shift = (motion.to_earlier(points) - points).astype(np.float32)
    return shift.reshape(*coarse.shape, 3), coarse
