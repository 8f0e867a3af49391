"""Results without runs: made from small chests, without a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from chests import Chest, block, make_chest
from LungTumorSegLib.isolation import LungIsolation, SpineAxis
from LungTumorSegLib.lesions import report_lesions
from LungTumorSegLib.options import Settings, Thresholds
from LungTumorSegLib.results.segment_result import SegmentResult
from LungTumorSegLib.weights.manifest import Manifest

MANIFEST = Manifest("made", "made", "unet3d", 8, (3.0, 1.5, 1.5), (-1000.0, 400.0), "0" * 64)
SHAPE = (30, 40, 60)


def a_result(*, tumor: bool = True, resampled: bool = False) -> SegmentResult:
    """Make a result with one lesion of 6 x 7 x 9 voxels in the left lung, or without a lesion."""
    chest = make_chest(SHAPE)
    if tumor:
        chest = chest.with_tumor(block(SHAPE, (10, 15, 35), (16, 22, 44)))
    ct = replace(chest.ct, resampled=resampled)
    nothing = chest.tumor.with_array(np.zeros(SHAPE, np.float32))
    report = report_lesions(chest.tumor, ct, chest.left_lung, chest.right_lung, min_lesion_ml=0.0)
    settings = Settings("made", "cpu", "float32", "torch", 4, Thresholds(), 0.0, 0.0, mirror=False, verify=False)
    return SegmentResult(
        ct, an_isolation(chest), nothing, nothing, report, MANIFEST, settings, "cpu", "float32", (), {}
    )


def an_isolation(chest: Chest) -> LungIsolation:
    """Make the lung isolation of a chest."""
    lungs = chest.tumor.with_array(chest.left_lung.array | chest.right_lung.array)
    return LungIsolation(
        lungs, chest.left_lung, chest.right_lung, SpineAxis(np.zeros((SHAPE[0], 3))), lungs, chest.ct, ()
    )
