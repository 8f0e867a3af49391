"""The piecewise NRRD writer against SimpleITK's reader."""

from __future__ import annotations

import gzip
import threading

import numpy as np
import pytest
import SimpleITK as sitk
from LungTumorSegLib.core.events import Cancelled
from LungTumorSegLib.core.volume import Volume
from LungTumorSegLib.io import nrrd
from LungTumorSegLib.io.nrrd import compressed_layers, compressed_nrrd, write_nrrd


def an_oblique_volume(dtype="int16") -> Volume:
    """2 x 3 x 5 voxels of unequal spacing, axes turned by 20 degrees, the slice axis flipped, a far origin."""
    cosine, sine = np.cos(np.radians(20)), np.sin(np.radians(20))
    slices, rows, columns = (
        np.array([0, 0, -2.5]),
        0.7 * np.array([-sine, cosine, 0]),
        0.6 * np.array([cosine, sine, 0]),
    )
    affine = np.eye(4)
    affine[:3] = np.column_stack([slices, rows, columns, (101.25, -33.5, 1e3 / 3)])
    return Volume(np.arange(30).reshape(2, 3, 5).astype(dtype), affine)


@pytest.mark.parametrize("dtype", ["int16", "uint8", "uint16", "int32", "float32", "float64"])
def test_simpleitk_reads_voxels_and_geometry_back(tmp_path, dtype):
    volume = an_oblique_volume(dtype)
    write_nrrd(volume, tmp_path / "a.nrrd", threading.Event())
    image = sitk.ReadImage(str(tmp_path / "a.nrrd"))
    array = sitk.GetArrayFromImage(image)
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, volume.array)
    for index in [(0, 0, 0), (1, 2, 4), (1, 0, 3)]:
        point = image.TransformIndexToPhysicalPoint(index[::-1])
        np.testing.assert_allclose(point, volume.index_to_lps(index), atol=1e-9)  # mm; repr() keeps every digit


def test_a_view_with_strides_is_written_in_order(tmp_path):
    volume = an_oblique_volume()
    flipped = Volume(volume.array[:, ::-1, ::2], volume.affine)
    write_nrrd(flipped, tmp_path / "a.nrrd", threading.Event())
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.nrrd"))), flipped.array)


def test_stop_ends_the_writing_between_two_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(nrrd, "CHUNK_BYTES", 8)
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        write_nrrd(an_oblique_volume(), tmp_path / "a.nrrd", stop)
    assert b"\n\n" in (tmp_path / "a.nrrd").read_bytes()[-2:], "no voxel was written after the header"


def test_pieces_join_without_gaps(tmp_path, monkeypatch):
    monkeypatch.setattr(nrrd, "CHUNK_BYTES", 7)  # divides neither a voxel nor the volume
    volume = an_oblique_volume()
    write_nrrd(volume, tmp_path / "a.nrrd", threading.Event())
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.nrrd"))), volume.array)


def test_voxels_that_are_not_numbers_are_refused(tmp_path):
    volume = an_oblique_volume("complex64")
    with pytest.raises(ValueError, match="convert the volume to a scalar volume"):
        write_nrrd(volume, tmp_path / "a.nrrd", threading.Event())


@pytest.mark.parametrize("threads", ["1", "2"])
def test_compressed_parts_are_one_stream_whatever_the_number_of_threads(tmp_path, monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr("LungTumorSegLib.core.computed.SLAB_SLICES", 3)
    values = np.random.default_rng(3).integers(-9, 9, (10, 4, 5)).astype(np.int16)
    volume = Volume(values, an_oblique_volume().affine)
    (tmp_path / "a.nrrd").write_bytes(b"".join(compressed_nrrd(volume)))
    _, _, stored = (tmp_path / "a.nrrd").read_bytes().partition(b"\n\n")
    assert gzip.decompress(stored) == values.tobytes(), "voxels, size and checksum"
    assert stored[:10] == nrrd.GZIP_HEADER
    assert stored.count(nrrd.GZIP_HEADER) == 1
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.nrrd"))), values)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_layers_and_metadata_are_read_back(tmp_path, monkeypatch, count, dtype):
    monkeypatch.setattr(nrrd, "SLAB_SLICES", 2)
    grid = Volume(np.zeros((5, 3, 4)), an_oblique_volume().affine).grid
    layers = list(np.random.default_rng(4).integers(0, 200, (count, *grid.shape)).astype(dtype))
    metadata = {"Segment0_Name": "Überrest \\ two\nlines", "Segment0_ID": " a:=b ", "Empty": ""}
    (tmp_path / "a.nrrd").write_bytes(b"".join(compressed_layers(layers, grid, metadata)))
    image = sitk.ReadImage(str(tmp_path / "a.nrrd"))
    stored = sitk.GetArrayFromImage(image)
    assert stored.dtype == dtype
    np.testing.assert_array_equal(stored, layers[0] if count == 1 else np.stack(layers, axis=-1))
    assert {key: image.GetMetaData(key) for key in metadata} == metadata
    np.testing.assert_allclose(image.TransformIndexToPhysicalPoint((3, 2, 4)), grid.index_to_lps((4, 2, 3)), atol=1e-9)
