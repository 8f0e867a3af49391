"""Unpacking is bounded by what the header states, in memory and in time."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.io import voxels
from LungTumorSegLib.io.headers import check_image_file
from LungTumorSegLib.io.images import read_volume, write_volume
from LungTumorSegLib.io.voxels import first_bytes, unpacked
from volumes import make_ct


@given(parts=st.lists(st.binary(max_size=300), max_size=5), padding=st.integers(0, 20))
def test_all_parts_of_a_gzip_stream_are_unpacked(parts, padding):
    packed = b"".join(gzip.compress(part) for part in parts) + (bytes(padding) if parts else b"")
    if parts:
        assert b"".join(unpacked(io.BytesIO(packed), "gzip")) == b"".join(parts)


@pytest.mark.parametrize("chunk", [16, 48, 1 << 20])
def test_small_chunks_change_nothing(monkeypatch, chunk):
    monkeypatch.setattr(voxels, "CHUNK_BYTES", chunk)
    content = np.random.default_rng(0).integers(0, 4, 5000).astype(np.uint8).tobytes() + bytes(5000)
    pieces = list(unpacked(io.BytesIO(zlib.compress(content)), "zlib"))
    assert b"".join(pieces) == content
    assert max(map(len, pieces)) <= chunk


@pytest.mark.parametrize("count", range(1, 60, 7))
def test_a_cut_stream_is_noticed(count):
    packed = gzip.compress(b"0123456789" * 20)
    with pytest.raises((EOFError, zlib.error)):
        list(unpacked(io.BytesIO(packed[: min(count, len(packed) - 1)]), "gzip"))


def test_a_stream_of_countless_parts_is_refused(monkeypatch):
    monkeypatch.setattr(voxels, "MAX_MEMBERS", 10)
    with pytest.raises(zlib.error, match="too many parts"):
        list(unpacked(io.BytesIO(gzip.compress(b"") * 11), "gzip"))


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.mha"])
def test_what_unpacks_to_more_than_stated_is_refused_at_once(tmp_path, monkeypatch, name):
    write_volume(make_ct(), tmp_path / "plain.nii")
    write_volume(make_ct(), tmp_path / "plain.mha", compress=False)
    zeros = bytes(1 << 26)
    header, mark, content = (tmp_path / "plain.mha").read_bytes().partition(b"ElementDataFile = LOCAL\n")
    header = header.replace(b"CompressedData = False", b"CompressedData = True")
    (tmp_path / "ct.mha").write_bytes(header + mark + zlib.compress(content + zeros, 1))
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress((tmp_path / "plain.nii").read_bytes() + zeros, 1))
    sizes = []

    def counted(file, packing):
        for piece in unpacked(file, packing):
            sizes.append(len(piece))
            yield piece

    monkeypatch.setattr(voxels, "unpacked", counted)
    with pytest.raises(UnusableInput, match="contains more than the 2160 bytes of voxels that its header states"):
        read_volume(tmp_path / name)
    assert sum(sizes) <= 2 * voxels.CHUNK_BYTES


def test_a_header_that_states_more_than_deflate_can_hold_is_refused_before_memory_is_taken(tmp_path):
    write_volume(make_ct(), tmp_path / "ct.nii")
    raw = bytearray((tmp_path / "ct.nii").read_bytes())
    raw[42:48] = np.array([1000, 1000, 1000], "<i2").tobytes()
    (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(raw))
    script = """
import resource, sys
from pathlib import Path
from LungTumorSegLib.core.errors import UnusableInput
from LungTumorSegLib.io.headers import read_header
from LungTumorSegLib.io.voxels import read_values
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
try:
    path = Path(sys.argv[1])
    read_values(read_header(path), path)
except UnusableInput as error:
    sys.exit(0 if "is truncated" in str(error) else str(error))
sys.exit("read")
"""
    pytest.importorskip("resource")
    subprocess.run([sys.executable, "-c", script, tmp_path / "ct.nii.gz"], check=True)


def test_a_check_reads_all_voxels(tmp_path):
    write_volume(make_ct(), tmp_path / "ct.nrrd")
    check_image_file(tmp_path / "ct.nrrd")
    raw = (tmp_path / "ct.nrrd").read_bytes()
    (tmp_path / "ct.nrrd").write_bytes(raw[:-8] + bytes(4) + raw[-4:])  # the checksum
    with pytest.raises(UnusableInput, match="is damaged"):
        check_image_file(tmp_path / "ct.nrrd")


def test_first_bytes_of_a_short_stream_are_all_of_it(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"abc"))
    assert first_bytes(tmp_path / "a.gz", 2) == b"ab"
    assert first_bytes(tmp_path / "a.gz", 9) == b"abc"
