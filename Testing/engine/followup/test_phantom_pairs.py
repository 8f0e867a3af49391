"""Pairs of phantoms with known motion and known fates, compared by their true masks."""

from __future__ import annotations

import numpy as np
import pytest
from LungTumorSegLib import compare
from LungTumorSegLib.core.boxes import boxes_of_labels, slices_of
from LungTumorSegLib.core.crops import crop_at
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.followup.examination import Examination
from LungTumorSegLib.followup.growth import doubling_time
from LungTumorSegLib.followup.lesion import TimedLesion
from LungTumorSegLib.phantom import Phantom, PhantomOptions, make_follow_up

OPTIONS = PhantomOptions(spacing_mm=(2.5, 1.6, 1.6), lesion_count=6, lesion_diameter_mm=(8.0, 30.0))
LEAST_MM = 10.0


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
    pair = make_follow_up(seed, OPTIONS)
    found = compare(examination(pair.earlier, "earlier"), examination(pair.later, "later"), days=pair.days)

    def labels(visit):
        return tuple(int(lesion.name.split()[-1]) for lesion in visit)

    true = {(lesion.earlier, lesion.later): lesion for lesion in pair.lesions}
    assert {(labels(track.earlier), labels(track.later)) for track in found.tracks} == set(true)
    for track in found.tracks:
        lesion = true[labels(track.earlier), labels(track.later)]
        if len(track.earlier) == len(track.later) == 1 and track.earlier[0].long_axis_mm >= LEAST_MM:
            before, after = (
                scan.lesions[label - 1].volume_ml
                for scan, label in ((pair.earlier, lesion.earlier[0]), (pair.later, lesion.later[0]))
            )
            assert track.change_percent == pytest.approx(100 * (after / before - 1), abs=10)
            expected = doubling_time(before, after, pair.days)
            if lesion.fate in ("grown", "shrunk"):
                assert track.doubling_time(pair.days).days == pytest.approx(expected.days, rel=0.15)
    here, there = pair.landmarks_lps_mm[:, 0], pair.landmarks_lps_mm[:, 1]
    median, p95 = np.percentile(np.linalg.norm(found.registration.to_later(here) - there, axis=1), (50, 95))
    assert median <= 2
    assert p95 <= 5
    assert found.registration.residual_mm == pytest.approx(median, abs=0.5)
    assert p95 - 1 <= found.registration.residual_p95_mm <= p95 + 2.5  # it includes the landmarks' own error
