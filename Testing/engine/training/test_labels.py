"""Lesion labels from label maps and segmentations."""

import numpy as np
import pytest
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.terminology import LEFT_LUNG, TUMOR
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.io.seg_nrrd import Segment, write_segmentation
from LungTumorSegLib.training.labels import name_without_suffix, read_lesion_labels
from volumes import affine_of

AFFINE = affine_of()


def test_a_label_map_keeps_its_labels(tmp_path):
    labels = np.zeros((3, 4, 5), np.int16)
    labels[0, 0, 0], labels[1, 2, 3:] = 7, 300
    write_volume(Volume(labels, AFFINE), tmp_path / "m.nii.gz")
    np.testing.assert_array_equal(read_lesion_labels(tmp_path / "m.nii.gz").array, labels)


def test_lesion_segments_are_numbered_by_size_and_the_smaller_lies_on_top(tmp_path):
    small, large, lung = np.zeros((3, 3, 4, 5), bool)
    large[1, :3, :3], small[1, 1, 1], lung[:] = True, True, True
    segments = [
        Segment("Nodule", Volume(small, AFFINE), (1, 0, 0), TUMOR["Left"]),
        Segment("Left lung", Volume(lung, AFFINE), (0, 0, 1), LEFT_LUNG),
        Segment("Mass", Volume(large, AFFINE), (1, 0, 0), TUMOR["Left"]),
    ]
    write_segmentation(segments, tmp_path / "s.seg.nrrd")
    found = read_lesion_labels(tmp_path / "s.seg.nrrd").array
    assert found[1, 1, 1] == 2
    assert np.count_nonzero(found == 1) == 8
    assert np.count_nonzero(found) == 9


@pytest.mark.parametrize("value", [-5.0, 0.5, np.nan])
def test_other_values_are_no_labels(tmp_path, value):
    write_volume(Volume(np.full((3, 4, 5), value, np.float32), AFFINE), tmp_path / "m.nrrd")
    with pytest.raises(UnusableInput, match=r"m\.nrrd (are not labels|contains NaN or infinite values)"):
        read_lesion_labels(tmp_path / "m.nrrd")


def test_a_name_loses_all_of_its_suffix(tmp_path):
    for name in ("case.v1.seg.nrrd", "case.v1.nii.gz", "case.v1.nrrd"):
        (tmp_path / name).touch()
        assert name_without_suffix(tmp_path / name) == "case.v1"
    assert name_without_suffix(tmp_path) == tmp_path.name
