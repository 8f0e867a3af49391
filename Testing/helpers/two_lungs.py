"""Two lungs of ellipsoids with lesions of balls, as the segmentation of one examination."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from LungTumorSegLib.core import terminology
from LungTumorSegLib.core.volume import CTVolume, Volume
from LungTumorSegLib.io.seg_nrrd import write_segmentation
from LungTumorSegLib.io.segment import Segment

SPACING = 3.0
SHAPE = (76, 56, 92)
ORIGIN = np.array([-138.0, -84.0, -112.0])
LUNGS = {"Left lung": (66.0, 0.0, 0.0), "Right lung": (-66.0, 0.0, 0.0)}
RADII = (50.0, 65.0, 95.0)

Ball = tuple[tuple[float, float, float], float]
"""Center (x, y, z), LPS mm, and radius, mm."""


def grid_points(origin: np.ndarray = ORIGIN) -> tuple[np.ndarray, np.ndarray]:
    """Return the points (slice, row, column, 3), LPS mm, and the affine of a grid."""
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, ::-1] * SPACING
    affine[:3, 3] = origin
    index = np.stack(list(np.indices(SHAPE)), axis=-1)
    return index @ affine[:3, :3].T + affine[:3, 3], affine


def ellipsoid(points: np.ndarray, center: npt.ArrayLike, radii: npt.ArrayLike) -> np.ndarray:
    """Return which points lie inside an ellipsoid."""
    return np.asarray((((points - np.asarray(center)) / np.asarray(radii)) ** 2).sum(axis=-1) <= 1)


def segments_of(
    balls: dict[str, Ball], *, shift: npt.ArrayLike = (0.0, 0.0, 0.0), stretch: float = 1.0
) -> list[Segment]:
    """Return lungs and lesions; everything is stretched along z and shifted, lesions keep their shape."""
    points, affine = grid_points()
    back = (points - np.asarray(shift)) / (1, 1, stretch)
    lesions = {
        name: ellipsoid(points, np.asarray(center) * (1, 1, stretch) + np.asarray(shift), (radius,) * 3)
        for name, (center, radius) in balls.items()
    }
    tumor = np.logical_or.reduce([*lesions.values(), np.zeros(SHAPE, bool)])
    lungs = {name: ellipsoid(back, center, RADII) & ~tumor for name, center in LUNGS.items()}
    return [
        *(Segment(name, Volume(mask, affine), (0.5, 0.7, 0.9), terminology.LUNGS) for name, mask in lungs.items()),
        *(Segment(name, Volume(mask, affine), (1, 0, 0), terminology.TUMOR[None]) for name, mask in lesions.items()),
    ]


def write_examination(folder: Path, balls: dict[str, Ball], **geometry: Any) -> Path:
    """Write a folder with a segmentation, as ``segment`` would."""
    folder.mkdir(parents=True)
    write_segmentation(segments_of(balls, **geometry), folder / "segmentation.seg.nrrd")
    return folder


def ct_of(segments: list[Segment]) -> CTVolume:
    """Return a CT that shows the segments: lungs of -850 HU, lesions and everything else of 40 HU."""
    hu = np.full(SHAPE, 40, np.int16)
    for segment in segments[:2]:
        hu[segment.mask.array] = -850
    return CTVolume(hu, segments[0].mask.affine)
