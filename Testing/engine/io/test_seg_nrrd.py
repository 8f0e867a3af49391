"""Segmentation files, read back by Slicer's own libraries and by this package."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from LungTumorSegLib.core import terminology
from LungTumorSegLib.core.crops import SparseMask, crop_at
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import Grid, Volume
from LungTumorSegLib.io.images import to_simpleitk, write_volume
from LungTumorSegLib.io.seg_nrrd import write_segmentation
from LungTumorSegLib.io.segment import Segment
from LungTumorSegLib.io.segmentations import read_segmentation
from volumes import ORIENTATIONS, an_oblique_ct, make_ct, random_volumes

EXACT_MM = 1e-4
"""The contract: results lie within this of the CT's grid."""

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def box(volume: Volume, start, stop) -> Volume:
    array = np.zeros(volume.shape, bool)
    array[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return volume.with_array(array)


def lungs_and_tumor(grid: Volume) -> list[Segment]:
    """Two lungs that touch, a tumor that overlaps the left one, a mask over all of it, and a tumor without voxels."""
    return [
        Segment("Left lung", box(grid, (1, 1, 6), (8, 9, 11)), (0.5, 0.68, 0.83), terminology.LEFT_LUNG),
        Segment("Right lung", box(grid, (1, 1, 1), (8, 9, 6)), (0.5, 0.68, 0.83), terminology.RIGHT_LUNG),
        Segment("Tumor 1", box(grid, (3, 4, 7), (5, 6, 9)), (0.85, 0.16, 0.125), terminology.TUMOR["Left"]),
        Segment("Isolation mask", box(grid, (1, 0, 1), (8, 10, 11)), (1, 1, 0), terminology.ISOLATION_MASK, id="mask"),
        Segment("Tumor 2", box(grid, (0, 0, 0), (0, 0, 0)), (0, 0, 0), terminology.TUMOR["Right"]),
    ]


@pytest.fixture(scope="module")
def read_by_slicer():
    """A function that reads a .seg.nrrd with Slicer's segmentation node and returns {id: what Slicer knows of the
    segment}."""
    slicer = pytest.importorskip("slicer")
    vtk = pytest.importorskip("vtk")
    numpy_support = pytest.importorskip("vtk.util.numpy_support")
    logic = slicer.vtkSlicerSegmentationsModuleLogic()  # registers the representations

    def read(path, shape):
        scene = slicer.vtkMRMLScene()
        node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
        storage = slicer.vtkMRMLSegmentationStorageNode()
        storage.SetFileName(str(path))
        assert storage.ReadData(node) == 1, logic
        segmentation = node.GetSegmentation()
        found = {}
        for identifier in segmentation.GetSegmentIDs():
            segment = segmentation.GetSegment(identifier)
            image = segment.GetRepresentation("Binary labelmap")
            to_world = vtk.vtkMatrix4x4()
            image.GetImageToWorldMatrix(to_world)
            scalars = (
                numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
                if image.GetNumberOfPoints()
                else np.empty(0)
            )
            first_column, last_column, first_row, last_row, first_slice, last_slice = image.GetExtent()
            mask = np.zeros(shape, bool)
            window = (
                slice(first_slice, last_slice + 1),
                slice(first_row, last_row + 1),
                slice(first_column, last_column + 1),
            )
            mask[window] = (scalars == segment.GetLabelValue()).reshape(mask[window].shape)
            tag = vtk.reference("")
            segment.GetTag("TerminologyEntry", tag)
            found[identifier] = {
                "name": segment.GetName(),
                "color": segment.GetColor(),
                "terminology": str(tag),
                "mask": mask,
                "to_ras": np.array([[to_world.GetElement(i, j) for j in range(4)] for i in range(4)]),
                "reference": segmentation.GetConversionParameter("Reference image geometry"),
                "layers": segmentation.GetNumberOfLayers(),
            }
        return found

    return read


def to_ras(volume: Volume) -> np.ndarray:
    """The matrix from (column, row, slice) to RAS that Slicer uses."""
    return LPS_TO_RAS @ volume.affine[:, [2, 1, 0, 3]]


@pytest.mark.parametrize("order", [None, *ORIENTATIONS[::7]])
def test_slicer_reads_names_colors_terminology_masks_and_geometry(tmp_path, read_by_slicer, order):
    segments = lungs_and_tumor(an_oblique_ct())
    if order:
        segments = [Segment(s.name, order.apply(s.mask), s.color, s.terminology, s.id) for s in segments]
    path = tmp_path / "all.seg.nrrd"
    write_segmentation(segments, path)
    read = read_by_slicer(path, segments[0].mask.shape)
    assert list(read) == ["Left_lung", "Right_lung", "Tumor_1", "mask", "Tumor_2"]
    for segment in segments:
        seen = read[segment.id]
        assert seen["name"] == segment.name
        assert seen["terminology"] == segment.terminology
        assert seen["color"] == pytest.approx(segment.color, abs=1e-6)
        np.testing.assert_array_equal(seen["mask"], segment.mask.array)
        np.testing.assert_allclose(seen["to_ras"], to_ras(segment.mask), atol=EXACT_MM)
        assert seen["layers"] == 3  # the lungs; the tumor on one of them; the mask over both


@given(volume=random_volumes())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_slicer_finds_any_geometry_again(tmp_path, read_by_slicer, volume):
    start, stop = (1, 2, 3), (6, 5, 8)
    write_segmentation(
        [Segment("Tumor 1", box(volume, start, stop), (1, 0, 0), terminology.TUMOR["Left"])], tmp_path / "one.seg.nrrd"
    )
    (seen,) = read_by_slicer(tmp_path / "one.seg.nrrd", volume.shape).values()
    np.testing.assert_array_equal(seen["mask"], box(volume, start, stop).array)
    index = np.array([[3, 2, 1, 1], [7, 4, 5, 1]])  # first and last voxel as (column, row, slice)
    np.testing.assert_allclose(index @ seen["to_ras"].T, index @ to_ras(volume).T, atol=EXACT_MM)
    *matrix, _ = seen["reference"].split(";")
    np.testing.assert_allclose(
        np.reshape([float(value) for value in matrix[:16]], (4, 4)), to_ras(volume), atol=EXACT_MM
    )
    assert [int(value) for value in matrix[16:]] == [
        0,
        volume.shape[2] - 1,
        0,
        volume.shape[1] - 1,
        0,
        volume.shape[0] - 1,
    ]


@pytest.mark.parametrize("layers", [1, 2, 3, 4, 6, 7, 9])
def test_any_number_of_layers_is_read(tmp_path, read_by_slicer, layers):
    # Vectors of 3, 4, 6, 7 or 9 components have meanings of their own in NRRD (colors, tensors); here they must stay
    # layers.
    grid = make_ct()
    segments = [
        Segment(f"S {i}", box(grid, (0, 0, 0), (i + 1, 10, 12)), (1, 0, 0), terminology.BODY) for i in range(layers)
    ]
    write_segmentation(segments, tmp_path / "s.seg.nrrd")
    seen = read_by_slicer(tmp_path / "s.seg.nrrd", grid.shape)
    for segment, own in zip(segments, read_segmentation(tmp_path / "s.seg.nrrd"), strict=True):
        np.testing.assert_array_equal(seen[segment.id]["mask"], segment.mask.array)
        np.testing.assert_array_equal(own.mask.array, segment.mask.array)


def test_segments_that_do_not_overlap_share_one_plain_label_map(tmp_path):
    path = tmp_path / "lungs.seg.nrrd"
    write_segmentation(lungs_and_tumor(make_ct())[:2], path)
    image = sitk.ReadImage(path)
    assert image.GetNumberOfComponentsPerPixel() == 1
    assert np.unique(sitk.GetArrayFromImage(image)).tolist() == [0, 1, 2]


def test_more_than_255_segments_fit(tmp_path):
    grid = make_ct()
    voxels = [np.unravel_index(i, grid.shape) for i in range(300)]
    segments = [
        Segment(f"T {i}", box(grid, voxel, np.add(voxel, 1)), (1, 0, 0), terminology.TUMOR["Left"])
        for i, voxel in enumerate(voxels)
    ]
    write_segmentation(segments, tmp_path / "many.seg.nrrd")
    for segment, back in zip(segments, read_segmentation(tmp_path / "many.seg.nrrd"), strict=True):
        np.testing.assert_array_equal(back.mask.array, segment.mask.array)


@pytest.mark.parametrize("grid", [make_ct(), an_oblique_ct(), ORIENTATIONS[29].apply(make_ct(shape=(11, 12, 13)))])
def test_segments_come_back_complete(tmp_path, grid):
    segments = lungs_and_tumor(grid)
    write_segmentation(segments, tmp_path / "all.seg.nrrd")
    back = read_segmentation(tmp_path / "all.seg.nrrd")
    for read, segment in zip(back, segments, strict=True):
        assert (read.name, read.id, read.terminology) == (segment.name, segment.id, segment.terminology)
        assert read.color == pytest.approx(segment.color, abs=1e-6)
        np.testing.assert_array_equal(read.mask.array, segment.mask.array)
        assert read.mask.array.dtype == bool
        assert read.mask.same_grid(grid, tolerance_mm=EXACT_MM)


@pytest.mark.parametrize("review", ["", "confirmed", "rejected"])
def test_what_a_person_said_of_a_lesion_is_kept_where_slicer_keeps_it_too(tmp_path, review):
    slicer = pytest.importorskip("slicer")
    vtk = pytest.importorskip("vtk")
    segment = Segment(
        "Tumor 1", box(an_oblique_ct(), (3, 4, 7), (5, 6, 9)), (1, 0, 0), terminology.TUMOR["Left"], review=review
    )
    write_segmentation([segment], tmp_path / "a.seg.nrrd", grid=an_oblique_ct().grid)
    node, storage, tag = slicer.vtkMRMLSegmentationNode(), slicer.vtkMRMLSegmentationStorageNode(), vtk.reference("")
    storage.SetFileName(str(tmp_path / "a.seg.nrrd"))
    assert storage.ReadData(node)
    node.GetSegmentation().GetNthSegment(0).GetTag("LungTumorSeg.Review", tag)
    assert str(tag) == review
    storage.SetFileName(str(tmp_path / "b.seg.nrrd"))
    assert storage.WriteData(node)
    assert [read_segmentation(tmp_path / name)[0].review for name in ("a.seg.nrrd", "b.seg.nrrd")] == [review] * 2


def test_masks_on_a_crop_land_in_their_place(tmp_path):
    grid = an_oblique_ct()
    full = box(grid, (3, 4, 7), (5, 6, 9))
    segment = Segment("Tumor 1", full.crop((2, 3, 6), (7, 8, 12)), (1, 0, 0), terminology.TUMOR["Left"])
    write_segmentation([segment], tmp_path / "one.seg.nrrd", grid=grid.grid)
    (back,) = read_segmentation(tmp_path / "one.seg.nrrd")
    np.testing.assert_array_equal(back.mask.array, full.array)
    assert back.mask.same_grid(grid)


def test_a_segmentation_without_segments_keeps_its_grid(tmp_path, read_by_slicer):
    grid = an_oblique_ct()
    write_segmentation([], tmp_path / "none.seg.nrrd", grid=grid.grid)
    assert read_segmentation(tmp_path / "none.seg.nrrd") == []
    assert read_by_slicer(tmp_path / "none.seg.nrrd", grid.shape) == {}


@pytest.mark.parametrize("cropped", [False, True])
def test_what_slicer_saves_is_read(tmp_path, cropped):
    slicer = pytest.importorskip("slicer")
    logic = slicer.vtkSlicerSegmentationsModuleLogic()
    grid = an_oblique_ct()
    segments = lungs_and_tumor(grid)[:4]
    write_segmentation(segments, tmp_path / "ours.seg.nrrd")
    scene = slicer.vtkMRMLScene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(tmp_path / "ours.seg.nrrd"))
    assert storage.ReadData(node) == 1, logic
    storage.SetCropToMinimumExtent(cropped)
    storage.SetFileName(str(tmp_path / "slicers.seg.nrrd"))
    assert storage.WriteData(node) == 1
    start, stop = ((1, 0, 1), (8, 10, 11)) if cropped else ((0, 0, 0), grid.shape)
    for read, segment in zip(read_segmentation(tmp_path / "slicers.seg.nrrd"), segments, strict=True):
        assert (read.name, read.id, read.terminology) == (segment.name, segment.id, segment.terminology)
        assert read.mask.same_grid(grid.crop(start, stop), tolerance_mm=EXACT_MM)
        np.testing.assert_array_equal(read.mask.array, segment.mask.crop(start, stop).array)


@pytest.mark.parametrize("name", ["labels.nii.gz", "labels.nrrd", "labels.mha"])
@pytest.mark.parametrize("label_type", ["uint8", "int16", "float32"])
def test_each_label_of_a_plain_label_map_is_a_segment(tmp_path, name, label_type):
    grid = an_oblique_ct()
    labels = np.zeros(grid.shape, label_type)
    labels[2:4, 3:6, 1:9], labels[5, 6, 7] = 2, 7
    write_volume(grid.with_array(labels), tmp_path / name)
    two, seven = read_segmentation(tmp_path / name)
    assert (two.name, seven.name, two.id, seven.id) == ("Segment 2", "Segment 7", "Segment_2", "Segment_7")
    np.testing.assert_array_equal(two.mask.array, labels == 2)
    np.testing.assert_array_equal(seven.mask.array, labels == 7)
    assert two.mask.same_grid(grid)
    assert two.color != seven.color


def test_a_label_map_of_a_single_slice_is_read(tmp_path):
    labels = make_ct(shape=(1, 10, 12))
    write_volume(labels.with_array((labels.array > -820).astype(np.uint8)), tmp_path / "one.nrrd")
    assert read_segmentation(tmp_path / "one.nrrd")[0].mask.shape == (1, 10, 12)


def test_an_empty_label_map_has_no_segments(tmp_path):
    write_volume(make_ct().with_array(np.zeros((9, 10, 12), np.uint8)), tmp_path / "empty.nii.gz")
    assert read_segmentation(tmp_path / "empty.nii.gz") == []


@pytest.mark.parametrize(
    "array",
    [np.linspace(0, 1, 1080, dtype="float32"), np.full(1080, -1), np.arange(1080), np.full(1080, np.nan, "float32")],
    ids=["fractions", "negative", "too many", "NaN"],
)
def test_images_that_are_no_label_maps_are_refused(tmp_path, array):
    write_volume(make_ct().with_array(array.reshape(9, 10, 12)), tmp_path / "map.nrrd")
    with pytest.raises(
        UnusableInput, match=r"The values of .*map\.nrrd are not labels \(whole, positive, at most 256 of them\)"
    ):
        read_segmentation(tmp_path / "map.nrrd")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(UnusableInput, match="does not exist"):
        read_segmentation(tmp_path / "gone.seg.nrrd")


def test_layers_without_names_are_refused(tmp_path):
    image = to_simpleitk(make_ct().with_array(np.ones((9, 10, 12), np.uint8)))
    sitk.WriteImage(sitk.Compose(image, image), tmp_path / "two.nrrd")
    with pytest.raises(
        UnusableInput, match="several values per voxel, such as phases or colors, but names no segments"
    ):
        read_segmentation(tmp_path / "two.nrrd")


@pytest.mark.parametrize(("key", "value"), [("Layer", "5"), ("LabelValue", "one"), ("Color", "red")])
def test_a_wrong_header_is_refused(tmp_path, key, value):
    image = to_simpleitk(make_ct().with_array(np.ones((9, 10, 12), np.uint8)))
    for name, content in {
        "ID": "a",
        "Name": "A",
        "Layer": "0",
        "LabelValue": "1",
        "Color": "1 0 0",
        key: value,
    }.items():
        image.SetMetaData(f"Segment0_{name}", content)
    sitk.WriteImage(image, tmp_path / "wrong.seg.nrrd")
    with pytest.raises(
        UnusableInput, match="does not describe its segments correctly; save the segmentation in Slicer again"
    ):
        read_segmentation(tmp_path / "wrong.seg.nrrd")


@pytest.mark.parametrize(("name", "shown"), [("", "a"), ("  ", "a"), (None, "a"), ("A", "A")])
def test_a_segment_whose_name_was_deleted_is_called_by_its_id(tmp_path, name, shown):
    image = to_simpleitk(make_ct().with_array(np.ones((9, 10, 12), np.uint8)))
    for key, content in {"ID": "a", "Name": name, "Layer": "0", "LabelValue": "1", "Color": "1 0 0"}.items():
        if content is not None:
            image.SetMetaData(f"Segment0_{key}", content)
    sitk.WriteImage(image, tmp_path / "nameless.seg.nrrd")
    assert [segment.name for segment in read_segmentation(tmp_path / "nameless.seg.nrrd")] == [shown]


def segment_on(volume: Volume, name="A", identifier="") -> Segment:
    return Segment(name, volume.with_array(volume.array > -780), (1, 0, 0), terminology.BODY, identifier)


@pytest.mark.parametrize(
    ("segments", "name", "message"),
    [
        ([], "s.seg.nrrd", "Without segments the grid must be given"),
        ([segment_on(make_ct()), segment_on(make_ct())], "s.seg.nrrd", "different ids"),
        (
            [segment_on(make_ct()), segment_on(make_ct(origin=(0, 0, 0)), "B")],
            "s.seg.nrrd",
            "mask of B does not lie on the segmentation's",
        ),
        ([segment_on(make_ct()), segment_on(make_ct(shape=(9, 10, 13)), "B")], "s.seg.nrrd", "mask of B does not lie"),
        (
            [segment_on(make_ct()), segment_on(make_ct(spacing=(2.5, 0.8, 0.71)), "B")],
            "s.seg.nrrd",
            "mask of B does not lie",
        ),
        ([segment_on(make_ct())], "s.nrrd", r"must end in \.seg\.nrrd"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, segments, name, message):
    with pytest.raises(ValueError, match=message):
        write_segmentation(segments, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("entry",
    [terminology.LEFT_LUNG, terminology.RIGHT_LUNG, terminology.BODY, terminology.ISOLATION_MASK,
                                   *terminology.TUMOR.values(), terminology.UNSPECIFIED])  # fmt: skip
def test_terminology_entries_have_seven_parts_of_three(entry):
    context, category, kind, modifier, anatomic_context, region, region_modifier = entry.split("~")
    assert context == "Segmentation category and type - DICOM master list"
    assert anatomic_context == "Anatomic codes - DICOM master list"
    assert all(part.count("^") == 2 for part in (category, kind, modifier, region, region_modifier))
    assert all(part.split("^")[0] in ("SCT", "DCM") for part in (category, kind))


@pytest.mark.parametrize(("side", "code"), [("Left", "7771000"), ("Right", "24028007")])
def test_sides_have_their_snomed_codes(side, code):
    lung = {"Left": terminology.LEFT_LUNG, "Right": terminology.RIGHT_LUNG}[side]
    assert f"SCT^39607008^Lung~SCT^{code}^{side}" in lung
    assert "~SCT^108369006^Neoplasm~^^~" in terminology.TUMOR[side]
    assert terminology.TUMOR[side].endswith(f"~SCT^39607008^Lung~SCT^{code}^{side}")


def test_a_tumor_of_unknown_side_is_still_a_tumor():
    assert terminology.TUMOR[None] == terminology.TUMOR["Left"].replace("SCT^7771000^Left", "^^")


FRAMES = np.zeros((4, 5, 6, 2), np.uint8)
FRAMES[1, 1:3, 1:3, 0] = FRAMES[2, 2:4, 2:5, 1] = 1
LABELS = FRAMES[..., 0] + 2 * FRAMES[..., 1]
NAMED = {"Segment0_ID": "A", "Segment0_Name": "one", "Segment1_ID": "B", "Segment1_Name": "two"}
IN_LAYERS = {f"Segment{n}_Layer": str(n) for n in range(2)}


@pytest.mark.parametrize(
    ("array", "header"),
    [
        pytest.param(FRAMES, {}, id="Slicer 4.10: neither layer nor label value"),
        pytest.param(FRAMES * np.array([1, 2], np.uint8), {}, id="another value in a frame is not the segment"),
        pytest.param(FRAMES, {f"Segment{n}_LabelValue": "1" for n in range(2)}, id="label values without layers"),
        pytest.param(FRAMES, IN_LAYERS, id="layers without label values"),
        pytest.param(FRAMES[..., ::-1], {"Segment0_Layer": "1", "Segment1_Layer": "0"}, id="layers in another order"),
        pytest.param(
            FRAMES, {"Segment0_Extent": "0 5 0 4 0 3", "Segment1_Extent": "0 -1 0 -1 0 -1"}, id="empty extent"
        ),
        pytest.param(FRAMES, {"Segment0_Extent": "1 1 1 4 0 3"}, id="an extent that cuts the segment"),
        pytest.param(
            LABELS,
            {f"Segment{n}_Layer": "0" for n in range(2)}
            | {f"Segment{n}_LabelValue": str(n + 1) for n in range(2)}
            | {"Segment0_Extent": "1 2 1 2 1 1", "Segment1_Extent": "2 3 2 3 2 2"},
            id="extents of one layer count together",
        ),
    ],
)
def test_files_of_other_versions_are_read_as_slicer_reads_them(tmp_path, read_by_slicer, array, header):
    image = sitk.GetImageFromArray(np.ascontiguousarray(array), isVector=array.ndim == 4)
    for key, value in (NAMED | header).items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(tmp_path / "old.seg.nrrd"))
    by_slicer = read_by_slicer(tmp_path / "old.seg.nrrd", (4, 5, 6))
    segments = read_segmentation(tmp_path / "old.seg.nrrd")
    assert [segment.name for segment in segments] == ["one", "two"]
    for segment in segments:
        np.testing.assert_array_equal(segment.mask.array, by_slicer[segment.id]["mask"])


def write_named(path, header):
    image = sitk.GetImageFromArray(LABELS)
    for key, value in header.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(path))
    return path


IN_ONE_LAYER = {f"Segment{n}_Layer": "0" for n in range(2)} | {f"Segment{n}_LabelValue": str(n + 1) for n in range(2)}


@pytest.mark.parametrize("number", ["0", "1"])
def test_a_missing_segment_number_is_refused(tmp_path, number):
    header = {key.replace(f"Segment{number}_", "Segment7_"): value for key, value in (NAMED | IN_ONE_LAYER).items()}
    with pytest.raises(UnusableInput, match="does not describe its segments correctly"):
        read_segmentation(write_named(tmp_path / "gap.seg.nrrd", header))


@pytest.mark.parametrize("key", ["Segmentation_MasterRepresentation", "Segmentation_SourceRepresentation"])
def test_fractional_label_maps_are_refused(tmp_path, key):
    header = NAMED | IN_ONE_LAYER | {key: "Fractional labelmap"}
    with pytest.raises(UnusableInput, match="stores its segments as Fractional labelmap, which is not read; convert"):
        read_segmentation(write_named(tmp_path / "fractional.seg.nrrd", header))


@pytest.mark.parametrize("label", ["0", "7"])
def test_voxels_of_no_segment_are_warned_of(tmp_path, label):
    path = write_named(tmp_path / "lost.seg.nrrd", NAMED | IN_ONE_LAYER | {"Segment1_LabelValue": label})
    first, second = read_segmentation(path)
    assert not second.mask.array.any()
    assert "voxels of no segment (label 2), which were not read" in first.warnings[0]


@pytest.mark.parametrize("extent", ["0 0 0 0 0 0", "0 -1 0 -1 0 -1"])
def test_voxels_outside_the_stated_extents_are_warned_of(tmp_path, extent):
    extents = {f"Segment{n}_Extent": extent for n in range(2)}
    segments = read_segmentation(write_named(tmp_path / "cut.seg.nrrd", NAMED | IN_ONE_LAYER | extents))
    assert not any(segment.mask.array.any() for segment in segments)
    assert "has voxels of no segment, which were not read" in segments[0].warnings[0]


def test_a_segment_in_a_layer_that_is_not_there_is_refused(tmp_path):
    image = sitk.GetImageFromArray(LABELS)
    for key, value in NAMED.items():
        image.SetMetaData(key, value)
    sitk.WriteImage(image, str(tmp_path / "odd.seg.nrrd"))
    with pytest.raises(UnusableInput, match="does not describe its segments correctly"):
        read_segmentation(tmp_path / "odd.seg.nrrd")


def test_many_segments_of_a_large_grid_cost_one_grid(tmp_path):
    grid = Grid((48, 128, 128), make_ct().affine)
    segments = [
        Segment(f"T {i}",
            SparseMask(crop_at(np.ones((2, 3, 3), bool), ((i % 40, i, i), (i % 40 + 2, i + 3, i + 3)), grid), grid),
                (1, 0, 0), terminology.TUMOR["Left"])
        for i in range(0, 120, 2)
    ]  # fmt: skip
    whole_bytes = 48 * 128 * 128
    tracemalloc.start()
    write_segmentation(segments, tmp_path / "many.seg.nrrd", grid=grid)
    back = read_segmentation(tmp_path / "many.seg.nrrd")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [np.count_nonzero(segment.mask.array) for segment in back] == [18] * 60
    assert peak < 8 * whole_bytes, "60 whole masks would be 60 times the grid"
