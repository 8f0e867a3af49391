"""The two-step threshold, on the working grid and back on the CT."""

import numpy as np
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import AIR_HU, CTVolume
from LungTumorSegLib.inference.decision import decide, decide_on_working_grid, kept_slices
from LungTumorSegLib.inference.grid import make_working_grid
from LungTumorSegLib.inference.prediction import Prediction
from LungTumorSegLib.options import Thresholds


def test_a_slice_is_kept_only_if_its_maximum_exceeds_the_gate():
    probability = np.zeros((3, 4, 5))
    probability[0, 1, 1], probability[1, 2, 2], probability[2, 3, 3] = 0.69, 0.7, 0.71
    np.testing.assert_array_equal(kept_slices(probability, 0.7), [False, False, True])


@pytest.mark.parametrize(("gate", "voxel"), [(0.4, 0.5), (1.0, 0.5), (0.7, 0.0), (float("nan"), 0.5)])
def test_thresholds_out_of_order_or_range_are_refused(gate, voxel):
    with pytest.raises(UnusableInput, match="thresholds"):
        Thresholds(gate, voxel)


def test_voxels_above_the_second_threshold_survive_in_kept_slices_alone():
    affine = np.diag([1.5, 1.5, 3.0, 1.0])[:, [2, 1, 0, 3]]
    ct = CTVolume(np.full((20, 40, 48), AIR_HU, np.int16), affine)
    mask = np.zeros(ct.shape, bool)
    mask[2:18, 4:36, 4:44] = True
    grid = make_working_grid(ct, ct.with_array(mask), spacing_mm=(3.0, 1.5, 1.5), intensity_range_hu=(-1000, 400))
    probability = np.zeros(grid.image.shape, np.float32)
    low, high = (grid.image.lps_to_index(ct.index_to_lps((k, 10, 20))).round().astype(int) for k in (6, 12))
    probability[tuple(low)] = 0.65  # above the second threshold in a slice that the gate closes
    probability[tuple(high)] = 0.75
    tumor = decide(Prediction(grid, probability, np.zeros_like(probability)), Thresholds())
    assert tumor.same_grid(ct)
    assert [tuple(int(i) for i in index) for index in np.argwhere(tumor.array)] == [(12, 10, 20)]
    assert np.argwhere(decide_on_working_grid(probability, Thresholds())).tolist() == [high.tolist()]
