"""Measures that follow edits: the same numbers as measuring everything again."""

import numpy as np
import pytest
from chests import block, make_chest
from LungTumorSegLib.core.terminology import LEFT_LUNG, RIGHT_LUNG, TUMOR
from LungTumorSegLib.correction.layers import SegmentMasks
from LungTumorSegLib.correction.live import LiveMeasurement, LiveSegment
from LungTumorSegLib.correction.snapshot import Layer
from LungTumorSegLib.io.segment import Segment
from LungTumorSegLib.lesions import lesion as lesion_module
from LungTumorSegLib.lesions import measure
from LungTumorSegLib.lesions.location import LungAnatomy
from LungTumorSegLib.lesions.lungs import FoundLungs, find_lungs
from volumes import ORIENTATIONS

SHAPE = (30, 40, 60)
IDS = {
    "left": ("Left lung", LEFT_LUNG),
    "right": ("Right lung", RIGHT_LUNG),
    "t1": ("Tumor 1", TUMOR["Left"]),
    "t2": ("Tumor 2", TUMOR["Right"]),
    "t3": ("Growth", ""),
}
FIRST = {
    "t1": block(SHAPE, (10, 10, 40), (14, 15, 46)),
    "t2": block(SHAPE, (12, 20, 10), (15, 24, 13)),
    "t3": block(SHAPE, (20, 5, 20), (22, 9, 26)),
}


class Edited:
    """A segmentation under edits, followed live, that can be measured as a whole too."""

    def __init__(self, order=None, reviews=None) -> None:
        chest = make_chest(turn_degrees=(14, -9, 25))
        rng = np.random.default_rng(3)
        chest.ct.array[:] += rng.normal(0, 20, SHAPE).astype(np.float32)
        self.chest = chest if order is None else chest.reordered(order)
        volumes = {name: chest.tumor.with_array(mask.copy()) for name, mask in FIRST.items()}
        self.masks = {
            name: (volume if order is None else order.apply(volume)).array for name, volume in volumes.items()
        }
        self.reviews = reviews or {}
        self.segment_masks = SegmentMasks(self.chest.ct.grid)
        self.live = LiveMeasurement(self.segment_masks.order.apply(self.chest.ct))

    def all_masks(self):
        tumors = np.any(list(self.masks.values()), axis=0)
        return {
            "left": self.chest.left_lung.array & ~tumors,
            "right": self.chest.right_lung.array & ~tumors,
            **self.masks,
        }

    def steps(self):
        masks = self.all_masks()
        layers = [Layer(self.chest.tumor.with_array(mask.astype(np.uint8)), {name: 1}) for name, mask in masks.items()]
        crops = self.segment_masks.update(layers)
        segments = [LiveSegment(i, *IDS[i], crop, self.reviews.get(i, "")) for i, crop in crops.items()]
        return list(self.live.update(segments))

    def segments(self):
        return [
            Segment(IDS[i][0], self.chest.tumor.with_array(mask), (0, 0, 0), IDS[i][1], i, self.reviews.get(i, ""))
            for i, mask in self.all_masks().items()
        ]

    def measured(self, **options):
        return measure(self.chest.ct, self.segments(), **options)


def agree(edited) -> None:
    *_, last = edited.steps()
    expected = edited.measured()
    assert last.complete
    assert last.lesions == expected.lesions
    assert last.spread == expected.spread


@pytest.mark.parametrize("order", [None, *ORIENTATIONS[7::13]], ids=str)
def test_the_numbers_are_those_of_measuring_everything(order):
    agree(Edited(order))


def test_after_random_edits_the_numbers_are_those_of_measuring_everything():
    edited, rng = Edited(), np.random.default_rng(11)
    for _ in range(5):
        name = rng.choice(list(FIRST))
        start = rng.integers(2, np.subtract(SHAPE, 10))
        edited.masks[name][tuple(slice(a, a + int(n)) for a, n in zip(start, rng.integers(1, 8, 3), strict=True))] = (
            rng.random() < 0.7
        )
        agree(edited)


def test_an_edit_beyond_the_lung_moves_the_pleura_of_the_other_lesions_too():
    edited = Edited()
    before = edited.steps()[-1]
    edited.masks["t3"][4:22, 0:9, 30:56] = True  # fills the chest wall in front of tumor 1
    agree(edited)
    after = edited.steps()[-1]
    distances = [report.lesions[report.ids.index("t1")].location.pleura.distance_mm for report in (before, after)]
    assert distances[0] < distances[1]


def test_the_doubts_about_the_lungs_are_those_of_measure():
    edited = Edited()
    assert edited.steps()[-1].warnings == ()
    edited.masks["t3"][3:27, 5:35, 2:28] = True  # fills most of one lung
    warnings = edited.steps()[-1].warnings
    assert warnings == find_lungs(edited.chest.ct, edited.segments()).warnings
    assert "the right lung 0 mL" in warnings[0]


def test_without_lungs_in_the_segmentation_the_doubts_are_those_of_the_isolation(monkeypatch):
    doubtful = FoundLungs(None, ("LungTumorSeg found no spine.",))
    monkeypatch.setattr("LungTumorSegLib.correction.live.find_lungs", lambda ct, segments: doubtful)
    edited = Edited()
    monkeypatch.setattr(edited, "all_masks", lambda: edited.masks)
    reports = edited.steps()
    assert reports[-1].warnings == doubtful.warnings
    assert edited.steps()[0].warnings == doubtful.warnings, "they stay while the next edit is measured"


def test_the_volume_comes_first_then_the_shape_then_the_place():
    edited = Edited()
    first, *_, before = edited.steps()
    assert all(x.location is None for x in first.lesions)
    edited.masks["t2"][5:8, 20:24, 10:13] = True
    first, second, *_, last = edited.steps()
    at = last.ids.index("t2")
    volumes, shapes, places = (
        [getattr(r.lesions[r.ids.index("t2")], name) for r in (before, first, second, last)]
        for name in ("volume_ml", "shape", "location")
    )
    assert volumes[0] < volumes[1] == volumes[2] == volumes[3]
    assert shapes[0] == shapes[1] != shapes[2] == shapes[3]
    assert places[0] == places[1] == places[2] != places[3]
    assert [r.complete for r in (first, second, last)] == [False, False, True]
    assert last.lesions == edited.measured().lesions
    assert last.lesions[at].volume_ml == volumes[1]


def test_only_the_edited_lesion_is_measured_anew(monkeypatch):
    edited, measured = Edited(), []
    edited.steps()
    original = lesion_module.shape_of
    monkeypatch.setattr(
        lesion_module, "shape_of", lambda mask: measured.append(np.count_nonzero(mask.array)) or original(mask)
    )
    edited.masks["t1"][14:16, 10:15, 40:46] = True
    edited.steps()
    assert measured == [np.count_nonzero(edited.masks["t1"])]


def test_an_edit_within_the_lung_locates_the_edited_lesion_alone(monkeypatch):
    edited, located = Edited(), []
    edited.steps()
    original = LungAnatomy.location_of
    monkeypatch.setattr(
        LungAnatomy,
        "location_of",
        lambda anatomy, lesion, side: located.append(lesion.box) or original(anatomy, lesion, side),
    )
    edited.masks["t1"][14:16, 10:15, 40:46] = True
    agree_without_measure = edited.steps()[-1]
    assert agree_without_measure.complete
    assert located == [((10, 10, 40), (16, 15, 46))]


def test_an_abandoned_update_is_made_good_by_the_next():
    edited = Edited()
    edited.steps()
    edited.masks["t1"][14:16, 10:15, 40:46] = True
    masks = edited.all_masks()
    crops = edited.segment_masks.update(
        [Layer(edited.chest.tumor.with_array(m.astype(np.uint8)), {i: 1}) for i, m in masks.items()]
    )
    next(edited.live.update([LiveSegment(i, *IDS[i], crop) for i, crop in crops.items()]))
    edited.masks["t2"][5:8, 20:24, 10:13] = True
    agree(edited)


def test_a_rejected_lesion_is_none_until_it_is_one_again():
    edited = Edited(reviews={"t1": "rejected", "t2": "confirmed"})
    agree(edited)
    assert [x.segment for x in edited.steps()[-1].lesions] == ["Growth", "Tumor 2"]
    edited.reviews = {}
    agree(edited)
    assert len(edited.steps()[-1].lesions) == 3


def test_the_carina_is_looked_for_once_and_measured_from(monkeypatch):
    from LungTumorSegLib.correction import live

    asked = []
    edited = Edited()
    carina = tuple(edited.chest.ct.index_to_lps((15, 20, 26)).tolist())
    monkeypatch.setattr(live, "carina_of", lambda ct: asked.append(ct.shape) or carina)
    edited.steps()
    edited.masks["t3"][4:22, 0:9, 30:56] = True
    *_, last = edited.steps()
    assert last.lesions == edited.measured(carina_lps=carina).lesions
    assert asked == [SHAPE]


def test_without_any_lesion_there_is_an_empty_report():
    edited = Edited()
    edited.masks = {name: np.zeros(SHAPE, bool) for name in FIRST}
    (report,) = edited.steps()
    assert report.complete
    assert report.lesions == ()
    assert report.spread == edited.measured().spread


def without_lungs(edited):
    layers = [Layer(edited.chest.tumor.with_array(mask.astype(np.uint8)), {i: 1}) for i, mask in edited.masks.items()]
    crops = edited.segment_masks.update(layers)
    return list(edited.live.update([LiveSegment(i, *IDS[i], crop) for i, crop in crops.items()]))


def test_without_drawn_lungs_and_with_too_little_lung_in_view_lesions_have_no_place():
    *_, report = without_lungs(Edited())
    assert report.complete
    assert [x.location for x in report.lesions] == [None] * 3
    assert [x.side_from_dominant for x in report.lesions] == [None] * 3


def test_lungs_that_nobody_has_drawn_are_isolated_once(monkeypatch):
    from LungTumorSegLib.correction import live

    edited, asked = Edited(), []

    def isolated(ct, segments):
        asked.append(ct)
        return FoundLungs((edited.chest.left_lung, edited.chest.right_lung))

    monkeypatch.setattr(live, "find_lungs", isolated)
    monkeypatch.setattr(live, "carina_of", lambda ct: None)  # given lungs, measure does not get one either
    without_lungs(edited)
    edited.masks["t1"][14:16, 10:15, 40:46] = True
    *_, report = without_lungs(edited)
    segments = [
        Segment(IDS[i][0], edited.chest.tumor.with_array(mask), (0, 0, 0), IDS[i][1], i)
        for i, mask in edited.masks.items()
    ]
    assert (
        report.lesions
        == measure(edited.chest.ct, segments, lungs=(edited.chest.left_lung, edited.chest.right_lung)).lesions
    )
    assert len(asked) == 1
