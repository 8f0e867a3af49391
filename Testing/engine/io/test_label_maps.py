"""Label maps: labels of any size, values that are no labels."""

import numpy as np
import pytest
from LungTumorSegLib.core.crops import SparseMask
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io.file_suffixes import LABEL_SUFFIXES
from LungTumorSegLib.io.images import write_volume
from LungTumorSegLib.io.label_maps import name_without_suffix
from LungTumorSegLib.io.segmentations import read_lesion_labels, read_segmentation
from volumes import affine_of


def label_map(path, values, dtype):
    array = np.zeros((3, 4, 5), dtype)
    for number, value in enumerate(values):
        array[number % 3, number, 1:3] = value
    write_volume(Volume(array, affine_of()), path)
    return array


@pytest.mark.parametrize("dtype", [np.int32, np.uint32, np.float32])
@pytest.mark.parametrize("values", [(65536, 1), (70000, 131072, 65535), (2, 1_000_000)])
def test_labels_beyond_16_bits_stay_apart(tmp_path, values, dtype):
    array = label_map(tmp_path / "m.nrrd", values, dtype)
    labels = read_lesion_labels(tmp_path / "m.nrrd").array
    for number, value in enumerate(sorted(values), start=1):
        np.testing.assert_array_equal(labels == number, array == value)
    segments = read_segmentation(tmp_path / "m.nrrd")
    assert [segment.name for segment in segments] == [f"Segment {value}" for value in sorted(values)]
    for segment, value in zip(segments, sorted(values), strict=True):
        np.testing.assert_array_equal(segment.mask.array, array == value)


def test_segments_of_a_label_map_store_their_boxes_alone(tmp_path):
    label_map(tmp_path / "m.nrrd", (7, 3), np.uint8)
    for segment in read_segmentation(tmp_path / "m.nrrd"):
        assert isinstance(segment.mask, SparseMask)
        assert segment.mask.stored.mask.shape == (1, 1, 2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 0.5])
def test_values_that_are_no_labels_are_refused(tmp_path, value):
    write_volume(Volume(np.full((3, 4, 5), value, np.float32), affine_of()), tmp_path / "m.mha")
    for read in (read_segmentation, read_lesion_labels):
        with pytest.raises(UnusableInput, match=r"m\.mha"):
            read(tmp_path / "m.mha")


def test_a_label_map_keeps_its_labels(tmp_path):
    labels = np.zeros((3, 4, 5), np.int16)
    labels[0, 0, 0], labels[1, 2, 3:] = 7, 300
    write_volume(Volume(labels, affine_of()), tmp_path / "m.nii.gz")
    np.testing.assert_array_equal(read_lesion_labels(tmp_path / "m.nii.gz").array, labels)


@pytest.mark.parametrize("suffix", LABEL_SUFFIXES)
def test_a_name_loses_all_of_its_suffix(tmp_path, suffix):
    for name in (f"case.v1{suffix}", f"case.v1{suffix.upper()}"):
        (tmp_path / name).touch()
        assert name_without_suffix(tmp_path / name) == "case.v1"
    assert name_without_suffix(tmp_path) == tmp_path.name
