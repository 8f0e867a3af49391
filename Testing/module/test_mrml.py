"""Export of volumes from a real MRML scene and import of results into it, on slicer-core."""

from __future__ import annotations

import gc
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import slicer
import vtk
from LungTumorSegLib.core import terminology
from LungTumorSegLib.core.errors import MachineLimit
from LungTumorSegLib.core.terminology import RIGHT_LUNG, TUMOR, entry_of_codes
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml import segment_display, volume_nodes
from LungTumorSegLib.results.reader import read_run
from vtk.util.numpy_support import vtk_to_numpy

from .conftest import RED, add_volume, lung_and_tumor_masks, write_results


@pytest.fixture
def results(tmp_path, ct):
    return write_results(tmp_path / "results", ct, warnings=("The lung is cut by the volume's edge.",))


@pytest.fixture
def loaded(results, ct_node):
    return mrml.load_results(read_run(results), ct_node)


def a_transform(scene):
    """Return a rotation about z with a shift, which makes LPS, RAS and transformed points all different."""
    transform = vtk.vtkTransform()
    transform.Translate(10, -20, 35)
    transform.RotateZ(30)
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "acquisition")
    node.SetMatrixTransformToParent(transform.GetMatrix())
    return node


def mask_in_scene(segmentation, name: str, volume_node) -> np.ndarray:
    """Return the voxels of a segment on the volume's grid, resampled by Slicer's own code."""
    image = slicer.vtkOrientedImageData()
    segment_id = segmentation.GetSegmentation().GetSegmentIdBySegmentName(name)
    ids = vtk.vtkStringArray()
    ids.InsertNextValue(segment_id)
    label_map = volume_node.GetScene().AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    assert slicer.vtkSlicerSegmentationsModuleLogic.ExportSegmentsToLabelmapNode(
        segmentation, ids, label_map, volume_node
    )
    image = label_map.GetImageData()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1]) > 0


# Export from the scene


def test_a_volume_node_becomes_a_volume_in_lps(ct, ct_node):
    volume = volume_nodes.volume_of_node(ct_node)
    np.testing.assert_array_equal(volume.array, ct.array)
    np.testing.assert_allclose(volume.affine, ct.affine, atol=1e-9)


def test_the_parent_transform_is_left_out(scene, ct, ct_node):
    ct_node.SetAndObserveTransformNodeID(a_transform(scene).GetID())
    np.testing.assert_allclose(volume_nodes.volume_of_node(ct_node).affine, ct.affine, atol=1e-9)


def test_the_voxels_are_a_view_and_outlive_their_node(scene, ct, ct_node):
    volume = volume_nodes.volume_of_node(ct_node)
    assert not volume.array.flags.owndata, "a copy of 150 MB would be felt"
    scene.RemoveNode(ct_node)
    del ct_node
    np.testing.assert_array_equal(volume.array, ct.array)


def test_what_is_no_ct_is_refused(scene, ct):
    with pytest.raises(ValueError, match="Choose a CT volume"):
        volume_nodes.volume_of_node(None)
    with pytest.raises(ValueError, match="Choose a CT volume"):
        volume_nodes.volume_of_node(scene.AddNewNodeByClass("vtkMRMLSegmentationNode"))
    with pytest.raises(ValueError, match="Choose a CT volume"):
        volume_nodes.volume_of_node(add_volume(scene, ct, "labels", "vtkMRMLLabelMapVolumeNode"))
    with pytest.raises(ValueError, match="empty one has no voxels"):
        volume_nodes.volume_of_node(scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty one"))


def test_several_values_a_voxel_are_refused(scene):
    image = vtk.vtkImageData()
    image.SetDimensions(3, 4, 5)
    image.AllocateScalars(vtk.VTK_SHORT, 2)
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "vectors")
    node.SetAndObserveImageData(image)
    with pytest.raises(ValueError, match="several values per voxel"):
        volume_nodes.volume_of_node(node)


@pytest.mark.parametrize(("value", "marked"), [(-1000, True), (-200, True), (-199, False), (0, False)])
def test_air_in_a_few_columns_of_a_large_image_makes_it_a_ct(scene, ct, value, marked):
    array = np.zeros((40, 128, 128), np.int16)
    array[:, :, 77:79] = value
    node = add_volume(scene, Volume(array, ct.affine), "large")
    assert volume_nodes.mark_if_ct(node) is marked
    assert node.GetAttribute(volume_nodes.CT_ATTRIBUTE) == ("1" if marked else None)


def test_an_image_without_voxels_is_no_ct(scene):
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    node.SetAndObserveImageData(vtk.vtkImageData())
    assert not volume_nodes.mark_if_ct(node)


def test_sheared_axes_are_refused(ct_node):
    matrix = vtk.vtkMatrix4x4()
    ct_node.GetIJKToRASMatrix(matrix)
    matrix.SetElement(0, 2, 1.0)
    ct_node.SetIJKToRASMatrix(matrix)
    with pytest.raises(ValueError, match="orthogonal"):
        volume_nodes.volume_of_node(ct_node)


# Import into the scene


def test_segments_come_with_names_colors_and_terminology(loaded):
    content = loaded.GetSegmentation()
    assert [content.GetNthSegment(i).GetName() for i in range(4)] == ["Left lung", "Right lung", "Tumor 1", "Tumor 2"]
    tumor = content.GetSegment(content.GetSegmentIdBySegmentName("Tumor 1"))
    np.testing.assert_allclose(tumor.GetColor(), RED, atol=1e-6)  # the file stores six digits
    assert tumor.GetTerminology() == terminology.TUMOR["Left"]


@pytest.mark.parametrize("name", ["Left lung", "Right lung", "Tumor 1", "Tumor 2"])
def test_each_segment_lies_where_it_was_found(loaded, ct, ct_node, name):
    np.testing.assert_array_equal(mask_in_scene(loaded, name, ct_node), lung_and_tumor_masks(ct)[name].array)


def test_the_result_takes_the_parent_transform(scene, results, ct, ct_node):
    transform = a_transform(scene)
    ct_node.SetAndObserveTransformNodeID(transform.GetID())
    run = replace(read_run(results), probability=ct.with_array(np.zeros(ct.shape, np.float32)))
    segmentation = mrml.load_results(run, ct_node)
    assert segmentation.GetTransformNodeID() == transform.GetID()
    assert segmentation.GetNodeReference(mrml.PROBABILITY_ROLE).GetTransformNodeID() == transform.GetID()


def test_the_result_stands_in_the_study_of_the_ct(scene, results, ct_node):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "patient")
    study = hierarchy.CreateStudyItem(patient, "study")
    hierarchy.CreateItem(study, ct_node)
    segmentation = mrml.load_results(read_run(results), ct_node)
    for node in (segmentation, segmentation.GetNodeReference(mrml.TABLE_ROLE)):
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study


def test_the_reference_geometry_is_the_cts(loaded, ct_node):
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    assert loaded.GetNodeReferenceID(role) == ct_node.GetID()


def test_no_node_remembers_the_private_folder(scene, loaded, results):
    scene.SetSaveToXMLString(1)
    scene.Commit()
    assert str(results) not in scene.GetSceneXMLString()


def test_only_the_result_enters_the_scene(scene, results, ct_node):
    before = {scene.GetNthNode(i).GetID() for i in range(scene.GetNumberOfNodes())}
    mrml.load_results(read_run(results), ct_node)
    after = [scene.GetNthNode(i) for i in range(scene.GetNumberOfNodes())]
    new = sorted(node.GetClassName() for node in after if node.GetID() not in before)
    assert new == [
        "vtkMRMLSegmentationDisplayNode",
        "vtkMRMLSegmentationDisplayNode",
        "vtkMRMLSegmentationNode",
        "vtkMRMLSegmentationNode",
        "vtkMRMLTableNode",
    ]


def test_the_networks_answer_is_kept_where_no_list_shows_it(loaded):
    answer = loaded.GetNodeReference("LungTumorSeg.Answer")
    assert answer.GetHideFromEditors()
    assert not answer.GetDisplayNode().GetVisibility()
    content = answer.GetSegmentation()
    assert list(content.GetSegmentIDs()) == list(loaded.GetSegmentation().GetSegmentIDs())
    loaded.GetSegmentation().RemoveSegment("Tumor_1")
    assert content.GetNumberOfSegments() == 4


def test_lungs_are_translucent_and_tumors_are_not(loaded):
    content, display = loaded.GetSegmentation(), loaded.GetDisplayNode()
    opacity = {
        name: display.GetSegmentOpacity3D(content.GetSegmentIdBySegmentName(name)) for name in ("Left lung", "Tumor 1")
    }
    assert opacity == {"Left lung": segment_display.LUNG_OPACITY_3D, "Tumor 1": 1.0}


def test_the_lesion_table_can_be_read_back(loaded, ct):
    rows = mrml.lesions_of(loaded)
    assert [(row.number, row.segment, row.side) for row in rows] == [(1, "Tumor 1", "Left"), (2, "Tumor 2", "Right")]
    masks = lung_and_tumor_masks(ct)
    assert rows[0].volume_ml == pytest.approx(18 * ct.voxel_volume_ml)  # 3 x 2 x 3 voxels
    np.testing.assert_allclose(rows[1].centroid_lps, ct.index_to_lps(np.argwhere(masks["Tumor 2"].array).mean(axis=0)))
    assert [row.check for row in rows] == [False, True]
    table = loaded.GetNodeReference(mrml.TABLE_ROLE)
    assert table.GetColumnUnitLabel("volume_ml") == "mL"


def test_no_lesion_gives_an_empty_table(tmp_path, ct, ct_node):
    segmentation = mrml.load_results(read_run(write_results(tmp_path / "r", ct, lesions=0)), ct_node)
    assert mrml.lesions_of(segmentation) == []
    assert mrml.summary_of(segmentation)["message"] == "No lesion found; this does not exclude disease"


def test_unknown_values_stay_unknown(tmp_path, ct, ct_node):
    folder = write_results(tmp_path / "r", ct)
    summary = json.loads((folder / "summary.json").read_text())
    summary["lesions"][0].update(side=None, confidence=None)
    (folder / "summary.json").write_text(json.dumps(summary))
    row = mrml.lesions_of(mrml.load_results(read_run(folder), ct_node))[0]
    assert row.side == ""
    assert math.isnan(row.confidence)


def test_the_summary_is_kept_with_the_segmentation(loaded):
    assert mrml.summary_of(loaded)["warnings"] == ["The lung is cut by the volume's edge."]


def test_a_segmentation_from_elsewhere_has_no_table_and_no_summary(scene):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert mrml.lesions_of(node) == []
    assert mrml.summary_of(node) == {}


def test_the_probability_map_lies_on_its_own_grid(scene, results, ct, ct_node):
    probability = Volume(
        np.linspace(0, 1, 4 * 5 * 6, dtype=np.float32).reshape(4, 5, 6), ct.crop((2, 3, 4), (6, 8, 10)).affine
    )
    segmentation = mrml.load_results(replace(read_run(results), probability=probability), ct_node)
    node = segmentation.GetNodeReference(mrml.PROBABILITY_ROLE)
    back = volume_nodes.volume_of_node(node)
    np.testing.assert_array_equal(back.array, probability.array)
    np.testing.assert_allclose(back.affine, probability.affine, atol=1e-9)


def test_the_probability_map_outlives_the_run_that_read_it(scene, results, ct, ct_node):
    def load():
        probability = ct.with_array(np.full(ct.shape, 0.625, np.float32))
        return mrml.load_results(replace(read_run(results), probability=probability), ct_node)

    segmentation = load()
    gc.collect()
    others = [np.zeros(ct.shape, np.float32) for _ in range(100)]  # would reuse freed memory
    assert (volume_nodes.volume_of_node(segmentation.GetNodeReference(mrml.PROBABILITY_ROLE)).array == 0.625).all()
    assert not any(other.any() for other in others)


def test_the_probability_map_is_shown_from_none_to_certain(scene, results, ct, ct_node):
    run = replace(read_run(results), probability=ct.with_array(np.full(ct.shape, 0.25, np.float32)))
    display = mrml.load_results(run, ct_node).GetNodeReference(mrml.PROBABILITY_ROLE).GetDisplayNode()
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0.0, 1.0)


# A second run


def test_a_second_run_makes_a_second_segmentation_unless_one_is_given(results, ct_node):
    first = mrml.load_results(read_run(results), ct_node)
    second = mrml.load_results(read_run(results), ct_node)
    assert first.GetID() != second.GetID()
    assert first.GetName() != second.GetName()


def test_an_update_replaces_segments_and_table_and_adds_no_node(scene, tmp_path, loaded, ct, ct_node):
    count = scene.GetNumberOfNodes()
    again = mrml.load_results(read_run(write_results(tmp_path / "second", ct, lesions=1)), ct_node, loaded)
    assert again.GetID() == loaded.GetID()
    assert scene.GetNumberOfNodes() == count
    assert loaded.GetSegmentation().GetNumberOfSegments() == 3
    assert len(mrml.lesions_of(loaded)) == 1


def test_a_file_that_slicer_cannot_read_leaves_the_scene_untouched(scene, results, ct_node):
    run = read_run(results)
    run.segmentation.write_text("no segmentation")
    before = scene.GetNumberOfNodes()
    with pytest.raises(MachineLimit, match="run it again"):
        mrml.load_results(run, ct_node)
    assert scene.GetNumberOfNodes() == before


def test_a_fresh_result_is_unedited(loaded):
    assert not mrml.is_edited(loaded)


def test_a_single_changed_voxel_is_an_edit(loaded):
    content = loaded.GetSegmentation()
    layer = content.GetLayerDataObject(0, content.GetSourceRepresentationName())
    voxels = vtk_to_numpy(layer.GetPointData().GetScalars())
    voxels[np.flatnonzero(voxels)[0]] = 0
    assert mrml.is_edited(loaded)


def test_a_new_segment_or_name_is_an_edit(loaded):
    loaded.GetSegmentation().GetNthSegment(2).SetName("Hamartoma")
    assert mrml.is_edited(loaded)
    loaded.GetSegmentation().GetNthSegment(2).SetName("Tumor 1")
    assert not mrml.is_edited(loaded)
    loaded.GetSegmentation().AddEmptySegment()
    assert mrml.is_edited(loaded)


def test_another_color_is_an_edit_but_in_scenes_of_version_1(loaded):
    old = mrml.fingerprint(loaded, colors=False)
    loaded.GetSegmentation().GetNthSegment(2).SetColor(0.0, 0.0, 1.0)
    assert mrml.is_edited(loaded)
    loaded.SetAttribute(mrml.FINGERPRINT_ATTRIBUTE, old)
    assert not mrml.is_edited(loaded)


def test_empty_voxels_around_the_segments_are_no_edit(loaded):
    content = loaded.GetSegmentation()
    layer = content.GetLayerDataObject(0, content.GetSourceRepresentationName())
    padding = vtk.vtkImageConstantPad()
    padding.SetInputData(layer)
    padding.SetOutputWholeExtent(-2, 20, -3, 19, -1, 15)
    padding.Update()
    layer.ShallowCopy(padding.GetOutput())
    assert not mrml.is_edited(loaded)


def test_saving_and_loading_is_no_edit(tmp_path, scene, loaded):
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(tmp_path / "saved.seg.nrrd"))
    storage.SetCropToMinimumExtent(True)
    assert storage.WriteData(loaded)
    back = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    assert storage.ReadData(back)
    back.SetAttribute(mrml.FINGERPRINT_ATTRIBUTE, loaded.GetAttribute(mrml.FINGERPRINT_ATTRIBUTE))
    assert not mrml.is_edited(back)


def test_a_segmentation_that_no_run_made_counts_as_edited(scene):
    assert mrml.is_edited(scene.AddNewNodeByClass("vtkMRMLSegmentationNode"))


# Views


@pytest.mark.parametrize("transformed", [False, True])
def test_jumping_centers_all_slice_views_on_the_lesion(scene, results, ct, ct_node, transformed):
    expected = np.array([-1, -1, 1]) * ct.index_to_lps(
        np.argwhere(lung_and_tumor_masks(ct)["Tumor 1"].array).mean(axis=0)
    )
    if transformed:
        transform = a_transform(scene)
        ct_node.SetAndObserveTransformNodeID(transform.GetID())
        expected = np.array(transform.GetTransformToParent().TransformPoint(*expected))
    slices = [scene.AddNewNodeByClass("vtkMRMLSliceNode", name) for name in ("Red", "Green")]
    slices[1].SetSliceToRASByNTP(0, 1, 0, 1, 0, 0, 0, 0, 0, 0)  # coronal
    segmentation = mrml.load_results(read_run(results), ct_node)
    segment_display.jump_to(segmentation, mrml.lesions_of(segmentation)[0])
    for node in slices:
        center = [node.GetSliceToRAS().GetElement(axis, 3) for axis in range(3)]
        np.testing.assert_allclose(center, expected, atol=1e-6)  # mm


def test_a_highlighted_tumor_stands_out_and_none_undoes_it(loaded):
    display, content = loaded.GetDisplayNode(), loaded.GetSegmentation()

    def fills():
        return [
            display.GetSegmentOpacity2DFill(content.GetSegmentIdBySegmentName(name))
            for name in ("Tumor 1", "Tumor 2", "Left lung")
        ]

    segment_display.highlight(loaded, "Tumor 2")
    assert fills() == [segment_display.DIMMED_FILL_2D, segment_display.TUMOR_FILL_2D, segment_display.LUNG_FILL_2D]
    segment_display.highlight(loaded, None)
    assert fills() == [segment_display.TUMOR_FILL_2D, segment_display.TUMOR_FILL_2D, segment_display.LUNG_FILL_2D]


def test_lungs_can_be_hidden_without_the_tumors(loaded):
    display, content = loaded.GetDisplayNode(), loaded.GetSegmentation()
    segment_display.show_lungs(loaded, False)
    visible = [
        display.GetSegmentVisibility(content.GetSegmentIdBySegmentName(n))
        for n in ("Left lung", "Right lung", "Tumor 1")
    ]
    assert visible == [False, False, True]
    segment_display.show_lungs(loaded, True)
    assert display.GetSegmentVisibility(content.GetSegmentIdBySegmentName("Left lung"))


@pytest.mark.parametrize(
    ("name", "terminology"),
    [
        ("Lung right (edited)", RIGHT_LUNG),
        ("Tumor 1 margin 5 mm", TUMOR["Left"]),
        ("Heart", entry_of_codes(("SCT", "123037004", "Anatomical Structure"), ("SCT", "80891009", "Heart"))),
        ("Blue thing", entry_of_codes(("SCT", "123037004", "Anatomical Structure"), ("SCT", "10200004", "Liver"))),
    ],
)
def test_the_views_take_for_tumors_what_the_table_does(loaded, name, terminology):
    display, content = loaded.GetDisplayNode(), loaded.GetSegmentation()
    segment_id = content.GetSegmentIdBySegmentName("Right lung")
    content.GetSegment(segment_id).SetName(name)
    content.GetSegment(segment_id).SetTerminology(terminology)
    segment_display.show_lungs(loaded, False)
    assert not display.GetSegmentVisibility(segment_id)
    before = display.GetSegmentOpacity2DFill(segment_id)
    segment_display.highlight(loaded, "Tumor 2")
    assert display.GetSegmentOpacity2DFill(segment_id) == before


def test_surfaces_are_made_by_slicer_where_none_came_with_the_result(loaded):
    content = loaded.GetSegmentation()
    assert not content.ContainsRepresentation("Closed surface")
    segment_display.show_surfaces(loaded, True)
    assert content.ContainsRepresentation("Closed surface")
    assert loaded.GetDisplayNode().GetVisibility3D()
    segment_display.show_surfaces(loaded, False)
    assert not loaded.GetDisplayNode().GetVisibility3D()


def test_surfaces_that_came_with_the_result_are_used_and_turned_to_ras(results, ct, ct_node):
    center = np.array([20.0, -30.0, 40.0])
    for name in ("Left_lung", "Right_lung", "Tumor_1", "Tumor_2"):
        ball = vtk.vtkSphereSource()
        ball.SetCenter(*center)
        ball.SetRadius(5)
        ball.Update()
        writer = vtk.vtkXMLPolyDataWriter()
        writer.SetFileName(str(results / f"{name}.vtp"))
        writer.SetInputData(ball.GetOutput())
        writer.Write()
    segmentation = mrml.load_results(read_run(results), ct_node)
    assert segmentation.GetSegmentation().ContainsRepresentation("Closed surface")
    surface = segmentation.GetSegmentation().GetSegment("Tumor_1").GetRepresentation("Closed surface")
    np.testing.assert_allclose(surface.GetCenter(), [-20, 30, 40], atol=0.2)  # the ball is a polyhedron
    points, normals = (vtk_to_numpy(a) for a in (surface.GetPoints().GetData(), surface.GetPointData().GetNormals()))
    outward = ((points - [-20, 30, 40]) * normals).sum(axis=1)
    assert (outward > 4).all(), "normals turn with the points"
    segment_display.show_surfaces(segmentation, True)
    assert segmentation.GetSegmentation().GetSegment("Tumor_1").GetRepresentation("Closed surface") is surface, (
        "not created again"
    )
