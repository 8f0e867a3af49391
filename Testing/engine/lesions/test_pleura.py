"""Distances to the pleura and contact with what lies beyond, on chests whose lungs are boxes."""

from itertools import product

import numpy as np
import pytest
from chests import Chest, make_chest
from LungTumorSegLib.core.volume import CTVolume, Volume
from LungTumorSegLib.lesions import report_lesions
from LungTumorSegLib.lesions.pleura import GAP_MM, close_slits
from scipy import ndimage
from volumes import ORIENTATIONS, affine_of

SHAPE = (60, 90, 120)
SPACING = (2.0, 1.0, 1.2)
FACES = {  # of the box that is the left lung, in voxel edges
    "medial": (2, 28 - 0.5), "lateral": (2, 116 - 0.5), "front": (1, 5 - 0.5), "base": (0, 3 - 0.5),
    "apex": (0, 57 - 0.5),
}  # fmt: skip
MIDDLE = np.array([29.5, 44.5, 71.5])


AN_EMPTY_CHEST = make_chest(SHAPE, spacing=SPACING)


def a_ball(center, radius_mm, shape=SHAPE) -> np.ndarray:
    axes = (np.arange(n).reshape(np.roll((-1, 1, 1), i)) for i, n in enumerate(shape))
    return sum(((axis - c) * s) ** 2 for axis, c, s in zip(axes, center, SPACING, strict=True)) <= radius_mm**2


def on_face(name, depth_mm) -> np.ndarray:
    """The point (slice, row, column) that lies ``depth_mm`` inside the lung from the middle of a face."""
    axis, edge = FACES[name]
    point = MIDDLE.copy()
    point[axis] = edge + np.sign(MIDDLE[axis] - edge) * depth_mm / SPACING[axis]
    return point


def located(chest: Chest):
    (lesion,) = report_lesions(chest.tumor, chest.ct, chest.left_lung, chest.right_lung, min_lesion_ml=0.0).lesions
    return lesion.location


def with_ball(center, radius_mm, *, drawn_in_lung=True) -> Chest:
    ball = a_ball(center, radius_mm) & AN_EMPTY_CHEST.left_lung.array
    chest = AN_EMPTY_CHEST.with_tumor(ball)
    left = chest.left_lung.array if drawn_in_lung else chest.left_lung.array & ~ball
    return Chest(chest.ct, chest.left_lung.with_array(left), chest.right_lung, chest.tumor)


@pytest.mark.parametrize("drawn_in_lung", [True, False])
@pytest.mark.parametrize(("face", "touched"), [
    ("medial", "mediastinum_cm2"), ("lateral", "chest_wall_cm2"), ("front", "chest_wall_cm2"),
    ("apex", "chest_wall_cm2"),
    ("base", "diaphragm_cm2"),
])  # fmt: skip
def test_half_a_ball_touches_what_its_face_lies_on_with_the_area_of_its_disc(face, touched, drawn_in_lung):
    pleura = located(with_ball(on_face(face, 0), 16, drawn_in_lung=drawn_in_lung)).pleura
    areas = {name: getattr(pleura, name) for name in ("mediastinum_cm2", "chest_wall_cm2", "diaphragm_cm2")}
    assert areas.pop(touched) == pytest.approx(np.pi * 1.6**2, rel=0.1)
    assert sum(areas.values()) <= 0.05 * pleura.area_cm2  # the disc's rim, which smoothing rounds, may look elsewhere
    assert pleura.area_cm2 == pytest.approx(np.pi * 1.6**2, rel=0.1)
    assert pleura.length_mm == pytest.approx(32, abs=2 * max(SPACING))
    assert pleura.distance_mm == 0


FINE, THICK = (2.0, 1.0, 1.2), (3.0, 0.9, 0.9)
QUICK_CAPS = {
    (9.0, (1, 0, 0), FINE),
    (18.0, (0, 0, 1), THICK),
    (9.0, (1, 1, 1), THICK),
    (18.0, (1, -0.5, -0.7), FINE),
    (9.0, (-1, 0.2, 0), FINE),
}
CAPS = product((9.0, 18.0), ((1, 0, 0), (0, 0, 1), (1, 1, 1), (1, -0.5, -0.7), (-1, 0.2, 0)), (FINE, THICK))


@pytest.mark.parametrize(
    ("radius_mm", "toward", "spacing"),
    [cap if cap in QUICK_CAPS else pytest.param(*cap, marks=pytest.mark.slow) for cap in CAPS],
)
def test_a_ball_on_a_curved_pleura_touches_a_cap_of_its_own_cross_section(radius_mm, toward, spacing):
    lung_mm = 45.0
    shape = tuple(int(n / s) for n, s in zip((110, 110, 210), spacing, strict=True))
    grid = Volume(np.zeros(shape, dtype=bool), affine_of(spacing))
    x, y, z = np.moveaxis(grid.index_to_lps(np.moveaxis(np.indices(shape), 0, -1)), -1, 0)
    x, y, z = (axis - axis.mean() for axis in (x, y, z))
    left, right = (np.hypot(np.hypot(x - side * 52, y), z) <= lung_mm for side in (1, -1))
    a, b, c = np.asarray(toward) / np.linalg.norm(toward) * lung_mm
    tumor = left & (np.hypot(np.hypot(x - 52 - a, y - b), z - c) <= radius_mm)
    hu = np.where(tumor, 40.0, np.where(left | right, -850.0, 30.0)).astype(np.float32)
    pleura = located(Chest(CTVolume(hu, grid.affine), *(grid.with_array(mask) for mask in (left, right, tumor)))).pleura
    # a ball that cuts from a sphere a cap whose rim lies radius_mm from the cap's pole: its area is that of the ball's
    # cross-section
    tolerance = 0.1 if radius_mm > 10 else 0.12  # of 9 voxels across, one of 20 is off by 0.11
    assert pleura.area_cm2 == pytest.approx(np.pi * (radius_mm / 10) ** 2, rel=tolerance)


@pytest.mark.parametrize("face", ["lateral", "front", "base", "apex"])
@pytest.mark.parametrize("gap_mm", [4, 9, 17])
def test_the_distance_to_the_pleura_is_the_gap_within_a_voxel(face, gap_mm):
    pleura = located(with_ball(on_face(face, gap_mm + 8), 8)).pleura
    assert pleura.distance_mm == pytest.approx(gap_mm, abs=SPACING[FACES[face][0]])
    assert pleura.area_cm2 == 0
    assert pleura.length_mm == 0


def test_the_pleura_is_found_beyond_the_first_search():
    chest = make_chest((80, 110, 150), spacing=(2.0, 1.0, 1.2))
    chest = chest.with_tumor(a_ball((39.5, 54.5, 86.5), 6, (80, 110, 150)))
    assert located(chest).pleura.distance_mm == pytest.approx(54.5 - 4.5 - 6, abs=1.0)  # the front face is the nearest


def test_a_slit_between_the_masks_of_lung_and_lesion_is_no_pleura():
    chest = with_ball(MIDDLE, 10)
    slit = a_ball(MIDDLE, 11.3) & ~a_ball(MIDDLE, 10)
    chest = Chest(chest.ct, chest.left_lung.with_array(chest.left_lung.array & ~slit), chest.right_lung, chest.tumor)
    pleura = located(chest).pleura
    assert pleura.area_cm2 == 0
    assert pleura.distance_mm > 20


def test_a_vessel_inside_the_lung_is_no_pleura():
    chest = with_ball(MIDDLE, 10)
    vessel = a_ball(MIDDLE + np.array((0, 0, 14)), 6) & ~chest.tumor.array
    chest = Chest(chest.ct, chest.left_lung.with_array(chest.left_lung.array & ~vessel), chest.right_lung, chest.tumor)
    assert located(chest).pleura.distance_mm > 20


def test_a_vessel_that_leaves_the_lung_is_no_pleura_either():
    chest = with_ball(MIDDLE, 10)
    vessel = np.zeros(SHAPE, dtype=bool)
    vessel[27:31, 30:42, 70:74] = vessel[27:31, 30:34, :74] = (
        True  # 8 mm high, from the front of the ball to the mediastinum
    )
    chest = Chest(chest.ct, chest.left_lung.with_array(chest.left_lung.array & ~vessel), chest.right_lung, chest.tumor)
    assert located(chest).pleura.area_cm2 < 0.4


def test_zones_are_thirds_of_the_lungs_height():
    for slice_, zone in ((6, "lower"), (19, "lower"), (22, "middle"), (37, "middle"), (40, "upper"), (53, "upper")):
        assert located(with_ball((slice_, *MIDDLE[1:]), 5)).zone == zone


@pytest.mark.parametrize(
    ("gap_mm", "depth"), [(12, "central"), (19, "central"), (22, "peripheral"), (40, "peripheral")]
)
def test_a_lesion_is_central_within_2_cm_of_the_mediastinum(gap_mm, depth):
    location = located(with_ball(on_face("medial", gap_mm + 8), 8))
    assert location.depth == depth
    assert location.mediastinum_mm == pytest.approx(gap_mm, abs=SPACING[2])


def test_where_no_mediastinum_is_found_no_depth_is_claimed():
    chest = with_ball(on_face("medial", 48), 8)
    nothing = chest.right_lung.with_array(np.zeros(SHAPE, dtype=bool))
    location = located(Chest(chest.ct, chest.left_lung, nothing, chest.tumor))
    assert not np.isfinite(location.mediastinum_mm)
    assert (location.depth, location.zone_and_depth) == (None, "middle zone")


@pytest.mark.parametrize("toward", [(0, 0, -1), (0, 1, 0), (1, 0, 0), (1, 1, -1)])
def test_the_distance_to_the_carina_is_that_of_the_nearest_voxel(toward):
    chest = with_ball(MIDDLE, 12)
    direction = np.asarray(toward) / np.linalg.norm(toward)
    carina_lps = chest.ct.index_to_lps(MIDDLE + direction * 30 / SPACING)
    found = report_lesions(
        chest.tumor, chest.ct, chest.left_lung, chest.right_lung, min_lesion_ml=0.0, carina_lps=tuple(carina_lps)
    )
    assert found.lesions[0].location.carina_mm == pytest.approx(30 - 12, abs=max(SPACING))


@pytest.fixture(scope="module")
def beside_the_mediastinum():
    chest = with_ball(on_face("medial", 6), 13)
    return chest, located(chest)


def test_where_no_carina_is_known_there_is_no_distance_to_it(beside_the_mediastinum):
    assert beside_the_mediastinum[1].carina_mm is None


@pytest.mark.parametrize("order", ORIENTATIONS[::9], ids=str)
def test_orientation_changes_no_location(beside_the_mediastinum, order):
    chest, expected = beside_the_mediastinum
    found = located(chest.reordered(order))
    assert (found.side, found.zone, found.depth) == (expected.side, expected.zone, expected.depth)
    for name in ("mediastinum_cm2", "chest_wall_cm2", "diaphragm_cm2", "length_mm", "distance_mm"):
        assert getattr(found.pleura, name) == pytest.approx(
            getattr(expected.pleura, name), abs=1e-4
        )  # vtk counts in single precision
    assert expected.pleura.mediastinum_cm2 > 1


def test_a_chest_without_lungs_gives_no_location():
    chest = with_ball(MIDDLE, 8)
    nothing = chest.left_lung.with_array(np.zeros(SHAPE, dtype=bool))
    (lesion,) = report_lesions(chest.tumor, chest.ct, nothing, nothing, min_lesion_ml=0.0).lesions
    assert lesion.location is None
    assert lesion.side is None


@pytest.mark.parametrize("spacing", [(0.6, 0.7, 0.7), (2.5, 0.9, 0.6), (1.0, 0.4, 1.3), (5.0, 3.0, 3.0)])
def test_slits_are_closed_as_by_the_closing_of_scipy(spacing):
    lung = ndimage.gaussian_filter(np.random.default_rng(0).random((12, 16, 18)), 0.8) > 0.5
    reach = [np.arange(-int(GAP_MM / 2 / mm), int(GAP_MM / 2 / mm) + 1) * mm for mm in spacing]
    ball = np.linalg.norm(np.meshgrid(*reach, indexing="ij"), axis=0) <= GAP_MM / 2
    expected = lung | ndimage.binary_closing(lung, structure=ball)
    np.testing.assert_array_equal(close_slits(Volume(lung, affine_of(spacing))), expected)
