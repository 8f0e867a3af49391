"""A CT with balls in a lung, and a second network that finds what is dense."""

from __future__ import annotations

import numpy as np
import pytest
from density_network import DensityNetwork
from LungTumorSegLib.core.volume import CTVolume
from LungTumorSegLib.refinement.calibration import Calibration
from LungTumorSegLib.weights.manifest import SecondLook

LUNG_HU, BALL_HU = -850.0, 40.0
CENTER, RADIUS_MM = (12.0, -8.0, 30.0), 11.0
STRAIGHT = np.eye(3)


def axial_affine(spacing_mm, origin=(-60.0, -60.0, -30.0), turn=STRAIGHT):
    """Return the affine of a canonical grid, (slice, row, column) to LPS, turned by a rotation matrix."""
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.eye(3)[:, ::-1] * spacing_mm
    affine[:3, 3] = origin
    return affine


def ball_ct(spacing_mm=(2.0, 1.0, 1.0), center=CENTER, radius_mm=RADIUS_MM, turn=STRAIGHT, side_mm=120):
    """Return a CT of lung with one dense ball."""
    shape = tuple(int(side_mm / s) for s in spacing_mm)
    ct = CTVolume(np.full(shape, LUNG_HU, np.float32), axial_affine(spacing_mm, turn=turn))
    points = ct.index_to_lps(np.stack(np.indices(shape), axis=-1))
    ct.array[np.linalg.norm(points - np.asarray(center), axis=-1) <= radius_mm] = BALL_HU
    return ct


@pytest.fixture
def network():
    return DensityNetwork().eval()


@pytest.fixture
def numbers():
    click = Calibration(0.0, {"tumor_logit": 1.0})
    return SecondLook(8, "", click, click)
