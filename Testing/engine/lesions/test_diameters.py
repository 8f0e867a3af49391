"""Diameters on shapes whose diameters are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.lesions.diameters import axial_diameters
from tiers import fast_only
from volumes import affine_of

PIXEL_MM = 0.7
SPACING = (5.0, PIXEL_MM, PIXEL_MM)


def sampled(inside, size_mm, spacing=SPACING, shift=(0.0, 0.0, 0.0)) -> Volume:
    """The voxels whose centers lie ``inside`` (of x, y, z in mm); the shape's center lies ``shift`` voxels off a
    voxel's center."""
    count = [2 * int(size_mm / 2 / s + 2) + 1 for s in spacing]
    z, y, x = np.meshgrid(
        *[(np.arange(n) - n // 2 + d) * s for n, s, d in zip(count, spacing, shift, strict=True)], indexing="ij"
    )
    return Volume(inside(x, y, z), affine_of(spacing))


def turned(x, y, degrees):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return c * x + s * y, c * y - s * x


def ellipsoid(a, b, c, degrees):
    def inside(x, y, z):
        u, v = turned(x, y, degrees)
        return (u / a) ** 2 + (v / b) ** 2 + (z / c) ** 2 <= 1

    return inside


def box(a, b, c, degrees):
    def inside(x, y, z):
        u, v = turned(x, y, degrees)
        return (np.abs(u) <= a) & (np.abs(v) <= b) & (np.abs(z) <= c)

    return inside


def errors_in_pixels(shape, long_mm, short_mm, size_mm) -> np.ndarray:
    """Errors (placements, long and short) of a shape that lies differently between the voxels each time."""
    errors = []
    for shift in np.random.default_rng(4).uniform(-0.5, 0.5, (30, 2)):
        found = axial_diameters(sampled(shape, size_mm, shift=(0, *shift)))
        errors.append((found.long_axis.length_mm - long_mm, found.short_axis.length_mm - short_mm))
    return np.asarray(errors) / PIXEL_MM


ELLIPSES = [(6, 6, 0), (10.3, 10.3, 0)]
ELLIPSES += [(a, b, degrees) for a, b in ((15, 8.2), (22.5, 17), (35, 30)) for degrees in (0, 17, 45)]
QUICK_ELLIPSES = {(6, 6, 0), (15, 8.2, 17), (22.5, 17, 0), (15, 8.2, 45)}


@pytest.mark.parametrize(
    ("a", "b", "degrees"),
    [each if each in QUICK_ELLIPSES else pytest.param(*each, marks=pytest.mark.slow) for each in ELLIPSES],
)
def test_an_ellipsoid_has_its_axes_within_half_a_pixel(a, b, degrees):
    errors = np.abs(errors_in_pixels(ellipsoid(a, b, 12, degrees), 2 * a, 2 * b, 2 * a))
    long_axis, short_axis = errors.T
    assert long_axis.max() <= 0.5
    # the short axis ends on flat sides: along rows or columns a mask tells their place no better than to a pixel
    assert short_axis.max() <= (0.65 if degrees == 0 else 0.5)
    assert np.quantile(short_axis, 0.8) <= 0.5


@pytest.mark.parametrize(("a", "b", "c"), [(15, 10, 8), (20, 12, 9), (8.2, 6, 20), (9, 6, 7), (30, 21, 26)])
def test_an_ellipsoid_about_a_voxels_center_has_its_axes_within_half_a_pixel(a, b, c):
    found = axial_diameters(sampled(ellipsoid(a, b, c, 0), 2 * max(a, b, c)))
    assert found.long_axis.length_mm == pytest.approx(2 * a, abs=PIXEL_MM / 2)
    assert found.short_axis.length_mm == pytest.approx(2 * b, abs=PIXEL_MM / 2)


@pytest.mark.parametrize(("a", "b"), [(12, 9), (4, 3), (5, 5), (2, 1.5)])
def test_where_tips_end_between_rows_an_ellipsoid_has_its_axes_within_a_pixel(a, b):
    found = axial_diameters(sampled(ellipsoid(a, b, 6, 0), 2 * a))
    assert found.long_axis.length_mm == pytest.approx(2 * a, abs=PIXEL_MM)
    assert found.short_axis.length_mm == pytest.approx(2 * b, abs=PIXEL_MM)


def test_boxes_of_all_sizes_have_their_diagonal_within_half_a_pixel():
    errors = []
    for columns in range(3, 40, 2):
        for rows in range(3, columns + 1, 2):
            mask = np.zeros((1, rows + 2, columns + 2), dtype=bool)
            mask[0, 1:-1, 1:-1] = True
            found = axial_diameters(Volume(mask, affine_of(SPACING)))
            errors.append(abs(found.long_axis.length_mm / PIXEL_MM - np.hypot(columns, rows)))
    assert np.quantile(errors, 0.95) <= 0.5
    assert max(errors) <= 0.7  # some slender ones, whose corners look round


@pytest.mark.parametrize(("columns", "rows"), [(20, 20), (31, 12), (40, 37), (9, 5), (30, 4)])
def test_a_box_has_its_diagonal_within_half_a_pixel(columns, rows):
    mask = np.zeros((3, rows + 4, columns + 4), dtype=bool)
    mask[1, 2:-2, 2:-2] = True
    found = axial_diameters(Volume(mask, affine_of(SPACING)))
    diagonal = np.hypot(columns, rows)
    assert found.long_axis.length_mm == pytest.approx(diagonal * PIXEL_MM, abs=PIXEL_MM / 2)
    # a line across a box ends on its flat sides; the square's ends in corners, which the outline cuts by a quarter of
    # the diagonal
    corner = 0.71 if columns == rows else 0.5
    assert found.short_axis.length_mm == pytest.approx(diagonal * rows / columns * PIXEL_MM, abs=corner * PIXEL_MM)


def diagonal_and_across(width, height) -> np.ndarray:
    """Long and short axis of a box along rows and columns, by the definition: its diagonal and the longest line
    perpendicular to it."""
    diagonal = np.hypot(width, height)
    return np.array([diagonal, diagonal * min(width, height) / max(width, height)])


def test_a_box_along_rows_and_columns_is_measured_as_well_as_its_mask_tells():
    rng = np.random.default_rng(5)
    of_the_mask, of_the_box = [], []
    for _ in range(200):
        width = rng.uniform(6, 60)
        height = width * rng.uniform(0.2, 1)
        start = rng.random(2)  # of the box, among pixels whose centers lie at whole numbers
        columns, rows = (np.floor(start + np.array([width, height])) - np.ceil(start) + 1).astype(int)
        mask = np.pad(np.ones((1, rows, columns), dtype=bool), ((0, 0), (1, 1), (1, 1)))
        found = axial_diameters(Volume(mask, affine_of(SPACING)))
        lengths = np.array([found.long_axis.length_mm, found.short_axis.length_mm]) / PIXEL_MM
        of_the_mask.append(np.abs(lengths - diagonal_and_across(columns, rows)))
        of_the_box.append(np.abs(lengths - diagonal_and_across(width, height)))
    assert np.max(of_the_mask) <= 0.71  # corners of slender boxes look round; a square's are cut by the outline
    # A side is up to a pixel longer or shorter than its row of pixels: boxes of 20.8 x 19.2 and of 20 x 20 pixels have
    # the same mask, and
    # short axes of 26.1 and 28.3 pixels, since another side turns the diagonal and with it the line across.
    long_axis, short_axis = np.transpose(of_the_box)
    assert long_axis.max() <= 1.5
    assert short_axis.max() <= 2.6
    assert np.quantile(short_axis, 0.8) <= 1.1


@pytest.mark.parametrize("degrees", fast_only([27], [10, 27, 40]))
def test_a_tilted_box_has_its_diagonal_within_half_a_pixel_but_for_corners_that_miss_every_center(degrees):
    errors = errors_in_pixels(box(14, 9, 6, degrees), 2 * np.hypot(14, 9), 18 * np.hypot(14, 9) / 14, 36)
    assert np.abs(errors.mean(axis=0)).max() <= 0.3
    assert np.quantile(np.abs(errors), 0.75, axis=0).max() <= 0.5
    assert np.abs(errors).max() <= 0.9  # where both corners lie between centers, the mask does not hold them


def test_translation_changes_nothing():
    mask = sampled(ellipsoid(9, 5, 8, 25), 22).array
    moved = np.zeros((mask.shape[0] + 7, mask.shape[1] + 20, mask.shape[2] + 33), dtype=bool)
    moved[4:-3, 15:-5, 2:-31] = mask
    expected = axial_diameters(Volume(mask, affine_of(SPACING)))
    found = axial_diameters(Volume(moved, affine_of(SPACING, origin=(-210.4, 77.3, 1204.9))))
    assert found.long_axis.length_mm == pytest.approx(expected.long_axis.length_mm, abs=1e-6)
    assert found.short_axis.length_mm == pytest.approx(expected.short_axis.length_mm, abs=1e-6)


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (1, 2), (0, 1, 2)])
def test_flips_change_nothing(axes):
    mask = sampled(box(9, 5, 8, 25), 24, shift=(0, 0.2, 0.35)).array
    mask[1, 5:9, 7:20] ^= True  # no symmetry left
    expected = axial_diameters(Volume(mask, affine_of(SPACING)))
    found = axial_diameters(Volume(np.flip(mask, axes), affine_of(SPACING)))
    assert found.long_axis.length_mm == pytest.approx(expected.long_axis.length_mm, abs=1e-6)
    assert found.short_axis.length_mm == pytest.approx(expected.short_axis.length_mm, abs=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 7), (1, 6, 9), (5, 1, 1)])
def test_the_smallest_lesions_have_diameters(shape):
    found = axial_diameters(Volume(np.ones(shape, dtype=bool), affine_of(SPACING)))
    assert np.isfinite([found.long_axis.length_mm, found.short_axis.length_mm]).all()
    assert found.long_axis.length_mm >= found.short_axis.length_mm >= PIXEL_MM / 2


def test_the_longest_slice_is_chosen():
    mask = np.zeros((4, 20, 30), dtype=bool)
    mask[1, 5:9, 5:9] = mask[2, 5:9, 5:25] = mask[3, 5:15, 5:9] = True
    found = axial_diameters(Volume(mask, affine_of(SPACING)))
    index = Volume(mask, affine_of(SPACING)).lps_to_index(
        [found.long_axis.start_lps, found.long_axis.end_lps, *[found.short_axis.start_lps, found.short_axis.end_lps]]
    )
    np.testing.assert_allclose(index[:, 0], 2, atol=1e-9)
    assert index[:, 1].min() > 4
    assert index[:, 1].max() < 9


def test_both_axes_are_perpendicular():
    found = axial_diameters(sampled(ellipsoid(15, 8, 10, 31), 30))
    long = np.subtract(found.long_axis.end_lps, found.long_axis.start_lps)
    short = np.subtract(found.short_axis.end_lps, found.short_axis.start_lps)
    assert long @ short == pytest.approx(0, abs=1e-6)


def test_a_line_may_cross_a_notch():
    mask = np.zeros((1, 24, 24), dtype=bool)
    mask[0, 2:22, 2:22] = True
    mask[0, 2:17, 9:15] = False  # a U
    found = axial_diameters(Volume(mask, affine_of((1, 1, 1))))
    assert found.long_axis.length_mm == pytest.approx(20 * np.sqrt(2), abs=0.5)
    assert found.short_axis.length_mm == pytest.approx(
        20 * np.sqrt(2), abs=1.5
    )  # the other diagonal: outline corners are cut by 0.7


@pytest.mark.parametrize(
    ("spacing", "long_mm", "short_mm"),
    [((5, 0.7, 0.7), 0.7, 0.7), ((1, 3.0, 0.8), 3.0, 0.8), ((1, 0.8, 3.0), 3.0, 0.8)],
)
def test_a_single_voxel_has_its_own_size(spacing, long_mm, short_mm):
    found = axial_diameters(Volume(np.ones((1, 1, 1), dtype=bool), affine_of(spacing)))
    assert found.long_axis.length_mm == pytest.approx(long_mm)
    assert found.short_axis.length_mm == pytest.approx(short_mm)


def test_a_line_of_voxels_is_as_long_as_its_voxels_and_one_wide():
    found = axial_diameters(Volume(np.ones((1, 1, 9), dtype=bool), affine_of((2, 0.5, 0.5))))
    assert found.long_axis.length_mm == pytest.approx(4.5)
    assert found.short_axis.length_mm == pytest.approx(0.5)


def test_obliquity_and_origin_change_nothing():
    mask = np.random.default_rng(7).random((5, 9, 12)) < 0.3
    expected = axial_diameters(Volume(mask, affine_of((2.5, 0.8, 0.7))))
    found = axial_diameters(Volume(mask, affine_of((2.5, 0.8, 0.7), (14, -9, 25), origin=(-310.0, 122.0, 890.0))))
    assert found.long_axis.length_mm == pytest.approx(expected.long_axis.length_mm, abs=1e-6)
    assert found.short_axis.length_mm == pytest.approx(expected.short_axis.length_mm, abs=1e-6)


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_quarter_turns_in_the_slice_change_nothing(quarter_turns):
    rng = np.random.default_rng(8)
    for _ in range(20):
        array = rng.random((2, 8, 9)) < 0.4
        expected = axial_diameters(Volume(array, affine_of((3, 0.7, 0.7))))
        found = axial_diameters(
            Volume(np.ascontiguousarray(np.rot90(array, quarter_turns, (1, 2))), affine_of((3, 0.7, 0.7)))
        )
        assert found.long_axis.length_mm == pytest.approx(expected.long_axis.length_mm, abs=1e-6)
        assert found.short_axis.length_mm == pytest.approx(expected.short_axis.length_mm, abs=1e-6)


@st.composite
def slices_of_any_shape(draw):
    """Masks of one slice: noise of any density, or a turned ellipse that lies anywhere between the pixels."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, columns = draw(st.tuples(st.integers(1, 24), st.integers(1, 24)))
    if draw(st.booleans()):
        mask = rng.random((rows, columns)) < draw(st.floats(0.05, 1.0))
    else:
        i, j = np.indices((rows, columns)) - (rng.random(2) + np.array([rows, columns]) / 2).reshape(2, 1, 1)
        u, v = turned(j, i, draw(st.floats(0, 180)))
        a = draw(st.floats(0.5, 12))
        mask = (u / a) ** 2 + (v / (a * draw(st.floats(0.3, 1.0)))) ** 2 <= 1
    mask[rows // 2, columns // 2] = True
    return Volume(mask[np.newaxis], affine_of((5.0, draw(st.floats(0.3, 5)), draw(st.floats(0.3, 5)))))


@given(slices_of_any_shape())
def test_the_short_axis_is_never_longer_than_the_long_one(mask):
    found = axial_diameters(mask)
    assert found.short_axis.length_mm <= found.long_axis.length_mm * (1 + 1e-9)


def test_a_disc_whose_short_axis_was_longer():
    i, j = np.indices((12, 12)) - np.array([5 + 0.07, 5 + 0.35]).reshape(2, 1, 1)
    u, v = turned(j, i, np.rad2deg(3.04))
    disc = Volume(((u / 3.66) ** 2 + (v / (3.66 * 0.95)) ** 2 <= 1)[np.newaxis], affine_of((1.0, 1.0, 1.0)))
    found = axial_diameters(disc)
    assert found.short_axis.length_mm <= found.long_axis.length_mm
