"""Segmentations of any format: where they are read, and how their lesions become labels."""

import numpy as np
from LungTumorSegLib.core.terminology import LEFT_LUNG, TUMOR
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io import seg_nrrd, segmentations
from LungTumorSegLib.io.seg_nrrd import write_segmentation
from LungTumorSegLib.io.segment import Segment
from LungTumorSegLib.io.segmentations import read_lesion_labels
from volumes import affine_of


def test_lesion_segments_are_numbered_by_size_and_the_smaller_lies_on_top(tmp_path):
    small, large, lung = np.zeros((3, 3, 4, 5), bool)
    large[1, :3, :3], small[1, 1, 1], lung[:] = True, True, True
    segments = [
        Segment("Nodule", Volume(small, affine_of()), (1, 0, 0), TUMOR["Left"]),
        Segment("Left lung", Volume(lung, affine_of()), (0, 0, 1), LEFT_LUNG),
        Segment("Mass", Volume(large, affine_of()), (1, 0, 0), TUMOR["Left"]),
    ]
    write_segmentation(segments, tmp_path / "s.seg.nrrd")
    found = read_lesion_labels(tmp_path / "s.seg.nrrd").array
    assert found[1, 1, 1] == 2
    assert np.count_nonzero(found == 1) == 8
    assert np.count_nonzero(found) == 9


def test_the_reader_is_still_found_where_it_was_in_earlier_versions():
    assert seg_nrrd.read_segmentation is segmentations.read_segmentation
