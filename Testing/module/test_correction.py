"""Corrections of lesions on a real scene: each action, its undo, and its behavior when the scene is closed."""

from __future__ import annotations

import time
import types
from dataclasses import replace

import numpy as np
import pytest
import slicer
from LungTumorSegLib.core import terminology
from LungTumorSegLib.correction.snapshot import Measures
from LungTumorSegLib.mrml import results as mrml
from LungTumorSegLib.mrml.corrections import Corrections
from LungTumorSegLib.mrml.history import UNDO_STEPS, state_of
from LungTumorSegLib.mrml.live_table import POLL_MILLISECONDS, TURN_SECONDS, LiveTable
from LungTumorSegLib.mrml.segments import mask_of, segments_of, set_mask
from LungTumorSegLib.mrml.stored_lesions import store_measures, stored_rows
from LungTumorSegLib.results.reader import read_run
from stand_in import event_loop

from .conftest import add_volume, lung_and_tumor_masks, probability_map, whole_mask

NAMES = ["Left lung", "Right lung", "Tumor 1", "Tumor 2"]


@pytest.fixture
def probability(ct):
    return probability_map(ct)


@pytest.fixture
def segmentation(usual_results, ct_node, probability):
    run = replace(read_run(usual_results), probability=probability)
    return mrml.load_results(run, ct_node)


@pytest.fixture
def corrections(segmentation):
    return Corrections(segmentation)


def voxels(segmentation, ct, segment_id) -> np.ndarray:
    return whole_mask(ct, mask_of(segmentation.GetSegmentation(), segment_id))


def state(segmentation, ct) -> dict[str, tuple]:
    """Return everything that undo has to restore."""
    content = segmentation.GetSegmentation()
    return {
        segment_id: (
            segment.GetName(), segment.GetColor(), segment.GetTerminology(), mrml_review(segment),
            segmentation.GetDisplayNode().GetSegmentVisibility(segment_id),
            voxels(segmentation, ct, segment_id).tobytes(),
        )
        for segment_id, segment in segments_of(content)
    }  # fmt: skip


def mrml_review(segment) -> str:
    from LungTumorSegLib.mrml.segments import review_of

    return review_of(segment)


def center_of(ct, name):
    x, y, z = ct.index_to_lps(np.argwhere(lung_and_tumor_masks(ct)[name].array).mean(axis=0))
    return (-x, -y, z)


def two_pieces(segmentation, ct) -> None:
    """Give Tumor 1 two connected components, each large enough for a lesion."""
    mask = np.zeros(ct.shape, bool)
    mask[1:4, 3:6, 8:12] = mask[6:9, 3:8, 9:13] = True
    set_mask(segmentation, "Tumor_1", ct.with_array(mask))


ACTIONS = {
    "add": lambda c, ct: c.add(),
    "delete": lambda c, ct: c.delete("Tumor_1"),
    "confirm": lambda c, ct: c.confirm("Tumor_1"),
    "reject": lambda c, ct: c.reject("Tumor_2"),
    "merge": lambda c, ct: c.merge(["Tumor_2", "Tumor_1"]),
    "split": lambda c, ct: c.split("Tumor_1"),
    "reset": lambda c, ct: c.reset("Tumor_1"),
    "reset all": lambda c, ct: c.reset_all(),
    "threshold": lambda c, ct: c.threshold("Tumor_1").preview(0.2),
    "grow": lambda c, ct: c.grow(center_of(ct, "Tumor 1"), "Tumor_1"),
    "grow new": lambda c, ct: (c.delete("Tumor_1"), c.grow(center_of(ct, "Tumor 1")))[1],
}


def _shifted(ct, name, by):
    return ct.with_array(np.roll(lung_and_tumor_masks(ct)[name].array, by, axis=(0, 1, 2)))


ONE_LESION = {
    "add": lambda c, ct, chosen, ids: set_mask(c._node, c.add(), _shifted(ct, "Tumor 1", (1, -2, -6))),
    "delete": lambda c, ct, chosen, ids: c.delete(chosen),
    "confirm": lambda c, ct, chosen, ids: c.confirm(chosen),
    "reject": lambda c, ct, chosen, ids: c.reject(chosen),
    "withdraw": lambda c, ct, chosen, ids: c.withdraw(chosen),
    "merge": lambda c, ct, chosen, ids: c.merge(ids[:2]),
    "split": lambda c, ct, chosen, ids: c.split(chosen),
    "reset": lambda c, ct, chosen, ids: c.reset(chosen),
    "reset all": lambda c, ct, chosen, ids: c.reset_all(),
    "threshold": lambda c, ct, chosen, ids: c.threshold(chosen).preview(0.3),
    "grow": lambda c, ct, chosen, ids: c.grow(center_of(ct, "Tumor 1"), chosen),
}
"""Actions on one of several lesions, chosen at random."""


def steps_of(action: str) -> int:
    """Return how often undo has to be called after an action."""
    return 2 if action == "grow new" else 1


def test_each_action_changes_something_and_undo_brings_all_of_it_back(corrections, segmentation, ct):
    two_pieces(segmentation, ct)
    before = state(segmentation, ct)
    for action, act in ACTIONS.items():
        act(corrections, ct)
        assert state(segmentation, ct) != before, action
        for _ in range(steps_of(action)):
            assert corrections.undo(), action
        assert state(segmentation, ct) == before, action


def test_each_action_is_refused_in_words_once_the_scene_is_closed(corrections, scene, ct):
    scene.Clear(0)
    for act in (*ACTIONS.values(), lambda corrections, _: corrections.undo()):
        with pytest.raises(ValueError, match="is no longer in the scene"):
            act(corrections, ct)


def test_a_scene_closed_while_a_threshold_is_being_tried_ends_it_in_words(corrections, scene):
    threshold = corrections.threshold("Tumor_1")
    threshold.preview(0.2)
    scene.Clear(0)
    with pytest.raises(ValueError, match="no longer in the scene"):
        threshold.preview(0.3)


def test_the_segment_editors_undo_tells_whether_it_took_a_step_back(slicer_app, ct, usual_results):
    node = add_volume(slicer.mrmlScene, ct, "CT")
    run = replace(read_run(usual_results), probability=probability_map(ct))
    segmentation = mrml.load_results(run, node)
    two_pieces(segmentation, ct)
    from LungTumorSegPanel.lesion_editor import LesionEditor

    editor = LesionEditor(types.SimpleNamespace(addWidget=lambda widget: None))
    editor.work_on(segmentation)
    corrections = Corrections(segmentation, editor)
    assert corrections.undo() is False
    before = state(segmentation, ct)
    for action, act in ACTIONS.items():
        act(corrections, ct)
        for _ in range(steps_of(action)):
            assert corrections.undo() is True, action
        assert state(segmentation, ct) == before, action
        assert corrections.undo() is False, action


def test_a_stroke_changes_the_state_of_a_segmentation(segmentation, ct):
    before = state_of(segmentation)
    assert state_of(segmentation) == before
    set_mask(segmentation, "Tumor_1", lung_and_tumor_masks(ct)["Tumor 2"])
    painted = state_of(segmentation)
    assert painted != before
    segmentation.GetSegmentation().GetSegment("Tumor_1").SetName("My mass")
    assert state_of(segmentation) != painted


def test_each_action_draws_the_views_once(slicer_app, ct, usual_results):
    run = replace(read_run(usual_results), probability=probability_map(ct))
    segmentation = mrml.load_results(run, add_volume(slicer.mrmlScene, ct, "CT"))
    two_pieces(segmentation, ct)
    corrections = Corrections(segmentation)
    for action, act in ACTIONS.items():
        before = slicer_app.drawing.count
        act(corrections, ct)
        assert slicer_app.drawing.count - before <= steps_of(action), action
        for _ in range(steps_of(action)):
            before = slicer_app.drawing.count
            corrections.undo()
            assert slicer_app.drawing.count - before <= 1, action


def test_nothing_to_undo_is_said(corrections):
    assert corrections.undo() is False


def test_actions_are_undone_one_after_the_other(corrections, segmentation, ct):
    states = [state(segmentation, ct)]
    for action in ("confirm", "merge", "add"):
        ACTIONS[action](corrections, ct)
        states.append(state(segmentation, ct))
    for expected in reversed(states[:-1]):
        assert corrections.undo()
        assert state(segmentation, ct) == expected


@pytest.mark.parametrize("seed", range(12))
def test_any_sequence_of_actions_can_be_undone_step_by_step(corrections, segmentation, ct, seed):
    rng = np.random.default_rng(seed)
    states = [state(segmentation, ct)]
    for _ in range(UNDO_STEPS - 1):
        ids = corrections.lesion_ids()
        chosen = ids[rng.integers(len(ids))] if ids else "none"
        action = list(ONE_LESION)[rng.integers(len(ONE_LESION))]
        try:
            ONE_LESION[action](corrections, ct, chosen, ids)
        except ValueError:  # refused with a message and without any change
            assert state(segmentation, ct) == states[-1], action
        else:
            now = state(segmentation, ct)
            states += [now] if now != states[-1] else []
    for later, expected in zip(reversed(states), reversed(states[:-1]), strict=False):
        while (now := state(segmentation, ct)) == later:  # an action without effect may be a separate step
            assert corrections.undo()
        assert now == expected


def test_an_added_lesion_is_empty_rightly_named_and_coded(corrections, segmentation):
    first, second = corrections.add(), corrections.add()
    segment = segmentation.GetSegmentation().GetSegment(second)
    assert [segmentation.GetSegmentation().GetSegment(i).GetName() for i in (first, second)] == ["Tumor 3", "Tumor 4"]
    assert segment.GetTerminology() == terminology.TUMOR[None]
    assert mask_of(segmentation.GetSegmentation(), second) is None


def test_the_number_of_a_deleted_lesion_is_not_given_again(corrections, segmentation):
    corrections.delete("Tumor_2")
    assert segmentation.GetSegmentation().GetSegment(corrections.add()).GetName() == "Tumor 3"


def test_deleting_gives_back_to_the_lung_what_was_painted_over_it(corrections, segmentation, ct):
    lung = lung_and_tumor_masks(ct)["Left lung"].array
    painted = lung_and_tumor_masks(ct)["Tumor 1"].array.copy()
    painted[3:6, 6:8, 9:12] = True
    set_mask(segmentation, "Tumor_1", ct.with_array(painted))
    set_mask(segmentation, "Left_lung", ct.with_array(lung & ~painted))
    corrections.delete("Tumor_1")
    tumor = lung_and_tumor_masks(ct)["Tumor 1"].array  # surrounded by the lung
    np.testing.assert_array_equal(voxels(segmentation, ct, "Left_lung"), lung | tumor)


def test_a_deleted_lesion_outside_the_lungs_leaves_them_as_they_are(corrections, segmentation, ct):
    masks = lung_and_tumor_masks(ct)
    wall = np.zeros(ct.shape, bool)
    wall[3:6, 0:2, 9:12] = True  # in front of the left lung, and touching it
    set_mask(segmentation, "Tumor_2", ct.with_array(wall))
    corrections.delete("Tumor_2")
    for name in ("Left lung", "Right lung"):
        np.testing.assert_array_equal(voxels(segmentation, ct, name.replace(" ", "_")), masks[name].array)


def test_merging_keeps_the_larger_lesion_with_all_voxels(corrections, segmentation, ct):
    masks = lung_and_tumor_masks(ct)
    segmentation.GetSegmentation().GetSegment("Tumor_1").SetName("My mass")
    assert corrections.merge(["Tumor_2", "Tumor_1"]) == "Tumor_1"
    np.testing.assert_array_equal(voxels(segmentation, ct, "Tumor_1"), masks["Tumor 1"].array | masks["Tumor 2"].array)
    assert segmentation.GetSegmentation().GetSegment("Tumor_2") is None
    assert segmentation.GetSegmentation().GetSegment("Tumor_1").GetName() == "My mass"


@pytest.mark.parametrize("ids", [["Tumor_1"], ["Tumor_1", "Tumor_1"]])
def test_merging_needs_two_lesions(corrections, ids):
    with pytest.raises(ValueError, match="Choose two lesions"):
        corrections.merge(ids)


def test_splitting_makes_a_lesion_of_each_piece_with_the_same_code(corrections, segmentation, ct):
    two_pieces(segmentation, ct)
    ids = corrections.split("Tumor_1")
    assert [segmentation.GetSegmentation().GetSegment(i).GetName() for i in ids] == ["Tumor 1", "Tumor 3"]
    sizes = [np.count_nonzero(voxels(segmentation, ct, i)) for i in ids]
    assert sizes == [60, 36]
    assert segmentation.GetSegmentation().GetSegment(ids[1]).GetTerminology() == terminology.TUMOR["Left"]


def test_a_lesion_in_one_piece_cannot_be_split(corrections, segmentation, ct):
    before = state(segmentation, ct)
    with pytest.raises(ValueError, match="in one piece"):
        corrections.split("Tumor_1")
    with pytest.raises(ValueError, match="in one piece"):
        corrections.split(corrections.add())
    assert corrections.undo()
    assert state(segmentation, ct) == before


@pytest.mark.parametrize("how", ["painted", "emptied", "deleted"])
def test_resetting_one_lesion_brings_the_networks_voxels_back_and_leaves_the_others(corrections, segmentation, ct, how):
    masks = lung_and_tumor_masks(ct)
    set_mask(segmentation, "Tumor_2", ct.with_array(masks["Tumor 2"].array | (np.arange(10) == 0)[:, None, None]))
    other = voxels(segmentation, ct, "Tumor_2")
    if how == "deleted":
        corrections.delete("Tumor_1")
    else:
        set_mask(
            segmentation,
            "Tumor_1",
            None if how == "emptied" else ct.with_array(np.roll(masks["Tumor 1"].array, 2, axis=1)),
        )
        segmentation.GetSegmentation().GetSegment("Tumor_1").SetName("My mass")
    corrections.reset("Tumor_1")
    np.testing.assert_array_equal(voxels(segmentation, ct, "Tumor_1"), masks["Tumor 1"].array)
    np.testing.assert_array_equal(voxels(segmentation, ct, "Tumor_2"), other)
    assert segmentation.GetSegmentation().GetSegment("Tumor_1").GetName() == (
        "Tumor 1" if how == "deleted" else "My mass"
    )


def test_resetting_all_brings_the_run_back_and_keeps_what_is_the_users_own(corrections, segmentation, ct):
    content = segmentation.GetSegmentation()
    content.AddEmptySegment("Body", "Body")
    set_mask(segmentation, "Body", ct.with_array(np.ones(ct.shape, bool)))
    content.GetSegment("Tumor_1").SetName("My mass")
    content.GetSegment("Tumor_1").SetColor(0, 0, 1)
    corrections.delete("Tumor_2")
    set_mask(
        segmentation, corrections.add(), ct.with_array(np.roll(lung_and_tumor_masks(ct)["Tumor 1"].array, 2, axis=1))
    )
    corrections.reset_all()
    assert sorted(segment.GetName() for _, segment in segments_of(content)) == [
        "Body",
        "Left lung",
        "My mass",
        "Right lung",
        "Tumor 2",
    ]
    assert content.GetSegment("Tumor_1").GetColor() == (0, 0, 1)
    for name in NAMES:
        np.testing.assert_array_equal(
            voxels(segmentation, ct, name.replace(" ", "_")), lung_and_tumor_masks(ct)[name].array
        )


def test_without_the_networks_answer_there_is_nothing_to_go_back_to(corrections, segmentation, scene):
    assert corrections.has_original("Tumor_1")
    assert not corrections.has_original(corrections.add())
    scene.RemoveNode(segmentation.GetNodeReference("LungTumorSeg.Answer"))
    assert not corrections.has_original()
    for reset in (lambda: corrections.reset("Tumor_1"), corrections.reset_all):
        with pytest.raises(ValueError, match="nothing can be reset"):
            reset()


def test_a_rejected_lesion_is_hidden_and_shown_again_when_that_is_withdrawn(corrections, segmentation):
    display = segmentation.GetDisplayNode()
    corrections.reject("Tumor_1")
    assert not display.GetSegmentVisibility("Tumor_1")
    corrections.withdraw("Tumor_1")
    assert display.GetSegmentVisibility("Tumor_1")


def test_a_threshold_is_previewed_from_the_networks_outline_and_undone_as_one_step(
    corrections, segmentation, ct, probability
):
    before = state(segmentation, ct)
    threshold = corrections.threshold("Tumor_1")
    for value in (0.8, 0.3, 0.5):
        threshold.preview(value)
        np.testing.assert_array_equal(voxels(segmentation, ct, "Tumor_1"), probability.array >= value)
    assert corrections.undo()
    assert state(segmentation, ct) == before


def test_growing_adds_to_a_lesion_and_leaves_the_others_alone(corrections, segmentation, ct, probability):
    tumor_1, tumor_2 = (lung_and_tumor_masks(ct)[name].array for name in ("Tumor 1", "Tumor 2"))
    with pytest.raises(ValueError, match="lies in another lesion"):
        corrections.grow(center_of(ct, "Tumor 1"), "Tumor_2")
    free = np.where(tumor_1, 0, probability.array)
    x, y, z = ct.index_to_lps((4, 6, 10))  # just behind tumor 1
    corrections.grow((-x, -y, z), "Tumor_2")
    np.testing.assert_array_equal(voxels(segmentation, ct, "Tumor_2"), tumor_2 | (free >= free.max() / 2))


def test_growing_without_a_lesion_fills_the_one_that_was_added_last(corrections, segmentation, ct, probability):
    corrections.delete("Tumor_1")
    first, second = corrections.add(), corrections.add()
    assert [corrections.is_empty_lesion(i) for i in (first, second, "Tumor_2", "Left_lung")] == [
        True,
        True,
        False,
        False,
    ]
    assert corrections.grow(center_of(ct, "Tumor 1")) == second
    assert corrections.lesion_ids() == ["Tumor_2", first, second]
    assert not corrections.is_empty_lesion(second)


def test_growing_goes_over_what_was_rejected(corrections, segmentation, ct, probability):
    corrections.reject("Tumor_1")
    grown = corrections.grow(center_of(ct, "Tumor 1"))
    np.testing.assert_array_equal(voxels(segmentation, ct, grown), probability.array >= probability.array.max() / 2)
    np.testing.assert_array_equal(voxels(segmentation, ct, "Tumor_1"), lung_and_tumor_masks(ct)["Tumor 1"].array)


def test_a_point_is_taken_where_the_parent_transform_has_it(corrections, segmentation, scene, ct, probability):
    from .test_mrml import a_transform

    transform = a_transform(scene)
    segmentation.SetAndObserveTransformNodeID(transform.GetID())
    world = transform.GetTransformToParent().TransformPoint(center_of(ct, "Tumor 1"))
    corrections.delete("Tumor_1")
    grown = corrections.grow(world)
    np.testing.assert_array_equal(voxels(segmentation, ct, grown), probability.array >= probability.array.max() / 2)


def test_without_a_probability_map_the_quick_tools_say_so(corrections, segmentation, scene):
    assert corrections.has_probability()
    scene.RemoveNode(segmentation.GetNodeReference(mrml.PROBABILITY_ROLE))
    assert not corrections.has_probability()
    for use in (lambda: corrections.threshold("Tumor_1"), lambda: corrections.grow((0, 0, 0))):
        with pytest.raises(ValueError, match="probability map of this result is not in the scene"):
            use()


def test_a_lesion_that_is_gone_is_said(corrections):
    corrections.delete("Tumor_1")
    for action in ("confirm", "merge", "split", "threshold"):
        with pytest.raises(ValueError, match="no longer in the segmentation"):
            ACTIONS[action](corrections, None)


def test_a_new_run_never_replaces_what_a_person_has_said(corrections, segmentation):
    assert not mrml.is_edited(segmentation)
    corrections.confirm("Tumor_1")
    assert mrml.is_edited(segmentation)


# The table


@pytest.fixture
def live(segmentation):
    table = LiveTable(segmentation)
    yield table
    table.close()


def test_the_table_says_what_was_done_and_the_volume_before(live, corrections, segmentation, ct):
    two_pieces(segmentation, ct)
    corrections.confirm("Tumor_2")
    live.measure_now()
    first, second = mrml.lesions_of(segmentation)
    assert (first.segment_id, first.correction, first.review) == ("Tumor_1", "corrected", "")
    assert first.volume_ml == pytest.approx(96 * ct.voxel_volume_ml)
    assert first.network_volume_ml == pytest.approx(18 * ct.voxel_volume_ml)
    assert (second.correction, second.review, second.confidence) == ("", "confirmed", 0.4)
    assert mrml.summary_of(segmentation)["spread"]["count"] == 2


def test_measuring_gets_on_while_slicers_event_loop_is_idle(live, segmentation, ct):
    began = time.monotonic()
    live.measure_now()
    alone = time.monotonic() - began
    two_pieces(segmentation, ct)
    live.update()
    looks = 0
    while live.busy:
        live.poll()
        event_loop.idle(POLL_MILLISECONDS / 1000)
        looks += 1
        assert looks < 100 + 20 * alone / TURN_SECONDS, "the thread stands still"
    assert mrml.lesions_of(segmentation)[0].volume_ml == pytest.approx(96 * ct.voxel_volume_ml)


def test_a_look_at_finished_measures_does_not_wait(live, monkeypatch):
    live.measure_now()
    monkeypatch.setattr("LungTumorSegLib.mrml.live_table.time.sleep", pytest.fail)
    for _ in range(20):
        assert live.poll() is None


def test_what_is_not_measured_yet_stays_as_it_was(segmentation):
    before = mrml.lesions_of(segmentation)
    summary = mrml.summary_of(segmentation)
    assert [row.side for row in before] == ["Left", "Right"]
    rows = [row | {"side": None, "volume_ml": 2 * row["volume_ml"]} for row in stored_rows(segmentation)]
    spread = {"burden_ml": 10.0, "burden_percent": None, "lung_ml": None, "places": []}
    store_measures(segmentation, Measures(rows, spread, complete=False))
    assert [row.side for row in mrml.lesions_of(segmentation)] == ["Left", "Right"]
    assert [row.volume_ml for row in mrml.lesions_of(segmentation)] == [2 * row.volume_ml for row in before]
    assert mrml.summary_of(segmentation)["spread"]["burden_percent"] == summary["spread"]["burden_percent"]
    store_measures(segmentation, Measures(rows, spread | {"lung_ml": 4000.0}, complete=False))
    store_measures(segmentation, Measures(rows, spread, complete=False))
    assert mrml.summary_of(segmentation)["spread"]["burden_percent"] == pytest.approx(0.25), "of the lungs as they were"
    store_measures(segmentation, Measures(rows, spread, warnings=("No spine.",)))
    assert mrml.summary_of(segmentation)["warnings"] == [*summary["warnings"], "No spine."]
    store_measures(segmentation, Measures(rows, spread, complete=False))
    assert mrml.summary_of(segmentation)["warnings"] == [*summary["warnings"], "No spine."]
    store_measures(segmentation, Measures(rows, spread))
    assert mrml.summary_of(segmentation)["warnings"] == summary["warnings"]
    assert [row.side for row in mrml.lesions_of(segmentation)] == ["", ""], "known to have none"
    assert mrml.summary_of(segmentation)["spread"]["burden_percent"] is None


def test_a_painted_lesion_gets_the_code_of_its_side(live, corrections, segmentation, ct):
    added = corrections.add()
    mask = np.zeros(ct.shape, bool)
    mask[2:4, 3:5, 2:4] = True
    set_mask(segmentation, added, ct.with_array(mask))
    live.measure_now()
    assert segmentation.GetSegmentation().GetSegment(added).GetTerminology() == terminology.TUMOR["Right"]
    row = next(row for row in mrml.lesions_of(segmentation) if row.segment_id == added)
    assert (row.correction, row.side) == ("added", "Right")
    assert row.confidence != row.confidence, "the network has not seen it"


def test_removed_and_rejected_lesions_stand_in_the_summary_alone(live, corrections, segmentation, tmp_path):
    import csv
    import json
    from importlib import resources

    from jsonschema import validate

    corrections.reject("Tumor_1")
    corrections.delete("Tumor_2")
    live.measure_now()
    assert [row.review for row in mrml.lesions_of(segmentation)] == ["rejected"]
    _, table, summary = mrml.save_results(segmentation, tmp_path / "out")
    assert list(csv.DictReader(table.read_text().splitlines())) == []
    saved = json.loads(summary.read_text())
    assert (saved["lesions"], saved["spread"]["count"]) == ([], 0)
    assert [row["segment"] for row in saved["rejected"]] == ["Tumor 1"]
    assert [row["segment"] for row in saved["removed"]] == ["Tumor 1", "Tumor 2"]
    schema = json.loads(
        (resources.files("LungTumorSegLib.results") / "summary.schema.json").read_text(encoding="utf-8")
    )
    for part in ("rejected", "removed"):
        validate(saved[part], schema["properties"][part])


@pytest.mark.parametrize("gone", ["ct", "scene"])
def test_without_the_ct_nothing_is_measured_and_it_is_said(live, segmentation, scene, ct_node, gone):
    live.update()
    scene.RemoveNode(ct_node) if gone == "ct" else scene.Clear(0)
    live.update()
    assert not live.busy
    assert "The CT of this segmentation is not in the scene" in live.poll().problem
    assert live.poll() is None
    with pytest.raises(ValueError, match="CT of this segmentation is not in the scene"):
        live.measure_now()


def test_the_numbers_are_those_of_the_command_line_on_the_saved_file(
    live, segmentation, ct, ct_node, tmp_path, corrections
):
    from LungTumorSegLib.core.volume import CTVolume
    from LungTumorSegLib.io.segmentations import read_segmentation
    from LungTumorSegLib.lesions import lesions_as_json, measure

    two_pieces(segmentation, ct)
    corrections.split("Tumor_1")
    corrections.reject("Tumor_2")
    measures = live.measure_now()
    path, *_ = mrml.save_results(segmentation, tmp_path / "out")
    report = measure(CTVolume(ct.array, ct.affine), read_segmentation(path))
    shown = [row for row in measures.rows if row["review"] != "rejected"]
    assert len(shown) == len(report.lesions) == 2
    assert [row["number"] for row in shown] == [1, 3], "those of the segments"
    for row, expected in zip(shown, lesions_as_json(report), strict=True):
        for name, value in expected.items():
            if name not in ("confidence", "volume_p5_ml", "volume_p95_ml"):
                if isinstance(value, float | list):
                    np.testing.assert_allclose(
                        row[name], value, rtol=1e-5, atol=1e-5, err_msg=name
                    )  # geometry of the file
                else:
                    assert row[name] == value, name
