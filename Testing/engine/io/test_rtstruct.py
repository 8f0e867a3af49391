"""Contours of RT structure sets as masks."""

import numpy as np
import pytest
from dicom_series import write_dicom_series
from LungTumorSegLib.core.contours import fill_planes, fill_polygons
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.rtstruct import read_roi, read_rois, read_structure_set
from pydicom import dcmread
from pydicom.dataset import Dataset
from rtstruct_files import write_rtstruct
from volumes import affine_of, an_oblique_ct, make_ct

SHAPE = (12, 15)


def rectangle(top, left, bottom, right):
    return np.array([[top, left], [top, right], [bottom, right], [bottom, left]], float)


def circle(center, radius, points=200):
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([center[0] + radius * np.sin(angle), center[1] + radius * np.cos(angle)], axis=1)


def by_winding_of_each_pixel(polygons):
    """The slow way: a ray to the right of each pixel's center, and how many edges it crosses."""
    inside = np.zeros(SHAPE, bool)
    for row, column in np.ndindex(SHAPE):
        crossings = 0
        for polygon in polygons:
            for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
                if (a[0] > row) != (b[0] > row):
                    crossings += column < a[1] + (row - a[0]) * (b[1] - a[1]) / (b[0] - a[0])
        inside[row, column] = crossings % 2
    return inside


def test_a_rectangle_holds_the_pixels_whose_centers_are_inside():
    mask = fill_polygons([rectangle(1.5, 2.5, 4.5, 7.5)], SHAPE)
    expected = np.zeros(SHAPE, bool)
    expected[2:5, 3:8] = True
    np.testing.assert_array_equal(mask, expected)


def test_nested_contours_are_holes_and_islands():
    rings = [rectangle(0.5, 0.5, 11.5, 13.5), rectangle(2.5, 2.5, 9.5, 11.5), rectangle(4.5, 4.5, 7.5, 9.5)]
    expected = np.zeros(SHAPE, bool)
    expected[1:12, 1:14] = True
    expected[3:10, 3:12] = False
    expected[5:8, 5:10] = True
    for order in ([0, 1, 2], [2, 0, 1]):
        np.testing.assert_array_equal(fill_polygons([rings[i] for i in order], SHAPE), expected)


def test_contours_side_by_side_are_not_joined():
    mask = fill_polygons([rectangle(1.5, 1.5, 4.5, 4.5), rectangle(1.5, 8.5, 4.5, 11.5)], SHAPE)
    assert mask.sum() == 9 + 9
    assert not mask[:, 5:9].any()


def test_a_concave_contour_stays_concave():
    letter_u = np.array([[1, 1], [9, 1], [9, 12], [1, 12], [1, 9], [6, 9], [6, 4], [1, 4]]) - 0.5
    mask = fill_polygons([letter_u], SHAPE)
    assert not mask[1:6, 4:9].any()
    assert mask.sum() == 8 * 11 - 5 * 5


def test_a_keyhole_is_a_hole():
    keyhole = np.array(
        [
            [0.5, 0.5],
            [0.5, 12.5],
            [9.5, 12.5],
            [9.5, 0.5],
            [5.2, 0.5],
            [5.2, 3.5],
            [7.5, 3.5],
            [7.5, 8.5],
            [2.5, 8.5],
            [2.5, 3.5],
            [5.2, 3.5],
            [5.2, 0.5],
        ]
    )
    mask = fill_polygons([keyhole], SHAPE)
    assert mask.sum() == 9 * 12 - 5 * 5
    assert not mask[3:8, 4:9].any()


def test_polygons_that_share_an_edge_leave_no_gap_and_do_not_overlap():
    left, right = rectangle(1, 1, 8, 5), rectangle(1, 5, 8, 11)
    both = [fill_polygons([polygon], SHAPE) for polygon in (left, right)]
    assert not (both[0] & both[1]).any()
    np.testing.assert_array_equal(both[0] | both[1], fill_polygons([rectangle(1, 1, 8, 11)], SHAPE))


def test_what_lies_outside_the_image_is_cut_off():
    assert fill_polygons([rectangle(-9, -9, 99, 99)], SHAPE).all()
    assert not fill_polygons([rectangle(-9, -9, -2, 99), rectangle(20, 2, 30, 9), rectangle(2, 20, 9, 30)], SHAPE).any()
    np.testing.assert_array_equal(
        fill_polygons([rectangle(-9, 2.5, 99, 5.5)], SHAPE)[0], [False] * 3 + [True] * 3 + [False] * 9
    )


@pytest.mark.parametrize("seed", range(6))
def test_any_star_shaped_and_self_crossing_polygons_as_pixel_by_pixel(seed):
    rng = np.random.default_rng(seed)
    polygons = [rng.uniform(-3, 16, (7, 2)), rng.uniform(0, 12, (4, 2)), circle((5.3, 7.1), 3.9)]
    np.testing.assert_array_equal(fill_polygons(polygons, SHAPE), by_winding_of_each_pixel(polygons))


def test_the_orientation_and_first_point_of_a_contour_do_not_matter():
    star = np.random.default_rng(4).uniform(0, 12, (6, 2))
    expected = fill_polygons([star], SHAPE)
    np.testing.assert_array_equal(fill_polygons([star[::-1]], SHAPE), expected)
    np.testing.assert_array_equal(fill_polygons([np.roll(star, 2, axis=0)], SHAPE), expected)


def a_grid(shape=(6, 40, 50), **geometry):
    return Volume(np.zeros(shape, np.int16), affine_of(**geometry))


def contour(grid, level, polygon):
    """A polygon of (row, column) in a slice, in LPS mm."""
    return grid.index_to_lps(np.column_stack([np.full(len(polygon), level), polygon]))


def mask_of(contours, grid):
    """The voxels that contours fill."""
    return fill_planes(contours, grid).mask


@pytest.mark.parametrize("geometry", [{}, {"turn_degrees": (10, -20, 35)}, {"spacing": (-2.0, 0.9, 1.1)}])
def test_contours_in_mm_land_on_their_slice(geometry):
    grid = a_grid(**geometry)
    mask = mask_of([contour(grid, 3, circle((20, 25), 9)), contour(grid, 4, rectangle(5.5, 6.5, 9.5, 20.5))], grid)
    assert [mask.array[k].any() for k in range(6)] == [False, False, False, True, True, False]
    assert mask.array[3].sum() == pytest.approx(np.pi * 81, rel=0.02)
    assert mask.array[4].sum() == 4 * 14


def test_a_contour_a_little_off_its_slice_belongs_to_the_nearest():
    grid = a_grid()
    mask = mask_of([contour(grid, 2.3, circle((20, 25), 9))], grid)
    assert mask.array[2].any()


def test_how_far_a_contour_reaches_beyond_the_ct_is_stated():
    grid = a_grid()
    inside, beyond = (fill_planes([contour(grid, level, circle((20, 25), 9))], grid) for level in (5.0, 6.0))
    assert inside.beyond_mm == 0
    assert beyond.beyond_mm == pytest.approx(grid.spacing[0])


def test_contours_across_slices_are_refused():
    grid = a_grid()
    tilted = contour(grid, 2, circle((20, 25), 9))
    tilted[:, 2] += np.linspace(0, 12, len(tilted))
    with pytest.raises(ValueError, match="not axial"):
        fill_planes([tilted], grid)


def test_an_roi_is_read_by_its_name(tmp_path):
    ct = an_oblique_ct()
    rois = {
        "Lung_L": [contour(ct, 4, rectangle(0.5, 0.5, 8.5, 10.5))],
        "GTV-1": [
            contour(ct, 4, rectangle(1.5, 1.5, 7.5, 9.5)),
            contour(ct, 4, rectangle(3.5, 3.5, 5.5, 5.5)),
            contour(ct, 6, rectangle(2.5, 2.5, 4.5, 4.5)),
        ],
    }
    path = write_rtstruct(tmp_path / "rs.dcm", rois, series="1.2.3", patient="LUNG1-007")
    mask = read_roi(path, "gtv-1 ", ct)
    assert mask.same_grid(ct)
    assert [int(plane.sum()) for plane in mask.array] == [0, 0, 0, 0, 6 * 8 - 2 * 2, 0, 2 * 2, 0, 0]
    header = read_structure_set(path)
    assert (header.patient, header.series, header.rois) == ("LUNG1-007", "1.2.3", ("Lung_L", "GTV-1"))


def test_a_contour_of_more_than_64_kb_is_read(tmp_path):
    ct = make_ct()
    fine = contour(ct, 4, circle((5, 6), 3, points=3000))
    with pytest.warns(UserWarning, match="'UN'"):
        path = write_rtstruct(tmp_path / "rs.dcm", {"GTV": [fine]})
    assert dcmread(path).ROIContourSequence[0].ContourSequence[0]["ContourData"].VR == "UN"
    coarse = write_rtstruct(tmp_path / "coarse.dcm", {"GTV": [fine[::10]]})
    np.testing.assert_array_equal(read_roi(path, "GTV", ct).array, read_roi(coarse, "GTV", ct).array)


def test_missing_and_empty_rois_are_named(tmp_path):
    ct = an_oblique_ct()
    path = write_rtstruct(tmp_path / "rs.dcm", {"PTV": [contour(ct, 4, rectangle(1, 1, 5, 5))], "Iso": []})
    with pytest.raises(UnusableInput, match=r"has no ROI 'GTV-1'; choose one of its ROIs: Iso, PTV"):
        read_roi(path, "GTV-1", ct)
    with pytest.raises(UnusableInput, match=r"'Iso' of .* has no closed contour"):
        read_roi(path, "Iso", ct)


def test_an_roi_of_another_ct_is_refused(tmp_path):
    ct = an_oblique_ct()
    path = write_rtstruct(tmp_path / "rs.dcm", {"GTV-1": [contour(ct, 40, rectangle(1, 1, 5, 5))]})
    with pytest.raises(UnusableInput, match="does not lie on the slices of its CT"):
        read_roi(path, "GTV-1", ct)


def test_points_are_no_contours(tmp_path):
    ct = an_oblique_ct()

    def as_points(data: Dataset) -> None:
        for item in data.ROIContourSequence[0].ContourSequence:
            item.ContourGeometricType = "POINT"

    path = write_rtstruct(tmp_path / "rs.dcm", {"GTV-1": [contour(ct, 4, rectangle(1, 1, 5, 5))]}, edit=as_points)
    with pytest.raises(UnusableInput, match="no closed contour"):
        read_roi(path, "GTV-1", ct)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "rs.dcm").write_bytes(b"nothing of that kind")
    with pytest.raises(UnusableInput, match="is not a DICOM file"):
        read_structure_set(tmp_path / "rs.dcm")
    with pytest.raises(UnusableInput, match="is not an RT structure set"):
        read_structure_set(write_dicom_series(an_oblique_ct(), tmp_path / "ct")[0])


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_a_truncated_file_is_refused_or_whole(tmp_path):
    ct = an_oblique_ct()
    path = write_rtstruct(tmp_path / "cut.dcm", {"GTV-1": [contour(ct, 4, circle((4, 5), 3, points=9))]})
    data, whole = path.read_bytes(), read_roi(path, "GTV-1", ct).array
    refused = 0
    for length in range(140, len(data), 7):
        path.write_bytes(data[:length])
        try:
            np.testing.assert_array_equal(read_roi(path, "GTV-1", ct).array, whole)
        except UnusableInput:
            refused += 1
    assert refused > 0.9 * len(range(140, len(data), 7))


def ball_contours(grid, radius_mm, every, center=(10, 31.5, 31.5)):
    """Circles of 60 points on every n-th slice of a ball about an index of the grid."""
    found = []
    for k in range(0, grid.shape[0], every):
        height_mm = (k - center[0]) * grid.spacing[0]
        if abs(height_mm) < radius_mm:
            circle_mm = circle((0.0, 0.0), np.sqrt(radius_mm**2 - height_mm**2), 60)
            index = np.column_stack([np.full(60, k), circle_mm / grid.spacing[1:] + center[1:]])
            found.append(grid.index_to_lps(index))
    return found


@pytest.mark.parametrize(("every", "tolerance"), [(1, 0.02), (2, 0.05), (3, 0.06)])
def test_a_ball_drawn_on_every_nth_slice_is_filled_and_warned_of(tmp_path, every, tolerance):
    ct = make_ct(shape=(21, 64, 64), spacing=(2.5, 1.0, 1.0))
    path = write_rtstruct(tmp_path / "rs.dcm", {"GTV": ball_contours(ct, 16.0, every)})
    (segment,) = read_rois(path, ct)
    volume_ml = np.count_nonzero(segment.mask.array) * ct.voxel_volume_ml
    assert volume_ml == pytest.approx(4 / 3 * np.pi * 1.6**3, rel=tolerance)
    if every == 1:
        assert segment.warnings == ()
    else:
        assert f"only every {every * 2.5:.1f} mm" in segment.warnings[0]


def test_planes_between_the_slices_do_not_cancel_each_other():
    ct = make_ct(shape=(21, 64, 64), spacing=(2.5, 1.0, 1.0))
    fine = make_ct(shape=(42, 64, 64), spacing=(1.25, 1.0, 1.0))
    found = mask_of(ball_contours(fine, 16.0, 1, center=(20, 31.5, 31.5)), ct)
    volume_ml = np.count_nonzero(found.array) * ct.voxel_volume_ml
    assert volume_ml == pytest.approx(4 / 3 * np.pi * 1.6**3, rel=0.03)


def test_two_parts_of_a_region_are_not_joined_but_warned_of(tmp_path):
    ct = make_ct(shape=(21, 30, 30), spacing=(2.5, 1.0, 1.0))
    contours = [
        ct.index_to_lps(np.column_stack([np.full(4, k), rectangle(4.5, 4.5, 9.5, 9.5)])) for k in (2, 3, 4, 11, 12, 13)
    ]
    path = write_rtstruct(tmp_path / "rs.dcm", {"GTV": contours})
    (segment,) = read_rois(path, ct)
    assert np.flatnonzero(segment.mask.array.any(axis=(1, 2))).tolist() == [2, 3, 4, 11, 12, 13]
    assert "a gap of 17.5 mm" in segment.warnings[0]


def test_contours_of_the_xor_kind_are_read_and_points_are_warned_of(tmp_path):
    ct = make_ct()
    outer, hole, point = (
        ct.index_to_lps(np.column_stack([np.full(4, 4), rectangle(*corners)]))
        for corners in ((1.5, 1.5, 8.5, 9.5), (3.5, 3.5, 5.5, 5.5), (1.5, 1.5, 2.5, 2.5))
    )

    def edit(data):
        kinds = ("CLOSEDPLANAR_XOR", "CLOSEDPLANAR_XOR", "POINT")
        for contour, kind in zip(data.ROIContourSequence[0].ContourSequence, kinds, strict=True):
            contour.ContourGeometricType = kind

    path = write_rtstruct(tmp_path / "rs.dcm", {"GTV": [outer, hole, point]}, edit=edit)
    (segment,) = read_rois(path, ct)
    assert np.count_nonzero(segment.mask.array) == 7 * 8 - 2 * 2
    assert "contours that are points or open lines (1) were ignored" in segment.warnings[0]


@pytest.mark.parametrize(
    ("interpreted", "names"),
    [("GTV", ["A"]), ("", ["A"]), ("PTV", []), ("ORGAN", []), ("EXTERNAL", [])],
)
def test_the_interpreted_type_tells_what_a_region_is(tmp_path, interpreted, names):
    ct = make_ct()
    drawn = [ct.index_to_lps(np.column_stack([np.full(4, 4), rectangle(1.5, 1.5, 8.5, 9.5)]))]

    def edit(data):
        observation = Dataset()
        observation.ObservationNumber = observation.ReferencedROINumber = 1
        observation.RTROIInterpretedType = interpreted
        data.RTROIObservationsSequence = [observation]

    path = write_rtstruct(tmp_path / "rs.dcm", {"A": drawn}, edit=edit)
    if names:
        assert [segment.name for segment in read_rois(path, ct)] == names
    else:
        with pytest.raises(UnusableInput, match="its regions are: A"):
            read_rois(path, ct)


def named_alike(data):
    for roi in data.StructureSetROISequence:
        roi.ROIName = "GTV"


def test_regions_of_the_same_name_keep_their_own_contours(tmp_path):
    ct = make_ct()
    drawn = [
        [ct.index_to_lps(np.column_stack([np.full(4, 4), rectangle(*corners)]))]
        for corners in ((1.5, 1.5, 8.5, 9.5), (3.5, 3.5, 5.5, 5.5))
    ]
    path = write_rtstruct(tmp_path / "rs.dcm", dict(zip("ab", drawn, strict=True)), edit=named_alike)
    assert [(each.name, np.count_nonzero(each.mask.array)) for each in read_rois(path, ct)] == [("GTV", 56), ("GTV", 4)]
    assert np.count_nonzero(read_roi(path, "gtv", ct).array) == 56


def test_regions_of_the_same_number_are_refused(tmp_path):
    ct = make_ct()
    drawn = [ct.index_to_lps(np.column_stack([np.full(4, 4), rectangle(1.5, 1.5, 8.5, 9.5)]))]

    def edit(data):
        for roi in data.StructureSetROISequence:
            roi.ROINumber = 1

    path = write_rtstruct(tmp_path / "rs.dcm", {"A": drawn, "B": drawn}, edit=edit)
    with pytest.raises(UnusableInput, match="states the ROINumber 1 for two regions of interest"):
        read_rois(path, ct)


@pytest.mark.parametrize("copy", [lambda c: c, lambda c: c[::-1], lambda c: np.roll(c, 7, axis=0)])
def test_a_contour_that_is_stated_twice_counts_once(copy):
    grid = a_grid()
    once = contour(grid, 3, circle((20, 25), 9))
    np.testing.assert_array_equal(mask_of([once, copy(once)], grid).array, mask_of([once], grid).array)


@pytest.mark.parametrize("number", [23, 36, 61])
def test_a_contour_that_is_stated_again_with_other_points_counts_once(number):
    grid = a_grid()
    once, again = contour(grid, 3, circle((20, 25), 9, 40)), contour(grid, 3, circle((20, 25), 9, number))
    np.testing.assert_array_equal(mask_of([once, again], grid).array, mask_of([once], grid).array)


def test_a_thin_wall_is_no_copy_of_itself():
    grid = a_grid()
    outer, inner = (contour(grid, 3, circle((20, 25), radius)) for radius in (9, 8))
    whole, wall = (np.count_nonzero(mask_of(each, grid).array) for each in ([outer], [outer, inner]))
    assert wall == whole - np.count_nonzero(mask_of([inner], grid).array)


@pytest.mark.parametrize(("kind", "cancel"), [("CLOSED_PLANAR", False), ("CLOSEDPLANAR_XOR", True)])
def test_contours_that_overlap_are_joined_unless_they_are_of_the_xor_kind(tmp_path, kind, cancel):
    grid = a_grid()
    drawn = [contour(grid, 3, circle(center, 6.3)) for center in ((15, 20), (15, 26))]
    one, other = (mask_of([each], grid).array for each in drawn)

    def edit(data):
        for each in data.ROIContourSequence[0].ContourSequence:
            each.ContourGeometricType = kind

    (found,) = read_rois(write_rtstruct(tmp_path / "rs.dcm", {"GTV": drawn}, edit=edit), grid)
    np.testing.assert_array_equal(found.mask.array, one ^ other if cancel else one | other)
    assert any("overlap" in warning for warning in found.warnings) != cancel


def test_joined_parts_keep_their_holes_and_islands():
    grid = a_grid()
    drawn = [(15, 20), 8], [(15, 27), 8], [(15, 23.5), 3.2], [(15, 23.5), 1.3]
    one, other, hole, island = (mask_of([contour(grid, 3, circle(*each))], grid).array for each in drawn)
    found = mask_of([contour(grid, 3, circle(*each)) for each in reversed(drawn)], grid)
    np.testing.assert_array_equal(found.array, (one | other) & ~hole | island)


def test_a_region_between_the_voxels_is_warned_of(tmp_path):
    grid = a_grid()
    drawn = {"A": [contour(grid, 3, circle((15, 20), 6))], "B": [contour(grid, 3, circle((25.5, 30.5), 0.3))]}
    found = read_rois(write_rtstruct(tmp_path / "rs.dcm", drawn), grid)
    assert [any("encloses no voxel" in warning for warning in each.warnings) for each in found] == [False, True]


@pytest.mark.parametrize(("moved", "beyond_pixels"), [((0, -80), (0, 64)), ((80, 0), (70, 0)), ((0, 18), (0, 3))])
def test_a_contour_beside_the_ct_reaches_beyond_its_outermost_pixels(moved, beyond_pixels):
    grid = a_grid()  # 40 x 50 pixels
    filled = fill_planes([contour(grid, 3, circle((20, 25), 9) + moved)], grid)
    assert filled.beyond_mm == pytest.approx(np.dot(beyond_pixels, grid.spacing[1:]), abs=0.01)


def test_two_points_are_no_contour(tmp_path):
    ct = make_ct()
    path = write_rtstruct(tmp_path / "rs.dcm", {"GTV": [ct.index_to_lps(np.array([[4, 1, 1], [4, 5, 5.0]]))]})
    with pytest.raises(UnusableInput, match="no closed contour"):
        read_rois(path, ct)


@pytest.mark.parametrize("rounding", [-1e-6, 0.0, 1e-6])
def test_contours_midway_between_the_slices_fill_as_many_slices(rounding):
    grid = a_grid()
    drawn = [contour(grid, k + 0.5 + rounding * (-1) ** k, rectangle(5.5, 6.5, 9.5, 20.5)) for k in (1, 2, 3)]
    assert mask_of(drawn, grid).array.any(axis=(1, 2)).sum() == 3


@pytest.mark.parametrize(("off_mm", "is_warned_of"), [(0.0, False), (0.5, False), (1.0, True), (-1.2, True)])
def test_contours_beside_the_slices_are_warned_of(tmp_path, off_mm, is_warned_of):
    ct = make_ct(shape=(21, 64, 64), spacing=(2.5, 1.0, 1.0))
    moved = [contour + off_mm * ct.direction[:, 0] for contour in ball_contours(ct, 16.0, 1)]
    (segment,) = read_rois(write_rtstruct(tmp_path / "rs.dcm", {"GTV": moved}), ct)
    assert (f"drawn up to {abs(off_mm):.1f} mm beside the slices" in " ".join(segment.warnings)) == is_warned_of


def test_contours_that_are_displaced_by_a_vector_are_refused(tmp_path):
    def displace(data):
        data.ROIContourSequence[0].ContourSequence[1].ContourOffsetVector = ["0", "0", "12"]

    ct = make_ct(shape=(21, 64, 64), spacing=(2.5, 1.0, 1.0))
    path = write_rtstruct(tmp_path / "rs.dcm", {"GTV": ball_contours(ct, 16.0, 1)}, edit=displace)
    with pytest.raises(UnusableInput, match=r"rs\.dcm displaces its contours .*ContourOffsetVector"):
        read_rois(path, ct)


def an_empty_sequence(data):
    data.ROIContourSequence[1].ContourSequence = []


def no_sequence(data):
    del data.ROIContourSequence[1].ContourSequence


def no_item(data):
    del data.ROIContourSequence[1]


def points_alone(data):
    for contour in data.ROIContourSequence[1].ContourSequence:
        contour.ContourGeometricType = "POINT"


@pytest.mark.parametrize("edit", [an_empty_sequence, no_sequence, no_item, points_alone])
def test_a_lesion_without_contours_is_left_out_with_a_warning(tmp_path, edit):
    ct = make_ct()
    drawn = [ct.index_to_lps(np.column_stack([np.full(4, 4), rectangle(1.5, 1.5, 8.5, 9.5)]))]
    path = write_rtstruct(tmp_path / "rs.dcm", {"GTV": drawn, "GTV-2": drawn}, edit=edit)
    (segment,) = read_rois(path, ct)
    assert (segment.name, np.count_nonzero(segment.mask.array)) == ("GTV", 56)
    assert segment.warnings == ("The region GTV-2 has no closed contour and was not measured.",)
    with pytest.raises(UnusableInput, match="no closed contour"):
        read_roi(path, "GTV-2", ct)


def test_a_lung_without_contours_is_no_lung(tmp_path):
    ct = make_ct()
    drawn = [ct.index_to_lps(np.column_stack([np.full(4, 4), rectangle(1.5, 1.5, 8.5, 9.5)]))]
    path = write_rtstruct(tmp_path / "rs.dcm", {"GTV": drawn, "Lung_Left": drawn, "Lung_Right": []})
    assert [(each.name, each.warnings) for each in read_rois(path, ct)] == [("GTV", ())]


def test_a_structure_set_of_empty_lesions_is_refused_by_their_names(tmp_path):
    path = write_rtstruct(tmp_path / "rs.dcm", {"GTV": [], "Nodule": []})
    with pytest.raises(
        UnusableInput, match=r"no closed contour of a lesion \(GTV, Nodule without one\); choose another"
    ):
        read_rois(path, make_ct())


@pytest.mark.parametrize("edit", [lambda item: delattr(item, "ROIName"), lambda item: setattr(item, "ROIName", "")])
def test_a_region_without_a_name_is_named_by_its_number(tmp_path, edit):
    ct = make_ct()
    drawn = [ct.index_to_lps(np.column_stack([np.full(4, 4), rectangle(1.5, 1.5, 8.5, 9.5)]))]
    path = write_rtstruct(tmp_path / "rs.dcm", {"A": drawn}, edit=lambda data: edit(data.StructureSetROISequence[0]))
    assert [(each.name, np.count_nonzero(each.mask.array)) for each in read_rois(path, ct)] == [("ROI 1", 56)]


def axial_ct():
    return make_ct(shape=(12, 40, 50), spacing=(2.0, 1.0, 1.0))


@pytest.mark.parametrize("beside", [(7, 40, 0), (-5, 0, -40), (40, 0, 0)])
def test_of_a_region_that_reaches_beyond_the_ct_the_inside_is_measured_and_the_rest_said(tmp_path, beside):
    ct = axial_ct()
    inside = contour(ct, 5, circle((20, 25), 9))
    moved = ct.index_to_lps(np.column_stack([np.full(200, 5.0), circle((20, 25), 9)]) + beside)
    (found,) = read_rois(write_rtstruct(tmp_path / "rs.dcm", {"GTV": [inside, moved]}), ct)
    np.testing.assert_array_equal(found.mask.array, mask_of([inside], ct).array)
    assert "The region GTV reaches" in found.warnings[0]
    assert "mm beyond the CT, and only the part inside" in found.warnings[0]


def test_a_region_across_the_border_of_the_ct_is_filled_up_to_it(tmp_path):
    ct = axial_ct()
    whole = Volume(np.zeros((12, 40, 100), bool), ct.affine)
    drawn = [contour(ct, k, circle((20, 49), 9)) for k in range(3, 9)]
    (found,) = read_rois(write_rtstruct(tmp_path / "rs.dcm", {"GTV": drawn}), ct)
    np.testing.assert_array_equal(found.mask.array, mask_of(drawn, whole).array[:, :, :50])
    assert "reaches 9 mm beyond the CT" in found.warnings[0]


@pytest.mark.parametrize("beyond", ["outside", "tilted"])
def test_a_region_off_the_ct_is_left_out_and_said_beside_others(tmp_path, beyond):
    ct = axial_ct()
    off = contour(ct, 5, circle((20, 25), 9)) + (np.array([0, 300.0, 0]) if beyond == "outside" else 0)
    if beyond == "tilted":
        off[:, 2] += np.linspace(0, 12, len(off))
    drawn = {"GTV": [contour(ct, 5, circle((20, 25), 9))], "GTV 2": [off]}
    (found,) = read_rois(write_rtstruct(tmp_path / "rs.dcm", drawn), ct)
    assert found.name == "GTV"
    reason = "reaches 290.0 mm beyond the CT" if beyond == "outside" else "is not axial"
    assert found.warnings == (f"The region GTV 2 was not measured, because a contour {reason}.",)
    with pytest.raises(UnusableInput, match=reason):
        read_rois(write_rtstruct(tmp_path / "rs.dcm", {"GTV 2": [off]}), ct)


def test_on_a_grid_that_is_no_ct_a_region_beyond_it_is_refused(tmp_path):
    ct = axial_ct()
    drawn = {"GTV": [contour(ct, 5, circle((20, 49), 9))], "GTV 2": [contour(ct, 5, circle((20, 25), 9))]}
    path = write_rtstruct(tmp_path / "rs.dcm", drawn)
    with pytest.raises(UnusableInput, match=r"9\.0 mm beyond the CT"):
        read_rois(path, Volume(ct.array, ct.affine))
    with pytest.raises(UnusableInput, match=r"9\.0 mm beyond the CT"):
        read_roi(path, "GTV", ct)


def test_regions_with_doubtful_names_are_left_out_and_said(tmp_path):
    ct = axial_ct()
    drawn = [contour(ct, 5, circle((20, 25), 9))]
    names = ("GTV", "NoGTV", "LUNG-IGTV", "Lungs-GTV", "Heart", "PTV")
    (found,) = read_rois(write_rtstruct(tmp_path / "rs.dcm", dict.fromkeys(names, drawn)), ct)
    assert found.name == "GTV"
    assert [name for name in names if any(f"The segment {name} " in each for each in found.warnings)] == [
        "NoGTV",
        "LUNG-IGTV",
    ]
