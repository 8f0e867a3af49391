"""Bones: vertebrae with their canal, ribs with cartilage, sternum, clavicles, scapulae and humeri."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..core.boxes import Slices
from ..core.volume import Array
from .canvas import Canvas, coverage
from .patient import Patient
from .shapes import capsule, curve, ellipsoid, smooth_min, tube
from .thorax import CAGE_ROUNDNESS, Thorax, cage_dent, cage_section

CORTEX_HU, MARROW_HU, RIB_MARROW_HU, CARTILAGE_HU, DISC_HU, CANAL_HU, CORD_HU = (
    620.0,
    180.0,
    120.0,
    110.0,
    85.0,
    15.0,
    42.0,
)
DISC_OVERLAP_MM = 1.5
"""Distance by which discs extend into each other, mm, so that no gap opens where the spine bends."""

CORTEX_MM, ENDPLATE_MM = 1.3, 0.6
VERTEBRA_HEIGHT_MM = 24.0
"""Distance between neighboring thoracic vertebrae in the model, disc included, mm."""

VERTEBRA_REACH_MM = np.array([[45.0, 30, 30], [45.0, 75, 20]])
"""Farthest extent of a vertebra's processes from its center, mm: toward lower and toward higher (x, y, z)."""

LOWEST_VERTEBRA_MM, HIGHEST_VERTEBRA_MM = -290.0, 170.0
FIRST_RIB_MM = 82.0
"""Height of the first thoracic vertebra's center in the model, mm."""

RIB_HALF_THICKNESS_MM, RIB_HALF_HEIGHT_MM = 3.4, 6.0
RIB_LENGTHS = (0.93, 0.97, 1, 1, 1, 1, 1, 0.92, 0.86, 0.78, 0.6, 0.45)
RIB_DROPS_MM = (34, 54, 68, 84, 100, 112, 120, 125, 125, 120, 115, 110)
"""Shape of each rib, from the first to the twelfth.

``RIB_LENGTHS`` is the share of the way from the spine (0) to the sternum (1) that the rib covers. ``RIB_DROPS_MM`` is
the height that it would lose over the whole way, mm.
"""

CARTILAGE_FROM = 0.80
RIB_OFFSET_MM = 5.0
"""Distance from the pleura to the rib's center line, mm."""


def vertebra_heights() -> Array:
    """Return the heights (n,) of the centers of the vertebral bodies in the model chest, mm, from foot to head."""
    first = FIRST_RIB_MM % VERTEBRA_HEIGHT_MM
    heights = np.arange(-20, 20) * VERTEBRA_HEIGHT_MM + first
    return heights[(heights > LOWEST_VERTEBRA_MM) & (heights < HIGHEST_VERTEBRA_MM)]


def paint_skeleton(canvas: Canvas, patient: Patient, thorax: Thorax, rng: np.random.Generator) -> None:
    """Paint all bones.

    Args:
        canvas: The canvas; it is painted in place.
        patient: Supplies size, posture and the factor on the HU of bone.
        thorax: The patient's thorax, on which the shoulder blades lie.
        rng: Draws the length of the vertebral processes.
    """
    for height in vertebra_heights():
        _paint_vertebra(canvas, patient, float(height), rng)
    for rib in range(12):
        for side in (-1.0, 1.0):
            _paint_rib(canvas, patient, rib, side)
    _paint_sternum(canvas, patient)
    _paint_shoulder_girdle(canvas, patient, thorax)


def _paint_bone(canvas: Canvas, patient: Patient, box: Slices, distance: Array, cortex_mm: float = CORTEX_MM) -> None:
    canvas.paint(box, distance, CORTEX_HU * patient.bone_scale)
    canvas.paint(box, distance + cortex_mm, MARROW_HU * patient.bone_scale)


def _paint_vertebra(canvas: Canvas, patient: Patient, height: float, rng: np.random.Generator) -> None:
    center = patient.spine_point(height)
    above = patient.spine_point(height + VERTEBRA_HEIGHT_MM / 2) - patient.spine_point(height - VERTEBRA_HEIGHT_MM / 2)
    half = np.linalg.norm(above) / 2
    above /= 2 * half
    box = canvas.box(center - VERTEBRA_REACH_MM[0], center + VERTEBRA_REACH_MM[1])
    if box is None:
        return
    x, y, z = canvas.points(box)
    x, y, z = x - np.float32(center[0]), y - np.float32(center[1]), z - np.float32(center[2])
    along = x * np.float32(above[0]) + y * np.float32(above[1]) + z * np.float32(above[2])
    u, v = x - along * np.float32(above[0]), y - along * np.float32(above[1])
    size = np.mean(patient.scale) * (1.05 - 0.0012 * height)
    waist = 1 - 0.10 * np.cos(np.clip(along / half, -1, 1) * np.pi / 2)
    column = (np.sqrt((u / (17.5 * size)) ** 2 + (v / (15.0 * size)) ** 2 + 1e-6) - waist) * 16 * size
    disc = np.maximum(column, np.abs(along) - half - DISC_OVERLAP_MM)
    canvas.paint(box, disc, DISC_HU)
    canal_v = v - np.float32(24.0 * size)
    canal = np.maximum(np.sqrt((u / 1.15) ** 2 + canal_v**2) - 8.0 * size, np.abs(along) - half)
    ring = np.maximum(np.sqrt((u / 1.2) ** 2 + canal_v**2) - 12.0 * size, np.abs(along) - 7.5)
    reach = (1 + 0.1 * rng.random()) * size
    for side in (-1, 1):
        ring = smooth_min(
            ring,
            capsule((u, v, along), np.array([side * 10, 26, 2.0]), np.array([side * 30 * reach, 37, 4.0]), 5.0, 4.0),
            4,
        )
    spinous = capsule((u, v, along), np.array([0, 33, 0.0]), np.array([0, 56 * reach, -16.0]), 4.5, 3.0)
    body = np.maximum(column, np.abs(along) - (half - 2.2))
    arch = smooth_min(ring, spinous, 4)
    canvas.paint(box, smooth_min(body, arch, 3), CORTEX_HU * patient.bone_scale)
    spongy = np.maximum(column + CORTEX_MM, np.abs(along) - (half - 2.2 - ENDPLATE_MM))
    canvas.paint(box, smooth_min(spongy, arch + CORTEX_MM, 3), MARROW_HU * patient.bone_scale)
    canvas.paint(box, canal, CANAL_HU)
    canvas.paint(box, np.maximum(np.sqrt(u**2 + canal_v**2) - 4.8 * size, np.abs(along) - half), CORD_HU)


def rib_line(patient: Patient, rib: int, side: float) -> tuple[Array, int]:
    """Return the center line of a rib from the spine toward the sternum.

    Args:
        patient: The patient.
        rib: 0 is the first rib.
        side: 1 is the left side, -1 the right side.

    Returns:
        The points (n, 3), LPS mm, and the index at which the cartilage begins.
    """
    share = np.linspace(0.05, RIB_LENGTHS[rib], 30)  # 0 behind, 1 at the sternum
    z = FIRST_RIB_MM - rib * VERTEBRA_HEIGHT_MM + 7 - RIB_DROPS_MM[rib] * share**1.1
    rising = np.clip(share - CARTILAGE_FROM, 0, None) / (1 - CARTILAGE_FROM)
    z = z + rising * 30 * np.clip(rib - 3, 0, 4)  # lower costal cartilages rise to the sternum
    half_width, center, half_depth = cage_section(z)
    sine, cosine = np.sin(share * np.pi), np.cos(share * np.pi)
    exponent = 2 / CAGE_ROUNDNESS
    x = np.maximum((half_width + RIB_OFFSET_MM) * np.abs(sine) ** exponent, 13.0)
    y = center + (half_depth + RIB_OFFSET_MM) * np.sign(cosine) * np.abs(cosine) ** exponent
    y = y - cage_dent(x, cosine)
    points = patient.to_lps(np.column_stack([side * x, y, z]))
    return points, int(np.searchsorted(share, CARTILAGE_FROM))


def _flattened_segments(canvas: Canvas, points: Array) -> Iterator[tuple[Slices, Array]]:
    """Yield the boxes and distances of a flat band along ``points`` that is higher than thick.

    The band consists of capsules in a space that is compressed along z.
    """
    squeeze = np.array([1, 1, RIB_HALF_THICKNESS_MM / RIB_HALF_HEIGHT_MM])
    start, end = points[:-1], points[1:]
    radius = RIB_HALF_THICKNESS_MM
    for i, box in enumerate(canvas.boxes(np.minimum(start, end), np.maximum(start, end), RIB_HALF_HEIGHT_MM + 1)):
        if box is not None:
            x, y, z = canvas.points(box)
            yield box, capsule((x, y, z * np.float32(squeeze[2])), start[i] * squeeze, end[i] * squeeze, radius, radius)


def _paint_rib(canvas: Canvas, patient: Patient, rib: int, side: float) -> None:
    points, cartilage = rib_line(patient, rib, side)
    if cartilage < len(points) - 1 and rib < 10:
        for box, distance in _flattened_segments(canvas, points[cartilage:]):
            canvas.paint(box, distance, CARTILAGE_HU)
    bony = points[: cartilage + 1]
    parts = list(_flattened_segments(canvas, bony))
    for shrink, hu in ((0.0, CORTEX_HU), (CORTEX_MM, RIB_MARROW_HU)):
        for box, distance in parts:
            canvas.paint(box, distance + shrink, hu * patient.bone_scale)


def _paint_sternum(canvas: Canvas, patient: Patient) -> None:
    line = curve([(0, -50, 46), (0, -66, 26), (0, -78, 0), (0, -88, -40), (0, -95, -85), (0, -96, -105)], 24)
    points = patient.to_lps(line)
    half_width = np.interp(line[:, 2], (-105, -90, -20, 15, 25, 46), (6, 15, 13, 12, 21, 25))
    parts, margin = [], np.array([30.0, 8.0, 2.0])
    for i in range(len(points) - 1):
        low, high = np.minimum(points[i], points[i + 1]), np.maximum(points[i], points[i + 1])
        box = canvas.box(low - margin, high + margin, 1.0)
        if box is not None:
            x, y, z = canvas.points(box)
            flat = np.float32(5.0 / half_width[i])
            scale = np.array([flat, 1, 1])
            parts.append((box, capsule((x * flat, y, z), points[i] * scale, points[i + 1] * scale, 5.0, 5.0)))
    for shrink, hu in ((0.0, CORTEX_HU * 0.8), (CORTEX_MM, RIB_MARROW_HU)):
        for box, distance in parts:
            canvas.paint(box, distance + shrink, hu * patient.bone_scale)


def _paint_shoulder_girdle(canvas: Canvas, patient: Patient, thorax: Thorax) -> None:
    x, y, z = thorax.model
    side = np.abs(x)
    sheet = thorax.cage - 25 - 0.06 * (z - 20)
    medial, lateral = 66 + 0.02 * (z + 60), 92 + 0.42 * (z + 75)
    boundary = np.maximum(np.maximum(medial - side, side - lateral), np.maximum(z - 72, -72 - z))
    boundary = np.maximum(boundary, 8 - y)
    outline = np.maximum(boundary, np.abs(sheet) - 12)
    box = canvas.box_of(outline)
    if box is not None:
        blade = np.maximum(np.abs(canvas.sample(sheet, box)) - 2.4, canvas.sample(boundary, box))
        share = coverage(blade, canvas.edge_mm)
        canvas.hu[box] += share * (CORTEX_HU * 0.75 * patient.bone_scale - canvas.hu[box])
    high = 20.0 if patient.arms == "up" else 0.0
    for sign in (-1.0, 1.0):
        ridge = [
            (sign * 78, 96, 48),
            (sign * 115, 88, 62),
            (sign * 150, 60, 80 + high / 2),
            (sign * 166, 30, 92 + high / 2),
        ]
        collar = [
            (sign * 18, -52, 52),
            (sign * 50, -54, 66),
            (sign * 95, -36, 82),
            (sign * 140, -10, 92),
            (sign * 162, 14, 96),
        ]
        for line, radius, count in ((ridge, (4, 5, 6, 7), 4), (collar, (8, 6, 5.5, 5.5, 6), 12)):
            widths = np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(radius)), radius)
            points = patient.to_lps(curve(line, count))
            box = canvas.box(points.min(axis=0) - 8, points.max(axis=0) + 8)
            if box is not None:
                _paint_bone(canvas, patient, box, tube(canvas.points(box), points, widths), 1.8)
        _paint_humerus(canvas, patient, sign, high)


def _paint_humerus(canvas: Canvas, patient: Patient, sign: float, high: float) -> None:
    head = patient.to_lps(np.array([[sign * 178, 14, 72 + high]]))[0]
    down = [
        (sign * 180, 16, 70),
        (sign * 222, 26, 20),
        (sign * 236, 24, -80),
        (sign * 240, 10, -200),
        (sign * 242, 0, -240),
    ]
    up = [(sign * 180, 14, 90), (sign * 190, 5, 130), (sign * 195, -5, 200)]
    shaft = patient.to_lps(curve(down if patient.arms == "down" else up, 10))
    box = canvas.box(np.minimum(shaft.min(axis=0), head - 24), np.maximum(shaft.max(axis=0), head + 24), 14)
    if box is None:
        return
    x, y, z = canvas.points(box)
    bone = smooth_min(ellipsoid((x, y, z), tuple(head), (23, 23, 24)), tube((x, y, z), shaft, 11), 6)
    _paint_bone(canvas, patient, box, bone, 2.5)
