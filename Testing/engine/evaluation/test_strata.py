"""Reported lesions with confidence against reference lesions, by strata."""

import numpy as np
import pytest
from LungTumorSegLib.evaluation.strata import (
    SIZES_MM,
    SLICES_MM,
    Comparison,
    class_of,
    froc,
    score_scan,
    strata,
)

SHAPE, SPACING = (12, 30, 30), (2.0, 1.0, 1.0)


def empty():
    return np.zeros(SHAPE, np.uint8)


def a_scan(name="a", *, threshold=0.0, ignored=None, source="x", contrast="no", confidences=(0.9, 0.6, 0.3)):
    """Lesion 1 is found exactly, lesion 2 by half and with less confidence, lesion 3 is missed; one false positive."""
    truth, found, hu = empty(), empty(), np.full(SHAPE, -850.0)
    truth[2:6, 2:8, 2:8], truth[2:6, 2:8, 14:18], truth[9:11, 20:23, 20:23] = 1, 2, 3
    found[2:6, 2:8, 2:8], found[2:6, 2:8, 14:16], found[2:4, 22:26, 2:6] = 1, 2, 3
    hu[truth == 1], hu[truth == 2] = 30, -600
    arrays = Comparison(found, truth, SPACING, ignored, hu)
    return score_scan(name, arrays, confidences, threshold=threshold, source=source, contrast=contrast)


def test_lesions_have_their_dice_confidence_size_and_density():
    first, second, third = a_scan().lesions
    assert (first.dice, first.confidence, first.mean_hu) == (1.0, 0.9, 30)
    assert second.dice == pytest.approx(2 * 1 / 3)
    assert (second.confidence, second.mean_hu) == (0.6, -600)
    assert (third.dice, third.confidence) == (0.0, 0.0)
    assert first.diameter_mm == pytest.approx((6 * 4 * 6 * 6 * 2 / np.pi) ** (1 / 3))
    assert a_scan().false_ml == ((2 * 4 * 4 * 2 / 1000, 0.3),)


def test_what_is_below_the_threshold_counts_for_the_froc_curve_only():
    scan = a_scan(threshold=0.7)
    assert [lesion.dice for lesion in scan.lesions] == [1.0, 0.0, 0.0]
    assert [lesion.confidence for lesion in scan.lesions] == [0.9, 0.6, 0.0]
    assert scan.counted_ml == []
    assert len(a_scan().counted_ml) == 1
    assert [(point.threshold, point.sensitivity, point.false_positives_per_scan) for point in froc([scan])] == [
        (0.9, pytest.approx(1 / 3), 0),
        (0.6, pytest.approx(2 / 3), 0),
        (0.3, pytest.approx(2 / 3), 1),
    ]


@pytest.mark.parametrize(("rows", "false"), [(slice(20, 30), 0), (slice(25, 30), 1)])
def test_ignored_voxels_are_neither_lesions_nor_false_positives(rows, false):
    """The false positive lies in rows 22 to 25: all or a quarter of it is ignored."""
    ignored = np.zeros(SHAPE, bool)
    ignored[:, rows] = True
    scan = a_scan(ignored=ignored)
    assert len(scan.false_ml) == false
    assert len(scan.lesions) == (2 if rows.start == 20 else 3)
    if false:
        assert scan.false_ml[0][0] == pytest.approx(0.75 * 2 * 4 * 4 * 2 / 1000)


def test_scans_and_lesions_are_counted_in_their_strata():
    scans = [a_scan("a", source="x"), a_scan("b", source="y", contrast="yes", threshold=0.5)]
    rows = {(row["dimension"], row["stratum"]): row for row in strata(scans)}
    everything = rows["all", "all"]
    assert (everything["scans"], everything["lesions"], everything["lesions_found"]) == (2, 6, 4)
    assert everything["false_positives_per_scan"] == 0.5
    assert rows["source", "y"]["false_positives_per_scan"] == 0
    assert rows["contrast", "yes"]["scans"] == 1
    assert rows["slice thickness", "up to 2.5 mm"]["lesions"] == 6
    assert rows["density", "above -150 HU"]["median_lesion_dice"] == 1.0
    assert rows["density", "below -450 HU"]["lesions_found"] == 2 + 0, "its mean is -600 HU; the missed one has -850"
    assert rows["density", "below -450 HU"]["lesions"] == 4
    assert rows["size", "below 8 mm"]["scans"] is None
    assert sum(row["lesions"] for (dimension, _), row in rows.items() if dimension == "size") == 6


def test_a_scan_without_lesions_has_false_positives_only():
    found = empty()
    found[3:5, 3:6, 3:6] = 1
    scan = score_scan("free", Comparison(found, empty(), SPACING), [0.8])
    assert (scan.dice_3d, scan.lesions, len(scan.false_ml)) == (None, (), 1)
    (row,) = [row for row in strata([scan]) if row["dimension"] == "all"]
    assert (row["sensitivity"], row["median_dice_3d"], row["false_positives_per_scan"]) == (None, None, 1)
    assert froc([scan]) == []


@pytest.mark.parametrize(
    ("value", "limits", "up_to", "name"),
    [
        (8.0, SIZES_MM, False, "8 to 12 mm"),
        (500.0, SIZES_MM, False, "above 40 mm"),
        (2.5, SLICES_MM, True, "up to 2.5 mm"),
        (5.0, SLICES_MM, True, "above 4 mm"),
    ],
)
def test_classes_have_their_limits(value, limits, up_to, name):
    assert class_of(value, limits, up_to=up_to) == name
