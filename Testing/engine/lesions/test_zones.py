"""Zones: thirds of each lung's height."""

import numpy as np
import pytest
from chests import block, make_chest
from LungTumorSegLib.core.selection import is_lesion
from LungTumorSegLib.lesions import lung_zones, report_lesions
from volumes import ORIENTATIONS

SHAPE = (30, 40, 60)


def a_chest():
    """With a lesion that reaches 2 slices beyond the left lung's apex, and one in the right lung."""
    return make_chest().with_tumor(block(SHAPE, (22, 10, 40), (29, 15, 46)) | block(SHAPE, (6, 20, 10), (8, 24, 13)))


def zones_of(chest):
    report = report_lesions(chest.tumor, chest.ct, chest.left_lung, chest.right_lung, min_lesion_ml=0.0)
    return report, list(
        lung_zones(
            chest.left_lung, chest.right_lung, report.labels, {lesion.number: lesion.side for lesion in report.lesions}
        )
    )


def test_zones_fill_both_lungs_but_for_the_lesions_once():
    chest = a_chest()
    _, zones = zones_of(chest)
    thirds = ("lower", "middle", "upper")
    assert [(zone.side, zone.name) for zone in zones] == [(side, name) for side in ("Left", "Right") for name in thirds]
    total = np.sum([zone.mask.array for zone in zones], axis=0)
    np.testing.assert_array_equal(total, (chest.left_lung.array | chest.right_lung.array) & ~chest.tumor.array)


def test_zones_are_thirds_and_higher_ones_lie_higher():
    _, zones = zones_of(a_chest())
    for first in (0, 3):
        spans = [np.flatnonzero(zone.mask.array.any(axis=(1, 2))) for zone in zones[first : first + 3]]
        assert spans[0][-1] < spans[1][0] <= spans[1][-1] < spans[2][0]
        assert [len(span) for span in spans] == (
            [9, 8, 7] if first == 0 else [8, 8, 8]
        )  # the lesion beyond the apex counts as lung


@pytest.mark.parametrize("slice_", [4, 10, 12, 19, 22, 25])
def test_a_small_lesion_lies_in_the_zone_that_the_table_names(slice_):
    chest = make_chest().with_tumor(block(SHAPE, (slice_, 10, 40), (slice_ + 1, 15, 46)))
    report, zones = zones_of(chest)
    where = report.lesions[0].location
    (zone,) = (zone for zone in zones if (zone.side, zone.name) == (where.side, where.zone))
    assert zone.mask.array[slice_].any()


@pytest.mark.parametrize("order", ORIENTATIONS[::11], ids=str)
def test_orientation_changes_no_zone(order):
    chest = a_chest()
    for expected, found in zip(zones_of(chest)[1], zones_of(chest.reordered(order))[1], strict=True):
        np.testing.assert_array_equal(order.undo(found.mask).array, expected.mask.array)


def test_a_zone_is_not_taken_for_a_lesion():
    for zone in zones_of(a_chest())[1]:

        class Segment:
            name, mask, terminology = zone.segment, zone.mask, ""

        assert not is_lesion(Segment())
