"""Measuring in a thread: rows with what was corrected, the newest edit first, and an end in every case."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from chests import block, make_chest
from LungTumorSegLib.core.terminology import LEFT_LUNG, RIGHT_LUNG, TUMOR
from LungTumorSegLib.correction import remeasuring
from LungTumorSegLib.correction.measuring import SnapshotMeasurement
from LungTumorSegLib.correction.remeasuring import Remeasuring
from LungTumorSegLib.correction.snapshot import Layer, SegmentInfo, Snapshot
from LungTumorSegLib.io.segment import Segment
from LungTumorSegLib.lesions import lesions_as_json, measure, spread_as_json

SHAPE = (30, 40, 60)
CHEST = make_chest()
NAMES = {
    "left": ("Left lung", LEFT_LUNG),
    "right": ("Right lung", RIGHT_LUNG),
    "t1": ("Tumor 1", TUMOR["Left"]),
    "t2": ("Tumor 2", TUMOR["Right"]),
    "new": ("Tumor 3", TUMOR[None]),
}
T1, T2, NEW = (
    block(SHAPE, (10, 10, 40), (14, 15, 46)),
    block(SHAPE, (12, 20, 10), (15, 24, 13)),
    block(SHAPE, (20, 20, 40), (22, 22, 42)),
)
VOXEL_ML = 2.5 * 0.8 * 0.7 / 1000
NETWORK = {
    "t1": {"volume_ml": 0.168, "confidence": 0.8, "volume_p5_ml": 0.1, "volume_p95_ml": 0.2},
    "t2": {"volume_ml": 0.0504, "confidence": 0.4},
}
PATIENCE_SECONDS = 60.0


def layers(**masks) -> list[Layer]:
    masks = {"left": CHEST.left_lung.array, "right": CHEST.right_lung.array, **masks}
    return [Layer(CHEST.tumor.with_array(mask.astype(np.uint8)), {name: 1}) for name, mask in masks.items()]


ANSWER = layers(t1=T1, t2=T2)


def snapshot(reviews=None, answer=ANSWER, **masks) -> Snapshot:
    infos = [SegmentInfo(i, *NAMES[i], (reviews or {}).get(i, "")) for i in ("left", "right", *masks)]
    return Snapshot(layers(**masks), infos, answer, NETWORK)


def measured(taken: Snapshot):
    *_, last = SnapshotMeasurement(CHEST.ct).measure(taken)
    return last


def poll_until(remeasuring_, condition):
    seen = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition(seen):
        assert time.monotonic() < deadline, "waited in vain"
        known = remeasuring_.poll()
        seen += [known] if known is not None else []
        time.sleep(0.005)
    return seen


def is_complete(seen) -> bool:
    return bool(seen) and seen[-1].complete


def test_the_rows_are_those_of_measure_and_more_is_appended():
    found = measured(snapshot(t1=T1, t2=T2, new=NEW))
    segments = [
        Segment(NAMES[i][0], CHEST.tumor.with_array(mask), (0, 0, 0), NAMES[i][1], i)
        for i, mask in (
            ("left", CHEST.left_lung.array),
            ("right", CHEST.right_lung.array),
            ("t1", T1),
            ("t2", T2),
            ("new", NEW),
        )
    ]
    report = measure(CHEST.ct, segments)
    own = ("correction", "review", "network_volume_ml", "segment_id")
    network = ("confidence", "volume_p5_ml", "volume_p95_ml")
    for row, expected in zip(found.rows, lesions_as_json(report), strict=True):
        assert {k: v for k, v in row.items() if k not in (*own, *network)} == {
            k: v for k, v in expected.items() if k not in network
        }
        assert tuple(row)[-4:] == own
    assert found.spread == spread_as_json(report)


def test_each_row_says_what_was_done_to_the_lesion_and_its_volume_before():
    larger = T1 | block(SHAPE, (14, 10, 40), (16, 15, 46))
    rows = {row["segment_id"]: row for row in measured(snapshot({"t2": "confirmed"}, t1=larger, t2=T2, new=NEW)).rows}
    assert [rows[i]["correction"] for i in ("t1", "t2", "new")] == ["corrected", "", "added"]
    assert [rows[i]["review"] for i in ("t1", "t2", "new")] == ["", "confirmed", ""]
    assert rows["t1"]["network_volume_ml"] == pytest.approx(120 * VOXEL_ML)
    assert rows["t1"]["volume_ml"] == pytest.approx(180 * VOXEL_ML)
    assert rows["new"]["network_volume_ml"] is None


def test_a_piece_that_was_split_off_was_found_by_the_network_but_has_no_volume_before():
    rows = {
        row["segment_id"]: row
        for row in measured(
            snapshot(t1=block(SHAPE, (10, 10, 40), (12, 15, 46)), t2=T2, new=block(SHAPE, (13, 10, 40), (14, 15, 46)))
        ).rows
    }
    assert (rows["new"]["correction"], rows["new"]["network_volume_ml"]) == ("corrected", None)


def test_confidence_stays_the_networks_and_its_volume_range_goes_with_its_outline():
    before = measured(snapshot(t1=T1, t2=T2)).rows[0]
    after = measured(snapshot(t1=T1 | T2, new=NEW)).rows[0]
    assert (before["confidence"], before["volume_p5_ml"], before["volume_p95_ml"]) == (0.8, 0.1, 0.2)
    assert (after["confidence"], after["volume_p5_ml"], after["volume_p95_ml"]) == (0.8, None, None)


def test_what_is_drawn_where_the_network_found_nothing_is_added():
    taken = snapshot(answer=layers(), new=NEW)
    (row,) = measured(Snapshot(taken.layers, taken.segments, taken.answer, {})).rows
    assert row["correction"] == "added"


def test_without_the_networks_answer_nothing_is_called_corrected():
    assert [row["correction"] for row in measured(snapshot(answer=(), t1=NEW, t2=T2)).rows] == ["", ""]


@pytest.mark.parametrize("how", ["deleted", "erased", "rejected"])
def test_what_was_removed_is_known(how):
    taken = {
        "deleted": snapshot(t1=T1),
        "erased": snapshot(t1=T1, t2=T2 & False),
        "rejected": snapshot({"t2": "rejected"}, t1=T1, t2=T2),
    }
    found = measured(taken[how])
    assert found.removed == ["t2"]
    assert found.spread["count"] == 1
    assert [row["review"] for row in found.rows] == (["", "rejected"] if how == "rejected" else [""])


def test_a_rejected_lesion_keeps_its_volume_and_its_number_and_has_no_place():
    rows = measured(snapshot({"t1": "rejected"}, t1=T1, t2=T2)).rows
    assert [(row["number"], row["segment"]) for row in rows] == [(1, "Tumor 1"), (2, "Tumor 2")]
    assert rows[0]["volume_ml"] == pytest.approx(120 * VOXEL_ML)
    assert rows[0]["side"] is None


def test_numbers_and_order_stay_when_another_lesion_becomes_the_largest():
    rows = measured(snapshot(t1=NEW, t2=T1)).rows
    assert rows[0]["volume_ml"] < rows[1]["volume_ml"]
    assert [(row["number"], row["segment"]) for row in rows] == [(1, "Tumor 1"), (2, "Tumor 2")]
    assert [row["number"] for row in measured(snapshot(t2=T1, new=NEW)).rows] == [2, 3], "of a deleted lesion, too"


@pytest.fixture
def thread():
    made = Remeasuring(CHEST.ct)
    yield made
    made.close()


def test_the_thread_gives_ever_more_complete_measures(thread):
    assert not thread.busy
    thread.submit(snapshot(t1=T1, t2=T2))
    assert thread.busy
    poll_until(thread, is_complete)
    assert not thread.busy
    assert thread.poll() is None


def test_an_older_edit_is_given_up_for_the_newest(thread, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    measure_all = SnapshotMeasurement.measure

    def slowly(self, taken):
        begun.set()
        for measures in measure_all(self, taken):
            assert go_on.wait(PATIENCE_SECONDS)
            yield measures

    monkeypatch.setattr(SnapshotMeasurement, "measure", slowly)
    thread.submit(snapshot(t1=T1, t2=T2))
    assert begun.wait(PATIENCE_SECONDS)
    thread.submit(snapshot(t1=T1))
    thread.submit(snapshot(new=NEW))
    go_on.set()
    seen = poll_until(thread, is_complete)
    assert {tuple(row["segment"] for row in measures.rows) for measures in seen} == {("Tumor 3",)}


def test_a_segmentation_of_another_grid_is_a_sentence_and_the_next_is_measured(thread):
    other = make_chest(spacing=(2.5, 0.8, 0.9))
    bad = Snapshot([Layer(other.tumor.with_array(T1.astype(np.uint8)), {"t1": 1})], [SegmentInfo("t1", *NAMES["t1"])])
    thread.submit(bad)
    assert "does not lie on the CT's voxels" in poll_until(thread, is_complete)[-1].problem
    thread.submit(snapshot(t1=T1))
    assert poll_until(thread, is_complete)[-1].rows[0]["segment"] == "Tumor 1"


def test_an_unexpected_failure_is_reported_and_the_thread_lives_on(thread, monkeypatch):
    def fail(self, taken):
        raise KeyError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(SnapshotMeasurement, "measure", fail)
        thread.submit(snapshot(t1=T1))
        assert poll_until(thread, is_complete)[-1].problem == remeasuring.UNEXPECTED
    thread.submit(snapshot(t1=T1))
    assert poll_until(thread, is_complete)[-1].rows


def test_after_close_nothing_comes_and_the_thread_ends():
    before = set(threading.enumerate())
    made = Remeasuring(CHEST.ct)
    (own,) = set(threading.enumerate()) - before
    made.submit(snapshot(t1=T1, t2=T2))
    made.close()
    own.join(PATIENCE_SECONDS)
    assert not own.is_alive()
    assert made.poll() is None
    assert not made.busy


def test_measuring_needs_no_torch_and_the_window_no_scipy_before_it():
    script = "import sys; sys.modules['{}'] = None; import LungTumorSegLib.correction.{}"
    for blocked, module in (("torch", "measuring"), ("scipy", "remeasuring")):
        subprocess.run([sys.executable, "-c", script.format(blocked, module)], check=True)
