"""Pairs of phantoms with known motion and known fates, compared by their true masks.

All 20 pairs take ten minutes of processor time.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from LungTumorSegLib import compare
from LungTumorSegLib.core.boxes import boxes_of_labels, slices_of
from LungTumorSegLib.core.crops import crop_at
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.followup.examination import Examination
from LungTumorSegLib.followup.lesion import TimedLesion
from LungTumorSegLib.phantom import Phantom, make_follow_up

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
followup_accuracy = importlib.import_module("followup_accuracy")


def examination(phantom: Phantom, name: str) -> Examination:
    """The true masks of one day, with the HU of the CT and without the time that isolation and measures take."""
    lesions = []
    for label, box in boxes_of_labels(phantom.tumor.array).items():
        mask = phantom.tumor.array[slices_of(box)] == label
        crop = crop_at(mask, box, phantom.tumor)
        volume_ml = float(mask.sum()) * phantom.tumor.voxel_volume_ml
        axis_mm = 2 * (volume_ml * 750 / np.pi) ** (1 / 3)
        hu = float(phantom.ct.array[slices_of(box)][mask].mean())
        lesions.append(TimedLesion(f"Segment {int(label)}", crop, volume_ml, axis_mm, axis_mm, hu))
    lungs = Volume((phantom.lungs.array > 0) | (phantom.tumor.array > 0), phantom.ct.affine)
    return Examination(name, tuple(lesions), lungs, phantom.ct)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(9001, 9021))
def test_matches_volumes_and_alignment_are_those_of_the_truth(seed):
    pair = make_follow_up(seed, followup_accuracy.OPTIONS)
    found = compare(examination(pair.earlier, "earlier"), examination(pair.later, "later"), days=pair.days)
    row = followup_accuracy.pair_row(pair, found)
    assert row["matched"] == row["lesions"]
    assert row["matches_too_many"] == 0
    assert followup_accuracy.largest([row], "volume_change_off") <= 10
    assert followup_accuracy.largest([row], "volume_change_off_from_shapes") <= 10
    assert followup_accuracy.largest([row], "doubling_time_off_percent") <= 15
    (median, p95), (stated, stated_p95) = row["residual_mm"], row["stated_residual_mm"]
    assert median <= 2
    assert p95 <= 5
    assert stated == pytest.approx(median, abs=0.5)
    assert p95 - 1 <= stated_p95 <= p95 + 2.5  # it includes the landmarks' own error
