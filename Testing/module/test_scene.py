"""Saved and reloaded scenes are complete, including scenes of older versions of the extension."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import slicer
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml import segment_display, volume_nodes
from LungTumorSegLib.mrml.segments import mask_of, review_of, segments_of, set_mask
from LungTumorSegLib.mrml.stored_lesions import color_by, shown_color
from LungTumorSegLib.mrml.upgrade import VERSION
from old_scenes import as_version_1, as_version_2
from tiers import fast_only

from .conftest import lung_and_tumor_masks

SCENES = Path(__file__).parents[1] / "data" / "scenes"
"""One scene for each version, written by ``Testing/tools/write_scenes.py``."""


@pytest.fixture
def logic(module, fake_child):
    return module.LungTumorSegLogic()


@pytest.fixture
def corrected(logic, volume, ct):
    """Return a result with every kind of correction, selected in the parameters."""
    segmentation = logic.segment(volume, {"probability": True})
    corrections = logic.corrections(segmentation)
    mask = lung_and_tumor_masks(ct)["Tumor 1"].array.copy()
    mask[2:6, 7:9, 9:12] = True
    set_mask(segmentation, "Tumor_1", ct.with_array(mask))
    corrections.confirm("Tumor_1")
    corrections.reject("Tumor_2")
    added = corrections.add()
    set_mask(segmentation, added, ct.with_array(np.roll(lung_and_tumor_masks(ct)["Tumor 1"].array, -7, axis=2)))
    content = segmentation.GetSegmentation()
    content.GetSegment("Tumor_1").SetName("My mass")
    content.GetSegment("Tumor_1").SetColor(0.25, 0.5, 0.75)
    content.AddEmptySegment("vessel", "A vessel of mine")
    content.GetSegment("vessel").SetColor(0.5, 0.25, 0.75)  # values that six digits store exactly
    logic.measureLesions(segmentation)
    parameters = logic.getParameterNode()
    parameters.inputVolume, parameters.outputSegmentation = volume, segmentation
    parameters.stride, parameters.paintInside = 3, True
    return segmentation


def stored_state() -> dict:
    """Return everything that a scene stores for the extension, found in the same way as by the panel."""
    parameters = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScriptedModuleNode")
    segmentation, volume = (parameters.GetNodeReference(name) for name in ("outputSegmentation", "inputVolume"))
    content, display = segmentation.GetSegmentation(), segmentation.GetDisplayNode()
    map_node = segmentation.GetNodeReference(mrml.PROBABILITY_ROLE)
    return {
        "parameters": {name: parameters.GetParameter(name) for name in sorted(parameters.GetParameterNames())},
        "ct": (mrml.ct_of(segmentation) is volume, volume.GetName(), voxels(volume)),
        "rows": [repr(row) for row in mrml.lesions_of(segmentation)],
        "summary": mrml.summary_of(segmentation),
        "edited": mrml.is_edited(segmentation),
        "map": voxels(map_node),
        "segments": [
            (segment_id, segment.GetName(), np.round(segment.GetColor(), 5).tolist(), segment.GetTerminology(),
                review_of(segment),
             display.GetSegmentVisibility(segment_id), placed(content, segment_id))
            for segment_id, segment in segments_of(content)
        ],
        "answer": [(i,
            placed(answer, i)) for answer in [segmentation.GetNodeReference("LungTumorSeg.Answer").GetSegmentation()]
                   for i in answer.GetSegmentIDs()],
    }  # fmt: skip


def voxels(node) -> tuple:
    """Return voxels with canonical axes, because Slicer reverses the slices of a left-handed volume that it reads."""
    volume = volume_nodes.volume_of_node(node)
    volume = volume.canonical_axes().apply(volume)
    return np.round(volume.affine, 4).tolist(), volume.array.tobytes()


def placed(content, segment_id):
    mask = mask_of(content, segment_id)
    return None if mask is None else (np.round(mask.origin, 4).tolist(), mask.shape, mask.array.tobytes())


def save_mrml(folder: Path) -> Path:
    """Save as Slicer's dialog does: every storable node to a file, then the scene."""
    folder.mkdir()
    scene = slicer.mrmlScene
    for index in range(scene.GetNumberOfNodesByClass("vtkMRMLStorableNode")):
        node = scene.GetNthNodeByClass(index, "vtkMRMLStorableNode")
        if node.GetSaveWithScene() and not node.GetSingletonTag() and node.AddDefaultStorageNode():
            storage = node.GetStorageNode()
            suffix = storage.GetDefaultWriteFileExtension()
            storage.SetFileName(str(folder / f"{node.GetID()}.{suffix}"))
            assert storage.WriteData(node), node.GetName()
    scene.SetRootDirectory(str(folder))
    scene.SetURL(str(folder / "scene.mrml"))
    assert scene.Commit()
    return folder / "scene.mrml"


def load_mrml(path: Path) -> None:
    slicer.mrmlScene.Clear(0)
    slicer.mrmlScene.SetURL(str(path))
    assert slicer.mrmlScene.Connect()


def save_and_load(kind: str, folder: Path) -> None:
    if kind == "mrml":
        load_mrml(save_mrml(folder / "scene"))
    else:
        assert slicer.mrmlScene.WriteToMRB(str(folder / "scene.mrb"))
        slicer.mrmlScene.Clear(0)
        assert slicer.mrmlScene.ReadFromMRB(str(folder / "scene.mrb"))


@pytest.mark.parametrize("kind", fast_only(["mrb"], ["mrml", "mrb"]))
def test_a_scene_saved_closed_and_loaded_is_equal_in_every_stored_value(corrected, tmp_path, kind):
    before = stored_state()
    assert before["edited"]
    assert [row[4] for row in before["segments"]] == ["", "", "confirmed", "rejected", "", ""]
    save_and_load(kind, tmp_path)
    after = stored_state()
    for name, value in before.items():
        assert after[name] == value, name


def test_correction_goes_on_in_a_loaded_scene(corrected, logic, tmp_path, ct):
    save_and_load("mrml", tmp_path)
    segmentation = logic.getParameterNode().outputSegmentation
    logic.corrections(segmentation).reset_all()
    logic.measureLesions(segmentation)
    rows = {row.segment_id: row for row in mrml.lesions_of(segmentation)}
    assert set(rows) == {"Tumor_1", "Tumor_2"}
    assert rows["Tumor_1"].volume_ml == pytest.approx(18 * ct.voxel_volume_ml)
    assert rows["Tumor_1"].correction == ""
    assert rows["Tumor_1"].review == "confirmed"


def test_an_untouched_result_is_still_untouched_after_loading(logic, volume, tmp_path):
    parameters = logic.getParameterNode()
    parameters.outputSegmentation = logic.segment(volume)
    save_and_load("mrml", tmp_path)
    segmentation = logic.getParameterNode().outputSegmentation
    assert not mrml.is_edited(segmentation)
    assert (
        logic.segment(slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode"), segmentationNode=segmentation)
        is segmentation
    )


def shown_segmentations() -> list[str]:
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return [node.GetName() for node in nodes if node.GetDisplayNode().GetVisibility()]


@pytest.mark.parametrize("kind", fast_only(["mrml"], ["mrml", "mrb"]))
def test_the_networks_answer_stays_hidden_in_a_loaded_scene(corrected, tmp_path, kind):
    save_and_load(kind, tmp_path)
    assert shown_segmentations() == ["CT 5: chest tumors"]


def test_lesions_are_shown_by_their_review_after_slicer_has_hidden_all(corrected, logic, tmp_path):
    save_and_load("mrml", tmp_path)
    segmentation = logic.getParameterNode().outputSegmentation
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "somebody's")
    other.GetSegmentation().AddEmptySegment("tumor", "Tumor 1")
    other.CreateDefaultDisplayNodes()
    for node in (segmentation, other):
        for segment_id in node.GetSegmentation().GetSegmentIDs():
            node.GetDisplayNode().SetSegmentVisibility(segment_id, False)
    segment_display.show_lesions_by_review(slicer.mrmlScene)
    display = segmentation.GetDisplayNode()
    shown = {i for i in segmentation.GetSegmentation().GetSegmentIDs() if display.GetSegmentVisibility(i)}
    assert shown == {"Tumor_1", "Tumor_3"}, "lungs may be hidden, Tumor 2 was rejected, a vessel is no lesion"
    assert not other.GetDisplayNode().GetSegmentVisibility("tumor")


def test_the_choice_of_colors_comes_back_with_the_scene(corrected, logic, tmp_path):
    from LungTumorSegLib.mrml.spread import color_lesions

    assert color_by(corrected) == "number"
    color_lesions(corrected, "confidence")
    colors = {i: shown_color(corrected, i) for i in corrected.GetSegmentation().GetSegmentIDs()}
    assert colors["Tumor_1"] != pytest.approx((0.25, 0.5, 0.75))
    save_and_load("mrml", tmp_path)
    segmentation = logic.getParameterNode().outputSegmentation
    assert color_by(segmentation) == "confidence"
    for segment_id, color in colors.items():
        assert shown_color(segmentation, segment_id) == pytest.approx(color, abs=1e-5), segment_id
    color_lesions(segmentation, "number")
    assert color_by(segmentation) == "number"
    assert shown_color(segmentation, "Tumor_1") == pytest.approx((0.25, 0.5, 0.75), abs=1e-5)


# Scenes of older versions


def test_the_networks_answer_of_a_scene_of_version_2_is_hidden_once_it_is_loaded(corrected, logic, tmp_path):
    as_version_2(corrected, logic.getParameterNode().parameterNode)
    load_mrml(save_mrml(tmp_path / "old"))
    assert len(shown_segmentations()) == 2, "Slicer has made a display node"
    logic.getParameterNode()
    assert shown_segmentations() == ["CT 5: chest tumors"]


@pytest.fixture
def old_scene(logic, volume, ct):
    """Create a scene as version 1 saved it.

    The result has neither the network's result nor review marks, and the parameters lack those that were added later.
    """

    def make(edited: bool):
        segmentation = logic.segment(volume)
        parameters = logic.getParameterNode()
        parameters.stride, parameters.outputSegmentation = 2, segmentation
        as_version_1(segmentation, parameters.parameterNode)
        if edited:
            set_mask(segmentation, "Tumor_2", None)

    return make


def test_a_scene_is_stored_for_each_version():
    assert {path.name for path in SCENES.iterdir()} == {f"version_{n}.mrb" for n in range(1, VERSION + 1)}, (
        "run: python Testing/tools/write_scenes.py"
    )


@pytest.mark.parametrize("path", sorted(SCENES.iterdir()), ids=lambda path: path.stem)
def test_a_stored_scene_opens_with_its_values_and_can_be_corrected(logic, path):
    assert slicer.mrmlScene.ReadFromMRB(str(path))
    parameters = logic.getParameterNode()
    segmentation = parameters.outputSegmentation
    assert (parameters.version, parameters.stride) == (VERSION, 3)
    assert mrml.ct_of(segmentation) is parameters.inputVolume
    assert shown_segmentations() == [segmentation.GetName()]
    rows = mrml.lesions_of(segmentation)
    assert [(row.number, row.segment, row.confidence) for row in rows] == [(1, "Tumor 1", 0.9), (2, "Tumor 2", 0.9)]
    assert rows[0].side == "Left"
    assert [row.volume_ml for row in rows] == pytest.approx([125 * 0.125, 12 * 0.125])
    reviews = ["", ""] if path.stem == "version_1" else ["confirmed", "rejected"]
    assert [row.review for row in rows] == reviews
    corrections = logic.corrections(segmentation)
    assert corrections.has_original("Tumor_1")
    corrections.confirm("Tumor_2")
    corrections.merge(["Tumor_1", "Tumor_2"])
    logic.measureLesions(segmentation)
    (row,) = mrml.lesions_of(segmentation)
    assert (row.correction, row.volume_ml) == ("corrected", pytest.approx(137 * 0.125))


@pytest.mark.parametrize("edited", [False, True])
def test_a_scene_of_version_1_opens_with_its_values(old_scene, logic, tmp_path, edited):
    old_scene(edited)
    load_mrml(save_mrml(tmp_path / "old"))
    parameters = logic.getParameterNode()
    segmentation = parameters.outputSegmentation
    assert (parameters.version, parameters.stride, parameters.paintInside) == (VERSION, 2, False)
    assert parameters.verify is logic.models()["default"].verify, "the next run is as one from the command line"
    assert [row.segment for row in mrml.lesions_of(segmentation)] == ["Tumor 1", "Tumor 2"]
    assert logic.corrections(segmentation).has_original("Tumor_1") is not edited, "what was edited before nobody knows"
    assert mrml.is_edited(segmentation) is edited


def test_a_result_of_version_1_can_be_corrected_like_a_new_one(old_scene, logic, tmp_path, ct):
    old_scene(False)
    load_mrml(save_mrml(tmp_path / "old"))
    segmentation = logic.getParameterNode().outputSegmentation
    logic.corrections(segmentation).merge(["Tumor_1", "Tumor_2"])
    logic.measureLesions(segmentation)
    (row,) = mrml.lesions_of(segmentation)
    assert (row.correction, row.confidence) == ("corrected", 0.9)
    assert row.network_volume_ml == pytest.approx(18 * ct.voxel_volume_ml)


def test_segmentations_of_others_are_left_alone_by_the_upgrade(old_scene, logic):
    old_scene(False)
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "somebody's")
    logic.getParameterNode()
    assert other.GetNodeReference("LungTumorSeg.Answer") is None
    assert mrml.summary_of(other) == {}
